use std::ffi::c_int;

use futures::future::join_all;
use rdkafka::mocking::MockCoordinator;
use rdkafka::producer::{BaseRecord, Producer};
use rdkafka::types::{RDKafkaApiKey, RDKafkaErrorCode as Code, RDKafkaRespErr};
use rdkafka::{Offset, TopicPartitionList};
use rdkafka_sys as sys;

use super::*;

/// The only broker of the mock cluster.
const BROKER: i32 = 1;
use crate::kafka::ffi::admin::{Isolation, NewTopic, OffsetSpec, PartitionOffset};

fn offsets(parts: &[(i32, i64, &str)]) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    for (partition, offset, metadata) in parts {
        let mut part = list.add_partition(TOPIC, *partition);
        part.set_offset(Offset::Offset(*offset)).unwrap();
        part.set_metadata(*metadata);
    }
    list
}

fn partitions(range: std::ops::Range<i32>) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    for partition in range {
        list.add_partition(TOPIC, partition);
    }
    list
}

fn of(answer: &[PartitionOffset], partition: i32) -> &PartitionOffset {
    let mut found = answer.iter().filter(|part| part.partition == partition);
    let part = found.next().expect("the partition is in the answer");
    assert!(found.next().is_none(), "it is there once");
    part
}

#[tokio::test]
async fn committed_offsets_come_back_with_their_metadata_and_none_is_reported_as_none() {
    let cluster = mock(&[(TOPIC, 3)]);
    let admin = admin(&cluster.bootstrap_servers());
    let metadata = "k2k_v1:a|naïve \u{1F980}";
    let wanted = offsets(&[(0, 42, metadata), (1, 0, "")]);
    let committed = admin.alter_group_offsets("g", None, &wanted, PATIENCE).await;
    for part in committed.unwrap() {
        assert!(part.outcome.is_ok(), "{part:?}");
    }
    let asked = partitions(0..3);
    let read = admin.group_offsets("g", None, Some(&asked), true, PATIENCE).await;
    let read = read.unwrap();
    assert_eq!(of(&read, 0).outcome, Ok(Some((42, metadata.to_owned()))));
    assert_eq!(of(&read, 1).outcome, Ok(Some((0, String::new()))));
    assert_eq!(of(&read, 2).outcome, Ok(None));
    assert!(read.iter().all(|part| part.topic == TOPIC));
}

#[tokio::test]
async fn committed_offsets_are_read_at_the_broker_that_is_named() {
    let cluster = MockCluster::new(2).unwrap();
    cluster.create_topic(TOPIC, 1, 1).unwrap();
    let group = MockCoordinator::Group("g".to_owned());
    cluster.coordinator(group, 2).unwrap();
    let admin = admin(&cluster.bootstrap_servers());
    let committed = admin.alter_group_offsets("g", None, &offsets(&[(0, 42, "")]), PATIENCE).await;
    assert!(committed.unwrap()[0].outcome.is_ok());
    let asked = partitions(0..1);
    let read = admin.group_offsets("g", Some(2), Some(&asked), true, PATIENCE).await;
    assert_eq!(of(&read.unwrap(), 0).outcome, Ok(Some((42, String::new()))));
    let short = Duration::from_millis(300);
    let read = admin.group_offsets("g", Some(7), Some(&asked), true, short).await;
    assert_eq!(read.unwrap_err().code, Code::OperationTimedOut, "there is no such broker");
}

#[tokio::test]
async fn an_unstable_offset_is_an_error_and_never_none() {
    let cluster = mock(&[(TOPIC, 1)]);
    let unstable = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNSTABLE_OFFSET_COMMIT; 20];
    cluster.request_errors(RDKafkaApiKey::OffsetFetch, &unstable);
    let admin = admin(&cluster.bootstrap_servers());
    let asked = partitions(0..1);
    let read = admin.group_offsets("g", None, Some(&asked), true, PATIENCE).await;
    let error = match read {
        Err(error) => error,
        Ok(read) => of(&read, 0).outcome.clone().unwrap_err(),
    };
    assert_eq!(error.code, Code::UnstableOffsetCommit, "{error}");
}

