//! What goes wrong between a decision and its commit, and what must not come of it.

use std::collections::BTreeSet;
use std::time::Duration;

use super::super::super::action::{Action, Commit, Read};
use super::super::super::event::{Event, GroupActivity, TargetCommit};
use super::super::super::failure::{Failure, FailureClass};
use super::super::super::ids::{
    MappingOffset, MappingPartition, Shard, SourceOffset, SourcePartition, TargetOffset,
    TargetPartition, TopicId,
};
use super::super::super::mapping::{MappingRecord, OffsetSync};
use super::super::Core;
use super::world::{World, target};
use super::{policy, poll, until};

#[test]
fn a_commit_by_somebody_else_between_check_and_end_stands() {
    let mut world = World::new();
    world.before.insert("verify target offsets", |world| world.store(7, "theirs"));
    let mut core = world.settled(policy());
    assert!(world.told("abort transaction") && !world.told("commit transaction"));
    assert_eq!(world.stored(), Some(7));
    world.before.clear();
    world.pass(&mut core, poll() * 3);
    assert_eq!(world.stored(), Some(7), "held as foreign");
    assert!(world.told("the stored commit is not Sprag's"));
}

#[test]
fn a_commit_of_another_partition_by_somebody_else_is_seen_too() {
    let mut world = World::new();
    world.before.insert("verify target offsets", |world| {
        let sibling = TargetPartition::new("dr.orders", 1);
        let theirs = TargetCommit { offset: TargetOffset(7), metadata: "theirs".to_owned() };
        world.target.insert(sibling, theirs);
    });
    world.settled(policy());
    assert!(world.told("abort transaction") && !world.told("commit transaction"));
}

#[test]
fn equal_offset_with_other_metadata_counts_as_changed() {
    let mut world = World::new();
    let mut core = world.settled(policy());
    world.source = Some(200);
    world.before.insert("verify target offsets", |world| world.store(1150, "theirs"));
    world.pass(&mut core, poll());
    assert_eq!(world.target[&target()].metadata, "theirs");
}

#[test]
fn a_failed_verification_aborts() {
    let mut world = World::new();
    world.fail("verify target offsets", FailureClass::Retry);
    let mut core = world.settled(policy());
    assert!(world.told("abort transaction"));
    assert_eq!(world.stored(), None);
    world.pass(&mut core, Duration::from_secs(5));
    assert_eq!(world.stored(), Some(1150), "tried again after a back-off");
}

#[test]
fn a_failed_target_read_is_not_no_offset() {
    let mut world = World::new();
    world.store(9000, "theirs");
    for _ in 0..3 {
        world.fail("read target offsets", FailureClass::Retry);
    }
    let mut core = world.settled(policy());
    assert_eq!(world.stored(), Some(9000));
    world.pass(&mut core, Duration::from_secs(60));
    assert_eq!(world.stored(), Some(9000));
}

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
fn an_unknown_outcome_is_asked_for_again_and_then_given_up_with_the_producer() {
    let mut world = World::new();
    world.fail("commit transaction", FailureClass::OutcomeUnknown);
    world.settled(policy());
    assert_eq!(world.stored(), Some(1150), "the second time it was known");

    let mut world = World::new();
    for _ in 0..5 {
        world.fail("commit transaction", FailureClass::OutcomeUnknown);
    }
    let mut core = world.settled(policy());
    assert!(world.told("destroy producer") && world.told("stood down"));
    assert!(!world.told("committed 1150"), "an unknown outcome is no commit");
    world.pass(&mut core, Duration::from_secs(30));
    assert_eq!(world.stored(), Some(1150), "under a new fence");
}

#[test]
fn the_brokers_refusal_holds_the_group_alone_and_backs_off() {
    let mut world = World::new();
    world.fail("write half", FailureClass::GroupActive);
    let mut core = world.settled(policy());
    assert!(world.told("abort transaction") && !world.told("stood down"));
    world.pass(&mut core, Duration::from_secs(5));
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
    assert!(!world.told("stood down"), "{:#?}", world.transcript);
    assert_eq!(world.stored(), Some(1150));
}

