//! `sprag-sim`: Sprag's core and driver on simulated clusters.
//!
//! Exit codes: 0: success; 1: a process ended; 2: liveness, something that must happen did not; 3: safety,
//! something that must never happen did; 4: a planted bug was not caught, or a sweep or an exploration did
//! not reach everything that it claims to; 5: a run did not repeat; 64: the command line is invalid.

#![allow(clippy::print_stdout, reason = "a command line prints")]

mod commands;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Runs Sprag's real core and driver on simulated Kafka clusters.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs many seeds and stops at the first one that breaks an invariant.
    Run {
        /// Number of seeds.
        #[arg(long, default_value_t = 1000)]
        seeds: u64,
        /// First seed.
        #[arg(long, default_value_t = 1)]
        from: u64,
        /// Print what the seeds reached, and fail if anything was missed.
        #[arg(long)]
        coverage: bool,
    },
    /// Runs one seed and prints its scenario, trace and outcome. Writes a space-time diagram.
    Replay {
        #[command(flatten)]
        which: Which,
        /// Path of the diagram; `sprag-sim-SEED.html` by default.
        #[arg(long)]
        html: Option<PathBuf>,
        /// Do not print the trace.
        #[arg(long)]
        quiet: bool,
    },
    /// Finds the smallest scenario that fails the same way as this seed.
    Shrink {
        #[command(flatten)]
        which: Which,
        /// Maximum number of runs.
        #[arg(long, default_value_t = 3000)]
        runs: u32,
    },
    /// Plants each bug and prints how many seeds it took until its invariant caught it.
    Planted {
        /// Only bugs whose name contains this text.
        #[arg(long, default_value = "")]
        only: String,
    },
    /// Visits every state of a small world, or looks for planted bugs in it.
    Explore {
        #[command(flatten)]
        which: commands::explore::Which,
    },
    /// Runs each seed in two processes and compares their transcripts line by line.
    Meta {
        /// Number of seeds.
        #[arg(long, default_value_t = 5)]
        seeds: u64,
        /// First seed.
        #[arg(long, default_value_t = 1)]
        from: u64,
    },
    /// Prints the transcript of one seed, which `meta` compares.
    Transcript {
        /// The seed.
        #[arg(long)]
        seed: u64,
    },
}

/// Which scenario to run.
#[derive(clap::Args)]
struct Which {
    /// The seed.
    #[arg(long)]
    seed: u64,
    /// Plants the bug whose name contains this text. Only that bug's invariant is checked.
    #[arg(long)]
    plant: Option<String>,
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let is_wrong = error.use_stderr();
            return match error.print() {
                Ok(()) if !is_wrong => ExitCode::SUCCESS,
                Ok(()) | Err(_) => ExitCode::from(commands::USAGE),
            };
        }
    };
    match arguments.command {
        Command::Run { seeds, from, coverage } => commands::run(seeds, from, coverage),
        Command::Replay { which, html, quiet } => commands::replay(&which, html, quiet),
        Command::Shrink { which, runs } => commands::shrink(&which, runs),
        Command::Planted { only } => commands::planted(&only),
        Command::Explore { which } => commands::explore::explore(&which),
        Command::Meta { seeds, from } => commands::meta(seeds, from),
        Command::Transcript { seed } => {
            print!("{}", sprag_sim::meta::transcript(seed));
            ExitCode::SUCCESS
        }
    }
}
