//! A replicator: copies records from the source to the target and publishes their mappings.

pub mod records;

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use sprag::ports::Clock;
use sprag_core::ids::{GroupId, PublisherId, SourcePartition, TargetPartition, TopicId, TopicName};
use sprag_core::mapping::Chunk;
use sprag_mapping::native::{ChunkPlace, encode, mapping_partition};

use self::records::{copies, runs, sync};
use crate::clock::SimClock;
use crate::names::REPLICATOR;
use crate::net::{Client, Mail};
use crate::ports::{Doing, Link, Timing};
use crate::scenario::Publisher;
use crate::wire::{
    Committed, Isolation, NO_GENERATION, NewRecord, Partition, Producer, ReadRecord, Request,
    Response,
};

const PAUSE_MILLIS: u64 = 100;
const BATCH: usize = 25;
/// The group whose committed offsets on the target record how far it has copied on the source. A broker
/// refuses offsets of a topic that it does not have, so these are stored under the target partitions.
pub const PROGRESS: &str = "replicator";

/// What a replicator is started with, every time.
#[derive(Clone)]
pub struct Replicator {
    /// The host of the source cluster.
    pub source: String,
    /// The host of the target cluster.
    pub target: String,
    /// The replicated topics: the name on the source and the name on the target.
    pub topics: Vec<(TopicName, TopicName)>,
    /// Number of partitions of each topic.
    pub partitions: i32,
    /// The mapping topic, on the target.
    pub mapping_topic: TopicName,
    /// Partitions of the mapping topic.
    pub mapping_partitions: i32,
    /// Who publishes mappings, and how densely.
    pub publisher: Publisher,
    /// Its time-outs.
    pub timing: Timing,
    /// The next epoch. Every life takes a new one.
    pub epoch: Rc<Cell<i64>>,
    /// How many records to copy again after the next start.
    pub again: Rc<Cell<i64>>,
}

/// One life of a replicator, from a start to the next.
struct Life {
    setup: Replicator,
    epoch: i64,
    source: Link,
    target: Link,
    producer: Option<Producer>,
    /// The next source offset of each partition, and the topic ids that it belongs to.
    progress: BTreeMap<SourcePartition, Progress>,
    /// Everything published so far, for a mapping topic that is recreated.
    published: Vec<(i32, NewRecord)>,
    mapping_id: Option<TopicId>,
    sequence: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Progress {
    ids: (TopicId, TopicId),
    next: i64,
    /// Records since the last sync; `None` before the first sync in this life.
    since_sync: Option<i64>,
}

/// A request failed. The current work is given up and started again.
struct Failed;

impl Replicator {
    /// Copies records for as long as the simulation runs.
    ///
    /// # Errors
    ///
    /// An error of turmoil, if no port can be bound.
    pub async fn run(self, mail: Mail) -> Result<(), Box<dyn std::error::Error>> {
        let client = Rc::new(Client::bind(mail, REPLICATOR).await?);
        let clock = SimClock::default();
        let link = |host: &str| Link::new(Rc::clone(&client), host, clock.clone(), self.timing, 1);
        let epoch = self.epoch.get();
        self.epoch.set(epoch + 1);
        let mut life = Life {
            epoch,
            source: link(&self.source),
            target: link(&self.target),
            producer: None,
            progress: BTreeMap::new(),
            published: Vec::new(),
            mapping_id: None,
            sequence: 0,
            setup: self,
        };
        let work = async {
            loop {
                if life.round().await.is_err() {
                    life.producer = None;
                    life.progress.clear();
                }
                clock
                    .sleep_until(clock.now() + std::time::Duration::from_millis(PAUSE_MILLIS))
                    .await;
            }
        };
        tokio::select! {
            biased;
            () = work => {}
            () = client.receive() => {}
        }
        Ok(())
    }
}

impl Life {
    async fn round(&mut self) -> Result<(), Failed> {
        self.republish_if_new().await?;
        for (source, target) in self.setup.topics.clone() {
            for partition in 0..self.setup.partitions {
                let from = SourcePartition { topic: source.clone(), partition };
                let to = TargetPartition { topic: target.clone(), partition };
                self.copy(from, to).await?;
            }
        }
        Ok(())
    }

