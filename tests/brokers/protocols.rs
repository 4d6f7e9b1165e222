//! Groups of every protocol on the source: those that commit offsets are synced, and one that is
//! left out is reported once.

use crate::scenario::{Mapped, PATIENCE, committed, event, pipeline};
use crate::support::alone::turn;
use crate::support::artifacts::Version;
use crate::support::broker::Broker;
use crate::support::groups::Group;
use crate::support::members::{Member, Protocol};
use crate::support::raw::{join_as_connect_worker, join_share_group, join_streams_group};
use crate::support::sprag::Sprag;
use crate::support::watcher::OffsetsWatcher;

#[test]
fn groups_of_every_protocol_that_commits_are_synced() {
    let _turn = turn();
    let (source, target) = Broker::start_pair(Version::V4_3, Version::V3_9);
    let mapped = Mapped::make(&source, &target, "orders", 1000, 7);
    let watcher = OffsetsWatcher::start(&target);
    let topic = mapped.source.as_str();

    Group::of(&source, "streams").commit(topic, 0, 100, "");
    join_streams_group(&source, "streams", topic);
    let members: Vec<_> = [("classic", Protocol::Classic), ("consumer", Protocol::Consumer)]
        .map(|(name, protocol)| {
            let member = Member::join(&source, name, &[topic], protocol);
            member.commit(topic, 0, 100, "");
            member
        })
        .into_iter()
        .collect();
    join_as_connect_worker(&source, "workers");
    join_share_group(&source, "sharing", topic);

    let sprag = Sprag::start(&pipeline(&source, &target, &[]));
    for group in ["streams", "classic", "consumer"] {
        committed(&watcher, group, &mapped.target, mapped.at(100));
    }
    // Workers of Kafka Connect commit nothing under their own group. Neither do share groups, which
    // librdkafka cannot distinguish from streams groups: they are read, and have no offsets.
    sprag.wait_for(PATIENCE, "the group that is left out", |line| {
        event(line) == "group_left_out" && line.message().contains("connect")
    });
    for member in members {
        member.commit(topic, 0, 200, "");
        member.leave();
    }
    for group in ["classic", "consumer"] {
        committed(&watcher, group, &mapped.target, mapped.at(200));
    }
    watcher.catch_up();
    let history = watcher.history();
    for group in ["workers", "sharing"] {
        assert!(history.of_group(group).is_empty(), "{group} has offsets on the target");
    }
    let log = sprag.log();
    let about = |group: &str| log.iter().filter(|line| line.message().contains(group)).count();
    assert_eq!((about("workers"), about("sharing")), (1, 0));
}
