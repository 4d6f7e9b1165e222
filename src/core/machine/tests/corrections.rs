//! A stored offset that skips a known copy is corrected, in whatever order the mappings were read.

use super::super::super::event::Event;
use super::super::super::ids::{
    MappingOffset, MappingPartition, PublisherId, Shard, SourceOffset, TargetOffset, TopicId,
};
use super::super::super::mapping::{Chunk, MappingRecord, Run};
use super::policy;
use super::world::{World, source, target};

/// Source offset, target offset, length.
type Copied = (i64, i64, u64);

/// A chunk's offset in the mapping partition, and its runs.
type Placed<'a> = (i64, &'a [Copied]);

fn chunk(runs: &[Copied]) -> MappingRecord {
    let run = |(source, target, len): &Copied| Run {
        source: SourceOffset(*source),
        target: TargetOffset(*target),
        len: *len,
    };
    MappingRecord::Chunk(Chunk {
        source: source(),
        target: target(),
        source_topic_id: TopicId([1; 16]),
        target_topic_id: TopicId([2; 16]),
        publisher: PublisherId::from("mirror-1"),
        runs: runs.iter().map(run).collect(),
    })
}

/// A new owner that finds these chunks, and nothing else, below the end of the mapping partition.
fn owner_reads(world: &mut World, chunks: &[Placed<'_>], end: i64) {
    world.mappings.clear();
    world.mapping_end = end;
    let mut core = world.core(policy());
    core.handle(world.now, Event::ShardAssigned { shard: Shard(0) });
    world.settle(&mut core);
    let records = chunks.iter().map(|(at, runs)| (MappingOffset(*at), chunk(runs))).collect();
    let (topic, partition) = (TopicId([8; 16]), MappingPartition(0));
    let position = MappingOffset(end);
    core.handle(world.now, Event::MappingsRead { topic, partition, records, position });
    world.settle(&mut core);
}

#[test]
fn what_compaction_moved_behind_the_copies_that_lowered_it_is_corrected_all_the_same() {
    let mut world = World::new();
    world.source = Some(165);
    let (late, early) = ([(100, 1600, 100)], [(100, 1050, 200)]);
    owner_reads(&mut world, &[(0, &late)], 1);
    assert_eq!(world.stored(), Some(1665));
    // The late copies were published again, and compaction removed the record at 0. An instance that
    // starts now sees no translation fall.
    owner_reads(&mut world, &[(1, &early), (2, &late)], 3);
    assert_eq!(world.stored(), Some(1115), "{:#?}", world.transcript);
}

#[test]
fn what_an_earlier_owner_knew_better_is_kept_where_it_skips_nothing_known() {
    let mut world = World::new();
    world.source = Some(165);
    owner_reads(&mut world, &[(0, &[(100, 1600, 100)])], 1);
    assert_eq!(world.stored(), Some(1665));
    owner_reads(&mut world, &[(1, &[(100, 1600, 20), (165, 1665, 5)])], 2);
    assert_eq!(world.stored(), Some(1665));
    world.transcript.clear();
    owner_reads(&mut world, &[(2, &[(100, 1600, 20), (180, 1700, 5)])], 3);
    assert_eq!(world.stored(), Some(1665));
    assert!(world.logged("an earlier owner knew more of the history"), "{:#?}", world.transcript);
}
