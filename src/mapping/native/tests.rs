#![allow(clippy::unwrap_used)]

use super::*;
use crate::skip::SkipKind;
use sprag_core::ids::MappingPartition;

pub(super) fn hex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

pub(super) fn run(source: i64, target: i64, len: u64) -> Run {
    Run { source: SourceOffset(source), target: TargetOffset(target), len }
}

fn documented() -> (Chunk, ChunkPlace) {
    let ids = |first: u8| TopicId(std::array::from_fn(|index| first + index as u8));
    let chunk = Chunk {
        source: SourcePartition::new("orders", 3),
        target: TargetPartition::new("dr.orders", 3),
        source_topic_id: ids(0),
        target_topic_id: ids(16),
        publisher: PublisherId::from("mirror-1"),
        runs: vec![run(1000, 900, 500), run(1501, 1401, 1), run(1502, 1410, 300)],
    };
    let place = ChunkPlace { epoch: 7, sequence: 0, newest_timestamp: 1_795_400_000_000 };
    (chunk, place)
}

pub(super) const KEY: &str = "000100066f72646572730000000300000000000000070000000000000000";
/// The value up to its source start, and the rest.
pub(super) const VALUE_HEAD: &str = "0001000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\
    000964722e6f72646572730000000300086d6972726f722d31000001a2062de200";
const VALUE_RUNS: &str = "00000000000003e80000000000000384030000f4030101010008ac02";

pub(super) fn value() -> Vec<u8> {
    [hex(VALUE_HEAD), hex(VALUE_RUNS)].concat()
}

fn with_runs(runs: &str) -> Result<Chunk, Skip> {
    decode(Some(&hex(KEY)), Some(&[hex(VALUE_HEAD), hex(runs)].concat()))
}

fn malformed(field: &'static str, flaw: Flaw) -> Result<Chunk, Skip> {
    Err(Skip::Malformed { field, flaw })
}

#[test]
fn the_documented_vector_holds_both_ways() {
    let (chunk, place) = documented();
    assert_eq!(encode(&chunk, place), Ok((hex(KEY), value())));
    assert_eq!(decode(Some(&hex(KEY)), Some(&value())), Ok(chunk));
}

/// The expected values are the results of Kafka's `Utils.toPositive(Utils.murmur2(bytes)) % n`.
#[test]
fn the_mapping_partition_is_kafkas() {
    let rows = [
        ("orders", 3, [0, 0, 32]),
        ("orders", 0, [0, 3, 23]),
        ("заказы", 0, [0, 1, 39]),
        ("a.b_c", 12, [0, 0, 36]),
        ("t", i32::MAX, [0, 2, 4]),
    ];
    for (topic, partition, expected) in rows {
        let source = SourcePartition::new(topic, partition);
        let found = [1, 4, 50].map(|partitions| mapping_partition(&source, partitions));
        assert_eq!(found, expected.map(MappingPartition), "{source}");
    }
}

#[test]
fn nulls_and_versions_are_told_apart() {
    let (key, value) = (hex(KEY), value());
    assert_eq!(decode(Some(&key), None), Err(Skip::Tombstone));
    let no_key = decode(None, Some(&value)).unwrap_err();
    assert_eq!(no_key.kind(), SkipKind::Truncated);
    for found in [0, 2, -1, i16::MAX] {
        let other = |bytes: &[u8]| [&found.to_be_bytes(), &bytes[2..]].concat();
        let unknown = Err(Skip::UnknownVersion { found });
        assert_eq!(decode(Some(&key), Some(&other(&value))), unknown);
        assert_eq!(decode(Some(&other(&key)), Some(&value)), unknown);
    }
}

#[test]
fn key_and_value_cannot_stand_in_for_each_other() {
    let (key, value) = (hex(KEY), value());
    for (key, value) in [(&value, &key), (&key, &key), (&value, &value)] {
        assert!(decode(Some(key), Some(value)).unwrap_err().kind().is_foreign());
    }
}

#[test]
fn the_key_alone_names_the_source_and_the_value_alone_the_copies() {
    let (documented, place) = documented();
    let other = Chunk {
        source: SourcePartition::new("payments", 9),
        target: TargetPartition::new("copy", 4),
        source_topic_id: TopicId([3; 16]),
        target_topic_id: TopicId([4; 16]),
        publisher: PublisherId::from("another"),
        runs: vec![run(5, 6, 7)],
    };
    let (other_key, other_value) = encode(&other, place).unwrap();
    let crossed = decode(Some(&other_key), Some(&value()));
    let source = other.source.clone();
    assert_eq!(crossed, Ok(Chunk { source, ..documented.clone() }));
    let crossed = decode(Some(&hex(KEY)), Some(&other_value));
    let source = documented.source;
    assert_eq!(crossed, Ok(Chunk { source, ..other }));
}

#[test]
fn trailing_bytes_are_refused() {
    let (key, value) = (hex(KEY), value());
    let longer = |bytes: &[u8]| [bytes, &[0]].concat();
    let flaw = Flaw::TrailingBytes(1);
    let found = decode(Some(&key), Some(&longer(&value)));
    assert_eq!(found, malformed("last run", flaw));
    let found = decode(Some(&longer(&key)), Some(&value));
    assert_eq!(found, malformed("chunk sequence", flaw));
}

