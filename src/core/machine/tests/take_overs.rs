//! Who owns a shard, and since when: fences, take-overs, and what each of them begins anew.

use std::time::Duration;

use super::super::super::action::{Action, Commit, Read};
use super::super::super::event::{Event, GroupActivity};
use super::super::super::failure::FailureClass;
use super::super::super::ids::Shard;
use super::super::super::policy::{CommitMode, Policy};
use super::super::Core;
use super::world::World;
use super::{policy, poll, until};

#[test]
fn a_fenced_owner_drops_its_decision_and_takes_over_anew_only_if_still_assigned() {
    for (assigned, again) in [(true, 2), (false, 1)] {
        let mut world = World::new();
        world.fail("write half", FailureClass::Fenced);
        if !assigned {
            world.before.insert("check assignment", |_| {});
        }
        let mut core = world.core(policy());
        core.handle(world.now, Event::ShardAssigned { shard: Shard(0) });
        world.settle(&mut core);
        assert!(world.told("stood down") && world.told("destroy producer"));
        assert!(!world.told("commit transaction"));
        if !assigned {
            core.handle(world.now, Event::ShardLost { shard: Shard(0) });
        }
        world.pass(&mut core, Duration::from_secs(30));
        let taken = world.transcript.iter().filter(|line| *line == "write take-over").count();
        assert_eq!(taken, again, "{:#?}", world.transcript);
    }
}

#[test]
fn a_shard_that_the_group_denies_for_a_while_is_taken_over_when_it_no_longer_does() {
    let mut world = World::new();
    world.fail("write half", FailureClass::Fenced);
    world.assigned = false;
    let mut core = world.core(policy());
    core.handle(world.now, Event::ShardAssigned { shard: Shard(0) });
    world.settle(&mut core);
    world.pass(&mut core, Duration::from_secs(30));
    assert_eq!(world.stored(), None, "not while it is denied");
    world.assigned = true;
    world.pass(&mut core, Duration::from_secs(120));
    assert_eq!(world.stored(), Some(1150));
}

#[test]
fn an_answer_that_comes_after_a_new_take_over_is_nobodys() {
    let mut world = World::new();
    let mut core = world.core(policy());
    core.handle(world.now, Event::ShardAssigned { shard: Shard(0) });
    let is_half = |action: &Action| matches!(action, Action::Commit(Commit::WriteHalf { .. }));
    let half = until(&mut world, &mut core, is_half);
    core.handle(world.now, Event::ShardLost { shard: Shard(0) });
    core.handle(world.now, Event::ShardAssigned { shard: Shard(0) });
    world.settle(&mut core);
    assert_eq!(world.stored(), Some(1150));
    world.transcript.clear();
    world.answer(&mut core, half);
    world.settle(&mut core);
    assert!(!world.told("commit transaction"), "{:#?}", world.transcript);
}

#[test]
fn every_initialisation_is_a_take_over_with_its_own_ends_lists_and_reads() {
    let mut world = World::new();
    let mut core = world.settled(policy());
    world.source = Some(200);
    world.fail("write half", FailureClass::Fenced);
    world.pass(&mut core, poll());
    let fenced = world.transcript.iter().position(|line| line.contains("stood down")).unwrap();
    world.pass(&mut core, Duration::from_secs(5));
    let after = &world.transcript[fenced..];
    let at = |name: &str| after.iter().position(|line| line == name).unwrap_or(usize::MAX);
    let order = [
        "check assignment",
        "read fence log",
        "init transactions",
        "write take-over",
        "read mapping ends",
        "list source groups",
        "read source offsets",
        "read target offsets",
        "write half",
    ];
    for pair in order.windows(2) {
        assert!(at(pair[0]) < at(pair[1]), "{} before {}:\n{after:#?}", pair[0], pair[1]);
    }
    assert_eq!(world.stored(), Some(1250));
}

