//! One broker of several is in trouble: the groups of the others do not notice.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::super::super::action::{Action, Read};
use super::super::super::coordinators::Coordinators;
use super::super::super::event::Event;
use super::super::super::failure::FailureClass;
use super::super::super::ids::{BrokerId, GroupId, Shard};
use super::super::super::time::Instant;
use super::policy;
use super::world::World;

const BROKERS: i32 = 3;
/// The one that does not answer.
const BAD: BrokerId = BrokerId(2);

fn coordinators() -> Coordinators {
    Coordinators::new((0..50).map(|nth| Some(BrokerId(nth % BROKERS))).collect())
}

/// Each request to the bad broker fails after ten seconds, like one that times out. Returns the longest
/// time between two reads of a group of the other brokers, from the first second on.
fn longest_wait(bad_source: bool) -> Duration {
    let mut world = World::new();
    let all = coordinators();
    let names = (0..240).map(|nth| GroupId::from(format!("group-{nth}").as_str()));
    world.groups = names.collect();
    world.coordinators = all.clone();
    let is_bad = |group: &GroupId| all.of(group) == Some(BAD);
    let hangs = |action: &Action| {
        let reads_source =
            matches!(action, Action::Read(Read::SourceOffsets { group, .. }) if is_bad(group));
        let reads_target =
            matches!(action, Action::Read(Read::TargetOffsets { group, .. }) if is_bad(group));
        if bad_source { reads_source } else { reads_target }
    };
    let mut core = world.core(policy());
    core.handle(world.now, Event::ShardAssigned { shard: Shard(0) });
    let mut hanging: VecDeque<(Instant, Action)> = VecDeque::new();
    let mut seen: BTreeMap<GroupId, Instant> = BTreeMap::new();
    let mut longest = Duration::ZERO;
    let started = world.now;
    for _ in 0..20 {
        while hanging.front().is_some_and(|(until, _)| *until <= world.now)
            && let Some((_, action)) = hanging.pop_front()
        {
            let name = if bad_source { "read source offsets" } else { "read target offsets" };
            world.fail(name, FailureClass::Retry);
            world.answer(&mut core, action);
        }
        while let Some(action) = core.poll_action() {
            if hangs(&action) {
                hanging.push_back((world.now + Duration::from_secs(10), action));
                continue;
            }
            if let Action::Read(Read::SourceOffsets { group, .. }) = &action
                && !is_bad(group)
            {
                let before = seen.insert(group.clone(), world.now).unwrap_or(started);
                longest = longest.max(world.now.since(before));
            }
            world.answer(&mut core, action);
        }
        world.now = world.now + Duration::from_secs(1);
        core.handle(world.now, Event::TimePassed);
    }
    let good = world.groups.iter().filter(|group| !is_bad(group)).count();
    assert_eq!(seen.len(), good, "every group of the other brokers was read");
    longest
}

#[test]
fn a_coordinator_that_does_not_answer_delays_only_its_own_groups() {
    for bad_source in [true, false] {
        let longest = longest_wait(bad_source);
        let most = policy().poll_interval + Duration::from_secs(1);
        assert!(longest <= most, "on the source: {bad_source}; {longest:?}");
    }
}

/// The world after a read of a group hangs and its coordinator moves, before that read is answered.
fn moved_while(hangs: impl Fn(&Action) -> bool) -> World {
    let mut world = World::new();
    world.coordinators = Coordinators::new(vec![Some(BrokerId(1))]);
    let mut core = world.settled(policy());
    world.source = Some(200);
    let mut hung = Vec::new();
    for _ in 0..2 * (policy().poll_interval + policy().confirm_after).as_secs() {
        while let Some(action) = core.poll_action() {
            if hangs(&action) && hung.is_empty() {
                hung.push(action);
                world.coordinators = Coordinators::new(vec![Some(BrokerId(2))]);
            } else {
                world.answer(&mut core, action);
            }
        }
        world.now = world.now + Duration::from_secs(1);
        core.handle(world.now, Event::TimePassed);
    }
    assert_eq!(hung.len(), 1, "something hung");
    world
}

#[test]
fn a_read_that_hangs_at_the_former_coordinator_is_waited_for_no_longer() {
    let source = |action: &Action| matches!(action, Action::Read(Read::SourceOffsets { .. }));
    let target =
        |action: &Action| matches!(action, Action::Read(Read::TargetOffsets { stable: true, .. }));
    let verification =
        |action: &Action| matches!(action, Action::Read(Read::TargetOffsets { stable: false, .. }));
    for world in [moved_while(source), moved_while(target), moved_while(verification)] {
        assert_eq!(world.stored(), Some(1250), "{:#?}", world.transcript);
    }
}

#[test]
fn a_group_whose_coordinator_moved_is_looked_at_at_once() {
    let mut world = World::new();
    world.coordinators = Coordinators::new(vec![Some(BrokerId(1))]);
    let mut core = world.settled(policy());
    for _ in 0..4 {
        world.fail("read source offsets", FailureClass::Retry);
    }
    world.source = Some(200);
    world.pass(&mut core, policy().poll_interval + Duration::from_secs(5));
    world.instead.clear();
    world.coordinators = Coordinators::new(vec![Some(BrokerId(2))]);
    world.pass(&mut core, policy().confirm_after + policy().poll_interval);
    assert_eq!(world.stored(), Some(1250), "{:#?}", world.transcript);
}
