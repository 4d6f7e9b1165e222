//! What the scenarios share: a pipeline's configuration, topics that are mapped record by record,
//! and groups that move.

use std::collections::BTreeMap;
use std::time::Duration;

use sprag::kafka::client::AdminClient;
use sprag::kafka::clock::ProcessClock;
use sprag::kafka::topics::describe_one;
use sprag_core::ids::{
    PublisherId, SourceOffset, SourcePartition, TargetOffset, TargetPartition, TopicId, TopicName,
};
use sprag_core::mapping::{Chunk, Run};
use sprag_mapping::native::{ChunkPlace, encode};

use crate::support::clients::block_on;
use crate::support::cluster::Cluster;
use crate::support::groups::Group;
use crate::support::records::{produce, produce_raw};
use crate::support::sprag::Sprag;
use crate::support::topics::{create_topic, create_topic_with};
use crate::support::watcher::OffsetsWatcher;

/// The mapping topic of the native format.
pub(crate) const MAPPINGS: &str = "__k2k_offset_mappings";

/// How long anything in a scenario may take. Brokers, daemons and the test share two cores.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// The configuration of a pipeline: quick defaults, and `overrides`, which are dotted keys with
/// their YAML values.
pub(crate) fn pipeline(
    source: &dyn Cluster,
    target: &dyn Cluster,
    overrides: &[(&str, &str)],
) -> String {
    let (source, target) = (source.bootstrap(), target.bootstrap());
    let mut keys = BTreeMap::from([
        ("name".to_owned(), "dr".to_owned()),
        ("source.kafka.common.bootstrap.servers".to_owned(), format!("\"{source}\"")),
        ("target.kafka.common.bootstrap.servers".to_owned(), format!("\"{target}\"")),
        ("groups.pollInterval".to_owned(), "300ms".to_owned()),
        ("groups.confirmAfter".to_owned(), "1s".to_owned()),
        ("coordination.shards".to_owned(), "4".to_owned()),
        ("coordination.sessionTimeout".to_owned(), "6s".to_owned()),
    ]);
    keys.extend(overrides.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
    keys.iter().map(|(key, value)| format!("{key}: {value}\n")).collect()
}

/// A source topic and its copy, with native mappings. Each record's target offset is its source
/// offset plus a shift.
pub(crate) struct Mapped {
    /// The source topic.
    pub(crate) source: String,
    /// Its copy.
    pub(crate) target: String,
    /// The difference between the target offset and the source offset of each record.
    pub(crate) shift: i64,
}

impl Mapped {
    /// Creates the mapping topic and both topics with one partition each, and publishes the
    /// mappings of `count` records.
    pub(crate) fn make(
        source: &dyn Cluster,
        target: &dyn Cluster,
        topic: &str,
        count: i64,
        shift: i64,
    ) -> Self {
        create_mapping_topic(target);
        Self::make_another(source, target, topic, count, shift)
    }

    /// Like [`Mapped::make`], for a mapping topic that already exists.
    pub(crate) fn make_another(
        source: &dyn Cluster,
        target: &dyn Cluster,
        topic: &str,
        count: i64,
        shift: i64,
    ) -> Self {
        let mapped = Self { source: topic.to_owned(), target: format!("dr.{topic}"), shift };
        create_topic(source, topic, 1);
        create_topic(target, &mapped.target, 1);
        produce(target, &mapped.target, 0, count + shift);
        mapped.publish(source, target, 0, count, 0);
        mapped
    }

    /// Publishes one chunk that maps `[from, from + count)`.
    pub(crate) fn publish(
        &self,
        source: &dyn Cluster,
        target: &dyn Cluster,
        from: i64,
        count: i64,
        sequence: i64,
    ) {
        let run = Run {
            source: SourceOffset(from),
            target: TargetOffset(from + self.shift),
            len: u64::try_from(count).expect("a number of records"),
        };
        let chunk = Chunk {
            source: SourcePartition::new(self.source.as_str(), 0),
            target: TargetPartition::new(self.target.as_str(), 0),
            source_topic_id: topic_id(source, &self.source),
            target_topic_id: topic_id(target, &self.target),
            publisher: PublisherId::from("test"),
            runs: vec![run],
        };
        publish(target, &chunk, sequence);
    }

    /// The target offset of a source offset.
    pub(crate) fn at(&self, source_offset: i64) -> i64 {
        source_offset + self.shift
    }
}

/// Creates the native mapping topic.
pub(crate) fn create_mapping_topic(target: &dyn Cluster) {
    create_topic_with(target, MAPPINGS, 1, &[("cleanup.policy", "compact")]);
}

/// Publishes a chunk.
pub(crate) fn publish(target: &dyn Cluster, chunk: &Chunk, sequence: i64) {
    let place = ChunkPlace { epoch: 1, sequence, newest_timestamp: 0 };
    let (key, value) = encode(chunk, place).expect("a chunk that can be written");
    produce_raw(target, MAPPINGS, 0, Some(&key), Some(&value));
}

/// A topic's id, as the adapter reads it.
pub(crate) fn topic_id(broker: &dyn Cluster, topic: &str) -> TopicId {
    let properties = BTreeMap::from([("bootstrap.servers".to_owned(), broker.bootstrap())]);
    let client = AdminClient::new(properties, "tested", ProcessClock::start());
    let name = TopicName::from(topic);
    let described = block_on(describe_one(&client, &name)).expect("a topic that exists");
    TopicId(described.id)
}

/// Waits until the watcher has seen `offset`, or a later one, committed for the group.
#[track_caller]
pub(crate) fn committed(watcher: &OffsetsWatcher, group: &str, topic: &str, offset: i64) {
    let what = format!("{group} to be committed at {offset} or later in {topic}-0");
    watcher.wait_until(PATIENCE, &what, |history| match history.latest(group, topic, 0) {
        Some(seen) if seen.offset >= offset => Ok(()),
        seen => Err(format!("{seen:?}")),
    });
}

/// Waits until the daemon logs that a shard is active, after line `mark` of its log.
#[track_caller]
pub(crate) fn active(sprag: &Sprag, mark: usize) {
    sprag.wait_for_after(mark, PATIENCE, "an active shard", |line| event(line) == "shard_active");
}

/// The `event` of a log line.
pub(crate) fn event(line: &crate::support::logged::LogLine) -> &str {
    line.field("event").and_then(serde_json::Value::as_str).unwrap_or("")
}

/// Commits the same source offset for all groups.
pub(crate) fn commit_all(groups: &[Group], topic: &str, offset: i64) {
    for group in groups {
        group.commit(topic, 0, offset, "");
    }
}

/// Handles of `count` groups on a broker.
pub(crate) fn groups(broker: &dyn Cluster, count: usize) -> Vec<(String, Group)> {
    (0..count)
        .map(|nth| {
            let name = format!("group-{nth:03}");
            let group = Group::of(broker, &name);
            (name, group)
        })
        .collect()
}
