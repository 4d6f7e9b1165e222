//! Ownership of shards: fences, take-overs, and what each take-over starts again.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::super::action::{Action, Commit, Read, StopReason};
use super::super::super::event::{Event, GroupActivity, MappingEnds, ReadDone};
use super::super::super::failure::FailureClass;
use super::super::super::ids::{GroupId, Shard, ShardCount, TopicId};
use super::super::super::policy::{CommitMode, Policy};
use super::super::Core;
use super::world::{GROUP, World};
use super::{policy, poll, until};

#[test]
fn a_fenced_owner_drops_its_decision_and_takes_over_again_only_if_still_assigned() {
    for (assigned, again) in [(true, 2), (false, 1)] {
        let mut world = World::new();
        world.fail("write half", FailureClass::Fenced);
        world.assigned = assigned;
        let mut core = world.core(policy());
        core.handle(world.now, Event::ShardAssigned { shard: Shard(0) });
        world.settle(&mut core);
        assert!(world.logged("stood down") && world.logged("destroy producer"));
        assert!(!world.logged("commit transaction"));
        world.pass(&mut core, Duration::from_secs(30));
        assert!(world.logged("check assignment"), "{:#?}", world.transcript);
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
fn a_shard_that_nobody_owned_is_not_taken_over_alongside_owners_of_fewer_shards() {
    for (shards, ends) in [(8, true), (16, false)] {
        let mut world = World::new();
        world.shards = shards;
        world.settled(policy());
        let first = std::mem::take(&mut world.fences.newest);
        world.transcript.clear();
        world.shards = 16;
        let mut core = world.core(policy());
        core.handle(world.now, Event::ShardAssigned { shard: Shard(12) });
        let log = |action: &Action| matches!(action, Action::ReadFenceLog { .. });
        let own = until(&mut world, &mut core, log);
        assert!(matches!(own, Action::ReadFenceLog { of: Shard(12), .. }), "{own:?}");
        world.answer(&mut core, own);
        world.fences.newest = first;
        let firsts = until(&mut world, &mut core, log);
        assert!(matches!(firsts, Action::ReadFenceLog { of: Shard(0), .. }), "{firsts:?}");
        world.answer(&mut core, firsts);
        world.settle(&mut core);
        assert_eq!(world.logged("was written for 8 shards"), ends, "{:#?}", world.transcript);
        assert_eq!(world.logged("fence partition 0: "), ends, "the record is in the first one");
        assert_eq!(world.stopped.is_some(), ends);
        assert_eq!(world.logged("init transactions"), !ends);
    }
}

#[test]
fn a_shard_that_was_owned_before_has_its_own_terms_to_follow() {
    let mut world = World::new();
    world.shards = 16;
    world.settled(policy());
    let mut core = world.core(policy());
    core.handle(world.now, Event::ShardAssigned { shard: Shard(12) });
    while let Some(action) = core.poll_action() {
        let others = matches!(action, Action::ReadFenceLog { of, .. } if of != Shard(12));
        assert!(!others, "{action:?}");
        world.answer(&mut core, action);
    }
}

#[test]
fn an_answer_that_comes_after_a_new_take_over_is_ignored() {
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
    assert!(!world.logged("commit transaction"), "{:#?}", world.transcript);
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

/// Otherwise a client that was connected long before could answer from a coordinator that lost its
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
    assert_eq!(asked_since(&mut world, &mut core), Some(first_fence), "the same look-up");
    world.settle(&mut core);

    world.source = Some(200);
    world.fail("write half", FailureClass::Fenced);
    world.pass(&mut core, poll());
    assert!(world.logged("stood down"), "{:#?}", world.transcript);
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
    assert!(world.logged("stood down"), "{:#?}", world.transcript);
    assert_eq!(world.stored(), Some(1250));
}

/// In `guarded` mode, a later take-over by a zombie does not fence the owner.
#[test]
fn an_owner_whose_take_over_was_followed_by_another_takes_over_again() {
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
    assert!(!world.logged("the fence topic lost records"), "{:#?}", world.transcript);
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
    assert!(world.logged("the fence topic lost records"), "{:#?}", world.transcript);
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
    assert!(world.logged("the fence topic lost records"), "{:#?}", world.transcript);
    let stood_down = world.transcript.iter().filter(|line| line.contains("stood down"));
    assert_eq!(stood_down.count(), 1, "{:#?}", world.transcript);
    assert_eq!(world.stored(), Some(1150));
}

#[test]
fn losing_one_shard_takes_nothing_from_the_other() {
    let mut world = World::new();
    world.shards = 2;
    let mut core = world.core(policy());
    let own = Shard::of(&GroupId::from(GROUP), ShardCount(2));
    let other = Shard(1 - own.get());
    for shard in [own, other] {
        core.handle(world.now, Event::ShardAssigned { shard });
    }
    let asked: Vec<_> = std::iter::from_fn(|| core.poll_action()).collect();
    core.handle(world.now, Event::ShardLost { shard: other });
    for action in asked {
        world.answer(&mut core, action);
    }
    world.settle(&mut core);
    assert_eq!(world.stored(), Some(1150), "the answers to the own shard counted");

    core.handle(world.now, Event::ShardAssigned { shard: other });
    world.settle(&mut core);
    world.source = Some(200);
    world.now = world.now + poll();
    core.handle(world.now, Event::TimePassed);
    let is_round = |action: &Action| matches!(action, Action::Read(Read::SourceOffsets { .. }));
    let read = until(&mut world, &mut core, is_round);
    core.handle(world.now, Event::ShardLost { shard: other });
    world.answer(&mut core, read);
    world.settle(&mut core);
    assert_eq!(world.stored(), Some(1250), "the answer to its group counted");
}

#[test]
fn a_shard_is_given_back_only_when_its_plain_commit_is_answered() {
    let mut world = World::new();
    let mut core = world.core(Policy { commit_mode: CommitMode::Guarded, ..policy() });
    core.handle(world.now, Event::ShardAssigned { shard: Shard(0) });
    let is_commit = |action: &Action| matches!(action, Action::Commit(_));
    let commit = until(&mut world, &mut core, is_commit);
    core.handle(world.now, Event::ShardRevoked { shard: Shard(0) });
    world.settle(&mut core);
    assert!(!world.logged("release shard"), "{:#?}", world.transcript);
    world.answer(&mut core, commit);
    world.settle(&mut core);
    assert!(world.logged("release shard"), "{:#?}", world.transcript);
    assert!(world.logged("committed 1150"), "{:#?}", world.transcript);
}

#[test]
fn a_shard_that_the_fence_topic_did_not_have_ends_the_process() {
    let mut world = World::new();
    let mut core = world.core(policy());
    core.handle(world.now, Event::ShardAssigned { shard: Shard(1) });
    world.settle(&mut core);
    let Some(StopReason::Fatal { reason }) = &world.stopped else {
        panic!("{:#?}", world.transcript)
    };
    assert!(reason.contains("assigned shard 1"), "{reason}");
}

#[test]
fn a_fence_topic_of_another_pipeline_ends_the_process() {
    let mut world = World::new();
    world.settled(policy());
    let taken_over = world.fences.clone();
    world.settled(Policy::for_pipeline("another"));
    let Some(StopReason::Fatal { reason }) = &world.stopped else {
        panic!("{:#?}", world.transcript)
    };
    assert!(reason.contains("another"), "{reason}");
    assert_eq!(world.fences, taken_over, "nothing was written");
}

#[test]
fn an_instance_fenced_while_taking_over_asks_whether_the_shard_is_still_its_own() {
    for (class, asks) in [(FailureClass::Fenced, true), (FailureClass::Retry, false)] {
        let mut world = World::new();
        world.fail("init transactions", class);
        let mut core = world.settled(policy());
        world.pass(&mut core, poll());
        assert_eq!(world.logged("check assignment"), asks, "{:#?}", world.transcript);
        assert_eq!(world.stored(), Some(1150), "{class:?}");
    }
}

#[test]
fn ends_that_leave_a_mapping_partition_out_are_asked_for_again() {
    let mut world = World::new();
    let mut core = world.core(policy());
    core.handle(world.now, Event::ShardAssigned { shard: Shard(0) });
    let reads_ends = |action: &Action| matches!(action, Action::Read(Read::MappingEnds { .. }));
    let read = until(&mut world, &mut core, reads_ends);
    let Some(request) = read.request() else { panic!("{read:?}") };
    let nothing = MappingEnds { topic: TopicId([8; 16]), ends: BTreeMap::new() };
    let nothing = ReadDone::MappingEnds { request, outcome: Ok(nothing) };
    core.handle(world.now, Event::Read(nothing));
    world.settle(&mut core);
    assert!(!world.logged("list source groups"), "{:#?}", world.transcript);
    world.pass(&mut core, Duration::from_secs(2));
    assert_eq!(world.stored(), Some(1150));
}

#[test]
fn attempts_to_take_over_that_fail_come_ever_more_rarely() {
    let mut world = World::new();
    for _ in 0..8 {
        world.fail("init transactions", FailureClass::Retry);
    }
    let mut core = world.settled(policy());
    let mut failed_at = vec![world.now];
    while world.stored().is_none() {
        world.jump(&mut core);
        world.settle(&mut core);
        let failed = world.transcript.iter().filter(|line| line.starts_with("init transactions:"));
        if failed.count() > failed_at.len() {
            failed_at.push(world.now);
        }
    }
    let waits: Vec<_> = failed_at.windows(2).map(|pair| pair[1].since(pair[0])).collect();
    assert!(waits.len() == 7 && waits[3] > waits[0] * 5, "{waits:?}");
    let longest = Duration::from_secs(6);
    assert!(waits.iter().all(|wait| *wait < longest), "a broker that is back waits: {waits:?}");
}

#[test]
fn a_shard_that_nobody_commits_in_is_kept_from_expiring_once_a_day() {
    let mut world = World::new();
    world.groups.clear();
    let mut core = world.settled(policy());
    let written = |world: &World| {
        world.transcript.iter().filter(|line| *line == "write fence records").count()
    };
    let hour = Duration::from_secs(3600);
    world.pass(&mut core, hour * 23);
    assert_eq!(written(&world), 0);
    world.pass(&mut core, hour * 2);
    assert_eq!(written(&world), 1);
    world.pass(&mut core, hour * 24);
    assert_eq!(written(&world), 2);
}
