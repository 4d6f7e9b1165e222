//! `explore`: visits every state of a small world and prints what was found.

use std::process::ExitCode;

use clap::ValueEnum;
use sprag_core::policy::CommitMode;
use sprag_explore::budget::Budget;
use sprag_explore::model::{State, Step, World};
use sprag_explore::plant::Plant;
use sprag_explore::plant_worlds::{broken_by, smallest};
use sprag_explore::wording;
use stateright::{Checker, Expectation, HasDiscoveries, Model, Path};

use super::{SAFETY, Stopwatch, UNPROVEN, USAGE};

/// Which world, or all planted bugs.
#[derive(clap::Args)]
pub(crate) struct Which {
    /// How offsets are committed.
    #[arg(long, value_enum, default_value = "fenced")]
    mode: Mode,
    /// The world, which determines what may happen.
    #[arg(long, value_enum, default_value = "full")]
    world: Size,
    /// Number of instances.
    #[arg(long, default_value_t = 2)]
    instances: usize,
    /// Number of threads. The printed traces are shortest ones only with one thread.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Other amounts, as name=number, separated by commas: ticks=2,lost=0
    #[arg(long)]
    set: Option<String>,
    /// A bug to plant, or `all` for each one in the smallest world in which it shows.
    #[arg(long)]
    plant: Option<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Mode {
    Fenced,
    Guarded,
}

#[derive(Clone, Copy, ValueEnum)]
enum Size {
    Small,
    Late,
    Mappings,
    Full,
}

/// Visits every state of a world.
pub(crate) fn explore(which: &Which) -> ExitCode {
    if which.plant.as_deref() == Some("all") {
        return planted();
    }
    match world(which) {
        Ok(world) => visit(world, which.threads),
        Err(problem) => {
            println!("{problem}");
            ExitCode::from(USAGE)
        }
    }
}

fn world(which: &Which) -> Result<World, String> {
    let mut budget = match which.world {
        Size::Small => Budget::small(),
        Size::Late => Budget::late(),
        Size::Mappings => Budget::mappings(),
        Size::Full => Budget::full(),
    };
    for change in which.set.iter().flat_map(|text| text.split(',')) {
        budget.set(change).map_err(|problem| format!("--set {change}: {problem}"))?;
    }
    let mode = match which.mode {
        Mode::Fenced => CommitMode::Fenced,
        Mode::Guarded => CommitMode::Guarded,
    };
    let mut world = World::new(mode, budget);
    world.instances = which.instances;
    if let Some(name) = &which.plant {
        let plant = Plant::ALL.iter().find(|plant| format!("{plant:?}") == *name);
        let expected =
            || format!("--plant {name}: unknown plant; expected all, or one of {:?}", Plant::ALL);
        world = world.planted(*plant.ok_or_else(expected)?);
    }
    Ok(world)
}

fn visit(world: World, threads: usize) -> ExitCode {
    println!("{} instances, {:?}, {:?}", world.instances, world.terms, world.budget);
    let stopwatch = Stopwatch::started();
    let checker = world.clone().checker().threads(threads).spawn_bfs().join();
    println!(
        "{} states ({} steps), depth {}, {:.1} seconds",
        checker.unique_state_count(),
        checker.state_count(),
        checker.max_depth(),
        stopwatch.elapsed().as_secs_f64()
    );
    let (mut broken, mut unreached) = (false, false);
    for property in world.properties() {
        let found = checker.discovery(property.name);
        match (&property.expectation, &found) {
            (Expectation::Always, None) => println!("holds in every state: {}", property.name),
            (Expectation::Always, Some(_)) => {
                broken = true;
                println!("BROKEN: {}", property.name);
            }
            (Expectation::Sometimes, Some(_)) => println!("reached: {}", property.name),
            (Expectation::Sometimes | Expectation::Eventually, None) => {
                unreached = true;
                println!("NEVER REACHED: {}", property.name);
            }
            (Expectation::Eventually, Some(_)) => {}
        }
        if let Some(path) = found {
            print_steps(path);
        }
    }
    match (broken, unreached) {
        (true, _) => ExitCode::from(SAFETY),
        (false, true) => ExitCode::from(UNPROVEN),
        (false, false) => ExitCode::SUCCESS,
    }
}

/// Runs each planted bug and prints the promise that it breaks, with a shortest trace.
fn planted() -> ExitCode {
    let stopwatch = Stopwatch::started();
    let mut missed = 0;
    for plant in Plant::ALL {
        let world = smallest(plant);
        let checker =
            world.clone().checker().finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
        let promises = broken_by(plant).iter();
        let found = promises.filter_map(|name| Some((name, checker.discovery(name)?)));
        match found.min_by_key(|(_, path)| path.clone().into_actions().len()) {
            Some((promise, path)) => {
                println!("{plant:?} breaks {promise}:");
                print_steps(path);
            }
            None => {
                missed += 1;
                println!("MISSED: {plant:?} should break one of {:?}", broken_by(plant));
            }
        }
    }
    let seconds = stopwatch.elapsed().as_secs_f64();
    println!("{missed} of {} planted bugs were not found; {seconds:.1} s", Plant::ALL.len());
    if missed == 0 { ExitCode::SUCCESS } else { ExitCode::from(UNPROVEN) }
}

fn print_steps(path: Path<State, Step>) {
    let states = path.into_vec();
    for (nth, pair) in states.windows(2).enumerate() {
        if let [(before, Some(step)), (after, _)] = pair {
            println!("  {:3}. {}", nth + 1, wording::step(before, *step, after));
        }
    }
}