/// Each case differs from a valid chunk in one field.
#[test]
fn runs_that_would_harm_the_index_are_refused() {
    let starts = "00000000000003e80000000000000384";
    let runs = |rest: &str| with_runs(&format!("{starts}{rest}"));
    assert_eq!(runs("01000001").unwrap().runs, [run(1000, 900, 1)]);
    assert_eq!(runs("01000000"), malformed("run length", Flaw::Zero));
    assert_eq!(runs("00"), malformed("run count", Flaw::Zero));
    let short = Err(Skip::Truncated { field: "list of runs", needed: 6, left: 5 });
    assert_eq!(runs("020000010000"), short);
    // 2^64 - 1 runs: no memory is allocated for them.
    let countless = runs("ffffffffffffffffff01000001").unwrap_err();
    assert_eq!(countless.kind(), SkipKind::Truncated);
    let negative = |field| malformed(field, Flaw::Negative(-1));
    let found = with_runs("ffffffffffffffff000000000000038401000001");
    assert_eq!(found, negative("source start"));
    let found = with_runs("00000000000003e8ffffffffffffffff01000001");
    assert_eq!(found, negative("target start"));
}

#[test]
fn offsets_end_at_the_largest() {
    let all = "ffffffffffffffff7f"; // the varint of i64::MAX
    let (zero, one) = ("0000000000000000", "0000000000000001");
    let fits = with_runs(&format!("{zero}{zero}010000{all}")).unwrap();
    assert_eq!(fits.runs, [run(0, 0, i64::MAX as u64)]);
    let beyond = |field| malformed(field, Flaw::BeyondLargestOffset(i64::MAX as u64));
    let found = with_runs(&format!("{one}{zero}010000{all}"));
    assert_eq!(found, beyond("run length"), "source end");
    let found = with_runs(&format!("{zero}{one}010000{all}"));
    assert_eq!(found, beyond("run length"), "target end");
    let found = with_runs(&format!("{one}{zero}01{all}0001"));
    assert_eq!(found, beyond("source gap"));
    let found = with_runs(&format!("{zero}{one}0100{all}01"));
    assert_eq!(found, beyond("target gap"));
}

#[test]
fn names_and_partitions_are_checked() {
    let key = |text: &str| decode(Some(&hex(text)), Some(&value()));
    let rest = "00000003".to_owned() + "00000000000000070000000000000000";
    let found = key(&format!("00010000{rest}"));
    assert_eq!(found, malformed("source topic", Flaw::Empty));
    let found = key(&KEY.replace("00000003", "ffffffff"));
    assert_eq!(found, malformed("source partition", Flaw::Negative(-1)));
    let changed = |from: &str, to: &str| {
        let value = [hex(&VALUE_HEAD.replacen(from, to, 1)), hex(VALUE_RUNS)].concat();
        decode(Some(&hex(KEY)), Some(&value))
    };
    let found = changed("000964722e6f7264657273", "0000");
    assert_eq!(found, malformed("target topic", Flaw::Empty));
    let found = changed("727300000003", "7273ffffffff");
    assert_eq!(found, malformed("target partition", Flaw::Negative(-1)));
    let found = changed("00086d6972726f722d31", "0000");
    assert_eq!(found, malformed("publisher", Flaw::Empty));
    let found = changed("00086d69", "0008ff69");
    assert_eq!(found, malformed("publisher", Flaw::NotUtf8));
}

#[test]
fn what_a_reader_would_refuse_is_not_written() {
    type Change = fn(&mut Chunk);
    let field = "publisher";
    let bad_run = |index, run| Unwritable::Run { index, run };
    let cases: [(Change, Unwritable); 9] = [
        (|chunk| chunk.runs.clear(), Unwritable::NoRuns),
        (
            |chunk| chunk.publisher = PublisherId::from(""),
            Unwritable::Name { field, flaw: Flaw::Empty },
        ),
        (
            |chunk| chunk.publisher = PublisherId::from("x".repeat(32_768).as_str()),
            Unwritable::LongName { field, len: 32_768 },
        ),
        (
            |chunk| chunk.target.partition = -1,
            Unwritable::NegativePartition { field: "target partition", found: -1 },
        ),
        (|chunk| chunk.runs[1].len = 0, bad_run(1, run(1501, 1401, 0))),
        (|chunk| chunk.runs[0] = run(-1, 0, 1), bad_run(0, run(-1, 0, 1))),
        (|chunk| chunk.runs[0] = run(0, -1, 1), bad_run(0, run(0, -1, 1))),
        (|chunk| chunk.runs[0].len = 502, bad_run(1, run(1501, 1401, 1))),
        (|chunk| chunk.runs[2].len = u64::MAX, bad_run(2, run(1502, 1410, u64::MAX))),
    ];
    for (change, expected) in cases {
        let (mut chunk, place) = documented();
        change(&mut chunk);
        assert_eq!(encode(&chunk, place), Err(expected));
    }
}
