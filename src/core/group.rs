//! What is remembered of one group while its shard is active, and where its present round stands.

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

/// A group that this instance looks after.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Group {
    pub(crate) shard: Shard,
    /// The source has the group; one that stands on the target alone is only refreshed.
    pub(crate) on_source: bool,
    pub(crate) stage: Stage,
    pub(crate) source: SourceMemory,
    /// On either cluster, its coordinator must have been looked up after this.
    pub(crate) source_since: Option<Instant>,
    pub(crate) target_since: Option<Instant>,
    /// Its target offsets were judged once since the shard was taken over.
    pub(crate) loaded: bool,
    /// Rounds in a row that failed.
    pub(crate) failures: u32,
    /// Rounds in a row in which its source offsets did not change.
    pub(crate) idle: u32,
    /// When we wrote, or first saw, what stands at each partition.
    pub(crate) written: BTreeMap<TargetPartition, Instant>,
    /// Since when a partition's log ends below what is stored.
    pub(crate) short_logs: BTreeMap<TargetPartition, Instant>,
    /// Since when a transaction with its offsets has been pending.
    pub(crate) pending_since: Option<Instant>,
    /// The last verdicts, so that only changes are told.
    pub(crate) verdicts: BTreeMap<Subject, Verdict>,
    /// Why a partition had no verdict in the last round, for the same reason.
    pub(crate) unknown: Option<Arc<str>>,
}

/// Where a group's round stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Stage {
    /// Between rounds.
    Resting {
        /// When the next one begins.
        due: Instant,
    },
    /// Its committed offsets on the source are being read.
    ReadingSource {
        /// The coordinator was looked up after this.
        looked_up_after: Option<Instant>,
        /// It serves to confirm what is in doubt.
        confirms: bool,
    },
    /// Its committed offsets on the target are being read.
    ReadingTarget {
        /// Why the source could not be read: nothing but a refresh may come of this round.
        source_failed: Option<Failure>,
    },
    /// It waits for room at its coordinator on the target.
    WaitingForTarget {
        /// Why the source could not be read, as below.
        source_failed: Option<Failure>,
        /// The partitions to be read.
        targets: BTreeSet<TargetPartition>,
        /// Since when.
        since: Instant,
    },
    /// The topics are being read.
    ReadingTopics {
        /// What is stored on the target.
        target: TargetOffsets,
    },
    /// Decided; it waits for the shard's producer.
    Queued(Arc<Decision>),
    /// The first half of the commit is being written.
    Writing(Arc<Decision>),
    /// What was judged is being read once more.
    Verifying {
        /// What is to be committed if nothing changed.
        decision: Arc<Decision>,
        /// When that read was asked for: what it finds may be as old as this.
        asked: Instant,
    },
    /// The transaction is being ended.
    Ending {
        /// What is in it.
        decision: Arc<Decision>,
        /// Which way.
        end: TransactionEnd,
        /// Why, where it is aborted.
        aborted: Option<Aborted>,
        /// How often the end was asked for.
        attempts: u32,
    },
    /// A plain commit is under way.
    Committing(Arc<Decision>),
}

/// Why a transaction is aborted.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Aborted {
    /// What was judged changed.
    Overtaken(TargetPartition),
    /// Something failed.
    Failed(Failure),
    /// The broker's limits are known better now, and the next round keeps to them.
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

    /// What stands on the target was read. What we see there first counts as written now.
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
                // Expired, or deleted with its topic: nothing is left to look after.
                None => {
                    self.written.remove(partition);
                }
            }
        }
    }

    /// The partitions whose log ends below what is stored.
    pub(crate) fn saw_short_logs(&mut self, short: &BTreeSet<TargetPartition>, now: Instant) {
        self.short_logs.retain(|at, _| short.contains(at));
        for at in short {
            self.short_logs.entry(at.clone()).or_insert(now);
        }
    }

    /// Whether the group has a transaction open, or is about to have one.
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
