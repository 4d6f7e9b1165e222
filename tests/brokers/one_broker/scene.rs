//! Three brokers on one side and one on the other. Topics, groups and shards are spread over the
//! three.

use std::collections::BTreeMap;
use std::time::Instant;

use sprag_core::ids::{ClusterId, GroupId, PipelineId, Shard, ShardCount};

use super::FAULTY;
use super::measure::{Class, Item};
use crate::scenario::{MAPPINGS, Mapped, PATIENCE, create_mapping_topic, event, pipeline};
use crate::support::artifacts::Version;
use crate::support::broker::Broker;
use crate::support::brokers::{Brokers, IDS};
use crate::support::cluster::Cluster;
use crate::support::coordinators::{Layout, OFFSETS, TRANSACTIONS};
use crate::support::groups::Group;
use crate::support::records::produce;
use crate::support::sprag::Sprag;
use crate::support::topics::{create_topic, create_topic_on};
use crate::support::wait::eventually;
use crate::support::watcher::OffsetsWatcher;

const RECORDS: i64 = 10_000;
const SHIFT: i64 = 7;
const STEP: i64 = 10;
const SHARDS: u32 = 8;

/// Which of the two clusters has three brokers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Target,
    Source,
}

/// Whether the faulty broker is the coordinator of Sprag's coordination group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coordination {
    Elsewhere,
    OnFaulty,
}

/// A group on the source, and which of the three brokers it needs.
pub(super) struct Consumer {
    name: String,
    source: Group,
    /// The brokers with its topics. Topic n is on broker n.
    topics: Vec<i32>,
    coordinator: i32,
    /// Whether its shard needs the faulty broker, for its transactions or for its assignment.
    shard_moves: bool,
}

pub(super) struct Scene {
    pub(super) side: Side,
    pub(super) cluster: Brokers,
    pub(super) watcher: OffsetsWatcher,
    single: Broker,
    name: String,
    groups: Vec<Consumer>,
    position: i64,
}

/// The source name of the topic on this broker.
fn topic(broker: i32) -> String {
    format!("t{broker}")
}

fn copy_of(broker: i32) -> String {
    format!("dr.t{broker}")
}

impl Scene {
    pub(super) fn set(side: Side, coordination: Coordination) -> Self {
        let (version, other) = match side {
            Side::Target => (Version::V4_3, Version::V3_9),
            Side::Source => (Version::V3_9, Version::V4_3),
        };
        let (cluster, single) = std::thread::scope(|scope| {
            let single = scope.spawn(move || Broker::start(other));
            let cluster = Brokers::start(version);
            (cluster, single.join().expect("the single broker starts"))
        });
        let (source, target): (&dyn Cluster, &dyn Cluster) = match side {
            Side::Target => (&single, &cluster),
            Side::Source => (&cluster, &single),
        };
        let layouts = [OFFSETS, TRANSACTIONS].map(|topic| cluster.layout(topic));
        let ids = [source, target].map(|cluster| ClusterId::from(cluster.cluster_id()));
        let (name, transactions) = match side {
            Side::Target => pipeline_name(&layouts, &ids, coordination),
            Side::Source => ("dr".to_owned(), BTreeMap::new()),
        };
        create_topics(side, &cluster, &single, &name);
        map_topics(source, target);
        let moving = transactions.iter().filter(|(_, broker)| **broker == FAULTY);
        eprintln!(
            "{name}: {SHARDS} shards, transactions of {:?} coordinated by broker {FAULTY}, \
             fence partitions 2 and 5 led by it where it is the target's, \
             coordination group: {coordination:?}",
            moving.map(|(shard, _)| shard.0).collect::<Vec<_>>(),
        );
        let groups = choose_groups(source, &layouts[0], &transactions, coordination);
        let watcher = OffsetsWatcher::start(target);
        Self { side, cluster, watcher, single, name, groups, position: 0 }
    }

