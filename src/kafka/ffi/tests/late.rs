use rdkafka::TopicPartitionList;
use rdkafka::types::{RDKafkaApiKey as Key, RDKafkaRespErr as Err};

use super::*;
use crate::kafka::ffi::NativeError;
use crate::kafka::ffi::producer::Producer;

fn transactional(cluster: &Mock) -> Producer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", cluster.bootstrap_servers());
    config.set("transactional.id", "t");
    config.set("retry.backoff.ms", "10");
    let producer = Producer::new(&config).unwrap();
    producer.init_transactions(PATIENCE).unwrap();
    producer
}

fn write(producer: &Producer) -> Result<(), NativeError> {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(TOPIC, 0, rdkafka::Offset::Offset(7)).unwrap();
    producer.begin_transaction()?;
    producer.send_offsets("g", "sprag", &list, PATIENCE)
}

/// Commits offsets in one transaction and a record in another, which takes every request that is watched.
/// Returns the number of unanswered requests after each step.
fn commits(producer: &Producer) -> [i64; 3] {
    write(producer).unwrap();
    let written = producer.unanswered();
    producer.commit_transaction(PATIENCE).unwrap();
    let committed = producer.unanswered();
    producer.begin_transaction().unwrap();
    let sent = producer.send(TOPIC, 0, "key", "value").unwrap();
    producer.commit_transaction(PATIENCE).unwrap();
    assert!(producer.delivery(sent).unwrap().unwrap() >= 0);
    [written, committed, producer.unanswered()]
}

#[test]
fn every_request_of_a_healthy_producer_is_answered() {
    let cluster = mock(&[(TOPIC, 1)]);
    let producer = transactional(&cluster);
    for _ in 0..20 {
        assert_eq!(commits(&producer), [0, 0, 0]);
    }
    assert!(!producer.late_request_possible());
}

#[test]
fn a_refusal_that_is_tried_again_is_an_answer() {
    let cluster = mock(&[(TOPIC, 1)]);
    let producer = transactional(&cluster);
    let busy = [Err::RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS; 3];
    for key in [Key::AddOffsetsToTxn, Key::TxnOffsetCommit, Key::EndTxn, Key::AddPartitionsToTxn] {
        cluster.request_errors(key, &busy);
        assert_eq!(commits(&producer), [0, 0, 0], "{key:?}");
    }
}

#[test]
fn a_request_whose_connection_breaks_stays_unanswered_although_its_retry_succeeds() {
    for (key, unanswered) in [
        (Key::AddOffsetsToTxn, [1, 1, 1]),
        (Key::TxnOffsetCommit, [1, 1, 1]),
        (Key::EndTxn, [0, 1, 1]),
        (Key::AddPartitionsToTxn, [0, 0, 1]),
        (Key::Produce, [0, 0, 1]),
    ] {
        let cluster = mock(&[(TOPIC, 1)]);
        let producer = transactional(&cluster);
        cluster.request_errors(key, &[Err::RD_KAFKA_RESP_ERR__TRANSPORT]);
        assert_eq!(commits(&producer), unanswered, "{key:?}");
        assert!(producer.late_request_possible(), "{key:?}");
    }
}

#[test]
fn a_request_that_was_never_sent_is_not_late() {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", nobody()).set("transactional.id", "t");
    let producer = Producer::new(&config).unwrap();
    assert!(producer.init_transactions(Duration::from_millis(200)).is_err());
    assert_eq!(producer.unanswered(), 0);
}

#[test]
fn a_record_without_a_transaction_is_delivered_or_says_why_not() {
    let cluster = mock(&[(TOPIC, 1)]);
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", cluster.bootstrap_servers());
    config.set("enable.idempotence", "true");
    let producer = Producer::new(&config).unwrap();
    for offset in 0..3 {
        let sent = producer.send(TOPIC, 0, "key", "value").unwrap();
        producer.flush(PATIENCE).unwrap();
        assert_eq!(producer.delivery(sent), Some(Ok(offset)));
    }
    let refused = Err::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
    cluster.request_errors(Key::Produce, &[refused]);
    let sent = producer.send(TOPIC, 0, "key", "value").unwrap();
    producer.flush(PATIENCE).unwrap();
    let error = producer.delivery(sent).unwrap().unwrap_err();
    assert_eq!(error.code, rdkafka::types::RDKafkaErrorCode::TopicAuthorizationFailed);
}
