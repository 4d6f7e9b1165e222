//! Topics on both clusters: ids, partition counts, log ranges.

mod leaders;

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use futures::future::{Either, select};

use super::client::{AdminClient, REQUEST_TIMEOUT};
use super::errors::Doing;
use super::ffi::NativeError;
use super::ffi::admin::{Isolation, OffsetSpec, TopicDescription};
use crate::core::event::{ControlTopics, FenceTopic, LogRange, MappingTopic, Topics};
use crate::core::failure::{Failure, FailureClass};
use crate::core::ids::{
    ShardCount, SourceOffset, SourcePartition, TargetOffset, TargetPartition, TopicId, TopicName,
};
use crate::ports::TopicReader;

/// How many topics or partitions one request names, at most: librdkafka merges answers in quadratic
/// time.
const CHUNK: usize = 1_000;
/// How long one client is waited for before another is asked as well.
const SOON: Duration = Duration::from_millis(1500);

/// A partition of a topic.
type Place = (TopicName, i32);
type Offsets = BTreeMap<Place, Result<i64, Failure>>;
type Described = BTreeMap<TopicName, Result<TopicDescription, Failure>>;

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
        let found = by_leader(&self.source, &described, &wanted, OffsetSpec::Latest).await;
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
        let ranges = ranges(&self.target, &described, partitions).await;
        Ok((ids(described), ranges))
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
) -> Result<Ranges, Failure> {
    let parts: Vec<_> = partitions.iter().map(|at| (at.topic.as_str(), at.partition)).collect();
    let (starts, ends) = futures::join!(
        log_offsets(client, &parts, OffsetSpec::Earliest),
        log_offsets(client, &parts, OffsetSpec::Latest),
    );
    let typed = |found: BTreeMap<(String, i32), Result<i64, Failure>>| {
        let found = found.into_iter();
        found.map(|((topic, at), it)| ((TopicName::from(topic.as_str()), at), it)).collect()
    };
    Ok(joined(typed(starts?), typed(ends?), partitions))
}

async fn ranges(
    client: &AdminClient,
    described: &Described,
    partitions: &BTreeSet<TargetPartition>,
) -> Ranges {
    let wanted: BTreeSet<Place> =
        partitions.iter().map(|at| (at.topic.clone(), at.partition)).collect();
    let (starts, ends) = futures::join!(
        by_leader(client, described, &wanted, OffsetSpec::Earliest),
        by_leader(client, described, &wanted, OffsetSpec::Latest),
    );
    joined(starts, ends, partitions)
}

fn joined(
    mut starts: Offsets,
    mut ends: Offsets,
    partitions: &BTreeSet<TargetPartition>,
) -> Ranges {
    let mut range = |at: &TargetPartition| {
        let key = (at.topic.clone(), at.partition);
        let start = starts.remove(&key).unwrap_or_else(|| Err(left_out(at)))?;
        let end = ends.remove(&key).unwrap_or_else(|| Err(left_out(at)))?;
        Ok(LogRange { start: TargetOffset(start), end: TargetOffset(end) })
    };
    partitions.iter().map(|at| (at.clone(), range(at))).collect()
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

fn ids(described: Described) -> Ids {
    described.into_iter().map(|(name, topic)| (name, topic.map(|it| TopicId(it.id)))).collect()
}

async fn describe_all(
    client: &AdminClient,
    topics: &BTreeSet<TopicName>,
) -> Result<Described, Failure> {
    let topics: Vec<_> = topics.iter().map(TopicName::as_str).collect();
    let mut all = Described::new();
    for chunk in topics.chunks(CHUNK) {
        all.extend(describe(client, chunk.iter().copied(), "describing topics").await?);
    }
    Ok(all)
}

/// Log starts or ends, asked of each leader apart, so that a leader that does not answer costs its
/// own partitions alone. Each partition that is wanted is in the answer.
async fn by_leader(
    client: &AdminClient,
    described: &Described,
    wanted: &BTreeSet<Place>,
    spec: OffsetSpec,
) -> Offsets {
    let (leaders, mut answer) = leaders::share_out(described, wanted);
    let requests =
        leaders.values().flat_map(|places| places.chunks(CHUNK)).map(async |places: &[Place]| {
            let parts: Vec<_> = places.iter().map(|(topic, at)| (topic.as_str(), *at)).collect();
            (places, log_offsets(client, &parts, spec).await)
        });
    for (places, outcome) in futures::future::join_all(requests).await {
        match outcome {
            Ok(found) => answer.extend(
                found
                    .into_iter()
                    .map(|((topic, at), it)| ((TopicName::from(topic.as_str()), at), it)),
            ),
            Err(failure) => {
                answer.extend(places.iter().map(|place| (place.clone(), Err(failure.clone()))));
            }
        }
    }
    answer
}

async fn describe(
    client: &AdminClient,
    topics: impl Iterator<Item = &str>,
    what: &str,
) -> Result<Described, Failure> {
    let topics: Vec<&str> = topics.collect();
    let described = describe_by_any(client, &topics)
        .await?
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

type DescribedBy = Result<Vec<(String, Result<TopicDescription, NativeError>)>, NativeError>;

/// librdkafka asks the broker that it takes for the controller, and no other. Where that one does not
/// answer soon, another client is asked as well, whose view of the cluster is newer.
async fn describe_by_any(client: &AdminClient, topics: &[&str]) -> Result<DescribedBy, Failure> {
    let admin = client.present()?;
    let first = admin.describe_topics(topics.iter().copied(), REQUEST_TIMEOUT);
    let first = match select(Box::pin(first), Box::pin(client.pause(SOON))).await {
        Either::Left((described, _)) => return Ok(described),
        Either::Right(((), first)) => first,
    };
    client.look_up_again();
    let other = client.present()?;
    let second = Box::pin(other.describe_topics(topics.iter().copied(), REQUEST_TIMEOUT));
    match select(first, second).await {
        Either::Left((Ok(described), _)) | Either::Right((Ok(described), _)) => Ok(Ok(described)),
        Either::Left((Err(_), second)) => Ok(second.await),
        Either::Right((Err(_), first)) => Ok(first.await),
    }
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
