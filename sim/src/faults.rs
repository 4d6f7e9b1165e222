//! Applies the faults of a scenario between the steps of the simulation. What is broken is computed from
//! the scenario and compared with what was broken before, so faults may overlap.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sprag_core::ids::BrokerId;
use sprag_core::time::Instant;

use crate::coverage::{Kind, reached};
use crate::gate::Sprung;
use crate::hosts::broker::Failing;
use crate::hosts::brokers::Trouble;
use crate::names::{REPLICATOR, SOURCE, TARGET, instance_host};
use crate::scenario::brokers::{Broken, BrokerFault};
use crate::scenario::{Fault, FrozenClock, Scenario, Side};
use crate::trace::{self, What};
use crate::wire::{Error, Partition};
use crate::world::World;

/// The faults of a run, and which of them are active.
pub struct Faults {
    scenario: Scenario,
    now: State,
    /// Traps that were armed, by the number of their fault.
    set: BTreeSet<usize>,
    /// Instances that stepped into a trap, and until when they stay frozen, in milliseconds.
    trapped: BTreeMap<usize, u64>,
    /// When each frozen instance was frozen.
    frozen_since: BTreeMap<usize, Instant>,
    calm: bool,
}

/// What is broken at a given time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct State {
    /// The frozen instances, and whether their clock stands still.
    frozen: BTreeMap<usize, bool>,
    down: BTreeSet<usize>,
    cut: BTreeSet<(usize, Side)>,
    slow: BTreeMap<Side, u64>,
    losing: BTreeSet<Side>,
    /// The faulty brokers, and whether others have taken their place.
    brokers: BTreeMap<(Side, BrokerId), (Trouble, bool)>,
    /// How late requests of transactions are, in milliseconds.
    late: Option<u64>,
    /// Whether former coordinators mislead, and whether connections to them have broken since.
    former_coordinators: Option<(bool, bool)>,
    stale_ends: bool,
    lagging_leaders: bool,
    /// Clusters that do not describe their replicated topics.
    unread: BTreeSet<Side>,
    /// Mapping partitions that cannot be read, and whether their log end offsets cannot be read either.
    failing: BTreeMap<i32, bool>,
}

impl Faults {
    /// The faults of this scenario.
    #[must_use]
    pub fn of(scenario: &Scenario) -> Self {
        Self {
            scenario: scenario.clone(),
            now: State::default(),
            set: BTreeSet::new(),
            trapped: BTreeMap::new(),
            frozen_since: BTreeMap::new(),
            calm: false,
        }
    }

    /// Starts and ends the faults that are due.
    pub fn act(&mut self, world: &mut World, now: Instant) {
        let millis = now.as_millis();
        if millis == 0 && self.scenario.network.lost > 0 {
            reached(Kind::Fault, "Lost messages");
        }
        self.spring_traps(world, millis);
        let wanted = self.broken_at(millis);
        if wanted != self.now {
            let before = std::mem::replace(&mut self.now, wanted.clone());
            record_changes(&before, &wanted);
            self.change_processes(world, now, &before, &wanted);
            change_network(world, &before, &wanted);
            change_clusters(world, now, &before, &wanted);
        }
        if !self.calm && millis >= self.scenario.calm_from {
            self.calm = true;
            world.sim.set_fail_rate(0.0);
            world.instances.iter().for_each(|(gate, _)| gate.disarm());
        }
        let restarts = std::mem::take(&mut *world.restarts.borrow_mut());
        for again in restarts {
            world.again.set(again);
            trace::record(REPLICATOR, || What::Down);
            world.sim.bounce(REPLICATOR);
            trace::record(REPLICATOR, || What::Up);
        }
    }

    /// Arms the traps whose time has come, and notes which instance stepped into one.
    fn spring_traps(&mut self, world: &World, millis: u64) {
        for (nth, fault) in self.scenario.faults.iter().enumerate() {
            if let Fault::FreezeAtCommit { instance, step, lasts, visited } = &fault.what
                && let Some((gate, _)) = world.instances.get(*instance)
                && fault.at <= millis
                && self.set.insert(nth)
            {
                gate.arm(*step, *lasts, *visited);
            }
        }
        for (instance, (gate, _)) in world.instances.iter().enumerate() {
            if let Some(Sprung { step, lasts, visited, group }) = gate.sprung() {
                let until = (millis + lasts).min(self.scenario.calm_from);
                self.trapped.insert(instance, until);
                reached(Kind::Fault, &format!("FreezeAtCommit {step:?}"));
                if visited {
                    reached(Kind::Fault, "Visit");
                    world.visits.borrow_mut().push(group);
                }
            }
        }
        self.trapped.retain(|_, until| *until > millis);
    }

