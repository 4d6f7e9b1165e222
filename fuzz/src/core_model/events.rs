//! What happens next: an answer, the passing of time, or something that people and clusters do.

use sprag_core::event::{Event, GroupActivity, SourceCommit, TargetCommit};
use sprag_core::failure::{Failure, FailureClass};
use sprag_core::ids::{
    Fence, FenceTopicTag, GroupId, Incarnation, MappingOffset, MappingPartition, MappingTopicTag,
    PipelineId, Shard, SourceOffset, TargetOffset, TopicId,
};
use sprag_core::stamp::Stamp;

use super::super::choices::Choices;
use super::answers::Fault;
use super::world::{
    FENCE_TOPIC, GROUPS, SHARDS, TOPICS, WINDOW, World, id, source_partition, target_partition,
};

/// What to do next.
pub(super) enum Next {
    /// Answer the request of this place in the queue.
    Answer(usize, Fault),
    /// Let time pass up to the deadline, and this many milliseconds more.
    Pass(u64),
    /// Tell the core, right away.
    Tell(Event),
    /// The clusters changed, and nobody noticed yet.
    Unnoticed,
}

const CLASSES: [FailureClass; 8] = [
    FailureClass::Retry,
    FailureClass::Fenced,
    FailureClass::Abort,
    FailureClass::OutcomeUnknown,
    FailureClass::GroupActive,
    FailureClass::HoldGroup,
    FailureClass::Missing,
    FailureClass::Stop,
];

pub(super) fn next(world: &mut World, choices: &mut Choices<'_>, pipeline: PipelineId) -> Next {
    match choices.below(24) {
        0..=11 => Next::Answer(0, fault(choices)),
        12 | 13 => Next::Answer(usize::from(choices.byte()), fault(choices)),
        14 | 15 => Next::Pass(0),
        16 => Next::Pass(choices.of(&[1, 500, 5_000, 61_000, 3_600_000, 90_000_000])),
        17 => told(mappings(world, choices)),
        18 => source_group(world, choices),
        19 => told(ownership(world, choices)),
        20 => {
            target_group(world, choices, pipeline);
            Next::Unnoticed
        }
        21 => clusters(world, choices),
        22 => {
            world.connection += 1;
            Next::Unnoticed
        }
        _ => told(rare(world, choices)),
    }
}

fn told(event: Option<Event>) -> Next {
    event.map_or(Next::Unnoticed, Next::Tell)
}

fn fault(choices: &mut Choices<'_>) -> Fault {
    match choices.byte() {
        // Bytes that the corpus hardly has, like those of the classes below.
        206 | 207 | 218 | 219 => Fault::Late,
        0..=223 => Fault::None,
        224..=235 => Fault::Failed(class(choices)),
        236..=243 => Fault::Unknown,
        244..=249 => Fault::Partly(class(choices)),
        250..=255 => Fault::Stale,
    }
}

fn class(choices: &mut Choices<'_>) -> FailureClass {
    let class = match choices.byte() {
        134 | 135 => FailureClass::MetadataTooLarge,
        142 | 143 => FailureClass::CommitTooLarge,
        162..=164 => FailureClass::Unstable,
        byte => CLASSES[usize::from(byte) % CLASSES.len()],
    };
    // It ends the run: it needs a second choice.
    if class == FailureClass::Stop && !choices.rarely(4) { FailureClass::Retry } else { class }
}

fn mappings(world: &mut World, choices: &mut Choices<'_>) -> Option<Event> {
    if choices.flag() {
        let (topic, copy) = (choices.of(&TOPICS), choices.of(&TOPICS));
        let copy = if choices.rarely(4) { copy } else { topic };
        let from = i64::from(choices.byte()) % WINDOW;
        let to = if choices.flag() { from + 10 } else { i64::from(choices.byte()) % WINDOW };
        let len = 1 + i64::from(choices.byte()) % 8;
        world.publish_into(topic, copy, (from, to, len));
    }
    let most = choices.below(4);
    world.read_mappings(most)
}

/// A consumer commits, is reset, or goes; a group comes or goes.
fn source_group(world: &mut World, choices: &mut Choices<'_>) -> Next {
    let group = GroupId::from(choices.of(&GROUPS));
    let at = source_partition(choices.of(&TOPICS));
    match choices.below(8) {
        7 => {
            world.source.remove(&group);
        }
        6 => {
            if let Some(offsets) = world.source.get_mut(&group) {
                offsets.remove(&at);
            }
        }
        kind => {
            let offset = SourceOffset(i64::from(choices.byte()) % WINDOW);
            let metadata = if kind == 5 { "m".to_owned() } else { String::new() };
            let commit = SourceCommit { offset, metadata };
            world.source.entry(group).or_default().insert(at, commit);
        }
    }
    Next::Unnoticed
}

