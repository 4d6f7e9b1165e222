//! Tests on librdkafka's mock cluster, which can break a connection at a chosen request.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use rdkafka::Offset;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey as Key, RDKafkaRespErr as Err};

use super::*;

type Mock = MockCluster<'static, DefaultProducerContext>;

const FENCES: &str = "fences";
const BREAKS: &[Err] = &[Err::RD_KAFKA_RESP_ERR__TRANSPORT];

fn owner(mode: CommitMode) -> (Mock, ShardProducer) {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic(FENCES, 1, 1).unwrap();
    let servers = cluster.bootstrap_servers();
    let producers = Producers {
        properties: Properties::from([("bootstrap.servers".to_owned(), servers)]),
        prefix: "sprag.test".to_owned(),
        fence_topic: TopicName::from(FENCES),
        mode,
    };
    let owner = producers.make(Shard(0)).unwrap();
    if mode == CommitMode::Fenced {
        block_on(owner.init_transactions()).unwrap();
    }
    (cluster, owner)
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}

fn record() -> FenceRecord {
    FenceRecord { key: "takeover".to_owned(), value: "{}".to_owned() }
}

fn write_records(owner: &ShardProducer, count: usize) -> Result<Fence, Failure> {
    block_on(owner.write_records(vec![record(); count]))
}

fn write(owner: &ShardProducer) -> Result<(), Failure> {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(FENCES, 0, Offset::Offset(7)).unwrap();
    block_on(owner.write_offsets(GroupId::from("g"), list))
}

fn end(owner: &ShardProducer, end: TransactionEnd) -> Result<Aftermath, Failure> {
    block_on(owner.end_transaction(end))
}

#[test]
fn a_client_that_does_not_return_from_a_call_is_given_up() {
    let (_cluster, owner) = owner(CommitMode::Fenced);
    let (end, ended) = channel::<()>();
    let patience = Duration::from_millis(50);
    let outcome = block_on(owner.run("waiting", patience, move |_| {
        let _ = ended.recv();
        Ok(())
    }));
    let failure = outcome.unwrap_err();
    assert_eq!(failure.class, FailureClass::LateRequest);
    assert!(failure.to_string().starts_with("shard 0: waiting: "), "{failure}");
    drop(end);
}

#[test]
fn a_healthy_producer_leaves_nothing_behind() {
    for mode in [CommitMode::Fenced, CommitMode::Guarded] {
        let (_cluster, owner) = owner(mode);
        write_records(&owner, 1).expect("an offset");
        if mode == CommitMode::Guarded {
            continue;
        }
        for how in [TransactionEnd::Commit, TransactionEnd::Abort] {
            write(&owner).expect("a half");
            assert_eq!(end(&owner, how), Ok(Aftermath::Settled), "{how:?}");
        }
    }
}

#[test]
fn a_half_whose_requests_may_come_late_has_not_been_written() {
    for key in [Key::AddOffsetsToTxn, Key::TxnOffsetCommit] {
        let (cluster, owner) = owner(CommitMode::Fenced);
        cluster.request_errors(key, BREAKS);
        let failure = write(&owner).unwrap_err();
        assert_eq!(failure.class, FailureClass::LateRequest, "{key:?}: {failure}");
        assert!(failure.detail.contains("done; an earlier request"), "{failure}");
    }
}

#[test]
fn a_failure_is_reported_with_the_late_request() {
    let (cluster, owner) = owner(CommitMode::Fenced);
    let active = Err::RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID;
    cluster.request_errors(Key::TxnOffsetCommit, &[BREAKS[0], active]);
    let failure = write(&owner).unwrap_err();
    assert_eq!(failure.class, FailureClass::LateRequest, "{failure}");
    assert!(failure.detail.contains("UnknownMemberId"), "{failure}");
}

