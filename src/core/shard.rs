//! The life of a shard at this instance (`docs/protocol.md`, "The life of a shard"). A shard without a
//! state is *Unowned*.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};

use super::fence_log::IncarnationFloor;
use super::ids::{Fence, GroupId, MappingOffset, MappingPartition, TopicName};
use super::time::Instant;

/// A shard assigned to this instance.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ShardState {
    pub(crate) life: Life,
    /// The time at which it was last taken over. Its groups' source offsets are first read from coordinators
    /// that were looked up after this.
    pub(crate) fenced_at: Instant,
    /// The stored fence above ours for which it was last taken over again.
    pub(crate) regressed: Option<Fence>,
    /// The mappings were restarted during a take-over, which begins again once its request is answered.
    pub(crate) begins_again: bool,
    /// The coordination group wants it back.
    pub(crate) revoked: bool,
    /// The number of failed attempts in a row to take it over.
    pub(crate) failures: u32,
    /// The current user of the shard's producer.
    pub(crate) lane: Lane,
    /// Groups that wait for the producer, in order.
    pub(crate) queue: VecDeque<GroupId>,
    /// The incarnations in its fence log, from the time when the log is read until the shard is active.
    pub(crate) kept: BTreeMap<(TopicName, TopicName), IncarnationFloor>,
    /// Records to be written to the fence partition.
    pub(crate) records: Records,
    /// The most records that the next transaction holds.
    pub(crate) records_most: usize,
    /// The producer was last used for records, not for a group.
    pub(crate) record_was_last: bool,
    /// The time from which the next records may be written.
    pub(crate) records_due: Instant,
    /// The number of failed attempts in a row to write records.
    pub(crate) record_failures: u32,
}

/// The phase of a shard's life.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Life {
    /// *Fencing*: being taken over.
    Fencing(Step),
    /// *CatchingUp*: the mappings are being read up to the log ends that were read after the fence.
    CatchingUp { fence: Fence, ends: Ends },
    /// *Loading*: the groups of both clusters are being listed.
    Loading { fence: Fence, source_listed: bool, target_listed: bool },
    /// *Active*: decisions may be made.
    Active { fence: Fence, keep_alive_due: Instant },
}

/// The steps of *Fencing*, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    /// After a failure.
    BackingOff { until: Instant, check: bool },
    /// Asking whether the shard is still ours, after its producer was destroyed.
    CheckingAssignment,
    /// The fence partition is being read before anything is fenced, so that a misconfigured instance fences
    /// nobody.
    ReadingLog,
    /// No instance ever took the shard over, so the first shard's fence partition is being read too. This
    /// shard's partition may have been added to the fence topic while other instances run with fewer shards.
    ReadingFirstLog,
    /// All earlier producers are being fenced.
    Initialising,
    /// The fence partition is being read again. By now, only this instance can write to it.
    RereadingLog,
    /// The take-over record is being written.
    TakingOver,
}

/// The log ends of the mapping partitions that a shard must catch up with.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Ends {
    /// They are due to be read at this time.
    Due(Instant),
    /// They were requested.
    Asked,
    /// All of them were read after the fence.
    Known {
        /// The log end offset of each partition: the lowest answer, because a log may be truncated.
        ends: BTreeMap<MappingPartition, MappingOffset>,
        /// When they are read again if they are not reached; `None` while that read is under way.
        again: Option<Instant>,
    },
}

/// The user of the shard's producer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Lane {
    /// The producer is free.
    Free,
    /// A transaction with this group's offsets is open.
    Group(GroupId),
    /// Records of the fence partition are being written.
    Records(Records),
}

/// Records of a fence partition other than the take-over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Records {
    /// The keep-alive.
    pub(crate) keep_alive: bool,
    /// The incarnations of these pairs of topics. A record's contents are determined when it is written, so
    /// that two changes need only one record.
    pub(crate) incarnations: BTreeSet<(TopicName, TopicName)>,
}

impl Records {
    /// The number of records.
    pub(crate) fn len(&self) -> usize {
        usize::from(self.keep_alive) + self.incarnations.len()
    }

    /// Whether there are no records.
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds records that could not be written.
    pub(crate) fn put_back(&mut self, mut unwritten: Self) {
        self.keep_alive |= unwritten.keep_alive;
        self.incarnations.append(&mut unwritten.incarnations);
    }
}

/// The most records that one transaction writes.
pub(crate) const MOST_RECORDS: usize = 500;

impl ShardState {
    pub(crate) fn new(step: Step) -> Self {
        Self {
            life: Life::Fencing(step),
            fenced_at: Instant::default(),
            regressed: None,
            begins_again: false,
            revoked: false,
            failures: 0,
            lane: Lane::Free,
            queue: VecDeque::new(),
            kept: BTreeMap::new(),
            records: Records::default(),
            records_most: MOST_RECORDS,
            record_was_last: false,
            records_due: Instant::default(),
            record_failures: 0,
        }
    }

    /// The first look at a group found the fence `stored` above ours. Returns whether another instance may
    /// have taken the shard over, so that we must take it over again. Returns false if we did so before and
    /// the new fence is not above the one found then: the fence log lost records.
    pub(crate) fn is_overtaken(&mut self, stored: Fence) -> bool {
        let overtaken = self.active_fence() > self.regressed;
        if overtaken {
            self.regressed = Some(stored);
        }
        overtaken
    }

    /// The fence, while the shard is active.
    pub(crate) fn active_fence(&self) -> Option<Fence> {
        match &self.life {
            Life::Active { fence, .. } => Some(*fence),
            Life::Fencing(_) | Life::CatchingUp { .. } | Life::Loading { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_fence_that_is_not_above_the_stored_one_shows_that_records_were_lost() {
        for (new, overtaken) in [(8, false), (9, false), (10, true)] {
            let mut state = ShardState::new(Step::ReadingLog);
            let activate = |state: &mut ShardState, fence| {
                let keep_alive_due = Instant::default();
                state.life = Life::Active { fence: Fence(fence), keep_alive_due };
            };
            activate(&mut state, 5);
            assert!(state.is_overtaken(Fence(9)), "nothing is known yet");
            activate(&mut state, new);
            assert_eq!(state.is_overtaken(Fence(11)), overtaken, "fence {new}");
        }
    }
}
