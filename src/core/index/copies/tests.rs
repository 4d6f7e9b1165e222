use super::*;
use crate::event::MappingTopic;
use crate::ids::{MappingOffset, SourceOffset, TargetOffset, TargetPartition, TopicId};
use crate::index::Index;
use crate::mapping::{Chunk, MappingRecord, OffsetSync};

const PARTITION: MappingPartition = MappingPartition(0);

fn source() -> SourcePartition {
    SourcePartition::new("orders", 0)
}

fn index(syncs: &[(i64, i64)]) -> Index {
    let mut index = Index::default();
    index.restart(MappingTopic { id: TopicId([8; 16]), partitions: 1 });
    let records = syncs.iter().enumerate().map(|(nth, (from, to))| {
        let sync = OffsetSync {
            source: source(),
            target: TargetPartition::new("dr.orders", 0),
            source_offset: SourceOffset(*from),
            target_offset: TargetOffset(*to),
        };
        (MappingOffset(nth as i64), MappingRecord::Sync(sync))
    });
    let end = MappingOffset(syncs.len() as i64);
    index.apply(PARTITION, records.collect(), end);
    index
}

fn translated(index: &Index, position: i64) -> Option<i64> {
    let (_, copies) = index.lineages(&source()).next()?;
    match copies.translate(SourceOffset(position)) {
        Translation::Exact { target } | Translation::LowerBound { target, .. } => {
            Some(target.get())
        }
        Translation::BelowFirst { .. } | Translation::Empty => None,
    }
}

#[test]
fn syncs_of_an_earlier_incarnation_skip_nothing_of_the_current_one() {
    // Both topics were recreated, and an old sync survived compaction next to the new ones.
    let index = index(&[(9990, 9995), (0, 0), (9000, 9000), (9900, 9900), (10_000, 10_000)]);
    assert_eq!(translated(&index, 9995), Some(9901), "9996 would skip a record");
    assert_eq!(translated(&index, 9990), Some(9901));
    assert_eq!(translated(&index, 10_000), Some(10_000));
    assert_eq!(translated(&index, 10_500), Some(10_001));
}

#[test]
fn a_late_sync_of_another_publisher_skips_nothing_that_was_copied_before() {
    let index = index(&[(900, 1400), (1000, 1500), (500, 700), (1010, 1520)]);
    assert_eq!(
        translated(&index, 1005),
        Some(701),
        "either may be right, and the lower one is safe"
    );
    assert_eq!(translated(&index, 1010), Some(1520));
}

#[test]
fn syncs_that_go_back_only_on_the_source_are_a_replay_and_drop_nothing() {
    let index = index(&[(0, 0), (199, 199), (100, 250), (299, 449)]);
    assert_eq!(translated(&index, 150), Some(1), "a first copy of 150 may lie anywhere above");
    assert_eq!(translated(&index, 299), Some(449));
}

#[test]
fn a_chunk_in_the_wrong_mapping_partition_is_used_and_reported() {
    let mut index = Index::default();
    index.restart(MappingTopic { id: TopicId([8; 16]), partitions: 4 });
    let chunk = || Chunk {
        source: SourcePartition::new("orders", 3),
        target: TargetPartition::new("dr.orders", 3),
        source_topic_id: TopicId([1; 16]),
        target_topic_id: TopicId([2; 16]),
        publisher: "mirror".into(),
        runs: vec![Run { source: SourceOffset(0), target: TargetOffset(10), len: 5 }],
    };
    let read = |index: &mut Index, partition| {
        let records = vec![(MappingOffset(0), MappingRecord::Chunk(chunk()))];
        index.apply(MappingPartition(partition), records, MappingOffset(1)).misplaced
    };
    // The example of the protocol: with 4 partitions, orders-3 goes to partition 0.
    assert!(read(&mut index, 0).is_empty());
    let misplaced = read(&mut index, 2);
    let (found, expected) = misplaced[&SourcePartition::new("orders", 3)];
    assert_eq!((found, expected), (MappingPartition(2), MappingPartition(0)));
}
