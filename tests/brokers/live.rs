//! Consumers on the target, of any kind and at any time: their commits stay.

use sprag::failpoint::Point;

use crate::scenario::{Mapped, PATIENCE, committed, event, pipeline};
use crate::support::alone::turn;
use crate::support::artifacts::Version;
use crate::support::broker::Broker;
use crate::support::failpoints::Failpoints;
use crate::support::groups::Group;
use crate::support::members::{Member, Protocol};
use crate::support::sprag::Sprag;
use crate::support::watcher::OffsetsWatcher;

const GROUP: &str = "billing";

struct Scene {
    source: Broker,
    target: Broker,
    mapped: Mapped,
    watcher: OffsetsWatcher,
    points: Failpoints,
}

impl Scene {
    fn set(target: Version) -> Self {
        let (source, target) = Broker::start_pair(Version::V3_9, target);
        let mapped = Mapped::make(&source, &target, "orders", 1000, 7);
        let watcher = OffsetsWatcher::start(&target);
        Self { source, target, mapped, watcher, points: Failpoints::listen() }
    }

    fn sprag(&self, mode: &str) -> Sprag {
        let config = pipeline(
            &self.source,
            &self.target,
            &[("groups.commitMode", mode), ("coordination.shards", "1")],
        );
        let (name, address) = self.points.variable();
        Sprag::start_with(&config, &[(name, address.as_str())])
    }

    fn source_at(&self, offset: i64) {
        Group::of(&self.source, GROUP).commit(&self.mapped.source, 0, offset, "");
    }

    /// The commits of the group on the target, in order.
    fn commits(&self) -> Vec<(i64, String)> {
        self.watcher.catch_up();
        let seen = self.watcher.history().commits(GROUP, &self.mapped.target, 0);
        seen.into_iter().map(|seen| (seen.offset, seen.metadata)).collect()
    }

    fn held(&self, sprag: &Sprag, mark: usize, reason: &str) {
        sprag.wait_for_after(mark, PATIENCE, reason, |line| {
            event(line) == "judged" && line.message().contains(reason)
        });
    }
}

#[test]
fn a_live_member_is_never_overwritten_and_is_foreign_when_it_has_left() {
    let _turn = turn();
    let scene = Scene::set(Version::V4_3);
    for (mode, protocol) in [
        ("fenced", Protocol::Classic),
        ("guarded", Protocol::Classic),
        ("fenced", Protocol::Consumer),
        ("guarded", Protocol::Consumer),
    ] {
        let target = Group::of(&scene.target, GROUP);
        let member = Member::join(&scene.target, GROUP, &[&scene.mapped.target], protocol);
        member.commit(&scene.mapped.target, 0, 3, "theirs");
        let before = scene.commits().len();
        scene.source_at(500);
        let sprag = scene.sprag(mode);
        scene.held(&sprag, 0, "the group has members on the target");
        member.commit(&scene.mapped.target, 0, 5, "theirs");
        member.leave();
        scene.held(&sprag, 0, "the stored commit is not Sprag's");
        drop(sprag);
        let ours = scene.commits().split_off(before);
        assert_eq!(ours, [(5, "theirs".to_owned())], "{mode} {protocol:?}");
        target.delete();
    }
}

#[test]
fn commits_that_come_into_a_gap_of_ours_stay() {
    let _turn = turn();
    for version in [Version::V3_9, Version::V4_3] {
        let scene = Scene::set(version);
        scene.source_at(100);
        let sprag = scene.sprag("fenced");
        committed(&scene.watcher, GROUP, &scene.mapped.target, scene.mapped.at(100));
        let mut source = 100;
        for point in [Point::BeforeDecision, Point::Decided, Point::HalfWritten, Point::Verified] {
            for flapping in [false, true] {
                source += 10;
                into_the_gap(&scene, &sprag, point, flapping, source);
            }
        }
        for point in [Point::BeforeDecision, Point::Decided, Point::HalfWritten, Point::Verified] {
            assert!(scene.points.times_reached(point, GROUP) >= 2, "{point:?} was not reached");
        }
    }
}

/// Holds one of Sprag's commits at `point`, lets another client commit there, and lets Sprag
/// continue. The other client's commit must stay, and the group must be held as foreign. Then hands
/// the group back.
fn into_the_gap(scene: &Scene, sprag: &Sprag, point: Point, flapping: bool, source: i64) {
    let target = Group::of(&scene.target, GROUP);
    let mark = sprag.mark();
    scene.points.hold(point, GROUP);
    scene.source_at(source);
    let held = scene.points.wait_until_held(point, GROUP);
    let theirs = scene.mapped.at(source) + 100;
    let before = scene.commits_so_far();
    if flapping {
        let member = Member::join(&scene.target, GROUP, &[&scene.mapped.target], Protocol::Classic);
        member.commit(&scene.mapped.target, 0, theirs, "theirs");
        member.leave();
    } else {
        target.commit(&scene.mapped.target, 0, theirs, "theirs");
    }
    held.release();
    scene.held(sprag, mark, "the stored commit is not Sprag's");
    let theirs = (theirs, "theirs".to_owned());
    let seen = scene.commits().split_off(before);
    let what = format!("{point:?}, flapping: {flapping}: {seen:?}");
    assert_eq!(seen.last(), Some(&theirs), "{what}");
    let ours: Vec<i64> = seen[..seen.len() - 1].iter().map(|(offset, _)| *offset).collect();
    // A verified half is committed. It was written before the other client's commit, so it becomes
    // visible before that one and never after. At the other points, nothing of ours becomes
    // visible.
    match point {
        Point::Verified => assert_eq!(ours, [scene.mapped.at(source)], "{what}"),
        Point::BeforeDecision | Point::Decided | Point::HalfWritten | Point::AgeChecked => {
            assert_eq!(ours, [0; 0], "{what}");
        }
    }
    target.delete();
    committed(&scene.watcher, GROUP, &scene.mapped.target, scene.mapped.at(source));
}

impl Scene {
    fn commits_so_far(&self) -> usize {
        self.watcher.history().commits(GROUP, &self.mapped.target, 0).len()
    }
}

#[test]
fn a_consumer_that_commits_without_membership_wins_and_keeps_its_offset() {
    let _turn = turn();
    let scene = Scene::set(Version::V3_9);
    scene.source_at(100);
    let sprag = scene.sprag("fenced");
    committed(&scene.watcher, GROUP, &scene.mapped.target, scene.mapped.at(100));
    let target = Group::of(&scene.target, GROUP);
    for offset in 0..20 {
        target.commit(&scene.mapped.target, 0, 600 + offset, "assigned");
        scene.source_at(101 + offset);
    }
    scene.held(&sprag, 0, "the stored commit is not Sprag's");
    let after: Vec<_> =
        scene.commits().into_iter().skip_while(|(_, metadata)| metadata != "assigned").collect();
    assert!(after.iter().all(|(_, metadata)| metadata == "assigned"), "{after:?}");
    assert_eq!(after.last().map(|(offset, _)| *offset), Some(619));
}
