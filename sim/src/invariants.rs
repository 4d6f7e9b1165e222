//! The invariants that must hold in every run. Each is judged from the clusters' own histories, never from
//! what Sprag believes.
//!
//! | invariant | promise (`docs/protocol.md`, "Promises") | module |
//! |---|---|---|
//! | NeverStale | 1: no translation is overwritten by a decision from older knowledge | [`never_stale`] |
//! | NeverSkip | 2: a consumer that resumes there sees every record from its position on | [`never_skip`] |
//! | NoNeedlessRewind | 1: a translation is set back only for a reason | [`no_needless_rewind`] |
//! | NeverTrample | 4: foreign commits are not overwritten | [`never_trample`] |
//! | FencedMeansFenced | 1: a decision of an earlier owner is never carried out | [`fenced_means_fenced`] |
//! | Verified | 4: the stored offset is read and compared again before a commit | [`verified`] |
//! | NeverSkip, sparse mappings | 2: nothing is translated in a replay or below the log start | [`replays`] |
//! | Truthful | every reported commit was committed | [`truthful`] |
//! | NoInventedOffset | 5, 6: commits come from an existing position and copy | [`no_invented_offset`] |
//! | Converges | after the last fault, every group reaches the position its mappings give | [`converges`] |
//! | Exact | 3: from there it re-reads no record that was copied once | [`exact`] |
//! | Isolated | a faulty broker delays groups that do not need it only within a bound | [`isolated`] |
//! | Sparing | an instance asks, writes and logs no more often than its configuration allows | [`sparing`] |
//! | StandsDown | a fenced instance stops | [`stands_down`] |
//!
//! Converges, Exact and StandsDown are judged in the calm phase of a run; the first two have until its end to
//! hold. Isolated is judged in runs whose only faults are those of brokers.

pub mod converges;
pub mod copies;
pub mod exact;
pub mod fenced_means_fenced;
pub mod isolated;
#[cfg(test)]
mod made_up;
pub mod never_skip;
pub mod never_stale;
pub mod never_trample;
pub mod no_invented_offset;
pub mod no_needless_rewind;
pub mod replays;
pub mod settled;
pub mod sparing;
pub mod stands_down;
pub mod truthful;
pub mod verified;

use std::fmt;

use sprag_core::ids::GroupId;
use sprag_core::time::Instant;

use crate::truth::Ours;
use crate::wire::Partition;

/// The name of an invariant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Invariant {
    /// See [`never_stale`].
    NeverStale,
    /// See [`never_skip`].
    NeverSkip,
    /// See [`no_needless_rewind`].
    NoNeedlessRewind,
    /// See [`never_trample`].
    NeverTrample,
    /// See [`fenced_means_fenced`].
    FencedMeansFenced,
    /// See [`verified`].
    Verified,
    /// See [`truthful`].
    Truthful,
    /// See [`no_invented_offset`].
    NoInventedOffset,
    /// See [`converges`].
    Converges,
    /// See [`exact`].
    Exact,
    /// See [`isolated`].
    Isolated,
    /// See [`sparing`].
    Sparing,
    /// See [`stands_down`].
    StandsDown,
}

impl Invariant {
    /// Whether it says what must happen eventually, rather than what must never happen.
    #[must_use]
    pub fn is_liveness(self) -> bool {
        match self {
            Self::Converges | Self::Exact | Self::StandsDown | Self::Isolated => true,
            Self::NeverStale
            | Self::NeverSkip
            | Self::NoNeedlessRewind
            | Self::NeverTrample
            | Self::FencedMeansFenced
            | Self::Verified
            | Self::Truthful
            | Self::NoInventedOffset
            | Self::Sparing => false,
        }
    }
}

/// A broken invariant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which invariant.
    pub invariant: Invariant,
    /// When it was found, in simulated time.
    pub time: Instant,
    /// The group and the partition, if it is about an offset.
    pub place: Option<(GroupId, Partition)>,
    /// What was expected, and what was found.
    pub detail: String,
}

impl Violation {
    /// A violation by this commit.
    #[must_use]
    pub fn of(invariant: Invariant, ours: &Ours, detail: String) -> Self {
        let place = Some((ours.group.clone(), ours.at.clone()));
        Self { invariant, time: ours.time, place, detail }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { invariant, time, place, detail } = self;
        write!(f, "{invariant:?} at {} ms: ", time.as_millis())?;
        if let Some((group, at)) = place {
            write!(f, "{group} {}-{}: ", at.topic, at.partition)?;
        }
        f.write_str(detail)
    }
}
