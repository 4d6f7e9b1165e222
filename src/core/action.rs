//! Actions, the only output of the core: orders to the driver, each complete in itself. An action with
//! a `request` is answered exactly once, by the [`Event`](super::event::Event) named after its arrow,
//! even if it fails or times out.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::coordinators::Side;
use super::event::TargetCommit;
use super::fence_log::FenceRecord;
use super::ids::{
    BrokerId, Fence, GroupId, MappingPartition, Shard, SourcePartition, TargetPartition, TopicId,
    TopicName,
};
use super::note::Note;
use super::request::RequestId;
use super::time::Instant;

/// An order to the driver.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Check that the shard is still assigned to us, by committing an offset to the coordination group
    /// with our generation → `AssignmentChecked`.
    CheckAssignment {
        /// The request's number.
        request: RequestId,
        /// The shard.
        shard: Shard,
    },
    /// Read a fence partition to its end → `FenceLogRead`.
    ReadFenceLog {
        /// The request's number.
        request: RequestId,
        /// The shard that is being taken over.
        shard: Shard,
        /// The shard whose fence partition is read: `shard`, or the first shard if nobody has ever
        /// taken `shard` over.
        of: Shard,
    },
    /// Create the shard's transactional producer and fence all earlier ones →
    /// `TransactionsInitialised`.
    InitTransactions {
        /// The request's number.
        request: RequestId,
        /// The shard.
        shard: Shard,
    },
    /// Write the take-over record, in its own transaction if the shard has a transactional producer →
    /// `TakeOverWritten`.
    WriteTakeOver {
        /// The request's number.
        request: RequestId,
        /// The shard.
        shard: Shard,
        /// The record.
        record: FenceRecord,
    },
    /// Write other records to the fence partition, all in one transaction if the shard has a
    /// transactional producer → `FenceRecordsWritten`.
    WriteFenceRecords {
        /// The request's number.
        request: RequestId,
        /// The shard.
        shard: Shard,
        /// The fence under which this was ordered. The producer of another fence must not write it.
        fence: Fence,
        /// At least one record.
        records: Vec<FenceRecord>,
    },
    /// Destroy the shard's producer. The broker aborts the transaction that it leaves open.
    DestroyProducer {
        /// The shard.
        shard: Shard,
    },
    /// Give the shard back to the coordination group, after destroying its producer.
    ReleaseShard {
        /// The shard.
        shard: Shard,
    },

    /// Read all partitions of the mapping topic with this id from the start of their logs, and keep
    /// reading → any number of `MappingsRead` and `MappingReadFailed`. It replaces an earlier order to
    /// read mappings.
    ReadMappings {
        /// The topic's id.
        topic: TopicId,
        /// The topic's partition count.
        partitions: i32,
    },
    /// Read something that a decision needs.
    Read(Read),
    /// Carry out a step of a commit.
    Commit(Commit),

    /// Log a message.
    Report {
        /// The message.
        note: Note,
    },
    /// End the process.
    Stop {
        /// The reason.
        reason: StopReason,
    },
}

impl Action {
    /// The request's number, which its answer carries; `None` if the action is not answered.
    #[must_use]
    pub fn request(&self) -> Option<RequestId> {
        match self {
            Self::CheckAssignment { request, .. }
            | Self::ReadFenceLog { request, .. }
            | Self::InitTransactions { request, .. }
            | Self::WriteTakeOver { request, .. }
            | Self::WriteFenceRecords { request, .. }
            | Self::Read(
                Read::ControlTopics { request }
                | Read::MappingEnds { request, .. }
                | Read::Coordinators { request, .. }
                | Read::SourceGroups { request }
                | Read::TargetGroups { request }
                | Read::SourceOffsets { request, .. }
                | Read::TargetOffsets { request, .. }
                | Read::Topics { request, .. },
            )
            | Self::Commit(
                Commit::WriteHalf { request, .. }
                | Commit::End { request, .. }
                | Commit::Plain { request, .. },
            ) => Some(*request),
            Self::DestroyProducer { .. }
            | Self::ReleaseShard { .. }
            | Self::ReadMappings { .. }
            | Self::Report { .. }
            | Self::Stop { .. } => None,
        }
    }
}

