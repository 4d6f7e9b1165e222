//! Reads on librdkafka's mock cluster.

#![allow(clippy::unwrap_used)]

use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer};

use super::*;

const FENCES: &str = "fences";

/// A fence partition with these records, from offset 0.
fn partition(
    records: &[(&str, Option<&str>)],
) -> (MockCluster<'static, DefaultProducerContext>, KafkaFenceReader) {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic(FENCES, 1, 1).unwrap();
    let servers = cluster.bootstrap_servers();
    let properties = Properties::from([("bootstrap.servers".to_owned(), servers)]);
    let producer: BaseProducer = client_config(&properties, &[]).create().unwrap();
    for (key, value) in records {
        let record = BaseRecord::<str, str>::to(FENCES).partition(0).key(key);
        let record = match value {
            Some(value) => record.payload(*value),
            None => record,
        };
        producer.send(record).map_err(|(error, _)| error).unwrap();
    }
    producer.flush(REQUEST_TIMEOUT).unwrap();
    (cluster, KafkaFenceReader::new(properties, TopicName::from(FENCES)))
}

fn read(reader: &KafkaFenceReader, from: ReadFrom) -> Result<FenceRecords, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(reader.read(Shard(0), from))
}

fn records(newest: &[(&str, i64, Option<&str>)], end: i64) -> FenceRecords {
    let one = |(key, offset, value): &(&str, i64, Option<&str>)| {
        ((*key).to_owned(), (Fence(*offset), value.map(str::to_owned)))
    };
    FenceRecords { newest: newest.iter().map(one).collect(), end: Fence(end) }
}

#[test]
fn a_read_from_the_log_start_returns_the_newest_record_of_each_key() {
    let all = [("a", Some("1")), ("b", Some("2")), ("a", Some("3")), ("b", None)];
    let (_cluster, reader) = partition(&all);
    let expected = records(&[("a", 2, Some("3")), ("b", 3, None)], 4);
    assert_eq!(read(&reader, ReadFrom::LogStart), Ok(expected));
}

#[test]
fn a_read_from_an_offset_returns_what_was_written_since() {
    let (_cluster, reader) = partition(&[("a", Some("1")), ("b", Some("2")), ("a", None)]);
    let later = records(&[("a", 2, None), ("b", 1, Some("2"))], 3);
    assert_eq!(read(&reader, ReadFrom::Offset(Fence(1))), Ok(later));
    assert_eq!(read(&reader, ReadFrom::Offset(Fence(3))), Ok(records(&[], 3)));
}

#[test]
fn a_read_of_an_empty_partition_ends_at_its_start() {
    let (_cluster, reader) = partition(&[]);
    assert_eq!(read(&reader, ReadFrom::LogStart), Ok(records(&[], 0)));
}

#[test]
fn a_read_from_beyond_the_end_fails() {
    let (_cluster, reader) = partition(&[("a", Some("1"))]);
    let failure = read(&reader, ReadFrom::Offset(Fence(7))).unwrap_err();
    assert_eq!(failure.class, FailureClass::Retry);
    assert!(failure.to_string().contains("the log no longer contains the offset"), "{failure}");
}