    /// Starts the daemon, with its connections to the three brokers through the gates if `gated`.
    /// Waits until all its shards are active.
    pub(super) fn sprag(&self, gated: bool) -> Sprag {
        let (source, target): (&dyn Cluster, &dyn Cluster) = match self.side {
            Side::Target => (&self.single, &self.cluster),
            Side::Source => (&self.cluster, &self.single),
        };
        let at = match self.side {
            Side::Target => "target.kafka.common.bootstrap.servers",
            Side::Source => "source.kafka.common.bootstrap.servers",
        };
        let bootstrap = if gated { self.cluster.gated() } else { self.cluster.bootstrap() };
        let (shards, bootstrap) = (SHARDS.to_string(), format!("\"{bootstrap}\""));
        let config = pipeline(
            source,
            target,
            &[
                ("name", &self.name),
                ("groups.pollInterval", "1 seconds"),
                ("coordination.shards", &shards),
                (at, &bootstrap),
            ],
        );
        let sprag = Sprag::start(&config);
        eventually(PATIENCE, "all shards to be active", || {
            let log = sprag.log();
            match log.iter().filter(|line| event(line) == "shard_active").count() {
                count if count >= SHARDS as usize => Ok(()),
                count => Err(format!("{count} of {SHARDS}")),
            }
        });
        sprag
    }

    /// Advances the `chosen` source groups by one step. Returns the expected translations, and the
    /// new position.
    pub(super) fn advance(&mut self, chosen: impl Fn(&Consumer) -> bool) -> (Vec<Item>, i64) {
        self.position += STEP;
        (self.commit_at(self.position, chosen), self.position)
    }

    /// Commits a position for the `chosen` source groups, each in its own thread. Returns the
    /// expected translations.
    pub(super) fn commit_at(&self, position: i64, chosen: impl Fn(&Consumer) -> bool) -> Vec<Item> {
        std::thread::scope(|scope| {
            let commits: Vec<_> = self
                .groups
                .iter()
                .filter(|group| chosen(group))
                .map(|group| scope.spawn(move || group.commit(position)))
                .collect();
            commits.into_iter().flat_map(|commit| commit.join().expect("a commit")).collect()
        })
    }

    /// The expected translations of all groups at the current position.
    pub(super) fn items(&self, since: Instant) -> Vec<Item> {
        self.groups.iter().flat_map(|group| group.items(self.position, since)).collect()
    }

    pub(super) fn wait_until_back(&mut self, broker: i32) {
        let topic = match self.side {
            Side::Target => copy_of(broker),
            Side::Source => topic(broker),
        };
        self.cluster.wait_until_back(broker, &[&topic]);
    }
}

impl Consumer {
    fn commit(&self, position: i64) -> Vec<Item> {
        let topics: Vec<String> = self.topics.iter().map(|broker| topic(*broker)).collect();
        let offsets: Vec<_> =
            topics.iter().map(|topic| (topic.as_str(), 0, position, "")).collect();
        self.source.commit_all(&offsets);
        self.items(position, Instant::now())
    }

    fn items(&self, position: i64, since: Instant) -> Vec<Item> {
        let item = |broker: &i32| Item {
            class: self.class(*broker),
            group: self.name.clone(),
            topic: copy_of(*broker),
            offset: position + SHIFT,
            since,
        };
        self.topics.iter().map(item).collect()
    }

    fn class(&self, broker: i32) -> Class {
        if broker == FAULTY {
            Class::Parked
        } else if self.coordinator == FAULTY || self.shard_moves {
            Class::Moved
        } else if self.topics.contains(&FAULTY) {
            Class::Mixed
        } else {
            Class::Apart
        }
    }
}

/// Whether a group cannot commit on the source until its coordinator has been replaced.
pub(super) fn waits_for_election(side: Side, group: &Consumer) -> bool {
    match side {
        Side::Target => false,
        Side::Source => group.coordinator == FAULTY,
    }
}

/// Finds a pipeline name. Its coordination group has the wanted coordinator, and the faulty broker
/// coordinates the transactions of two or three of its shards. Also returns the transaction
/// coordinator of each shard.
fn pipeline_name(
    [offsets, transactions]: &[Layout; 2],
    [source, target]: &[ClusterId; 2],
    coordination: Coordination,
) -> (String, BTreeMap<Shard, i32>) {
    (0..)
        .map(|nth| format!("dr-{nth}"))
        .filter(|name| {
            let coordinator = offsets.coordinator_of(&format!("sprag.{name}"));
            match coordination {
                Coordination::Elsewhere => coordinator != Some(FAULTY),
                Coordination::OnFaulty => coordinator == Some(FAULTY),
            }
        })
        .find_map(|name| {
            let pipeline = PipelineId::of(&name, source, target);
            let coordinators: BTreeMap<Shard, i32> = (0..SHARDS)
                .map(|shard| {
                    let id = format!("sprag.{pipeline}.{shard}");
                    (Shard(shard), transactions.coordinator_of(&id).expect("a coordinator"))
                })
                .collect();
            let moving = coordinators.values().filter(|broker| **broker == FAULTY).count();
            (2..=3).contains(&moving).then_some((name, coordinators))
        })
        .expect("a name among very many")
}

