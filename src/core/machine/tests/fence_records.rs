//! Records of the fence partitions other than take-overs: how they share the shard's producer with the
//! groups, and what happens when they cannot be written.

use std::collections::BTreeSet;
use std::time::Duration;

use super::super::super::event::Event;
use super::super::super::failure::FailureClass;
use super::super::super::fence_log::{FenceLog, FenceRecord, IncarnationFloor};
use super::super::super::ids::{
    Fence, GroupId, MappingOffset, MappingTopicTag, Shard, ShardCount, TopicId, TopicName,
};
use super::super::Core;
use super::policy;
use super::world::World;

const WRITE: &str = "write fence records";

/// A fence log with the incarnations of `pairs` pairs of topics, whose names are `name` and a number.
fn log_of(pairs: usize, name: &str) -> FenceLog {
    let floor = IncarnationFloor {
        source: TopicId([1; 16]),
        target: TopicId([2; 16]),
        mapping_topic: MappingTopicTag::of(TopicId([8; 16])),
        floor: MappingOffset(0),
        settled: MappingOffset(0),
    };
    let record = |nth: usize| {
        let source = TopicName::from(format!("{name}-{nth}").as_str());
        let target = TopicName::from(format!("dr.{name}-{nth}").as_str());
        let record = floor.record(&source, &target);
        (record.key, (Fence(1), record.value))
    };
    FenceLog { newest: (0..pairs).map(record).collect(), members: Some(1) }
}

/// A world of two shards, and an instance that reads `log` as the fence log of the shard without groups,
/// before it takes over the other shard, whose fence log is empty.
fn taught(log: &FenceLog, world: &mut World) -> Core {
    world.shards = 2;
    let Shard(with_groups) = Shard::of(&world.groups[0], ShardCount(2));
    world.fences = log.clone();
    let mut core = world.core(policy());
    core.handle(world.now, Event::ShardAssigned { shard: Shard(1 - with_groups) });
    world.settle(&mut core);
    assert!(world.batches.is_empty(), "the log has them already");
    world.fences = FenceLog { members: Some(1), ..FenceLog::default() };
    core.handle(world.now, Event::ShardAssigned { shard: Shard(with_groups) });
    world.settle(&mut core);
    core
}

fn sizes(world: &World) -> Vec<usize> {
    world.batches.iter().map(Vec::len).collect()
}

fn is_of_log(record: &FenceRecord) -> bool {
    record.key.starts_with("incarnation:") && !record.key.contains(":orders ")
}

#[test]
fn many_incarnations_are_written_by_few_transactions() {
    // The pair of the group is the last of 5,000, and news to the other shard as well.
    let (log, mut world) = (log_of(4_999, "orders-of"), World::new());
    taught(&log, &mut world);
    let batches = world.batches.iter().filter(|batch| batch.iter().any(is_of_log));
    assert_eq!(batches.count(), 10, "{:?}", sizes(&world));
    assert!(sizes(&world).into_iter().all(|size| size <= 500), "{:?}", sizes(&world));
    for (key, (_, value)) in &log.newest {
        assert_eq!(world.fences.newest.get(key).map(|(_, value)| value), Some(value), "{key}");
    }
}

#[test]
fn a_transaction_of_long_records_holds_fewer() {
    let (log, mut world) = (log_of(1_000, &"n".repeat(240)), World::new());
    taught(&log, &mut world);
    for batch in &world.batches {
        let bytes: usize = batch.iter().map(|record| record.key.len() + record.value.len()).sum();
        assert!(bytes < 256 * 1024, "{} records of {bytes} bytes", batch.len());
    }
    let written: BTreeSet<_> = world.batches.iter().flatten().map(|record| &record.key).collect();
    assert!(log.newest.keys().all(|key| written.contains(key)));
    assert!(sizes(&world).iter().any(|size| *size > 300), "{:?}", sizes(&world));
}

#[test]
fn groups_and_batches_take_turns() {
    let (log, mut world) = (log_of(5_000, "orders-of"), World::new());
    let names = (0..).map(|nth| GroupId::from(format!("group-{nth}").as_str()));
    let same = Shard::of(&world.groups[0], ShardCount(2));
    world.groups = names.filter(|name| Shard::of(name, ShardCount(2)) == same).take(6).collect();
    taught(&log, &mut world);
    let uses = world.transcript.iter().filter(|line| *line == WRITE || *line == "write half");
    let uses: Vec<_> = uses.skip_while(|line| *line == WRITE).collect();
    assert!(uses.len() > 12, "{uses:#?}");
    assert!(uses[..12].windows(2).all(|pair| pair[0] != pair[1]), "{uses:#?}");
}

#[test]
fn a_batch_that_fails_is_tried_again_in_halves() {
    let (log, mut world) = (log_of(1_000, "orders-of"), World::new());
    for _ in 0..3 {
        world.fail(WRITE, FailureClass::Retry);
    }
    let mut core = taught(&log, &mut world);
    assert_eq!(world.stored(), Some(1150), "the group does not wait for the records");
    world.pass(&mut core, Duration::from_secs(60));
    assert!(!world.logged("stood down"), "{:#?}", world.transcript);
    let sizes = sizes(&world).into_iter().filter(|size| *size > 1).collect::<Vec<_>>();
    // One of the failures is the other shard's, which has one record to write.
    assert!(sizes.starts_with(&[500, 250, 125, 125, 125]), "{sizes:?}");
    assert!(log.newest.keys().all(|key| world.fences.newest.contains_key(key)));
}

#[test]
fn a_batch_whose_outcome_is_unknown_is_written_after_the_next_take_over_in_halves() {
    let (log, mut world) = (log_of(600, "orders-of"), World::new());
    world.fail(WRITE, FailureClass::OutcomeUnknown);
    let mut core = taught(&log, &mut world);
    world.pass(&mut core, Duration::from_secs(10));
    assert!(world.logged("stood down"), "{:#?}", world.transcript);
    let sizes: Vec<_> = sizes(&world).into_iter().filter(|size| *size > 1).collect();
    assert_eq!(sizes[..2], [500, 250]);
    assert!(log.newest.keys().all(|key| world.fences.newest.contains_key(key)));
}

#[test]
fn what_changes_while_its_record_waits_is_written_once() {
    let mut world = World::new();
    // MirrorMaker went back to 120 and copied up to 199; the source's log ended at 200 then.
    world.mappings = vec![(100, 1100), (180, 1180), (120, 1200), (199, 1279)];
    world.source_end = 200;
    world.settled(policy());
    // The ids of the topics and the end of the replay became known in the same round.
    assert_eq!(sizes(&world), [1], "{:#?}", world.batches);
    assert!(world.batches[0][0].value.contains("\"settled\":4"), "{:#?}", world.batches);
}

#[test]
fn a_replay_that_ended_before_the_topics_were_described_is_kept_once_they_are() {
    let mut world = World::new();
    world.mappings = vec![(100, 1100), (180, 1180), (120, 1200), (199, 1279)];
    world.source_end = 200;
    world.undescribed.insert("orders".into());
    let mut core = world.settled(policy());
    assert!(world.logged("read topics") && world.batches.is_empty(), "{:#?}", world.batches);
    world.undescribed.clear();
    world.pass(&mut core, Duration::from_secs(120));
    let written: Vec<_> = world.batches.iter().flatten().collect();
    assert_eq!(written.len(), 1, "{written:#?}");
    assert!(written[0].value.contains("\"settled\":4"), "{written:#?}");
}