    fn broken_at(&self, millis: u64) -> State {
        let mut broken = State::default();
        for instance in self.trapped.keys() {
            broken.frozen.insert(*instance, false);
        }
        let faults = self.scenario.faults.iter();
        for fault in
            faults.filter(|fault| (fault.at..fault.at + fault.what.lasts()).contains(&millis))
        {
            match &fault.what {
                Fault::FreezeAtCommit { .. } => {}
                Fault::Freeze { instance, clock, .. } => {
                    broken.frozen.insert(*instance, *clock == FrozenClock::Stands);
                }
                Fault::Crash { instance, .. } => {
                    broken.down.insert(*instance);
                }
                Fault::Cut { instance, cluster, .. } => {
                    broken.cut.insert((*instance, *cluster));
                }
                Fault::Slow { cluster, by, .. } => {
                    broken.slow.insert(*cluster, *by);
                }
                Fault::LoseAnswers { cluster, .. } => {
                    broken.losing.insert(*cluster);
                }
                Fault::LateRequests { by, .. } => broken.late = Some(*by),
                Fault::FormerCoordinator { misleads, lasts } => {
                    let late = millis >= fault.at + lasts / 2;
                    broken.former_coordinators = Some((*misleads, *misleads && late));
                }
                Fault::Broker(BrokerFault { cluster, broker, how, .. }) => {
                    let trouble = trouble(*how, millis - fault.at);
                    broken.brokers.insert((*cluster, BrokerId(*broker)), trouble);
                }
                Fault::StaleEnds { .. } => broken.stale_ends = true,
                Fault::LaggingLeaders { .. } => broken.lagging_leaders = true,
                Fault::TopicsUnread { cluster, .. } => {
                    broken.unread.insert(*cluster);
                }
                Fault::MappingPartitionFails { partition, ends_too, .. } => {
                    *broken.failing.entry(*partition).or_default() |= *ends_too;
                }
            }
        }
        broken
    }

    fn change_processes(&mut self, world: &mut World, now: Instant, was: &State, is: &State) {
        for (instance, (gate, clock)) in world.instances.iter().enumerate() {
            match (was.frozen.get(&instance), is.frozen.get(&instance)) {
                (None, Some(stands)) => {
                    let clock = if *stands { "Stands" } else { "Moves" };
                    if !self.trapped.contains_key(&instance) {
                        reached(Kind::Fault, &format!("Freeze {clock}"));
                    }
                    let clock = clock.to_owned();
                    trace::record(&instance_host(instance), || What::Frozen { clock });
                    gate.close();
                    self.frozen_since.insert(instance, now);
                }
                (Some(stood), None) => {
                    if let Some(since) = self.frozen_since.remove(&instance).filter(|_| *stood) {
                        clock.stood_still(now.since(since));
                    }
                    trace::record(&instance_host(instance), || What::Thawed);
                    gate.open();
                }
                (None, None) | (Some(_), Some(_)) => {}
            }
        }
        for instance in is.down.difference(&was.down) {
            reached(Kind::Fault, "Crash");
            trace::record(&instance_host(*instance), || What::Down);
            world.sim.crash(instance_host(*instance));
        }
        for instance in was.down.difference(&is.down) {
            trace::record(&instance_host(*instance), || What::Up);
            world.sim.bounce(instance_host(*instance));
        }
    }
}

/// Records which faults begin and end. Coverage of most cluster faults is counted in
/// [`crate::hosts::broker`].
fn record_changes(was: &State, is: &State) {
    let record = |host: &str, begins: bool, says: &str| {
        trace::record(host, || What::Fault { begins, says: says.to_owned() });
    };
    for (instance, side) in is.cut.symmetric_difference(&was.cut) {
        let begins = is.cut.contains(&(*instance, *side));
        if begins {
            reached(Kind::Fault, &format!("Cut {side:?}"));
        }
        record(&instance_host(*instance), begins, &format!("Cut {side:?}"));
    }
    for (side, at) in was.brokers.keys().chain(is.brokers.keys()) {
        let (before, now) = (was.brokers.get(&(*side, *at)), is.brokers.get(&(*side, *at)));
        if before != now {
            record(host(*side), now.is_some(), &format!("Broker {at}: {now:?}"));
        }
    }
    for side in [Side::Source, Side::Target] {
        let (before, now) = (was.slow.contains_key(&side), is.slow.contains_key(&side));
        if before != now {
            record(host(side), now, &format!("Slow {side:?}"));
        }
        let (before, now) = (was.losing.contains(&side), is.losing.contains(&side));
        if before != now {
            record(host(side), now, &format!("LoseAnswers {side:?}"));
        }
    }
    if was.late != is.late {
        record(TARGET, is.late.is_some(), "LateRequests");
    }
    if was.former_coordinators.is_some() != is.former_coordinators.is_some() {
        record(SOURCE, is.former_coordinators.is_some(), "FormerCoordinator");
    }
    if was.stale_ends != is.stale_ends {
        record(TARGET, is.stale_ends, "StaleEnds");
    }
    if was.lagging_leaders != is.lagging_leaders {
        record(TARGET, is.lagging_leaders, "LaggingLeaders");
    }
    for side in was.unread.symmetric_difference(&is.unread) {
        record(host(*side), is.unread.contains(side), "TopicsUnread");
    }
    for partition in 0..2 {
        let (before, now) = (was.failing.get(&partition), is.failing.get(&partition));
        if before != now {
            record(TARGET, now.is_some(), "MappingPartitionFails");
        }
    }
}

