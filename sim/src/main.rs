//! `sprag-sim`: Sprag's core and driver on simulated clusters.

#![allow(clippy::print_stdout, reason = "a command line prints")]

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use sprag_sim::run::{Counts, Outcome, run};
use sprag_sim::scenario::Scenario;

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
    },
    /// Runs one seed, and prints its scenario first.
    Replay {
        /// The seed.
        #[arg(long)]
        seed: u64,
    },
}

/// Exit codes: 1 for a process that ended, 3 for a broken invariant.
fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Run { seeds, from } => {
            let mut sum = Counts::default();
            for seed in from..from.saturating_add(seeds) {
                match run(&Scenario::of(seed)) {
                    Outcome::Good(counts) => sum.add(counts),
                    bad @ (Outcome::Crash(_) | Outcome::Unsafe(_)) => return told(seed, &bad),
                }
            }
            println!("{seeds} seeds from {from}: {sum}");
            ExitCode::SUCCESS
        }
        Command::Replay { seed } => {
            let scenario = Scenario::of(seed);
            println!("{scenario:#?}");
            told(seed, &run(&scenario))
        }
    }
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
        Outcome::Unsafe(violation) => {
            println!("seed {seed}: {violation}; sprag-sim replay --seed {seed}");
            ExitCode::from(3)
        }
    }
}
