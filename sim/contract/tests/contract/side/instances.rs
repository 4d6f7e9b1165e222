//! The operations that go through the ports of Sprag's instances.

use std::collections::{BTreeMap, BTreeSet};

use sprag::ports::{FenceReader, FenceRecords, ReadFrom, TargetGroups, TopicReader, Transactions};
use sprag_core::action::{ReadScope, TransactionEnd};
use sprag_core::event::{LogRange, TargetCommit, TargetOffsets};
use sprag_core::failure::{Failure, FailureClass};
use sprag_core::fence_log::FenceRecord;
use sprag_core::ids::{Fence, Shard, TargetOffset, TargetPartition};
use sprag_core::time::Instant;

use super::{Instance, Requests, Side, commits};
use crate::operation::{Answer, Commit, Commits, Fences, Metadata, Seen, Spot, Which};

const SHARD: Shard = Shard(0);
const FOR_EVER: Instant = Instant::from_millis(u64::MAX);

/// An instance that took over the shard.
pub(super) struct Owner<I> {
    instance: I,
    fence: Fence,
    transaction: Transaction,
}

/// What the driver knows of an owner's transaction. It gives only orders that fit.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Transaction {
    None,
    Open,
    /// It can only be aborted.
    Failed,
    /// The producer can no longer be used.
    Over,
}

impl<R: Requests, I: Instance> Side<R, I> {
    pub(super) async fn take_over(&mut self, nth: usize) -> Answer {
        let instance = (self.another)();
        let record =
            FenceRecord { key: "takeover".to_owned(), value: format!("{{\"nth\":{nth}}}") };
        let outcome = async {
            instance.transactions().init(SHARD).await?;
            instance.transactions().take_over(SHARD, &record).await
        };
        match outcome.await {
            Ok(fence) => {
                self.first_fence.get_or_insert(fence.get());
                self.instances.push(Owner { instance, fence, transaction: Transaction::None });
                Answer::Port(Ok(()))
            }
            Err(failure) => Answer::Port(Err(class(failure))),
        }
    }

    pub(super) async fn write(&mut self, nth: usize, which: Which, spots: &[Spot]) -> Answer {
        let Some(owner) = self.instances.get(which) else {
            return Answer::Skipped;
        };
        if owner.transaction != Transaction::None {
            return Answer::Skipped;
        }
        let offsets = target_commits(&commits(nth, spots, Metadata::Short, true));
        let transactions = owner.instance.transactions();
        let written = transactions.write_offsets(SHARD, owner.fence, &self.group, &offsets).await;
        let written = written.map_err(class);
        owner.transaction = match written {
            Ok(()) => Transaction::Open,
            Err(FailureClass::Fenced | FailureClass::Stop) => Transaction::Over,
            Err(_) => Transaction::Failed,
        };
        Answer::Port(written)
    }

    pub(super) async fn end(&mut self, which: Which, commit: bool) -> Answer {
        let Some(owner) = self.instances.get(which) else {
            return Answer::Skipped;
        };
        let end = match (owner.transaction, commit) {
            (Transaction::None | Transaction::Over, _) => return Answer::Skipped,
            (Transaction::Open, true) => TransactionEnd::Commit,
            (Transaction::Open, false) | (Transaction::Failed, _) => TransactionEnd::Abort,
        };
        let ended = owner.instance.transactions().end(SHARD, owner.fence, end).await;
        let ended = ended.map(|_aftermath| ()).map_err(class);
        owner.transaction = match ended {
            Ok(()) => Transaction::None,
            Err(_) => Transaction::Over,
        };
        Answer::Port(ended)
    }

    pub(super) async fn plain_commit(
        &self,
        nth: usize,
        spots: &[Spot],
        metadata: Metadata,
    ) -> Answer {
        let offsets = target_commits(&commits(nth, spots, metadata, true));
        let committed = self.reader.groups().commit(&self.group, &offsets, FOR_EVER).await;
        let parts = |parts: BTreeMap<TargetPartition, Result<(), Failure>>| {
            let part = |(at, outcome): (TargetPartition, Result<(), Failure>)| {
                (spot(&at), outcome.map_err(class))
            };
            parts.into_iter().map(part).collect()
        };
        Answer::PortParts(committed.map(parts).map_err(class))
    }

    /// Reads the fence partition from the log start, and also from where the last read ended.
    pub(super) async fn fence_log(&mut self) -> Answer {
        let Some(first) = self.first_fence else {
            return Answer::Skipped;
        };
        let since = self.fences_read.unwrap_or(Fence(first));
        let reader = self.reader.fence_reader();
        let read = async {
            let all = reader.read(SHARD, ReadFrom::LogStart).await?;
            let later = reader.read(SHARD, ReadFrom::Offset(since)).await?;
            Ok((all, later))
        };
        let (all, later) = match read.await {
            Ok(read) => read,
            Err(failure) => return Answer::Fences(Err(class(failure))),
        };
        self.fences_read = Some(all.end);
        let members = self.reader.members().await.ok();
        let (all, later) = (fences(all, first), fences(later, first));
        Answer::Fences(Ok((all, later, members)))
    }

    pub(super) async fn log_ranges(&self) -> Answer {
        let at = Spot::ALL.into_iter().map(target_partition).collect();
        let topics = self.reader.topics().topics(&BTreeSet::new(), &at, &BTreeSet::new()).await;
        let ranges = topics.map(|topics| {
            let range = |(at, range): (TargetPartition, Result<_, Failure>)| {
                let ends = |range: LogRange| (range.start.get(), range.end.get());
                (spot(&at), range.map(ends).map_err(class))
            };
            topics.ranges.into_iter().map(range).collect()
        });
        Answer::Ranges(ranges.map_err(class))
    }
}

/// The records with offsets relative to the first take-over.
fn fences(read: FenceRecords, first: i64) -> Fences {
    let entry = |(key, (offset, value)): (String, (Fence, Option<String>))| {
        (key, (offset.get() - first, value))
    };
    Fences { newest: read.newest.into_iter().map(entry).collect(), end: read.end.get() - first }
}

fn target_commits(commits: &Commits) -> BTreeMap<TargetPartition, TargetCommit> {
    let one = |(spot, commit): (&Spot, &Commit)| {
        let (offset, metadata) = (TargetOffset(commit.offset), commit.metadata.clone());
        (target_partition(*spot), TargetCommit { offset, metadata })
    };
    commits.iter().map(one).collect()
}

fn target_partition(spot: Spot) -> TargetPartition {
    let (topic, partition) = spot.place();
    TargetPartition::new(topic, partition)
}

pub(super) fn named() -> ReadScope {
    ReadScope::Only(Spot::ALL.into_iter().map(target_partition).collect())
}

pub(super) fn named_and_all() -> ReadScope {
    ReadScope::AllAnd(Spot::ALL.into_iter().map(target_partition).collect())
}

fn spot(at: &TargetPartition) -> Spot {
    Spot::at(at.topic.as_str(), at.partition).expect("a partition that was asked about")
}

pub(super) fn seen(offsets: TargetOffsets) -> BTreeMap<Spot, Seen> {
    let one = |(at, stored): (TargetPartition, Result<Option<TargetCommit>, Failure>)| {
        let stored = stored.map_err(class);
        (spot(&at), stored.map(|it| it.map(|it| (it.offset.get(), it.metadata))))
    };
    offsets.into_iter().map(one).collect()
}

pub(super) fn class(failure: Failure) -> FailureClass {
    failure.class
}
