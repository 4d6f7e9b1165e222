//! What must hold in every run. Each is judged from the clusters' own histories, not from what Sprag
//! believes.
//!
//! | invariant | promise (`docs/protocol.md`, "Promises") | module |
//! |---|---|---|
//! | NeverStale | 1: no translation is overwritten by a decision from older knowledge | [`never_stale`] |
//! | NeverSkip | 2: whoever resumes there sees every record at or after its position | [`never_skip`] |
//! | NeverTrample | 4: what somebody else committed stays | [`never_trample`] |
//! | FencedMeansFenced | 1: a decision of an earlier owner is never carried out | [`fenced_means_fenced`] |
//! | Verified | 4: what is committed was compared with what stands there first | [`verified`] |
//! | NeverSkip, sparse mappings | 2: nothing is translated in a replay, or below the log start | [`replays`] |
//! | Truthful | what is reported as committed was committed | [`truthful`] |
//! | NoInventedOffset | 5, 6: what is committed comes from a position and a copy that exist | [`no_invented_offset`] |
//! | Converges | once all faults have ended, every group comes to where its mappings say | [`converges`] |
//! | Exact | 3: and reads nothing twice there that was copied once | [`exact`] |
//! | Isolated | a broker in trouble delays nobody for longer than a bound who does not need it | [`isolated`] |
//! | Sparing | an instance asks, writes and logs no more often than its configuration allows | [`sparing`] |
//! | StandsDown | whoever was fenced stops | [`stands_down`] |
//!
//! Converges, Exact and StandsDown are judged when a run is calm, and have until its end. Isolated is judged in
//! runs where nothing but brokers is in trouble.

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

/// What was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Invariant {
    /// See [`never_stale`].
    NeverStale,
    /// See [`never_skip`].
    NeverSkip,
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
    /// Whether it is about what must happen at last, rather than about what must never happen.
    #[must_use]
    pub fn is_liveness(self) -> bool {
        match self {
            Self::Converges | Self::Exact | Self::StandsDown | Self::Isolated | Self::Sparing => {
                true
            }
            Self::NeverStale
            | Self::NeverSkip
            | Self::NeverTrample
            | Self::FencedMeansFenced
            | Self::Verified
            | Self::Truthful
            | Self::NoInventedOffset => false,
        }
    }
}

/// A broken invariant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub invariant: Invariant,
    /// When.
    pub time: Instant,
    /// Whose group and where, if it is about an offset.
    pub place: Option<(GroupId, Partition)>,
    /// What was expected, and what was found.
    pub detail: String,
}

impl Violation {
    /// Of this commit.
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
