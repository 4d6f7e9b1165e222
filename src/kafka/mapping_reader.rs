//! Reads all partitions of the mapping topic from the start, with `read_committed`.
//!
//! A dedicated thread polls and decodes. It pauses when `AHEAD` batches wait to be applied to the index.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, DefaultConsumerContext};
use rdkafka::types::RDKafkaErrorCode as Code;
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::{Mutex, mpsc};

use super::client::{AdminClient, Properties, REQUEST_TIMEOUT, client_config};
use super::complaints::plain_sentence;
use super::errors::{Doing, failure};
use super::ffi::NativeError;
use super::ffi::admin::{Admin, Isolation, OffsetSpec};
use super::ffi::batch::{BatchReader, Delivered};
use super::topics::{First, describe_one_by};
use crate::ports::Mappings;
use sprag_core::event::{Event, MappingEnds};
use sprag_core::failure::{Failure, FailureClass};
use sprag_core::ids::{MappingOffset, MappingPartition, TopicId, TopicName};
use sprag_core::mapping::MappingRecord;
use sprag_mapping::{Decoder, Format, SkipCounter};

const BATCH: usize = 10_000;
const POLL: Duration = Duration::from_millis(100);
/// The delay before the next attempt to create the client.
const RETRY: Duration = Duration::from_secs(5);
/// How many batches may wait to be applied to the index before the reader pauses.
const AHEAD: usize = 8;

/// Reads the mapping topic.
pub struct KafkaMappings {
    admin: Rc<AdminClient>,
    properties: Properties,
    topic: TopicName,
    format: Format,
    /// The number of the current reading. Threads of earlier readings end when they see that it has changed.
    present: Arc<AtomicU64>,
    sender: mpsc::Sender<(u64, Event)>,
    receiver: Mutex<mpsc::Receiver<(u64, Event)>>,
}

impl KafkaMappings {
    /// A reader of `topic` on the cluster that `admin` is connected to.
    #[must_use]
    pub fn new(
        admin: Rc<AdminClient>,
        properties: Properties,
        topic: TopicName,
        format: Format,
    ) -> Self {
        let (sender, receiver) = mpsc::channel(AHEAD);
        let (present, receiver) = (Arc::new(AtomicU64::new(0)), Mutex::new(receiver));
        Self { admin, properties, topic, format, present, sender, receiver }
    }
}

impl Drop for KafkaMappings {
    fn drop(&mut self) {
        self.present.fetch_add(1, Ordering::AcqRel);
    }
}

impl Mappings for KafkaMappings {
    #[expect(clippy::disallowed_methods, reason = "a dedicated thread polls the native client")]
    fn read(&self, topic: TopicId, partitions: i32) {
        let number = self.present.fetch_add(1, Ordering::AcqRel) + 1;
        let reading = Reading {
            number,
            present: Arc::clone(&self.present),
            sender: self.sender.clone(),
            topic,
            name: self.topic.clone(),
            partitions,
            decoder: Decoder::new(self.format.clone()),
            skips: SkipCounter::default(),
            failing: BTreeSet::new(),
        };
        let properties = self.properties.clone();
        std::thread::spawn(move || reading.run(&properties));
    }

    async fn next(&self) -> Event {
        let mut receiver = self.receiver.lock().await;
        loop {
            // The channel cannot close, because this reader holds a sender.
            let Some((number, event)) = receiver.recv().await else {
                return std::future::pending().await;
            };
            if number == self.present.load(Ordering::Acquire) {
                return event;
            }
        }
    }

    async fn ends(&self, partitions: &BTreeSet<MappingPartition>) -> Result<MappingEnds, Failure> {
        // A new client has no cached metadata, so what it looks up is newer than the fence.
        let admin = self.admin.fresh()?;
        let topic = describe_one_by(&self.admin, &admin, &self.topic, First::Same).await?.id;
        let ends = self.ends_seen_by(&admin, partitions).await?;
        // The log ends are listed by topic name. They belong to this topic if its id is still the same.
        if describe_one_by(&self.admin, &admin, &self.topic, First::Same).await?.id != topic {
            let detail = format!(
                "the mapping topic {} was recreated while its log ends were read; Sprag reads them again",
                self.topic
            );
            return Err(Failure::new(FailureClass::Retry, detail));
        }
        Ok(MappingEnds { topic: TopicId(topic), ends })
    }
}

