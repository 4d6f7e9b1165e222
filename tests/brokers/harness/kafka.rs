//! Brokers, topics, records and groups do what the helpers say.

use crate::support::alone::turn;
use crate::support::artifacts::Version;
use crate::support::broker::Broker;
use crate::support::clients::config;
use crate::support::groups::{Committed, Group, ResetTo};
use crate::support::members::{Member, Protocol};
use crate::support::process::is_running;
use crate::support::records::{produce, produce_in_transaction, produce_raw, read};
use crate::support::topics::{
    add_partitions, create_topic, create_topic_with, delete_records, delete_topic, log_range,
};
use crate::support::wait::try_eventually;
use crate::support::{DEADLINE, wait::eventually};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use std::time::Duration;

fn committed(offset: i64, metadata: &str) -> Option<Committed> {
    Some(Committed { offset, metadata: metadata.to_owned() })
}

#[test]
fn a_broker_keeps_its_data_and_address_through_kill_shutdown_and_pause() {
    let _turn = turn();
    for version in Version::tested().iter().copied() {
        let mut broker = Broker::start(version);
        let (address, first_pid) = (broker.bootstrap(), broker.pid());
        create_topic(&broker, "orders", 2);
        assert_eq!(produce(&broker, "orders", 1, 100), 0..100);
        let group = Group::of(&broker, "g1");
        group.commit("orders", 1, 42, "before the crash");

        broker.kill();
        assert!(!is_running(first_pid));
        broker.restart();
        assert_ne!(broker.pid(), first_pid);
        assert_eq!(broker.bootstrap(), address);
        assert_eq!(address, format!("127.0.0.1:{}", broker.port()));
        let client: BaseConsumer = config(&address).create().unwrap();
        let cluster_id = client.client().fetch_cluster_id(DEADLINE);
        assert_eq!(cluster_id.as_deref(), Some(broker.cluster_id()));
        assert_eq!(log_range(&broker, "orders", 1), 0..100);
        assert_eq!(group.committed("orders", 1), committed(42, "before the crash"));

        broker.shut_down();
        broker.restart();
        assert_eq!(produce(&broker, "orders", 1, 5), 100..105);

        broker.stop_signal();
        let paused = Group::of(&broker, "g1");
        let answer = std::thread::scope(|scope| {
            let asked = scope.spawn(|| paused.committed("orders", 1));
            let early = try_eventually(Duration::from_secs(2), || asked.is_finished());
            assert_eq!(early, Err("false".to_owned()), "a stopped broker does not answer");
            broker.cont_signal();
            asked.join().unwrap()
        });
        assert_eq!(answer, committed(42, "before the crash"));
    }
}

#[test]
fn records_carry_their_offsets_and_topics_change_as_asked() {
    let _turn = turn();
    for version in Version::tested().iter().copied() {
        let broker = Broker::start_with(version, &[("num.partitions", "3")]);
        create_topic(&broker, "orders", 1);
        assert_eq!(produce(&broker, "orders", 0, 10), 0..10);
        assert_eq!(produce_in_transaction(&broker, "orders", 0, 5), 10..15);
        assert_eq!(log_range(&broker, "orders", 0), 0..16, "the marker takes an offset");
        assert_eq!(produce(&broker, "orders", 0, 4), 16..20);
        let records = read(&broker, "orders", 0, 3);
        assert_eq!(records.len(), 16);
        assert!(records.iter().all(|record| record.source_offset() == record.offset));

        delete_records(&broker, "orders", 0, 7);
        assert_eq!(log_range(&broker, "orders", 0), 7..20);
        assert_eq!(read(&broker, "orders", 0, 0)[0].offset, 7);

        add_partitions(&broker, "orders", 3);
        assert_eq!(produce_raw(&broker, "orders", 2, Some(b"k"), None), 0);
        let tombstone = &read(&broker, "orders", 2, 0)[0];
        assert_eq!((tombstone.key.as_deref(), tombstone.value.as_deref()), (Some(&b"k"[..]), None));

        delete_topic(&broker, "orders");
        create_topic_with(&broker, "orders", 1, &[("cleanup.policy", "compact")]);
        assert_eq!(log_range(&broker, "orders", 0), 0..0);
    }
}

#[test]
fn a_group_is_committed_read_reset_and_deleted_from_outside() {
    let _turn = turn();
    for version in Version::tested().iter().copied() {
        let broker = Broker::start(version);
        create_topic(&broker, "orders", 2);
        produce(&broker, "orders", 0, 100);
        let group = Group::of(&broker, "g1");
        assert_eq!(group.committed("orders", 0), None);
        group.commit_all(&[("orders", 0, 50, "stamp"), ("orders", 1, 0, "")]);
        assert_eq!(group.committed("orders", 0), committed(50, "stamp"));
        assert_eq!(group.committed_of("orders").len(), 2);

        group.reset_with_kafka_tool("orders", ResetTo::Offset(20));
        assert_eq!(group.committed("orders", 0), committed(20, ""));
        group.reset_with_kafka_tool("orders", ResetTo::Latest);
        assert_eq!(group.committed("orders", 0).unwrap().offset, 100);
        group.reset_with_kafka_tool("orders", ResetTo::Earliest);
        assert_eq!(group.committed("orders", 0).unwrap().offset, 0);

        group.delete();
        assert_eq!(group.committed("orders", 0), None);
    }
}

#[test]
fn a_live_member_of_either_protocol_keeps_plain_outsiders_off() {
    let _turn = turn();
    for version in Version::tested().iter().copied() {
        let broker = Broker::start(version);
        create_topic(&broker, "orders", 1);
        produce(&broker, "orders", 0, 100);
        for protocol in Protocol::all_of(version) {
            let name = format!("live-{protocol:?}");
            let outsider = Group::of(&broker, &name);
            outsider.commit("orders", 0, 90, "");
            let member = Member::join(&broker, &name, &["orders"], *protocol);
            assert_eq!(member.assignment(), [("orders".to_owned(), 0)]);
            eventually(DEADLINE, "the records after the committed offset", || {
                member.received("orders", 0) == (90..100).collect::<Vec<i64>>()
            });
            member.commit("orders", 0, 100, "by a member");
            assert_eq!(
                outsider.try_commit(&[("orders", 0, 1, "")]),
                Err(KafkaError::ConsumerCommit(RDKafkaErrorCode::UnknownMemberId))
            );
            assert_eq!(outsider.committed("orders", 0), committed(100, "by a member"));
            member.leave();
            outsider.commit("orders", 0, 1, "the group is empty again");
        }
    }
}
