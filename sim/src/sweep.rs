//! Many seeds, on all cores. What is found does not depend on how many there are: seeds are told in
//! order, and a sweep ends with the first that fails.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::coverage::{self, Coverage};
use crate::invariants::Invariant;
use crate::run::{Counts, Outcome, run_for};
use crate::scenario::Scenario;

/// What a sweep came to.
#[derive(Clone, Debug)]
pub struct Sweep {
    /// How many seeds are good, from the first on.
    pub good: u64,
    /// What happened in them.
    pub counts: Counts,
    /// What they reached.
    pub coverage: Coverage,
    /// The first that failed, and how.
    pub failed: Option<(u64, Outcome)>,
}

/// Runs a scenario; a panic is a crash.
pub fn run_caught(scenario: &Scenario, wanted: impl Fn(Invariant) -> bool) -> Outcome {
    match catch_unwind(AssertUnwindSafe(|| run_for(scenario, wanted))) {
        Ok(outcome) => outcome,
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            Outcome::Crash(format!("panicked: {}", text.unwrap_or("without a word")))
        }
    }
}

/// Runs `seeds` seeds from `from` on, in `threads` threads.
#[must_use]
pub fn sweep(from: u64, seeds: u64, threads: usize, run: impl Fn(u64) -> Outcome + Sync) -> Sweep {
    let (next, end) = (AtomicU64::new(from), from.saturating_add(seeds));
    let told = Mutex::new((Counts::default(), Coverage::default(), None::<(u64, Outcome)>));
    let locked = || told.lock().unwrap_or_else(PoisonError::into_inner);
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= end {
                break;
            }
            let outcome = run(seed);
            let mut told = locked();
            match outcome {
                Outcome::Good(counts) => told.0.add(counts),
                bad @ (Outcome::Crash(_) | Outcome::Broken(_)) => {
                    // Seeds below it are under way in other threads, and may fail too.
                    next.fetch_max(end, Ordering::Relaxed);
                    if told.2.as_ref().is_none_or(|(first, _)| seed < *first) {
                        told.2 = Some((seed, bad));
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
    let (counts, coverage, failed) = told.into_inner().unwrap_or_else(PoisonError::into_inner);
    let good = failed.as_ref().map_or(seeds, |(seed, _)| seed - from);
    Sweep { good, counts, coverage, failed }
}