#[tokio::test]
async fn log_ranges_of_known_partitions_and_an_error_for_unknown_ones() {
    let cluster = mock(&[(TOPIC, 2)]);
    let producer = producer(&cluster, &[]);
    for value in ["a", "b", "c"] {
        let record: BaseRecord<'_, str, str> = BaseRecord::to(TOPIC).partition(1).payload(value);
        producer.send(record).unwrap();
    }
    producer.flush(PATIENCE).unwrap();
    let admin = admin(&cluster.bootstrap_servers());
    for (spec, offset) in [(OffsetSpec::Earliest, 0), (OffsetSpec::Latest, 3)] {
        let wanted = [(TOPIC, 0), (TOPIC, 1), (TOPIC, 7), ("nothing", 0)];
        let isolation = Isolation::ReadCommitted;
        let listed = admin.list_offsets(wanted.into_iter(), spec, isolation, PATIENCE);
        let listed = listed.await.unwrap();
        assert_eq!(listed.len(), wanted.len(), "{listed:?}");
        for part in listed {
            let found = part.outcome.map(|found| found.map(|(offset, _)| offset));
            match (part.topic.as_str(), part.partition) {
                (TOPIC, 0) => assert_eq!(found, Ok(Some(0))),
                (TOPIC, 1) => assert_eq!(found, Ok(Some(offset))),
                _ => assert!(found.is_err(), "{found:?}"),
            }
        }
    }
    // If none of the partitions exists, the request as a whole does not fail either.
    let wanted = [("nothing", 0), (TOPIC, 7)];
    let latest = (OffsetSpec::Latest, Isolation::ReadCommitted);
    let listed = admin.list_offsets(wanted.into_iter(), latest.0, latest.1, PATIENCE);
    let listed = listed.await.unwrap();
    assert_eq!(listed.len(), wanted.len(), "{listed:?}");
    assert!(listed.iter().all(|part| part.outcome.is_err()), "{listed:?}");
    let none = std::iter::empty();
    let listed = admin.list_offsets(none, OffsetSpec::Latest, Isolation::ReadCommitted, PATIENCE);
    assert_eq!(listed.await, Ok(Vec::new()));
}

#[tokio::test]
async fn what_the_cluster_lacks_is_an_error_and_never_an_empty_answer() {
    let cluster = mock(&[]);
    let admin = admin(&cluster.bootstrap_servers());
    let complete = match admin.list_groups(PATIENCE).await {
        Ok(listings) => listings.errors.is_empty(),
        Err(_) => false,
    };
    assert!(!complete);
    assert!(admin.list_all_groups(PATIENCE).await.is_err());
    assert!(admin.describe_group("g", None, PATIENCE).await.is_err());
    let topic = NewTopic {
        name: TOPIC,
        partitions: 1,
        replication_factor: 1,
        config: &[("cleanup.policy", "compact")],
    };
    // The mock cluster has no controller, for which these two requests wait.
    let short = Duration::from_millis(200);
    let created = admin.create_topic(&topic, short).await;
    assert_eq!(created.unwrap_err().code, Code::OperationTimedOut);
    let described = admin.describe_topics([TOPIC].into_iter(), None, short).await;
    assert_eq!(described.unwrap_err().code, Code::OperationTimedOut);
}

#[tokio::test]
async fn what_librdkafka_would_not_take_is_refused() {
    let cluster = mock(&[(TOPIC, 1)]);
    let admin = admin(&cluster.bootstrap_servers());
    let invalid = |error: crate::kafka::ffi::NativeError| {
        assert_eq!(error.code, Code::InvalidArgument, "{error}");
    };
    let asked = partitions(0..1);
    let read = admin.group_offsets("a\0b", None, Some(&asked), true, PATIENCE).await;
    invalid(read.unwrap_err());
    let nothing = TopicPartitionList::new();
    invalid(admin.alter_group_offsets("g", None, &nothing, PATIENCE).await.unwrap_err());
    let topic = NewTopic { name: TOPIC, partitions: -2, replication_factor: 1, config: &[] };
    invalid(admin.create_topic(&topic, PATIENCE).await.unwrap_err());
}

#[tokio::test]
async fn a_broker_that_is_not_there_is_a_time_out() {
    let admin = admin(&nobody());
    let short = Duration::from_millis(200);
    let asked = partitions(0..1);
    let read = admin.group_offsets("g", None, Some(&asked), true, short).await;
    assert_eq!(read.unwrap_err().code, Code::OperationTimedOut);
    let topics = admin.describe_topics([TOPIC].into_iter(), None, short).await;
    assert_eq!(topics.unwrap_err().code, Code::OperationTimedOut);
    let listed = admin.list_groups(short).await;
    assert!(!listed.is_ok_and(|listed| listed.errors.is_empty()));
    assert_eq!(admin.list_all_groups(short).await.unwrap_err().code, Code::OperationTimedOut);
    let ends = [(TOPIC, 0)].into_iter();
    let ends = admin.list_offsets(ends, OffsetSpec::Latest, Isolation::ReadCommitted, short);
    assert!(!ends.await.is_ok_and(|ends| ends[0].outcome.is_ok()));
    assert_eq!(admin.cluster_id(short).await, None);
}