    /// Copies the next records of one partition.
    async fn copy(&mut self, from: SourcePartition, to: TargetPartition) -> Result<(), Failed> {
        let ids = self.ids(&from.topic, &to.topic).await?;
        let known = self.progress.get(&from).filter(|known| known.ids == ids).copied();
        let progress = match known {
            Some(known) => known,
            None => {
                let next = self.stored_progress(&to, ids).await?;
                Progress { ids, next, since_sync: None }
            }
        };
        let (records, position) = self.fetch(&from, progress.next).await?;
        let next = Progress { next: position, ..progress };
        if records.is_empty() {
            self.progress.insert(from, next);
            return Ok(());
        }
        if self.ids(&from.topic, &to.topic).await? != ids {
            return Err(Failed);
        }
        let since_sync = match self.setup.publisher {
            Publisher::Dense => self.copy_dense(&from, &to, &records, next).await.map(|()| None)?,
            Publisher::Sparse { every } => {
                Some(self.copy_sparse(&from, &to, &records, next, every).await?)
            }
        };
        self.progress.insert(from, Progress { since_sync, ..next });
        Ok(())
    }

    /// Writes records, chunk and progress in one transaction.
    async fn copy_dense(
        &mut self,
        from: &SourcePartition,
        to: &TargetPartition,
        records: &[ReadRecord],
        next: Progress,
    ) -> Result<(), Failed> {
        let producer = self.producer().await?;
        let first = self.produce(to.into(), copies(records, next.ids.0), Some(&producer)).await?;
        let chunk = Chunk {
            source: from.clone(),
            target: to.clone(),
            source_topic_id: next.ids.0,
            target_topic_id: next.ids.1,
            publisher: PublisherId::from("simulated"),
            runs: runs(records, first),
        };
        let (epoch, sequence) = (self.epoch, self.sequence);
        self.sequence += 1;
        let place = ChunkPlace { epoch, sequence, newest_timestamp: 0 };
        let (key, value) = encode(&chunk, place).map_err(|_| Failed)?;
        let record = NewRecord { key, value: Some(value) };
        let partitions = self.setup.mapping_partitions.unsigned_abs();
        let at = mapping_partition(from, partitions).get();
        self.produce(self.mapping(at), vec![record.clone()], Some(&producer)).await?;
        self.store_progress(to, next, Some(&producer)).await?;
        if self.ids(&from.topic, &to.topic).await? != next.ids {
            return Err(Failed);
        }
        let end = Request::EndTxn { producer, commit: true };
        self.target.ask_on(end, Doing::Ending, "replicator").await.map_err(|_| Failed)?;
        self.published.push((at, record));
        Ok(())
    }

    /// Writes the records, then the syncs that are due, then the progress. A crash in between copies
    /// records twice.
    async fn copy_sparse(
        &mut self,
        from: &SourcePartition,
        to: &TargetPartition,
        records: &[ReadRecord],
        next: Progress,
        every: i64,
    ) -> Result<i64, Failed> {
        let first = self.produce(to.into(), copies(records, next.ids.0), None).await?;
        let mut since = next.since_sync;
        for (nth, record) in records.iter().enumerate() {
            let due = since.is_none_or(|since| since + 1 >= every);
            since = Some(if due { 0 } else { since.unwrap_or_default() + 1 });
            if due {
                let target = first + i64::try_from(nth).map_err(|_| Failed)?;
                self.produce(self.mapping(0), vec![sync(from, record.offset, target)], None)
                    .await?;
            }
        }
        self.store_progress(to, next, None).await?;
        Ok(since.unwrap_or_default())
    }

    /// Publishes everything again if the mapping topic was recreated.
    async fn republish_if_new(&mut self) -> Result<(), Failed> {
        let topic = self.setup.mapping_topic.clone();
        let id = self.id(&self.target, &topic).await?;
        if self.mapping_id.is_some_and(|known| known != id) {
            for (at, record) in self.published.clone() {
                self.produce(self.mapping(at), vec![record], None).await?;
            }
        }
        self.mapping_id = Some(id);
        Ok(())
    }

    fn mapping(&self, partition: i32) -> Partition {
        Partition { topic: self.setup.mapping_topic.clone(), partition }
    }

