//! What has happened: the one input of the core. Facts in the past tense, with the answers to the
//! core's own requests named by their number.

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

/// Something that happened outside of the core.
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
    /// The coordination group asks for the shard back. It is answered with
    /// [`Action::ReleaseShard`](super::action::Action::ReleaseShard), once nothing is in flight.
    ShardRevoked {
        /// The shard.
        shard: Shard,
    },
    /// The shard was taken away without asking.
    ShardLost {
        /// The shard.
        shard: Shard,
    },
    /// Whether the shard is still assigned, by a commit with our generation.
    AssignmentChecked {
        /// The request answered.
        request: RequestId,
        /// `true` if the coordination group still knows us as its owner.
        outcome: Result<bool, Failure>,
    },

    /// The shard's fence partition was read to its end.
    FenceLogRead {
        /// The request answered.
        request: RequestId,
        /// What it says.
        outcome: Result<FenceLog, Failure>,
    },
    /// `init_transactions` came back.
    TransactionsInitialised {
        /// The request answered.
        request: RequestId,
        /// Success means that every earlier holder is fenced.
        outcome: Result<(), Failure>,
    },
    /// The take-over record was written, its transaction committed, and its offset reported.
    TakeOverWritten {
        /// The request answered.
        request: RequestId,
        /// The record's offset.
        outcome: Result<Fence, Failure>,
    },
    /// Other records of the fence partition were written.
    FenceRecordsWritten {
        /// The request answered.
        request: RequestId,
        /// Whether all of them stand.
        outcome: Result<(), Failure>,
    },

    /// Records of a mapping partition were read, in order.
    MappingsRead {
        /// The mapping topic they belong to.
        topic: TopicId,
        /// The partition.
        partition: MappingPartition,
        /// The records that were decoded, each with its offset.
        records: Vec<(MappingOffset, MappingRecord)>,
        /// The reader's position after them: all below it was delivered, or was nothing of ours.
        position: MappingOffset,
    },
    /// The reader failed on a partition.
    MappingReadFailed {
        /// The mapping topic.
        topic: TopicId,
        /// The partition.
        partition: MappingPartition,
        /// `true` where the position no longer exists and the log must be read from its start.
        out_of_range: bool,
        /// The failure.
        failure: Failure,
    },

    /// Something that was asked for was read, or could not be.
    Read(ReadDone),
    /// A step of a commit was carried out, or was not.
    Commit(CommitDone),
}

/// The answer to a [`Read`](super::action::Read).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ReadDone {
    /// The fence topic and the mapping topic were described.
    ControlTopics {
        /// The request answered.
        request: RequestId,
        /// What they are.
        outcome: Result<ControlTopics, Failure>,
    },
    /// The log end offsets of the mapping partitions were read.
    MappingEnds {
        /// The request answered.
        request: RequestId,
        /// The ends, and the topic that they belong to.
        outcome: Result<MappingEnds, Failure>,
    },
    /// The coordinators of a cluster's groups were read.
    Coordinators {
        /// The request answered.
        request: RequestId,
        /// Whose groups.
        side: Side,
        /// Who coordinates what.
        outcome: Result<Coordinators, Failure>,
    },
    /// The groups of the source were listed.
    SourceGroups {
        /// The request answered.
        request: RequestId,
        /// Their names.
        outcome: Result<SourceListing, Failure>,
    },
    /// The groups of the target were listed.
    TargetGroups {
        /// The request answered.
        request: RequestId,
        /// Their names and whether they have members.
        outcome: Result<TargetListing, Failure>,
    },
    /// A group's committed offsets on the source were read.
    SourceOffsets {
        /// The request answered.
        request: RequestId,
        /// All committed offsets of the group, and who said so.
        outcome: Result<SourceOffsets, Failure>,
    },
    /// A group's committed offsets on the target were read.
    TargetOffsets {
        /// The request answered.
        request: RequestId,
        /// Per partition: what is stored. Every partition that was named is here.
        outcome: Result<TargetOffsets, Failure>,
    },
    /// Topics and log ranges were read.
    Topics {
        /// The request answered.
        request: RequestId,
        /// What they are.
        outcome: Result<Topics, Failure>,
    },
}

