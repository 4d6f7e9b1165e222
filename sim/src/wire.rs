//! What clients ask a simulated cluster and what it answers: the Kafka requests that Sprag, its replicators
//! and its consumers need. Names are those of the Kafka protocol.

#![allow(missing_docs, reason = "the fields are the protocol's own")]

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use sprag_core::ids::{BrokerId, GroupId, SourcePartition, TargetPartition, TopicId, TopicName};
use sprag_core::time::Instant;

/// A topic-partition of the cluster that receives the request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition {
    /// The topic's name.
    pub topic: TopicName,
    /// Its partition number.
    pub partition: i32,
}

impl From<&SourcePartition> for Partition {
    fn from(at: &SourcePartition) -> Self {
        Self { topic: at.topic.clone(), partition: at.partition }
    }
}

impl From<&TargetPartition> for Partition {
    fn from(at: &TargetPartition) -> Self {
        Self { topic: at.topic.clone(), partition: at.partition }
    }
}

/// The generation of a commit without membership.
pub const NO_GENERATION: i32 = -1;

/// A request in transit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// The host of the client.
    pub from: Rc<str>,
    /// When the client looked up its coordinators. It does not know of later moves.
    pub coordinators_as_of: Instant,
    /// The look-up was made for a read that must prove something.
    pub looked_up_for_proof: bool,
    /// When it was sent.
    pub sent: Instant,
    /// What it asks.
    pub request: Request,
}

/// The member id in a group; empty for a commit without membership.
pub type MemberId = String;

/// A client's request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// CreateTopics.
    CreateTopic { topic: TopicName, partitions: i32 },
    /// DeleteTopics.
    DeleteTopic { topic: TopicName },
    /// DeleteRecords: the log start offset becomes `before`.
    DeleteRecords { at: Partition, before: i64 },
    /// Metadata, DescribeTopics.
    DescribeTopics { topics: BTreeSet<TopicName> },
    /// ListOffsets, earliest and latest.
    ListOffsets { at: BTreeSet<Partition>, isolation: Isolation },

    /// Produce. With a producer, the records join its open transaction.
    Produce { at: Partition, records: Vec<NewRecord>, producer: Option<Producer> },
    /// Fetch of at most `most` records, starting at `offset`.
    Fetch { at: Partition, offset: i64, isolation: Isolation, most: usize },

    /// InitProducerId with a transactional.id.
    InitProducer { transactional_id: String, timeout_millis: u64 },
    /// TxnOffsetCommit (with AddOffsetsToTxn before it).
    TxnOffsetCommit {
        producer: Producer,
        group: GroupId,
        member: MemberId,
        generation: i32,
        offsets: BTreeMap<Partition, Committed>,
    },
    /// EndTxn.
    EndTxn { producer: Producer, commit: bool },

    /// ListGroups with states.
    ListGroups,
    /// DescribeTopics of `__consumer_offsets`: the leaders of its partitions.
    DescribeCoordinators,
    /// DescribeGroups: the number of members.
    DescribeGroup { group: GroupId },
    /// OffsetFetch; `at` is `None` for all partitions.
    OffsetFetch { group: GroupId, at: Option<BTreeSet<Partition>>, stable: bool },
    /// OffsetCommit.
    OffsetCommit {
        group: GroupId,
        member: MemberId,
        generation: i32,
        offsets: BTreeMap<Partition, Committed>,
    },
    /// DeleteGroups.
    DeleteGroup { group: GroupId },
    /// OffsetDelete.
    OffsetDelete { group: GroupId, at: BTreeSet<Partition> },

    /// JoinGroup and SyncGroup (classic), or the first ConsumerGroupHeartbeat (KIP-848), until the
    /// member is stable.
    Join {
        group: GroupId,
        member: MemberId,
        protocol: Protocol,
        topic: TopicName,
        session_millis: u64,
    },
    /// Heartbeat; `acknowledged` is the set of partitions that the member owns now.
    Heartbeat {
        group: GroupId,
        member: MemberId,
        generation: i32,
        acknowledged: BTreeSet<Partition>,
    },
    /// LeaveGroup.
    Leave { group: GroupId, member: MemberId },
}

/// Which records a reader sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// All records up to the high watermark.
    ReadUncommitted,
    /// Records up to the last stable offset, without aborted ones.
    ReadCommitted,
}

/// The group protocol of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// JoinGroup and SyncGroup.
    Classic,
    /// ConsumerGroupHeartbeat (KIP-848).
    Consumer,
}

/// A transactional producer, with the ids that its coordinator assigned.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Producer {
    /// Its transactional.id.
    pub transactional_id: String,
    /// Its producer id.
    pub id: i64,
    /// Its epoch.
    pub epoch: i16,
}

