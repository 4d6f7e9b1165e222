use std::collections::BTreeMap;
use std::time::Instant;

use rdkafka::consumer::Consumer;
use rdkafka::producer::{BaseRecord, Producer};
use rdkafka::types::RDKafkaErrorCode as Code;
use rdkafka::{Offset, TopicPartitionList};

use super::*;
use crate::kafka::ffi::batch::{BatchReader, Delivered};

type Read = (i64, Option<Vec<u8>>, Option<Vec<u8>>);

#[derive(Default)]
struct Seen {
    records: BTreeMap<i32, Vec<Read>>,
    ends: BTreeMap<i32, i64>,
    failed: BTreeMap<i32, Code>,
}

fn reader(
    cluster: &Mock,
    from: &[(i32, Offset)],
    most: usize,
) -> BatchReader<DefaultConsumerContext> {
    let mut config = config(&cluster.bootstrap_servers());
    config.set("enable.partition.eof", "true");
    config.set("auto.offset.reset", "error");
    config.set("enable.auto.commit", "false");
    config.set("topic.metadata.propagation.max.ms", "100");
    let consumer: BaseConsumer = config.create().unwrap();
    let mut list = TopicPartitionList::new();
    for (partition, offset) in from {
        list.add_partition_offset(TOPIC, *partition, *offset).unwrap();
    }
    consumer.assign(&list).unwrap();
    BatchReader::new(consumer, most)
}

/// Polls until `done`, or fails.
fn poll_until(
    reader: &mut BatchReader<DefaultConsumerContext>,
    done: impl Fn(&Seen) -> bool,
) -> Seen {
    let (mut seen, deadline) = (Seen::default(), Instant::now() + PATIENCE);
    while !done(&seen) {
        assert!(Instant::now() < deadline, "not done in time");
        reader.poll(Duration::from_millis(100), |delivered| match delivered {
            Delivered::Record { partition, offset, key, value } => seen
                .records
                .entry(partition)
                .or_default()
                .push((offset, key.map(<[u8]>::to_vec), value.map(<[u8]>::to_vec))),
            Delivered::End { partition, position } => {
                seen.ends.insert(partition, position);
            }
            Delivered::PartitionFailed { partition, error } => {
                seen.failed.insert(partition, error.code);
            }
            Delivered::Failed(error) => panic!("{error}"),
        });
    }
    seen
}

#[test]
fn records_come_whole_and_in_order_and_ends_have_their_partition_and_position() {
    let cluster = mock(&[(TOPIC, 2)]);
    let producer = producer(&cluster, &[]);
    let record = || BaseRecord::<[u8], [u8]>::to(TOPIC).partition(1);
    for (key, value) in [("k", "v"), ("", "")].map(|(k, v)| (k.as_bytes(), v.as_bytes())) {
        producer.send(record().key(key).payload(value)).unwrap();
    }
    producer.send(record().key(b"\xff\x00").payload(b"\x00\xfe")).unwrap();
    producer.send(record()).unwrap();
    producer.flush(PATIENCE).unwrap();
    let bytes = |bytes: &[u8]| Some(bytes.to_vec());
    let expected: Vec<Read> = vec![
        (0, bytes(b"k"), bytes(b"v")),
        (1, bytes(b""), bytes(b"")),
        (2, bytes(b"\xff\x00"), bytes(b"\x00\xfe")),
        (3, None, None),
    ];
    // Batches that are smaller than the log must not lose records either.
    for most in [1, 3, 1000] {
        let from = [(0, Offset::Beginning), (1, Offset::Beginning)];
        let mut reader = reader(&cluster, &from, most);
        let seen = poll_until(&mut reader, |seen| seen.ends.len() == 2);
        assert_eq!(seen.ends, BTreeMap::from([(0, 0), (1, 4)]));
        assert_eq!(seen.records, BTreeMap::from([(1, expected.clone())]));
        assert_eq!(seen.failed, BTreeMap::new());
    }
}

#[test]
fn a_partition_that_cannot_be_read_is_named_and_the_others_are_read() {
    let cluster = mock(&[(TOPIC, 2)]);
    let beyond = [(0, Offset::Offset(5000)), (1, Offset::Beginning)];
    let mut reader = reader(&cluster, &beyond, 100);
    let seen = poll_until(&mut reader, |seen| !seen.failed.is_empty() && !seen.ends.is_empty());
    assert_eq!(seen.failed, BTreeMap::from([(0, Code::AutoOffsetReset)]));
    assert_eq!(seen.ends, BTreeMap::from([(1, 0)]));
}

#[test]
fn a_partition_that_does_not_exist_is_named() {
    let cluster = mock(&[(TOPIC, 1)]);
    let missing = [(3, Offset::Beginning), (0, Offset::Beginning)];
    let mut reader = reader(&cluster, &missing, 100);
    let seen = poll_until(&mut reader, |seen| seen.failed.contains_key(&3));
    assert_eq!(seen.failed, BTreeMap::from([(3, Code::UnknownPartition)]));
}

#[test]
fn a_broker_that_is_not_there_is_an_error_of_the_whole() {
    let consumer: BaseConsumer = config(&nobody()).create().unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(TOPIC, 0, Offset::Beginning).unwrap();
    consumer.assign(&list).unwrap();
    let mut reader = BatchReader::new(consumer, 100);
    let (mut failed, deadline) = (Vec::new(), Instant::now() + PATIENCE);
    while !failed.contains(&Code::AllBrokersDown) {
        assert!(Instant::now() < deadline, "only {failed:?}");
        reader.poll(Duration::from_millis(100), |delivered| match delivered {
            Delivered::Failed(error) => failed.push(error.code),
            Delivered::Record { .. }
            | Delivered::End { .. }
            | Delivered::PartitionFailed { .. } => panic!("nothing can be read"),
        });
    }
}