#[tokio::test]
async fn many_requests_are_under_way_at_once_and_each_gets_its_own_answer() {
    let cluster = mock(&[(TOPIC, 1)]);
    let admin = admin(&cluster.bootstrap_servers());
    let groups: Vec<String> = (0..100).map(|i| format!("group-{i}")).collect();
    let commits = groups.iter().zip(0..).map(|(group, i)| {
        let (admin, wanted) = (&admin, offsets(&[(0, i, group)]));
        async move { admin.alter_group_offsets(group, None, &wanted, PATIENCE).await }
    });
    for committed in join_all(commits).await {
        assert_eq!(of(&committed.unwrap(), 0).outcome.as_ref().err(), None);
    }
    let asked = partitions(0..1);
    let reads =
        groups.iter().map(|group| admin.group_offsets(group, None, Some(&asked), true, PATIENCE));
    for (i, read) in (0..).zip(join_all(reads).await) {
        let found = of(&read.unwrap(), 0).outcome.clone().unwrap();
        assert_eq!(found, Some((i, format!("group-{i}"))));
    }
}

#[tokio::test]
async fn a_request_that_nobody_waits_for_disturbs_no_other() {
    let cluster = mock(&[(TOPIC, 1)]);
    let admin = admin(&cluster.bootstrap_servers());
    let asked = partitions(0..1);
    for _ in 0..20 {
        let read = Box::pin(admin.group_offsets("g", None, Some(&asked), true, PATIENCE));
        let _ = futures::poll!(read);
    }
    let read = admin.group_offsets("g", None, Some(&asked), true, PATIENCE).await;
    assert_eq!(of(&read.unwrap(), 0).outcome, Ok(None));
    // These requests are still in flight when the client is dropped.
    for _ in 0..20 {
        let read = Box::pin(admin.group_offsets("g", None, Some(&asked), true, PATIENCE));
        let _ = futures::poll!(read);
    }
    drop(admin);
}

#[tokio::test]
async fn a_code_that_librdkafka_does_not_know_arrives_as_its_number() {
    const CODE: c_int = 12_345;
    let mut config = config("unused");
    config.set("test.mock.num.brokers", "1");
    let admin = Admin::new(&config, DefaultConsumerContext).unwrap();
    let codes = [CODE; 20];
    // SAFETY: the client is live and owns the mock cluster, which copies the numbers.
    unsafe {
        let cluster = sys::rd_kafka_handle_mock_cluster(admin.native());
        assert!(!cluster.is_null());
        let topic = c"orders";
        sys::rd_kafka_mock_topic_create(cluster, topic.as_ptr(), 1, 1);
        sys::rd_kafka_mock_push_request_errors_array(
            cluster,
            RDKafkaApiKey::ListOffsets as i16,
            codes.len(),
            codes.as_ptr().cast(),
        );
    }
    let wanted = [(TOPIC, 0)].into_iter();
    let listed = admin.list_offsets(wanted, OffsetSpec::Latest, Isolation::ReadCommitted, PATIENCE);
    let error = match listed.await {
        Ok(listed) => listed[0].outcome.clone().unwrap_err(),
        Err(error) => error,
    };
    assert_eq!((error.number, error.code), (CODE, Code::Unknown), "{error}");
    assert!(error.to_string().contains("12345"), "{error}");
}

#[tokio::test]
async fn a_request_that_timed_out_without_a_coordinator_harms_nobody_when_one_comes_up() {
    let cluster = mock(&[(TOPIC, 1)]);
    let admin = admin(&cluster.bootstrap_servers());
    let asked = partitions(0..1);
    let read = admin.group_offsets("g", None, Some(&asked), true, PATIENCE).await;
    assert_eq!(of(&read.unwrap(), 0).outcome, Ok(None), "its coordinator is known");
    cluster.broker_down(BROKER).unwrap();
    let brief = Duration::from_millis(300);
    let mut code = Code::BrokerTransportFailure;
    for _ in 0..20 {
        // A request that was in flight when the connection broke fails with it; the next one waits.
        if code == Code::BrokerTransportFailure {
            let late = admin.group_offsets("g", None, Some(&asked), true, brief).await;
            code = late.unwrap_err().code;
        }
    }
    assert_eq!(code, Code::OperationTimedOut);
    cluster.broker_up(BROKER).unwrap();
    // The request that no caller waits for any more is sent now, and this one after it.
    let read = admin.group_offsets("g", None, Some(&asked), true, PATIENCE).await;
    assert_eq!(of(&read.unwrap(), 0).outcome, Ok(None));
}
