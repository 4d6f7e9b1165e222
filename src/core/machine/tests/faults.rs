//! What goes wrong between a decision and its commit, and what must not follow from it.

use std::collections::BTreeSet;
use std::time::Duration;

use super::super::super::action::{Action, Commit, Read};
use super::super::super::event::{Event, TargetCommit};
use super::super::super::failure::{Failure, FailureClass};
use super::super::super::ids::{
    MappingOffset, MappingPartition, Shard, SourceOffset, SourcePartition, TargetOffset,
    TargetPartition, TopicId,
};
use super::super::super::mapping::{MappingRecord, OffsetSync};
use super::super::super::policy::{CommitMode, Policy};
use super::super::Core;
use super::world::{World, target};
use super::{policy, poll, until};

#[test]
fn a_commit_by_somebody_else_between_check_and_end_is_kept() {
    let mut world = World::new();
    world.before.insert("verify target offsets", |world| world.store(7, "theirs"));
    let mut core = world.settled(policy());
    assert!(world.logged("abort transaction") && !world.logged("commit transaction"));
    assert_eq!(world.stored(), Some(7));
    world.before.clear();
    world.pass(&mut core, poll() * 3);
    assert_eq!(world.stored(), Some(7), "held as foreign");
    assert!(world.logged("the stored commit is not Sprag's"));
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
    assert!(world.logged("abort transaction") && !world.logged("commit transaction"));
}

#[test]
fn the_age_of_a_check_counts_from_when_it_was_asked_for() {
    let mut world = World::new();
    let mut core = world.core(Policy { commit_mode: CommitMode::Guarded, ..policy() });
    core.handle(world.now, Event::ShardAssigned { shard: Shard(0) });
    let reads = |action: &Action| matches!(action, Action::Read(Read::TargetOffsets { .. }));
    let judged = until(&mut world, &mut core, reads);
    world.answer(&mut core, judged);
    let check = until(&mut world, &mut core, reads);
    let asked = world.now;
    world.now = asked + Duration::from_secs(60);
    world.answer(&mut core, check);
    let commit = until(&mut world, &mut core, |action| matches!(action, Action::Commit(_)));
    let Action::Commit(Commit::Plain { not_after, .. }) = commit else {
        panic!("{commit:?}");
    };
    assert!(not_after <= asked + Duration::from_secs(2), "{not_after:?}, asked at {asked:?}");
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
    assert!(world.logged("abort transaction"));
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
    assert!(world.logged("destroy producer") && world.logged("stood down"));
    assert!(!world.logged("committed 1150"), "an unknown outcome is no commit");
    world.pass(&mut core, Duration::from_secs(30));
    assert_eq!(world.stored(), Some(1150), "under a new fence");
}

#[test]
fn the_brokers_refusal_holds_the_group_alone_and_backs_off() {
    let mut world = World::new();
    world.fail("write half", FailureClass::GroupActive);
    let mut core = world.settled(policy());
    assert!(world.logged("abort transaction") && !world.logged("stood down"));
    world.pass(&mut core, Duration::from_secs(5));
    assert_eq!(world.stored(), Some(1150));
}

#[test]
fn an_offset_that_the_source_lost_is_held_and_what_is_stored_stays() {
    let mut world = World::new();
    let mut core = world.settled(policy());
    world.source = None;
    world.pass(&mut core, poll() * 2);
    assert!(
        world.logged("the source group has no committed offset here"),
        "{:#?}",
        world.transcript
    );
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
    assert!(world.logged("blocked: the stored commit used mapping partition 0 up to 4"));
    assert!(world.logged("it lost records"));
    assert_eq!(world.stored(), Some(1250));
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
fn a_partition_without_a_verdict_is_reported_once_while_the_rest_of_its_group_goes_on() {
    let mut world = World::new();
    let mut core = world.settled(policy());
    core.handle(world.now, other_syncs("hidden", [5, 9]));
    world.other_commits.insert(SourcePartition::new("hidden", 0), 9);
    world.undescribed.insert("hidden".into());
    world.transcript.clear();
    for source in [160, 200] {
        world.source = Some(source);
        world.pass(&mut core, poll());
    }
    let reported =
        world.transcript.iter().filter(|line| line.contains("billing: HoldGroup")).count();
    assert_eq!((reported, world.stored()), (1, Some(1250)), "{:#?}", world.transcript);
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
fn alternating_failures_of_two_descriptions_are_reported_once_each() {
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
    let reported = world.transcript.iter().filter(|line| line.contains("no answer")).count();
    assert_eq!(reported, 2);
}
