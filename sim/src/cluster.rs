//! A Kafka cluster as a pure state machine: one request in, one answer out, and a history of what happened.
//! It loses nothing. Its brokers share it; they are in `crate::hosts::brokers`.
//!
//! It is faithful where Sprag's promises depend on it: the checks of plain and transactional commits in
//! both group protocols, pending offsets, fencing, markers and log ends, recreated topics.

mod coordinator;
pub mod group;
pub mod history;
pub mod log;
mod members;
pub mod offsets;
pub mod producers;
pub mod topics;

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use sprag_core::ids::{BrokerId, ClusterId, GroupId, TopicName};
use sprag_core::time::Instant;

use self::group::Group;
use self::history::{Author, Fact, What};
use self::producers::{Ending, Producers};
use self::topics::Topics;
use crate::wire::{Request, Response};

/// `offsets.retention.check.interval.ms`, scaled down with the length of a run.
const EXPIRY_CHECK: Duration = Duration::from_secs(1);

/// The broker version to model, where versions differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// 3.9 with its classic coordinator.
    V3_9,
    /// 4.3.
    #[default]
    V4_3,
}

/// A cluster. A clone no longer changes, like a replica that fell behind.
#[derive(Clone, Debug)]
pub struct Cluster {
    version: Version,
    now: Instant,
    topics: Topics,
    groups: BTreeMap<GroupId, Group>,
    producers: Producers,
    /// The log end offset of `__consumer_offsets`.
    offsets_end: u64,
    /// `offsets.retention.minutes`, if offsets expire.
    retention: Option<Duration>,
    /// When expired offsets are removed next.
    expiry_due: Instant,
    history: Vec<Fact>,
    /// The host of the client whose request is being answered.
    from: Rc<str>,
    /// When its request was sent.
    sent: Instant,
    /// The client's connection broke and it sent the request again.
    late: bool,
}

impl Cluster {
    /// An empty cluster.
    #[must_use]
    pub fn new(id: &ClusterId) -> Self {
        Self::of_version(id, Version::default())
    }

    /// An empty cluster with brokers of this version.
    #[must_use]
    pub fn of_version(id: &ClusterId, version: Version) -> Self {
        Self {
            version,
            now: Instant::from_millis(0),
            topics: Topics::of(id),
            groups: BTreeMap::new(),
            producers: Producers::default(),
            offsets_end: 0,
            retention: None,
            expiry_due: Instant::from_millis(0),
            history: Vec::new(),
            from: Rc::from(""),
            sent: Instant::from_millis(0),
            late: false,
        }
    }

    /// Sets how long offsets are kept without a commit or members.
    pub fn expire_after(&mut self, retention: Duration) {
        self.retention = Some(retention);
    }

    /// Everything that happened so far.
    #[must_use]
    pub fn history(&self) -> &[Fact] {
        &self.history
    }

    /// The topics, for the invariants.
    #[must_use]
    pub fn topics(&self) -> &Topics {
        &self.topics
    }

    /// The groups, for the invariants.
    #[must_use]
    pub fn groups(&self) -> &BTreeMap<GroupId, Group> {
        &self.groups
    }

    /// Runs the log cleaner on a topic.
    pub fn compact(&mut self, topic: &TopicName) {
        self.topics.compact(topic);
    }

    /// Answers a request that the client on host `from` sent at `now`.
    pub fn handle(&mut self, now: Instant, from: &Rc<str>, request: Request) -> Response {
        self.handle_sent(now, (from, now), request)
    }

    /// Carries out a request whose connection broke after it was sent. Its client no longer waits for an
    /// answer.
    pub fn handle_late(&mut self, now: Instant, by: (&Rc<str>, Instant), request: Request) {
        self.late = true;
        self.handle_sent(now, by, request);
        self.late = false;
    }

