//! Topics: create, delete, truncate, and the range of a partition's log.

use super::DEADLINE;
use super::clients::{admin, config};
use super::cluster::Cluster;
use super::wait::eventually;
use rdkafka::admin::{NewPartitions, NewTopic, TopicReplication};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Offset, TopicPartitionList};
use std::ops::Range;
use std::time::Duration;

/// Creates a topic and waits until each of its partitions has a leader.
#[track_caller]
pub(crate) fn create_topic(broker: &dyn Cluster, topic: &str, partitions: i32) {
    create_topic_with(broker, topic, partitions, &[]);
}

/// [`create_topic`] with topic configurations, such as `("cleanup.policy", "compact")`.
#[track_caller]
pub(crate) fn create_topic_with(
    broker: &dyn Cluster,
    topic: &str,
    partitions: i32,
    configurations: &[(&str, &str)],
) {
    let new = NewTopic {
        name: topic,
        num_partitions: partitions,
        replication: TopicReplication::Fixed(1),
        config: configurations.to_vec(),
    };
    admin(&broker.bootstrap(), &format!("create topic {topic}"), async |client, options| {
        Ok(with_names(client.create_topics([&new], options).await?))
    });
    wait_for_topic(broker, topic, partitions);
}

/// Creates a topic with one partition for each list of replicas, the preferred leader first. Waits
/// until each partition has a leader.
#[track_caller]
pub(crate) fn create_topic_on(
    cluster: &dyn Cluster,
    topic: &str,
    replicas: &[&[i32]],
    configurations: &[(&str, &str)],
) {
    let partitions = i32::try_from(replicas.len()).expect("a number of partitions");
    let new = NewTopic {
        name: topic,
        num_partitions: partitions,
        replication: TopicReplication::Variable(replicas),
        config: configurations.to_vec(),
    };
    admin(&cluster.bootstrap(), &format!("create topic {topic}"), async |client, options| {
        Ok(with_names(client.create_topics([&new], options).await?))
    });
    wait_for_topic(cluster, topic, partitions);
}

/// Raises a topic's number of partitions to `partitions`.
#[track_caller]
pub(crate) fn add_partitions(broker: &dyn Cluster, topic: &str, partitions: i32) {
    let count = usize::try_from(partitions).expect("a number of partitions");
    let new = NewPartitions::new(topic, count);
    admin(&broker.bootstrap(), &format!("add partitions to {topic}"), async |client, options| {
        Ok(with_names(client.create_partitions([&new], options).await?))
    });
    wait_for_topic(broker, topic, partitions);
}

/// Deletes a topic and waits until the broker no longer knows it.
#[track_caller]
pub(crate) fn delete_topic(broker: &dyn Cluster, topic: &str) {
    admin(&broker.bootstrap(), &format!("delete topic {topic}"), async |client, options| {
        Ok(with_names(client.delete_topics(&[topic], options).await?))
    });
    let client: BaseConsumer = config(&broker.bootstrap()).create().expect("a client");
    eventually(DEADLINE, &format!("topic {topic} to be gone"), || {
        match partitions_of(&client, topic)? {
            None => Ok(()),
            Some(count) => Err(format!("{count} partitions")),
        }
    });
}

/// Waits until a topic has exactly this many partitions, each with a leader. For topics that
/// something else creates, such as MirrorMaker.
#[track_caller]
pub(crate) fn wait_for_topic(broker: &dyn Cluster, topic: &str, partitions: i32) {
    let client: BaseConsumer = config(&broker.bootstrap()).create().expect("a client");
    eventually(DEADLINE, &format!("topic {topic} with {partitions} partitions"), || {
        match partitions_of(&client, topic)? {
            Some(count) if count == partitions => Ok(()),
            Some(count) => Err(format!("{count} partitions")),
            None => Err("no such topic".to_owned()),
        }
    });
}

/// Deletes the records of a partition below `before`, which becomes the log start offset.
#[track_caller]
pub(crate) fn delete_records(broker: &dyn Cluster, topic: &str, partition: i32, before: i64) {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, partition, Offset::Offset(before)).expect("an offset");
    admin(
        &broker.bootstrap(),
        &format!("delete records of {topic}-{partition}"),
        async |client, options| {
            let done = client.delete_records(&list, options).await?;
            Ok(done
                .elements()
                .iter()
                .map(rdkafka::topic_partition_list::TopicPartitionListElem::error)
                .collect())
        },
    );
}

/// The log of a partition, from the log start offset to the log end offset. It includes transaction
/// markers and records of open transactions.
#[track_caller]
pub(crate) fn log_range(broker: &dyn Cluster, topic: &str, partition: i32) -> Range<i64> {
    let client: BaseConsumer = config(&broker.bootstrap())
        .set("isolation.level", "read_uncommitted")
        .create()
        .expect("a client");
    eventually(DEADLINE, &format!("the log range of {topic}-{partition}"), || {
        client
            .fetch_watermarks(topic, partition, Duration::from_secs(5))
            .map(|(start, end)| start..end)
    })
}

/// The number of a topic's partitions once all have leaders, or `None` without the topic. The error
/// says why the number is unknown.
pub(crate) fn partitions_of(client: &BaseConsumer, topic: &str) -> Result<Option<i32>, String> {
    let metadata = client
        .fetch_metadata(Some(topic), Duration::from_secs(5))
        .map_err(|error| error.to_string())?;
    let Some(found) = metadata.topics().iter().find(|found| found.name() == topic) else {
        return Ok(None);
    };
    if let Some(error) = found.error() {
        let unknown = RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
        return if error == unknown { Ok(None) } else { Err(format!("{error:?}")) };
    }
    match found.partitions().iter().find(|partition| partition.leader() < 0) {
        Some(partition) => Err(format!("partition {} has no leader", partition.id())),
        None => i32::try_from(found.partitions().len()).map(Some).map_err(|e| e.to_string()),
    }
}

/// The results of an admin call. Each error includes the name that it is about.
pub(crate) fn with_names(results: Vec<rdkafka::admin::TopicResult>) -> Vec<Result<String, String>> {
    results
        .into_iter()
        .map(|result| result.map_err(|(name, code)| format!("{name}: {code}")))
        .collect()
}
