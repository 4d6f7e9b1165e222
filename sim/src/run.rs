//! Runs one scenario step by step. Safety invariants are checked after every step, liveness once all faults
//! have ended.

use std::fmt;
use std::time::Duration;

use sprag_core::time::Instant;

use crate::cluster::history::{Fact, What as Happened};
use crate::faults::Faults;
use crate::invariants::isolated::{Isolated, Look};
use crate::invariants::sparing::Sparing;
use crate::invariants::{
    Invariant, Violation, converges, exact, fenced_means_fenced, isolated, never_skip, never_stale,
    never_trample, no_invented_offset, no_needless_rewind, replays, settled, stands_down,
    truthful::Unreported, verified,
};
use crate::listener::{self, Listener};
use crate::names::{SOURCE, TARGET};
use crate::scenario::{Publisher, Scenario};
use crate::trace::{self, What};
use crate::truth::{Clusters, Ours, Truth};
use crate::world::{World, timing};

/// How long a run continues at least after its last fault. A fenced instance must stop in this time.
const SETTLES: Duration = Duration::from_secs(8);
/// Time to converge after the last fault. It is longer than the longest back-off.
const CONVERGES: Duration = Duration::from_secs(120);
/// How often convergence is checked, in milliseconds.
const LOOK: u64 = 1_000;

/// The outcome of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// No invariant was broken.
    Good(Counts),
    /// A process ended, or panicked.
    Crash(String),
    /// An invariant was broken.
    Broken(Violation),
}

/// Figures about a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Commits of Sprag.
    pub commits: u64,
    /// How many of them the documents of `guarded` mode admit.
    pub guarded_races: u64,
    /// How many of them raced a foreign transaction, which the documents admit.
    pub transaction_races: u64,
    /// Simulated milliseconds.
    pub millis: u64,
    /// Partitions of groups that converged.
    pub converged: u64,
}

impl Counts {
    /// Adds the counts of another run.
    pub fn add(&mut self, other: Self) {
        self.commits += other.commits;
        self.guarded_races += other.guarded_races;
        self.transaction_races += other.transaction_races;
        self.millis += other.millis;
        self.converged += other.converged;
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { commits, guarded_races, transaction_races, millis, converged } = self;
        write!(
            f,
            "{commits} commits, {guarded_races} of them races that guarded mode admits, \
             {transaction_races} races with foreign transactions, which the documents admit; \
             {converged} group-partitions converged; {} simulated seconds",
            millis / 1_000
        )
    }
}

/// Runs a scenario to its end.
#[must_use]
pub fn run(scenario: &Scenario) -> Outcome {
    run_for(scenario, |_| true)
}

/// Runs a scenario to its end and judges only by the invariants that are `wanted`.
pub fn run_for(scenario: &Scenario, wanted: impl Fn(Invariant) -> bool) -> Outcome {
    trace::passed(0);
    listener::forget();
    Listener::hears(|| {
        let outcome = Run::new(scenario, &wanted).finish();
        if let Outcome::Broken(violation) = &outcome {
            let says = violation.to_string();
            trace::record_at(violation.time.as_millis(), TARGET, What::Violation { says });
        }
        outcome
    })
}

struct Run<'a> {
    scenario: &'a Scenario,
    wanted: &'a dyn Fn(Invariant) -> bool,
    world: World,
    faults: Faults,
    truth: Truth,
    now: Instant,
    counts: Counts,
    unreported: Unreported,
    /// Set if the scenario's only faults are those of brokers.
    isolated: Option<Isolated>,
    sparing: Sparing,
    /// How much of each cluster's history is in the trace.
    recorded: (usize, usize),
}

impl<'a> Run<'a> {
    fn new(scenario: &'a Scenario, wanted: &'a dyn Fn(Invariant) -> bool) -> Self {
        let world = World::new(scenario);
        Self {
            scenario,
            wanted,
            faults: Faults::of(scenario),
            truth: Truth::new(scenario, &world.names),
            world,
            now: Instant::from_millis(0),
            counts: Counts::default(),
            unreported: Unreported::default(),
            isolated: isolated::is_judged(scenario).then(Isolated::default),
            sparing: Sparing::default(),
            recorded: (0, 0),
        }
    }

    fn finish(mut self) -> Outcome {
        let calm = Instant::from_millis(self.scenario.calm_from);
        let mut look = calm + SETTLES;
        loop {
            match self.step() {
                Err(error) => return Outcome::Crash(error),
                Ok(Some(violation)) => return Outcome::Broken(violation),
                Ok(None) => {}
            }
            if let Some(violation) =
                stands_down::check(&self.truth, calm).filter(|it| self.is_wanted(it))
            {
                return Outcome::Broken(violation);
            }
            if self.now >= look {
                look = self.now + Duration::from_millis(LOOK);
                match self.unsettled() {
                    Ok(converged) => {
                        self.counts.converged = converged;
                        self.counts.millis = self.now.as_millis();
                        return Outcome::Good(self.counts);
                    }
                    Err(violation) if self.now >= calm + CONVERGES => {
                        return Outcome::Broken(violation);
                    }
                    Err(_) => {}
                }
            }
        }
    }

