//! How many tests on real brokers run at a time: three, which mostly wait, and keep a machine of two cores
//! busy; or one, where a test measures how long something takes.

use super::artifacts::scratch;
use std::fs::File;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// How many tests of this process have a turn.
static TURNS: Mutex<usize> = Mutex::new(0);
static ENDED: Condvar = Condvar::new();
/// How many may have one at a time.
const AT_ONCE: usize = 3;

/// The right to start brokers, until this is dropped.
#[must_use = "keep it until the end of the test: `let _turn = turn();`"]
pub(crate) struct Turn {
    // Before the lock is given up with the file.
    _counted: Counted,
    _lock: File,
}

struct Counted;

/// Waits until few other tests on real brokers run, and none that has to be alone. The first line
/// of every such test; [`super::broker::Broker`] insists on it.
pub(crate) fn turn() -> Turn {
    let mut turns = turns();
    while *turns >= AT_ONCE {
        turns = ENDED.wait(turns).unwrap_or_else(PoisonError::into_inner);
    }
    *turns += 1;
    drop(turns);
    let _counted = Counted;
    let lock = lock_file();
    lock.lock_shared().expect("the lock of the tests on real brokers");
    Turn { _counted, _lock: lock }
}

/// Waits until no other test on real brokers runs, in this process or in another one with the same
/// target folder.
pub(crate) fn alone() -> Turn {
    let lock = lock_file();
    lock.lock().expect("the lock of the tests on real brokers");
    *turns() += 1;
    Turn { _counted: Counted, _lock: lock }
}

/// Panics when no running test has called [`turn`] or [`alone`].
#[track_caller]
pub(super) fn insist() {
    let held = *turns() > 0;
    assert!(held, "a test that starts a broker begins with `let _turn = turn();`");
}

impl Drop for Counted {
    fn drop(&mut self) {
        *turns() -= 1;
        ENDED.notify_one();
    }
}

fn lock_file() -> File {
    File::create(scratch().join("alone.lock")).expect("a lock file for the tests")
}

fn turns() -> MutexGuard<'static, usize> {
    TURNS.lock().unwrap_or_else(PoisonError::into_inner)
}
