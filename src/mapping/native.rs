//! Sprag's open mapping format: a chunk of runs per record (`docs/protocol.md`, "Mapping records").

use super::primitives::{Reader, put_string, put_varint};
use super::skip::Skip;
use crate::core::ids::{
    MappingPartition, PublisherId, SourceOffset, SourcePartition, TargetOffset, TargetPartition,
    TopicId,
};
use crate::core::mapping::{Chunk, Run};
use crate::core::murmur2::murmur2;

const VERSION: i16 = 1;
/// Three varints of at least one byte each.
const SMALLEST_RUN: u64 = 3;

/// What places a chunk among those of its source partition, beside the chunk itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkPlace {
    /// The publisher's epoch: a new one for each of its lives, so that it overwrites nobody's.
    pub epoch: i64,
    /// The chunk's number in that epoch.
    pub sequence: i64,
    /// The newest source timestamp in it, in milliseconds since the Unix epoch.
    pub newest_timestamp: i64,
}

/// The mapping partition, of `partitions`, that all records of `source` go to.
#[must_use]
pub fn mapping_partition(source: &SourcePartition, partitions: u32) -> MappingPartition {
    let hash = murmur2(source.to_string().as_bytes()) & 0x7fff_ffff;
    MappingPartition((hash % partitions.max(1)).cast_signed())
}

/// Key and value of a chunk. `None` where it cannot be written: a name over 32,767 bytes, or runs
/// that are empty or do not ascend in source and in target.
#[must_use]
pub fn encode(chunk: &Chunk, place: ChunkPlace) -> Option<(Vec<u8>, Vec<u8>)> {
    let mut key = VERSION.to_be_bytes().to_vec();
    put_string(&mut key, chunk.source.topic.as_str())?;
    key.extend_from_slice(&chunk.source.partition.to_be_bytes());
    key.extend_from_slice(&place.epoch.to_be_bytes());
    key.extend_from_slice(&place.sequence.to_be_bytes());

    let first = chunk.runs.first()?;
    let mut value = VERSION.to_be_bytes().to_vec();
    value.extend_from_slice(&chunk.source_topic_id.0);
    value.extend_from_slice(&chunk.target_topic_id.0);
    put_string(&mut value, chunk.target.topic.as_str())?;
    value.extend_from_slice(&chunk.target.partition.to_be_bytes());
    put_string(&mut value, chunk.publisher.as_str())?;
    value.extend_from_slice(&place.newest_timestamp.to_be_bytes());
    value.extend_from_slice(&first.source.get().to_be_bytes());
    value.extend_from_slice(&first.target.get().to_be_bytes());
    put_varint(&mut value, chunk.runs.len() as u64);
    let (mut source, mut target) = (first.source.get(), first.target.get());
    for run in &chunk.runs {
        put_varint(&mut value, u64::try_from(run.source.get().checked_sub(source)?).ok()?);
        put_varint(&mut value, u64::try_from(run.target.get().checked_sub(target)?).ok()?);
        put_varint(&mut value, run.len);
        source = run.source.get().checked_add_unsigned(run.len)?;
        target = run.target.get().checked_add_unsigned(run.len)?;
    }
    Some((key, value))
}

/// The chunk that key and value make.
///
/// # Errors
///
/// Why it is skipped. Bytes behind the last run are refused: a chunk is only believed whole.
pub fn decode(key: Option<&[u8]>, value: Option<&[u8]>) -> Result<Chunk, Skip> {
    let mut key = Reader::new(key.ok_or(Skip::Truncated { field: "key" })?);
    version(&mut key)?;
    let topic = name(&mut key, "source topic")?;
    let partition = key.partition("source partition")?;
    key.int64("publisher epoch")?;
    key.int64("chunk sequence")?;
    let source = SourcePartition::new(topic, partition);
    let mut value = Reader::new(value.ok_or(Skip::Tombstone)?);
    version(&mut value)?;
    let source_topic_id = TopicId(value.array("source topic id")?);
    let target_topic_id = TopicId(value.array("target topic id")?);
    let topic = name(&mut value, "target topic")?;
    let target = TargetPartition::new(topic, value.partition("target partition")?);
    let publisher = PublisherId::from(value.string("publisher")?);
    value.int64("newest source timestamp")?;
    let runs = runs(&mut value)?;
    if key.remaining() > 0 || value.remaining() > 0 {
        return Err(Skip::Malformed { field: "length", reason: "bytes behind the end" });
    }
    Ok(Chunk { source, target, source_topic_id, target_topic_id, publisher, runs })
}

fn version(reader: &mut Reader<'_>) -> Result<(), Skip> {
    match reader.int16("version")? {
        VERSION => Ok(()),
        found => Err(Skip::UnknownVersion { found }),
    }
}

fn name<'a>(reader: &mut Reader<'a>, field: &'static str) -> Result<&'a str, Skip> {
    let name = reader.string(field)?;
    if name.is_empty() { Err(Skip::Malformed { field, reason: "empty" }) } else { Ok(name) }
}

fn runs(value: &mut Reader<'_>) -> Result<Vec<Run>, Skip> {
    let mut source = value.offset("source start")?;
    let mut target = value.offset("target start")?;
    let count = value.varint("run count")?;
    if count.saturating_mul(SMALLEST_RUN) > value.remaining() as u64 {
        return Err(Skip::Truncated { field: "runs" });
    }
    let mut runs = Vec::with_capacity(usize::try_from(count).unwrap_or(0));
    for _ in 0..count {
        let large = |field| Skip::Malformed { field, reason: "beyond the largest offset" };
        let forth = |at: i64, by: u64, field| at.checked_add_unsigned(by).ok_or(large(field));
        source = forth(source, value.varint("source gap")?, "source gap")?;
        target = forth(target, value.varint("target gap")?, "target gap")?;
        let len = value.varint("run length")?;
        if len == 0 {
            return Err(Skip::Malformed { field: "run length", reason: "zero" });
        }
        runs.push(Run { source: SourceOffset(source), target: TargetOffset(target), len });
        source = forth(source, len, "run length")?;
        target = forth(target, len, "run length")?;
    }
    Ok(runs)
}

#[cfg(test)]
#[path = "native_tests.rs"]
mod tests;
