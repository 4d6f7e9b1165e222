//! What is to be done: the one output of the core. Orders, each complete in itself. Those with a
//! `request` are answered exactly once by the [`Event`](super::event::Event) named beside them,
//! also when they fail or time out.

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
    /// Commit an offset to the coordination group with our generation → `AssignmentChecked`.
    CheckAssignment {
        /// To be quoted.
        request: RequestId,
        /// The shard in question.
        shard: Shard,
    },
    /// Read a fence partition to its end → `FenceLogRead`.
    ReadFenceLog {
        /// To be quoted.
        request: RequestId,
        /// The shard that is being taken over.
        shard: Shard,
        /// The shard whose fence partition is to be read; another one where `shard` has none to
        /// follow.
        of: Shard,
    },
    /// Make the shard's transactional producer and fence every earlier one →
    /// `TransactionsInitialised`.
    InitTransactions {
        /// To be quoted.
        request: RequestId,
        /// The shard.
        shard: Shard,
    },
    /// Write the take-over record (in a transaction of its own where the shard has a
    /// transactional producer) → `TakeOverWritten`.
    WriteTakeOver {
        /// To be quoted.
        request: RequestId,
        /// The shard.
        shard: Shard,
        /// The record.
        record: FenceRecord,
    },
    /// Write other records to the fence partition, all of them in one transaction, likewise →
    /// `FenceRecordsWritten`.
    WriteFenceRecords {
        /// To be quoted.
        request: RequestId,
        /// The shard.
        shard: Shard,
        /// The ownership under which it is ordered: the producer of another one must not write it.
        fence: Fence,
        /// The records, at least one.
        records: Vec<FenceRecord>,
    },
    /// Destroy the shard's producer; whatever it has open is left to the broker.
    DestroyProducer {
        /// The shard.
        shard: Shard,
    },
    /// Give the shard back to the coordination group; its producer is destroyed first.
    ReleaseShard {
        /// The shard.
        shard: Shard,
    },

    /// Read the mapping topic with this id, all partitions, from the start of their logs, dropping
    /// any reading under way → `MappingsRead` and `MappingReadFailed`, again and again.
    ReadMappings {
        /// The topic's id.
        topic: TopicId,
        /// Its partition count.
        partitions: i32,
    },
    /// Read something that a decision needs.
    Read(Read),
    /// Carry out a step of a commit.
    Commit(Commit),

    /// Tell people.
    Report {
        /// What.
        note: Note,
    },
    /// End the process.
    Stop {
        /// Why.
        reason: StopReason,
    },
}

impl Action {
    /// The number to be quoted in the answer; `None` where none is to come.
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

/// An order to read. It changes nothing anywhere.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Read {
    /// Describe the fence topic and the mapping topic → `ReadDone::ControlTopics`.
    ControlTopics {
        /// To be quoted.
        request: RequestId,
    },
    /// Read the mapping partitions' log ends, from metadata refreshed now, under the reader's
    /// isolation level → `ReadDone::MappingEnds`.
    MappingEnds {
        /// To be quoted.
        request: RequestId,
        /// The partitions.
        partitions: BTreeSet<MappingPartition>,
    },

    /// Read which broker coordinates which groups → `ReadDone::Coordinators`.
    Coordinators {
        /// To be quoted.
        request: RequestId,
        /// Whose groups.
        side: Side,
    },

    /// List the source's groups → `ReadDone::SourceGroups`.
    SourceGroups {
        /// To be quoted.
        request: RequestId,
    },
    /// List the target's groups and their states → `ReadDone::TargetGroups`.
    TargetGroups {
        /// To be quoted.
        request: RequestId,
    },
    /// Read all committed offsets of a group on the source, not stable → `ReadDone::SourceOffsets`.
    SourceOffsets {
        /// To be quoted.
        request: RequestId,
        /// The group.
        group: GroupId,
        /// Its coordinator, as far as that is known.
        coordinator: Option<BrokerId>,
        /// The coordinator must have been looked up after this time.
        coordinator_since: Option<Instant>,
    },
    /// Read committed offsets of a group on the target → `ReadDone::TargetOffsets`.
    TargetOffsets {
        /// To be quoted.
        request: RequestId,
        /// The group.
        group: GroupId,
        /// The coordinator must have been looked up after this time.
        coordinator_since: Option<Instant>,
        /// Which partitions.
        scope: ReadScope,
        /// Whether a pending transaction makes the partition unknown (`require_stable`).
        stable: bool,
    },
    /// Read topic ids, log ranges and source log ends → `ReadDone::Topics`.
    Topics {
        /// To be quoted.
        request: RequestId,
        /// The source topics to describe.
        source: BTreeSet<TopicName>,
        /// The target partitions whose topics to describe and whose log ranges to read.
        target: BTreeSet<TargetPartition>,
        /// The source partitions whose log ends to read.
        source_ends: BTreeSet<SourcePartition>,
    },
}

/// An order to write offsets of one group on the target.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Commit {
    /// Begin a transaction of the shard's producer and write the group's offsets in it, naming a
    /// member that is in no group → `CommitDone::HalfWritten`.
    WriteHalf {
        /// To be quoted.
        request: RequestId,
        /// The shard whose producer writes.
        shard: Shard,
        /// The ownership under which it was decided. Where the shard was taken over anew since, the
        /// new producer must not write it: that would un-fence a zombie's decision.
        fence: Fence,
        /// The group.
        group: GroupId,
        /// What to write.
        offsets: Arc<BTreeMap<TargetPartition, TargetCommit>>,
    },
    /// End the shard's open transaction → `CommitDone::Ended`.
    End {
        /// To be quoted.
        request: RequestId,
        /// The shard whose producer has it open.
        shard: Shard,
        /// The ownership under which it was begun.
        fence: Fence,
        /// The group whose offsets are in it.
        group: GroupId,
        /// Which way.
        end: TransactionEnd,
    },
    /// Commit by a plain OffsetCommit without membership → `CommitDone::Plain`.
    Plain {
        /// To be quoted.
        request: RequestId,
        /// The group.
        group: GroupId,
        /// What to commit.
        offsets: Arc<BTreeMap<TargetPartition, TargetCommit>>,
        /// After this time the check behind it is too old: it must not be sent, and fails.
        not_after: Instant,
    },
}

/// Which partitions of a group to read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ReadScope {
    /// Whatever the group has committed, and a definite answer for each of these.
    AllAnd(BTreeSet<TargetPartition>),
    /// These alone.
    Only(BTreeSet<TargetPartition>),
}

/// How a transaction is to end.
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
    /// It was asked to, and all is given back.
    Asked,
    /// It cannot go on.
    Fatal {
        /// What was expected, what was found, where, and what to do.
        reason: Arc<str>,
    },
}
