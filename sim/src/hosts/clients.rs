//! All other clients: applications that produce and consume on the source, consumers on the target,
//! operators, and a zombie replicator. Each is a client of its own; all share one host.

mod foreign;
mod roles;
pub mod zombie;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt};
use sprag::ports::Clock;
use sprag_core::ids::{GroupId, SourcePartition, TargetPartition, TopicName};
use sprag_core::time::Instant;

pub use self::roles::Role;
use self::zombie::Again;
use super::broker::Broker;
use crate::clock::SimClock;
use crate::coverage::{Kind, reached};
use crate::net::{Client, Mail};
use crate::ports::{Doing, Link, Timing};
use crate::scenario::{Publisher, Timed, Work};
use crate::wire::{Committed, NO_GENERATION, NewRecord, Partition, Protocol, Request, Response};

/// What all clients know.
#[derive(Clone)]
pub struct Clients {
    /// The host of the source cluster.
    pub source: String,
    /// The host of the target cluster.
    pub target: String,
    /// The target cluster, for what no request can do: compaction.
    pub target_broker: Broker,
    /// The replicated topics: the name on the source and the name on the target.
    pub topics: Vec<(TopicName, TopicName)>,
    /// Number of partitions of each topic.
    pub partitions: i32,
    /// The groups.
    pub groups: Vec<GroupId>,
    /// The mapping topic and its number of partitions.
    pub mappings: (TopicName, i32),
    /// Who publishes mappings, and how densely.
    pub publisher: Publisher,
    /// Requests to restart the replicator, each with the number of records to copy again.
    pub restart_replicator: Rc<RefCell<Vec<i64>>>,
    /// Groups that a consumer must join now.
    pub visits: Rc<RefCell<Vec<GroupId>>>,
    /// The target's groups support only the classic protocol.
    pub classic: bool,
    /// Their time-outs.
    pub timing: Timing,
    /// Each group's position on the source. Its consumers continue from there, and operators reset it.
    pub positions: Rc<RefCell<BTreeMap<(usize, Partition), i64>>>,
    /// The work, in order of time.
    pub work: Vec<Timed<Work>>,
}

/// One client at work.
struct Hands<'a> {
    shared: &'a Clients,
    source: Link,
    target: Link,
}

impl Clients {
    /// Does the work of `role`, each item at its time.
    ///
    /// # Errors
    ///
    /// An error of turmoil, if no port can be bound.
    pub async fn run(self, role: Role, mail: Mail) -> Result<(), Box<dyn std::error::Error>> {
        let client = Rc::new(Client::bind(mail, role.host()).await?);
        let clock = SimClock::default();
        let link = |host: &str| Link::new(Rc::clone(&client), host, clock.clone(), self.timing, 1);
        let hands = Hands { source: link(&self.source), target: link(&self.target), shared: &self };
        let all = async {
            let mut under_way = FuturesUnordered::new();
            let work = self.work.iter().enumerate();
            for (nth, Timed { at, what }) in work.filter(|(_, it)| Role::of(&it.what) == role) {
                under_way.push(hands.at(*at, nth, what));
            }
            while under_way.next().await.is_some() {}
            std::future::pending::<()>().await;
        };
        tokio::select! {
            biased;
            () = all => {}
            () = hands.visit(), if role == Role::Consumers => {}
            () = client.receive() => {}
        }
        Ok(())
    }
}