    async fn producer(&mut self) -> Result<Producer, Failed> {
        if let Some(producer) = &self.producer {
            return Ok(producer.clone());
        }
        let request = Request::InitProducer {
            transactional_id: PROGRESS.to_owned(),
            timeout_millis: self.setup.timing.transaction,
        };
        match self.target.ask_on(request, Doing::Fencing, "replicator").await {
            Ok(Response::Initialised(producer)) => {
                self.producer = Some(producer.clone());
                Ok(producer)
            }
            Ok(_) | Err(_) => Err(Failed),
        }
    }

    async fn produce(
        &self,
        at: Partition,
        records: Vec<NewRecord>,
        producer: Option<&Producer>,
    ) -> Result<i64, Failed> {
        let request = Request::Produce { at, records, producer: producer.cloned() };
        // Without retries: outside a transaction, a retry could write copies whose offsets are not known
        // here.
        match self.target.ask(request, Doing::Committing, "replicator").await {
            Ok(Response::Produced(offset)) => Ok(offset),
            Ok(_) | Err(_) => Err(Failed),
        }
    }

    async fn fetch(
        &self,
        from: &SourcePartition,
        offset: i64,
    ) -> Result<(Vec<ReadRecord>, i64), Failed> {
        let isolation = Isolation::ReadCommitted;
        let request = Request::Fetch { at: from.into(), offset, isolation, most: BATCH };
        match self.source.ask(request, Doing::Reading, "replicator").await {
            Ok(Response::Fetched { records, position, end: _ }) => Ok((records, position)),
            Ok(_) | Err(_) => Err(Failed),
        }
    }

    async fn ids(&self, from: &TopicName, to: &TopicName) -> Result<(TopicId, TopicId), Failed> {
        let (from, to) = futures::join!(self.id(&self.source, from), self.id(&self.target, to));
        Ok((from?, to?))
    }

    async fn id(&self, link: &Link, topic: &TopicName) -> Result<TopicId, Failed> {
        let request = Request::DescribeTopics { topics: BTreeSet::from([topic.clone()]) };
        match link.ask(request, Doing::Reading, "replicator").await {
            Ok(Response::Topics(topics)) => match topics.get(topic) {
                Some(Ok((id, _))) => Ok(*id),
                Some(Err(_)) | None => Err(Failed),
            },
            Ok(_) | Err(_) => Err(Failed),
        }
    }

    /// How far this pair of topics has been copied. Progress of another pair does not count.
    async fn stored_progress(
        &self,
        to: &TargetPartition,
        ids: (TopicId, TopicId),
    ) -> Result<i64, Failed> {
        let at = Partition::from(to);
        let request = Request::OffsetFetch {
            group: GroupId::from(PROGRESS),
            at: Some(BTreeSet::from([at.clone()])),
            stable: true,
        };
        let answer = self.target.ask(request, Doing::Reading, "replicator").await;
        let Ok(Response::Fetches(mut found)) = answer else {
            return Err(Failed);
        };
        let again = self.setup.again.take();
        match found.remove(&at) {
            Some(Ok(Some(stored))) if stored.metadata == pair_text(ids) => {
                Ok((stored.offset - again).max(0))
            }
            Some(Ok(Some(_) | None)) => Ok(0),
            Some(Err(_)) | None => Err(Failed),
        }
    }

    async fn store_progress(
        &self,
        to: &TargetPartition,
        progress: Progress,
        producer: Option<&Producer>,
    ) -> Result<(), Failed> {
        let commit = Committed { offset: progress.next, metadata: pair_text(progress.ids) };
        let offsets = BTreeMap::from([(Partition::from(to), commit)]);
        let (group, member) = (GroupId::from(PROGRESS), String::new());
        let generation = NO_GENERATION;
        let request = match producer.cloned() {
            Some(producer) => {
                Request::TxnOffsetCommit { producer, group, member, generation, offsets }
            }
            None => Request::OffsetCommit { group, member, generation, offsets },
        };
        match self.target.ask(request, Doing::Committing, "replicator").await {
            Ok(Response::Committed(outcome)) if outcome.values().all(Result::is_ok) => Ok(()),
            Ok(_) | Err(_) => Err(Failed),
        }
    }
}

/// The topic ids that a stored progress belongs to, as metadata.
fn pair_text((source, target): (TopicId, TopicId)) -> String {
    format!("{source} {target}")
}
