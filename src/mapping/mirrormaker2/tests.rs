#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::replication_policy::NotCopied;
use crate::skip::{Flaw, SkipKind};

fn hex(text: &str) -> Vec<u8> {
    let bytes = (0..text.len()).step_by(2);
    bytes.map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn policy() -> ReplicationPolicy {
    ReplicationPolicy::default_policy("main", "dr", ".")
}

fn decode(key: &[u8], value: &[u8]) -> Result<OffsetSync, Skip> {
    SyncDecoder::new(policy()).decode(Some(key), Some(value))
}

fn key(topic: &str, partition: i32) -> Vec<u8> {
    let len = i16::try_from(topic.len()).unwrap();
    [&len.to_be_bytes(), topic.as_bytes(), &partition.to_be_bytes()].concat()
}

fn value(source: i64, target: i64) -> Vec<u8> {
    [source.to_be_bytes(), target.to_be_bytes()].concat()
}

fn sync(topic: &str, partition: i32, source: i64, target: i64) -> OffsetSync {
    OffsetSync {
        source: SourcePartition::new(topic, partition),
        target: TargetPartition::new(format!("main.{topic}").as_str(), partition),
        source_offset: SourceOffset(source),
        target_offset: TargetOffset(target),
    }
}

const KEY: &str = "00066f726465727300000003";
const VALUE: &str = "00000000000003e80000000000000384";

#[test]
fn the_vectors_of_kafkas_own_classes() {
    let orders = decode(&hex(KEY), &hex(VALUE));
    assert_eq!(orders, Ok(sync("orders", 3, 1000, 900)));
    let (key, value) = ("000cd0b7d0b0d0bad0b0d0b7d18b00000000", "7fffffffffffffff0000000000000000");
    let cyrillic = decode(&hex(key), &hex(value));
    assert_eq!(cyrillic, Ok(sync("заказы", 0, i64::MAX, 0)));
}

#[test]
fn every_shorter_record_is_truncated_and_a_longer_one_is_read_as_mirrormaker_does() {
    let (key, value) = (hex(KEY), hex(VALUE));
    let truncated = |found: Result<OffsetSync, Skip>| found.unwrap_err().kind();
    for len in 0..value.len() {
        let found = truncated(decode(&key, &value[..len]));
        assert_eq!(found, SkipKind::Truncated, "value of {len}");
    }
    for len in 0..key.len() {
        let found = truncated(decode(&key[..len], &value));
        assert_eq!(found, SkipKind::Truncated, "key of {len}");
    }
    let longer = |bytes: &[u8]| [bytes, &[0xff]].concat();
    let expected = Ok(sync("orders", 3, 1000, 900));
    assert_eq!(decode(&longer(&key), &longer(&value)), expected);
}

#[test]
fn nulls_and_impossible_fields_are_told_apart() {
    let (valid_key, valid_value) = (hex(KEY), hex(VALUE));
    let mut decoder = SyncDecoder::new(policy());
    let tombstone = decoder.decode(Some(&valid_key), None);
    assert_eq!(tombstone, Err(Skip::Tombstone));
    let no_key = decoder.decode(None, Some(&valid_value));
    let expected = Skip::Truncated { field: "topic", needed: 2, left: 0 };
    assert_eq!(no_key, Err(expected));
    let negative = |field| {
        let flaw = Flaw::Negative(-1);
        Err(Skip::Malformed { field, flaw })
    };
    let upstream = decode(&valid_key, &value(-1, 0));
    assert_eq!(upstream, negative("upstream offset"));
    let downstream = decode(&valid_key, &value(0, -1));
    assert_eq!(downstream, negative("downstream offset"));
    let partition = decode(&key("orders", -1), &valid_value);
    assert_eq!(partition, negative("partition"));
    let unnamed = decode(&key("", 0), &valid_value);
    let flaw = Flaw::Empty;
    assert_eq!(unnamed, Err(Skip::Malformed { field: "topic", flaw }));
}

#[test]
fn every_sync_of_a_topic_that_is_not_replicated_is_skipped_with_its_name() {
    let mut decoder = SyncDecoder::new(policy());
    let left_out = [
        ("heartbeats", NotCopied::Heartbeats),
        ("__consumer_offsets", NotCopied::Internal),
        ("dr.orders", NotCopied::Cycle),
    ];
    for _ in 0..2 {
        for (name, why) in left_out {
            let topic = TopicName::from(name);
            let found = decoder.decode(Some(&key(name, 0)), Some(&value(1, 1)));
            assert_eq!(found, Err(Skip::NotReplicated { topic, why }));
        }
    }
}

#[test]
fn what_is_remembered_is_bounded_in_number_and_in_length() {
    let mut decoder = SyncDecoder::remembering(policy(), 3);
    for partition in (0..10).chain(0..10) {
        let found = decoder.decode(Some(&key("orders", partition)), Some(&value(7, 5)));
        assert_eq!(found, Ok(sync("orders", partition, 7, 5)));
    }
    assert_eq!(decoder.known.len(), 3);
    assert_eq!(decoder.last_key, key("orders", 9), "the last one alone");
    let mut decoder = SyncDecoder::new(policy());
    let endless = "o".repeat(30_000);
    let found = decoder.decode(Some(&key(&endless, 0)), Some(&value(7, 5)));
    assert_eq!(found, Ok(sync(&endless, 0, 7, 5)));
    assert_eq!(decoder.known.len(), 0);
    let longest_topic = "o".repeat(249);
    let found = decoder.decode(Some(&key(&longest_topic, 0)), Some(&value(7, 5)));
    assert_eq!(found, Ok(sync(&longest_topic, 0, 7, 5)));
    assert_eq!(decoder.known.len(), 1);
}

#[test]
fn a_known_key_shares_its_names() {
    let mut decoder = SyncDecoder::new(policy());
    let mut names = BTreeSet::new();
    for partition in [0, 0, 1, 0, 1, 1] {
        let key = key("orders", partition);
        let found = decoder.decode(Some(&key), Some(&value(7, 5))).unwrap();
        names.insert((partition, found.source.topic.as_str().as_ptr() as usize));
        names.insert((partition, found.target.topic.as_str().as_ptr() as usize));
    }
    assert_eq!(names.len(), 4, "two names for each of two partitions");
}

/// Valid and invalid keys that often repeat.
fn any_key() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        (prop_oneof!["[ab]{0,2}", Just("heartbeats".to_owned())], 0..3)
            .prop_map(|(topic, partition)| key(&topic, partition)),
        (0..12_usize).prop_map(|len| hex(KEY)[..len].to_vec()),
        prop::collection::vec(any::<u8>(), 0..20),
    ]
}

proptest! {
    #[test]
    fn what_is_remembered_changes_no_answer(
        records in prop::collection::vec((any_key(), -1..9_i64, -1..9_i64, 0..18_usize), 0..60),
        most_keys in 0..6_usize,
    ) {
        let mut decoder = SyncDecoder::remembering(policy(), most_keys);
        for (key, source, target, len) in records {
            let mut value = value(source, target);
            value.resize(len, 0);
            let found = decoder.decode(Some(&key), Some(&value));
            prop_assert_eq!(found, decode(&key, &value));
        }
    }

    #[test]
    fn no_bytes_make_it_panic_or_answer_what_cannot_be(
        key in prop::collection::vec(any::<u8>(), 0..40),
        value in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        if let Ok(found) = decode(&key, &value) {
            prop_assert!(found.source.partition >= 0 && !found.source.topic.as_str().is_empty());
            prop_assert!(found.source_offset.get() >= 0 && found.target_offset.get() >= 0);
        }
    }
}
