//! The port that reads topics on both clusters.

use std::collections::{BTreeMap, BTreeSet};

use sprag::ports::TopicReader;
use sprag_core::event::{ControlTopics, FenceTopic, LogRange, MappingTopic, Topics};
use sprag_core::failure::{Failure, FailureClass};
use sprag_core::ids::{
    ShardCount, SourceOffset, SourcePartition, TargetOffset, TargetPartition, TopicId, TopicName,
};

use super::Wiring;
use super::classify::{Doing, failure};
use super::link::{Link, strange};
use crate::wire::{Isolation, Partition, Request, Response};

type Described = BTreeMap<TopicName, Result<(TopicId, i32), Failure>>;

/// Reads the topics of both clusters.
pub struct SimTopics {
    source: Link,
    target: Link,
    mapping: Link,
    fence_topic: TopicName,
    mapping_topic: TopicName,
}

impl SimTopics {
    pub(super) fn new(source: Link, target: Link, mapping: Link, wiring: &Wiring) -> Self {
        let (fence_topic, mapping_topic) =
            (wiring.fence_topic.clone(), wiring.mapping_topic.clone());
        Self { source, target, mapping, fence_topic, mapping_topic }
    }
}

impl TopicReader for SimTopics {
    async fn control(&self) -> Result<ControlTopics, Failure> {
        let (fence, mapping) = futures::join!(
            describe_one(&self.target, &self.fence_topic),
            describe_one(&self.mapping, &self.mapping_topic),
        );
        let fence = fence.map(|(id, partitions)| FenceTopic {
            id,
            shards: ShardCount(partitions.unsigned_abs()),
        });
        let mapping = mapping.map(|(id, partitions)| MappingTopic { id, partitions });
        Ok(ControlTopics { fence, mapping })
    }

    async fn topics(
        &self,
        source: &BTreeSet<TopicName>,
        target: &BTreeSet<TargetPartition>,
        source_ends: &BTreeSet<SourcePartition>,
    ) -> Result<Topics, Failure> {
        let target_topics = target.iter().map(|at| at.topic.clone()).collect();
        let target_at = target.iter().map(Partition::from).collect();
        let source_at = source_ends.iter().map(Partition::from).collect();
        let (sources, targets, ranges, ends) = futures::join!(
            describe(&self.source, source.clone()),
            describe(&self.target, target_topics),
            log_ranges(&self.target, target_at, Isolation::ReadUncommitted),
            log_ranges(&self.source, source_at, Isolation::ReadUncommitted),
        );
        let (ranges, ends) = (ranges?, ends?);
        Ok(Topics {
            source: ids(sources?),
            target: ids(targets?),
            ranges: ranges
                .into_iter()
                .map(|(at, range)| {
                    let range = range.map(|(start, end)| LogRange {
                        start: TargetOffset(start),
                        end: TargetOffset(end),
                    });
                    (TargetPartition { topic: at.topic, partition: at.partition }, range)
                })
                .collect(),
            source_ends: ends
                .into_iter()
                .map(|(at, range)| {
                    let end = range.map(|(_, end)| SourceOffset(end));
                    (SourcePartition { topic: at.topic, partition: at.partition }, end)
                })
                .collect(),
        })
    }
}

/// Log start and log end offsets. The answer has an entry for each partition that was asked for.
pub(super) async fn log_ranges(
    link: &Link,
    at: BTreeSet<Partition>,
    isolation: Isolation,
) -> Result<BTreeMap<Partition, Result<(i64, i64), Failure>>, Failure> {
    let what = "reading log offsets";
    let request = Request::ListOffsets { at: at.clone(), isolation };
    let answer = link.ask(request, Doing::Reading, what).await?;
    let Response::Offsets(mut listed) = answer else {
        return Err(strange(what, &answer));
    };
    let range = |at: Partition| {
        let range = match listed.remove(&at) {
            Some(range) => range.map_err(|error| failure(error, Doing::Reading, what)),
            None => {
                Err(Failure::new(FailureClass::Retry, format!("{what}: missing in the answer")))
            }
        };
        (at, range)
    };
    Ok(at.into_iter().map(range).collect())
}

fn ids(described: Described) -> BTreeMap<TopicName, Result<TopicId, Failure>> {
    described.into_iter().map(|(name, topic)| (name, topic.map(|(id, _)| id))).collect()
}

/// The id and the number of partitions of one topic.
pub(super) async fn describe_one(
    link: &Link,
    topic: &TopicName,
) -> Result<(TopicId, i32), Failure> {
    let described = describe(link, BTreeSet::from([topic.clone()])).await?;
    described.into_values().next().unwrap_or_else(|| {
        Err(Failure::new(FailureClass::Retry, format!("describing topic {topic}: no answer")))
    })
}

async fn describe(link: &Link, topics: BTreeSet<TopicName>) -> Result<Described, Failure> {
    let what = "describing topics";
    let answer = link.ask(Request::DescribeTopics { topics }, Doing::Reading, what).await?;
    let Response::Topics(described) = answer else {
        return Err(strange(what, &answer));
    };
    let refused = |error| failure(error, Doing::Reading, what);
    Ok(described.into_iter().map(|(name, topic)| (name, topic.map_err(refused))).collect())
}
