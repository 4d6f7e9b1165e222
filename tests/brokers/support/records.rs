//! Records whose value is their own source offset, so that the target itself shows the true target
//! offset of every source offset.

use super::DEADLINE;
use super::clients::{config, group_config};
use super::cluster::Cluster;
use super::topics::{log_range, wait_for_topic};
use super::wait::eventually;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use rdkafka::{ClientContext, Offset, TopicPartitionList};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A record as read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// Its offset.
    pub(crate) offset: i64,
    /// Its timestamp in milliseconds since the epoch, if it has one.
    pub(crate) timestamp: Option<i64>,
    /// Its key.
    pub(crate) key: Option<Vec<u8>>,
    /// Its value. `None` is a tombstone.
    pub(crate) value: Option<Vec<u8>>,
}

impl Record {
    /// The source offset that [`produce`] wrote as its value.
    ///
    /// # Panics
    /// If the value is anything else.
    #[track_caller]
    pub(crate) fn source_offset(&self) -> i64 {
        self.value
            .as_deref()
            .and_then(|value| std::str::from_utf8(value).ok()?.parse().ok())
            .unwrap_or_else(|| panic!("the value is not a source offset: {self:?}"))
    }
}

/// Appends `count` records to a partition and returns their offsets. The value of each record is
/// its own offset in decimal. Nothing else may write to the partition meanwhile.
///
/// # Panics
/// If a record is not acknowledged, or does not land at the offset in its value.
#[track_caller]
pub(crate) fn produce(broker: &dyn Cluster, topic: &str, partition: i32, count: i64) -> Range<i64> {
    let first = log_range(broker, topic, partition).end;
    let producer = producer(broker, None);
    send_numbered(&producer, topic, partition, first..first + count);
    first..first + count
}

/// Like [`produce`], in one transaction. Its marker takes the offset after the last record: a gap
/// that the replicator does not copy.
#[track_caller]
pub(crate) fn produce_in_transaction(
    broker: &dyn Cluster,
    topic: &str,
    partition: i32,
    count: i64,
) -> Range<i64> {
    let first = log_range(broker, topic, partition).end;
    let producer = producer(broker, Some(&format!("tests.{topic}.{partition}")));
    producer.init_transactions(DEADLINE).expect("a transactional producer");
    producer.begin_transaction().expect("a transaction");
    send_numbered(&producer, topic, partition, first..first + count);
    producer.commit_transaction(DEADLINE).expect("the transaction to commit");
    // The coordinator answers once the outcome is decided. It writes the marker later.
    eventually(DEADLINE, "the transaction's marker", || {
        match log_range(broker, topic, partition).end {
            end if end == first + count + 1 => Ok(()),
            end => Err(format!("the log end offset is {end}")),
        }
    });
    first..first + count
}

/// Appends one record as it is, and returns its offset. For keyed, foreign and malformed records.
#[track_caller]
pub(crate) fn produce_raw(
    broker: &dyn Cluster,
    topic: &str,
    partition: i32,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
) -> i64 {
    let producer = producer(broker, None);
    let mut record = BaseRecord::<[u8], [u8]>::to(topic).partition(partition);
    record.key = key;
    record.payload = value;
    producer.send(record).map_err(|(error, _)| error).expect("room for one record");
    await_deliveries(&producer, 1)[0]
}

/// Reads the committed records of a partition from the offset `from`, or from the log start if that
/// is later, to its end. An open transaction ends the read.
#[track_caller]
pub(crate) fn read(broker: &dyn Cluster, topic: &str, partition: i32, from: i64) -> Vec<Record> {
    let from = from.max(log_range(broker, topic, partition).start);
    let consumer: BaseConsumer = group_config(&broker.bootstrap(), "tests.reader")
        .set("enable.partition.eof", "true")
        .create()
        .expect("a consumer");
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, partition, Offset::Offset(from)).expect("an offset");
    consumer.assign(&list).expect("an assignment");
    let end = Instant::now() + DEADLINE;
    let mut records = Vec::new();
    loop {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => records.push(Record {
                offset: message.offset(),
                timestamp: message.timestamp().to_millis(),
                key: message.key().map(<[u8]>::to_vec),
                value: message.payload().map(<[u8]>::to_vec),
            }),
            Some(Err(KafkaError::PartitionEOF(_))) => return records,
            Some(Err(error)) if Instant::now() > end => {
                panic!("cannot read {topic}-{partition} from {from}: {error}")
            }
            Some(Err(_)) => {}
            None => assert!(
                Instant::now() < end,
                "{topic}-{partition} was not read to its end within {DEADLINE:?}"
            ),
        }
    }
}

