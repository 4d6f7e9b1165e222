//! The world of one run: the clusters and the processes on turmoil. Between the steps of the simulation,
//! faults are applied and invariants are checked.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use sprag_core::ids::{ClusterId, GroupId, TopicName};
use sprag_core::policy::{
    CommitMode, OnBelowFirstMapping, OnCorrection, OnForeignCommit, OnSourceRewind, Policy,
};
use sprag_core::time::Instant;
use sprag_mapping::Format;

use crate::clock::SimClock;
use crate::cluster::{Cluster, Version};
use crate::gate::Gate;
use crate::hosts::broker::Broker;
use crate::hosts::clients::{Clients, Role};
use crate::hosts::instance::Instance;
use crate::hosts::replicator::{PROGRESS, Replicator};
use crate::names::{
    self, CLIENTS, Names, PIPELINE, REPLICATOR, SOURCE, TARGET, instance_host, syncs,
};
use crate::net::Mail;
use crate::ports::{Timing, Wiring};
use crate::scenario::{OnForeign, Publisher, Scenario};
use crate::streams::{Concern, Stream};
use crate::truth::Clusters;
use crate::wire::{Request, Response};

/// One step of turmoil: the resolution of simulated time.
pub const TICK: Duration = Duration::from_millis(20);

/// The processes of one run.
pub struct World {
    /// The simulation.
    pub sim: turmoil::Sim<'static>,
    /// The source cluster.
    pub source: Broker,
    /// The target cluster.
    pub target: Broker,
    /// Each instance's gate and clock.
    pub instances: Vec<(Gate, SimClock)>,
    /// Restarts of the replicator that clients ask for: how many records to copy again.
    pub restarts: Rc<RefCell<Vec<i64>>>,
    /// Groups whose commit is frozen half-way and that a consumer is to join.
    pub visits: Rc<RefCell<Vec<GroupId>>>,
    /// How many records the replicator copies again after its next start.
    pub again: Rc<Cell<i64>>,
    /// The names used in the run.
    pub names: Names,
}

impl World {
    /// Sets everything up. Nothing has started yet.
    #[must_use]
    pub fn new(scenario: &Scenario) -> Self {
        let names = Names::of(scenario);
        let clusters = names::clusters();
        let (source, target) = clusters_of(scenario, &names, &clusters);
        let mail = Mail::default();
        let mut sim = network(scenario);
        for (host, broker) in [(SOURCE, &source), (TARGET, &target)] {
            let (broker, mail) = (broker.clone(), mail.clone());
            sim.host(host, move || {
                let (broker, mail) = (broker.clone(), mail.clone());
                async move { Ok(broker.run(mail, host).await?) }
            });
        }
        let again = Rc::new(Cell::new(0));
        let replicator = replicator(scenario, &names, &again);
        let its_mail = mail.clone();
        sim.host(REPLICATOR, move || replicator.clone().run(its_mail.clone()));
        let mut jitter = Stream::of(scenario.seed, Concern::Jitter);
        let instances = (0..scenario.shape.instances)
            .map(|number| {
                let instance = instance(scenario, &names, &clusters, number, jitter.any());
                let handles = (instance.gate.clone(), instance.clock.clone());
                let mail = mail.clone();
                let lives = Cell::new(0);
                sim.host(instance_host(number), move || {
                    let mut instance = instance.clone();
                    let life = lives.replace(lives.get() + 1);
                    instance.wiring.member = format!("sprag-{number}-{life}");
                    instance.run(mail.clone())
                });
                handles
            })
            .collect();
        let restarts = Rc::new(RefCell::new(Vec::new()));
        let visits = Rc::new(RefCell::new(Vec::new()));
        let clients = clients(scenario, &names, &target, &restarts, &visits);
        // A host without work would cost time in every step.
        let works = |role: &Role| {
            let visited = *role == Role::Consumers;
            visited || scenario.work.iter().any(|work| Role::of(&work.what) == *role)
        };
        // For the same reason, the roles share one host.
        let roles = Role::ALL.into_iter().filter(works);
        let all: Vec<_> = roles.map(|role| clients.clone().run(role, mail.clone())).collect();
        sim.client(CLIENTS, async move { futures::future::try_join_all(all).await.map(|_| ()) });
        Self { sim, source, target, instances, restarts, visits, again, names }
    }
}

impl World {
    /// Inspects both clusters.
    pub fn look<T>(&self, at: impl FnOnce(Clusters<'_>) -> T) -> T {
        self.source.look(|source| self.target.look(|target| at(Clusters { source, target })))
    }
}

/// Time-outs, scaled down with the length of a run.
#[must_use]
pub fn timing(scenario: &Scenario) -> Timing {
    Timing {
        request: 500,
        transaction: 2_000,
        transaction_call: 3_000,
        session: scenario.rules.session_millis,
    }
}

fn network(scenario: &Scenario) -> turmoil::Sim<'static> {
    let network = &scenario.network;
    turmoil::Builder::new()
        .rng_seed(Stream::of(scenario.seed, Concern::Network).any())
        .epoch(SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000))
        .tick_duration(TICK)
        .simulation_duration(Duration::from_secs(3_600))
        .min_message_latency(Duration::from_millis(1))
        .max_message_latency(Duration::from_millis(network.latency_millis))
        .fail_rate(f64::from(network.lost) / 10_000.0)
        .udp_capacity(100_000)
        .enable_random_order()
        .build()
}

