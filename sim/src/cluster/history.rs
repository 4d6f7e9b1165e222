//! What really happened on a cluster, in order: what invariants judge from.

use std::collections::BTreeSet;
use std::rc::Rc;

use sprag_core::ids::{GroupId, TopicId};
use sprag_core::time::Instant;

use super::offsets::Change;
use crate::wire::{Committed, MemberId, Partition, Producer};

/// Something that happened, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// When.
    pub at: Instant,
    /// The host of the client whose request it follows from; empty where time did it.
    pub from: Rc<str>,
    /// When that request was sent.
    pub sent: Instant,
    /// What.
    pub what: What,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A committed offset of a group changed, or was committed once more as it was.
    Offset {
        /// The group.
        group: GroupId,
        /// From what to what.
        change: Change,
        /// By whom.
        by: Author,
        /// Whether the group had members then.
        active: bool,
    },
    /// Offsets of a group became pending in a transaction.
    Pending {
        /// The group.
        group: GroupId,
        /// The producer's id.
        producer: i64,
        /// Whether the group had members then.
        active: bool,
    },
    /// A record was appended.
    Appended {
        /// The topic's id.
        topic: TopicId,
        /// Where.
        at: Partition,
        /// Its offset.
        offset: i64,
        /// Its value.
        value: Option<Vec<u8>>,
    },
    /// A transactional producer was made; every earlier one of its id is fenced from here on.
    Fencing {
        /// The new producer.
        producer: Producer,
    },
    /// A request of a fenced producer was refused.
    Refused {
        /// The fenced producer.
        producer: Producer,
    },
    /// A group's offsets were read, stable.
    Looked {
        /// The group.
        group: GroupId,
        /// Of which partitions; `None` for all that have some.
        at: Option<BTreeSet<Partition>>,
    },
    /// A group's offsets were read, not stable, while some of them were pending.
    Peeked {
        /// The group.
        group: GroupId,
    },
    /// A transaction was committed, and a later commit stood there already, or the topic was deleted.
    Superseded {
        /// The group.
        group: GroupId,
        /// Where.
        at: Partition,
        /// What was committed.
        commit: Committed,
    },
    /// A member came.
    Joined {
        /// The group.
        group: GroupId,
        /// The member.
        member: MemberId,
    },
    /// A member went, or its session ran out.
    Left {
        /// The group.
        group: GroupId,
        /// The member.
        member: MemberId,
    },
    /// A topic was created.
    Created {
        /// Its name, as partition 0.
        at: Partition,
        /// Its id.
        topic: TopicId,
    },
    /// The oldest records of a partition were deleted.
    Trimmed {
        /// Where.
        at: Partition,
        /// The new log start offset.
        start: i64,
    },
}

/// Who changed an offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Author {
    /// A plain commit.
    Plain {
        /// The member; empty for none.
        member: MemberId,
    },
    /// A commit in a transaction.
    Transaction {
        /// The producer's id; its epoch is in the fencing facts.
        producer: i64,
    },
    /// It expired.
    Expiry,
    /// It, its group or its topic was deleted.
    Deletion,
}
