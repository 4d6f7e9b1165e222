//! A producer with a request that was never answered is replaced before the shard goes on.

use super::super::super::event::{Aftermath, Event};
use super::super::super::failure::FailureClass;
use super::super::super::ids::Shard;
use super::world::World;
use super::{policy, poll};

fn position(world: &World, line: &str) -> Option<usize> {
    world.transcript.iter().position(|entry| entry.contains(line))
}

#[test]
fn a_commit_that_leaves_a_late_request_counts_and_a_new_producer_follows() {
    let mut world = World::new();
    world.aftermath = Aftermath::LateRequest;
    let mut core = world.core(policy());
    core.handle(world.now, Event::ShardAssigned { shard: Shard(0) });
    world.settle(&mut core);
    assert_eq!(world.stored(), Some(1150));
    let committed = position(&world, "committed 1150");
    let replaced = position(&world, "gets a new producer");
    assert!(committed.is_some() && committed < replaced, "{:#?}", world.transcript);
    let after = &world.transcript[replaced.unwrap_or_default()..];
    let next = |what: &str| after.iter().position(|line| line == what);
    assert!(next("destroy producer") < next("check assignment"), "{after:#?}");
    assert!(next("check assignment") < next("init transactions"), "{after:#?}");
    assert!(next("init transactions") < next("read source offsets"), "{after:#?}");
}

#[test]
fn a_half_with_a_late_request_is_never_ended_by_its_producer() {
    let mut world = World::new();
    world.fail("write half", FailureClass::LateRequest);
    world.settled(policy());
    assert!(!world.logged("stood down"), "nobody else owns the shard");
    assert_eq!(world.stored(), Some(1150), "by the next producer");
    let replaced = position(&world, "gets a new producer");
    let before = &world.transcript[..replaced.unwrap_or_default()];
    let ended = |line: &String| line == "commit transaction" || line == "abort transaction";
    assert!(replaced.is_some() && !before.iter().any(ended), "{:#?}", world.transcript);
}

#[test]
fn an_end_that_fails_with_a_late_request_is_not_asked_for_again() {
    let mut world = World::new();
    world.fail("commit transaction", FailureClass::LateRequest);
    world.settled(policy());
    assert!(world.logged("gets a new producer") && !world.logged("stood down"));
    assert_eq!(world.stored(), Some(1150), "by the next producer");
    let replaced = position(&world, "gets a new producer").unwrap_or_default();
    let ends = world.transcript[..replaced].iter().filter(|line| *line == "commit transaction");
    assert_eq!(ends.count(), 0, "the one that failed left nothing: {:#?}", world.transcript);
}

#[test]
fn a_take_over_with_a_late_request_does_not_count() {
    let mut world = World::new();
    world.fail("write take-over", FailureClass::LateRequest);
    let mut core = world.settled(policy());
    assert_eq!(world.stored(), None, "its fence was never acquired");
    world.pass(&mut core, poll());
    assert_eq!(world.stored(), Some(1150));
    let initialised = world.transcript.iter().filter(|line| *line == "init transactions");
    assert_eq!(initialised.count(), 2);
}

#[test]
fn a_fence_record_with_a_late_request_replaces_the_producer_too() {
    let mut world = World::new();
    world.fail("write fence records", FailureClass::LateRequest);
    world.settled(policy());
    assert!(world.logged("gets a new producer") && !world.logged("stood down"));
    assert_eq!(world.stored(), Some(1150));
}

#[test]
fn a_shard_that_is_asked_for_is_given_back_instead_of_getting_a_new_producer() {
    let mut world = World::new();
    let mut core = world.settled(policy());
    world.source = Some(200);
    world.aftermath = Aftermath::LateRequest;
    world.before.insert("commit transaction", |world| world.revoke = true);
    world.transcript.clear();
    world.pass(&mut core, poll());
    assert!(world.logged("release shard") && !world.logged("init transactions"));
}