    /// Takes one step of the simulation. Returns the invariant that it broke, if any.
    fn step(&mut self) -> Result<Option<Violation>, String> {
        self.faults.act(&mut self.world, self.now);
        self.world.sim.step().map_err(|error| error.to_string())?;
        self.now = Instant::from_millis(self.world.sim.elapsed().as_millis() as u64);
        trace::passed(self.now.as_millis());
        self.world.source.pass_time(self.now);
        self.world.target.pass_time(self.now);
        if trace::is_on() {
            self.record_facts();
        }
        let Self { scenario, wanted, world, truth, counts, unreported, sparing, .. } = self;
        let (mut broken, mut over) = (None, Vec::new());
        let learn = |clusters: Clusters<'_>| {
            truth.learn(clusters, |truth, ours| {
                counts.commits += 1;
                unreported.learn(ours);
                over.push((ours.clone(), replays::over(scenario, truth, ours)));
                counts.guarded_races += u64::from(truth.is_guarded_race(ours));
                counts.transaction_races += u64::from(truth.is_transactions_race(ours));
                if broken.is_none() {
                    broken = check(scenario, truth, clusters, ours, *wanted);
                }
                let early = sparing.check(scenario, truth, ours);
                broken = broken.take().or(early.filter(|it| wanted(it.invariant)));
            })
        };
        world.look(learn);
        for (ours, below) in over {
            truth.replays_over.learn(&ours, below);
        }
        for (from, group, at, offset) in truth.superseded.drain(..) {
            unreported.add((from, group, at), offset);
        }
        for report in listener::reports() {
            let untrue = unreported.check(&report);
            broken = broken.or(untrue.filter(|it| wanted(it.invariant)));
        }
        Ok(broken.or_else(|| self.delayed()).or_else(|| self.wasted()))
    }

    /// Whether an instance asked or logged too often.
    fn wasted(&mut self) -> Option<Violation> {
        self.sparing.add(SOURCE, self.world.source.take_asked());
        self.sparing.add(TARGET, self.world.target.take_asked());
        self.sparing.add("log", listener::logged());
        self.sparing.look(self.scenario, self.now).filter(|it| (self.wanted)(it.invariant))
    }

    /// Whether a faulty broker delays a group that does not need it.
    fn delayed(&mut self) -> Option<Violation> {
        let Self { scenario, truth, world, now, isolated, wanted, .. } = self;
        let isolated = isolated.as_mut().filter(|_| wanted(Invariant::Isolated))?;
        let timing = timing(scenario);
        world.look(|clusters| {
            world.source.brokers(|source| {
                world.target.brokers(|target| {
                    let brokers = (source, target);
                    isolated.look(Look { scenario, truth, clusters, brokers, timing, now: *now })
                })
            })
        })
    }

    fn is_wanted(&self, violation: &Violation) -> bool {
        (self.wanted)(violation.invariant)
    }

    /// The number of partitions that have converged, or why one has not.
    fn unsettled(&self) -> Result<u64, Violation> {
        let settled = self.world.look(|it| settled::settled(self.scenario, &self.truth, it));
        let dense = self.scenario.shape.publisher == Publisher::Dense
            && !settled::loses_mappings(self.scenario);
        for one in &settled {
            let late = converges::check(self.now, one).filter(|it| self.is_wanted(it));
            let again = || {
                let exact = |target: &_| exact::check(self.now, one, target);
                self.world.target.look(exact).filter(|it| dense && self.is_wanted(it))
            };
            if let Some(violation) = late.or_else(again) {
                return Err(violation);
            }
        }
        Ok(settled.len() as u64)
    }

    fn record_facts(&mut self) {
        let mut recorded = self.recorded;
        for (host, broker, seen) in [
            (SOURCE, &self.world.source, &mut recorded.0),
            (TARGET, &self.world.target, &mut recorded.1),
        ] {
            broker.look(|cluster| {
                for fact in &cluster.history()[*seen..] {
                    trace::record_at(fact.at.as_millis(), host, line_of(fact));
                }
                *seen = cluster.history().len();
            });
        }
        self.recorded = recorded;
    }
}

/// A fact as a line of the trace.
fn line_of(fact: &Fact) -> What {
    let says = format!("{:?}", fact.what);
    match &fact.what {
        Happened::Offset { change, .. }
            if change
                .after
                .as_ref()
                .is_some_and(|after| crate::truth::stamp_of(after).is_some()) =>
        {
            What::Committed { says }
        }
        Happened::Offset { .. }
        | Happened::Pending { .. }
        | Happened::Appended { .. }
        | Happened::Fencing { .. }
        | Happened::Refused { .. }
        | Happened::Looked { .. }
        | Happened::Peeked { .. }
        | Happened::Superseded { .. }
        | Happened::Joined { .. }
        | Happened::Left { .. }
        | Happened::Created { .. }
        | Happened::Trimmed { .. } => What::Fact { says },
    }
}

fn check(
    scenario: &Scenario,
    truth: &Truth,
    clusters: Clusters<'_>,
    ours: &Ours,
    wanted: &dyn Fn(Invariant) -> bool,
) -> Option<Violation> {
    let checks: [&dyn Fn() -> Option<Violation>; 8] = [
        &|| never_stale::check(truth, ours),
        &|| no_needless_rewind::check(scenario, truth, clusters, ours),
        &|| never_trample::check(truth, ours),
        &|| fenced_means_fenced::check(truth, ours),
        &|| verified::check(ours),
        &|| no_invented_offset::check(scenario, truth, clusters, ours),
        &|| replays::check(scenario, truth, clusters, ours),
        &|| never_skip::check(clusters.target, ours).filter(|_| never_skip::is_promised(scenario)),
    ];
    checks.iter().find_map(|check| check().filter(|it| wanted(it.invariant)))
}
