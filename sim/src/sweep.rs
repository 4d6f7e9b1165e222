//! Many seeds, on all cores. The result does not depend on the number of cores: a sweep ends with the
//! lowest seed that fails.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::coverage::{self, Coverage};
use crate::invariants::Invariant;
use crate::run::{Counts, Outcome, run_for};
use crate::scenario::Scenario;

/// The result of a sweep.
#[derive(Clone, Debug)]
pub struct Sweep {
    /// Number of seeds that succeeded, counted from the first.
    pub good: u64,
    /// What happened in them.
    pub counts: Counts,
    /// What they reached.
    pub coverage: Coverage,
    /// The lowest seed that failed, and its outcome.
    pub failed: Option<(u64, Outcome)>,
}

/// Runs a scenario. A panic counts as a crash.
pub fn run_caught(scenario: &Scenario, wanted: impl Fn(Invariant) -> bool) -> Outcome {
    match catch_unwind(AssertUnwindSafe(|| run_for(scenario, wanted))) {
        Ok(outcome) => outcome,
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            Outcome::Crash(format!("panicked: {}", text.unwrap_or("no message")))
        }
    }
}

/// Runs `seeds` seeds, starting at `from`, in `threads` threads.
#[must_use]
pub fn sweep(from: u64, seeds: u64, threads: usize, run: impl Fn(u64) -> Outcome + Sync) -> Sweep {
    let (next, end) = (AtomicU64::new(from), from.saturating_add(seeds));
    let results = Mutex::new((Counts::default(), Coverage::default(), None::<(u64, Outcome)>));
    let locked = || results.lock().unwrap_or_else(PoisonError::into_inner);
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= end {
                break;
            }
            let outcome = run(seed);
            let mut results = locked();
            match outcome {
                Outcome::Good(counts) => results.0.add(counts),
                bad @ (Outcome::Crash(_) | Outcome::Broken(_)) => {
                    // Lower seeds are still running in other threads and may fail too.
                    next.fetch_max(end, Ordering::Relaxed);
                    if results.2.as_ref().is_none_or(|(first, _)| seed < *first) {
                        results.2 = Some((seed, bad));
                    }
                }
            }
        }
        locked().1.merge(coverage::take());
    };
    thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(work);
        }
    });
    let (counts, coverage, failed) = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    let good = failed.as_ref().map_or(seeds, |(seed, _)| seed - from);
    Sweep { good, counts, coverage, failed }
}