#[test]
fn an_offset_that_the_source_lost_is_held_and_what_is_stored_stays() {
    let mut world = World::new();
    let mut core = world.settled(policy());
    world.source = None;
    world.pass(&mut core, poll() * 2);
    assert!(world.told("the source group has no committed offset here"), "{:#?}", world.transcript);
    assert_eq!(world.stored(), Some(1150));
}

#[test]
fn an_instance_that_knows_less_of_the_mappings_is_blocked() {
    let mut world = World::new();
    world.source = Some(200);
    world.settled(policy());
    assert_eq!(world.stored(), Some(1250));
    // A truncated mapping log: shorter than what the stored decision knew.
    world.mappings.truncate(2);
    world.mapping_end = 2;
    let mut core = world.settled(policy());
    world.pass(&mut core, poll());
    assert!(world.told("blocked: the stored commit knew mapping partition 0 up to 4"));
    assert!(world.told("it lost records"));
    assert_eq!(world.stored(), Some(1250));
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
    assert!(!world.told("stood down"), "{:#?}", world.transcript);
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

#[test]
fn only_replays_that_a_waiting_group_depends_on_are_asked_for() {
    let mut world = World::new();
    let mut core = world.settled(policy());
    core.handle(world.now, other_syncs("deleted", [900, 100]));
    world.now = world.now + poll();
    core.handle(world.now, Event::TimePassed);
    let reads_topics = |action: &Action| matches!(action, Action::Read(Read::Topics { .. }));
    let read = until(&mut world, &mut core, reads_topics);
    let Action::Read(Read::Topics { source_ends, .. }) = read else { panic!("{read:?}") };
    assert_eq!(source_ends, BTreeSet::new());
}

#[test]
fn a_partition_without_a_verdict_is_told_of_once_while_the_rest_of_its_group_goes_on() {
    let mut world = World::new();
    let mut core = world.settled(policy());
    core.handle(world.now, other_syncs("hidden", [5, 9]));
    world.beside.insert(SourcePartition::new("hidden", 0), 9);
    world.undescribed.insert("hidden".into());
    world.transcript.clear();
    for source in [160, 200] {
        world.source = Some(source);
        world.pass(&mut core, poll());
    }
    let told = world.transcript.iter().filter(|line| line.contains("billing: HoldGroup")).count();
    assert_eq!((told, world.stored()), (1, Some(1250)), "{:#?}", world.transcript);
}

/// Two syncs of another topic, behind the four of the world's own.
fn other_syncs(name: &str, source_offsets: [i64; 2]) -> Event {
    let sync = |offset: i64| OffsetSync {
        source: SourcePartition::new(name, 0),
        target: TargetPartition::new(format!("dr.{name}").as_str(), 0),
        source_offset: SourceOffset(offset),
        target_offset: TargetOffset(offset),
    };
    let records = (4..).zip(source_offsets);
    Event::MappingsRead {
        topic: TopicId([8; 16]),
        partition: MappingPartition(0),
        records: records
            .map(|(at, of)| (MappingOffset(at), MappingRecord::Sync(sync(of))))
            .collect(),
        position: MappingOffset(6),
    }
}

#[test]
fn an_outage_of_many_disturbances_is_told_once() {
    let mut world = World::new();
    let mut core = world.settled(policy());
    let told = |world: &World| {
        world
            .transcript
            .iter()
            .filter(|line| line.contains("connection to the source broke"))
            .count()
    };
    for _ in 0..3 {
        core.handle(world.now, Event::SourceDisturbed);
        world.settle(&mut core);
    }
    assert_eq!(told(&world), 1);
    world.pass(&mut core, poll() * 2);
    core.handle(world.now, Event::SourceDisturbed);
    world.settle(&mut core);
    assert_eq!(told(&world), 2, "answers came between");
}

#[test]
fn failures_of_two_descriptions_by_turns_are_told_once_each() {
    let mut world = World::new();
    let mut core = world.settled(policy());
    let described = |core: &mut Core, world: &mut World, topic: &str| {
        let failure = Failure::new(FailureClass::Retry, format!("describing {topic}: no answer"));
        core.listing_failed(failure);
        world.settle(core);
    };
    for _ in 0..3 {
        described(&mut core, &mut world, "fences");
        described(&mut core, &mut world, "mappings");
    }
    let told = world.transcript.iter().filter(|line| line.contains("no answer")).count();
    assert_eq!(told, 2);
}