#[test]
fn a_fenced_producer_stays_fenced() {
    let (cluster, owner) = owner(CommitMode::Fenced);
    let fenced = Err::RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH;
    cluster.request_errors(Key::TxnOffsetCommit, &[BREAKS[0], fenced]);
    let failure = write(&owner).unwrap_err();
    assert_eq!(failure.class, FailureClass::Fenced, "{failure}");
}

#[test]
fn an_end_that_succeeds_reports_that_a_request_may_come_late() {
    for how in [TransactionEnd::Commit, TransactionEnd::Abort] {
        let (cluster, owner) = owner(CommitMode::Fenced);
        write(&owner).expect("a half");
        cluster.request_errors(Key::EndTxn, BREAKS);
        assert_eq!(end(&owner, how), Ok(Aftermath::LateRequest), "{how:?}");
    }
}

#[test]
fn a_fence_record_whose_requests_may_come_late_is_no_fence() {
    let fenced = [Key::AddPartitionsToTxn, Key::Produce, Key::EndTxn];
    let cases = fenced.map(|key| (CommitMode::Fenced, key));
    for (mode, key) in cases.into_iter().chain([(CommitMode::Guarded, Key::Produce)]) {
        let (cluster, owner) = owner(mode);
        cluster.request_errors(key, BREAKS);
        let failure = write_records(&owner, 1).unwrap_err();
        assert_eq!(failure.class, FailureClass::LateRequest, "{mode:?} {key:?}: {failure}");
    }
}

#[test]
fn all_records_of_a_batch_are_written_before_the_last_ones_offset_is_known() {
    for mode in [CommitMode::Fenced, CommitMode::Guarded] {
        let (_cluster, owner) = owner(mode);
        let Fence(first) = write_records(&owner, 1).expect("an offset");
        let Fence(last) = write_records(&owner, 500).expect("an offset");
        assert!(last >= first + 500, "{mode:?}: {first}, then {last}");
    }
}

#[test]
fn a_batch_that_a_broker_refuses_has_not_been_written() {
    let (cluster, owner) = owner(CommitMode::Fenced);
    cluster.request_errors(Key::Produce, &[Err::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE]);
    let failure = write_records(&owner, 500).unwrap_err();
    assert_eq!(failure.class, FailureClass::Abort, "{failure}");
    assert!(failure.detail.contains("500 records"), "{failure}");
}

#[test]
fn a_batch_with_a_request_that_may_come_late_has_not_been_written() {
    for mode in [CommitMode::Fenced, CommitMode::Guarded] {
        let (cluster, owner) = owner(mode);
        cluster.request_errors(Key::Produce, BREAKS);
        let failure = write_records(&owner, 500).unwrap_err();
        assert_eq!(failure.class, FailureClass::LateRequest, "{mode:?}: {failure}");
    }
}

#[test]
fn an_end_that_is_in_doubt_says_what_may_stand() {
    let state = Err::RD_KAFKA_RESP_ERR_INVALID_TXN_STATE;
    for how in [TransactionEnd::Commit, TransactionEnd::Abort] {
        let (cluster, owner) = owner(CommitMode::Fenced);
        write(&owner).expect("a half");
        cluster.request_errors(Key::EndTxn, &[state]);
        let failure = end(&owner, how).unwrap_err();
        assert_eq!(failure.class, FailureClass::Fenced, "{failure}");
        assert!(failure.detail.contains(UNVERIFIED), "{failure}");
    }
}

#[test]
fn an_end_that_a_later_owner_refuses_is_not_in_doubt() {
    let (cluster, owner) = owner(CommitMode::Fenced);
    write(&owner).expect("a half");
    cluster.request_errors(Key::EndTxn, &[Err::RD_KAFKA_RESP_ERR_PRODUCER_FENCED]);
    let failure = end(&owner, TransactionEnd::Abort).unwrap_err();
    assert_eq!(failure.class, FailureClass::Fenced, "{failure}");
    assert!(!failure.detail.contains(UNVERIFIED), "{failure}");
}
