//! One test on real brokers at a time: two brokers and MirrorMaker fill a machine of two cores.

use super::artifacts::scratch;
use std::fs::File;
use std::sync::atomic::{AtomicBool, Ordering};

static HELD: AtomicBool = AtomicBool::new(false);

/// The right to start brokers, until this is dropped.
#[must_use = "keep it until the end of the test: `let _alone = alone();`"]
pub(crate) struct Alone {
    _lock: File,
}

/// Waits until no other test on real brokers runs, in this process or in another one with the
/// same target folder. The first line of every such test; [`super::broker::Broker`] insists on it.
pub(crate) fn alone() -> Alone {
    let lock = File::create(scratch().join("alone.lock")).expect("a lock file for the tests");
    lock.lock().expect("the lock of the tests on real brokers");
    HELD.store(true, Ordering::Release);
    Alone { _lock: lock }
}

/// Panics when the running test has not called [`alone`].
#[track_caller]
pub(super) fn insist() {
    let held = HELD.load(Ordering::Acquire);
    assert!(held, "a test that starts a broker begins with `let _alone = alone();`");
}

impl Drop for Alone {
    fn drop(&mut self) {
        // Before the file is closed, which lets the next test in.
        HELD.store(false, Ordering::Release);
    }
}
