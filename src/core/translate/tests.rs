//! From a position in the staircase to one in the target's log.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::event::MappingTopic;
use crate::ids::{MappingOffset, MappingPartition, SourcePartition, TargetPartition, TopicId};
use crate::index::Index;
use crate::mapping::{MappingRecord, OffsetSync};

const LOG: LogRange = LogRange { start: TargetOffset(1_000), end: TargetOffset(2_000) };

fn source() -> SourcePartition {
    SourcePartition::new("orders", 0)
}

fn index(syncs: &[(i64, i64)]) -> Index {
    let mut index = Index::default();
    index.restart(MappingTopic { id: TopicId([8; 16]), partitions: 1 });
    for (nth, offsets) in syncs.iter().enumerate() {
        sync(&mut index, nth as i64, *offsets);
    }
    index
}

fn sync(index: &mut Index, at: i64, (from, to): (i64, i64)) {
    let sync = OffsetSync {
        source: source(),
        target: TargetPartition::new("main.orders", 0),
        source_offset: SourceOffset(from),
        target_offset: TargetOffset(to),
    };
    let record = (MappingOffset(at), MappingRecord::Sync(sync));
    index.apply(MappingPartition(0), vec![record], MappingOffset(at + 1));
}

fn at(index: &Index, position: i64, log: LogRange) -> Result<Translated, HoldReason> {
    let source = source();
    let (_, copies) = index.lineages(&source).next().unwrap();
    translate(SourceOffset(position), copies, OnBelowFirstMapping::Hold, log)
}

fn good(target: i64, re_read: u64, first: Option<i64>) -> Result<Translated, HoldReason> {
    let first_copy = first.map(TargetOffset);
    Ok(Translated { target: TargetOffset(target), re_read: Some(re_read), first_copy })
}

#[test]
fn the_re_read_ends_at_the_next_copy_or_at_the_log_end() {
    let index = index(&[(100, 1_100), (200, 1_250)]);
    assert_eq!(at(&index, 100, LOG), good(1_100, 0, Some(1_100)));
    assert_eq!(at(&index, 150, LOG), good(1_101, 149, Some(1_250)));
    assert_eq!(at(&index, 260, LOG), good(1_251, 749, None));
}

#[test]
fn a_position_that_was_deleted_on_the_target_is_moved_up_to_the_log_start() {
    let index = index(&[(100, 1_100), (200, 1_250)]);
    let late = LogRange { start: TargetOffset(1_200), ..LOG };
    assert_eq!(at(&index, 100, late), good(1_200, 0, Some(1_100)));
    assert_eq!(at(&index, 150, late), good(1_200, 50, Some(1_250)));
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
    let first_copy = Some(TargetOffset(1_100));
    assert_eq!(from_start, Translated { target: LOG.start, re_read: None, first_copy });
}

#[test]
fn during_a_replay_nothing_below_the_sources_log_end_is_translated() {
    let mut index = index(&[(100, 1_100), (200, 1_250), (50, 1_400)]);
    for position in [100, 150, 1_000] {
        assert_eq!(at(&index, position, LOG), Err(HoldReason::Replay { until: None }));
    }
    let end = SourceOffset(210);
    assert!(index.ask_source_end(&source()));
    index.source_end_read(&source(), end);
    for position in [0, 100, 209] {
        assert_eq!(at(&index, position, LOG), Err(HoldReason::Replay { until: Some(end) }));
    }
    for position in [210, 300] {
        assert_eq!(
            at(&index, position, LOG),
            good(1_251, 749, None),
            "{position} was never copied"
        );
    }
}

#[test]
fn a_log_end_requested_before_the_syncs_went_back_again_does_not_end_the_replay() {
    let mut index = index(&[(100, 1_100), (200, 1_250), (50, 1_400)]);
    assert!(index.ask_source_end(&source()));
    sync(&mut index, 3, (40, 1_500));
    index.source_end_read(&source(), SourceOffset(210));
    assert_eq!(at(&index, 300, LOG), Err(HoldReason::Replay { until: None }));
    assert!(index.ask_source_end(&source()), "it is requested again");
    index.source_end_read(&source(), SourceOffset(310));
    assert_eq!(at(&index, 300, LOG), Err(HoldReason::Replay { until: Some(SourceOffset(310)) }));
    assert!(!index.ask_source_end(&source()), "it is known");
    sync(&mut index, 4, (309, 1_800));
    assert_eq!(at(&index, 309, LOG), good(1_800, 0, Some(1_800)));
}
