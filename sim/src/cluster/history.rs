//! Everything that happened on a cluster, in order. The invariants are judged from it.

use std::collections::BTreeSet;
use std::rc::Rc;

use sprag_core::ids::{GroupId, TopicId};
use sprag_core::time::Instant;

use super::offsets::Change;
use crate::wire::{Committed, MemberId, Partition, Producer};

/// Something that happened, with its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// When it happened.
    pub at: Instant,
    /// The host of the client whose request caused it; empty if time caused it.
    pub from: Rc<str>,
    /// When that request was sent.
    pub sent: Instant,
    /// What happened.
    pub what: What,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A committed offset of a group changed, or was committed again unchanged.
    Offset {
        /// The group.
        group: GroupId,
        /// The change.
        change: Change,
        /// What caused it.
        by: Author,
        /// Whether the group had members at that time.
        active: bool,
    },
    /// A transaction wrote offsets of a group.
    Pending {
        /// The group.
        group: GroupId,
        /// The producer's id.
        producer: i64,
        /// Whether the group had members at that time.
        active: bool,
    },
    /// A record was appended.
    Appended {
        /// The topic's id.
        topic: TopicId,
        /// The partition.
        at: Partition,
        /// Its offset.
        offset: i64,
        /// Its key.
        key: Vec<u8>,
        /// Its value.
        value: Option<Vec<u8>>,
    },
    /// A transactional producer was initialised. All earlier producers with its id are fenced from here on.
    Fencing {
        /// The new producer.
        producer: Producer,
    },
    /// A request of a fenced producer was refused.
    Refused {
        /// The fenced producer.
        producer: Producer,
    },
    /// An OffsetFetch that requires stable offsets read the group.
    Looked {
        /// The group.
        group: GroupId,
        /// The partitions that were read; `None` for all that have offsets.
        at: Option<BTreeSet<Partition>>,
    },
    /// An OffsetFetch that does not require stable offsets read the group while some were pending.
    Peeked {
        /// The group.
        group: GroupId,
    },
    /// A transaction was committed, but a later commit was already stored, or the topic was deleted.
    Superseded {
        /// The group.
        group: GroupId,
        /// The partition.
        at: Partition,
        /// The offset that was superseded.
        commit: Committed,
    },
    /// A member joined.
    Joined {
        /// The group.
        group: GroupId,
        /// The member.
        member: MemberId,
    },
    /// A member left, or its session expired.
    Left {
        /// The group.
        group: GroupId,
        /// The member.
        member: MemberId,
    },
    /// A topic was created.
    Created {
        /// Its name, as partition 0 of it.
        at: Partition,
        /// Its id.
        topic: TopicId,
    },
    /// The oldest records of a partition were deleted.
    Trimmed {
        /// The partition.
        at: Partition,
        /// The new log start offset.
        start: i64,
    },
}

/// What changed an offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Author {
    /// A plain commit.
    Plain {
        /// The member; empty if the commit named none.
        member: MemberId,
    },
    /// A transactional commit.
    Transaction {
        /// The producer's id. Its epoch is in the `Fencing` facts.
        producer: i64,
    },
    /// The offset expired.
    Expiry,
    /// The offset, its group or its topic was deleted.
    Deletion,
}
