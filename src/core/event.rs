//! Events, the only input of the core: facts in the past tense. An event that answers a request of the
//! core carries the request's number.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use super::coordinators::{Coordinators, Side};
use super::failure::Failure;
use super::fence_log::FenceLog;
use super::ids::{
    BrokerId, Fence, GroupId, MappingOffset, MappingPartition, Shard, ShardCount, SourceOffset,
    SourcePartition, TargetOffset, TargetPartition, TopicId, TopicName,
};
use super::mapping::MappingRecord;
use super::request::RequestId;

/// Something that happened outside the core.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// Time passed; nothing else happened.
    TimePassed,
    /// The process was asked to stop.
    StopRequested,

    /// The coordination group assigned this shard to this instance.
    ShardAssigned {
        /// The shard.
        shard: Shard,
    },
    /// The coordination group asks for the shard back. The core answers with
    /// [`Action::ReleaseShard`](super::action::Action::ReleaseShard) once nothing is in flight.
    ShardRevoked {
        /// The shard.
        shard: Shard,
    },
    /// The shard was lost: the coordination group took it away without asking for it back.
    ShardLost {
        /// The shard.
        shard: Shard,
    },
    /// A commit with our generation showed whether the shard is still assigned to us.
    AssignmentChecked {
        /// The request that this answers.
        request: RequestId,
        /// `true` if the coordination group still has this instance as the shard's owner.
        outcome: Result<bool, Failure>,
    },

    /// The shard's fence partition was read to its end.
    FenceLogRead {
        /// The request that this answers.
        request: RequestId,
        /// Its newest records.
        outcome: Result<FenceLog, Failure>,
    },
    /// `init_transactions` returned.
    TransactionsInitialised {
        /// The request that this answers.
        request: RequestId,
        /// On success, all earlier producers of the shard are fenced.
        outcome: Result<(), Failure>,
    },
    /// The take-over record was written, its transaction was committed, and the broker reported its
    /// offset.
    TakeOverWritten {
        /// The request that this answers.
        request: RequestId,
        /// The record's offset: the new fence.
        outcome: Result<Fence, Failure>,
    },
    /// Other records were written to the fence partition.
    FenceRecordsWritten {
        /// The request that this answers.
        request: RequestId,
        /// Success only if all of them are written.
        outcome: Result<(), Failure>,
    },

    /// Records of a mapping partition were read, in order.
    MappingsRead {
        /// The mapping topic that they belong to.
        topic: TopicId,
        /// The partition.
        partition: MappingPartition,
        /// The decoded records, each with its offset.
        records: Vec<(MappingOffset, MappingRecord)>,
        /// The reader's position after them. Every record below it was delivered, or is no mapping.
        position: MappingOffset,
    },
    /// Reading a mapping partition failed.
    MappingReadFailed {
        /// The mapping topic.
        topic: TopicId,
        /// The partition.
        partition: MappingPartition,
        /// `true` if the reader's position is out of range, and the log must be read from its start.
        out_of_range: bool,
        /// The failure.
        failure: Failure,
    },

    /// A requested read succeeded or failed.
    Read(ReadDone),
    /// A step of a commit succeeded or failed.
    Commit(CommitDone),
}

/// The answer to a [`Read`](super::action::Read).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ReadDone {
    /// The fence topic and the mapping topic were described.
    ControlTopics {
        /// The request that this answers.
        request: RequestId,
        /// Their descriptions.
        outcome: Result<ControlTopics, Failure>,
    },
    /// The log end offsets of the mapping partitions were read.
    MappingEnds {
        /// The request that this answers.
        request: RequestId,
        /// The log end offsets, with the id of the topic that they belong to.
        outcome: Result<MappingEnds, Failure>,
    },
    /// The coordinators of a cluster's groups were read.
    Coordinators {
        /// The request that this answers.
        request: RequestId,
        /// The cluster.
        side: Side,
        /// The coordinators.
        outcome: Result<Coordinators, Failure>,
    },
    /// The groups of the source were listed.
    SourceGroups {
        /// The request that this answers.
        request: RequestId,
        /// The list.
        outcome: Result<SourceListing, Failure>,
    },
    /// The groups of the target were listed.
    TargetGroups {
        /// The request that this answers.
        request: RequestId,
        /// The list, which says whether each group has members.
        outcome: Result<TargetListing, Failure>,
    },
    /// A group's committed offsets on the source were read.
    SourceOffsets {
        /// The request that this answers.
        request: RequestId,
        /// All committed offsets of the group, and where the answer came from.
        outcome: Result<SourceOffsets, Failure>,
    },
    /// A group's committed offsets on the target were read.
    TargetOffsets {
        /// The request that this answers.
        request: RequestId,
        /// The stored offset or a failure for each partition. Every requested partition is present.
        outcome: Result<TargetOffsets, Failure>,
    },
    /// Topics and log ranges were read.
    Topics {
        /// The request that this answers.
        request: RequestId,
        /// The answers per topic and partition.
        outcome: Result<Topics, Failure>,
    },
}