/// The answer to a [`Commit`](super::action::Commit).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CommitDone {
    /// The first half of a fenced commit was written and is pending.
    HalfWritten {
        /// The request answered.
        request: RequestId,
        /// Whether it is pending.
        outcome: Result<(), Failure>,
    },
    /// The open transaction was ended, as ordered.
    Ended {
        /// The request answered.
        request: RequestId,
        /// What its end leaves behind, where it is known to have ended so.
        outcome: Result<Aftermath, Failure>,
    },
    /// A plain commit came back.
    Plain {
        /// The request answered.
        request: RequestId,
        /// Per partition.
        outcome: Result<BTreeMap<TargetPartition, Result<(), Failure>>, Failure>,
    },
}

/// What the end of a transaction leaves behind (`docs/protocol.md`, "Late requests").
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Aftermath {
    /// Every request that the shard's producer sent was answered.
    Settled,
    /// A request was sent and never answered. A broker may still carry it out, inside a later
    /// transaction of the same producer.
    LateRequest,
}

/// The log end offsets of the mapping partitions, under the reader's isolation level.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MappingEnds {
    /// The topic's id, the same before and after the ends were read.
    pub topic: TopicId,
    /// Per partition asked for.
    pub ends: BTreeMap<MappingPartition, Result<MappingOffset, Failure>>,
}

/// The groups of the source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct SourceListing {
    /// Groups whose protocol commits offsets.
    pub groups: Vec<GroupId>,
    /// Groups whose protocol commits none, each with its protocol type.
    pub without_offsets: BTreeMap<GroupId, String>,
    /// Why some broker did not contribute: then a group that is not listed may exist all the same.
    /// `None` where the list is complete.
    pub missing: Option<Failure>,
}

/// The groups of the target.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct TargetListing {
    /// Whether each has members.
    pub groups: BTreeMap<GroupId, GroupActivity>,
    /// As in [`SourceListing`].
    pub missing: Option<Failure>,
}

/// What a group has committed on the source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct SourceOffsets {
    /// All its committed offsets.
    pub commits: BTreeMap<SourcePartition, SourceCommit>,
    /// Who answered; `None` where the connection changed while the request was under way.
    pub answered_by: Option<Answerer>,
}

/// Who answered a source read. Two equal ones are the same connection to the same coordinator: the
/// second answer is never older than the first (`docs/protocol.md`, "Source reads").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Answerer {
    /// The client, which looks the coordinator up once.
    pub client: u64,
    /// The coordinator; `None` where it is not known which broker that is.
    pub coordinator: Option<BrokerId>,
    /// The connection to it: another number after each one that ended.
    pub connection: u64,
}

/// Whether a group has members on the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GroupActivity {
    /// No members.
    Empty,
    /// Members, or about to have some (also while it rebalances).
    Active,
    /// The broker did not say; its refusal decides.
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

/// A committed offset on the target, as it stands there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetCommit {
    /// The next offset to read.
    pub offset: TargetOffset,
    /// Its metadata: a stamp, or somebody else's.
    pub metadata: String,
}

/// What is stored for each partition of a group; `Ok(None)` is a successful read that found none.
pub type TargetOffsets = BTreeMap<TargetPartition, Result<Option<TargetCommit>, Failure>>;

/// The topics that Sprag itself lives from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ControlTopics {
    /// The fence topic, on the target.
    pub fence: Result<FenceTopic, Failure>,
    /// The mapping topic, where it is.
    pub mapping: Result<MappingTopic, Failure>,
}

/// The fence topic as the broker describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FenceTopic {
    /// Its id.
    pub id: TopicId,
    /// Its partition count: the number of shards.
    pub shards: ShardCount,
}

/// The mapping topic as the broker describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MappingTopic {
    /// Its id.
    pub id: TopicId,
    /// Its partition count.
    pub partitions: i32,
}

/// What was read of topics on both clusters. Everything asked for is here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Topics {
    /// Source topics.
    pub source: BTreeMap<TopicName, Result<TopicId, Failure>>,
    /// Target topics.
    pub target: BTreeMap<TopicName, Result<TopicId, Failure>>,
    /// Log ranges of target partitions.
    pub ranges: BTreeMap<TargetPartition, Result<LogRange, Failure>>,
    /// Log end offsets of source partitions.
    pub source_ends: BTreeMap<SourcePartition, Result<SourceOffset, Failure>>,
}

/// The offsets that a target partition holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LogRange {
    /// The log start offset.
    pub start: TargetOffset,
    /// The log end offset (high watermark).
    pub end: TargetOffset,
}
