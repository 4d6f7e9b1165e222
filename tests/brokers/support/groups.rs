//! A consumer group seen from outside: commits without membership, committed offsets, resets with
//! Kafka's own tool, and transactional commits.

use super::DEADLINE;
use super::artifacts::Version;
use super::clients::{admin, config, group_config, is_transient};
use super::cluster::Cluster;
use super::topics::{partitions_of, with_names};
use super::wait::{eventually, try_eventually};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseProducer, Producer};
use rdkafka::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::time::Duration;

/// A committed offset, as fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Committed {
    /// The next offset that the group wants to read.
    pub(crate) offset: i64,
    /// The text committed with it.
    pub(crate) metadata: String,
}

/// Where Kafka's own tool resets a group to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ResetTo {
    /// The log start offset.
    Earliest,
    /// The log end offset.
    Latest,
    /// A given offset. The tool moves it into the log's range.
    Offset(i64),
}

/// A handle to one group of one cluster. Like a consumer that uses `assign()`, it never joins the
/// group. It keeps working when the broker is killed and restarted.
pub(crate) struct Group {
    name: String,
    bootstrap: String,
    version: Version,
    client: BaseConsumer,
}

impl Group {
    /// Makes a handle. Creates nothing on the broker.
    pub(crate) fn of(broker: &dyn Cluster, name: &str) -> Self {
        let bootstrap = broker.bootstrap();
        let client = group_config(&bootstrap, name).create().expect("a client of the group");
        Self { name: name.to_owned(), bootstrap, version: broker.version(), client }
    }

    /// Commits one offset without membership.
    ///
    /// # Panics
    /// If the broker refuses it, as it does while the group has members.
    #[track_caller]
    pub(crate) fn commit(&self, topic: &str, partition: i32, offset: i64, metadata: &str) {
        self.commit_all(&[(topic, partition, offset, metadata)]);
    }

    /// Commits several offsets in one request: (topic, partition, offset, metadata).
    #[track_caller]
    pub(crate) fn commit_all(&self, offsets: &[(&str, i32, i64, &str)]) {
        self.try_commit(offsets)
            .unwrap_or_else(|error| panic!("cannot commit for group {}: {error}", self.name));
    }

    /// Like [`Group::commit_all`], but returns the outcome. Retries transient errors, such as those
    /// of a coordinator that has just started.
    pub(crate) fn try_commit(&self, offsets: &[(&str, i32, i64, &str)]) -> Result<(), KafkaError> {
        let list = offset_list(offsets);
        eventually(DEADLINE, &format!("an answer to a commit for group {}", self.name), || {
            match self.client.commit(&list, CommitMode::Sync) {
                Err(error) if is_transient(&error) => Err(error),
                outcome => Ok(outcome),
            }
        })
    }

    /// The committed offset of one partition, or `None` if there is none.
    ///
    /// # Panics
    /// If it cannot be read: an unknown offset is not "none".
    #[track_caller]
    pub(crate) fn committed(&self, topic: &str, partition: i32) -> Option<Committed> {
        let mut list = TopicPartitionList::new();
        list.add_partition(topic, partition);
        self.fetch(list).remove(&partition)
    }

    /// The committed offsets of a topic by partition. Partitions without one are left out.
    #[track_caller]
    pub(crate) fn committed_of(&self, topic: &str) -> BTreeMap<i32, Committed> {
        let count = eventually(DEADLINE, &format!("the partitions of {topic}"), || {
            partitions_of(&self.client, topic)?.ok_or_else(|| "no such topic".to_owned())
        });
        let mut list = TopicPartitionList::new();
        list.add_partition_range(topic, 0, count - 1);
        self.fetch(list)
    }

    /// Deletes the group and its offsets. It must have no members.
    #[track_caller]
    pub(crate) fn delete(&self) {
        admin(&self.bootstrap, &format!("delete group {}", self.name), async |client, options| {
            Ok(with_names(client.delete_groups(&[&self.name], options).await?))
        });
    }

