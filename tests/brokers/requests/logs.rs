//! Requests about topics and their logs, and the reader of whole partitions.

use super::*;
use crate::support::DEADLINE;
use crate::support::records::produce_in_transaction;
use crate::support::topics::{create_topic, delete_topic};
use crate::support::wait::eventually;
use rdkafka::consumer::Consumer;
use rdkafka::error::RDKafkaErrorCode as Code;
use rdkafka::producer::BaseRecord;
use sprag::kafka::ffi::NativeError;
use sprag::kafka::ffi::admin::{Isolation, NewTopic, OffsetSpec, TopicDescription};
use sprag::kafka::ffi::batch::{BatchReader, Delivered};
use std::time::{Duration, Instant};

const T: &str = "logged";
const MADE: &str = "made";

fn described(
    admin: &Admin<DefaultConsumerContext>,
    topic: &str,
) -> Result<TopicDescription, NativeError> {
    let names = [topic].into_iter();
    let described = block_on(admin.describe_topics(names, None, DEADLINE)).unwrap();
    let [(name, found)] = <[_; 1]>::try_from(described).unwrap();
    assert_eq!(name, topic);
    found
}

fn log_offset(
    admin: &Admin<DefaultConsumerContext>,
    partition: i32,
    spec: OffsetSpec,
    isolation: Isolation,
) -> Result<Option<i64>, NativeError> {
    let wanted = [(T, partition)].into_iter();
    let listed = block_on(admin.list_offsets(wanted, spec, isolation, DEADLINE)).unwrap();
    let found = of(&listed, T, partition).outcome.clone()?;
    Ok(found.map(|(offset, _)| offset))
}

pub(super) fn topics_are_created_and_distinguished_by_their_ids(broker: &Broker) {
    let admin = admin(broker);
    let missing = described(&admin, MADE).unwrap_err();
    assert_eq!(missing.code, Code::UnknownTopicOrPartition, "{missing}");
    let topic = NewTopic {
        name: MADE,
        partitions: 3,
        replication_factor: -1,
        config: &[("cleanup.policy", "compact")],
    };
    block_on(admin.create_topic(&topic, DEADLINE)).unwrap();
    let again = block_on(admin.create_topic(&topic, DEADLINE)).unwrap_err();
    assert_eq!(again.code, Code::TopicAlreadyExists, "{again}");
    let wrong = NewTopic { name: "other", config: &[("cleanup.policy", "nonsense")], ..topic };
    let wrong = block_on(admin.create_topic(&wrong, DEADLINE)).unwrap_err();
    assert_eq!(wrong.code, Code::InvalidConfig, "{wrong}");
    assert!(wrong.message.contains("nonsense"), "the broker's own words: {wrong}");

    let first = eventually(DEADLINE, "the topic", || described(&admin, MADE));
    assert_eq!((first.partitions, first.leaderless()), (3, 0));
    assert_ne!(first.id, [0; 16]);
    delete_topic(broker, MADE);
    create_topic(broker, MADE, 1);
    let second = eventually(DEADLINE, "the topic", || described(&admin, MADE));
    assert_eq!(second.partitions, 1);
    assert_ne!(second.id, first.id);
    let cluster = block_on(admin.cluster_id(DEADLINE));
    assert_eq!(cluster.as_deref(), Some(broker.cluster_id()));
}

pub(super) fn log_ends_follow_the_isolation_level_and_the_reader_reaches_them(broker: &Broker) {
    create_topic(broker, T, 2);
    assert_eq!(produce_in_transaction(broker, T, 0, 5), 0..5);
    let admin = admin(broker);
    let end = |isolation| log_offset(&admin, 0, OffsetSpec::Latest, isolation);
    // Five records and the transaction's marker.
    assert_eq!(end(Isolation::ReadCommitted), Ok(Some(6)));
    assert_eq!(log_offset(&admin, 0, OffsetSpec::Earliest, Isolation::ReadCommitted), Ok(Some(0)));
    let wrong = log_offset(&admin, 9, OffsetSpec::Latest, Isolation::ReadCommitted);
    assert!(wrong.is_err(), "{wrong:?}");

    let producer = transactional(broker, "open");
    producer.begin_transaction().unwrap();
    let open = BaseRecord::<str, str>::to(T).partition(0).payload("open");
    producer.send(open).unwrap();
    producer.flush(DEADLINE).unwrap();
    assert_eq!(end(Isolation::ReadUncommitted), Ok(Some(7)));
    assert_eq!(end(Isolation::ReadCommitted), Ok(Some(6)));
    assert_eq!(read_to_end(broker, 0), (5, 6));
    producer.abort_transaction(DEADLINE).unwrap();
    // The aborted record and its marker take offsets, but are never delivered.
    let settled = || end(Isolation::ReadCommitted).map(|end| end.filter(|end| *end == 8));
    eventually(DEADLINE, "the abort's marker", || settled().ok().flatten());
    assert_eq!(read_to_end(broker, 0), (5, 8));
    assert_eq!(read_to_end(broker, 1), (0, 0));
}

fn reader(broker: &Broker, partition: i32) -> BatchReader<DefaultConsumerContext> {
    let consumer: BaseConsumer = group_config(&broker.bootstrap(), "reader")
        .set("enable.partition.eof", "true")
        .create()
        .unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(T, partition, Offset::Beginning).unwrap();
    consumer.assign(&list).unwrap();
    BatchReader::new(consumer, 10_000)
}

/// The number of records, and the position at which the partition ended.
fn read_to_end(broker: &Broker, wanted: i32) -> (usize, i64) {
    let mut reader = reader(broker, wanted);
    let (mut records, mut end) = (0, None);
    let deadline = Instant::now() + DEADLINE;
    while end.is_none() {
        assert!(Instant::now() < deadline, "the end was not reached in time");
        reader.poll(Duration::from_millis(100), |delivered| match delivered {
            Delivered::Record { partition, .. } => {
                assert_eq!(partition, wanted);
                records += 1;
            }
            Delivered::End { partition, position } => {
                assert_eq!(partition, wanted);
                end = Some(position);
            }
            Delivered::PartitionFailed { error, .. } | Delivered::Failed(error) => {
                panic!("{error}")
            }
        });
    }
    (records, end.unwrap())
}
