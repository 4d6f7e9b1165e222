//! What fails, hangs or is revoked delays nothing else, and is never retried without a pause.

use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::super::super::action::{Action, Commit, Read};
use super::super::super::event::{CommitDone, Event, GroupActivity};
use super::super::super::failure::FailureClass;
use super::super::super::ids::{GroupId, Shard, ShardCount, SourcePartition};
use super::super::super::policy::{CommitMode, Policy};
use super::super::super::time::Instant;
use super::super::Core;
use super::world::{World, failure, target};
use super::{policy, poll};

fn guarded() -> Policy {
    Policy { commit_mode: CommitMode::Guarded, ..policy() }
}

/// Names of groups that belong to `shard`.
fn groups_of(shard: u32, shards: u32, count: usize) -> Vec<GroupId> {
    let names = (0..).map(|nth| GroupId::from(format!("group-{nth}").as_str()));
    names.filter(|name| Shard::of(name, ShardCount(shards)) == Shard(shard)).take(count).collect()
}

/// Settles the core, but returns the actions for which `is` holds unanswered.
fn settle_but(
    world: &mut World,
    core: &mut Core,
    is: impl Fn(&Action) -> bool,
) -> VecDeque<Action> {
    let mut kept = VecDeque::new();
    while let Some(action) = core.poll_action() {
        if is(&action) {
            kept.push_back(action);
        } else {
            world.answer(core, action);
        }
    }
    kept
}

#[test]
fn a_fence_record_that_cannot_be_written_waits_and_holds_no_group() {
    let mut world = World::new();
    for _ in 0..3 {
        world.fail("write fence records", FailureClass::Retry);
    }
    let mut core = world.settled(policy());
    let tries = |world: &World| {
        world.transcript.iter().filter(|line| line.starts_with("write fence records")).count()
    };
    assert_eq!(tries(&world), 1, "{:#?}", world.transcript);
    assert_eq!(world.stored(), Some(1150));
    world.pass(&mut core, Duration::from_secs(60));
    assert_eq!(tries(&world), 4);
    assert!(!world.logged("stood down"));
}

#[test]
fn a_fence_record_whose_transaction_must_be_aborted_takes_the_producer_with_it() {
    let mut world = World::new();
    world.fail("write fence records", FailureClass::Abort);
    world.settled(policy());
    assert!(world.logged("destroy producer") && world.logged("stood down"));
}

#[test]
fn groups_that_wait_for_a_producer_that_hangs_leave_room_for_the_other_shards() {
    let mut world = World::new();
    world.shards = 2;
    world.groups = groups_of(0, 2, 200);
    let other = GroupId::from("the-last-in-order-of-names-2");
    world.groups.push(other.clone());
    let mut core = world.core(policy());
    for shard in [0, 1] {
        core.handle(world.now, Event::ShardAssigned { shard: Shard(shard) });
    }
    let hangs = |action: &Action| {
        let Action::Commit(Commit::WriteHalf { shard, .. }) = action else { return false };
        *shard == Shard(0)
    };
    let hanging = settle_but(&mut world, &mut core, hangs);
    assert_eq!(hanging.len(), 1);
    world.source = Some(200);
    world.transcript.clear();
    world.now = world.now + poll();
    core.handle(world.now, Event::TimePassed);
    settle_but(&mut world, &mut core, hangs);
    assert!(
        world.logged(&format!("{other} dr.orders-0: committed 1250")),
        "{:#?}",
        world.transcript
    );
}

#[test]
fn a_revoked_shard_begins_no_plain_commit() {
    let mut world = World::new();
    world.groups = groups_of(0, 1, 2);
    let late = world.groups[1].clone();
    let mut core = world.core(guarded());
    core.handle(world.now, Event::ShardAssigned { shard: Shard(0) });
    let reads_late = |action: &Action| matches!(action, Action::Read(Read::SourceOffsets { group, .. }) if *group == late);
    let held = |action: &Action| reads_late(action) || matches!(action, Action::Commit(_));
    let kept = settle_but(&mut world, &mut core, held);
    assert_eq!(kept.len(), 2, "{kept:#?}");
    core.handle(world.now, Event::ShardRevoked { shard: Shard(0) });
    let (commits, reads): (Vec<_>, Vec<_>) =
        kept.into_iter().partition(|action| matches!(action, Action::Commit(_)));
    for read in reads {
        world.answer(&mut core, read);
    }
    world.settle(&mut core);
    assert!(!world.logged("commit plainly"), "{:#?}", world.transcript);
    for commit in commits {
        world.answer(&mut core, commit);
    }
    world.settle(&mut core);
    assert!(world.logged("release shard"), "{:#?}", world.transcript);
}

