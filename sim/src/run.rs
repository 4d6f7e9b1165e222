//! Runs one scenario, step by step, and checks every invariant after every step.

use std::fmt;

use sprag::core::time::Instant;

use crate::faults::Faults;
use crate::invariants::{
    Violation, fenced_means_fenced, never_skip, never_stale, never_trample, no_invented_offset,
};
use crate::scenario::{Publisher, Scenario};
use crate::truth::{Ours, Truth};
use crate::world::World;

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing is wrong.
    Good(Counts),
    /// A process ended, or panicked.
    Crash(String),
    /// An invariant was broken.
    Unsafe(Violation),
}

/// What happened in a run, in figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Commits of Sprag's.
    pub commits: u64,
    /// Of them, such as `guarded` mode's documents admit.
    pub guarded_races: u64,
}

impl Counts {
    /// Adds another run's.
    pub fn add(&mut self, other: Self) {
        self.commits += other.commits;
        self.guarded_races += other.guarded_races;
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { commits, guarded_races } = self;
        write!(f, "{commits} commits, {guarded_races} of them races that guarded mode admits")
    }
}

/// Runs a scenario to its end.
#[must_use]
pub fn run(scenario: &Scenario) -> Outcome {
    let mut world = World::new(scenario);
    let mut faults = Faults::of(scenario);
    let mut truth = Truth::new(scenario, &world.names);
    let end = scenario.calm_from + 5_000;
    let (mut now, mut counts) = (Instant::from_millis(0), Counts::default());
    while now.as_millis() < end {
        faults.act(&mut world, now);
        if let Err(error) = world.sim.step() {
            return Outcome::Crash(error.to_string());
        }
        now = Instant::from_millis(world.sim.elapsed().as_millis() as u64);
        world.source.pass_time(now);
        world.target.pass_time(now);
        let mut broken = None;
        truth.learn(&world, |truth, ours| {
            counts.commits += 1;
            counts.guarded_races += u64::from(truth.is_guarded_race(ours));
            if broken.is_none() {
                broken = check(scenario, truth, &world, ours);
            }
        });
        if let Some(violation) = broken {
            return Outcome::Unsafe(violation);
        }
    }
    Outcome::Good(counts)
}

fn check(scenario: &Scenario, truth: &Truth, world: &World, ours: &Ours) -> Option<Violation> {
    let dense = scenario.shape.publisher == Publisher::Dense;
    never_stale::check(truth, ours)
        .or_else(|| never_trample::check(truth, ours))
        .or_else(|| fenced_means_fenced::check(truth, ours))
        .or_else(|| no_invented_offset::check(truth, world, ours))
        .or_else(|| never_skip::check(world, ours).filter(|_| dense))
}
