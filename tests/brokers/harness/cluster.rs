//! Three brokers: who leads what, what a fault of one broker moves, and what it leaves alone.

use crate::support::DEADLINE;
use crate::support::alone::alone;
use crate::support::artifacts::Version;
use crate::support::brokers::{Brokers, IDS};
use crate::support::clients::{config, group_config};
use crate::support::cluster::Cluster;
use crate::support::coordinators::{Layout, OFFSETS, TRANSACTIONS, partition_of};
use crate::support::gate::Mode;
use crate::support::groups::Group;
use crate::support::process::is_running;
use crate::support::records::{produce, produce_in_transaction};
use crate::support::topics::log_range;
use crate::support::wait::eventually;
use crate::support::watcher::OffsetsWatcher;
use rdkafka::consumer::{BaseConsumer, Consumer, DefaultConsumerContext};
use rdkafka::types::RDKafkaErrorCode;
use sprag::kafka::client::{AdminClient, Properties};
use sprag::kafka::clock::ProcessClock;
use sprag::kafka::ffi::admin::Admin;
use sprag::kafka::groups::KafkaSourceGroups;
use sprag::ports::SourceGroups;
use sprag_core::ids::{BrokerId, GroupId};
use std::rc::Rc;
use std::time::Duration;

const TOPICS: [&str; 3] = ["t1", "t2", "t3"];

#[test]
fn ids_belong_to_partitions_as_in_kafka() {
    // Computed by Java: Utils.abs("…".hashCode()) % 50.
    for (id, partition) in [("", 0), ("g", 3), ("test-group", 12), ("sprag.0000abcd.7", 4)] {
        assert_eq!(partition_of(id, 50), partition, "{id}");
    }
    assert_eq!(partition_of("polygenelubricants", 50), 0, "its hash has no absolute value");
}

#[test]
fn a_broker_that_fails_loses_what_has_other_replicas_and_nothing_else() {
    let _turn = alone();
    let mut cluster = Brokers::start(Version::V4_3);
    for (topic, broker) in TOPICS.into_iter().zip(IDS) {
        cluster.create_topic_at(topic, broker);
        assert_eq!(produce(&cluster, topic, 0, 100), 0..100);
        assert_eq!(cluster.layout(topic).led_by(broker), [0]);
    }
    for topic in [OFFSETS, TRANSACTIONS] {
        let layout = cluster.layout(topic);
        assert_eq!(layout.partitions.len(), 6);
        assert!(layout.partitions.values().all(|(_, replicas)| replicas.len() == 3));
        assert!(IDS.iter().all(|id| !layout.led_by(*id).is_empty()), "{layout:?}");
    }
    let watcher = OffsetsWatcher::start(&cluster);
    let first = cluster.pid(3);
    let mut expected = 0;
    for killed in [true, false] {
        let groups = one_group_per_coordinator(&cluster);
        expected += 1;
        commit_and_see(&groups, &watcher, expected);
        each_group_is_read_at_its_coordinator(&cluster, &groups);
        if killed {
            cluster.kill(3);
            assert!(!is_running(first));
        } else {
            cluster.stop_signal(3);
        }
        cluster.wait_for_election_without(3);
        assert_eq!(cluster.layout_without(3, "t2").unwrap().led_by(2), [0]);
        expected += 1;
        commit_and_see(&groups, &watcher, expected);
        if killed {
            cluster.restart(3);
        } else {
            cluster.cont_signal(3);
        }
        cluster.wait_until_back(3, &TOPICS);
        assert_eq!(log_range(&cluster, "t3", 0).start, 0);
        cluster.elect_preferred_leaders();
        expected += 1;
        commit_and_see(&groups, &watcher, expected);
    }
    assert_eq!(watcher.decreases(), []);
    assert_ne!(cluster.pid(3), first);
    assert_eq!(produce_in_transaction(&cluster, "t3", 0, 5), 100..105);
    a_gate_affects_only_its_own_clients(&cluster);
}