#[test]
fn a_partition_that_is_refused_again_and_again_makes_its_group_wait_longer() {
    let mut world = World::new();
    let mut core = world.core(guarded());
    core.handle(world.now, Event::ShardAssigned { shard: Shard(0) });
    let mut refused_at = Vec::new();
    while refused_at.len() < 5 {
        match core.poll_action() {
            Some(Action::Commit(Commit::Plain { request, .. })) => {
                refused_at.push(world.now);
                let outcome =
                    Ok(BTreeMap::from([(target(), Err(failure(FailureClass::HoldGroup)))]));
                core.handle(world.now, Event::Commit(CommitDone::Plain { request, outcome }));
            }
            Some(action) => world.answer(&mut core, action),
            None => world.jump(&mut core),
        }
    }
    let last = refused_at[4].since(refused_at[3]);
    assert!(last >= Duration::from_secs(2), "{refused_at:?}");
}

#[test]
fn members_that_were_listed_long_ago_no_longer_hold_a_group() {
    let mut world = World::new();
    world.activity = GroupActivity::Active;
    let mut core = world.settled(policy());
    for _ in 0..1000 {
        world.fail("list target groups", FailureClass::Retry);
    }
    world.pass(&mut core, Duration::from_secs(30));
    assert_eq!(world.stored(), None);
    world.pass(&mut core, Duration::from_secs(120));
    assert_eq!(world.stored(), Some(1150), "the broker's own check decides");
}

#[test]
fn groups_whose_coordinator_does_not_answer_leave_room_for_the_others() {
    let mut world = World::new();
    let other = GroupId::from("another");
    let names = (0..800).map(|nth| GroupId::from(format!("hanging-{nth}").as_str()));
    world.groups = names.chain([other.clone()]).collect();
    let mut core = world.core(policy());
    core.handle(world.now, Event::ShardAssigned { shard: Shard(0) });
    // Each of their requests fails after ten seconds, like one that times out.
    let mut hanging: VecDeque<(Instant, Action)> = VecDeque::new();
    let (mut last, mut longest) = (0, 0);
    for second in 0..500 {
        while hanging.front().is_some_and(|(until, _)| *until <= world.now)
            && let Some((_, action)) = hanging.pop_front()
        {
            world.fail("read source offsets", FailureClass::Retry);
            world.answer(&mut core, action);
        }
        let served = Cell::new(false);
        let kept = settle_but(&mut world, &mut core, |action| {
            let Action::Read(Read::SourceOffsets { group, .. }) = action else { return false };
            served.set(served.get() || *group == other);
            *group != other
        });
        let until = world.now + Duration::from_secs(10);
        hanging.extend(kept.into_iter().map(|action| (until, action)));
        if served.get() {
            // First rounds run in order, because no group is known to hang yet.
            longest = if second > 200 { longest.max(second - last) } else { 0 };
            last = second;
        }
        world.now = world.now + Duration::from_secs(1);
        core.handle(world.now, Event::TimePassed);
    }
    assert!(last > 400 && longest <= 21, "served at {last}, after {longest} seconds");
}

#[test]
fn a_partition_that_waits_to_be_confirmed_does_not_slow_the_groups_others_down() {
    let mut world = World::new();
    let other = SourcePartition::new("orders", 1);
    world.other_commits.insert(other.clone(), 90);
    let mut core = world.settled(policy());
    assert_eq!(world.stored(), Some(1150));
    world.other_commits.insert(other, 80);
    world.pass(&mut core, poll());
    world.source = Some(200);
    world.pass(&mut core, poll());
    assert!(policy().confirm_after > poll(), "otherwise this shows nothing");
    assert_eq!(world.stored(), Some(1250), "{:#?}", world.transcript);
}