fn ownership(world: &mut World, choices: &mut Choices<'_>) -> Option<Event> {
    let shard = Shard(u32::from(choices.byte()) % SHARDS.get());
    let ours = world.assigned.contains(&shard);
    match (ours, choices.below(4)) {
        (false, _) => {
            world.assigned.insert(shard);
            Some(Event::ShardAssigned { shard })
        }
        (true, 0 | 1) if world.asked_for.insert(shard) => Some(Event::ShardRevoked { shard }),
        (true, 2) => {
            world.assigned.remove(&shard);
            world.asked_for.remove(&shard);
            Some(Event::ShardLost { shard })
        }
        (true, _) => None,
    }
}

/// Somebody else commits on the target: a consumer, another tool, another instance of Sprag.
fn target_group(world: &mut World, choices: &mut Choices<'_>, pipeline: PipelineId) {
    let group = GroupId::from(choices.of(&GROUPS));
    let at = target_partition(choices.of(&TOPICS));
    let offset = TargetOffset(i64::from(choices.byte() % 64));
    let metadata = match choices.below(8) {
        0 => return world.target.entry(group).or_default().clear(),
        1 => {
            let activity =
                choices.of(&[GroupActivity::Active, GroupActivity::Empty, GroupActivity::Unknown]);
            world.activity.insert(group, activity);
            return;
        }
        2 => "them".to_owned(),
        3 => choices.of(&["k2k_v2:x", "k2k_v1:x", "k2k_"]).to_owned(),
        4 => {
            // Somebody commits once more what stands there, at another offset.
            let stands = world.target.get(&group).and_then(|stored| stored.get(&at));
            stands.map(|commit| commit.metadata.clone()).unwrap_or_default()
        }
        _ => {
            let stamp = stamp(world, choices, pipeline, &group, offset);
            stamp.compose("k2k_", &[], "").text
        }
    };
    world.target.entry(group).or_default().insert(at, TargetCommit { offset, metadata });
}

/// What another instance, or an earlier life of this one, may have decided.
fn stamp(
    world: &World,
    choices: &mut Choices<'_>,
    pipeline: PipelineId,
    group: &GroupId,
    target: TargetOffset,
) -> Stamp {
    let other = u32::from(choices.rarely(8));
    let mapping = world.mapping_topic.map_or(TopicId([7; 16]), |topic| topic.id);
    let mapping = MappingTopicTag::of(mapping);
    let (source, target_topic) = (&world.source_topics, &world.target_topics);
    let orders = Incarnation::of(id(source[TOPICS[0]]), id(target_topic[TOPICS[0]]));
    Stamp {
        pipeline: PipelineId(pipeline.0 ^ other),
        fence_topic: FenceTopicTag::of(FENCE_TOPIC.id),
        shard: Shard::of(group, SHARDS),
        shards: choices.of(&[SHARDS, SHARDS, SHARDS, sprag_core::ids::ShardCount(3)]),
        fence: Fence(world.next_fence - 2 + i64::from(choices.byte() % 4)),
        mapping_topic: MappingTopicTag(mapping.0 ^ u32::from(choices.rarely(8))),
        mapping_partition: MappingPartition(i32::from(choices.byte() % 3)),
        as_of: MappingOffset(i64::from(choices.byte() % 4)),
        incarnation: Incarnation(orders.0 ^ u32::from(choices.rarely(8))),
        source: SourceOffset(i64::from(choices.byte()) % WINDOW),
        target,
    }
}

/// Topics are made anew, go, and come; logs grow and are cut off.
fn clusters(world: &mut World, choices: &mut Choices<'_>) -> Next {
    match choices.below(6) {
        0 => world.range.1 = i64::from(choices.byte() % 96),
        1 => world.range.0 = i64::from(choices.byte()) % (world.range.1 + 1),
        2 => world.source_end = i64::from(choices.byte()) % WINDOW,
        // Offset syncs tell no ids: what follows is the simulator's to judge.
        kind @ (3 | 4) if !world.syncs => {
            let topics =
                if kind == 3 { &mut world.source_topics } else { &mut world.target_topics };
            let made = topics.entry(choices.of(&TOPICS)).or_default();
            *made = match (*made, choices.rarely(3)) {
                (Some(_), true) => None,
                (Some(made), false) => Some(made.wrapping_add(1)),
                (None, _) => Some(choices.byte()),
            };
        }
        _ => {
            let partitions = if world.syncs { 1 } else { 2 + i32::from(choices.byte() % 2) };
            world.make_mapping_topic(partitions);
            if choices.rarely(3) {
                world.mapping_topic = None;
            }
        }
    }
    Next::Unnoticed
}

fn rare(world: &World, choices: &mut Choices<'_>) -> Option<Event> {
    let (topic, _) = world.reader.as_ref()?;
    match choices.below(8) {
        7 => Some(Event::StopRequested),
        kind => Some(Event::MappingReadFailed {
            topic: *topic,
            partition: MappingPartition(0),
            out_of_range: kind == 0,
            failure: Failure::new(class(choices), "the reader failed"),
        }),
    }
}
