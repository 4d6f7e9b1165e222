//! The target brokers' limits on a commit: the length of its metadata, and its total size.

use sprag::failpoint::Point;
use sprag_core::ids::{PublisherId, SourceOffset, SourcePartition, TargetOffset, TargetPartition};
use sprag_core::mapping::{Chunk, Run};
use sprag_mapping::native::{ChunkPlace, encode};

use crate::scenario::{
    MAPPINGS, Mapped, PATIENCE, committed, create_mapping_topic, event, pipeline, topic_id,
};
use crate::support::alone::turn;
use crate::support::artifacts::Version;
use crate::support::broker::Broker;
use crate::support::bulk::{produce_pairs, produce_to_each};
use crate::support::coordinators::OFFSETS;
use crate::support::failpoints::Failpoints;
use crate::support::groups::Group;
use crate::support::history::History;
use crate::support::sprag::Sprag;
use crate::support::topics::{create_topic, create_topic_with};
use crate::support::watcher::OffsetsWatcher;

const GROUP: &str = "billing";

/// Lengths of metadata that, together with a stamp, exceed both limits, only the lower one, and
/// neither.
const LENGTHS: [usize; 3] = [250, 100, 5];

/// The broker property, and which of the lengths fit together with a stamp of 60 to 90 characters.
const LIMITS: [(&str, [bool; 3]); 2] =
    [("300", [false, true, true]), ("150", [false, false, true])];

fn limit(units: &str) -> [(&str, &str); 1] {
    [("offset.metadata.max.bytes", units)]
}

#[test]
fn metadata_that_is_too_long_for_the_broker_is_left_out_and_nothing_stops() {
    let _turn = turn();
    let source = Broker::start(Version::V4_3);
    let mut target = Broker::start_with(Version::V3_9, &limit(LIMITS[0].0));
    create_mapping_topic(&target);
    let topics = ["long", "middling", "short"]
        .map(|topic| Mapped::make_another(&source, &target, topic, 1000, 7));
    let watcher = OffsetsWatcher::start(&target);
    let sprag = Sprag::start(&pipeline(&source, &target, &[]));
    let mut position = 100;
    for (units, fit) in LIMITS {
        if position > 100 {
            target.restart_with(&limit(units));
        }
        position += 100;
        commit(&source, &topics, position);
        for ((mapped, length), fits) in topics.iter().zip(LENGTHS).zip(fit) {
            committed(&watcher, GROUP, &mapped.target, mapped.at(position));
            let own = if fits { Some("m".repeat(length)) } else { None };
            let stored = watcher.history().latest(GROUP, &mapped.target, 0).expect("a commit");
            assert!(stored.metadata.starts_with("k2k_v1:"), "{}", stored.metadata);
            let kept = stored.metadata.split_once('|').map(|(_, own)| own.to_owned());
            assert_eq!(kept, own, "{} at a limit of {units}", mapped.source);
        }
    }
    sprag.wait_for(PATIENCE, "the metadata that was left out", |line| {
        event(line) == "source_metadata_dropped"
    });

    // Below the stamp's own length, nothing can be committed, and the stored commits stay.
    let mark = sprag.mark();
    target.restart_with(&limit("40"));
    commit(&source, &topics, position + 100);
    let failed = sprag.wait_for_after(mark, PATIENCE, "the refusal", |line| {
        event(line) == "group_failed" && line.message().contains("offset.metadata.max.bytes")
    });
    assert!(failed.message().contains(GROUP), "{}", failed.text);
    watcher.catch_up();
    for mapped in &topics {
        let before = watcher.history().latest(GROUP, &mapped.target, 0).expect("a commit");
        assert_eq!(before.offset, mapped.at(position));
    }
    target.restart_with(&limit("4096"));
    for mapped in &topics {
        committed(&watcher, GROUP, &mapped.target, mapped.at(position + 100));
    }
    assert_eq!(watcher.decreases(), []);
}

/// Commits offsets with metadata of all lengths in one request.
fn commit(source: &Broker, topics: &[Mapped], position: i64) {
    let own = LENGTHS.map(|length| "m".repeat(length));
    let offsets: Vec<_> = topics
        .iter()
        .zip(&own)
        .map(|(mapped, own)| (mapped.source.as_str(), 0, position, own.as_str()))
        .collect();
    Group::of(source, GROUP).commit_all(&offsets);
}

const PARTITIONS: i32 = 40;
const RECORDS: i64 = 10;
/// Bytes of metadata per partition.
const OWN: usize = 3900;
/// The largest batch of offsets that the broker accepts, in bytes.
const BATCH: &str = "32768";
/// The most partitions that fit into one batch.
const FIT: usize = 8;
const TARGET: &str = "dr.orders";