/// An order to read. It has no side effects.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Read {
    /// Describe the fence topic and the mapping topic → `ReadDone::ControlTopics`.
    ControlTopics {
        /// The request's number.
        request: RequestId,
    },
    /// Read the log end offsets of mapping partitions, from refreshed metadata and at the mapping
    /// reader's isolation level → `ReadDone::MappingEnds`.
    MappingEnds {
        /// The request's number.
        request: RequestId,
        /// The partitions.
        partitions: BTreeSet<MappingPartition>,
    },

    /// Read which broker coordinates which groups → `ReadDone::Coordinators`.
    Coordinators {
        /// The request's number.
        request: RequestId,
        /// The cluster.
        side: Side,
    },

    /// List the source's groups → `ReadDone::SourceGroups`.
    SourceGroups {
        /// The request's number.
        request: RequestId,
    },
    /// List the target's groups and their states → `ReadDone::TargetGroups`.
    TargetGroups {
        /// The request's number.
        request: RequestId,
    },
    /// Read all committed offsets of a group on the source, without `require_stable` →
    /// `ReadDone::SourceOffsets`.
    SourceOffsets {
        /// The request's number.
        request: RequestId,
        /// The group.
        group: GroupId,
        /// The group's coordinator, if known.
        coordinator: Option<BrokerId>,
        /// The coordinator must have been looked up after this time.
        coordinator_since: Option<Instant>,
    },
    /// Read committed offsets of a group on the target → `ReadDone::TargetOffsets`.
    TargetOffsets {
        /// The request's number.
        request: RequestId,
        /// The group.
        group: GroupId,
        /// The coordinator must have been looked up after this time.
        coordinator_since: Option<Instant>,
        /// The partitions.
        scope: ReadScope,
        /// Whether a partition with a pending transaction is unknown (`require_stable`).
        stable: bool,
    },
    /// Read topic ids, log ranges and source log ends → `ReadDone::Topics`.
    Topics {
        /// The request's number.
        request: RequestId,
        /// Source topics to describe.
        source: BTreeSet<TopicName>,
        /// Target partitions: their topics are described, and their log ranges read.
        target: BTreeSet<TargetPartition>,
        /// Source partitions whose log end offsets are read.
        source_ends: BTreeSet<SourcePartition>,
    },
}

/// An order to write one group's offsets on the target.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Commit {
    /// Begin a transaction of the shard's producer and write the group's offsets in it, with a member id
    /// that is in no group → `CommitDone::HalfWritten`.
    WriteHalf {
        /// The request's number.
        request: RequestId,
        /// The shard whose producer writes.
        shard: Shard,
        /// The fence under which this was decided. If the shard was taken over again since, the new
        /// producer must not write it: that would un-fence a zombie's decision.
        fence: Fence,
        /// The group.
        group: GroupId,
        /// The offsets to write.
        offsets: Arc<BTreeMap<TargetPartition, TargetCommit>>,
    },
    /// End the shard's open transaction → `CommitDone::Ended`.
    End {
        /// The request's number.
        request: RequestId,
        /// The shard whose producer has the transaction open.
        shard: Shard,
        /// The fence under which the transaction was begun.
        fence: Fence,
        /// The group whose offsets are in the transaction.
        group: GroupId,
        /// Whether to commit or to abort.
        end: TransactionEnd,
    },
    /// Commit with a plain OffsetCommit that names no member → `CommitDone::Plain`.
    Plain {
        /// The request's number.
        request: RequestId,
        /// The group.
        group: GroupId,
        /// The offsets to commit.
        offsets: Arc<BTreeMap<TargetPartition, TargetCommit>>,
        /// After this time the check before the commit is too old: the commit fails without being sent.
        not_after: Instant,
    },
}

/// Which partitions of a group to read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ReadScope {
    /// All offsets that the group has committed, and a definite answer for each of these partitions.
    AllAnd(BTreeSet<TargetPartition>),
    /// Only these partitions.
    Only(BTreeSet<TargetPartition>),
}

/// How a transaction ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TransactionEnd {
    /// Its offsets become visible.
    Commit,
    /// Its offsets are dropped.
    Abort,
}

/// Why the process ends.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum StopReason {
    /// The process was asked to stop, and has given all its shards back.
    Asked,
    /// The process cannot continue.
    Fatal {
        /// What was expected, what was found, where, and what to do.
        reason: Arc<str>,
    },
}
