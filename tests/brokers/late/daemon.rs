//! The daemon behind the proxy: a request of one of its commits arrives in a gap of a later commit,
//! while another client commits.

use sprag::failpoint::Point;

use super::{ApiKey, INVALID_PRODUCER_EPOCH, PRODUCER_FENCED, Proxy, behind_a_proxy, visible};
use crate::scenario::{Mapped, PATIENCE, committed, event, pipeline};
use crate::support::alone::turn;
use crate::support::artifacts::Version;
use crate::support::broker::Broker;
use crate::support::failpoints::Failpoints;
use crate::support::groups::Group;
use crate::support::rounds;
use crate::support::sprag::Sprag;
use crate::support::watcher::OffsetsWatcher;

const GROUP: &str = "billing";
const GAPS: [Point; 3] = [Point::HalfWritten, Point::Verified, Point::Decided];
const REQUESTS: [ApiKey; 3] = [ApiKey::EndTxn, ApiKey::TxnOffsetCommit, ApiKey::AddOffsetsToTxn];

struct Scene {
    source: Broker,
    target: Broker,
    proxy: Proxy,
    mapped: Mapped,
    watcher: OffsetsWatcher,
    points: Failpoints,
}

impl Scene {
    fn set(version: Version) -> Self {
        let source = Broker::start(version);
        let (target, proxy) = behind_a_proxy(version, &[]);
        let mapped = Mapped::make(&source, &target, "orders", 1000, 7);
        let watcher = OffsetsWatcher::start(&target);
        Self { source, target, proxy, mapped, watcher, points: Failpoints::listen() }
    }

    fn sprag(&self) -> Sprag {
        let config = pipeline(&self.source, &self.target, &[("coordination.shards", "1")]);
        let (name, address) = self.points.variable();
        Sprag::start_with(&config, &[(name, address.as_str())])
    }

    fn source_at(&self, offset: i64) {
        Group::of(&self.source, GROUP).commit(&self.mapped.source, 0, offset, "");
    }

    fn committed_at(&self, source: i64) {
        committed(&self.watcher, GROUP, &self.mapped.target, self.mapped.at(source));
    }

    /// The group's commits on the target so far, in order: each offset, and whether it is foreign.
    fn commits(&self) -> Vec<(i64, bool)> {
        let seen = self.watcher.history().commits(GROUP, &self.mapped.target, 0);
        seen.into_iter().map(|seen| (seen.offset, seen.metadata == "theirs")).collect()
    }
}

#[test]
fn a_late_request_of_the_daemon_is_refused_in_every_gap() {
    let _turn = turn();
    let (gaps, requests) = (rounds(1, GAPS.len()), rounds(2, REQUESTS.len()));
    for version in Version::tested() {
        let scene = Scene::set(*version);
        let mut source = 100;
        scene.source_at(source);
        let sprag = scene.sprag();
        scene.committed_at(source);
        for request in &REQUESTS[..requests] {
            for gap in &GAPS[..gaps] {
                source += 10;
                delivered_in_a_gap(&scene, &sprag, *request, *gap, source);
            }
        }
        assert_eq!(scene.watcher.decreases(), []);
    }
}

/// A request of one of the daemon's commits is lost on its way. It arrives in `gap` of a later
/// commit, after a foreign commit. The broker refuses it, and the foreign commit stays.
fn delivered_in_a_gap(scene: &Scene, sprag: &Sprag, request: ApiKey, gap: Point, source: i64) {
    let what = format!("late {request:?} at {gap:?}");
    let target = Group::of(&scene.target, GROUP);
    let mark = sprag.mark();
    scene.proxy.hold(request);
    scene.source_at(source);
    let late = scene.proxy.wait_until_held();
    scene.committed_at(source);

    let replaced = mark;
    let mark = sprag.mark();
    scene.points.hold(gap, GROUP);
    scene.source_at(source + 5);
    let held = scene.points.wait_until_held(gap, GROUP);
    let (ours, theirs) = (scene.mapped.at(source + 5), scene.mapped.at(source + 100));
    let before = scene.commits().len();
    target.commit(&scene.mapped.target, 0, theirs, "theirs");
    let code = late.deliver();
    assert!([INVALID_PRODUCER_EPOCH, PRODUCER_FENCED].contains(&code), "{what}: code {code}");
    assert_eq!(visible(&scene.target, GROUP, &scene.mapped.target), Some(theirs), "{what}");
    let mut since = sprag.log().into_iter().skip(replaced);
    assert!(
        since.any(|line| event(&line) == "producer_replaced"),
        "{what}: the producer was not replaced"
    );
    held.release();
    sprag.wait_for_after(mark, PATIENCE, "the foreign commit", |line| {
        event(line) == "judged" && line.message().contains("the stored commit is not Sprag's")
    });
    scene.watcher.catch_up();
    let commits = scene.commits().split_off(before);
    // At `Verified`, our half was read again before the foreign commit arrived. It is committed,
    // and is older than that one.
    let verified = gap == Point::Verified;
    let expected: &[(i64, bool)] =
        if verified { &[(ours, false), (theirs, true)] } else { &[(theirs, true)] };
    assert_eq!(commits, expected, "{what}");
    target.delete();
    scene.committed_at(source + 5);
}
