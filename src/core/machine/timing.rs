//! Deadlines, back-offs and the orderly stop.

use alloc::vec::Vec;
use core::time::Duration;

use super::super::action::{Action, StopReason};
use super::super::failure::{Failure, FailureClass};
use super::super::planted::{Bug, has};
use super::super::shard::{Ends, Lane, Life, Step};
use super::super::time::Instant;
use super::Core;

/// How long an orderly stop waits for what is in flight.
const STOP_PATIENCE: Duration = Duration::from_secs(15);
const BACK_OFF_FIRST: Duration = Duration::from_millis(500);

/// What a back-off waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BackOff {
    /// A broker or a connection, which may come back at any time. What waits for it is served within seconds
    /// of its return.
    Connection,
    /// A person who has to change rights, limits or the group.
    Person,
}

impl BackOff {
    /// What a retry after this failure waits for.
    pub(super) fn after(failure: &Failure) -> Self {
        match failure.class {
            FailureClass::Retry
            | FailureClass::Fenced
            | FailureClass::Abort
            | FailureClass::OutcomeUnknown
            | FailureClass::LateRequest
            | FailureClass::MetadataTooLarge
            | FailureClass::CommitTooLarge
            | FailureClass::Unstable => Self::Connection,
            FailureClass::GroupActive
            | FailureClass::HoldGroup
            | FailureClass::Missing
            | FailureClass::Stop => Self::Person,
        }
    }

    fn longest(self) -> Duration {
        match self {
            Self::Connection => Duration::from_secs(5),
            Self::Person => Duration::from_secs(60),
        }
    }
}
/// The deadline when nothing is due. It only bounds the driver's wait: nothing happens when it passes.
const REST: Duration = Duration::from_secs(3600);

/// Why a deadline exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Why {
    /// An action is queued.
    ActionQueued,
    /// The fence topic and the mapping topic must be described again.
    ControlTopics,
    /// Groups must be listed again.
    Listings,
    /// The groups' coordinators must be read again.
    Coordinators,
    /// A shard's back-off ends.
    FencingBackOff,
    /// The ends of the mapping partitions must be read.
    MappingEnds,
    /// A group's next round is due.
    GroupRound,
    /// A keep-alive record is due.
    KeepAlive,
    /// Records must be written to a fence partition.
    FenceRecord,
    /// An orderly stop has waited long enough.
    StopPatience,
    /// Nothing is due.
    Nothing,
}

impl Core {
    /// Until when nothing happens without another event, and the reason for that deadline.
    #[must_use]
    pub fn poll_timeout(&self) -> (Instant, Why) {
        if !self.actions.is_empty() {
            return (self.now, Why::ActionQueued);
        }
        let shards = self.shards.values().filter_map(|state| match &state.life {
            Life::Fencing(Step::BackingOff { until, .. }) => Some((*until, Why::FencingBackOff)),
            Life::CatchingUp { ends: Ends::Due(due), .. } if self.index.topic().is_some() => {
                Some((*due, Why::MappingEnds))
            }
            Life::CatchingUp { ends: Ends::Known { again: Some(again), .. }, .. } => {
                Some((*again, Why::MappingEnds))
            }
            Life::Active { keep_alive_due, .. } if state.lane == Lane::Free && !state.revoked => {
                let keep_alive = (*keep_alive_due, Why::KeepAlive);
                match state.records.is_empty() {
                    true => Some(keep_alive),
                    false => Some(keep_alive.min((state.records_due, Why::FenceRecord))),
                }
            }
            Life::Active { .. }
            | Life::CatchingUp { .. }
            | Life::Loading { .. }
            | Life::Fencing(_) => None,
        });
        let round = self.next_round_due();
        let others = [
            self.control_due().map(|due| (due, Why::ControlTopics)),
            self.listings_due().map(|due| (due, Why::Listings)),
            self.coordination_due().map(|due| (due, Why::Coordinators)),
            round.map(|due| (due, Why::GroupRound)),
            self.stopping.map(|until| (until, Why::StopPatience)),
        ];
        if self.stopping.is_some() {
            let until = self.stopping.unwrap_or(self.now);
            return (until.max(self.now), Why::StopPatience);
        }
        let (due, why) = shards
            .chain(others.into_iter().flatten())
            .min()
            .unwrap_or((self.now + REST, Why::Nothing));
        (due.max(self.now), why)
    }

    /// Exponential back-off. Jitter takes off up to half of it, so that instances do not retry in step.
    pub(super) fn back_off(&mut self, failures: u32, of: BackOff) -> Duration {
        if has(Bug::NoBackOff) {
            return Duration::from_millis(1);
        }
        let factor = 1u32.checked_shl(failures.saturating_sub(1).min(16)).unwrap_or(u32::MAX);
        let longest = BACK_OFF_FIRST.saturating_mul(factor).min(of.longest());
        let millis = u64::try_from(longest.as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis(millis - self.next_jitter() % (millis / 2).max(1))
    }

    pub(super) fn stop_requested(&mut self) {
        if self.stopping.is_none() {
            self.stopping = Some(self.now + STOP_PATIENCE);
        }
    }

    /// Gives back each shard once nothing of it is in flight, and all of them when the stop has waited long
    /// enough.
    pub(super) fn advance_stop(&mut self) {
        let Some(until) = self.stopping else {
            return;
        };
        let patient = self.now < until;
        let shards: Vec<_> = self.shards.keys().copied().collect();
        for shard in shards {
            if !patient || !self.in_flight(shard) {
                self.leave(shard);
            }
        }
        if self.shards.is_empty() {
            self.stopped = true;
            self.act(Action::Stop { reason: StopReason::Asked });
        }
    }

    /// SplitMix64: the seed determines the sequence, so that equal histories give equal states.
    fn next_jitter(&mut self) -> u64 {
        self.jitter = self.jitter.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.jitter;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
