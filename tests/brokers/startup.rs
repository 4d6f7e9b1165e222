//! An instance that is killed again and again while it reads the mappings never decides from a part
//! of them.

use std::time::{Duration, Instant};

use sprag_core::ids::{PublisherId, SourceOffset, SourcePartition, TargetOffset, TargetPartition};
use sprag_core::mapping::{Chunk, Run};

use crate::scenario::{MAPPINGS, Mapped, PATIENCE, committed, event, pipeline, topic_id};
use crate::support::alone::turn;
use crate::support::artifacts::Version;
use crate::support::broker::Broker;
use crate::support::bulk::produce_pairs;
use crate::support::groups::Group;
use crate::support::rounds;
use crate::support::sprag::Sprag;
use crate::support::wait::pass;
use crate::support::watcher::OffsetsWatcher;
use sprag_mapping::native::{ChunkPlace, encode};

#[test]
fn nothing_is_written_before_all_mappings_are_read() {
    let _turn = turn();
    let (source, target) = Broker::start_pair(Version::V3_9, Version::V4_3);
    let mapped = Mapped::make(&source, &target, "orders", 1000, 7);
    let records = i64::try_from(rounds(200_000, 1_000_000)).expect("a number of records");
    fill_mappings(&source, &target, &mapped, records);
    let watcher = OffsetsWatcher::start(&target);
    let group = Group::of(&source, "billing");
    group.commit(&mapped.source, 0, 900, "");
    let config = pipeline(&source, &target, &[("coordination.shards", "1")]);
    let first = Sprag::start(&config);
    let start_up = start_up_time(&first);
    committed(&watcher, "billing", &mapped.target, mapped.at(900));
    drop(first);
    // The source moves on. An instance that decided from half of the mappings would be behind.
    group.commit(&mapped.source, 0, 950, "");
    let kills = rounds(4, 20);
    let mut early = 0;
    for kill in 0..kills {
        let mut sprag = Sprag::start(&config);
        sprag.wait_for(PATIENCE, "the mapping read", |line| event(line) == "reading_mappings");
        match kill % 4 {
            0 | 1 => pass(start_up.mul_f64(spread(kill))),
            2 => {
                sprag.wait_for(PATIENCE, "a take-over", |line| event(line) == "fence_acquired");
            }
            _ => {
                sprag.wait_for(PATIENCE, "an active shard", |line| event(line) == "shard_active");
            }
        }
        sprag.kill();
        let log = sprag.log();
        let at = |name: &str| log.iter().position(|line| event(line) == name);
        if at("shard_active").is_none() {
            early += 1;
            assert_eq!(at("committed"), None, "committed before it caught up");
        }
    }
    assert!(early * 2 >= kills, "only {early} of {kills} were killed before they caught up");
    let last = Sprag::start(&config);
    committed(&watcher, "billing", &mapped.target, mapped.at(950));
    assert_eq!(watcher.decreases(), []);
    drop(last);
    eprintln!("half-read start-up: {early} of {kills} kills before it caught up; 0 decreases");
}

/// The time from the start of the mapping read to an active shard, with no other instance to wait
/// for.
fn start_up_time(sprag: &Sprag) -> Duration {
    sprag.wait_for(PATIENCE, "the mapping read", |line| event(line) == "reading_mappings");
    let from = Instant::now();
    sprag.wait_for(PATIENCE, "an active shard", |line| event(line) == "shard_active");
    from.elapsed()
}

/// A fraction between 0 and 1 for each `nth`. They are spread evenly: multiples of the golden
/// ratio.
fn spread(nth: usize) -> f64 {
    (nth as f64 * 0.618_033_988_75).fract()
}

/// Publishes many mapping records of another topic, which must be read before anything is decided.
fn fill_mappings(source: &Broker, target: &Broker, mapped: &Mapped, records: i64) {
    let ids = (topic_id(source, &mapped.source), topic_id(target, &mapped.target));
    let chunk = |topic: &str, from: i64| Chunk {
        source: SourcePartition::new(topic, 0),
        target: TargetPartition::new(format!("dr.{topic}").as_str(), 0),
        source_topic_id: ids.0,
        target_topic_id: ids.1,
        publisher: PublisherId::from("test"),
        runs: vec![Run { source: SourceOffset(from), target: TargetOffset(from + 7), len: 1 }],
    };
    let others = (0..records).map(|nth| {
        let chunk = chunk("others", nth * 2);
        let place = ChunkPlace { epoch: 1, sequence: nth, newest_timestamp: 0 };
        encode(&chunk, place).expect("a chunk that can be written")
    });
    produce_pairs(target, MAPPINGS, 0, others);
}
