//! What comes between a position in the staircase and one in the target's log.

#![allow(clippy::unwrap_used)]

use super::super::event::MappingTopic;
use super::super::ids::{
    MappingOffset, MappingPartition, SourcePartition, TargetPartition, TopicId,
};
use super::super::index::Index;
use super::super::mapping::{MappingRecord, OffsetSync};
use super::*;

const LOG: LogRange = LogRange { start: TargetOffset(1_000), end: TargetOffset(2_000) };

fn source() -> SourcePartition {
    SourcePartition::new("orders", 0)
}

fn index(syncs: &[(i64, i64)]) -> Index {
    let mut index = Index::default();
    index.restart(MappingTopic { id: TopicId([8; 16]), partitions: 1 });
    let record = |(nth, (from, to)): (usize, &(i64, i64))| {
        let sync = OffsetSync {
            source: source(),
            target: TargetPartition::new("main.orders", 0),
            source_offset: SourceOffset(*from),
            target_offset: TargetOffset(*to),
        };
        (MappingOffset(nth as i64), MappingRecord::Sync(sync))
    };
    let records = syncs.iter().enumerate().map(record).collect();
    index.apply(MappingPartition(0), records, MappingOffset(syncs.len() as i64));
    index
}

fn at(index: &Index, position: i64, log: LogRange) -> Result<Translated, HoldReason> {
    let source = source();
    let (_, copies) = index.lineages(&source).next().unwrap();
    translate(SourceOffset(position), copies, OnBelowFirstMapping::Hold, log)
}

fn good(target: i64, re_read: u64) -> Result<Translated, HoldReason> {
    Ok(Translated { target: TargetOffset(target), re_read: Some(re_read) })
}

#[test]
fn what_is_read_again_ends_at_the_next_copy_or_at_the_logs_end() {
    let index = index(&[(100, 1_100), (200, 1_250)]);
    assert_eq!(at(&index, 100, LOG), good(1_100, 0));
    assert_eq!(at(&index, 150, LOG), good(1_101, 149));
    assert_eq!(at(&index, 260, LOG), good(1_251, 749));
}

#[test]
fn a_position_that_was_deleted_on_the_target_is_moved_up_to_the_logs_start() {
    let index = index(&[(100, 1_100), (200, 1_250)]);
    let late = LogRange { start: TargetOffset(1_200), ..LOG };
    assert_eq!(at(&index, 100, late), good(1_200, 0));
    assert_eq!(at(&index, 150, late), good(1_200, 50));
}

#[test]
fn below_the_first_copy_the_policy_decides() {
    let index = index(&[(100, 1_100)]);
    let first = SourceOffset(100);
    assert_eq!(at(&index, 99, LOG), Err(HoldReason::BelowFirst { first }));
    let source = source();
    let (_, copies) = index.lineages(&source).next().unwrap();
    let from_start =
        translate(SourceOffset(99), copies, OnBelowFirstMapping::LogStart, LOG).unwrap();
    assert_eq!(from_start, Translated { target: LOG.start, re_read: None });
}

#[test]
fn while_the_replicator_copies_again_nothing_below_the_sources_end_is_translated() {
    let mut index = index(&[(100, 1_100), (200, 1_250), (50, 1_400)]);
    for position in [100, 150, 1_000] {
        assert_eq!(at(&index, position, LOG), Err(HoldReason::Replay { until: None }));
    }
    let end = SourceOffset(210);
    index.source_end_read(&source(), end);
    for position in [0, 100, 209] {
        assert_eq!(at(&index, position, LOG), Err(HoldReason::Replay { until: Some(end) }));
    }
    for position in [210, 300] {
        assert_eq!(at(&index, position, LOG), good(1_251, 749), "{position} was never copied");
    }
}