type Ends = BTreeMap<MappingPartition, Result<MappingOffset, Failure>>;

impl KafkaMappings {
    /// The log ends of the topic that has the mapping topic's name, without a check of its id. A new client
    /// reads them, without cached metadata.
    ///
    /// # Errors
    ///
    /// If the request as a whole fails. Each partition has its own result.
    pub async fn ends_by_name(
        &self,
        partitions: &BTreeSet<MappingPartition>,
    ) -> Result<Ends, Failure> {
        self.ends_seen_by(&*self.admin.fresh()?, partitions).await
    }

    async fn ends_seen_by<C: ConsumerContext>(
        &self,
        admin: &Admin<C>,
        partitions: &BTreeSet<MappingPartition>,
    ) -> Result<Ends, Failure> {
        let what = format!("reading the log ends of mapping topic {}", self.topic);
        let wanted = partitions.iter().map(|at| (self.topic.as_str(), at.get()));
        let (latest, committed) = (OffsetSpec::Latest, Isolation::ReadCommitted);
        let listed = admin
            .list_offsets(wanted, latest, committed, REQUEST_TIMEOUT)
            .await
            .map_err(|error| self.admin.failed(&error, Doing::Reading, &what))?;
        let end = |outcome: Result<Option<(i64, String)>, NativeError>| match outcome {
            Ok(Some((offset, _))) => Ok(MappingOffset(offset)),
            Ok(None) => Err(Failure::new(FailureClass::Retry, format!("{what}: no offset"))),
            Err(error) => Err(self.admin.failed(&error, Doing::Reading, &what)),
        };
        let ends = listed.into_iter();
        Ok(ends.map(|part| (MappingPartition(part.partition), end(part.outcome))).collect())
    }
}

/// One reading of the topic from its start, in its own thread.
struct Reading {
    number: u64,
    present: Arc<AtomicU64>,
    sender: mpsc::Sender<(u64, Event)>,
    topic: TopicId,
    name: TopicName,
    partitions: i32,
    decoder: Decoder,
    skips: SkipCounter,
    /// The client's errors that were logged since it last delivered something.
    failing: BTreeSet<String>,
}

/// One batch's content for one partition.
#[derive(Default)]
struct Part {
    records: Vec<(MappingOffset, MappingRecord)>,
    position: Option<i64>,
    failed: Option<NativeError>,
}

impl Reading {
    fn run(mut self, properties: &Properties) {
        let Some(mut reader) = self.begun(properties) else {
            return;
        };
        while self.is_wanted() {
            let mut parts: BTreeMap<i32, Part> = BTreeMap::new();
            reader.poll(POLL, |delivered| self.take(delivered, &mut parts));
            for (partition, part) in parts {
                if !self.pass_on(MappingPartition(partition), part) {
                    return;
                }
            }
        }
    }

    fn is_wanted(&self) -> bool {
        self.number == self.present.load(Ordering::Acquire)
    }

    /// Creates the client. If that fails, for example for lack of threads or sockets, it tries again until it
    /// succeeds. `None` if nobody listens any more.
    #[expect(clippy::disallowed_methods, reason = "this thread has nothing to do until then")]
    fn begun(&self, properties: &Properties) -> Option<BatchReader<DefaultConsumerContext>> {
        let (name, again) = (&self.name, RETRY.as_secs());
        let what = format!("reading mapping topic {name} (next attempt in {again} s)");
        while self.is_wanted() {
            match self.assigned(properties) {
                Ok(reader) => return Some(reader),
                Err(error) => {
                    let failure = failure(&super::errors::native(&error), Doing::Reading, &what);
                    if !self.send(self.failed(MappingPartition(0), false, failure)) {
                        return None;
                    }
                }
            }
            std::thread::sleep(RETRY);
        }
        None
    }