    /// Resets the group's offsets of a topic with Kafka's own `kafka-consumer-groups` tool, as an
    /// operator does. The group must have no members. Takes about a second, because the tool starts
    /// a JVM.
    ///
    /// # Panics
    /// If the tool fails or refuses; the message shows what it printed.
    #[track_caller]
    pub(crate) fn reset_with_kafka_tool(&self, topic: &str, to: ResetTo) {
        let mut command =
            self.version.java("256m", "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand");
        command.args(["--bootstrap-server", &self.bootstrap, "--group", &self.name]).args([
            "--topic",
            topic,
            "--reset-offsets",
            "--execute",
        ]);
        match to {
            ResetTo::Earliest => command.arg("--to-earliest"),
            ResetTo::Latest => command.arg("--to-latest"),
            ResetTo::Offset(offset) => command.arg("--to-offset").arg(offset.to_string()),
        };
        let output = command.output().expect("java, which runs the broker");
        let (printed, errors) =
            (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        // The tool exits with 0 even when it refuses. It then prints an error instead of such a
        // line.
        let done = printed.lines().any(|line| line.contains(&self.name) && line.contains(topic));
        assert!(
            output.status.success() && done && !printed.contains("Error:"),
            "kafka-consumer-groups did not reset {} to {to:?}:\n{printed}{errors}",
            self.name
        );
    }

    /// Adds offsets to an open transaction of a new producer, without membership: generation -1 and
    /// an empty member id. The broker accepts them even while the group has members.
    #[track_caller]
    pub(crate) fn begin_transactional_commit(
        &self,
        transactional_id: &str,
        offsets: &[(&str, i32, i64, &str)],
    ) -> PendingCommit {
        let producer: BaseProducer = config(&self.bootstrap)
            .set("transactional.id", transactional_id)
            .create()
            .expect("a transactional producer");
        producer.init_transactions(DEADLINE).expect("a transactional producer");
        producer.begin_transaction().expect("a transaction");
        let member = self.client.group_metadata().expect("the group's metadata");
        producer
            .send_offsets_to_transaction(&offset_list(offsets), &member, DEADLINE)
            .unwrap_or_else(|error| panic!("cannot send offsets for {}: {error}", self.name));
        PendingCommit { producer }
    }

    #[track_caller]
    fn fetch(&self, list: TopicPartitionList) -> BTreeMap<i32, Committed> {
        let fetched = try_eventually(DEADLINE, || -> Result<_, KafkaError> {
            let answer = self.client.committed_offsets(list.clone(), Duration::from_secs(10))?;
            answer.elements().iter().try_for_each(|element| element.error())?;
            Ok(answer)
        });
        let fetched =
            fetched.unwrap_or_else(|error| panic!("cannot read offsets of {}: {error}", self.name));
        let mut committed = BTreeMap::new();
        for element in fetched.elements() {
            if let Offset::Offset(offset) = element.offset() {
                let metadata = element.metadata().to_owned();
                committed.insert(element.partition(), Committed { offset, metadata });
            }
        }
        committed
    }
}

/// Offsets in an open transaction. If it is dropped without an end, it becomes a hanging
/// transaction: it stays open until the broker's transaction timeout of one minute.
pub(crate) struct PendingCommit {
    producer: BaseProducer,
}

impl PendingCommit {
    /// Commits the transaction, which makes the offsets visible.
    #[track_caller]
    pub(crate) fn commit(self) {
        self.producer.commit_transaction(DEADLINE).expect("the transaction to commit");
    }

    /// Aborts the transaction, which discards the offsets.
    #[track_caller]
    pub(crate) fn abort(self) {
        self.producer.abort_transaction(DEADLINE).expect("the transaction to abort");
    }
}

/// Converts (topic, partition, offset, metadata) into the list that clients take.
pub(crate) fn offset_list(offsets: &[(&str, i32, i64, &str)]) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    for (topic, partition, offset, metadata) in offsets {
        let mut element = list.add_partition(topic, *partition);
        element.set_offset(Offset::Offset(*offset)).expect("an offset that is not negative");
        element.set_metadata(metadata);
    }
    list
}
