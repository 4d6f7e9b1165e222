//! Recreated topics behind offset syncs, and what the fence log keeps about them.

use super::super::super::action::{Action, Read};
use super::super::super::event::Event;
use super::super::super::fence_log::IncarnationFloor;
use super::super::super::ids::{Fence, MappingOffset, MappingTopicTag, Shard, ShardCount, TopicId};
use super::super::Core;
use super::world::World;
use super::{policy, poll, until};

/// Adds to the fence log that the topics with these ids were first synced at `floor` of a mapping topic.
fn keep(world: &mut World, ids: [u8; 2], mapping_topic: [u8; 16], floor: i64) {
    let floor = IncarnationFloor {
        source: TopicId([ids[0]; 16]),
        target: TopicId([ids[1]; 16]),
        mapping_topic: MappingTopicTag::of(TopicId(mapping_topic)),
        floor: MappingOffset(floor),
        settled: MappingOffset(0),
    };
    let record = floor.record(&"orders".into(), &"dr.orders".into());
    world.fences.newest.insert(record.key, (Fence(1), record.value));
}

/// A world whose source topic was recreated after all four syncs, and an instance that saw it.
fn recreated() -> (World, Core) {
    let mut world = World::new();
    let mut core = world.settled(policy());
    world.source_topic = [77; 16];
    world.pass(&mut core, poll() * 2);
    assert!(world.logged("orders or dr.orders was recreated"), "{:#?}", world.transcript);
    (world, core)
}

#[test]
fn a_recreated_source_topic_is_held_until_the_group_commits_again() {
    let mut world = World::new();
    let mut core = world.settled(policy());
    world.source_topic = [77; 16];
    world.pass(&mut core, poll() * 2);
    assert!(world.logged("orders or dr.orders was recreated"), "{:#?}", world.transcript);
    assert_eq!(world.stored(), Some(1150));
    assert!(world.logged("write fence records"));

    // The new topics are copied past the position that the group committed in the old ones.
    world.mappings.extend([(20, 2020), (150, 2150)]);
    world.mapping_end = 6;
    let event = world.mappings_read(TopicId([8; 16]));
    core.handle(world.now, event);
    world.pass(&mut core, poll() * 10);
    assert!(world.logged("hold: a topic was recreated"), "{:#?}", world.transcript);
    assert_eq!(world.stored(), Some(1150), "150 is a position in the old topic");

    world.source = Some(20);
    world.pass(&mut core, poll() * 10);
    assert_eq!(world.stored(), Some(2020), "{:#?}", world.transcript);
}

#[test]
fn what_the_fence_log_keeps_of_incarnations_is_written_once() {
    let mut world = World::new();
    world.settled(policy());
    world.settled(policy());
    let written = world.transcript.iter().filter(|line| *line == "write fence records").count();
    assert_eq!(written, 1, "{:#?}", world.transcript);
}

#[test]
fn earlier_syncs_stay_forgotten_when_the_mapping_topic_was_gone_for_a_moment() {
    let (mut world, mut core) = recreated();
    world.mapping_topic = None;
    world.pass(&mut core, poll() * 2);
    world.mapping_topic = Some([8; 16]);
    world.source = Some(200);
    world.pass(&mut core, poll() * 6);
    assert_eq!(world.stored(), Some(1150), "{:#?}", world.transcript);
}

#[test]
fn what_was_forgotten_of_one_mapping_topic_is_not_looked_for_in_the_next() {
    let (mut world, mut core) = recreated();
    world.mapping_topic = Some([18; 16]);
    world.mappings = vec![(100, 50), (150, 100), (200, 150)];
    world.mapping_end = 3;
    world.source = Some(200);
    world.pass(&mut core, poll() * 6);
    assert_eq!(world.stored(), Some(150), "{:#?}", world.transcript);
}

