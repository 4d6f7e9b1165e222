//! Commits that are written again before they expire.

use std::collections::BTreeSet;
use std::time::Duration;

use super::super::super::action::{Action, Commit, Read, ReadScope};
use super::super::super::event::{CommitDone, Event};
use super::super::super::failure::FailureClass;
use super::super::super::ids::TargetPartition;
use super::super::super::policy::Policy;
use super::policy;
use super::world::{World, failure, target};

const REFRESHED: &str = "written again before it expires";

fn four_hours() -> Policy {
    Policy { refresh_interval: Duration::from_secs(4 * 3600), ..policy() }
}

#[test]
fn a_commit_is_written_again_while_the_source_cannot_be_read() {
    for unreadable in ["read source offsets", "read topics"] {
        let mut world = World::new();
        let mut core = world.settled(four_hours());
        let before = world.target.clone();
        world.transcript.clear();
        for _ in 0..2000 {
            world.fail(unreadable, FailureClass::Retry);
        }
        world.pass(&mut core, Duration::from_secs(5 * 3600));
        let refreshed = world.transcript.iter().filter(|line| line.contains(REFRESHED));
        assert_eq!(refreshed.count(), 1, "{unreadable}");
        assert_eq!(world.target, before, "byte for byte");
    }
}

#[test]
fn what_somebody_else_committed_is_not_written_again_while_the_source_cannot_be_read() {
    let mut world = World::new();
    let mut core = world.settled(four_hours());
    world.store(1150, "theirs");
    for _ in 0..2000 {
        world.fail("read source offsets", FailureClass::Retry);
    }
    world.pass(&mut core, Duration::from_secs(5 * 3600));
    assert!(!world.logged(REFRESHED));
}

#[test]
fn a_refresh_that_is_refused_does_not_hold_the_groups_other_commits() {
    let mut world = World::new();
    let gone = TargetPartition::new("dr.gone", 0);
    let mut core = world.settled(four_hours());
    // Our commit of a partition to which nothing is translated any more.
    world.target.insert(gone.clone(), world.target[&target()].clone());
    world.pass(&mut core, Duration::from_secs(4 * 3600 - 30));
    let mut refused = Vec::new();
    let end = world.now + Duration::from_secs(300);
    while world.now < end {
        match core.poll_action() {
            Some(Action::Commit(Commit::WriteHalf { request, offsets, .. }))
                if offsets.contains_key(&gone) =>
            {
                refused.push(offsets.len());
                world.source = Some(100);
                let outcome = Err(failure(FailureClass::Missing));
                core.handle(world.now, Event::Commit(CommitDone::HalfWritten { request, outcome }));
            }
            Some(action) => world.answer(&mut core, action),
            None => world.jump(&mut core),
        }
    }
    assert!(!refused.is_empty());
    assert_eq!(world.stored(), Some(1100), "{refused:?} {:#?}", world.transcript);
}

#[test]
fn what_is_gone_on_both_sides_is_no_longer_read() {
    let mut world = World::new();
    let mut core = world.settled(four_hours());
    world.target.clear();
    world.source = None;
    world.pass(&mut core, Duration::from_secs(30));
    world.jump(&mut core);
    let asked = loop {
        match core.poll_action() {
            Some(Action::Read(Read::TargetOffsets { scope, .. })) => break scope,
            Some(action) => world.answer(&mut core, action),
            None => world.jump(&mut core),
        }
    };
    assert_eq!(asked, ReadScope::AllAnd(BTreeSet::new()));
}
