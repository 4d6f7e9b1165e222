#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

fn hex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

fn run(source: i64, target: i64, len: u64) -> Run {
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

const KEY: &str = "000100066f72646572730000000300000000000000070000000000000000";
const VALUE: &str = "0001000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\
    000964722e6f72646572730000000300086d6972726f722d31\
    000001a2062de20000000000000003e80000000000000384030000f4030101010008ac02";

#[test]
fn the_documented_vector_holds_both_ways() {
    let (chunk, place) = documented();
    let (key, value) = encode(&chunk, place).unwrap();
    assert_eq!((key.clone(), value.clone()), (hex(KEY), hex(VALUE)));
    assert_eq!(decode(Some(&key), Some(&value)), Ok(chunk));
}

#[test]
fn the_mapping_partition_is_kafkas() {
    assert_eq!(mapping_partition(&SourcePartition::new("orders", 3), 4), MappingPartition(0));
}

#[test]
fn every_shorter_or_longer_record_is_skipped() {
    let (key, value) = (hex(KEY), hex(VALUE));
    for len in 0..key.len() {
        assert!(decode(Some(&key[..len]), Some(&value)).is_err(), "key of {len}");
    }
    for len in 0..value.len() {
        assert!(decode(Some(&key), Some(&value[..len])).is_err(), "value of {len}");
    }
    let longer: Vec<u8> = value.iter().copied().chain([0]).collect();
    assert!(matches!(decode(Some(&key), Some(&longer)), Err(Skip::Malformed { .. })));
}

#[test]
fn nulls_versions_and_impossible_fields_are_told_apart() {
    let (key, value) = (hex(KEY), hex(VALUE));
    assert_eq!(decode(Some(&key), None), Err(Skip::Tombstone));
    assert_eq!(decode(None, Some(&value)), Err(Skip::Truncated { field: "key" }));
    let newer = hex(&VALUE.replacen("0001", "0002", 1));
    assert_eq!(decode(Some(&key), Some(&newer)), Err(Skip::UnknownVersion { found: 2 }));
    let empty_run = hex(&VALUE.replace("0000f403", "00000000").replace("030000", "020000"));
    assert!(decode(Some(&key), Some(&empty_run)).is_err());
    let negative = hex(&VALUE.replace("00000000000003e8", "ffffffffffffffff"));
    let reason = "negative";
    let expected = Err(Skip::Malformed { field: "source start", reason });
    assert_eq!(decode(Some(&key), Some(&negative)), expected);
    let overflow = hex(&VALUE.replace("00000000000003e8", "7fffffffffffffff"));
    assert!(matches!(decode(Some(&key), Some(&overflow)), Err(Skip::Malformed { .. })));
}

proptest! {
    #[test]
    fn chunks_round_trip(
        start in 0..1_i64 << 40,
        shift in 0..1_i64 << 40,
        steps in prop::collection::vec((0..1000_i64, 0..1000_i64, 1..10_000_u64), 1..20),
    ) {
        let (mut chunk, place) = documented();
        let (mut source, mut target) = (start, start + shift);
        chunk.runs = steps.into_iter().enumerate().map(|(nth, (gap, target_gap, len))| {
            // The first run starts at the chunk's start.
            source += if nth == 0 { 0 } else { gap };
            target += if nth == 0 { 0 } else { target_gap };
            let step = run(source, target, len);
            source += len as i64;
            target += len as i64;
            step
        }).collect();
        let (key, value) = encode(&chunk, place).unwrap();
        prop_assert_eq!(decode(Some(&key), Some(&value)), Ok(chunk));
    }

    #[test]
    fn no_bytes_make_it_panic(
        key in prop::collection::vec(any::<u8>(), 0..60),
        value in prop::collection::vec(any::<u8>(), 0..120),
        at in 0..70_usize,
        byte in any::<u8>(),
    ) {
        let _ = decode(Some(&key), Some(&value));
        let mut broken = hex(VALUE);
        let len = broken.len();
        broken[at % len] = byte;
        if let Ok(chunk) = decode(Some(&hex(KEY)), Some(&broken)) {
            prop_assert!(chunk.runs.iter().all(|run| run.len > 0));
        }
    }
}
