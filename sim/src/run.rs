//! Runs one scenario, step by step.

use std::time::Duration;

use sprag::core::time::Instant;

use crate::faults::Faults;
use crate::scenario::Scenario;
use crate::world::{TICK, World};

/// How long after the faults have ended everything must have converged.
const PATIENCE: u64 = 90_000;

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing is wrong.
    Good,
    /// A process ended, or panicked.
    Crash(String),
}

/// Runs a scenario to its end.
#[must_use]
pub fn run(scenario: &Scenario) -> Outcome {
    let mut world = World::new(scenario);
    let mut faults = Faults::of(scenario);
    let end = scenario.calm_from + 5_000;
    let _ = PATIENCE;
    let mut now = Instant::from_millis(0);
    while now.as_millis() < end {
        faults.act(&mut world, now);
        if let Err(error) = world.sim.step() {
            return Outcome::Crash(error.to_string());
        }
        now = Instant::from_millis(world.sim.elapsed().as_millis() as u64);
        world.source.pass_time(now);
        world.target.pass_time(now);
        let _ = (TICK, Duration::ZERO);
    }
    if std::env::var_os("SIM_DEBUG").is_some() {
        world.target.look(|cluster| {
            for fact in cluster.history() {
                if !matches!(fact.what, crate::cluster::history::What::Appended { .. }) {
                    println!("{fact:?}");
                }
            }
        });
    }
    Outcome::Good
}