#[test]
fn a_commit_that_is_too_large_for_the_broker_arrives_in_parts_each_of_them_verified() {
    let _turn = turn();
    for version in [Version::V4_3, Version::V3_9] {
        let (source, target) = Broker::start_pair(Version::V4_3, version);
        create_topic_with(
            &target,
            OFFSETS,
            5,
            &[("cleanup.policy", "compact"), ("max.message.bytes", BATCH)],
        );
        many_partitions(&source, &target);
        let own = "m".repeat(OWN);
        let offsets: Vec<_> = (0..PARTITIONS).map(|at| ("orders", at, 5, own.as_str())).collect();
        Group::of(&source, GROUP).commit_all(&offsets);
        let watcher = OffsetsWatcher::start(&target);
        let points = Failpoints::listen();
        points.hold(Point::HalfWritten, GROUP);
        let (name, address) = points.variable();
        let sprag = Sprag::start_with(&pipeline(&source, &target, &[]), &[(name, &address)]);

        // While the second part is written, another client commits a partition of the last part.
        let first = points.wait_until_held(Point::HalfWritten, GROUP);
        points.hold(Point::HalfWritten, GROUP);
        first.release();
        let second = points.wait_until_held(Point::HalfWritten, GROUP);
        let visible = watcher.wait_until(PATIENCE, "the first part", |history| {
            Some(arrived(history)).filter(|arrived| !arrived.is_empty())
        });
        assert!(visible.len() <= FIT, "{version:?}: {visible:?}");
        let last = PARTITIONS - 1;
        Group::of(&target, GROUP).commit(TARGET, last, 3, "theirs");
        second.release();

        sprag.wait_for(PATIENCE, "a part that is aborted", |line| event(line) == "overtaken");
        watcher.catch_up();
        let theirs = watcher.history().latest(GROUP, TARGET, last).expect("a commit");
        assert_eq!((theirs.offset, theirs.metadata.as_str()), (3, "theirs"), "{version:?}");
        assert_eq!(arrived(&watcher.history()).len(), visible.len() + 1, "{version:?}");

        // Once the group is handed back to Sprag, all of it arrives.
        Group::of(&target, GROUP).delete();
        let mark = points.times_reached(Point::HalfWritten, GROUP);
        watcher.wait_until(PATIENCE, "all partitions", |history| match arrived(history) {
            arrived if arrived.len() == PARTITIONS.unsigned_abs() as usize => Ok(()),
            arrived => Err(format!("{arrived:?}")),
        });
        watcher.catch_up();
        let history = watcher.history();
        for at in 0..PARTITIONS {
            let found = history.latest(GROUP, TARGET, at).expect("a commit");
            assert_eq!(found.offset, 5);
            assert!(found.metadata.ends_with(&format!("|{own}")), "{version:?}: partition {at}");
        }
        let parts = points.times_reached(Point::HalfWritten, GROUP) - mark;
        assert!(parts >= PARTITIONS.unsigned_abs() as usize / FIT, "{version:?}: {parts} parts");
    }
}

/// The partitions that have an offset.
fn arrived(history: &History) -> Vec<i32> {
    (0..PARTITIONS).filter(|at| history.latest(GROUP, TARGET, *at).is_some()).collect()
}

/// A topic of many partitions whose records have the same offsets on both sides.
fn many_partitions(source: &Broker, target: &Broker) {
    create_topic(source, "orders", PARTITIONS);
    create_topic(target, TARGET, PARTITIONS);
    produce_to_each(target, TARGET, PARTITIONS, RECORDS);
    create_mapping_topic(target);
    let (source_id, target_id) = (topic_id(source, "orders"), topic_id(target, TARGET));
    let chunks = (0..PARTITIONS).map(|partition| {
        let run =
            Run { source: SourceOffset(0), target: TargetOffset(0), len: RECORDS.unsigned_abs() };
        let chunk = Chunk {
            source: SourcePartition::new("orders", partition),
            target: TargetPartition::new(TARGET, partition),
            source_topic_id: source_id,
            target_topic_id: target_id,
            publisher: PublisherId::from("test"),
            runs: vec![run],
        };
        let place = ChunkPlace { epoch: 1, sequence: 0, newest_timestamp: 0 };
        encode(&chunk, place).expect("a chunk that can be written")
    });
    produce_pairs(target, MAPPINGS, 0, chunks);
}
