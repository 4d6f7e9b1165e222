//! An owner that sleeps longer than its session, and wakes up with old decisions.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use sprag::failpoint::Point;
use sprag::kafka::client::Properties;
use sprag::kafka::transactions::KafkaTransactions;
use sprag::ports::Transactions;
use sprag_core::action::TransactionEnd;
use sprag_core::event::TargetCommit;
use sprag_core::fence_log::TakeOver;
use sprag_core::ids::{
    ClusterId, GroupId, PipelineId, Shard, ShardCount, TargetOffset, TargetPartition, TopicName,
};
use sprag_core::policy::CommitMode;

use crate::scenario::{Mapped, PATIENCE, active, commit_all, committed, event, groups, pipeline};
use crate::support::alone::turn;
use crate::support::artifacts::Version;
use crate::support::broker::Broker;
use crate::support::clients::block_on;
use crate::support::failpoints::Failpoints;
use crate::support::groups::Group;
use crate::support::logged::LogLine;
use crate::support::rounds;
use crate::support::sprag::Sprag;
use crate::support::wait::eventually;
use crate::support::watcher::OffsetsWatcher;

const RECORDS: i64 = 100_000;

fn brokers() -> (Broker, Broker) {
    Broker::start_pair(Version::V4_3, Version::V3_9)
}

#[test]
fn no_offset_decreases_however_often_an_owner_sleeps_and_wakes() {
    let _turn = turn();
    let (source, target) = brokers();
    let mapped = Mapped::make(&source, &target, "orders", RECORDS, 7);
    let watcher = OffsetsWatcher::start(&target);
    let (names, handles): (Vec<String>, Vec<Group>) =
        groups(&source, rounds(40, 200)).into_iter().unzip();
    let mut position = 10;
    commit_all(&handles, &mapped.source, position);
    let config = pipeline(&source, &target, &[("coordination.sessionTimeout", "2s")]);
    let mut instances = [Sprag::start(&config), Sprag::start(&config)];
    for name in &names {
        committed(&watcher, name, &mapped.target, mapped.at(position));
    }
    let wanted = rounds(3, 20);
    let (mut counted, mut tried) = (0, 0);
    while counted < wanted {
        tried += 1;
        assert!(tried <= wanted * 5, "only {counted} of {tried} rounds caught a commit in flight");
        let sleeper = tried % 2;
        let [first, second] = &mut instances;
        let (asleep, other) = if sleeper == 0 { (first, second) } else { (second, first) };
        position = while_groups_go_on(&handles, &mapped.source, position, || {
            let mark = asleep.mark();
            asleep.wait_for_after(mark, PATIENCE, "a commit", |line| event(line) == "committed");
            asleep.stop();
        });
        let mark = other.mark();
        active(other, mark);
        position += 10;
        commit_all(&handles, &mapped.source, position);
        for name in &names {
            committed(&watcher, name, &mapped.target, mapped.at(position));
        }
        let woken = asleep.mark();
        asleep.cont();
        active(asleep, woken);
        // The broker refused the commit, or the commit's call had timed out when the owner woke up.
        let in_flight = |line: &LogLine| match event(line) {
            "commit_refused" => true,
            "producer_replaced" => ["writing offsets", "ending a transaction"]
                .iter()
                .any(|call| line.message().contains(call)),
            _ => false,
        };
        counted += usize::from(asleep.log().iter().skip(woken).any(in_flight));
    }
    assert_eq!(watcher.decreases(), []);
    eprintln!("zombie: {counted} of {tried} rounds caught a commit in flight; 0 decreases");
}

/// Advances all source groups until `happens` is done. Returns their last position.
fn while_groups_go_on(
    handles: &[Group],
    topic: &str,
    position: i64,
    happens: impl FnOnce(),
) -> i64 {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let going_on = scope.spawn(|| {
            let mut position = position;
            while !done.load(Ordering::Acquire) {
                position += 1;
                commit_all(handles, topic, position);
            }
            position
        });
        happens();
        done.store(true, Ordering::Release);
        going_on.join().expect("the groups' thread")
    })
}

