//! Consumers resume on the target at the offsets that Sprag committed, and miss nothing.

use std::collections::BTreeMap;

use sprag_core::ids::{PublisherId, SourceOffset, SourcePartition, TargetOffset, TargetPartition};
use sprag_core::mapping::{Chunk, Run};

use crate::scenario::{
    PATIENCE, active, create_mapping_topic, groups, pipeline, publish, topic_id,
};
use crate::support::alone::turn;
use crate::support::artifacts::Version;
use crate::support::broker::Broker;
use crate::support::bulk::produce_values;
use crate::support::groups::Group;
use crate::support::mirrormaker::{MirrorMaker, MirrorOptions, replicated};
use crate::support::records::{Record, produce, produce_raw, read};
use crate::support::rounds;
use crate::support::sprag::Sprag;
use crate::support::topics::{create_topic, log_range, wait_for_topic};
use crate::support::wait::eventually;

const TOPICS: [&str; 3] = ["orders-a", "orders-b", "orders-c"];
const PARTITIONS: i32 = 4;
const GROUPS: usize = 20;

/// Source positions by (group, topic, partition).
type Positions = BTreeMap<(String, String, i32), i64>;

#[test]
fn a_mirrormaker_flow_is_resumed_without_a_gap() {
    let _turn = turn();
    let (source, target) = Broker::start_pair(Version::V3_9, Version::V4_3);
    let count = records_per_partition();
    fill(&source, count);
    let positions = commit_at_different_lags(&source, count);
    let options = MirrorOptions { topics: "orders.*".to_owned(), ..MirrorOptions::default() };
    let _mirror = MirrorMaker::start(&source, &target, &options);
    let sprag = Sprag::start(&pipeline(
        &source,
        &target,
        &[
            ("offsetMapping.format", "mirrorMaker2"),
            ("offsetMapping.mirrorMaker2.sourceAlias", "main"),
            ("offsetMapping.mirrorMaker2.targetAlias", "dr"),
            // MirrorMaker does not always publish the first record of a partition.
            ("groups.onBelowFirstMapping", "logStart"),
        ],
    ));
    for topic in TOPICS {
        wait_for_topic(&target, &replicated(topic), PARTITIONS);
        for partition in 0..PARTITIONS {
            eventually(PATIENCE, "all records replicated", || {
                match log_range(&target, &replicated(topic), partition).end {
                    end if end >= count => Ok(()),
                    end => Err(format!("{topic}-{partition}: {end} of {count}")),
                }
            });
        }
    }
    active(&sprag, 0);
    let re_read = resumed_without_a_gap(&target, &positions, replicated);
    print_re_read("MirrorMaker 2 flow", &re_read, count);
}

#[test]
fn dense_mappings_re_read_nothing() {
    let _turn = turn();
    let (source, target) = Broker::start_pair(Version::V4_3, Version::V3_9);
    let count = records_per_partition() / 5;
    fill(&source, count);
    let positions = commit_at_different_lags(&source, count);
    create_mapping_topic(&target);
    for topic in TOPICS {
        let copy = dense(topic);
        create_topic(&target, &copy, PARTITIONS);
        for partition in 0..PARTITIONS {
            copy_densely(&source, &target, topic, partition);
        }
    }
    let sprag = Sprag::start(&pipeline(&source, &target, &[]));
    active(&sprag, 0);
    let re_read = resumed_without_a_gap(&target, &positions, dense);
    print_re_read("dense mappings", &re_read, count);
    assert!(re_read.values().all(|records| *records == 0), "{re_read:#?}");
}

fn records_per_partition() -> i64 {
    let all = rounds(120_000, 300_000);
    i64::try_from(all / (TOPICS.len() * 4)).expect("a number of records")
}

fn fill(source: &Broker, count: i64) {
    for topic in TOPICS {
        create_topic(source, topic, PARTITIONS);
        for partition in 0..PARTITIONS {
            produce(source, topic, partition, count);
        }
    }
}

