//! The limits of the target's brokers.

use super::super::super::failure::FailureClass;
use super::super::super::ids::SourcePartition;
use super::super::super::policy::{CommitMode, Policy};
use super::world::{World, target};
use super::{policy, poll};

/// The approximate length of the stamp in the world's first commit.
const STAMP: usize = 120;

#[test]
fn metadata_that_is_too_long_for_the_broker_leaves_the_stamp_alone() {
    for commit_mode in [CommitMode::Fenced, CommitMode::Guarded] {
        let mut world = World::new();
        world.source_metadata = "m".repeat(250);
        world.metadata_max = Some(300);
        let mut core = world.settled(Policy { commit_mode, ..policy() });
        world.pass(&mut core, poll());
        assert_eq!(world.stored(), Some(1150), "{:#?}", world.transcript);
        assert!(world.target[&target()].metadata.len() < STAMP + 10);
        assert!(world.logged("metadata"), "{:#?}", world.transcript);

        world.source_metadata = "m".repeat(150);
        world.source = Some(200);
        world.pass(&mut core, poll());
        assert_eq!(world.stored(), Some(1250));
        let kept = &world.target[&target()].metadata;
        assert!(kept.ends_with(&world.source_metadata), "what fits is kept: {kept}");
    }
}

#[test]
fn a_stamp_that_is_too_long_by_itself_holds_its_group_alone() {
    let mut world = World::new();
    world.metadata_max = Some(20);
    let mut core = world.settled(policy());
    world.pass(&mut core, poll() * 20);
    assert_eq!(world.stored(), None);
    let tries = world.transcript.iter().filter(|line| line.starts_with("write half")).count();
    assert!((2..12).contains(&tries), "{tries}: it waits for somebody to act");
}

#[test]
fn a_group_with_very_many_partitions_is_committed_in_parts_at_once() {
    let mut world = World::new();
    for nth in 1..=300 {
        world.other_commits.insert(SourcePartition::new("orders", nth), 150);
        world.mirrored.push(nth);
    }
    world.source_metadata = "m".repeat(3800);
    let mut core = world.settled(policy());
    world.pass(&mut core, poll() / 2);
    let commits = world.transcript.iter().filter(|line| *line == "commit transaction").count();
    assert_eq!(world.target.len(), 301, "all of them, before the next poll");
    assert!(commits > 1, "{commits}");
    let verified = world.transcript.iter().filter(|line| *line == "verify target offsets").count();
    assert_eq!(verified, commits, "each part is verified");
}

#[test]
fn a_commit_that_the_broker_finds_too_large_is_halved() {
    let mut world = World::new();
    for nth in 1..=20 {
        world.other_commits.insert(SourcePartition::new("orders", nth), 150);
        world.mirrored.push(nth);
    }
    world.partitions_max = Some(3);
    let mut core = world.settled(policy());
    world.pass(&mut core, poll());
    assert_eq!(world.target.len(), 21, "{:#?}", world.transcript);
}

#[test]
fn a_transaction_that_stays_pending_is_a_hold_with_its_own_reason() {
    let mut world = World::new();
    world.unstable = true;
    let mut core = world.settled(policy());
    world.pass(&mut core, poll());
    assert!(!world.logged("kafka-transactions.sh"), "for a while that is normal");
    world.pass(&mut core, poll() * 30);
    let reported = world.transcript.iter().filter(|line| line.contains("kafka-transactions.sh"));
    assert_eq!(reported.count(), 1, "{:#?}", world.transcript);
    world.unstable = false;
    world.pass(&mut core, poll() * 5);
    assert_eq!(world.stored(), Some(1150));
    assert_eq!(failures(&world, FailureClass::Stop), 0);
}

fn failures(world: &World, class: FailureClass) -> usize {
    world.transcript.iter().filter(|line| line.contains(&format!("fails ({class:?})"))).count()
}
