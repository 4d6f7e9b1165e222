//! The records that replicators write: copies that contain their origin, and mappings.

use sprag_core::ids::{SourceOffset, SourcePartition, TargetOffset, TopicId};
use sprag_core::mapping::Run;

use crate::wire::{NewRecord, ReadRecord};

/// Copies of records. Each contains its source topic id and source offset, for the invariants.
pub(in crate::hosts) fn copies(records: &[ReadRecord], source: TopicId) -> Vec<NewRecord> {
    let copy = |record: &ReadRecord| {
        let mut value = source.0.to_vec();
        value.extend_from_slice(&record.offset.to_be_bytes());
        NewRecord { key: Vec::new(), value: Some(value) }
    };
    records.iter().map(copy).collect()
}

/// The source topic id and the source offset that a copy contains.
#[must_use]
pub fn origin(copy: &[u8]) -> Option<(TopicId, i64)> {
    let (id, offset) = copy.split_first_chunk::<16>()?;
    Some((TopicId(*id), i64::from_be_bytes(offset.try_into().ok()?)))
}

/// The runs of these records. Their copies are contiguous on the target, starting at `first`; on the source
/// there may be gaps.
pub(in crate::hosts) fn runs(records: &[ReadRecord], first: i64) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for (target, record) in (first..).zip(records) {
        match runs.last_mut() {
            Some(run) if run.source.get() + run.len.cast_signed() == record.offset => run.len += 1,
            Some(_) | None => runs.push(Run {
                source: SourceOffset(record.offset),
                target: TargetOffset(target),
                len: 1,
            }),
        }
    }
    runs
}

/// An offset sync in the format of MirrorMaker 2.
pub(in crate::hosts) fn sync(from: &SourcePartition, source: i64, target: i64) -> NewRecord {
    let name = from.topic.as_str().as_bytes();
    let len = i16::try_from(name.len()).unwrap_or(i16::MAX);
    let mut key = len.to_be_bytes().to_vec();
    key.extend_from_slice(name);
    key.extend_from_slice(&from.partition.to_be_bytes());
    let mut value = source.to_be_bytes().to_vec();
    value.extend_from_slice(&target.to_be_bytes());
    NewRecord { key, value: Some(value) }
}