impl Hands<'_> {
    async fn at(&self, at: u64, nth: usize, work: &Work) {
        let clock = SimClock::default();
        clock.sleep_until(Instant::from_millis(at)).await;
        // Work that fails is given up. Later work tries something else.
        if self.carry_out(nth, work).await.is_some() {
            reached(Kind::Work, name(work));
        }
    }

    async fn carry_out(&self, nth: usize, work: &Work) -> Option<()> {
        match work {
            Work::Produce { topic, partition, count, transactional } => {
                self.produce(nth, &self.from(*topic, *partition)?, *count, *transactional).await
            }
            Work::SourceCommit { group, topic, partition, lag } => {
                let at = self.from(*topic, *partition)?;
                let end = self.end(&self.source, &at).await?;
                let key = (*group, at.clone());
                let known = self.shared.positions.borrow().get(&key).copied().unwrap_or_default();
                // A recreated topic starts again at 0.
                let known = if known > end { 0 } else { known };
                self.commit_source(nth, key, known.max(end - lag)).await
            }
            Work::SourceReset { group, topic, partition, by } => {
                let key = (*group, self.from(*topic, *partition)?);
                let known = *self.shared.positions.borrow().get(&key)?;
                self.commit_source(nth, key, (known - by).max(0)).await
            }
            Work::TargetConsumer { group, topic, partition, new_protocol, stays } => {
                let protocol = if *new_protocol { Protocol::Consumer } else { Protocol::Classic };
                let at = self.to(*topic, *partition)?;
                let member = format!("consumer-{nth}");
                self.consume(member, self.group(*group)?, &at, protocol, *stays).await
            }
            Work::TargetTransaction { group, topic, partition, stays } => {
                let at = self.to(*topic, *partition)?;
                self.commit_in_transaction(nth, self.group(*group)?, at, *stays).await
            }
            Work::Disguised { group, topic, partition, disguise } => {
                let at = self.to(*topic, *partition)?;
                self.commit_disguised(self.group(*group)?, at, *disguise).await
            }
            Work::ZombieCopies { topic, partition, back, count, delay } => {
                let (from, to) = self.shared.topics.get(*topic)?.clone();
                let from = SourcePartition { topic: from, partition: *partition };
                let to = TargetPartition { topic: to, partition: *partition };
                let again = Again { back: *back, count: *count, delay: *delay };
                self.copy_again(nth, from, to, again).await
            }
            Work::TargetCommit { group, topic, partition } => {
                let at = self.to(*topic, *partition)?;
                let end = self.end(&self.target, &at).await?;
                self.commit(&self.target, self.group(*group)?, "", NO_GENERATION, &at, end / 2, "")
                    .await
            }
            Work::ReplicatorRestart { again } => {
                self.shared.restart_replicator.borrow_mut().push(*again);
                Some(())
            }
            Work::CompactMappings => {
                let (topic, _) = &self.shared.mappings;
                self.shared.target_broker.act(|cluster| cluster.compact(topic));
                Some(())
            }
            Work::RecreateSource { topic } => {
                let (name, _) = self.shared.topics.get(*topic)?;
                self.recreate(&self.source, name, self.shared.partitions).await
            }
            Work::RecreateTarget { topic } => {
                let (_, name) = self.shared.topics.get(*topic)?;
                self.recreate(&self.target, name, self.shared.partitions).await
            }
            Work::RecreateMappings => {
                let (name, partitions) = &self.shared.mappings;
                self.recreate(&self.target, name, *partitions).await
            }
            Work::TrimTarget { topic, partition, left } => {
                let at = self.to(*topic, *partition)?;
                let end = self.end(&self.target, &at).await?;
                let request = Request::DeleteRecords { at, before: end - end * left / 8 };
                self.target.ask(request, Doing::Committing, "an operator").await.ok().map(|_| ())
            }
        }
    }

    async fn produce(
        &self,
        nth: usize,
        at: &Partition,
        count: i64,
        transactional: bool,
    ) -> Option<()> {
        let record = |_| NewRecord { key: Vec::new(), value: Some(Vec::new()) };
        let records = (0..count).map(record).collect();
        let what = "an application";
        if !transactional {
            let request = Request::Produce { at: at.clone(), records, producer: None };
            return self.source.ask(request, Doing::Committing, what).await.ok().map(|_| ());
        }
        let request = Request::InitProducer {
            transactional_id: format!("application-{}", nth % 2),
            timeout_millis: self.shared.timing.transaction,
        };
        let answer = self.source.ask_on(request, Doing::Fencing, what).await.ok()?;
        let Response::Initialised(producer) = answer else {
            return None;
        };
        let request =
            Request::Produce { at: at.clone(), records, producer: Some(producer.clone()) };
        self.source.ask(request, Doing::Committing, what).await.ok()?;
        let end = Request::EndTxn { producer, commit: !nth.is_multiple_of(3) };
        self.source.ask_on(end, Doing::Ending, what).await.ok().map(|_| ())
    }

    async fn commit_source(&self, nth: usize, key: (usize, Partition), offset: i64) -> Option<()> {
        let group = self.group(key.0)?;
        let metadata = if nth.is_multiple_of(4) { format!("m{nth}") } else { String::new() };
        self.commit(&self.source, group, "", NO_GENERATION, &key.1, offset, &metadata).await?;
        self.shared.positions.borrow_mut().insert(key, offset);
        Some(())
    }

    #[expect(clippy::too_many_arguments, reason = "a commit has all of these fields")]
    async fn commit(
        &self,
        link: &Link,
        group: GroupId,
        member: &str,
        generation: i32,
        at: &Partition,
        offset: i64,
        metadata: &str,
    ) -> Option<()> {
        let commit = Committed { offset, metadata: metadata.to_owned() };
        let offsets = BTreeMap::from([(at.clone(), commit)]);
        let member = member.to_owned();
        let request = Request::OffsetCommit { group, member, generation, offsets };
        let answer = link.ask(request, Doing::Committing, "a client").await.ok()?;
        let Response::Committed(results) = answer else {
            return None;
        };
        results.values().all(Result::is_ok).then_some(())
    }

    async fn recreate(&self, link: &Link, topic: &TopicName, partitions: i32) -> Option<()> {
        let what = "an operator";
        let delete = Request::DeleteTopic { topic: topic.clone() };
        link.ask(delete, Doing::Committing, what).await.ok()?;
        let clock = SimClock::default();
        clock.sleep_until(clock.now() + Duration::from_millis(300)).await;
        // Without the topic nothing would ever converge, so creation is retried until it succeeds.
        for _ in 0..20 {
            let create = Request::CreateTopic { topic: topic.clone(), partitions };
            match link.plainly(create).await {
                Some(_) => return Some(()),
                None => clock.sleep_until(clock.now() + Duration::from_millis(200)).await,
            }
        }
        None
    }

    fn group(&self, nth: usize) -> Option<GroupId> {
        self.shared.groups.get(nth).cloned()
    }

    fn from(&self, topic: usize, partition: i32) -> Option<Partition> {
        let (name, _) = self.shared.topics.get(topic)?;
        Some(Partition { topic: name.clone(), partition })
    }

    fn to(&self, topic: usize, partition: i32) -> Option<Partition> {
        let (_, name) = self.shared.topics.get(topic)?;
        Some(Partition { topic: name.clone(), partition })
    }
}

/// The name of the work for coverage.
fn name(work: &Work) -> &'static str {
    match work {
        Work::Produce { .. } => "Produce",
        Work::SourceCommit { .. } => "SourceCommit",
        Work::SourceReset { .. } => "SourceReset",
        Work::TargetConsumer { .. } => "TargetConsumer",
        Work::TargetCommit { .. } => "TargetCommit",
        Work::TargetTransaction { .. } => "TargetTransaction",
        Work::Disguised { .. } => "Disguised",
        Work::ZombieCopies { .. } => "ZombieCopies",
        Work::ReplicatorRestart { .. } => "ReplicatorRestart",
        Work::CompactMappings => "CompactMappings",
        Work::RecreateSource { .. } => "RecreateSource",
        Work::RecreateTarget { .. } => "RecreateTarget",
        Work::RecreateMappings => "RecreateMappings",
        Work::TrimTarget { .. } => "TrimTarget",
    }
}
