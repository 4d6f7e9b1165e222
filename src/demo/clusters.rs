//! The two mock clusters, and a small replicator that copies records and publishes mappings.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer};
use rdkafka::types::RDKafkaErrorCode as Code;
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::kafka::client::Properties;
use sprag_core::ids::{
    PublisherId, SourceOffset, SourcePartition, TargetOffset, TargetPartition, TopicId,
};
use sprag_core::mapping::{Chunk, Run};
use sprag_mapping::native::{ChunkPlace, encode};

/// The source topic.
pub(super) const SOURCE_TOPIC: &str = "orders";
/// The copy of the source topic on the target.
pub(super) const TARGET_TOPIC: &str = "dr.orders";
/// The mapping topic, on the target.
pub(super) const MAPPINGS: &str = "__k2k_offset_mappings";
/// The fence topic, on the target.
pub(super) const FENCES: &str = "__sprag.demo.fences";
/// How many records are replicated at the start.
pub(super) const RECORDS: i64 = 60_000;

/// The id of the source topic. Mock clusters report no topic ids, so the demo's ports and its replicator
/// share these constants.
pub(super) const SOURCE_ID: TopicId = TopicId([1; 16]);
/// The id of the target topic. See [`SOURCE_ID`].
pub(super) const TARGET_ID: TopicId = TopicId([2; 16]);

const STRETCH: i64 = 1000;
const WAIT: Duration = Duration::from_secs(10);

type Cluster = MockCluster<'static, DefaultProducerContext>;

/// Both clusters. They run until this is dropped.
pub(super) struct Clusters {
    source: Cluster,
    target: Cluster,
    copied: i64,
    target_end: i64,
}

impl Clusters {
    /// Starts both clusters and creates their topics.
    pub(super) fn start() -> Result<Self, KafkaError> {
        let (source, target) = (MockCluster::new(1)?, MockCluster::new(1)?);
        source.create_topic(SOURCE_TOPIC, 1, 1)?;
        for topic in [TARGET_TOPIC, MAPPINGS, FENCES] {
            target.create_topic(topic, 1, 1)?;
        }
        Ok(Self { source, target, copied: 0, target_end: 0 })
    }

    /// The client properties for the source.
    pub(super) fn source(&self) -> Properties {
        properties(&self.source)
    }

    /// The client properties for the target.
    pub(super) fn target(&self) -> Properties {
        properties(&self.target)
    }

    /// Writes `count` records to the source, copies them to other offsets on the target, and publishes
    /// the mappings: one run per thousand records, with a gap on the target before each run.
    pub(super) fn replicate(&mut self, count: i64) -> Result<(), KafkaError> {
        let (from, until) = (self.copied, self.copied + count);
        let to_source = producer(&self.source())?;
        for offset in from..until {
            send(&to_source, SOURCE_TOPIC, &[], offset.to_string().as_bytes())?;
        }
        to_source.flush(WAIT)?;
        let to_target = producer(&self.target())?;
        for start in (from..until).step_by(STRETCH as usize) {
            let len = STRETCH.min(until - start);
            for _ in 0..=start / STRETCH % 3 {
                send(&to_target, TARGET_TOPIC, &[], b"not a copy")?;
                self.target_end += 1;
            }
            let target = self.target_end;
            for offset in start..start + len {
                send(&to_target, TARGET_TOPIC, &[], offset.to_string().as_bytes())?;
            }
            self.target_end += len;
            let (key, value) = chunk(start, target, len);
            send(&to_target, MAPPINGS, &key, &value)?;
        }
        to_target.flush(WAIT)?;
        self.copied = until;
        Ok(())
    }

    /// Commits on the source, as the group's own consumer would.
    pub(super) fn commit_source(&self, group: &str, offset: i64) -> Result<(), KafkaError> {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(SOURCE_TOPIC, 0, Offset::Offset(offset))?;
        consumer(&self.source(), group)?.commit(&list, CommitMode::Sync)
    }

    /// The group's committed offset on the target.
    pub(super) fn target_offset(&self, group: &str) -> Result<Option<i64>, KafkaError> {
        let mut list = TopicPartitionList::new();
        list.add_partition(TARGET_TOPIC, 0);
        let read = consumer(&self.target(), group)?.committed_offsets(list, WAIT)?;
        let found = read.find_partition(TARGET_TOPIC, 0);
        Ok(found.and_then(|part| match part.offset() {
            Offset::Offset(offset) => Some(offset),
            Offset::Beginning
            | Offset::End
            | Offset::Stored
            | Offset::Invalid
            | Offset::OffsetTail(_) => None,
        }))
    }

    /// Reads all copies on the target. Returns each copy's target offset and source offset.
    pub(super) fn copies(&self) -> Result<Vec<(i64, i64)>, KafkaError> {
        let reader = consumer(&self.target(), "demo-reader")?;
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(TARGET_TOPIC, 0, Offset::Beginning)?;
        reader.assign(&list)?;
        let mut copies = Vec::new();
        loop {
            match reader.poll(WAIT) {
                None => return Err(KafkaError::MessageConsumption(Code::OperationTimedOut)),
                Some(Err(KafkaError::PartitionEOF(_))) => return Ok(copies),
                Some(Err(error)) => return Err(error),
                Some(Ok(message)) => {
                    let copy = message.payload().and_then(|value| std::str::from_utf8(value).ok());
                    let source = copy.and_then(|value| value.parse().ok());
                    copies.extend(source.map(|source| (message.offset(), source)));
                }
            }
        }
    }
}

fn properties(cluster: &Cluster) -> Properties {
    BTreeMap::from([("bootstrap.servers".to_owned(), cluster.bootstrap_servers())])
}

fn config(properties: &Properties) -> ClientConfig {
    crate::kafka::client::client_config(properties, &[])
}

fn producer(properties: &Properties) -> Result<BaseProducer, KafkaError> {
    config(properties)
        .set("linger.ms", "20")
        .set("queue.buffering.max.messages", "1000000")
        .create()
}

fn consumer(properties: &Properties, group: &str) -> Result<BaseConsumer, KafkaError> {
    config(properties)
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("auto.offset.reset", "earliest")
        .create()
}

fn send(producer: &BaseProducer, topic: &str, key: &[u8], value: &[u8]) -> Result<(), KafkaError> {
    let record = BaseRecord::to(topic).partition(0).key(key).payload(value);
    producer.send(record).map_err(|(error, _)| error)
}

fn chunk(source: i64, target: i64, len: i64) -> (Vec<u8>, Vec<u8>) {
    let chunk = Chunk {
        source: SourcePartition::new(SOURCE_TOPIC, 0),
        target: TargetPartition::new(TARGET_TOPIC, 0),
        source_topic_id: SOURCE_ID,
        target_topic_id: TARGET_ID,
        publisher: PublisherId::from("demo"),
        runs: vec![Run {
            source: SourceOffset(source),
            target: TargetOffset(target),
            len: len.unsigned_abs(),
        }],
    };
    let place = ChunkPlace { epoch: 1, sequence: source / STRETCH, newest_timestamp: 0 };
    encode(&chunk, place).unwrap_or_default()
}