/// The target offset of the first replicated record at or after a source offset, or `None` without
/// such a record. A consumer that fails over must resume there or earlier.
#[track_caller]
pub(crate) fn true_target_offset(
    target: &dyn Cluster,
    topic: &str,
    partition: i32,
    source_offset: i64,
) -> Option<i64> {
    read(target, topic, partition, 0)
        .iter()
        .find(|record| record.source_offset() >= source_offset)
        .map(|record| record.offset)
}

/// Waits until the record at a source offset, or a later one, is on the target.
#[track_caller]
pub(crate) fn wait_for_replicated(
    target: &dyn Cluster,
    topic: &str,
    partition: i32,
    source_offset: i64,
) {
    let what = format!("the copy of the source offset {source_offset} in {topic}-{partition}");
    wait_for_topic(target, topic, partition + 1);
    eventually(DEADLINE, &what, || {
        let end = log_range(target, topic, partition).end;
        match read(target, topic, partition, end - 1).last() {
            Some(last) if last.source_offset() >= source_offset => Ok(()),
            Some(last) => Err(format!("the last copy is of {}", last.source_offset())),
            None => Err("no copy yet".to_owned()),
        }
    });
}

/// Collects the offset of each delivered record, in the order of the delivery reports.
#[derive(Clone, Default)]
struct Deliveries(Arc<Mutex<Vec<Result<i64, String>>>>);

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let landed = match result {
            Ok(message) => Ok(message.offset()),
            Err((error, _)) => Err(error.to_string()),
        };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(landed);
    }
}

/// Writes in order, and without duplicates unless a request is retried; [`send_numbered`] detects
/// such duplicates. Without a transactional id it is not idempotent, because a new client needs
/// half a second to get its producer id.
fn producer(broker: &dyn Cluster, transactional_id: Option<&str>) -> BaseProducer<Deliveries> {
    let mut config = config(&broker.bootstrap());
    config.set("linger.ms", "5").set("queue.buffering.max.messages", "1000000");
    match transactional_id {
        Some(id) => config.set("transactional.id", id),
        None => config.set("max.in.flight.requests.per.connection", "1"),
    };
    config.create_with_context(Deliveries::default()).expect("a producer")
}

#[track_caller]
fn send_numbered(
    producer: &BaseProducer<Deliveries>,
    topic: &str,
    partition: i32,
    offsets: Range<i64>,
) {
    for offset in offsets.clone() {
        let value = offset.to_string();
        let record = BaseRecord::<(), str>::to(topic).partition(partition).payload(&value);
        producer.send(record).map_err(|(error, _)| error).expect("room in the producer's queue");
    }
    let count = usize::try_from(offsets.end - offsets.start).expect("a number of records");
    let landed = await_deliveries(producer, count);
    assert!(
        landed.iter().copied().eq(offsets.clone()),
        "another client wrote to {topic}-{partition}: {count} records did not land at {offsets:?}"
    );
}

#[track_caller]
fn await_deliveries(producer: &BaseProducer<Deliveries>, count: usize) -> Vec<i64> {
    producer.flush(DEADLINE).expect("the broker to take all records");
    let reports = producer.context().0.lock().unwrap_or_else(PoisonError::into_inner);
    let landed: Result<Vec<i64>, String> = reports.iter().cloned().collect();
    let landed = landed.unwrap_or_else(|error| panic!("a record was not delivered: {error}"));
    assert_eq!(landed.len(), count, "one report for each record");
    landed
}
