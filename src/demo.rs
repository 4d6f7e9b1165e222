//! `sprag demo`: what Sprag does, on two clusters inside this process.
//!
//! librdkafka's mock clusters keep offset commits with their metadata, but fence nobody: of the two
//! locks the demo shows the *stamp*, in `guarded` mode; the fence is shown by the tests on real
//! brokers. Every figure is read back from the clusters.

mod clusters;
mod instance;
mod ports;
mod story;

use serde::Serialize;

pub use story::{Options, tell};

/// What came out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// The groups that were synced.
    pub groups: Vec<Synced>,
    /// What was tried with instances that must not decide.
    pub trials: Vec<Trial>,
}

/// A group, synced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Synced {
    /// Its name.
    pub group: String,
    /// How far it is behind on the source.
    pub lag: i64,
    /// Its committed offset on the source.
    pub source_offset: i64,
    /// Its committed offset on the target.
    pub target_offset: Option<i64>,
    /// How many records a consumer that resumes there reads again.
    pub re_read: Option<i64>,
    /// How many it misses.
    pub missed: Option<i64>,
}

/// An instance that must not decide, or must.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Trial {
    /// What it is.
    pub name: &'static str,
    /// Whether it judged, or stood down: one that did neither shows nothing.
    pub had_its_say: bool,
    /// The target offset before.
    pub before: Option<i64>,
    /// And after it had its say.
    pub after: Option<i64>,
    /// What was promised.
    pub promised: Promise,
}

/// What was promised of a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Promise {
    /// The offset stays.
    Blocked,
    /// The offset goes back: the guard is off.
    Rewound,
}

impl Synced {
    /// Whether it came out as promised: exact, and nothing missed.
    #[must_use]
    pub fn kept(&self) -> bool {
        self.re_read == Some(0) && self.missed == Some(0)
    }
}

impl Trial {
    /// Whether it came out as promised.
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
    /// Whether everything came out as promised.
    #[must_use]
    pub fn kept(&self) -> bool {
        self.groups.iter().all(Synced::kept) && self.trials.iter().all(Trial::kept)
    }
}
