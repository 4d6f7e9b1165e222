//! Tests of the core as a whole: its actions, their order, and what follows from them.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod catching_up;
mod corrections;
mod fairness;
mod faults;
mod fence_records;
mod incarnations;
mod late_requests;
mod limits;
mod listings;
mod policies;
mod refresh;
mod several_brokers;
mod source_doubt;
mod storms;
mod take_overs;
mod world;

use std::time::Duration;

use super::super::action::{Action, StopReason};
use super::super::event::{Event, GroupActivity};
use super::super::ids::Shard;
use super::super::policy::{CommitMode, Policy};
use super::{Core, Why};
use world::World;

fn policy() -> Policy {
    Policy::for_pipeline("dr")
}

fn poll() -> Duration {
    policy().poll_interval
}

#[test]
fn the_first_commit_of_a_group_step_by_step() {
    let mut world = World::new();
    world.settled(policy());
    insta::assert_snapshot!(world.transcript.join("\n"));
}

#[test]
fn a_guarded_commit_step_by_step() {
    let mut world = World::new();
    world.settled(Policy { commit_mode: CommitMode::Guarded, ..policy() });
    insta::assert_snapshot!(world.transcript.join("\n"));
}

#[test]
fn a_group_is_followed_forwards_and_what_did_not_change_is_not_written() {
    let mut world = World::new();
    let mut core = world.settled(policy());
    assert_eq!(world.stored(), Some(1150));
    world.transcript.clear();
    world.pass(&mut core, poll());
    assert!(!world.logged("write half"), "{:#?}", world.transcript);
    world.source = Some(200);
    world.pass(&mut core, poll());
    assert_eq!(world.stored(), Some(1250));
    assert!(world.logged("committed 1250 over 1150 for source offset 200"));
}

#[test]
fn while_an_action_is_queued_the_timeout_is_now() {
    let world = World::new();
    let mut core = world.core(policy());
    core.handle(world.now, Event::ShardAssigned { shard: Shard(0) });
    assert_eq!(core.poll_timeout(), (world.now, Why::ActionQueued));
    while core.poll_action().is_some() {}
    assert_ne!(core.poll_timeout().1, Why::ActionQueued);
}

#[test]
fn time_that_passes_before_anything_is_due_does_nothing() {
    let mut world = World::new();
    let mut core = world.settled(policy());
    let before = core.clone();
    core.handle(world.now, Event::TimePassed);
    assert_eq!(core, before);
}

#[test]
fn equal_histories_are_equal_states() {
    let run = || {
        let mut world = World::new();
        let mut core = world.settled(policy());
        world.source = Some(200);
        world.pass(&mut core, poll());
        core
    };
    assert_eq!(run(), run());
}

#[test]
fn nothing_is_decided_before_the_ends_read_after_the_fence_are_reached() {
    let mut world = World::new();
    world.mapping_end = 5;
    let mut core = world.settled(policy());
    world.pass(&mut core, poll() * 3);
    assert!(!world.logged("read source offsets"), "{:#?}", world.transcript);
    world.mappings.push((250, 1300));
    let event = world.mappings_read(super::super::ids::TopicId([8; 16]));
    core.handle(world.now, event);
    world.settle(&mut core);
    assert_eq!(world.stored(), Some(1150));
}

#[test]
fn ends_that_the_log_no_longer_has_are_not_waited_for() {
    let mut world = World::new();
    let last = world.mapping_end;
    world.mapping_end = last + 5;
    let mut core = world.settled(policy());
    assert_eq!(world.stored(), None);
    world.mapping_end = last;
    world.pass(&mut core, Duration::from_secs(40));
    assert_eq!(world.stored(), Some(1150));
}

#[test]
fn ends_read_again_never_move_away() {
    let mut world = World::new();
    let last = world.mapping_end;
    world.mapping_end = last + 1;
    let mut core = world.settled(policy());
    world.mapping_end = last + 50;
    world.pass(&mut core, Duration::from_secs(100));
    world.mappings.push((250, 1300));
    let event = world.mappings_read(super::super::ids::TopicId([8; 16]));
    core.handle(world.now, event);
    world.settle(&mut core);
    assert_eq!(world.stored(), Some(1150));
}

#[test]
fn a_group_with_members_is_left_alone_and_served_when_they_are_gone() {
    let mut world = World::new();
    world.activity = GroupActivity::Active;
    let mut core = world.settled(policy());
    assert_eq!(world.stored(), None);
    assert!(world.logged("hold: the group has members on the target"));
    world.activity = GroupActivity::Empty;
    world.pass(&mut core, poll() * 3);
    assert_eq!(world.stored(), Some(1150));
}

#[test]
fn a_stop_gives_the_shards_back_and_ends() {
    let mut world = World::new();
    let mut core = world.settled(policy());
    core.handle(world.now, Event::StopRequested);
    world.settle(&mut core);
    assert_eq!(world.stopped, Some(StopReason::Asked));
    assert!(world.logged("release shard"));
}

#[test]
fn a_stop_waits_for_the_commit_in_flight() {
    let mut world = World::new();
    let mut core = world.core(policy());
    core.handle(world.now, Event::ShardAssigned { shard: Shard(0) });
    let half = until(&mut world, &mut core, |action| matches!(action, Action::Commit(_)));
    core.handle(world.now, Event::StopRequested);
    world.settle(&mut core);
    assert_eq!(world.stopped, None, "the first half is under way");
    world.answer(&mut core, half);
    world.settle(&mut core);
    assert_eq!(world.stored(), Some(1150));
    assert_eq!(world.stopped, Some(StopReason::Asked));
}

#[test]
fn a_revoked_shard_is_given_back_only_when_its_commit_is_resolved() {
    let mut world = World::new();
    let mut core = world.core(policy());
    core.handle(world.now, Event::ShardAssigned { shard: Shard(0) });
    let half = until(&mut world, &mut core, |action| matches!(action, Action::Commit(_)));
    core.handle(world.now, Event::ShardRevoked { shard: Shard(0) });
    world.settle(&mut core);
    assert!(!world.logged("release shard"));
    world.answer(&mut core, half);
    world.settle(&mut core);
    assert!(world.logged("release shard"));
    assert_eq!(world.stored(), Some(1150));
}

#[test]
fn a_record_that_waits_for_a_shard_that_is_leaving_wakes_nobody() {
    let mut world = World::new();
    let mut core = world.core(Policy { commit_mode: CommitMode::Guarded, ..policy() });
    core.handle(world.now, Event::ShardAssigned { shard: Shard(0) });
    until(&mut world, &mut core, |action| matches!(action, Action::Commit(_)));
    core.handle(world.now, Event::ShardRevoked { shard: Shard(0) });
    // The keep-alive record comes due while the commit is still under way.
    let later = world.now + Duration::from_secs(25 * 3600);
    core.handle(later, Event::TimePassed);
    while core.poll_action().is_some() {}
    core.handle(later, Event::TimePassed);
    let (deadline, why) = core.poll_timeout();
    assert!(deadline > later, "{why:?} is due at once, and nothing is done about it");
}

/// Answers the core's actions until one for which `is` holds, and returns that one unanswered.
fn until(world: &mut World, core: &mut Core, is: impl Fn(&Action) -> bool) -> Action {
    for _ in 0..1000 {
        let action = core.poll_action().expect("the core came to rest before that action");
        if is(&action) {
            return action;
        }
        world.answer(core, action);
    }
    panic!("that action never came");
}
