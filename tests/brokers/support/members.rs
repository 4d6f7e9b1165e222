//! Live members of consumer groups, with either protocol.

use super::DEADLINE;
use super::artifacts::Version;
use super::clients::{group_config, is_transient};
use super::cluster::Cluster;
use super::groups::offset_list;
use super::wait::eventually;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::message::Message;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How a member talks to its coordinator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// JoinGroup and SyncGroup. Every tested version supports it.
    Classic,
    /// KIP-848 (`group.protocol=consumer`). Of the tested versions, 4.3 and later support it.
    Consumer,
}

impl Protocol {
    /// The protocols that a broker of this version supports.
    pub(crate) fn all_of(version: Version) -> &'static [Self] {
        match version {
            Version::V3_9 => &[Self::Classic],
            Version::V4_3 | Version::V4_4 => &[Self::Classic, Self::Consumer],
        }
    }
}

/// A member that polls in its own thread. It starts at the committed offset, or at the log start
/// without one. It commits only on request. It leaves the group on drop.
pub(crate) struct Member {
    shared: Arc<Shared>,
    poller: Option<JoinHandle<()>>,
}

struct Shared {
    consumer: BaseConsumer,
    leaving: AtomicBool,
    received: Mutex<BTreeMap<(String, i32), Vec<i64>>>,
}

impl Member {
    /// Joins a group and waits until a partition is assigned.
    #[track_caller]
    pub(crate) fn join(
        broker: &dyn Cluster,
        group: &str,
        topics: &[&str],
        protocol: Protocol,
    ) -> Self {
        let mut config = group_config(&broker.bootstrap(), group);
        config.set("auto.offset.reset", "earliest");
        match protocol {
            Protocol::Classic => config.set("session.timeout.ms", "6000"),
            Protocol::Consumer => config.set("group.protocol", "consumer"),
        };
        let consumer: BaseConsumer = config.create().expect("a consumer");
        consumer.subscribe(topics).expect("a subscription");
        let shared = Arc::new(Shared {
            consumer,
            leaving: AtomicBool::new(false),
            received: Mutex::default(),
        });
        let polled = Arc::clone(&shared);
        let member = Self { shared, poller: Some(thread::spawn(move || polled.poll())) };
        eventually(DEADLINE, &format!("a member of {group} to be assigned a partition"), || {
            !member.assignment().is_empty()
        });
        member
    }

    /// The partitions that are currently assigned to it.
    pub(crate) fn assignment(&self) -> Vec<(String, i32)> {
        let list = self.shared.consumer.assignment().expect("an assignment, even if empty");
        list.elements().iter().map(|e| (e.topic().to_owned(), e.partition())).collect()
    }

    /// The offsets of the records that it received from a partition, in order of arrival.
    pub(crate) fn received(&self, topic: &str, partition: i32) -> Vec<i64> {
        self.shared.received().get(&(topic.to_owned(), partition)).cloned().unwrap_or_default()
    }

    /// Commits as a member of the group.
    ///
    /// # Panics
    /// If the broker refuses it.
    #[track_caller]
    pub(crate) fn commit(&self, topic: &str, partition: i32, offset: i64, metadata: &str) {
        let list = offset_list(&[(topic, partition, offset, metadata)]);
        let outcome = eventually(DEADLINE, "an answer to a member's commit", || {
            match self.shared.consumer.commit(&list, CommitMode::Sync) {
                Err(error) if is_transient(&error) => Err(error),
                outcome => Ok(outcome),
            }
        });
        outcome.unwrap_or_else(|error| panic!("a member cannot commit: {error}"));
    }

    /// Leaves the group, and returns once it has left.
    pub(crate) fn leave(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.shared.leaving.store(true, Ordering::Release);
        if let Some(poller) = self.poller.take() {
            let _ = poller.join();
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        // The consumer leaves the group when the last reference to it drops, after this.
        self.end();
    }
}

impl Shared {
    fn poll(&self) {
        while !self.leaving.load(Ordering::Acquire) {
            // Errors such as lost connections and rebalances are transient. The test checks the
            // effect.
            if let Some(Ok(message)) = self.consumer.poll(Duration::from_millis(50)) {
                self.received()
                    .entry((message.topic().to_owned(), message.partition()))
                    .or_default()
                    .push(message.offset());
            }
        }
    }

    fn received(&self) -> std::sync::MutexGuard<'_, BTreeMap<(String, i32), Vec<i64>>> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