/// Group n is n/20 of the log behind the end. Higher partitions are up to three records further
/// behind.
fn commit_at_different_lags(source: &Broker, count: i64) -> Positions {
    let mut positions = Positions::new();
    for (nth, (name, group)) in groups(source, GROUPS).into_iter().enumerate() {
        let lag = count * i64::try_from(nth).expect("a group's number") / 20;
        let mut offsets = Vec::new();
        for topic in TOPICS {
            for partition in 0..PARTITIONS {
                let position = count - lag - i64::from(partition).min(count - lag);
                offsets.push((topic, partition, position, "own metadata"));
                positions.insert((name.clone(), topic.to_owned(), partition), position);
            }
        }
        group.commit_all(&offsets);
    }
    positions
}

/// Waits until all groups are committed on the target. Checks that no record at or after the source
/// position is below the committed offset. Returns how many records before the source position
/// would be read again, by (group, topic, partition).
fn resumed_without_a_gap(
    target: &Broker,
    positions: &Positions,
    renamed: impl Fn(&str) -> String,
) -> BTreeMap<(String, String, i32), usize> {
    let copies: BTreeMap<(String, i32), Vec<Record>> = TOPICS
        .iter()
        .flat_map(|topic| (0..PARTITIONS).map(move |partition| (*topic, partition)))
        .map(|(topic, partition)| {
            ((topic.to_owned(), partition), read(target, &renamed(topic), partition, 0))
        })
        .collect();
    let mut re_read = BTreeMap::new();
    for ((name, topic, partition), position) in positions {
        let group = Group::of(target, name);
        let copy = renamed(topic);
        let what = format!("{name} to be committed in {copy}-{partition}");
        let stored = eventually(PATIENCE, &what, || group.committed(&copy, *partition));
        assert!(stored.metadata.starts_with("k2k_v1:"), "{stored:?}");
        assert!(stored.metadata.ends_with("|own metadata"), "{stored:?}");
        let records = &copies[&(topic.clone(), *partition)];
        let missed = records
            .iter()
            .find(|record| record.offset < stored.offset && record.source_offset() >= *position);
        assert_eq!(
            missed, None,
            "{name} would miss this record: its source position is {position}, it resumes at {stored:?}"
        );
        let again = records.iter().filter(|record| {
            record.offset >= stored.offset && (0..*position).contains(&record.source_offset())
        });
        re_read.insert((name.clone(), topic.clone(), *partition), again.count());
    }
    re_read
}

fn print_re_read(what: &str, re_read: &BTreeMap<(String, String, i32), usize>, count: i64) {
    let total: usize = re_read.values().sum();
    let most = re_read.values().max().copied().unwrap_or(0);
    let exact = re_read.values().filter(|records| **records == 0).count();
    eprintln!(
        "{what}: {} positions in partitions of {count} records: {exact} exact, re-read {} on \
         average and {most} at most",
        re_read.len(),
        total / re_read.len().max(1),
    );
}

fn dense(topic: &str) -> String {
    format!("copy.{topic}")
}

/// Copies a partition with a gap every 1,000 records (a record that is not a copy), and publishes
/// one run per stretch, in chunks of 10 runs.
fn copy_densely(source: &Broker, target: &Broker, topic: &str, partition: i32) {
    let copy = dense(topic);
    let mut runs: Vec<Run> = Vec::new();
    let records = read(source, topic, partition, 0);
    for stretch in records.chunks(1000) {
        produce_raw(target, &copy, partition, None, Some(b"-1"));
        let first = log_range(target, &copy, partition).end;
        produce_values(target, &copy, partition, stretch.iter().map(Record::source_offset));
        runs.push(Run {
            source: SourceOffset(stretch[0].offset),
            target: TargetOffset(first),
            len: stretch.len() as u64,
        });
    }
    for (sequence, runs) in (0..).zip(runs.chunks(10)) {
        let chunk = Chunk {
            source: SourcePartition::new(topic, partition),
            target: TargetPartition::new(copy.as_str(), partition),
            source_topic_id: topic_id(source, topic),
            target_topic_id: topic_id(target, &copy),
            publisher: PublisherId::from("test"),
            runs: runs.to_vec(),
        };
        publish(target, &chunk, sequence);
    }
}
