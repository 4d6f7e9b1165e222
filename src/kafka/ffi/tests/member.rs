use rdkafka::TopicPartitionList;
use rdkafka::producer::Producer;
use rdkafka::types::{RDKafkaApiKey, RDKafkaErrorCode as Code, RDKafkaRespErr};

use super::*;
use crate::kafka::ffi::NativeError;
use crate::kafka::ffi::transaction_offsets::send_offsets;

fn transactional(cluster: &Mock) -> BaseProducer {
    let producer = producer(cluster, &[("transactional.id", "t")]);
    producer.init_transactions(PATIENCE).unwrap();
    producer.begin_transaction().unwrap();
    producer
}

fn send(producer: &BaseProducer) -> Result<(), NativeError> {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(TOPIC, 0, rdkafka::Offset::Offset(7)).unwrap();
    send_offsets(producer.client(), "g", "sprag", &list, PATIENCE)
}

#[test]
fn offsets_go_into_the_open_transaction() {
    let cluster = mock(&[(TOPIC, 1)]);
    let producer = transactional(&cluster);
    assert_eq!(send(&producer), Ok(()));
    producer.commit_transaction(PATIENCE).unwrap();
}

#[test]
fn the_member_check_is_abortable_and_the_producer_goes_on() {
    let cluster = mock(&[(TOPIC, 1)]);
    let producer = transactional(&cluster);
    let refused = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID];
    cluster.request_errors(RDKafkaApiKey::TxnOffsetCommit, &refused);
    let error = send(&producer).unwrap_err();
    assert_eq!(error.code, Code::UnknownMemberId, "{error}");
    assert_eq!((error.abortable, error.fatal), (true, false));
    producer.abort_transaction(PATIENCE).unwrap();
    producer.begin_transaction().unwrap();
    assert_eq!(send(&producer), Ok(()));
    producer.commit_transaction(PATIENCE).unwrap();
}

#[test]
fn a_fenced_producer_is_reported_as_unusable() {
    let cluster = mock(&[(TOPIC, 1)]);
    let producer = transactional(&cluster);
    let fenced = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH];
    cluster.request_errors(RDKafkaApiKey::TxnOffsetCommit, &fenced);
    let error = send(&producer).unwrap_err();
    assert!(error.fatal, "{error:?}");
    assert_eq!(error.code, Code::Fenced, "{error}");
}

#[test]
fn outside_of_a_transaction_nothing_is_sent() {
    let cluster = mock(&[(TOPIC, 1)]);
    let producer = producer(&cluster, &[("transactional.id", "t")]);
    producer.init_transactions(PATIENCE).unwrap();
    assert_eq!(send(&producer).unwrap_err().code, Code::State);
}
