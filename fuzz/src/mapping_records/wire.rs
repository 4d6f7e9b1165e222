//! A second reading of the two formats, from `docs/protocol.md`, "Mapping records".
//!
//! Which of several flaws is told is not laid down: a refusal is the list of those that may be.

use sprag_core::ids::{
    PublisherId, SourceOffset, SourcePartition, TargetOffset, TargetPartition, TopicId,
};
use sprag_core::mapping::{Chunk, OffsetSync, Run};
use sprag_mapping::SkipKind;
use sprag_mapping::native::ChunkPlace;
use sprag_mapping::replication_policy::ReplicationPolicy;

type Refusal = Vec<SkipKind>;

/// A cursor over bytes; everything it cannot read is illegible.
struct Bytes<'a>(&'a [u8], usize);

fn illegible() -> Refusal {
    vec![SkipKind::Truncated, SkipKind::Malformed]
}

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Refusal> {
        let taken = self.0.get(self.1..self.1 + count).ok_or_else(illegible)?;
        self.1 += count;
        Ok(taken)
    }

    fn number(&mut self, bytes: usize) -> Result<i64, Refusal> {
        let mut number = 0_i128;
        for byte in self.take(bytes)? {
            number = number << 8 | i128::from(*byte);
        }
        let sign = 1_i128 << (8 * bytes - 1);
        let signed = if number >= sign { number - 2 * sign } else { number };
        i64::try_from(signed).map_err(|_| illegible())
    }

    fn natural(&mut self, bytes: usize) -> Result<i64, Refusal> {
        let number = self.number(bytes)?;
        if number < 0 { Err(illegible()) } else { Ok(number) }
    }

    fn partition(&mut self) -> Result<i32, Refusal> {
        i32::try_from(self.natural(4)?).map_err(|_| illegible())
    }

    fn name(&mut self) -> Result<&'a str, Refusal> {
        let len = usize::try_from(self.natural(2)?).map_err(|_| illegible())?;
        let name = std::str::from_utf8(self.take(len)?).map_err(|_| illegible())?;
        if is_name(name) { Ok(name) } else { Err(illegible()) }
    }

    fn topic_id(&mut self) -> Result<TopicId, Refusal> {
        let bytes = self.take(16)?;
        Ok(TopicId(std::array::from_fn(|nth| bytes[nth])))
    }

    fn varint(&mut self) -> Result<u64, Refusal> {
        let mut number = 0_u128;
        for nth in 0..10 {
            let byte = self.take(1)?[0];
            number += u128::from(byte % 128) << (7 * nth);
            if byte < 128 {
                return u64::try_from(number).map_err(|_| illegible());
            }
        }
        Err(illegible())
    }

    fn version(&mut self) -> Result<(), Refusal> {
        if self.number(2)? == 1 { Ok(()) } else { Err(vec![SkipKind::UnknownVersion]) }
    }

    fn end(&self) -> Result<(), Refusal> {
        if self.1 == self.0.len() { Ok(()) } else { Err(illegible()) }
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c.is_control())
}

/// What refuses either part may be told.
fn both<A, B>(one: Result<A, Refusal>, other: Result<B, Refusal>) -> Result<(A, B), Refusal> {
    match (one, other) {
        (Ok(one), Ok(other)) => Ok((one, other)),
        (Err(one), Err(other)) => Err([one, other].concat()),
        (Err(refusal), Ok(_)) | (Ok(_), Err(refusal)) => Err(refusal),
    }
}

/// A chunk of the native format.
pub(super) fn native(
    key: Option<&[u8]>,
    value: Option<&[u8]>,
) -> Result<(Chunk, ChunkPlace), Refusal> {
    let key = native_key(&mut Bytes(key.unwrap_or_default(), 0));
    let value = match value {
        Some(value) => native_value(&mut Bytes(value, 0)),
        None => Err(vec![SkipKind::Tombstone]),
    };
    let ((source, epoch, sequence), (chunk, newest_timestamp)) = both(key, value)?;
    Ok((Chunk { source, ..chunk }, ChunkPlace { epoch, sequence, newest_timestamp }))
}

