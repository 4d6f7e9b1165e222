//! Decoded records of the mapping topic, from which the index is built (`docs/protocol.md`,
//! "Mapping records").

use alloc::vec::Vec;

use super::ids::{
    PublisherId, SourceOffset, SourcePartition, TargetOffset, TargetPartition, TopicId,
};

/// A maximal interval in which source and target offsets advance together: source offsets
/// `[source, source + len)` are at target offsets `[target, target + len)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Run {
    /// The first source offset.
    pub source: SourceOffset,
    /// The target offset of the record at source offset `source`.
    pub target: TargetOffset,
    /// The number of offsets, at least 1. `source + len` and `target + len` fit in an `i64`.
    pub len: u64,
}

/// One decoded record of the mapping topic.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum MappingRecord {
    /// Sprag's native format: a chunk of runs with the ids of both topics.
    Chunk(Chunk),
    /// A MirrorMaker 2 offset sync: one record's two offsets, without topic ids.
    Sync(OffsetSync),
}

/// A chunk of runs of one source topic-partition, ascending and disjoint in source and in target.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Chunk {
    /// The partition that the records were copied from.
    pub source: SourcePartition,
    /// The partition that the records were copied to.
    pub target: TargetPartition,
    /// The source topic's id at that time.
    pub source_topic_id: TopicId,
    /// The target topic's id at that time.
    pub target_topic_id: TopicId,
    /// The publisher of the chunk.
    pub publisher: PublisherId,
    /// The copied runs.
    pub runs: Vec<Run>,
}

/// One MirrorMaker 2 offset sync: the record at `source_offset` is at `target_offset`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OffsetSync {
    /// The partition that the record was copied from.
    pub source: SourcePartition,
    /// The partition that the record was copied to, according to the replication policy.
    pub target: TargetPartition,
    /// The record's offset on the source.
    pub source_offset: SourceOffset,
    /// The record's offset on the target.
    pub target_offset: TargetOffset,
}