#[test]
fn a_fence_log_that_is_read_before_the_mapping_topic_is_known_says_nothing_of_another_one() {
    let mut world = World::new();
    keep(&mut world, [1, 2], [18; 16], 9000);
    let mut core = world.core(policy());
    core.handle(world.now, Event::ShardAssigned { shard: Shard(0) });
    let is_control = |action: &Action| matches!(action, Action::Read(Read::ControlTopics { .. }));
    let control = until(&mut world, &mut core, is_control);
    world.settle(&mut core);
    world.answer(&mut core, control);
    world.settle(&mut core);
    assert_eq!(world.stored(), Some(1150), "{:#?}", world.transcript);
}

#[test]
fn what_a_shard_kept_of_an_earlier_mapping_topic_is_not_news_about_the_present_one() {
    let mut world = World::new();
    world.shards = 2;
    let mut core = world.core(policy());
    let Shard(first) = Shard::of(&world.groups[0], ShardCount(world.shards));
    for shard in [first, 1 - first] {
        core.handle(world.now, Event::ShardAssigned { shard: Shard(shard) });
        world.settle(&mut core);
        keep(&mut world, [77, 2], [18; 16], 9000);
    }
    world.source = Some(200);
    world.pass(&mut core, poll() * 3);
    assert!(!world.logged("was recreated"), "{:#?}", world.transcript);
    assert_eq!(world.stored(), Some(1250));
}

#[test]
fn a_kept_incarnation_starts_the_take_over_again_and_nothing_else() {
    let mut world = World::new();
    let mut core = world.core(policy());
    world.settle(&mut core);
    keep(&mut world, [1, 2], [8; 16], 2);
    core.handle(world.now, Event::ShardAssigned { shard: Shard(0) });
    let read = until(&mut world, &mut core, |action| matches!(action, Action::ReadFenceLog { .. }));
    world.answer(&mut core, read);
    let asked: Vec<_> = std::iter::from_fn(|| core.poll_action()).collect();
    let reads = asked.iter().filter(|action| matches!(action, Action::ReadFenceLog { .. }));
    assert_eq!(reads.count(), 1, "{asked:#?}");
    let initialises = |action: &Action| matches!(action, Action::InitTransactions { .. });
    assert!(!asked.iter().any(initialises), "before the log was read again: {asked:#?}");
}

#[test]
fn owners_that_first_saw_different_topics_are_both_disbelieved() {
    let mut world = World::new();
    world.shards = 2;
    let mut core = world.core(policy());
    let Shard(first) = Shard::of(&world.groups[0], ShardCount(world.shards));
    for shard in [first, 1 - first] {
        core.handle(world.now, Event::ShardAssigned { shard: Shard(shard) });
        world.settle(&mut core);
        keep(&mut world, [77, 2], [8; 16], 0);
    }
    world.source = Some(200);
    world.pass(&mut core, poll() * 3);
    assert!(world.logged("was recreated"), "{:#?}", world.transcript);
    assert_eq!(world.stored(), Some(1150));
}

#[test]
fn a_replay_that_an_earlier_owner_saw_end_holds_nothing_after_a_restart() {
    let mut world = World::new();
    // MirrorMaker went back to 120 and copied up to 199; the source's log ended at 200 then.
    world.mappings = vec![(100, 1100), (180, 1180), (120, 1200), (199, 1279)];
    world.mapping_end = 4;
    world.source_end = 200;
    let mut core = world.settled(policy());
    world.pass(&mut core, poll() * 2);
    assert_eq!(world.stored(), Some(1101), "the replay is over: {:#?}", world.transcript);

    // The log has grown since the last sync, and nothing is published for a quiet partition.
    world.source_end = 230;
    world.source = Some(199);
    world.transcript.clear();
    let mut later = world.settled(policy());
    world.pass(&mut later, poll() * 2);
    assert!(!world.logged("copying again"), "{:#?}", world.transcript);
    assert_eq!(world.stored(), Some(1279), "{:#?}", world.transcript);
}
