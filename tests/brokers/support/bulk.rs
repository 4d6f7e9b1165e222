//! Appends many records of any content, in order.

use super::DEADLINE;
use super::clients::config;
use super::cluster::Cluster;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use std::time::Duration;

/// Appends records given as (key, value). An empty key means no key.
///
/// # Panics
/// If the broker does not accept them all.
#[track_caller]
pub(crate) fn produce_pairs(
    broker: &dyn Cluster,
    topic: &str,
    partition: i32,
    records: impl Iterator<Item = (Vec<u8>, Vec<u8>)>,
) {
    let producer: BaseProducer = config(&broker.bootstrap())
        .set("enable.idempotence", "true")
        .set("linger.ms", "20")
        .set("queue.buffering.max.messages", "1000000")
        .create()
        .expect("a producer");
    for (key, value) in records {
        let mut record = BaseRecord::<[u8], [u8]>::to(topic).partition(partition).payload(&value);
        if !key.is_empty() {
            record = record.key(&key);
        }
        while let Err((error, again)) = producer.send(record) {
            assert!(
                matches!(error, KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull)),
                "{error}"
            );
            producer.poll(Duration::from_millis(10));
            record = again;
        }
    }
    producer.flush(DEADLINE).expect("the broker to take all records");
}

/// Appends one record for each number. Its value is the number in decimal.
#[track_caller]
pub(crate) fn produce_values(
    broker: &dyn Cluster,
    topic: &str,
    partition: i32,
    values: impl Iterator<Item = i64>,
) {
    let records = values.map(|value| (Vec::new(), value.to_string().into_bytes()));
    produce_pairs(broker, topic, partition, records);
}

/// Appends `records` records to each of the first `partitions` partitions.
#[track_caller]
pub(crate) fn produce_to_each(broker: &dyn Cluster, topic: &str, partitions: i32, records: i64) {
    let producer: BaseProducer =
        config(&broker.bootstrap()).set("linger.ms", "20").create().expect("a producer");
    for partition in 0..partitions {
        for nth in 0..records {
            let value = nth.to_string();
            let record = BaseRecord::<(), str>::to(topic).partition(partition).payload(&value);
            producer.send(record).map_err(|(error, _)| error).expect("room for a record");
        }
    }
    producer.flush(DEADLINE).expect("the broker to take all records");
}