/// A record to append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRecord {
    /// Its key, for compaction.
    pub key: Vec<u8>,
    /// Its value; `None` is a tombstone.
    pub value: Option<Vec<u8>>,
}

/// A record that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadRecord {
    /// Its offset.
    pub offset: i64,
    /// Its key.
    pub key: Vec<u8>,
    /// Its value.
    pub value: Option<Vec<u8>>,
}

/// An offset with its metadata.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Committed {
    /// The next offset to read.
    pub offset: i64,
    /// Its metadata.
    pub metadata: String,
}

/// An answer of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Response {
    /// Success without further content.
    Done,
    /// The whole request failed.
    Failed(Error),
    /// To `CreateTopic`.
    Created(TopicId),
    /// To `DescribeTopics`: id and partition count.
    Topics(BTreeMap<TopicName, Result<(TopicId, i32), Error>>),
    /// To `ListOffsets`: log start offset, and high watermark or last stable offset.
    Offsets(BTreeMap<Partition, Result<(i64, i64), Error>>),
    /// To `Produce`: the offset of the first record.
    Produced(i64),
    /// To `Fetch`: the visible records and the position after them, past any markers and aborted records.
    /// The reader has reached the end when `position` equals `end`.
    Fetched { records: Vec<ReadRecord>, position: i64, end: i64 },
    /// To `InitProducer`.
    Initialised(Producer),
    /// To commits and deletions of offsets, for each partition.
    Committed(BTreeMap<Partition, Result<(), Error>>),
    /// To `ListGroups`.
    Groups(BTreeMap<GroupId, GroupState>),
    /// To `ListGroups`, when some broker did not contribute.
    SomeGroups(BTreeMap<GroupId, GroupState>),
    /// To `DescribeCoordinators`.
    Coordinators(Vec<BrokerId>),
    /// To `DescribeGroup`.
    Described { members: usize },
    /// To `OffsetFetch`; `Ok(None)` if nothing is committed.
    Fetches(BTreeMap<Partition, Result<Option<Committed>, Error>>),
    /// To `Join` and `Heartbeat`: the generation or member epoch, and the member's partitions. The member
    /// must give up the partitions that it owned and that are missing here; its next heartbeat acknowledges
    /// that.
    Member { generation: i32, assigned: BTreeSet<Partition> },
}

/// The state of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GroupState {
    /// No members.
    Empty,
    /// Has members, or is about to.
    Active,
}

/// Kafka's error codes, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Error {
    /// 1.
    OffsetOutOfRange,
    /// 3.
    UnknownTopicOrPartition,
    /// 7.
    RequestTimedOut,
    /// 12.
    OffsetMetadataTooLarge,
    /// 14.
    CoordinatorLoadInProgress,
    /// 16.
    NotCoordinator,
    /// 22.
    IllegalGeneration,
    /// 25.
    UnknownMemberId,
    /// 27.
    RebalanceInProgress,
    /// 36.
    TopicAlreadyExists,
    /// 47.
    InvalidProducerEpoch,
    /// 48.
    InvalidTxnState,
    /// 49.
    InvalidProducerIdMapping,
    /// 51.
    ConcurrentTransactions,
    /// 68.
    NonEmptyGroup,
    /// 69.
    GroupIdNotFound,
    /// 86.
    GroupSubscribedToTopic,
    /// 88.
    UnstableOffsetCommit,
    /// 90.
    ProducerFenced,
    /// 110.
    FencedMemberEpoch,
    /// 113.
    StaleMemberEpoch,
    /// 23; for a member of the other group protocol.
    InconsistentGroupProtocol,
}

impl Error {
    /// The code in the Kafka protocol.
    #[must_use]
    pub fn code(self) -> i16 {
        match self {
            Self::OffsetOutOfRange => 1,
            Self::UnknownTopicOrPartition => 3,
            Self::RequestTimedOut => 7,
            Self::OffsetMetadataTooLarge => 12,
            Self::CoordinatorLoadInProgress => 14,
            Self::NotCoordinator => 16,
            Self::IllegalGeneration => 22,
            Self::InconsistentGroupProtocol => 23,
            Self::UnknownMemberId => 25,
            Self::RebalanceInProgress => 27,
            Self::TopicAlreadyExists => 36,
            Self::InvalidProducerEpoch => 47,
            Self::InvalidTxnState => 48,
            Self::InvalidProducerIdMapping => 49,
            Self::ConcurrentTransactions => 51,
            Self::NonEmptyGroup => 68,
            Self::GroupIdNotFound => 69,
            Self::GroupSubscribedToTopic => 86,
            Self::UnstableOffsetCommit => 88,
            Self::ProducerFenced => 90,
            Self::FencedMemberEpoch => 110,
            Self::StaleMemberEpoch => 113,
        }
    }
}
