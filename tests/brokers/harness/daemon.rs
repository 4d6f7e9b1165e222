//! The built daemon can be started on real clusters, watched, held, paused and ended.

use crate::scenario::pipeline;
use crate::support::DEADLINE;
use crate::support::alone::turn;
use crate::support::artifacts::Version;
use crate::support::broker::Broker;
use crate::support::failpoints::Failpoints;
use crate::support::groups::Group;
use crate::support::history::Seen;
use crate::support::mirrormaker::{
    MirrorMaker, MirrorOptions, SOURCE_ALIAS, TARGET_ALIAS, replicated,
};
use crate::support::process::is_running;
use crate::support::records::{produce, wait_for_replicated};
use crate::support::sprag::{Sprag, run};
use crate::support::topics::create_topic;
use crate::support::watcher::OffsetsWatcher;
use sprag::failpoint::Point;

#[test]
fn a_commit_of_the_daemon_is_held_seen_and_followed_by_the_next() {
    let _turn = turn();
    let (source, target) = Broker::start_pair(Version::V3_9, Version::V4_3);
    create_topic(&source, "orders", 1);
    produce(&source, "orders", 0, 1000);
    let group = Group::of(&source, "g1");
    group.commit("orders", 0, 1000, "the consumer's own");
    let options = MirrorOptions::default();
    let _mirror = MirrorMaker::start(&source, &target, &options);
    let copy = replicated("orders");
    wait_for_replicated(&target, &copy, 0, 999);
    let watcher = OffsetsWatcher::start(&target);

    let failpoints = Failpoints::listen();
    failpoints.hold(Point::Verified, "g1");
    let pipeline = pipeline(
        &source,
        &target,
        &[
            ("offsetMapping.format", "mirrorMaker2"),
            ("offsetMapping.mirrorMaker2.sourceAlias", SOURCE_ALIAS),
            ("offsetMapping.mirrorMaker2.targetAlias", TARGET_ALIAS),
        ],
    );
    let (variable, address) = failpoints.variable();
    let mut sprag = Sprag::start_with(&pipeline, &[(variable, &address)]);
    sprag.wait_for(DEADLINE, "that it reached both clusters", |line| {
        line.message() == "connected to both clusters"
    });
    let held = failpoints.wait_until_held(Point::Verified, "g1");
    assert_eq!(watcher.history().latest("g1", &copy, 0), None, "it waits in a transaction");
    held.release();
    let seen = wait_for_offset(&watcher, &copy, 1000);
    assert!(seen.metadata.starts_with("k2k_v1:"), "{}", seen.metadata);
    assert!(seen.metadata.ends_with("|the consumer's own"), "{}", seen.metadata);
    assert!(failpoints.times_reached(Point::Verified, "g1") >= 1);

    sprag.stop();
    produce(&source, "orders", 0, 200);
    group.commit("orders", 0, 1200, "");
    wait_for_replicated(&target, &copy, 0, 1199);
    let mark = sprag.mark();
    sprag.cont();
    watcher.wait_until(DEADLINE, "the next translated offset", |history| {
        history.latest("g1", &copy, 0).filter(|seen| seen.offset == 1200)
    });
    assert_eq!(watcher.decreases(), []);

    assert_eq!(sprag.exit_status(), None);
    sprag.term();
    sprag.wait_for_after(mark, DEADLINE, "that it stopped", |line| line.message() == "stopped");
    assert!(sprag.wait_for_exit(DEADLINE).success());

    a_killed_one_leaves_its_log(&pipeline);
}

fn a_killed_one_leaves_its_log(pipeline: &str) {
    let mut again = Sprag::start(pipeline);
    let pid = again.pid();
    let file = again.config_file();
    let file = file.to_str().expect("a path in UTF-8");
    let (status, shown) = run(&["config", "show", "-f", file], DEADLINE);
    assert!(status.success(), "{shown:#?}");
    again.wait_for(DEADLINE, "its first line", |line| line.json.is_some());
    assert!(!again.kill().success());
    assert!(!again.log().is_empty());
    assert!(!is_running(pid));
}

fn wait_for_offset(watcher: &OffsetsWatcher, copy: &str, offset: i64) -> Seen {
    watcher.wait_until(
        DEADLINE,
        &format!("the translated offset {offset}"),
        |history| match history.latest("g1", copy, 0) {
            Some(seen) if seen.offset == offset => Ok(seen),
            other => Err(format!("{other:?}")),
        },
    )
}
