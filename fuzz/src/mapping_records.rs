//! Mapping records in both formats, beside a second reading of the wire format; and sequences of them
//! in the index, beside the set of all copies.

mod copies;
mod reference;
mod wire;

use std::collections::BTreeMap;

use super::Situations;
use super::choices::Choices;
use sprag_core::ids::TopicId;
use sprag_core::ids::{PublisherId, SourceOffset, SourcePartition, TargetOffset, TargetPartition};
use sprag_core::mapping::{Chunk, MappingRecord, OffsetSync, Run};
use sprag_mapping::native::{self, ChunkPlace};
use sprag_mapping::replication_policy::ReplicationPolicy;
use sprag_mapping::{Decoder, Format, SkipKind};

pub(super) const SITUATIONS: &[&str] = &[
    "native: chunk",
    "native: tombstone",
    "native: unknown version",
    "native: illegible",
    "native: chunk that cannot be written",
    "sync",
    "sync: tombstone",
    "sync: not replicated",
    "sync: illegible",
    "index: exact",
    "index: lower bound",
    "index: below first",
    "index: empty",
    "index: refused",
    "index: lowered",
    "index: published twice",
    "index: replay",
    "index: replay over",
    "index: below the floor",
    "index: read once more",
];

pub(super) fn run(bytes: &[u8], situations: &mut Situations) {
    let choices = &mut Choices::new(bytes);
    match choices.below(4) {
        0 => native_bytes(choices, situations),
        1 => sync_bytes(choices, situations),
        2 => written(choices, situations),
        _ => copies::run(choices, situations),
    }
}

type Bytes<'a> = (Option<&'a [u8]>, Option<&'a [u8]>);

/// Any key and any value; a null now and then.
fn any_record<'a>(choices: &mut Choices<'a>) -> Bytes<'a> {
    let key = (!choices.rarely(16)).then(|| choices.some_bytes());
    let value = (!choices.rarely(16)).then(|| choices.rest());
    (key, value)
}

fn native_bytes(choices: &mut Choices<'_>, situations: &mut Situations) {
    let (key, value) = any_record(choices);
    let decoded = Decoder::new(Format::Native).decode(key, value);
    let read = wire::native(key, value);
    let told = || format!("key {key:02x?}, value {value:02x?}");
    match (decoded, read) {
        (Ok(MappingRecord::Chunk(chunk)), Ok((read, place))) => {
            assert_eq!(chunk, read, "{}", told());
            situations.reach("native: chunk");
            written_anew(&chunk, place, value);
        }
        (Err(skip), Err(reasons)) => {
            assert!(reasons.contains(&skip.kind()), "{skip}, not {reasons:?}; {}", told());
            situations.reach(match skip.kind() {
                SkipKind::Tombstone => "native: tombstone",
                SkipKind::UnknownVersion => "native: unknown version",
                SkipKind::Truncated | SkipKind::Malformed => "native: illegible",
                SkipKind::NotReplicated => panic!("a chunk names its target; {}", told()),
            });
        }
        (decoded, read) => panic!("{decoded:?} where {read:?} stands; {}", told()),
    }
}

/// What was decoded is written back as the bytes it came from, but for the length of varints.
fn written_anew(chunk: &Chunk, place: ChunkPlace, value: Option<&[u8]>) {
    let (key, anew) = match native::encode(chunk, place) {
        Ok(written) => written,
        Err(refused) => panic!("{chunk:?} was read and cannot be written: {refused}"),
    };
    let value = value.unwrap_or_default();
    assert!(anew.len() <= value.len(), "{anew:02x?} is longer than {value:02x?}");
    let decoded = native::decode(Some(&key), Some(&anew));
    assert_eq!(decoded.as_ref(), Ok(chunk), "written as {key:02x?} {anew:02x?}");
}

