//! The state of a group while its shard is active, including the stage of its current round.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;

use super::action::TransactionEnd;
use super::decide::{Decision, Subject};
use super::event::{TargetCommit, TargetOffsets};
use super::failure::Failure;
use super::ids::{Shard, TargetPartition};
use super::source::SourceMemory;
use super::time::Instant;
use super::verdict::Verdict;

/// A group that this instance syncs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Group {
    pub(crate) shard: Shard,
    /// The group exists on the source. A group that exists only on the target is only refreshed.
    pub(crate) on_source: bool,
    pub(crate) stage: Stage,
    pub(crate) source: SourceMemory,
    /// Its coordinator on the source must have been looked up after this time.
    pub(crate) source_since: Option<Instant>,
    /// Its coordinator on the target must have been looked up after this time.
    pub(crate) target_since: Option<Instant>,
    /// Its target offsets were judged since the shard was taken over.
    pub(crate) loaded: bool,
    /// The number of failed rounds in a row.
    pub(crate) failures: u32,
    /// The number of rounds in a row in which its source offsets did not change.
    pub(crate) idle: u32,
    /// For each partition, the time at which we wrote the stored commit or first saw it.
    pub(crate) written: BTreeMap<TargetPartition, Instant>,
    /// Partitions whose log ends below the stored offset, and since when.
    pub(crate) short_logs: BTreeMap<TargetPartition, Instant>,
    /// When a pending transaction with its offsets was first seen.
    pub(crate) pending_since: Option<Instant>,
    /// The last verdicts, so that only changes are logged.
    pub(crate) verdicts: BTreeMap<Subject, Verdict>,
    /// Why a partition had no verdict in the last round, so that only changes are logged.
    pub(crate) unknown: Option<Arc<str>>,
}

/// The stage of a group's round.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Stage {
    /// Between rounds.
    Resting {
        /// The time at which the next round begins.
        due: Instant,
    },
    /// Its committed offsets on the source are being read.
    ReadingSource {
        /// The coordinator was looked up after this time.
        looked_up_after: Option<Instant>,
        /// The read confirms partitions in doubt.
        confirms: bool,
    },
    /// Its committed offsets on the target are being read.
    ReadingTarget {
        /// Why the source could not be read. This round can then only refresh commits.
        source_failed: Option<Failure>,
    },
    /// Waiting until fewer groups are being read at its coordinator on the target.
    WaitingForTarget {
        /// Why the source could not be read, as in `ReadingTarget`.
        source_failed: Option<Failure>,
        /// The partitions to be read.
        targets: BTreeSet<TargetPartition>,
        /// The time at which it began to wait.
        since: Instant,
    },
    /// The topics are being read.
    ReadingTopics {
        /// The offsets stored on the target.
        target: TargetOffsets,
    },
    /// Decided, and waiting for the shard's producer.
    Queued(Arc<Decision>),
    /// The first half of the commit is being written.
    Writing(Arc<Decision>),
    /// The judged offsets are being read again.
    Verifying {
        /// The commit to make if nothing changed.
        decision: Arc<Decision>,
        /// The time at which the read was requested. Its answer may be as old as this.
        asked: Instant,
    },
    /// The transaction is being ended.
    Ending {
        /// The decision whose offsets are in the transaction.
        decision: Arc<Decision>,
        /// Whether to commit or to abort.
        end: TransactionEnd,
        /// The reason, if the transaction is aborted.
        aborted: Option<Aborted>,
        /// How often the end was requested.
        attempts: u32,
    },
    /// A plain commit is under way.
    Committing(Arc<Decision>),
}

/// Why a transaction is aborted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Aborted {
    /// The stored offset of this partition is no longer the one that was judged.
    Overtaken(TargetPartition),
    /// A request failed.
    Failed(Failure),
    /// A refusal showed more about the broker's limits. The next round observes them.
    Again,
}

impl Group {
    pub(crate) fn new(
        shard: Shard,
        on_source: bool,
        due: Instant,
        source_since: Option<Instant>,
    ) -> Self {
        Self {
            shard,
            on_source,
            stage: Stage::Resting { due },
            source: SourceMemory::default(),
            source_since,
            target_since: None,
            loaded: false,
            failures: 0,
            idle: 0,
            written: BTreeMap::new(),
            short_logs: BTreeMap::new(),
            pending_since: None,
            verdicts: BTreeMap::new(),
            unknown: None,
        }
    }

    /// Notes the stored offsets that were read on the target. One that is seen for the first time counts as
    /// written now.
    pub(crate) fn saw_stored(
        &mut self,
        target: &BTreeMap<TargetPartition, Option<TargetCommit>>,
        now: Instant,
    ) {
        for (partition, stored) in target {
            match stored {
                Some(_) => {
                    self.written.entry(partition.clone()).or_insert(now);
                }
                // The offset expired or was deleted, so there is nothing left to refresh.
                None => {
                    self.written.remove(partition);
                }
            }
        }
    }

    /// Notes the partitions whose log ends below the stored offset.
    pub(crate) fn saw_short_logs(&mut self, short: &BTreeSet<TargetPartition>, now: Instant) {
        self.short_logs.retain(|at, _| short.contains(at));
        for at in short {
            self.short_logs.entry(at.clone()).or_insert(now);
        }
    }

    /// Whether a commit of the group is under way, in a transaction or as a plain commit.
    pub(crate) fn in_transaction(&self) -> bool {
        match &self.stage {
            Stage::Writing(_) | Stage::Verifying { .. } | Stage::Ending { .. } => true,
            Stage::Committing(_) => true,
            Stage::Resting { .. }
            | Stage::ReadingSource { .. }
            | Stage::WaitingForTarget { .. }
            | Stage::ReadingTarget { .. }
            | Stage::ReadingTopics { .. }
            | Stage::Queued(_) => false,
        }
    }
}