/// The answer to a [`Commit`](super::action::Commit).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CommitDone {
    /// The first half of a fenced commit was written.
    HalfWritten {
        /// The request that this answers.
        request: RequestId,
        /// On success, the offsets are pending.
        outcome: Result<(), Failure>,
    },
    /// The open transaction was ended.
    Ended {
        /// The request that this answers.
        request: RequestId,
        /// Success only if the transaction is known to have ended as ordered, with what that leaves
        /// behind.
        outcome: Result<Aftermath, Failure>,
    },
    /// A plain commit returned.
    Plain {
        /// The request that this answers.
        request: RequestId,
        /// The outcome per partition.
        outcome: Result<BTreeMap<TargetPartition, Result<(), Failure>>, Failure>,
    },
}

/// What the end of a transaction leaves behind (`docs/protocol.md`, "Late requests").
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Aftermath {
    /// Every request that the shard's producer sent was answered.
    Settled,
    /// A request was sent and never answered. A broker may still carry it out, in a later transaction
    /// of the same producer.
    LateRequest,
}

/// The log end offsets of the mapping partitions, at the mapping reader's isolation level.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MappingEnds {
    /// The topic's id, which was the same before and after the ends were read.
    pub topic: TopicId,
    /// The log end offset or a failure for each requested partition.
    pub ends: BTreeMap<MappingPartition, Result<MappingOffset, Failure>>,
}

/// The groups of the source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct SourceListing {
    /// Groups whose protocol commits offsets.
    pub groups: Vec<GroupId>,
    /// Groups whose protocol commits no offsets, each with its protocol type.
    pub without_offsets: BTreeMap<GroupId, String>,
    /// Why a broker did not contribute to the list, so that groups may be missing from it. `None` if
    /// the list is complete.
    pub missing: Option<Failure>,
}

/// The groups of the target.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct TargetListing {
    /// The groups, and whether each has members.
    pub groups: BTreeMap<GroupId, GroupActivity>,
    /// As in [`SourceListing`].
    pub missing: Option<Failure>,
}

/// What a group has committed on the source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct SourceOffsets {
    /// The committed offset of each partition that has one.
    pub commits: BTreeMap<SourcePartition, SourceCommit>,
    /// Where the answer came from; `None` if the connection changed while the request was under way.
    pub answered_by: Option<Answerer>,
}

/// Where the answer to a source read came from. Equal answerers are the same connection to the same
/// coordinator, whose later answer is never older than an earlier one (`docs/protocol.md`,
/// "Source reads").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Answerer {
    /// The client, which looks the coordinator up once.
    pub client: u64,
    /// The coordinator; `None` if it is not known which broker that is.
    pub coordinator: Option<BrokerId>,
    /// The connection to the coordinator. Its number changes whenever a connection ends.
    pub connection: u64,
}

/// Whether a group has members on the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GroupActivity {
    /// No members.
    Empty,
    /// The group has members, or is rebalancing and about to have some.
    Active,
    /// The broker did not say. Its member check decides when we commit.
    Unknown,
}

/// A committed offset on the source.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SourceCommit {
    /// The next offset to read.
    pub offset: SourceOffset,
    /// The consumer's own metadata.
    pub metadata: String,
}

/// A committed offset on the target.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetCommit {
    /// The next offset to read.
    pub offset: TargetOffset,
    /// The commit's metadata: a stamp, or another client's text.
    pub metadata: String,
}

/// The stored offset of each partition of a group. `Ok(None)` is a successful read that found none.
pub type TargetOffsets = BTreeMap<TargetPartition, Result<Option<TargetCommit>, Failure>>;

/// The topics that Sprag itself depends on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ControlTopics {
    /// The fence topic, on the target.
    pub fence: Result<FenceTopic, Failure>,
    /// The mapping topic, on the cluster where the configuration says it is.
    pub mapping: Result<MappingTopic, Failure>,
}

/// The fence topic as the broker describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FenceTopic {
    /// The topic's id.
    pub id: TopicId,
    /// The topic's partition count, which is the number of shards.
    pub shards: ShardCount,
}

/// The mapping topic as the broker describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MappingTopic {
    /// The topic's id.
    pub id: TopicId,
    /// The topic's partition count.
    pub partitions: i32,
}

/// Topic ids and log ranges on both clusters. Every requested topic and partition is present.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Topics {
    /// Ids of source topics.
    pub source: BTreeMap<TopicName, Result<TopicId, Failure>>,
    /// Ids of target topics.
    pub target: BTreeMap<TopicName, Result<TopicId, Failure>>,
    /// Log ranges of target partitions.
    pub ranges: BTreeMap<TargetPartition, Result<LogRange, Failure>>,
    /// Log end offsets of source partitions.
    pub source_ends: BTreeMap<SourcePartition, Result<SourceOffset, Failure>>,
}

/// The range of offsets that a target partition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LogRange {
    /// The log start offset.
    pub start: TargetOffset,
    /// The log end offset (high watermark).
    pub end: TargetOffset,
}
