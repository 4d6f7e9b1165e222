//! Reads the topics of both clusters: ids, partition counts and log ranges.

mod describing;
mod leaders;
mod log_offsets;

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

pub use self::describing::{First, describe_one, describe_one_by};
pub use self::log_offsets::log_ranges;

use self::describing::{Described, describe_all};
use self::log_offsets::LogOffsets;
use super::client::AdminClient;
use super::ffi::admin::{OffsetSpec, TopicDescription};
use crate::ports::TopicReader;
use sprag_core::event::{ControlTopics, FenceTopic, LogRange, MappingTopic, Topics};
use sprag_core::failure::Failure;
use sprag_core::ids::{
    ShardCount, SourceOffset, SourcePartition, TargetPartition, TopicId, TopicName,
};

/// The maximum number of topics or partitions in one request. librdkafka merges answers in quadratic time.
const CHUNK: usize = 1_000;

/// A partition of a topic.
type Place = (TopicName, i32);

/// The topics of both clusters.
pub struct KafkaTopics {
    source: Rc<AdminClient>,
    target: Rc<AdminClient>,
    mapping: Rc<AdminClient>,
    source_logs: LogOffsets,
    target_logs: LogOffsets,
    fence_topic: TopicName,
    mapping_topic: TopicName,
}

impl KafkaTopics {
    /// Topics of the clusters that `source` and `target` are connected to. `mapping` is the client of the
    /// cluster that holds the mapping topic.
    #[must_use]
    pub fn new(
        source: Rc<AdminClient>,
        target: Rc<AdminClient>,
        mapping: Rc<AdminClient>,
        fence_topic: TopicName,
        mapping_topic: TopicName,
    ) -> Self {
        let source_logs = LogOffsets::new(Rc::clone(&source));
        let target_logs = LogOffsets::new(Rc::clone(&target));
        Self { source, target, mapping, source_logs, target_logs, fence_topic, mapping_topic }
    }
}

impl TopicReader for KafkaTopics {
    async fn control(&self) -> Result<ControlTopics, Failure> {
        let (fence, mapping) = futures::join!(
            describe_one(&self.target, &self.fence_topic),
            describe_one(&self.mapping, &self.mapping_topic),
        );
        Ok(ControlTopics {
            fence: fence.map(fence_topic),
            mapping: mapping
                .map(|topic| MappingTopic { id: TopicId(topic.id), partitions: topic.partitions }),
        })
    }

    async fn topics(
        &self,
        source: &BTreeSet<TopicName>,
        target: &BTreeSet<TargetPartition>,
        source_ends: &BTreeSet<SourcePartition>,
    ) -> Result<Topics, Failure> {
        let (on_source, on_target) =
            futures::join!(self.on_source(source, source_ends), self.on_target(target));
        let ((source, source_ends), (target, ranges)) = (on_source?, on_target?);
        Ok(Topics { source, target, ranges, source_ends })
    }
}

type Ids = BTreeMap<TopicName, Result<TopicId, Failure>>;
type Ranges = BTreeMap<TargetPartition, Result<LogRange, Failure>>;
type SourceEnds = BTreeMap<SourcePartition, Result<SourceOffset, Failure>>;

impl KafkaTopics {
    async fn on_source(
        &self,
        topics: &BTreeSet<TopicName>,
        ends: &BTreeSet<SourcePartition>,
    ) -> Result<(Ids, SourceEnds), Failure> {
        let named: BTreeSet<_> =
            topics.iter().cloned().chain(ends.iter().map(|at| at.topic.clone())).collect();
        let described = describe_all(&self.source, &named).await?;
        let wanted: BTreeSet<Place> =
            ends.iter().map(|at| (at.topic.clone(), at.partition)).collect();
        let found = self.source_logs.read(&described, &wanted, OffsetSpec::Latest).await;
        let ends = found
            .into_iter()
            .map(|((topic, partition), end)| {
                (SourcePartition::new(topic.as_str(), partition), end.map(SourceOffset))
            })
            .collect();
        let mut ids = ids(described);
        ids.retain(|name, _| topics.contains(name));
        Ok((ids, ends))
    }

    async fn on_target(
        &self,
        partitions: &BTreeSet<TargetPartition>,
    ) -> Result<(Ids, Ranges), Failure> {
        let named = partitions.iter().map(|at| at.topic.clone()).collect();
        let described = describe_all(&self.target, &named).await?;
        let ranges = self.target_logs.ranges(&described, partitions).await;
        Ok((ids(described), ranges))
    }
}

/// Converts the description of the fence topic.
pub(super) fn fence_topic(described: TopicDescription) -> FenceTopic {
    let shards = ShardCount(described.partitions.unsigned_abs());
    FenceTopic { id: TopicId(described.id), shards }
}

fn ids(described: Described) -> Ids {
    described.into_iter().map(|(name, topic)| (name, topic.map(|it| TopicId(it.id)))).collect()
}
