//! `sprag-sim`: Sprag's core and driver on simulated clusters.
//!
//! Exit codes: 0 for good; 1 for a process that ended; 2 for what did not come about at last; 3 for what must
//! never happen; 4 for a planted bug that was not caught, or a sweep or an exploration that did not reach all
//! that it claims; 5 for a run that does not repeat; 64
//! for a command line that means nothing.

#![allow(clippy::print_stdout, reason = "a command line prints")]

mod commands;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

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
    /// Runs one seed: its scenario, its trace, how it ended, and a space-time diagram.
    Replay {
        #[command(flatten)]
        which: Which,
        /// Where the diagram goes; `sprag-sim-SEED.html` if this is left out.
        #[arg(long)]
        html: Option<PathBuf>,
        /// No trace.
        #[arg(long)]
        quiet: bool,
    },
    /// Looks for the smallest scenario that fails as this seed does.
    Shrink {
        #[command(flatten)]
        which: Which,
        /// How often a scenario is run at most.
        #[arg(long, default_value_t = 3000)]
        runs: u32,
    },
    /// Plants bugs, and tells how many seeds it took until each was caught by its invariant.
    Planted {
        /// Only those whose name contains this.
        #[arg(long, default_value = "")]
        only: String,
    },
    /// Visits every state of a small world, or looks for planted bugs there.
    Explore {
        #[command(flatten)]
        which: commands::explore::Which,
    },
    /// Runs seeds in two processes each, and compares all that they leave, line by line.
    Meta {
        /// How many.
        #[arg(long, default_value_t = 5)]
        seeds: u64,
        /// The first.
        #[arg(long, default_value_t = 1)]
        from: u64,
    },
    /// Prints all that one seed leaves: what `meta` compares.
    Transcript {
        /// The seed.
        #[arg(long)]
        seed: u64,
    },
}

/// Which scenario.
#[derive(clap::Args)]
struct Which {
    /// The seed.
    #[arg(long)]
    seed: u64,
    /// With the planted bug whose name contains this, judged by its invariant alone.
    #[arg(long)]
    plant: Option<String>,
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(told) => {
            let is_wrong = told.use_stderr();
            return match told.print() {
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
