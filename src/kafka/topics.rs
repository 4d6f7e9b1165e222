//! Topics on both clusters: ids, partition counts, log ranges.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::client::{AdminClient, REQUEST_TIMEOUT};
use super::errors::Doing;
use super::ffi::admin::{Isolation, OffsetSpec, TopicDescription};
use crate::core::event::{ControlTopics, FenceTopic, LogRange, MappingTopic, Topics};
use crate::core::failure::{Failure, FailureClass};
use crate::core::ids::{
    ShardCount, SourceOffset, SourcePartition, TargetOffset, TargetPartition, TopicId, TopicName,
};
use crate::ports::TopicReader;

/// Reads topics of both clusters.
pub struct KafkaTopics {
    source: Rc<AdminClient>,
    target: Rc<AdminClient>,
    mapping: Rc<AdminClient>,
    fence_topic: TopicName,
    mapping_topic: TopicName,
}

impl KafkaTopics {
    /// `mapping` is the client of the cluster that holds the mapping topic.
    #[must_use]
    pub fn new(
        source: Rc<AdminClient>,
        target: Rc<AdminClient>,
        mapping: Rc<AdminClient>,
        fence_topic: TopicName,
        mapping_topic: TopicName,
    ) -> Self {
        Self { source, target, mapping, fence_topic, mapping_topic }
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
        let target_topics: BTreeSet<_> = target.iter().map(|at| at.topic.clone()).collect();
        let ends: Vec<_> = source_ends.iter().map(|at| (at.topic.as_str(), at.partition)).collect();
        let (source_ids, target_ids, ranges, source_ends) = futures::join!(
            ids(&self.source, source),
            ids(&self.target, &target_topics),
            log_ranges(&self.target, target),
            log_offsets(&self.source, &ends, OffsetSpec::Latest),
        );
        Ok(Topics {
            source: source_ids?,
            target: target_ids?,
            ranges: ranges?,
            source_ends: source_ends?
                .into_iter()
                .map(|((topic, partition), end)| {
                    (SourcePartition::new(topic.as_str(), partition), end.map(SourceOffset))
                })
                .collect(),
        })
    }
}

/// The log ranges of partitions; each that was asked for is in the answer.
///
/// # Errors
///
/// The request's failure.
pub async fn log_ranges(
    client: &AdminClient,
    partitions: &BTreeSet<TargetPartition>,
) -> Result<BTreeMap<TargetPartition, Result<LogRange, Failure>>, Failure> {
    let parts: Vec<_> = partitions.iter().map(|at| (at.topic.as_str(), at.partition)).collect();
    let (starts, ends) = futures::join!(
        log_offsets(client, &parts, OffsetSpec::Earliest),
        log_offsets(client, &parts, OffsetSpec::Latest),
    );
    let (mut starts, mut ends) = (starts?, ends?);
    let mut range = |at: &TargetPartition| {
        let key = (at.topic.to_string(), at.partition);
        let start = starts.remove(&key).unwrap_or_else(|| Err(left_out(at)))?;
        let end = ends.remove(&key).unwrap_or_else(|| Err(left_out(at)))?;
        Ok(LogRange { start: TargetOffset(start), end: TargetOffset(end) })
    };
    Ok(partitions.iter().map(|at| (at.clone(), range(at))).collect())
}

/// The fence topic, as it was described.
pub(super) fn fence_topic(described: TopicDescription) -> FenceTopic {
    let shards = ShardCount(described.partitions.unsigned_abs());
    FenceTopic { id: TopicId(described.id), shards }
}

/// Describes one topic.
///
/// # Errors
///
/// [`FailureClass::Missing`] where the broker says that there is none.
pub async fn describe_one(
    client: &AdminClient,
    topic: &TopicName,
) -> Result<TopicDescription, Failure> {
    let what = format!("describing topic {topic}");
    let described = describe(client, [topic.as_str()].into_iter(), &what).await?;
    described
        .into_values()
        .next()
        .unwrap_or_else(|| Err(Failure::new(FailureClass::Retry, format!("{what}: no answer"))))
}

async fn ids(
    client: &AdminClient,
    topics: &BTreeSet<TopicName>,
) -> Result<BTreeMap<TopicName, Result<TopicId, Failure>>, Failure> {
    let names = topics.iter().map(TopicName::as_str);
    let described = describe(client, names, "describing topics").await?;
    Ok(described
        .into_iter()
        .map(|(name, topic)| (name, topic.map(|topic| TopicId(topic.id))))
        .collect())
}

async fn describe(
    client: &AdminClient,
    topics: impl Iterator<Item = &str>,
    what: &str,
) -> Result<BTreeMap<TopicName, Result<TopicDescription, Failure>>, Failure> {
    let admin = client.present()?;
    let described = admin
        .describe_topics(topics, REQUEST_TIMEOUT)
        .await
        .map_err(|error| client.failed(&error, Doing::Reading, what))?;
    Ok(described
        .into_iter()
        .map(|(name, topic)| {
            let what = format!("describing topic {name}");
            let topic = topic.map_err(|error| client.failed(&error, Doing::Reading, &what));
            (TopicName::from(name.as_str()), topic)
        })
        .collect())
}

async fn log_offsets(
    client: &AdminClient,
    partitions: &[(&str, i32)],
    spec: OffsetSpec,
) -> Result<BTreeMap<(String, i32), Result<i64, Failure>>, Failure> {
    let what = "reading log offsets";
    let admin = client.present()?;
    let wanted = partitions.iter().copied();
    let listed = admin
        .list_offsets(wanted, spec, Isolation::ReadUncommitted, REQUEST_TIMEOUT)
        .await
        .map_err(|error| client.failed(&error, Doing::Reading, what))?;
    Ok(listed
        .into_iter()
        .map(|part| {
            let what = format!("{what} of {}-{}", part.topic, part.partition);
            let offset = match part.outcome {
                Ok(Some((offset, _))) => Ok(offset),
                Ok(None) => Err(Failure::new(FailureClass::Retry, format!("{what}: no offset"))),
                Err(error) => Err(client.failed(&error, Doing::Reading, &what)),
            };
            ((part.topic, part.partition), offset)
        })
        .collect())
}

fn left_out(at: &TargetPartition) -> Failure {
    Failure::new(FailureClass::Retry, format!("the target's answer leaves {at} out"))
}
