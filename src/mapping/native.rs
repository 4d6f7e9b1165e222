//! Sprag's open mapping format: a chunk of runs per record (`docs/protocol.md`, "Mapping records").
//!
//! ```text
//! key:   version INT16 = 1, topic STRING, partition INT32, publisher epoch INT64,
//!        chunk sequence INT64
//! value: version INT16 = 1, source topic id (16 bytes), target topic id (16 bytes),
//!        target topic STRING, target partition INT32, publisher STRING,
//!        newest source timestamp INT64, source start INT64, target start INT64,
//!        run count UNSIGNED_VARINT, then per run, all UNSIGNED_VARINT:
//!        source gap and target gap from the end of the previous run (for the first run: from the
//!        starts), length (at least 1)
//! ```
//!
//! The key alone names the source partition, and the value alone describes the copies. A varint has up
//! to 64 bits. A chunk is accepted as a whole or not at all: bytes after the last run are an error,
//! because they mean that the run count is not the one that was written. Additions to the format get a
//! new version number.

mod encode;

use alloc::vec::Vec;

use super::primitives::Reader;
use super::skip::{Flaw, Skip};
use sprag_core::ids::{
    PublisherId, SourceOffset, SourcePartition, TargetOffset, TargetPartition, TopicId,
};
use sprag_core::mapping::{Chunk, Run};

pub use encode::{ChunkPlace, Unwritable, encode, mapping_partition};

const VERSION: i16 = 1;
/// Three varints of at least one byte each.
const SMALLEST_RUN: u64 = 3;

/// Decodes the chunk with this key and value. It has at least one run. The runs ascend on both the
/// source and the target, and end at offsets that fit in an INT64.
///
/// # Errors
///
/// The reason why the record must be skipped.
pub fn decode(key: Option<&[u8]>, value: Option<&[u8]>) -> Result<Chunk, Skip> {
    let source = source_partition(key.unwrap_or_default())?;
    let mut value = Reader::new(value.ok_or(Skip::Tombstone)?);
    version(&mut value)?;
    let source_topic_id = TopicId(value.array("source topic id")?);
    let target_topic_id = TopicId(value.array("target topic id")?);
    let topic = value.name("target topic")?;
    let target = TargetPartition::new(topic, value.partition("target partition")?);
    let publisher = PublisherId::from(value.name("publisher")?);
    value.int64("newest source timestamp")?;
    let runs = runs(&mut value)?;
    at_end(&value, "last run")?;
    Ok(Chunk { source, target, source_topic_id, target_topic_id, publisher, runs })
}

fn source_partition(key: &[u8]) -> Result<SourcePartition, Skip> {
    let mut key = Reader::new(key);
    version(&mut key)?;
    let topic = key.name("source topic")?;
    let partition = key.partition("source partition")?;
    // These two only make keys distinct for compaction. The chunk itself does not depend on them.
    key.int64("publisher epoch")?;
    key.int64("chunk sequence")?;
    at_end(&key, "chunk sequence")?;
    Ok(SourcePartition::new(topic, partition))
}

fn version(reader: &mut Reader<'_>) -> Result<(), Skip> {
    match reader.int16("version")? {
        VERSION => Ok(()),
        found => Err(Skip::UnknownVersion { found }),
    }
}

fn at_end(reader: &Reader<'_>, field: &'static str) -> Result<(), Skip> {
    match reader.remaining() {
        0 => Ok(()),
        more => {
            let flaw = Flaw::TrailingBytes(more);
            Err(Skip::Malformed { field, flaw })
        }
    }
}

fn runs(value: &mut Reader<'_>) -> Result<Vec<Run>, Skip> {
    let mut source = value.offset("source start")?;
    let mut target = value.offset("target start")?;
    let count = run_count(value)?;
    let mut runs = Vec::with_capacity(count);
    for _ in 0..count {
        source = advance(source, value.varint("source gap")?, "source gap")?;
        target = advance(target, value.varint("target gap")?, "target gap")?;
        let len = value.varint("run length")?;
        if len == 0 {
            return Err(Skip::Malformed { field: "run length", flaw: Flaw::Zero });
        }
        runs.push(Run { source: SourceOffset(source), target: TargetOffset(target), len });
        source = advance(source, len, "run length")?;
        target = advance(target, len, "run length")?;
    }
    Ok(runs)
}

/// Reads the number of runs. It is at most what the remaining bytes can hold, so it is safe to allocate
/// memory for that many.
fn run_count(value: &mut Reader<'_>) -> Result<usize, Skip> {
    let count = value.varint("run count")?;
    if count == 0 {
        return Err(Skip::Malformed { field: "run count", flaw: Flaw::Zero });
    }
    let (needed, left) = (count.saturating_mul(SMALLEST_RUN), value.remaining());
    if needed > left as u64 {
        return Err(Skip::Truncated {
            field: "list of runs",
            needed: usize::try_from(needed).unwrap_or(usize::MAX),
            left,
        });
    }
    // The conversion cannot fail, because the count is smaller than `left`.
    Ok(usize::try_from(count).unwrap_or(left))
}

fn advance(at: i64, by: u64, field: &'static str) -> Result<i64, Skip> {
    let flaw = Flaw::BeyondLargestOffset(by);
    at.checked_add_unsigned(by).ok_or(Skip::Malformed { field, flaw })
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
