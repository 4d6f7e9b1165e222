//! Which mapping topic a shard has caught up with, and what is not given back too early.

use std::time::Duration;

use super::super::super::action::Action;
use super::super::super::event::Event;
use super::super::super::failure::FailureClass;
use super::super::super::ids::{Shard, TargetOffset};
use super::super::super::policy::Policy;
use super::world::World;
use super::{policy, poll, until};

#[test]
fn ends_of_another_mapping_topic_activate_no_shard() {
    let mut world = World::new();
    let mut core = world.core(policy());
    world.settle(&mut core);
    // The topic is recreated between its description and the take-over, and still empty.
    world.mapping_topic = Some([18; 16]);
    world.mappings.clear();
    world.mapping_end = 0;
    world.transcript.clear();
    core.handle(world.now, Event::ShardAssigned { shard: Shard(0) });
    world.settle(&mut core);
    let first = |part: &str| world.transcript.iter().position(|line| line.contains(part));
    let (ends, noticed) = (first("read mapping ends"), first("changed from id"));
    assert!(ends.is_some() && ends < noticed, "{:#?}", world.transcript);
    let listed = first("list source groups");
    assert!(listed.is_none_or(|listed| Some(listed) > noticed), "{:#?}", world.transcript);
    assert_eq!(world.stored(), None);
}

#[test]
fn a_revocation_waits_for_the_take_over_that_is_under_way() {
    let is = |what: &'static str| {
        move |action: &Action| {
            (what == "init" && matches!(action, Action::InitTransactions { .. }))
                || (what == "record" && matches!(action, Action::WriteTakeOver { .. }))
        }
    };
    for step in ["init", "record"] {
        let mut world = World::new();
        let mut core = world.core(policy());
        core.handle(world.now, Event::ShardAssigned { shard: Shard(0) });
        let held = until(&mut world, &mut core, is(step));
        core.handle(world.now, Event::ShardRevoked { shard: Shard(0) });
        world.settle(&mut core);
        assert!(!world.logged("release shard"), "{step}: the broker may carry it out yet");
        world.answer(&mut core, held);
        world.settle(&mut core);
        assert!(world.logged("release shard"), "{:#?}", world.transcript);
    }
}

#[test]
fn other_mappings_do_not_make_a_fenced_owner_take_over_without_asking() {
    let mut world = World::new();
    world.assigned = false;
    world.fail("write half", FailureClass::Fenced);
    let mut core = world.settled(policy());
    assert!(world.logged("stood down"));
    world.transcript.clear();
    world.mapping_topic = Some([18; 16]);
    world.pass(&mut core, poll() * 3);
    assert!(world.logged("changed from id") && world.logged("check assignment"));
    assert!(!world.logged("init transactions"), "{:#?}", world.transcript);
}

#[test]
fn a_log_that_ends_below_what_is_stored_corrects_nothing_until_it_is_confirmed() {
    let mut world = World::new();
    world.source = Some(200);
    let mut core = world.settled(policy());
    assert_eq!(world.stored(), Some(1250));
    // A leader that was just elected reports an old high watermark, once.
    world.log.end = TargetOffset(1200);
    world.source = Some(150);
    world.pass(&mut core, poll());
    assert_eq!(world.stored(), Some(1250), "{:#?}", world.transcript);
    world.log.end = TargetOffset(10_000);
    world.source = Some(200);
    world.pass(&mut core, poll() * 4);
    assert_eq!(world.stored(), Some(1250));
    assert!(!world.logged("committed 1150"), "{:#?}", world.transcript);

    // The log was truncated for good.
    world.source = Some(150);
    world.log.end = TargetOffset(1200);
    world.pass(&mut core, policy().confirm_after + poll() * 4);
    assert_eq!(world.stored(), Some(1150), "{:#?}", world.transcript);
}

#[test]
fn a_position_that_is_older_than_the_topics_is_read_again() {
    let mut world = World::new();
    let mut core = world.settled(Policy { confirm_after: poll() * 2, ..policy() });
    assert_eq!(world.stored(), Some(1150));
    world.transcript.clear();
    // The source topic is recreated and copied while a round is under way.
    world.before.insert("read topics", |world| {
        world.source_topic = [33; 16];
        world.mappings = vec![(0, 2000), (149, 2149), (159, 2159)];
        world.mapping_end = 3;
    });
    world.source = Some(160);
    world.pass(&mut core, poll());
    world.before.clear();
    assert_eq!(world.stored(), Some(1150), "{:#?}", world.transcript);
    world.source = Some(10);
    world.pass(&mut core, Duration::from_secs(90));
    assert!(!world.logged("committed 2160"), "{:#?}", world.transcript);
}

#[test]
fn groups_with_exact_names_need_no_list() {
    let mut world = World::new();
    for _ in 0..1000 {
        world.fail("list source groups", FailureClass::HoldGroup);
    }
    let groups = policy().groups.named(world.groups.clone());
    let mut core = world.settled(Policy { groups, ..policy() });
    world.pass(&mut core, poll());
    assert_eq!(world.stored(), Some(1150), "{:#?}", world.transcript);
}

#[test]
fn a_selected_group_without_offsets_is_reported_once() {
    let mut world = World::new();
    world.without_offsets.insert("workers".into(), "connect".to_owned());
    world.without_offsets.insert("__internal".into(), "connect".to_owned());
    let mut core = world.settled(policy());
    world.pass(&mut core, poll() * 3);
    let reported: Vec<_> =
        world.transcript.iter().filter(|line| line.contains("is not synced")).collect();
    assert_eq!(reported.len(), 1, "{reported:?}");
    assert!(reported[0].contains("workers") && reported[0].contains("connect"));
}
