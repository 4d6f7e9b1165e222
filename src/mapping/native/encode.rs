//! Encodes chunks in the native format, for publishers.

use alloc::string::ToString;
use alloc::vec::Vec;

use thiserror::Error;

use super::VERSION;
use crate::primitives::{name_flaw, put_varint};
use crate::skip::Flaw;
use sprag_core::ids::{MappingPartition, SourcePartition};
use sprag_core::mapping::{Chunk, Run};
use sprag_core::murmur2::murmur2;

/// The fields of a chunk's record that are not part of the chunk itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChunkPlace {
    /// The publisher's epoch. Each start of a publisher takes a new one, so that its chunks never
    /// overwrite those of another.
    pub epoch: i64,
    /// The chunk's number in that epoch.
    pub sequence: i64,
    /// The newest source timestamp in the chunk, in milliseconds since the Unix epoch.
    pub newest_timestamp: i64,
}

/// Why a chunk cannot be encoded: a reader would reject it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Unwritable {
    /// A name that is not valid.
    #[error("the {field} is {flaw}; expected a name")]
    Name {
        /// The field.
        field: &'static str,
        /// What is wrong with the name.
        flaw: Flaw,
    },
    /// A name that is too long for its INT16 length field.
    #[error("the {field} has {len} bytes; at most {max} are possible", max = i16::MAX)]
    LongName {
        /// The field.
        field: &'static str,
        /// The length of the name in bytes.
        len: usize,
    },
    /// A negative partition.
    #[error("the {field} is {found}; expected at least 0")]
    NegativePartition {
        /// The field.
        field: &'static str,
        /// The partition.
        found: i32,
    },
    /// A chunk without runs.
    #[error("the chunk has no runs; expected at least one")]
    NoRuns,
    /// A run that is empty, begins below zero, begins before the end of the previous run (on the source
    /// or on the target), or ends above the largest offset.
    #[error(
        "run {index} ({len} offsets from source {source_offset}, target {target_offset}) is empty, \
         overlaps the previous run, or is outside the range of offsets",
        len = run.len, source_offset = run.source, target_offset = run.target
    )]
    Run {
        /// Its index in the chunk, from 0.
        index: usize,
        /// The run.
        run: Run,
    },
}

/// The mapping partition for all records of `source`, among `partitions` partitions: Kafka's murmur2 of
/// `<topic>-<partition>`, sign bit cleared, modulo `partitions`.
#[must_use]
pub fn mapping_partition(source: &SourcePartition, partitions: u32) -> MappingPartition {
    let hash = murmur2(source.to_string().as_bytes()) & 0x7fff_ffff;
    MappingPartition((hash % partitions.max(1)).cast_signed())
}

/// Encodes a chunk as a key and a value. [`decode`](super::decode) returns the same chunk.
///
/// # Errors
///
/// The reason why a reader would reject the record.
pub fn encode(chunk: &Chunk, place: ChunkPlace) -> Result<(Vec<u8>, Vec<u8>), Unwritable> {
    let first = chunk.runs.first().ok_or(Unwritable::NoRuns)?;

    let mut key = VERSION.to_be_bytes().to_vec();
    put_name(&mut key, chunk.source.topic.as_str(), "source topic")?;
    put_partition(&mut key, chunk.source.partition, "source partition")?;
    key.extend_from_slice(&place.epoch.to_be_bytes());
    key.extend_from_slice(&place.sequence.to_be_bytes());

    let mut value = VERSION.to_be_bytes().to_vec();
    value.extend_from_slice(&chunk.source_topic_id.0);
    value.extend_from_slice(&chunk.target_topic_id.0);
    put_name(&mut value, chunk.target.topic.as_str(), "target topic")?;
    put_partition(&mut value, chunk.target.partition, "target partition")?;
    put_name(&mut value, chunk.publisher.as_str(), "publisher")?;
    value.extend_from_slice(&place.newest_timestamp.to_be_bytes());
    value.extend_from_slice(&first.source.get().to_be_bytes());
    value.extend_from_slice(&first.target.get().to_be_bytes());
    put_varint(&mut value, chunk.runs.len() as u64);
    if first.source.get() < 0 || first.target.get() < 0 {
        let (index, run) = (0, *first);
        return Err(Unwritable::Run { index, run });
    }
    let mut ends = (first.source.get(), first.target.get());
    for (index, run) in chunk.runs.iter().enumerate() {
        ends = put_run(&mut value, run, ends).ok_or(Unwritable::Run { index, run: *run })?;
    }
    Ok((key, value))
}

fn put_name(out: &mut Vec<u8>, name: &str, field: &'static str) -> Result<(), Unwritable> {
    if let Some(flaw) = name_flaw(name) {
        return Err(Unwritable::Name { field, flaw });
    }
    let len =
        i16::try_from(name.len()).map_err(|_| Unwritable::LongName { field, len: name.len() })?;
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(name.as_bytes());
    Ok(())
}

fn put_partition(out: &mut Vec<u8>, found: i32, field: &'static str) -> Result<(), Unwritable> {
    if found < 0 {
        return Err(Unwritable::NegativePartition { field, found });
    }
    out.extend_from_slice(&found.to_be_bytes());
    Ok(())
}

/// Appends a run that follows one with the ends `before`. Returns the run's own ends, or `None` if the
/// run cannot follow there.
fn put_run(out: &mut Vec<u8>, run: &Run, before: (i64, i64)) -> Option<(i64, i64)> {
    let (source, target) = (run.source.get(), run.target.get());
    let source_gap = u64::try_from(source.checked_sub(before.0)?).ok()?;
    let target_gap = u64::try_from(target.checked_sub(before.1)?).ok()?;
    if run.len == 0 {
        return None;
    }
    put_varint(out, source_gap);
    put_varint(out, target_gap);
    put_varint(out, run.len);
    Some((source.checked_add_unsigned(run.len)?, target.checked_add_unsigned(run.len)?))
}