fn clusters_of(
    scenario: &Scenario,
    names: &Names,
    ids: &(ClusterId, ClusterId),
) -> (Broker, Broker) {
    let version = if scenario.shape.classic { Version::V3_9 } else { Version::V4_3 };
    let cluster = |id| Cluster::of_version(id, version);
    let (mut source, mut target) = (cluster(&ids.0), cluster(&ids.1));
    let shape = &scenario.shape;
    for (from, to) in &names.topics {
        create(&mut source, from, shape.partitions);
        create(&mut target, to, shape.partitions);
    }
    let mapping_partitions = match shape.publisher {
        Publisher::Dense => shape.mapping_partitions,
        Publisher::Sparse { .. } => 1,
    };
    create(&mut target, &names.mapping_topic, mapping_partitions);
    create(&mut target, &names.fence_topic, shape.shards);
    if let Some(retention) = scenario.rules.retention_millis {
        target.expire_after(Duration::from_millis(retention));
    }
    (Broker::new(source, shape.brokers.0), Broker::new(target, shape.brokers.1))
}

fn create(cluster: &mut Cluster, topic: &TopicName, partitions: i32) {
    let request = Request::CreateTopic { topic: topic.clone(), partitions };
    let created = cluster.handle(Instant::from_millis(0), &Rc::from(""), request);
    assert!(matches!(created, Response::Created(_)), "{topic}: {created:?}");
}

fn replicator(scenario: &Scenario, names: &Names, again: &Rc<Cell<i64>>) -> Replicator {
    Replicator {
        source: SOURCE.to_owned(),
        target: TARGET.to_owned(),
        topics: names.topics.clone(),
        partitions: scenario.shape.partitions,
        mapping_topic: names.mapping_topic.clone(),
        mapping_partitions: scenario.shape.mapping_partitions,
        publisher: scenario.shape.publisher,
        timing: timing(scenario),
        epoch: Rc::new(Cell::new(0)),
        again: Rc::clone(again),
    }
}

fn clients(
    scenario: &Scenario,
    names: &Names,
    target: &Broker,
    restarts: &Rc<RefCell<Vec<i64>>>,
    visits: &Rc<RefCell<Vec<GroupId>>>,
) -> Clients {
    Clients {
        source: SOURCE.to_owned(),
        target: TARGET.to_owned(),
        target_broker: target.clone(),
        topics: names.topics.clone(),
        partitions: scenario.shape.partitions,
        groups: names.groups.clone(),
        mappings: (names.mapping_topic.clone(), scenario.shape.mapping_partitions),
        publisher: scenario.shape.publisher,
        restart_replicator: Rc::clone(restarts),
        visits: Rc::clone(visits),
        classic: scenario.shape.classic,
        timing: timing(scenario),
        positions: Rc::default(),
        work: scenario.work.clone(),
    }
}

fn instance(
    scenario: &Scenario,
    names: &Names,
    clusters: &(ClusterId, ClusterId),
    number: usize,
    jitter_seed: u64,
) -> Instance {
    let (policy, gate) = (policy(scenario), Gate::default());
    let wiring = Wiring {
        source: SOURCE.to_owned(),
        target: TARGET.to_owned(),
        brokers: scenario.shape.brokers,
        mapping_on_source: false,
        mapping_topic: names.mapping_topic.clone(),
        mapping_format: match scenario.shape.publisher {
            Publisher::Dense => Format::Native,
            Publisher::Sparse { .. } => syncs(),
        },
        fence_topic: names.fence_topic.clone(),
        coordination_group: GroupId::from(format!("sprag.{PIPELINE}").as_str()),
        member: String::new(),
        transactional_prefix: format!("sprag.{}", names.pipeline),
        mode: policy.commit_mode,
        timing: timing(scenario),
        gate: gate.clone(),
    };
    Instance {
        number,
        gate,
        clock: SimClock::default(),
        policy,
        wiring,
        clusters: clusters.clone(),
        jitter_seed,
    }
}

/// Sprag's configuration in this run.
#[must_use]
pub fn policy(scenario: &Scenario) -> Policy {
    let rules = &scenario.rules;
    let groups = Policy::for_pipeline(PIPELINE).groups;
    let groups = groups.clone().excluding(PROGRESS).unwrap_or(groups);
    Policy {
        commit_mode: if rules.guarded { CommitMode::Guarded } else { CommitMode::Fenced },
        on_foreign_commit: match rules.on_foreign {
            OnForeign::Hold => OnForeignCommit::Hold,
            OnForeign::ForwardOnly => OnForeignCommit::ForwardOnly,
            OnForeign::Overwrite => OnForeignCommit::Overwrite,
        },
        on_correction: match rules.follow_corrections {
            true => OnCorrection::Follow,
            false => OnCorrection::Hold,
        },
        on_source_rewind: match rules.follow_rewinds {
            true => OnSourceRewind::Follow,
            false => OnSourceRewind::Hold,
        },
        on_below_first_mapping: match rules.from_log_start {
            true => OnBelowFirstMapping::LogStart,
            false => OnBelowFirstMapping::Hold,
        },
        apply_mappings_guard: !rules.guard_off,
        poll_interval: Duration::from_millis(rules.poll_millis),
        confirm_after: Duration::from_millis(rules.confirm_millis),
        refresh_interval: Duration::from_millis(rules.refresh_millis),
        groups,
        ..Policy::for_pipeline(PIPELINE)
    }
}
