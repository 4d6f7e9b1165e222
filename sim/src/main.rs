//! `sprag-sim`: Sprag's core and driver on simulated clusters.

#![allow(clippy::print_stdout, reason = "a command line prints")]

use std::process::ExitCode;
use std::thread;

use clap::{Parser, Subcommand};
use sprag_sim::planted::{PLANTS, SEEDS};
use sprag_sim::run::Outcome;
use sprag_sim::scenario::Scenario;
use sprag_sim::sweep::{run_caught, sweep};

/// Runs Sprag's own core and driver on simulated Kafka clusters.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs many seeds, and stops at the first that breaks an invariant.
    Run {
        /// How many.
        #[arg(long, default_value_t = 1000)]
        seeds: u64,
        /// The first.
        #[arg(long, default_value_t = 1)]
        from: u64,
        /// Print what they reached, and fail where something was not.
        #[arg(long)]
        coverage: bool,
    },
    /// Plants bugs, and prints how many seeds it took until each was caught.
    Planted {
        /// Only those whose name contains this.
        #[arg(long, default_value = "")]
        only: String,
    },
    /// Runs one seed, and prints its scenario first.
    Replay {
        /// The seed.
        #[arg(long)]
        seed: u64,
        /// With the planted bug whose name contains this.
        #[arg(long)]
        plant: Option<String>,
    },
}

/// Exit codes: 1 for a process that ended, 2 for what did not come about at last, 3 for what must
/// never happen.
fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Run { seeds, from, coverage } => {
            let begun = std::time::SystemTime::now();
            let sweep =
                sweep(from, seeds, threads(), |seed| run_caught(&Scenario::of(seed), |_| true));
            let took = begun.elapsed().unwrap_or_default();
            println!(
                "{} seeds from {from} in {:.1} s: {}",
                sweep.good,
                took.as_secs_f64(),
                sweep.counts
            );
            if coverage {
                print!("{}", sweep.coverage);
                println!("missing: {:?}", sweep.coverage.missing());
            }
            match sweep.failed {
                Some((seed, outcome)) => told(seed, &outcome),
                None => ExitCode::SUCCESS,
            }
        }
        Command::Planted { only } => planted(&only),
        Command::Replay { seed, plant } => {
            let plant = plant.and_then(|name| PLANTS.iter().find(|it| it.name.contains(&name)));
            let scenario = plant.map_or_else(|| Scenario::of(seed), |plant| plant.scenario(seed));
            println!("{scenario:#?}");
            let run = || match plant {
                Some(plant) => plant.run(&scenario),
                None => run_caught(&scenario, |_| true),
            };
            let (outcome, lines) = sprag_sim::trace::recorded(run);
            for line in lines {
                println!("{line}");
            }
            told(seed, &outcome)
        }
    }
}

/// Exit code 4 where a bug was not caught in time.
fn planted(only: &str) -> ExitCode {
    let mut missed = 0;
    for plant in PLANTS.iter().filter(|plant| plant.name.contains(only)) {
        let (name, mode, invariant) = (plant.name, plant.mode, format!("{:?}", plant.invariant));
        match plant.hunt(threads()) {
            Some((seed, violation)) => {
                println!(
                    "{seed:>4} seeds  {invariant:<17} {mode:<8} {name}\n                 {violation}"
                );
            }
            None => {
                missed += 1;
                println!("NOT in {SEEDS}  {invariant:<17} {mode:<8} {name}");
            }
        }
    }
    if missed == 0 { ExitCode::SUCCESS } else { ExitCode::from(4) }
}

fn threads() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

fn told(seed: u64, outcome: &Outcome) -> ExitCode {
    match outcome {
        Outcome::Good(counts) => {
            println!("seed {seed}: {counts}");
            ExitCode::SUCCESS
        }
        Outcome::Crash(error) => {
            println!("seed {seed}: a process ended: {error}; sprag-sim replay --seed {seed}");
            ExitCode::from(1)
        }
        Outcome::Broken(violation) => {
            println!("seed {seed}: {violation}; sprag-sim replay --seed {seed}");
            ExitCode::from(if violation.invariant.is_liveness() { 2 } else { 3 })
        }
    }
}