/// Makes one group for each coordinator, as the harness computes it.
fn one_group_per_coordinator(cluster: &Brokers) -> Vec<(String, Group)> {
    let layout = cluster.layout(OFFSETS);
    IDS.into_iter()
        .map(|broker| {
            let names = (0..).map(|nth| format!("group-{nth}"));
            let name = names.into_iter().find(|name| layout.coordinator_of(name) == Some(broker));
            let name = name.expect("a name for each coordinator");
            let group = Group::of(cluster, &name);
            (name, group)
        })
        .collect()
}

fn commit_and_see(groups: &[(String, Group)], watcher: &OffsetsWatcher, offset: i64) {
    for (name, group) in groups {
        group.commit("t1", 0, offset, "");
        watcher.wait_until(DEADLINE, "a commit", |history| {
            history.latest(name, "t1", 0).filter(|seen| seen.offset == offset)
        });
    }
}

/// Checks that only a group's coordinator answers for it, and that the adapter asks that broker
/// without a look-up by librdkafka.
fn each_group_is_read_at_its_coordinator(cluster: &Brokers, groups: &[(String, Group)]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let bootstrap = cluster.bootstrap();
    let admin: Admin<DefaultConsumerContext> =
        Admin::new(&group_config(&bootstrap, "sprag-admin"), DefaultConsumerContext).unwrap();
    let properties = Properties::from([("bootstrap.servers".to_owned(), bootstrap)]);
    runtime.block_on(async {
        let clock = ProcessClock::start();
        let client = Rc::new(AdminClient::new(properties, "source", clock));
        let source = KafkaSourceGroups::new(client, clock);
        for (coordinator, (name, _)) in IDS.into_iter().zip(groups) {
            let answer = source.offsets(&GroupId::from(name.as_str()), None, None).await.unwrap();
            let by = answer.answered_by.and_then(|by| by.coordinator);
            assert_eq!(by.map(BrokerId::get), Some(coordinator), "{name}");
            assert_eq!(answer.commits.len(), 1);
            for broker in IDS {
                let read = admin.group_offsets(name, Some(broker), None, false, DEADLINE).await;
                match read {
                    Ok(_) => assert_eq!(broker, coordinator, "{name}"),
                    Err(error) => assert_eq!(error.code, RDKafkaErrorCode::NotCoordinator),
                }
            }
        }
    });
}

/// Clients behind the gates cannot reach the broker; clients of the plain listeners can.
fn a_gate_affects_only_its_own_clients(cluster: &Brokers) {
    let client: BaseConsumer = config(&cluster.gated()).create().unwrap();
    let ask = || client.fetch_watermarks("t3", 0, Duration::from_millis(500));
    let addresses = eventually(DEADLINE, "the gates' addresses", || {
        let metadata = client.fetch_metadata(None, DEADLINE)?;
        let ports = metadata.brokers().iter().map(|broker| broker.port());
        Ok::<_, rdkafka::error::KafkaError>(ports.collect::<Vec<_>>())
    });
    let mut gates = IDS.map(|id| i32::from(cluster.gate(id).port()));
    gates.sort_unstable();
    let mut addresses = addresses;
    addresses.sort_unstable();
    assert_eq!(addresses, gates);
    for mode in [Mode::Blackhole, Mode::Refuse] {
        eventually(DEADLINE, "an answer through the gate", || ask().is_ok());
        cluster.gate(3).set(mode);
        eventually(DEADLINE, "no answer through the gate", || ask().is_err());
        assert_eq!(log_range(cluster, "t3", 0).start, 0);
        assert!(Layout::of(&cluster.bootstrap(), "t3").unwrap().is_led());
        cluster.gate(3).set(Mode::Pass);
    }
    eventually(DEADLINE, "an answer through the gate", || ask().is_ok());
}
