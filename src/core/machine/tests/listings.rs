//! Lists of groups to which some broker did not contribute.

use std::time::Duration;

use super::super::super::event::GroupActivity;
use super::super::super::failure::{Failure, FailureClass};
use super::super::super::ids::GroupId;
use super::super::Core;
use super::world::{World, failure};
use super::{policy, poll};

fn lacking() -> Option<Failure> {
    Some(failure(FailureClass::Retry))
}

#[test]
fn a_shard_becomes_active_on_a_list_that_lacks_some_broker() {
    let mut world = World::new();
    world.listing_lacks = lacking();
    world.settled(policy());
    assert_eq!(world.stored(), Some(1150), "{:#?}", world.transcript);
}

#[test]
fn a_new_group_does_not_wait_for_a_complete_list_and_a_known_one_is_not_forgotten() {
    let mut world = World::new();
    let mut core = world.settled(policy());
    let (known, new) = (world.groups[0].clone(), GroupId::from("new"));
    world.listing_lacks = lacking();
    world.groups = vec![new.clone()];
    world.pass(&mut core, poll());
    let kept = |core: &Core| core.groups.keys().cloned().collect::<Vec<_>>();
    assert_eq!(kept(&core), [known.clone(), new.clone()]);
    assert!(core.groups[&known].on_source, "what the silent broker coordinates is as it was");
    world.listing_lacks = None;
    world.pass(&mut core, poll() * 2);
    assert_eq!(kept(&core), [new], "a complete list says that it is gone");
}

#[test]
fn a_group_that_a_list_with_a_gap_lacks_may_have_members() {
    let mut world = World::new();
    world.activity = GroupActivity::Active;
    let mut core = world.settled(policy());
    assert_eq!(world.stored(), None, "held by its members");
    world.listing_lacks = lacking();
    world.groups.clear();
    world.pass(&mut core, poll() + Duration::from_secs(1));
    assert_eq!(world.stored(), Some(1150), "the broker's own check decides");
}

#[test]
fn a_gap_is_reported_once_and_listed_again_soon() {
    let mut world = World::new();
    let mut core = world.settled(policy());
    world.listing_lacks = lacking();
    world.transcript.clear();
    world.pass(&mut core, poll() + Duration::from_secs(10));
    let lines = |what: &str| world.transcript.iter().filter(|it| it.contains(what)).count();
    assert!(lines("list target groups") >= 8, "{:#?}", world.transcript);
    assert_eq!(lines("Warn"), 1, "{:#?}", world.transcript);
}