/// Else a client that was connected long before could answer from a coordinator that lost its
/// leadership, with older offsets than the shard's last owner has followed.
#[test]
fn the_first_look_at_a_group_asks_a_coordinator_that_was_looked_up_after_the_take_over() {
    let asked_since = |world: &mut World, core: &mut Core| {
        let read =
            until(world, core, |action| matches!(action, Action::Read(Read::SourceOffsets { .. })));
        let Action::Read(Read::SourceOffsets { coordinator_since, .. }) = &read else {
            panic!("{read:?}")
        };
        let since = *coordinator_since;
        world.answer(core, read);
        since
    };
    let mut world = World::new();
    let mut core = world.core(policy());
    core.handle(world.now, Event::ShardAssigned { shard: Shard(0) });
    let first_fence = world.now;
    assert_eq!(asked_since(&mut world, &mut core), Some(first_fence));
    world.settle(&mut core);

    world.now = world.now + poll();
    core.handle(world.now, Event::TimePassed);
    assert_eq!(asked_since(&mut world, &mut core), None, "it is known by now");
    world.settle(&mut core);

    world.source = Some(200);
    world.fail("write half", FailureClass::Fenced);
    world.pass(&mut core, poll());
    assert!(world.told("stood down"), "{:#?}", world.transcript);
    let (back_off_ends, _) = core.poll_timeout();
    world.now = back_off_ends;
    core.handle(world.now, Event::TimePassed);
    assert_eq!(asked_since(&mut world, &mut core), Some(back_off_ends), "a new take-over");
}

#[test]
fn a_zombie_that_finds_a_higher_fence_stands_down() {
    let mut world = World::new();
    let mut zombie = world.settled(policy());
    // Another instance takes over and commits newer offsets.
    world.source = Some(200);
    world.settled(policy());
    assert_eq!(world.stored(), Some(1250));
    world.source = Some(150);
    world.transcript.clear();
    world.now = world.now + poll();
    zombie.handle(world.now, Event::TimePassed);
    world.settle(&mut zombie);
    assert!(world.told("stood down"), "{:#?}", world.transcript);
    assert_eq!(world.stored(), Some(1250));
}

/// In `guarded` mode nothing fences the owner whose take-over a zombie's followed.
#[test]
fn an_owner_whose_take_over_was_followed_by_another_takes_over_anew() {
    let mut world = World::new();
    let mut core = world.core(Policy { commit_mode: CommitMode::Guarded, ..policy() });
    core.handle(world.now, Event::ShardAssigned { shard: Shard(0) });
    let ends = |action: &Action| matches!(action, Action::Read(Read::MappingEnds { .. }));
    let read = until(&mut world, &mut core, ends);
    world.settled(Policy { commit_mode: CommitMode::Guarded, ..policy() });
    assert_eq!(world.stored(), Some(1150), "the other has committed");
    world.source = Some(200);
    world.answer(&mut core, read);
    world.pass(&mut core, Duration::from_secs(10));
    assert!(!world.told("the fence topic lost records"), "{:#?}", world.transcript);
    assert_eq!(world.stored(), Some(1250));
}

#[test]
fn a_fence_log_that_lost_records_holds_instead_of_standing_down_for_ever() {
    let mut world = World::new();
    world.next_fence = 100;
    world.settled(policy());
    world.next_fence = 3;
    world.fences.newest.clear();
    world.source = Some(200);
    let mut core = world.settled(policy());
    world.pass(&mut core, poll() * 400);
    assert!(world.told("the fence topic lost records"), "{:#?}", world.transcript);
    let stood_down = world.transcript.iter().filter(|line| line.contains("stood down"));
    assert_eq!(stood_down.count(), 1, "{:#?}", world.transcript);
    assert_eq!(world.stored(), Some(1150));
}

#[test]
fn a_group_that_comes_and_goes_does_not_make_a_fence_log_that_lost_records_look_like_an_owner() {
    let mut world = World::new();
    world.next_fence = 100;
    world.settled(policy());
    world.next_fence = 3;
    world.fences.newest.clear();
    world.activity = GroupActivity::Active;
    let mut core = world.settled(policy());
    for activity in [GroupActivity::Empty, GroupActivity::Active, GroupActivity::Empty] {
        world.activity = activity;
        world.pass(&mut core, poll() * 10);
    }
    assert!(world.told("the fence topic lost records"), "{:#?}", world.transcript);
    let stood_down = world.transcript.iter().filter(|line| line.contains("stood down"));
    assert_eq!(stood_down.count(), 1, "{:#?}", world.transcript);
    assert_eq!(world.stored(), Some(1150));
}

#[test]
fn a_disturbance_during_a_take_over_is_not_forgotten_with_it() {
    let mut world = World::new();
    let mut core = world.core(policy());
    core.handle(world.now, Event::SourceDisturbed);
    core.handle(world.now, Event::ShardAssigned { shard: Shard(0) });
    world.settle(&mut core);
    assert!(world.told("it is read again"), "{:#?}", world.transcript);
    assert_eq!(world.stored(), None);
    world.pass(&mut core, Duration::from_secs(10));
    assert_eq!(world.stored(), Some(1150));
}