    /// Answers a request that the client on host `from` sent at time `sent`.
    pub fn handle_sent(
        &mut self,
        now: Instant,
        (from, sent): (&Rc<str>, Instant),
        request: Request,
    ) -> Response {
        self.now = self.now.max(now);
        self.from = Rc::clone(from);
        self.sent = sent;
        match request {
            Request::CreateTopic { topic, partitions } => self.create_topic(&topic, partitions),
            Request::DeleteTopic { topic } => self.delete_topic(&topic),
            Request::DeleteRecords { at, before } => self.delete_records(at, before),
            Request::DescribeTopics { topics } => Response::Topics(self.topics.describe(topics)),
            Request::ListOffsets { at, isolation } => {
                Response::Offsets(self.topics.ends(at, isolation))
            }
            Request::Produce { at, records, producer } => {
                self.produce(&at, records, producer.as_ref())
            }
            Request::Fetch { at, offset, isolation, most } => {
                self.topics.fetch(&at, offset, isolation, most)
            }
            Request::InitProducer { transactional_id, timeout_millis } => {
                self.init_producer(&transactional_id, Duration::from_millis(timeout_millis))
            }
            Request::TxnOffsetCommit { producer, group, member, generation, offsets } => {
                self.commit_in_transaction(&producer, group, (&member, generation), offsets)
            }
            Request::EndTxn { producer, commit } => self.end_transaction(&producer, commit),
            Request::ListGroups => self.list_groups(),
            Request::DescribeCoordinators => Response::Coordinators(vec![BrokerId(0)]),
            Request::DescribeGroup { group } => self.describe_group(&group),
            Request::OffsetFetch { group, at, stable } => {
                self.fetch_offsets(&group, at.as_ref(), stable)
            }
            Request::OffsetCommit { group, member, generation, offsets } => {
                self.commit(group, (&member, generation), offsets)
            }
            Request::DeleteGroup { group } => self.delete_group(&group),
            Request::OffsetDelete { group, at } => self.delete_offsets(&group, &at),
            Request::Join { group, member, protocol, topic, session_millis } => {
                self.join(group, member, protocol, topic, Duration::from_millis(session_millis))
            }
            Request::Heartbeat { group, member, generation, acknowledged } => {
                self.heartbeat(&group, &member, generation, &acknowledged)
            }
            Request::Leave { group, member } => self.leave(&group, &member),
        }
    }

    /// Expires sessions, transactions and offsets.
    pub fn pass_time(&mut self, now: Instant) {
        self.now = self.now.max(now);
        self.from = Rc::from("");
        self.sent = now;
        for ending in self.producers.expire(now) {
            self.end(ending, false);
        }
        let mut left = Vec::new();
        for (name, group) in &mut self.groups {
            left.extend(group.expire(now).into_iter().map(|member| (name.clone(), member)));
        }
        for (group, member) in left {
            self.note(What::Left { group, member });
        }
        self.expire_offsets();
    }

    fn expire_offsets(&mut self) {
        let Some(retention) = self.retention.filter(|_| self.expiry_due <= self.now) else {
            return;
        };
        self.expiry_due = self.now + EXPIRY_CHECK;
        let since =
            Instant::from_millis(self.now.as_millis().saturating_sub(retention.as_millis() as u64));
        let mut changes = Vec::new();
        for (name, group) in self.groups.iter_mut().filter(|(_, group)| !group.is_active()) {
            // A group that had members keeps all its offsets until it has been empty for the retention
            // time.
            let over = match group.empty_since {
                Some(empty) if empty < since => group.offsets.remove(|_| true),
                Some(_) => Vec::new(),
                None => group.offsets.expire(since),
            };
            changes.extend(over.into_iter().map(|change| (name.clone(), change)));
        }
        for (group, change) in changes {
            let by = Author::Expiry;
            self.note(What::Offset { group, change, by, active: false });
        }
        // A group without members and offsets is removed. The next commit creates it again.
        self.groups.retain(|_, group| group.is_active() || !group.offsets.is_empty());
    }

    /// Ends a transaction: its records, its offsets and its markers.
    fn end(&mut self, (producer, open): Ending, commit: bool) {
        for at in &open.partitions {
            self.topics.end_transaction(at, producer, commit);
        }
        for name in open.groups {
            let Some(group) = self.groups.get_mut(&name) else {
                continue;
            };
            let active = group.is_active();
            group.listed = true;
            let (changes, superseded) = group.offsets.end(producer, commit);
            for change in changes {
                let (group, by) = (name.clone(), Author::Transaction { producer });
                self.note(What::Offset { group, change, by, active });
            }
            for (at, commit) in superseded {
                self.note(What::Superseded { group: name.clone(), at, commit });
            }
        }
    }

    fn note(&mut self, what: What) {
        let (at, from, sent) = (self.now, Rc::clone(&self.from), self.sent);
        self.history.push(Fact { at, from, sent, what });
    }
}

#[cfg(test)]
mod tests;
