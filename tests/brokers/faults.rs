//! Brokers die, sleep or forget, and Sprag is killed. Sprag recovers by itself, nothing rewinds,
//! and every commit that its log reports is found.

use std::collections::BTreeMap;

use crate::scenario::{
    MAPPINGS, Mapped, PATIENCE, active, commit_all, committed, create_mapping_topic, event, groups,
    pipeline,
};
use crate::support::alone::turn;
use crate::support::artifacts::Version;
use crate::support::broker::Broker;
use crate::support::groups::Group;
use crate::support::records::produce;
use crate::support::rounds;
use crate::support::sprag::Sprag;
use crate::support::topics::{create_topic, delete_topic};
use crate::support::wait::eventually;
use crate::support::watcher::OffsetsWatcher;

/// How often Sprag is killed in the long form.
const MOST_ROUNDS: usize = 10;

struct Flow {
    source: Broker,
    target: Broker,
    mapped: Mapped,
    watcher: OffsetsWatcher,
    names: Vec<String>,
    handles: Vec<Group>,
    position: i64,
    /// How often each (group, topic, offset) was reported as committed, by all instances together.
    reported: BTreeMap<(String, String, i64), usize>,
}

impl Flow {
    fn start(count: usize) -> Self {
        let (source, target) = Broker::start_pair(Version::V4_3, Version::V3_9);
        let mapped = Mapped::make(&source, &target, "orders", 10_000, 7);
        let watcher = OffsetsWatcher::start(&target);
        let (names, handles) = groups(&source, count).into_iter().unzip();
        let (position, reported) = (0, BTreeMap::new());
        let mut flow = Self { source, target, mapped, watcher, names, handles, position, reported };
        flow.advance();
        flow
    }

    fn sprag(&self) -> Sprag {
        Sprag::start(&pipeline(&self.source, &self.target, &[]))
    }

    /// Advances all source groups by 10.
    fn advance(&mut self) {
        self.position += 10;
        commit_all(&self.handles, &self.mapped.source, self.position);
    }

    #[track_caller]
    fn all_committed(&self) {
        for name in &self.names {
            committed(&self.watcher, name, &self.mapped.target, self.mapped.at(self.position));
        }
    }

    /// Checks that every commit that the log reports is in the history, at least as often as this
    /// instance and the earlier ones reported it. Returns how many this one reported. Call it once
    /// per instance.
    #[track_caller]
    fn every_reported_commit_is_found(&mut self, sprag: &Sprag) -> usize {
        self.watcher.catch_up();
        let history = self.watcher.history();
        let log = sprag.log();
        let lines: Vec<_> = log.iter().filter(|line| event(line) == "committed").collect();
        for line in &lines {
            let text = |name: &str| {
                line.field(name).and_then(serde_json::Value::as_str).expect("a field").to_owned()
            };
            let (group, topic) = (text("group"), text("topic"));
            let offset = line.field("offset").and_then(serde_json::Value::as_i64);
            let offset = offset.expect("an offset");
            let commits = history.commits(&group, &topic, 0);
            let found = commits.iter().filter(|seen| seen.offset == offset).count();
            let reported = self.reported.entry((group, topic, offset)).or_default();
            *reported += 1;
            assert!(
                found >= *reported,
                "reported {reported} times, found {found} times: {}",
                line.text
            );
        }
        lines.len()
    }
}

/// Waits until the log of an instance reports this many commits. The watcher may see a commit on
/// the broker before the instance has its answer.
#[track_caller]
fn reports(sprag: &Sprag, count: usize) {
    eventually(PATIENCE, &format!("{count} reported commits"), || {
        match sprag.log().iter().filter(|line| event(line) == "committed").count() {
            reported if reported >= count => Ok(()),
            reported => Err(format!("{reported} reported")),
        }
    });
}

#[test]
fn a_target_broker_that_is_killed_and_restarted() {
    let _turn = turn();
    let mut flow = Flow::start(20);
    let sprag = flow.sprag();
    flow.all_committed();
    for _ in 0..rounds(2, 5) {
        flow.advance();
        let mark = sprag.mark();
        sprag.wait_for_after(mark, PATIENCE, "a commit", |line| event(line) == "committed");
        flow.target.kill();
        flow.advance();
        flow.target.restart();
        flow.all_committed();
    }
    assert_eq!(flow.watcher.decreases(), []);
    assert!(flow.every_reported_commit_is_found(&sprag) >= 20);
}

