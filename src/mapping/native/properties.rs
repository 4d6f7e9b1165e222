//! Properties that hold for any chunk and for any bytes.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::tests::{KEY, VALUE_HEAD, hex, run, value};
use super::*;
use crate::skip::SkipKind;

prop_compose! {
    fn any_place()(epoch: i64, sequence: i64, newest_timestamp: i64) -> ChunkPlace {
        ChunkPlace { epoch, sequence, newest_timestamp }
    }
}

/// Any chunk. Most of them can be encoded, some cannot.
fn any_chunk() -> impl Strategy<Value = Chunk> {
    let offset = || prop_oneof![18 => 0..5_000_i64, 1 => -1..1_i64, 1 => i64::MAX - 9..=i64::MAX];
    let len = prop_oneof![40 => 1..4_u64, 40 => 1..5_000_u64, 1 => Just(0), 1 => Just(u64::MAX)];
    let gap = || prop_oneof![40 => 0..3_i64, 40 => 0..1_000_000_i64, 1 => -3..0_i64];
    let names = ("[a-zé.]{0,9}", -1..9_i32, "[a-z]{1,9}", 0..9_i32, "[a-z]{1,5}");
    let runs = prop::collection::vec((gap(), gap(), len), 0..12);
    (names, any::<([u8; 16], [u8; 16])>(), (offset(), offset()), runs).prop_map(
        |((topic, partition, target, target_partition, publisher), ids, starts, steps)| {
            let (mut source, mut copy) = starts;
            let mut runs = Vec::new();
            for (gap, copy_gap, len) in steps {
                source = source.saturating_add(gap);
                copy = copy.saturating_add(copy_gap);
                runs.push(run(source, copy, len));
                source = source.saturating_add_unsigned(len);
                copy = copy.saturating_add_unsigned(len);
            }
            Chunk {
                source: SourcePartition::new(topic.as_str(), partition),
                target: TargetPartition::new(target.as_str(), target_partition),
                source_topic_id: TopicId(ids.0),
                target_topic_id: TopicId(ids.1),
                publisher: PublisherId::from(publisher.as_str()),
                runs,
            }
        },
    )
}

/// Whether the index accepts the chunk.
fn is_sound(chunk: &Chunk) -> bool {
    let end = |at: i64, len: u64| at.checked_add_unsigned(len);
    let (mut source, mut target) = (0, 0);
    for run in &chunk.runs {
        let ascends = run.source.get() >= source && run.target.get() >= target && run.len > 0;
        let ends = end(run.source.get(), run.len).zip(end(run.target.get(), run.len));
        let Some((source_end, target_end)) = ends.filter(|_| ascends) else {
            return false;
        };
        (source, target) = (source_end, target_end);
    }
    let named =
        [chunk.source.topic.as_str(), chunk.target.topic.as_str(), chunk.publisher.as_str()];
    let partitions = [chunk.source.partition, chunk.target.partition];
    !chunk.runs.is_empty()
        && named.iter().all(|name| !name.is_empty())
        && partitions.iter().all(|partition| *partition >= 0)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn sound_chunks_come_back_and_others_are_not_written(
        chunk in any_chunk(),
        place in any_place(),
    ) {
        match encode(&chunk, place) {
            Ok((key, value)) => {
                prop_assert!(is_sound(&chunk));
                prop_assert_eq!(decode(Some(&key), Some(&value)), Ok(chunk));
            }
            Err(_) => prop_assert!(!is_sound(&chunk)),
        }
    }

    #[test]
    fn every_beginning_of_a_record_is_truncated(chunk in any_chunk(), place in any_place()) {
        let Ok((key, value)) = encode(&chunk, place) else {
            return Ok(());
        };
        for len in 0..key.len() {
            let cut = decode(Some(&key[..len]), Some(&value)).unwrap_err();
            prop_assert_eq!(cut.kind(), SkipKind::Truncated, "key of {}", len);
        }
        for len in 0..value.len() {
            let cut = decode(Some(&key), Some(&value[..len])).unwrap_err();
            prop_assert_eq!(cut.kind(), SkipKind::Truncated, "value of {}", len);
        }
    }

    #[test]
    fn no_bytes_make_it_panic_or_answer_an_unsound_chunk(
        key in prop::collection::vec(any::<u8>(), 0..60),
        noise in prop::collection::vec(any::<u8>(), 0..120),
        changes in prop::collection::vec((0..200_usize, any::<u8>()), 1..4),
    ) {
        let _ = decode(Some(&key), Some(&noise));
        let runs = [hex(VALUE_HEAD), noise].concat();
        let (mut key, mut changed) = (hex(KEY), value());
        for (at, byte) in changes {
            let (at_key, at_value) = (at % key.len(), at % changed.len());
            changed[at_value] = byte;
            if at >= 100 {
                key[at_key] = byte;
            }
        }
        for value in [runs, changed] {
            if let Ok(chunk) = decode(Some(&key), Some(&value)) {
                prop_assert!(is_sound(&chunk), "{chunk:?}");
            }
        }
    }
}
