//! `sprag demo`: shows what Sprag does, on two clusters inside this process.
//!
//! librdkafka's mock clusters store offset commits with their metadata, but do not fence producers.
//! The demo therefore runs in `guarded` mode and shows only the *stamp*. The tests on real brokers show
//! the fence. Every figure is read back from the clusters.

mod clusters;
mod instance;
mod ports;
mod story;

use serde::Serialize;

pub use story::{Options, run_story};

/// The outcome of the demo.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// The groups that were synced.
    pub groups: Vec<Synced>,
    /// The trials with instances whose knowledge is stale or incomplete.
    pub trials: Vec<Trial>,
}

/// A synced group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Synced {
    /// Its name.
    pub group: String,
    /// How many records it is behind on the source.
    pub lag: i64,
    /// Its committed offset on the source.
    pub source_offset: i64,
    /// Its committed offset on the target.
    pub target_offset: Option<i64>,
    /// How many records a consumer that resumes at the target offset reads again.
    pub re_read: Option<i64>,
    /// How many records such a consumer misses.
    pub missed: Option<i64>,
}

/// A trial: an instance with stale or incomplete knowledge tries to sync a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Trial {
    /// Its name.
    pub name: &'static str,
    /// Whether the instance judged the group or stood down. A trial in which it did neither proves nothing.
    pub had_its_say: bool,
    /// The group's target offset before the trial.
    pub before: Option<i64>,
    /// The group's target offset after the trial.
    pub after: Option<i64>,
    /// The promised outcome.
    pub promised: Promise,
}

/// The promised outcome of a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Promise {
    /// The offset stays.
    Blocked,
    /// The offset goes back: the guard is off.
    Rewound,
}

impl Synced {
    /// Whether the promise was kept: a consumer re-reads no record and misses none.
    #[must_use]
    pub fn kept(&self) -> bool {
        self.re_read == Some(0) && self.missed == Some(0)
    }
}

impl Trial {
    /// Whether the promise was kept.
    #[must_use]
    pub fn kept(&self) -> bool {
        let (Some(before), Some(after)) = (self.before, self.after) else { return false };
        let as_promised = match self.promised {
            Promise::Blocked => before == after,
            Promise::Rewound => after < before,
        };
        self.had_its_say && as_promised
    }
}

impl Outcome {
    /// Whether every promise was kept.
    #[must_use]
    pub fn kept(&self) -> bool {
        self.groups.iter().all(Synced::kept) && self.trials.iter().all(Trial::kept)
    }
}