#[test]
fn a_target_broker_that_sleeps_while_a_group_is_further_ahead_there() {
    let _turn = turn();
    let mut flow = Flow::start(4);
    let sprag = flow.sprag();
    flow.all_committed();
    // Another client works on the target, further ahead.
    let ahead = Group::of(&flow.target, &flow.names[0]);
    ahead.commit(&flow.mapped.target, 0, 5000, "theirs");
    flow.advance();
    flow.target.stop_signal();
    let asleep = std::time::Duration::from_secs(rounds(15, 75) as u64);
    crate::support::wait::pass(asleep);
    flow.advance();
    flow.target.cont_signal();
    for name in &flow.names[1..] {
        committed(&flow.watcher, name, &flow.mapped.target, flow.mapped.at(flow.position));
    }
    assert_eq!(flow.watcher.decreases(), []);
    // All groups before the pause, and all but the foreign one after it.
    reports(&sprag, flow.names.len() * 2 - 1);
    flow.every_reported_commit_is_found(&sprag);
}

#[test]
fn a_mapping_topic_that_is_deleted_and_recreated() {
    let _turn = turn();
    let mut flow = Flow::start(4);
    let sprag = flow.sprag();
    flow.all_committed();
    delete_topic(&flow.target, MAPPINGS);
    sprag.wait_for(PATIENCE, "the loss of the mapping topic", |line| event(line) == "no_mappings");
    create_mapping_topic(&flow.target);
    let mark = sprag.mark();
    flow.mapped.publish(&flow.source, &flow.target, 0, 10_000, 0);
    active(&sprag, mark);
    flow.advance();
    flow.all_committed();
    assert_eq!(flow.watcher.decreases(), []);
}

#[test]
fn a_target_topic_that_is_deleted_and_recreated() {
    let _turn = turn();
    let mut flow = Flow::start(2);
    let sprag = flow.sprag();
    flow.all_committed();
    delete_topic(&flow.target, &flow.mapped.target);
    sprag.wait_for(PATIENCE, "the loss of the target topic", |line| {
        event(line) == "judged" && line.message().contains("does not exist")
    });
    create_topic(&flow.target, &flow.mapped.target, 1);
    produce(&flow.target, &flow.mapped.target, 0, 10_007);
    flow.mapped.publish(&flow.source, &flow.target, 0, 10_000, 1);
    flow.advance();
    flow.all_committed();
}

#[test]
fn a_source_topic_that_is_deleted_and_recreated() {
    let _turn = turn();
    let mut flow = Flow::start(2);
    let sprag = flow.sprag();
    flow.all_committed();
    delete_topic(&flow.source, &flow.mapped.source);
    create_topic(&flow.source, &flow.mapped.source, 1);
    // The mappings belong to the old topic, so they translate nothing any more.
    flow.advance();
    sprag.wait_for(PATIENCE, "the hold", |line| {
        event(line) == "judged" && line.message().contains("no mapping of this source partition")
    });
    assert_eq!(flow.watcher.decreases(), []);
    flow.mapped.publish(&flow.source, &flow.target, 0, 10_000, 1);
    flow.advance();
    flow.all_committed();
    assert_eq!(flow.watcher.decreases(), []);
}

#[test]
fn killed_at_any_point_it_recovers_and_nothing_rewinds() {
    let _turn = turn();
    let mut flow = Flow::start(20);
    let mut reported = 0;
    for round in 0..rounds(3, MOST_ROUNDS) {
        let mut sprag = flow.sprag();
        flow.advance();
        // Each round waits for more commits (each group gets one), so that each kill comes at
        // another point.
        let enough = round * flow.names.len() / MOST_ROUNDS + 1;
        reports(&sprag, enough);
        sprag.kill();
        let found = flow.every_reported_commit_is_found(&sprag);
        assert!(found >= enough, "expected at least {enough} reported commits, found {found}");
        reported += found;
    }
    let last = flow.sprag();
    flow.advance();
    flow.all_committed();
    reports(&last, flow.names.len());
    reported += flow.every_reported_commit_is_found(&last);
    assert_eq!(flow.watcher.decreases(), []);
    eprintln!("killed: {reported} commits reported, all of them found; 0 decreases");
}