fn host(side: Side) -> &'static str {
    match side {
        Side::Source => SOURCE,
        Side::Target => TARGET,
    }
}

fn change_network(world: &mut World, was: &State, is: &State) {
    for (instance, side) in is.cut.difference(&was.cut) {
        world.sim.partition(instance_host(*instance), host(*side));
    }
    for (instance, side) in was.cut.difference(&is.cut) {
        world.sim.repair(instance_host(*instance), host(*side));
    }
}

/// The trouble of a broker `since` milliseconds after it began, and whether others have taken its place.
fn trouble(how: Broken, since: u64) -> (Trouble, bool) {
    match how {
        Broken::Slow { by } => (Trouble::Slow(Duration::from_millis(by)), false),
        Broken::Silent => (Trouble::Silent, false),
        Broken::Gone { elected_after } => (Trouble::Silent, since >= elected_after),
        Broken::Unreachable => (Trouble::Unreachable, false),
    }
}

fn change_brokers(world: &World, now: Instant, was: &State, is: &State) {
    for (side, cluster) in [(Side::Source, &world.source), (Side::Target, &world.target)] {
        let of_side = is.brokers.iter().filter(|((of, _), _)| *of == side);
        let trouble = of_side.map(|((_, broker), (trouble, _))| (*broker, *trouble));
        cluster.trouble(now, trouble.collect());
    }
    for ((side, broker), (_, elected)) in &is.brokers {
        let before = was.brokers.get(&(*side, *broker)).is_some_and(|(_, elected)| *elected);
        if *elected && !before {
            reached(Kind::Fault, "Election");
            match side {
                Side::Source => world.source.elect(now, *broker),
                Side::Target => world.target.elect(now, *broker),
            }
        }
    }
}

fn change_clusters(world: &mut World, now: Instant, was: &State, is: &State) {
    for (side, broker) in [(Side::Source, &world.source), (Side::Target, &world.target)] {
        let by = is.slow.get(&side).copied().unwrap_or_default();
        broker.slow_by(Duration::from_millis(by));
        broker.lose_answers(is.losing.contains(&side));
    }
    if was.brokers != is.brokers {
        change_brokers(world, now, was, is);
    }
    world.target.late_by(is.late.map(Duration::from_millis));
    match (was.former_coordinators, is.former_coordinators) {
        (None, Some((misleads, _))) => world.source.move_coordinators(now, misleads),
        (Some(_), None) => world.source.settle_coordinators(),
        (Some((_, false)), Some((true, true))) => {
            let instances = 0..world.instances.len();
            world.source.break_connections(now, instances.map(instance_host));
        }
        (None, None) | (Some(_), Some(_)) => {}
    }
    match (was.stale_ends, is.stale_ends) {
        (false, true) => world.target.stale_ends(&world.names.mapping_topic),
        (true, false) => world.target.true_ends(),
        (false, false) | (true, true) => {}
    }
    let (from, to): (BTreeSet<_>, BTreeSet<_>) = world.names.topics.iter().cloned().unzip();
    match (was.lagging_leaders, is.lagging_leaders) {
        (false, true) => world.target.lag(to.clone()),
        (true, false) => world.target.catch_up(),
        (false, false) | (true, true) => {}
    }
    for (side, broker, topics) in
        [(Side::Source, &world.source, from), (Side::Target, &world.target, to)]
    {
        let unread = is.unread.contains(&side);
        broker.leave_undescribed(if unread { topics } else { BTreeSet::new() });
    }
    let at = |partition: &i32| Partition {
        topic: world.names.mapping_topic.clone(),
        partition: *partition,
    };
    for partition in was.failing.keys().filter(|it| !is.failing.contains_key(it)) {
        world.target.fail_partition(&at(partition), None);
    }
    for (partition, ends_too) in &is.failing {
        let how = Failing { error: Error::NotCoordinator, ends_too: *ends_too };
        world.target.fail_partition(&at(partition), Some(how));
    }
}