    fn assigned(
        &self,
        properties: &Properties,
    ) -> Result<BatchReader<DefaultConsumerContext>, rdkafka::error::KafkaError> {
        let ours = [
            ("group.id", "sprag-mappings"),
            ("isolation.level", "read_committed"),
            ("auto.offset.reset", "error"),
            ("enable.partition.eof", "true"),
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            ("allow.auto.create.topics", "false"),
            ("fetch.wait.max.ms", "100"),
            // Even a slow link carries this much before the request times out.
            ("fetch.max.bytes", "8388608"),
            ("fetch.queue.backoff.ms", "10"),
        ];
        let consumer: BaseConsumer = client_config(properties, &ours).create()?;
        let mut assignment = TopicPartitionList::new();
        for partition in 0..self.partitions {
            assignment.add_partition_offset(self.name.as_str(), partition, Offset::Beginning)?;
        }
        consumer.assign(&assignment)?;
        Ok(BatchReader::new(consumer, BATCH))
    }

    fn take(&mut self, delivered: Delivered<'_>, parts: &mut BTreeMap<i32, Part>) {
        if matches!(delivered, Delivered::Record { .. } | Delivered::End { .. }) {
            self.failing.clear();
        }
        match delivered {
            Delivered::Record { partition, offset, key, value } => {
                let part = parts.entry(partition).or_default();
                part.position = Some(offset.saturating_add(1));
                match self.decoder.decode(key, value) {
                    Ok(record) => part.records.push((MappingOffset(offset), record)),
                    Err(skip) => {
                        let at = (MappingPartition(partition), MappingOffset(offset));
                        if self.skips.record(skip.kind(), at.0, at.1) {
                            tracing::info!(
                                topic = self.name.as_str(),
                                partition,
                                offset,
                                "a mapping record was skipped: {skip} (logged once per kind)"
                            );
                        }
                    }
                }
            }
            Delivered::End { partition, position } => {
                parts.entry(partition).or_default().position = Some(position);
            }
            Delivered::PartitionFailed { partition, error } => {
                parts.entry(partition).or_default().failed = Some(error);
            }
            Delivered::Failed(error) => self.client_failed(&error),
        }
    }

    /// Logs an error of the client as a whole, but each only once until the client delivers something again.
    /// The client keeps trying. "All brokers are down" is not logged if it follows another error.
    fn client_failed(&mut self, error: &NativeError) {
        let sentence = plain_sentence(&error.message);
        let follows = error.code == Code::AllBrokersDown && !self.failing.is_empty();
        if !follows && self.failing.insert(sentence.to_owned()) {
            tracing::warn!(
                topic = self.name.as_str(),
                "reading the mapping topic: {sentence}; Sprag tries again"
            );
        }
    }

    /// Sends the events for one partition. False if nobody listens any more.
    fn pass_on(&self, partition: MappingPartition, part: Part) -> bool {
        let Part { records, position, failed } = part;
        let mut listening = true;
        if let Some(position) = position {
            let (topic, position) = (self.topic, MappingOffset(position));
            listening = self.send(Event::MappingsRead { topic, partition, records, position });
        }
        if let Some(error) = failed {
            let gone = matches!(error.code, Code::OffsetOutOfRange | Code::AutoOffsetReset);
            let what = format!("reading mapping topic {}-{partition}", self.name);
            let failure = failure(&error, Doing::Reading, &what);
            listening = self.send(self.failed(partition, gone, failure));
        }
        listening
    }

    fn failed(&self, partition: MappingPartition, out_of_range: bool, failure: Failure) -> Event {
        Event::MappingReadFailed { topic: self.topic, partition, out_of_range, failure }
    }

    fn send(&self, event: Event) -> bool {
        self.sender.blocking_send((self.number, event)).is_ok()
    }
}