#[test]
fn held_between_decision_and_commit_it_is_refused_by_the_broker() {
    let _turn = turn();
    let (source, target) = brokers();
    let mapped = Mapped::make(&source, &target, "orders", RECORDS, 7);
    let watcher = OffsetsWatcher::start(&target);
    let group = Group::of(&source, "billing");
    let points = Failpoints::listen();
    let (name, address) = points.variable();
    let config = pipeline(&source, &target, &[("coordination.shards", "1")]);
    let sprag = Sprag::start_with(&config, &[(name, address.as_str())]);
    for (nth, point) in
        [Point::Decided, Point::HalfWritten, Point::Verified].into_iter().enumerate()
    {
        let position = 100 * (nth as i64 + 1);
        group.commit(&mapped.source, 0, position, "");
        committed(&watcher, "billing", &mapped.target, mapped.at(position));
        points.hold(point, "billing");
        group.commit(&mapped.source, 0, position + 20, "");
        let held = points.wait_until_held(point, "billing");
        // Another owner takes over the shard and commits further ahead, while the first still
        // believes that it owns the shard.
        let ahead = mapped.at(position + 40);
        block_on(other_owner_commits(&source, &target, &mapped.target, ahead));
        let mark = sprag.mark();
        held.release();
        let refusal = sprag.wait_for_after(mark, PATIENCE, "the broker's refusal", |line| {
            event(line) == "commit_refused"
        });
        assert!(refusal.message().contains("another instance took the shard over"), "{point:?}");
        watcher.catch_up();
        let latest = watcher.history().latest("billing", &mapped.target, 0);
        assert_eq!(latest.map(|seen| seen.offset), Some(ahead), "{point:?}");
        // What the other owner wrote is foreign to Sprag. Without it, the group is synced again.
        Group::of(&target, "billing").delete();
    }
    assert_eq!(watcher.decreases(), []);
}

/// Takes over the one shard as an instance does, and commits an offset in its transaction.
async fn other_owner_commits(source: &Broker, target: &Broker, topic: &str, offset: i64) {
    let clusters = [source, target].map(|broker| ClusterId::from(broker.cluster_id()));
    let pipeline = PipelineId::of("dr", &clusters[0], &clusters[1]);
    let properties: Properties =
        BTreeMap::from([("bootstrap.servers".to_owned(), target.bootstrap())]);
    let transactions = KafkaTransactions::new(
        properties,
        TopicName::from("__sprag.dr.fences"),
        format!("sprag.{pipeline}"),
        CommitMode::Fenced,
    );
    let shard = Shard(0);
    transactions.init(shard).await.expect("a producer");
    let (mode, shards) = (CommitMode::Fenced, ShardCount(1));
    let terms = TakeOver::terms(pipeline, "dr", &clusters[0], &clusters[1], shards, mode);
    let fence = transactions.take_over(shard, &terms.record()).await.expect("a fence");
    let commit = TargetCommit { offset: TargetOffset(offset), metadata: "theirs".to_owned() };
    let offsets = BTreeMap::from([(TargetPartition::new(topic, 0), commit)]);
    let group = GroupId::from("billing");
    transactions.write_offsets(shard, fence, &group, &offsets).await.expect("the other's half");
    let ended = transactions.end(shard, fence, TransactionEnd::Commit).await;
    ended.expect("the other's commit");
}

#[test]
fn guarded_mode_has_the_race_that_its_documents_admit() {
    let _turn = turn();
    let (source, target) = brokers();
    let (watcher, _woken, mapped) = held_and_overtaken(&source, &target);
    let decrease =
        eventually(PATIENCE, "the documented rewind", || watcher.decreases().into_iter().next());
    assert_eq!((decrease.before.offset, decrease.after.offset), (mapped.at(90), mapped.at(50)));
}

/// Holds an owner between its decision and its commit, stops it there, and lets another instance
/// commit further ahead. Then wakes the owner up to continue with its old decision.
fn held_and_overtaken(source: &Broker, target: &Broker) -> (OffsetsWatcher, Sprag, Mapped) {
    let mapped = Mapped::make(source, target, "orders", RECORDS, 7);
    let watcher = OffsetsWatcher::start(target);
    let group = Group::of(source, "billing");
    group.commit(&mapped.source, 0, 10, "");
    let config =
        pipeline(source, target, &[("groups.commitMode", "guarded"), ("coordination.shards", "1")]);
    let points = Failpoints::listen();
    let (name, address) = points.variable();
    let mut first = Sprag::start_with(&config, &[(name, address.as_str())]);
    committed(&watcher, "billing", &mapped.target, mapped.at(10));
    let point = Point::AgeChecked;
    points.hold(point, "billing");
    group.commit(&mapped.source, 0, 50, "");
    let held = points.wait_until_held(point, "billing");
    first.stop();
    let second = Sprag::start(&config);
    active(&second, 0);
    group.commit(&mapped.source, 0, 90, "");
    committed(&watcher, "billing", &mapped.target, mapped.at(90));
    // If there is a rewind, it must be the sleeper's.
    drop(second);
    // The answer is there when it wakes up, before it can learn that its session has expired.
    held.release();
    first.cont();
    (watcher, first, mapped)
}
