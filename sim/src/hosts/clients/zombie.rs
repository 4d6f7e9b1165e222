//! A replicator that was believed dead. It copies old records again, alongside the replicator that replaced
//! it, and publishes their mappings when newer ones may already be published.

use std::collections::BTreeSet;
use std::time::Duration;

use sprag::ports::Clock;
use sprag_core::ids::{PublisherId, SourcePartition, TargetPartition, TopicId, TopicName};
use sprag_core::mapping::Chunk;
use sprag_mapping::native::{ChunkPlace, encode, mapping_partition};

use super::Hands;
use crate::clock::SimClock;
use crate::hosts::replicator::records::{copies, runs, sync};
use crate::ports::{Doing, Link};
use crate::scenario::Publisher;
use crate::wire::{Isolation, NewRecord, Partition, ReadRecord, Request, Response};

/// The key of its copies, by which the invariants recognise them.
pub const ZOMBIE: &[u8] = b"zombie";

/// Which records to copy again, and when to publish their mappings.
#[derive(Clone, Copy)]
pub(super) struct Again {
    /// How many records before the source's log end offset it begins.
    pub(super) back: i64,
    /// How many records.
    pub(super) count: usize,
    /// Delay between copying and publishing, in milliseconds.
    pub(super) delay: u64,
}

impl Hands<'_> {
    /// Copies, waits, and publishes the mappings.
    pub(super) async fn copy_again(
        &self,
        nth: usize,
        from: SourcePartition,
        to: TargetPartition,
        again: Again,
    ) -> Option<()> {
        let ids =
            (self.id(&self.source, &from.topic).await?, self.id(&self.target, &to.topic).await?);
        let end = self.end(&self.source, &(&from).into()).await?;
        let offset = (end - again.back).max(0);
        let records = self.read(&from, offset, again.count).await?;
        let last = records.last()?.offset;
        let copy = |copy| NewRecord { key: ZOMBIE.to_vec(), ..copy };
        let copied = copies(&records, ids.0).into_iter().map(copy).collect();
        let first = self.write((&to).into(), copied).await?;
        let clock = SimClock::default();
        clock.sleep_until(clock.now() + Duration::from_millis(again.delay)).await;
        let (topic, partitions) = self.shared.mappings.clone();
        match self.shared.publisher {
            Publisher::Dense => {
                let at = mapping_partition(&from, partitions.unsigned_abs()).get();
                let chunk = Chunk {
                    source: from,
                    target: to,
                    source_topic_id: ids.0,
                    target_topic_id: ids.1,
                    publisher: PublisherId::from("zombie"),
                    runs: runs(&records, first),
                };
                let place = ChunkPlace {
                    epoch: -1,
                    sequence: i64::try_from(nth).ok()?,
                    newest_timestamp: 0,
                };
                let (key, value) = encode(&chunk, place).ok()?;
                let at = Partition { topic, partition: at };
                self.write(at, vec![NewRecord { key, value: Some(value) }]).await?;
            }
            Publisher::Sparse { .. } => {
                let newest = first + i64::try_from(records.len()).ok()? - 1;
                let at = Partition { topic, partition: 0 };
                self.write(at, vec![sync(&from, last, newest)]).await?;
            }
        }
        Some(())
    }

    async fn read(
        &self,
        from: &SourcePartition,
        offset: i64,
        most: usize,
    ) -> Option<Vec<ReadRecord>> {
        let isolation = Isolation::ReadCommitted;
        let request = Request::Fetch { at: from.into(), offset, isolation, most };
        match self.source.ask(request, Doing::Reading, "a zombie").await {
            Ok(Response::Fetched { records, .. }) => Some(records),
            Ok(_) | Err(_) => None,
        }
    }

    async fn write(&self, at: Partition, records: Vec<NewRecord>) -> Option<i64> {
        let request = Request::Produce { at, records, producer: None };
        match self.target.ask(request, Doing::Committing, "a zombie").await {
            Ok(Response::Produced(first)) => Some(first),
            Ok(_) | Err(_) => None,
        }
    }

    async fn id(&self, link: &Link, topic: &TopicName) -> Option<TopicId> {
        let request = Request::DescribeTopics { topics: BTreeSet::from([topic.clone()]) };
        match link.ask(request, Doing::Reading, "a zombie").await {
            Ok(Response::Topics(mut topics)) => topics.remove(topic)?.ok().map(|(id, _)| id),
            Ok(_) | Err(_) => None,
        }
    }
}
