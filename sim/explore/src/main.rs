//! `sprag-explore`: visits every state of a small world, and tells what it found.

#![allow(clippy::print_stdout, reason = "it is a command")]

use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use sprag::core::policy::CommitMode;
use sprag_explore::budget::Budget;
use sprag_explore::model::World;
use sprag_explore::plant::Plant;
use sprag_explore::told;
use stateright::{Checker, Expectation, Model};

/// Visits every state of a small world around Sprag's core.
#[derive(Parser)]
struct Args {
    /// How offsets are committed.
    #[arg(long, value_enum, default_value = "fenced")]
    mode: Mode,
    /// How much may happen.
    #[arg(long, value_enum, default_value = "full")]
    world: Size,
    /// How many instances there are.
    #[arg(long, default_value_t = 2)]
    instances: usize,
    /// Threads; the traces are the shortest ones with one.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// A bug to plant.
    #[arg(long)]
    plant: Option<String>,
    /// Other amounts, as name=number, separated by commas: ticks=2,lost=0
    #[arg(long)]
    set: Option<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Mode {
    Fenced,
    Guarded,
}

#[derive(Clone, Copy, ValueEnum)]
enum Size {
    Small,
    Full,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let mut budget = match args.world {
        Size::Small => Budget::small(),
        Size::Full => Budget::full(),
    };
    for change in args.set.iter().flat_map(|text| text.split(',')) {
        if let Err(problem) = budget.set(change) {
            println!("--set {change}: {problem}");
            return ExitCode::from(2);
        }
    }
    let mode = match args.mode {
        Mode::Fenced => CommitMode::Fenced,
        Mode::Guarded => CommitMode::Guarded,
    };
    let mut world = World::new(mode, budget);
    world.instances = args.instances;
    if let Some(name) = &args.plant {
        match Plant::ALL.iter().find(|plant| format!("{plant:?}") == *name) {
            Some(plant) => world = world.planted(*plant),
            None => {
                println!("--plant {name}: expected one of {:?}", Plant::ALL);
                return ExitCode::from(2);
            }
        }
    }
    explore(world, args.threads)
}

#[expect(clippy::disallowed_methods, reason = "it tells how long it took")]
fn explore(world: World, threads: usize) -> ExitCode {
    println!("{} instances, {:?}, {:?}", world.instances, world.terms, world.budget);
    let begun = std::time::Instant::now();
    let checker = world.clone().checker().threads(threads).spawn_bfs().join();
    println!(
        "{} states ({} steps), depth {}, {:.1} seconds",
        checker.unique_state_count(),
        checker.state_count(),
        checker.max_depth(),
        begun.elapsed().as_secs_f64()
    );
    let mut failed = false;
    for property in world.properties() {
        let found = checker.discovery(property.name);
        match (&property.expectation, &found) {
            (Expectation::Always, None) => println!("holds in all of them: {}", property.name),
            (Expectation::Always, Some(_)) => {
                failed = true;
                println!("BROKEN: {}", property.name);
            }
            (Expectation::Sometimes, Some(_)) => println!("reached: {}", property.name),
            (Expectation::Sometimes | Expectation::Eventually, None) => {
                failed = true;
                println!("NEVER REACHED: {}", property.name);
            }
            (Expectation::Eventually, Some(_)) => {}
        }
        let Some(path) = found else { continue };
        let states = path.into_vec();
        for (nth, pair) in states.windows(2).enumerate() {
            if let [(before, Some(step)), (after, _)] = pair {
                println!("  {:3}. {}", nth + 1, told::step(before, *step, after));
            }
        }
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