fn create_topics(side: Side, cluster: &Brokers, single: &Broker, name: &str) {
    for broker in IDS {
        let (here, there) = match side {
            Side::Target => (copy_of(broker), topic(broker)),
            Side::Source => (topic(broker), copy_of(broker)),
        };
        cluster.create_topic_at(&here, broker);
        create_topic(single, &there, 1);
    }
    match side {
        Side::Target => {
            let compact = [("cleanup.policy", "compact")];
            create_topic_on(cluster, MAPPINGS, &[&[2, 3, 1]], &compact);
            let orders: [[i32; 3]; 3] = [[1, 2, 3], [2, 3, 1], [3, 1, 2]];
            let replicas: Vec<&[i32]> =
                orders.iter().cycle().take(SHARDS as usize).map(|order| &order[..]).collect();
            create_topic_on(cluster, &format!("__sprag.{name}.fences"), &replicas, &compact);
        }
        Side::Source => create_mapping_topic(single),
    }
}

fn map_topics(source: &dyn Cluster, target: &dyn Cluster) {
    for broker in IDS {
        let mapped = Mapped { source: topic(broker), target: copy_of(broker), shift: SHIFT };
        produce(target, &mapped.target, 0, RECORDS + SHIFT);
        mapped.publish(source, target, 0, RECORDS, i64::from(broker));
    }
}

/// Nine groups for each topic: three with each coordinator. One of each three is in a shard whose
/// transactions move, if there are such shards. Also three groups that read two topics, one of them
/// on the faulty broker.
fn choose_groups(
    source: &dyn Cluster,
    offsets: &Layout,
    transactions: &BTreeMap<Shard, i32>,
    coordination: Coordination,
) -> Vec<Consumer> {
    let mut wanted: Vec<(Vec<i32>, i32, bool)> = Vec::new();
    for (topic, coordinator) in IDS.iter().flat_map(|topic| IDS.map(|id| (*topic, id))) {
        let moving = !transactions.is_empty();
        wanted.extend([false, false, moving].map(|moves| (vec![topic], coordinator, moves)));
    }
    wanted.extend([1, 2, 1].map(|broker| (vec![1, FAULTY], broker, false)));
    let mut groups = Vec::new();
    for name in (0..).map(|nth| format!("group-{nth:04}")) {
        let shard = Shard::of(&GroupId::from(name.as_str()), ShardCount(SHARDS));
        let coordinator = offsets.coordinator_of(&name).expect("a coordinator");
        let moving = transactions.get(&shard) == Some(&FAULTY);
        let fits =
            |(_, broker, moves): &(Vec<i32>, i32, bool)| *broker == coordinator && *moves == moving;
        let Some(at) = wanted.iter().position(fits) else { continue };
        let (topics, _, _) = wanted.swap_remove(at);
        let handle = Group::of(source, &name);
        let shard_moves = moving || coordination == Coordination::OnFaulty;
        groups.push(Consumer { name, source: handle, topics, coordinator, shard_moves });
        if wanted.is_empty() {
            break;
        }
    }
    groups
}

/// The CPU time that a process has used, in seconds.
pub(super) fn cpu_seconds(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("a process that runs");
    cpu_of(&stat)
}

/// The threads of a process that have used the most CPU time, by name, with their seconds.
pub(super) fn busiest_threads(pid: u32) -> Vec<(String, f64)> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).expect("a process that runs");
    let used = |task: std::fs::DirEntry| {
        // A thread may have ended meanwhile.
        let name = std::fs::read_to_string(task.path().join("comm")).ok()?;
        let stat = std::fs::read_to_string(task.path().join("stat")).ok()?;
        Some((name.trim().to_owned(), cpu_of(&stat)))
    };
    let mut threads: Vec<_> = tasks.filter_map(Result::ok).filter_map(used).collect();
    threads.sort_by(|a, b| b.1.total_cmp(&a.1));
    threads.truncate(8);
    threads
}

fn cpu_of(stat: &str) -> f64 {
    let fields = stat.rsplit(')').next().expect("the fields after the name").split_whitespace();
    // utime and stime are fields 14 and 15 of the line. The name is field 2.
    let ticks: f64 =
        fields.skip(11).take(2).map(|field| field.parse::<f64>().expect("a number")).sum();
    // The kernel reports in ticks of a hundredth of a second (USER_HZ).
    ticks / 100.0
}
