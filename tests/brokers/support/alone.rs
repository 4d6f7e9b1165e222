//! Limits how many broker tests run at the same time. Usually it is four: they mostly wait, and
//! four keep two cores busy. A test that measures how long something takes runs alone.

use super::artifacts::scratch;
use std::fs::File;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// The number of tests in this process that hold a turn.
static TURNS: Mutex<usize> = Mutex::new(0);
static ENDED: Condvar = Condvar::new();
/// How many may hold a turn at the same time.
const AT_ONCE: usize = 4;

/// The permission to start brokers. It ends on drop.
#[must_use = "keep it until the end of the test: `let _turn = turn();`"]
pub(crate) struct Turn {
    // Before the lock file: fields drop in order, and the lock must be released last.
    _counted: Counted,
    _lock: File,
}

struct Counted;

/// Waits until few other broker tests of this process run, and none that must be alone. Call this
/// first in every broker test: [`super::broker::Broker`] checks for it.
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

/// Waits until no other broker test runs, in this process or in another one with the same target
/// folder.
pub(crate) fn alone() -> Turn {
    let lock = lock_file();
    lock.lock().expect("the lock of the tests on real brokers");
    *turns() += 1;
    Turn { _counted: Counted, _lock: lock }
}

/// Panics unless a running test has called [`turn`] or [`alone`].
#[track_caller]
pub(super) fn insist() {
    let held = *turns() > 0;
    assert!(held, "a test that starts a broker must begin with `let _turn = turn();`");
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
