//! Which broker leads a partition, and which one therefore coordinates a group or a transactional
//! id.

use super::DEADLINE;
use super::clients::config;
use rdkafka::consumer::{BaseConsumer, Consumer};
use std::collections::BTreeMap;
use std::time::Duration;

/// The topic of committed offsets.
pub(crate) const OFFSETS: &str = "__consumer_offsets";
/// The topic of transaction states.
pub(crate) const TRANSACTIONS: &str = "__transaction_state";

const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);

/// The replicas of each partition of a topic, and its leader if it has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    /// By partition: the leader, and the replicas with the preferred leader first.
    pub(crate) partitions: BTreeMap<i32, (Option<i32>, Vec<i32>)>,
    /// By partition: the replicas that are in sync.
    in_sync: BTreeMap<i32, Vec<i32>>,
}

impl Layout {
    /// The layout of a topic, according to the broker at `bootstrap`.
    ///
    /// # Errors
    /// If there is no answer or no such topic; the text says which.
    pub(crate) fn of(bootstrap: &str, topic: &str) -> Result<Self, String> {
        let client: BaseConsumer = config(bootstrap).create().map_err(|e| e.to_string())?;
        Self::read(&client, topic)
    }

    fn read(client: &BaseConsumer, topic: &str) -> Result<Self, String> {
        let metadata = client
            .fetch_metadata(Some(topic), REQUEST_TIMEOUT)
            .map_err(|error| error.to_string())?;
        let found = metadata.topics().iter().find(|found| found.name() == topic);
        let found = found.ok_or_else(|| format!("no such topic: {topic}"))?.partitions();
        let in_sync =
            found.iter().map(|partition| (partition.id(), partition.isr().to_vec())).collect();
        let partitions: BTreeMap<_, _> = found
            .iter()
            .map(|partition| {
                let leader = Some(partition.leader()).filter(|leader| *leader >= 0);
                (partition.id(), (leader, partition.replicas().to_vec()))
            })
            .collect();
        if partitions.is_empty() {
            return Err(format!("no partitions of {topic}"));
        }
        Ok(Self { partitions, in_sync })
    }

    /// The partitions that this broker leads.
    pub(crate) fn led_by(&self, broker: i32) -> Vec<i32> {
        let led = self.partitions.iter().filter(|(_, (leader, _))| *leader == Some(broker));
        led.map(|(partition, _)| *partition).collect()
    }

    /// Whether each partition has a leader.
    pub(crate) fn is_led(&self) -> bool {
        self.partitions.values().all(|(leader, _)| leader.is_some())
    }

    /// Whether each partition is led by its preferred leader, the first replica.
    pub(crate) fn is_preferred(&self) -> bool {
        self.partitions.values().all(|(leader, replicas)| leader.as_ref() == replicas.first())
    }

    /// The leader of the partition to which a group id or transactional id belongs.
    pub(crate) fn coordinator_of(&self, id: &str) -> Option<i32> {
        self.partitions.get(&partition_of(id, self.partitions.len()))?.0
    }
}

/// The cluster's id and its live brokers, according to the broker at `bootstrap`.
pub(crate) fn live_brokers(bootstrap: &str) -> Result<(String, Vec<i32>), String> {
    let client: BaseConsumer = config(bootstrap).create().map_err(|error| error.to_string())?;
    let id = client.client().fetch_cluster_id(REQUEST_TIMEOUT).ok_or("no cluster answered")?;
    let metadata =
        client.fetch_metadata(None, REQUEST_TIMEOUT).map_err(|error| error.to_string())?;
    let mut brokers: Vec<i32> = metadata.brokers().iter().map(|broker| broker.id()).collect();
    brokers.sort_unstable();
    Ok((id, brokers))
}

/// Makes a cluster create its two internal topics, by asking for a coordinator of each kind.
pub(crate) fn create_internal_topics(bootstrap: &str) {
    use rdkafka::producer::{BaseProducer, Producer};
    let producer: BaseProducer = config(bootstrap)
        .set("transactional.id", "tests.internal-topics")
        .create()
        .expect("a transactional producer");
    producer.init_transactions(DEADLINE).expect("a transaction coordinator");
    let group: BaseConsumer = super::clients::group_config(bootstrap, "tests.internal-topics")
        .create()
        .expect("a client");
    super::wait::eventually(DEADLINE, "a group coordinator", || {
        let mut list = rdkafka::TopicPartitionList::new();
        list.add_partition(OFFSETS, 0);
        group.committed_offsets(list, REQUEST_TIMEOUT).map(|_| ())
    });
}

/// The partition of an internal topic that an id belongs to: Kafka's `Utils.abs(id.hashCode())`
/// modulo the number of partitions (`GroupMetadataManager.partitionFor`,
/// `TransactionStateManager.partitionFor`).
pub(crate) fn partition_of(id: &str, partitions: usize) -> i32 {
    let hash = java_hash(id);
    let positive = if hash == i32::MIN { 0 } else { hash.abs() };
    positive % i32::try_from(partitions).expect("a number of partitions")
}

/// Java's `String.hashCode`: over UTF-16 code units.
fn java_hash(text: &str) -> i32 {
    text.encode_utf16().fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(unit.into()))
}
