#![allow(clippy::unwrap_used)]

use super::*;
use sprag_core::ids::{
    MappingOffset, MappingPartition, PublisherId, SourceOffset, SourcePartition, TargetOffset,
    TargetPartition, TopicId,
};
use sprag_core::mapping::{Chunk, Run};

fn native_record() -> (Vec<u8>, Vec<u8>) {
    let chunk = Chunk {
        source: SourcePartition::new("orders", 3),
        target: TargetPartition::new("dr.orders", 3),
        source_topic_id: TopicId([1; 16]),
        target_topic_id: TopicId([2; 16]),
        publisher: PublisherId::from("mirror-1"),
        runs: vec![Run { source: SourceOffset(1000), target: TargetOffset(900), len: 5 }],
    };
    let place = native::ChunkPlace { epoch: 7, sequence: 0, newest_timestamp: 0 };
    native::encode(&chunk, place).unwrap()
}

fn sync_record() -> (Vec<u8>, Vec<u8>) {
    let key = [b"\0\x06orders".as_slice(), &3_i32.to_be_bytes()].concat();
    let value = [1000_i64.to_be_bytes(), 900_i64.to_be_bytes()].concat();
    (key, value)
}

fn mirror_maker() -> Format {
    Format::MirrorMaker2(ReplicationPolicy::default_policy("main", "dr", "."))
}

#[test]
fn each_format_decodes_its_own_records_and_refuses_the_others() {
    let records = [native_record(), sync_record()];
    let decoded = |format: Format| {
        let mut decoder = Decoder::new(format);
        records.each_ref().map(|(key, value)| decoder.decode(Some(key), Some(value)))
    };
    let [own, other] = decoded(Format::Native);
    assert!(matches!(own, Ok(MappingRecord::Chunk(chunk)) if chunk.runs.len() == 1));
    assert!(other.unwrap_err().kind().is_foreign());
    let [other, own] = decoded(mirror_maker());
    assert!(matches!(own, Ok(MappingRecord::Sync(sync)) if sync.source_offset.get() == 1000));
    assert!(other.unwrap_err().kind().is_foreign());
}

#[test]
fn a_skip_names_what_was_expected_and_what_was_found() {
    let (key, value) = native_record();
    let message = |format: Format, key: &[u8], value: Option<&[u8]>| {
        let skip = Decoder::new(format).decode(Some(key), value);
        skip.unwrap_err().to_string()
    };
    let lines = [
        message(Format::Native, &key, None),
        message(Format::Native, &key, Some(&value[..20])),
        message(Format::Native, &key, Some(&[value.as_slice(), &[0]].concat())),
        message(Format::Native, b"\0\x09", Some(&value)),
        message(mirror_maker(), &sync_record().0, Some(&[0xff; 16])),
        message(mirror_maker(), b"\0\x0aheartbeats\0\0\0\0", Some(&[0; 16])),
        message(mirror_maker(), &key, Some(&value)),
    ];
    let expected = [
        "it is a tombstone, which holds no mapping",
        "its target topic id needs 16 bytes, but only 2 are left",
        "its last run is followed by 1 more bytes, but the end was expected",
        "expected version 1, found 9; either the publisher is newer than this Sprag, or the \
         record is not a mapping in the native format",
        "its upstream offset is -1, which is negative",
        "topic heartbeats has no copy that a group could resume on: it holds MirrorMaker's \
         heartbeats",
        "its topic is a string with control characters",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn skips_are_counted_by_kind_and_each_kind_is_new_once() {
    let mut counter = SkipCounter::default();
    let mut record = |kind, partition, offset| {
        counter.record(kind, MappingPartition(partition), MappingOffset(offset))
    };
    assert!(record(SkipKind::Malformed, 2, 70));
    assert!(!record(SkipKind::Malformed, 0, 10));
    assert!(record(SkipKind::Tombstone, 1, 5));
    assert!(record(SkipKind::UnknownVersion, 1, 6));
    let skipped = |count, partition, offset| Skipped {
        count,
        first_partition: MappingPartition(partition),
        first_offset: MappingOffset(offset),
    };
    let expected = [
        (SkipKind::Tombstone, skipped(1, 1, 5)),
        (SkipKind::UnknownVersion, skipped(1, 1, 6)),
        (SkipKind::Malformed, skipped(2, 2, 70)),
    ];
    assert_eq!(*counter.counts(), expected.into());
}