fn sync_bytes(choices: &mut Choices<'_>, situations: &mut Situations) {
    let policy = policy(choices);
    let mut decoder = Decoder::new(Format::MirrorMaker2(policy.clone()));
    let (key, value) = any_record(choices);
    let decoded = decoder.decode(key, value);
    assert_eq!(decoder.decode(key, value), decoded, "it remembers otherwise than it reads");
    let told = || format!("key {key:02x?}, value {value:02x?}, {policy:?}");
    match (decoded, wire::sync(key, value, &policy)) {
        (Ok(MappingRecord::Sync(sync)), Ok(read)) => {
            assert_eq!(sync, read, "{}", told());
            situations.reach("sync");
        }
        (Err(skip), Err(reasons)) => {
            assert!(reasons.contains(&skip.kind()), "{skip}, not {reasons:?}; {}", told());
            situations.reach(match skip.kind() {
                SkipKind::Tombstone => "sync: tombstone",
                SkipKind::NotReplicated => "sync: not replicated",
                SkipKind::Truncated | SkipKind::Malformed => "sync: illegible",
                SkipKind::UnknownVersion => panic!("a sync has no version; {}", told()),
            });
        }
        (decoded, read) => panic!("{decoded:?} where {read:?} stands; {}", told()),
    }
}

fn policy(choices: &mut Choices<'_>) -> ReplicationPolicy {
    let separator = choices.of(&[".", "_", "--", ""]);
    match choices.below(3) {
        0 => ReplicationPolicy::default_policy("main", "dr", separator),
        1 => ReplicationPolicy::identity("main", "dr", separator),
        _ => {
            let topics = [("orders", "dr.orders"), ("t", "t")];
            let topics = topics.map(|(from, to)| (from.to_owned(), to.to_owned()));
            ReplicationPolicy::map(BTreeMap::from(topics))
        }
    }
}

/// A chunk of any runs: it is written only if it is read back as it was.
fn written(choices: &mut Choices<'_>, situations: &mut Situations) {
    let mut ends = (choices.number(), choices.number());
    let mut runs = Vec::new();
    for _ in 0..choices.below(6) {
        let (source, target) =
            (ends.0.wrapping_add(choices.number()), ends.1.wrapping_add(choices.number()));
        let len = choices.number().cast_unsigned();
        ends = (source.wrapping_add_unsigned(len), target.wrapping_add_unsigned(len));
        runs.push(Run { source: SourceOffset(source), target: TargetOffset(target), len });
    }
    let chunk = Chunk {
        source: SourcePartition::new(choices.text().as_str(), choices.word().cast_signed()),
        target: TargetPartition::new(choices.text().as_str(), choices.word().cast_signed()),
        source_topic_id: TopicId([choices.byte(); 16]),
        target_topic_id: TopicId([choices.byte(); 16]),
        publisher: PublisherId::from(choices.text().as_str()),
        runs,
    };
    let place =
        ChunkPlace { epoch: choices.number(), sequence: choices.number(), newest_timestamp: 0 };
    match native::encode(&chunk, place) {
        Ok((key, value)) => {
            assert_eq!(native::decode(Some(&key), Some(&value)).as_ref(), Ok(&chunk));
            let read = wire::native(Some(&key), Some(&value));
            assert_eq!(read, Ok((chunk, place)));
            situations.reach("native: chunk");
        }
        Err(_) => {
            assert!(!wire::is_writable(&chunk), "{chunk:?} was not written");
            situations.reach("native: chunk that cannot be written");
        }
    }
}

fn sync_record(sync: &OffsetSync) -> (Vec<u8>, Vec<u8>) {
    let topic = sync.source.topic.as_str();
    let len = u16::try_from(topic.len()).unwrap_or_default();
    let partition = sync.source.partition.to_be_bytes();
    let key = [len.to_be_bytes().as_slice(), topic.as_bytes(), &partition].concat();
    let offsets = [sync.source_offset.get(), sync.target_offset.get()];
    (key, offsets.map(i64::to_be_bytes).concat())
}
