//! The life of a shard at this instance (`docs/protocol.md`, "The life of a shard"). A shard that
//! is not here is *Unowned*.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};

use super::fence_log::IncarnationFloor;
use super::ids::{Fence, GroupId, MappingOffset, MappingPartition, TopicName};
use super::time::Instant;

/// A shard assigned to this instance.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ShardState {
    pub(crate) life: Life,
    /// When it was last taken over: what its groups have committed on the source is read from
    /// coordinators that were looked up after this.
    pub(crate) fenced_at: Instant,
    /// The highest stored fence above ours for which it was taken over anew.
    pub(crate) regressed: Option<Fence>,
    /// Other mappings came while a take-over was under way: it begins again once that is answered.
    pub(crate) begins_again: bool,
    /// The coordination group wants it back.
    pub(crate) revoked: bool,
    /// Attempts to take it over that failed in a row.
    pub(crate) failures: u32,
    /// Who uses the shard's producer.
    pub(crate) lane: Lane,
    /// Groups that wait for it, in order.
    pub(crate) queue: VecDeque<GroupId>,
    /// The incarnations that its fence log keeps, from when that is read until the shard is active.
    pub(crate) kept: BTreeMap<(TopicName, TopicName), IncarnationFloor>,
    /// Records that are to be written to the fence partition.
    pub(crate) records: Records,
    /// How many of them the next transaction holds at the most.
    pub(crate) records_most: usize,
    /// The producer's last use was for one of them.
    pub(crate) record_was_last: bool,
    /// When the next of them may be written.
    pub(crate) records_due: Instant,
    /// How often one failed in a row.
    pub(crate) record_failures: u32,
}

/// Where a shard is in its life.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Life {
    /// *Fencing*: being taken over.
    Fencing(Step),
    /// *CatchingUp*: the mappings are being read to the ends that stood after the fence.
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
    /// After having been fenced: is the shard still ours?
    CheckingAssignment,
    /// The fence partition is read, so that a misconfigured instance fences nobody.
    ReadingLog,
    /// Nobody ever took the shard over, so the first shard's fence partition is read too: the fence topic
    /// may have been given this shard's while others run with fewer.
    ReadingFirstLog,
    /// Every earlier holder is being fenced.
    Initialising,
    /// The fence partition is read once more: nobody can write to it any more but us.
    RereadingLog,
    /// The take-over record is being written.
    TakingOver,
}

/// The ends that a shard must catch up with.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Ends {
    /// They are to be read at this time.
    Due(Instant),
    /// They are being read.
    Asked,
    /// They were read, all of them, after the fence.
    Known {
        /// Where each partition ended: the lowest answer, because a log may lose what it had.
        ends: BTreeMap<MappingPartition, MappingOffset>,
        /// When they are read again if they are not reached; `None` while they are.
        again: Option<Instant>,
    },
}

/// Who uses the shard's producer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Lane {
    /// Nobody.
    Free,
    /// A group has its transaction open.
    Group(GroupId),
    /// Records of the fence partition are being written.
    Records(Records),
}

/// Records of a fence partition other than the take-over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Records {
    /// The keep-alive.
    pub(crate) keep_alive: bool,
    /// The incarnations of these pairs of topics. What a record says is decided when it is written, so
    /// that what changed twice is written once.
    pub(crate) incarnations: BTreeSet<(TopicName, TopicName)>,
}

impl Records {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        usize::from(self.keep_alive) + self.incarnations.len()
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds those that could not be written.
    pub(crate) fn put_back(&mut self, mut unwritten: Self) {
        self.keep_alive |= unwritten.keep_alive;
        self.incarnations.append(&mut unwritten.incarnations);
    }
}

/// How many records one transaction writes at the most.
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

    /// A first look found `stored` above our fence: whether another instance may have taken the shard
    /// over since ours was written, so that it is to be taken over anew. If that did not help
    /// the last time, the fence log lost records.
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