fn native_key(key: &mut Bytes<'_>) -> Result<(SourcePartition, i64, i64), Refusal> {
    key.version()?;
    let (topic, partition) = (key.name()?, key.partition()?);
    let (epoch, sequence) = (key.number(8)?, key.number(8)?);
    key.end()?;
    Ok((SourcePartition::new(topic, partition), epoch, sequence))
}

fn native_value(value: &mut Bytes<'_>) -> Result<(Chunk, i64), Refusal> {
    value.version()?;
    let (source_topic_id, target_topic_id) = (value.topic_id()?, value.topic_id()?);
    let target = TargetPartition::new(value.name()?, value.partition()?);
    let publisher = PublisherId::from(value.name()?);
    let newest_timestamp = value.number(8)?;
    let (mut source_end, mut target_end) =
        (i128::from(value.natural(8)?), i128::from(value.natural(8)?));
    let mut runs = Vec::new();
    let count = value.varint()?;
    for _ in 0..count {
        let (source_gap, target_gap, len) = (value.varint()?, value.varint()?, value.varint()?);
        let (source, target) =
            (source_end + i128::from(source_gap), target_end + i128::from(target_gap));
        (source_end, target_end) = (source + i128::from(len), target + i128::from(len));
        let largest = source_end.max(target_end);
        if len == 0 || largest > i128::from(i64::MAX) {
            return Err(illegible());
        }
        let offset = |offset: i128| i64::try_from(offset).map_err(|_| illegible());
        let (source, target) = (SourceOffset(offset(source)?), TargetOffset(offset(target)?));
        runs.push(Run { source, target, len });
    }
    value.end()?;
    if runs.is_empty() {
        return Err(illegible());
    }
    let source = SourcePartition::new("", 0);
    Ok((
        Chunk { source, target, source_topic_id, target_topic_id, publisher, runs },
        newest_timestamp,
    ))
}

/// An offset sync; bytes behind it are read past.
pub(super) fn sync(
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    policy: &ReplicationPolicy,
) -> Result<OffsetSync, Refusal> {
    let key = sync_key(&mut Bytes(key.unwrap_or_default(), 0), policy);
    let value = match value {
        Some(value) => {
            let mut value = Bytes(value, 0);
            value.natural(8).and_then(|source| Ok((source, value.natural(8)?)))
        }
        None => Err(vec![SkipKind::Tombstone]),
    };
    let ((source, target), (upstream, downstream)) = both(key, value)?;
    let (source_offset, target_offset) = (SourceOffset(upstream), TargetOffset(downstream));
    Ok(OffsetSync { source, target, source_offset, target_offset })
}

fn sync_key(
    key: &mut Bytes<'_>,
    policy: &ReplicationPolicy,
) -> Result<(SourcePartition, TargetPartition), Refusal> {
    let (topic, partition) = (key.name()?, key.partition()?);
    let target = policy.target_topic(topic).map_err(|_| vec![SkipKind::NotReplicated])?;
    let is_it = target == topic || target.ends_with(topic) || target == format!("dr.{topic}");
    assert!(is_it, "{topic} was copied to {target}");
    let target = TargetPartition::new(target.as_str(), partition);
    Ok((SourcePartition::new(topic, partition), target))
}

/// Whether a chunk is one that may be written.
pub(super) fn is_writable(chunk: &Chunk) -> bool {
    let names =
        [chunk.source.topic.as_str(), chunk.target.topic.as_str(), chunk.publisher.as_str()];
    let named = names.iter().all(|name| is_name(name) && name.len() <= 0x7fff);
    let placed = chunk.source.partition >= 0 && chunk.target.partition >= 0;
    let mut ends = (0, 0);
    let ascending = chunk.runs.iter().all(|run| {
        let begin = (i128::from(run.source.get()), i128::from(run.target.get()));
        let follows = begin.0 >= ends.0 && begin.1 >= ends.1;
        ends = (begin.0 + i128::from(run.len), begin.1 + i128::from(run.len));
        follows && run.len > 0 && ends.0.max(ends.1) <= i128::from(i64::MAX)
    });
    named && placed && ascending && !chunk.runs.is_empty()
}
