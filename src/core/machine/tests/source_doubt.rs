//! Source reads that are in doubt, and coordinators that do not answer.

use std::time::Duration;

use super::super::super::action::{Action, Read};
use super::super::super::coordinators::Coordinators;
use super::super::super::event::Event;
use super::super::super::failure::FailureClass;
use super::super::super::ids::BrokerId;
use super::super::super::time::Instant;
use super::super::Core;
use super::world::World;
use super::{policy, poll, until};

fn next_source_read(world: &mut World, core: &mut Core) -> Option<Instant> {
    let is = |action: &Action| matches!(action, Action::Read(Read::SourceOffsets { .. }));
    let read = until(world, core, is);
    let Action::Read(Read::SourceOffsets { coordinator_since, .. }) = &read else {
        panic!("{read:?}")
    };
    let since = *coordinator_since;
    world.answer(core, read);
    since
}

#[test]
fn an_advance_that_another_connection_reports_waits_until_it_is_confirmed() {
    let mut world = World::new();
    let mut core = world.settled(policy());
    world.connection_breaks();
    world.source = Some(200);
    world.pass(&mut core, poll());
    assert_eq!(world.stored(), Some(1150), "{:#?}", world.transcript);
    world.pass(&mut core, policy().confirm_after + poll());
    assert_eq!(world.stored(), Some(1250));
}

#[test]
fn a_change_of_connection_is_reported_once() {
    let mut world = World::new();
    let mut core = world.settled(policy());
    let reported = |world: &World| {
        world.transcript.iter().filter(|line| line.contains("another connection")).count()
    };
    world.pass(&mut core, poll() * 3);
    assert_eq!(reported(&world), 0);
    for expected in [1, 2] {
        world.connection_breaks();
        world.pass(&mut core, poll() * 3);
        assert_eq!(reported(&world), expected, "{:#?}", world.transcript);
    }
}

#[test]
fn a_read_that_failed_is_asked_of_a_coordinator_that_is_looked_up_since() {
    let mut world = World::new();
    let mut core = world.settled(policy());
    world.fail("read source offsets", FailureClass::Retry);
    world.now = world.now + poll();
    core.handle(world.now, Event::TimePassed);
    let failed_at = world.now;
    assert!(next_source_read(&mut world, &mut core) < Some(failed_at));
    world.settle(&mut core);
    world.jump(&mut core);
    assert_eq!(next_source_read(&mut world, &mut core), Some(failed_at));
    world.settle(&mut core);
    world.now = world.now + poll();
    core.handle(world.now, Event::TimePassed);
    let again = next_source_read(&mut world, &mut core);
    assert_eq!(again, Some(failed_at), "the look-up that succeeded is kept");
}

#[test]
fn a_coordinator_that_moved_is_looked_up() {
    let mut world = World::new();
    world.coordinators = Coordinators::new(vec![Some(BrokerId(1))]);
    let mut core = world.settled(policy());
    world.coordinators = Coordinators::new(vec![Some(BrokerId(2))]);
    world.pass(&mut core, poll());
    let moved_by = world.now;
    world.now = world.now + poll();
    core.handle(world.now, Event::TimePassed);
    let since = next_source_read(&mut world, &mut core);
    assert!(since.is_some_and(|since| since + poll() >= moved_by), "{since:?}, {moved_by:?}");
}

#[test]
fn a_group_that_fails_is_tried_again_within_seconds_for_as_long_as_it_takes() {
    let mut world = World::new();
    let mut core = world.settled(policy());
    for _ in 0..50 {
        world.fail("read source offsets", FailureClass::Retry);
    }
    world.source = Some(200);
    world.pass(&mut core, Duration::from_secs(120));
    world.instead.clear();
    world.pass(&mut core, Duration::from_secs(6));
    world.pass(&mut core, policy().confirm_after);
    assert_eq!(world.stored(), Some(1250), "{:#?}", world.transcript);
}
