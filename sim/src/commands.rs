//! What each command does and prints.

pub(crate) mod explore;

use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use sprag_sim::diagram;
use sprag_sim::meta::compare;
use sprag_sim::planted::{PLANTS, Plant, SEEDS};
use sprag_sim::run::Outcome;
use sprag_sim::scenario::Scenario;
use sprag_sim::shrink;
use sprag_sim::sweep::{run_caught, sweep};
use sprag_sim::trace;

use crate::Which;

const CRASH: u8 = 1;
const LIVENESS: u8 = 2;
const SAFETY: u8 = 3;
const UNPROVEN: u8 = 4;
const UNREPEATABLE: u8 = 5;
/// `EX_USAGE` of `sysexits.h`. clap's own exit code for it is 2, which means liveness here.
pub(crate) const USAGE: u8 = 64;

/// Runs many seeds.
pub(crate) fn run(seeds: u64, from: u64, coverage: bool) -> ExitCode {
    let stopwatch = Stopwatch::started();
    let sweep = sweep(from, seeds, threads(), |seed| run_caught(&Scenario::of(seed), |_| true));
    let seconds = stopwatch.elapsed().as_secs_f64();
    let per_minute = sweep.good as f64 * 60.0 / seconds.max(0.001);
    let (good, counts) = (sweep.good, sweep.counts);
    println!("{good} seeds from {from} in {seconds:.1} s ({per_minute:.0} a minute): {counts}");
    if let Some((seed, outcome)) = sweep.failed {
        let one = One::of_seed(seed);
        println!("{:#?}", one.scenario);
        let (_, lines) = trace::recorded(|| one.run(&one.scenario));
        one.draw(&lines, None);
        return report(&one.name, &outcome);
    }
    if coverage {
        print!("{}", sweep.coverage);
        let missing = sweep.coverage.missing(seeds);
        if !missing.is_empty() {
            println!("not reached: {}", missing.join(", "));
            return ExitCode::from(UNPROVEN);
        }
    }
    ExitCode::SUCCESS
}

/// Runs one seed and prints everything about it.
pub(crate) fn replay(which: &Which, html: Option<PathBuf>, quiet: bool) -> ExitCode {
    let Some(one) = One::of(which) else {
        return no_such_plant(which);
    };
    println!("{:#?}", one.scenario);
    let (outcome, lines) = trace::recorded(|| one.run(&one.scenario));
    for line in lines.iter().filter(|_| !quiet) {
        println!("{line}");
    }
    one.draw(&lines, html);
    report(&one.name, &outcome)
}

/// Finds the smallest scenario that fails the same way as this one.
pub(crate) fn shrink(which: &Which, runs: u32) -> ExitCode {
    let Some(one) = One::of(which) else {
        return no_such_plant(which);
    };
    let outcome = one.run(&one.scenario);
    let kind = kind(&outcome);
    if kind.is_none() {
        println!("{}: the run succeeds, so there is nothing to shrink", one.name);
        return ExitCode::SUCCESS;
    }
    let fails = |smaller: &Scenario| self::kind(&one.run(smaller)) == kind;
    let (smallest, runs) = shrink::shrink(&one.scenario, runs, fails);
    println!("{smallest:#?}");
    println!(
        "{} of {} work items and {} of {} faults are left after {runs} runs",
        smallest.work.len(),
        one.scenario.work.len(),
        smallest.faults.len(),
        one.scenario.faults.len()
    );
    report(&one.name, &one.run(&smallest))
}

/// Runs every planted bug.
pub(crate) fn planted(only: &str) -> ExitCode {
    let stopwatch = Stopwatch::started();
    let mut missed = 0;
    // A planted bug may cause a panic, which is not worth printing.
    std::panic::set_hook(Box::new(|_| {}));
    for plant in PLANTS.iter().filter(|plant| plant.name.contains(only)) {
        let (name, mode, invariant) = (plant.name, plant.mode, format!("{:?}", plant.invariant));
        match plant.hunt(threads()) {
            Some((seed, violation)) => {
                println!(
                    "{seed:>4} seeds  {invariant:<17} {mode:<8} {name}\n            {violation}"
                );
            }
            None => {
                missed += 1;
                println!("NOT in {SEEDS}  {invariant:<17} {mode:<8} {name}");
            }
        }
    }
    let seconds = stopwatch.elapsed().as_secs_f64();
    println!("{missed} planted bugs were not caught within {SEEDS} seeds; {seconds:.1} s");
    if missed == 0 { ExitCode::SUCCESS } else { ExitCode::from(UNPROVEN) }
}

/// Runs each seed in two processes and compares them.
pub(crate) fn meta(seeds: u64, from: u64) -> ExitCode {
    let program = match std::env::current_exe() {
        Ok(program) => program,
        Err(error) => {
            println!("cannot determine the path of this program: {error}");
            return ExitCode::from(CRASH);
        }
    };
    for seed in from..from.saturating_add(seeds) {
        match compare(&program, seed) {
            Ok(lines) => println!("seed {seed}: {lines} lines, identical in two processes"),
            Err(difference) => {
                println!("{difference}");
                return ExitCode::from(UNREPEATABLE);
            }
        }
    }
    ExitCode::SUCCESS
}

/// One scenario, with the bug that is planted in it.
struct One {
    name: String,
    scenario: Scenario,
    plant: Option<&'static Plant>,
}

impl One {
    fn of(which: &Which) -> Option<Self> {
        let Which { seed, plant } = which;
        Some(match plant {
            None => Self::of_seed(*seed),
            Some(name) => {
                let plant = PLANTS.iter().find(|plant| plant.name.contains(name))?;
                Self {
                    name: format!("--seed {seed} --plant {name:?}"),
                    scenario: plant.scenario(*seed),
                    plant: Some(plant),
                }
            }
        })
    }

    fn of_seed(seed: u64) -> Self {
        Self { name: format!("--seed {seed}"), scenario: Scenario::of(seed), plant: None }
    }

    /// Writes the space-time diagram of the run.
    fn draw(&self, lines: &[trace::Line], html: Option<PathBuf>) {
        let default = || PathBuf::from(format!("sprag-sim-{}.html", self.scenario.seed));
        let path = html.unwrap_or_else(default);
        let scenario = format!("{:#?}", self.scenario);
        let title = format!("sprag-sim replay {}", self.name);
        match std::fs::write(&path, diagram::html(&title, &scenario, lines)) {
            Ok(()) => println!("diagram written to {}", path.display()),
            Err(error) => println!("cannot write the diagram to {}: {error}", path.display()),
        }
    }

    fn run(&self, scenario: &Scenario) -> Outcome {
        match self.plant {
            Some(plant) => plant.run(scenario),
            None => run_caught(scenario, |_| true),
        }
    }
}

fn no_such_plant(which: &Which) -> ExitCode {
    let names: Vec<_> = PLANTS.iter().map(|plant| plant.name).collect();
    let name = which.plant.as_deref().unwrap_or_default();
    println!(
        "--plant {name:?}: no planted bug has this in its name; the names are: {}",
        names.join(", ")
    );
    ExitCode::from(USAGE)
}

/// How a run failed, without the details that differ in a smaller scenario.
fn kind(outcome: &Outcome) -> Option<String> {
    match outcome {
        Outcome::Good(_) => None,
        Outcome::Crash(_) => Some("crash".to_owned()),
        Outcome::Broken(violation) => Some(format!("{:?}", violation.invariant)),
    }
}

fn report(name: &str, outcome: &Outcome) -> ExitCode {
    let again = format!("cargo run --profile sim -p sprag-sim -- replay {name}");
    match outcome {
        Outcome::Good(counts) => {
            println!("{name}: {counts}");
            ExitCode::SUCCESS
        }
        Outcome::Crash(error) => {
            println!("{name}: a process ended: {error}\n{again}");
            ExitCode::from(CRASH)
        }
        Outcome::Broken(violation) => {
            println!("{name}: {violation}\n{again}");
            ExitCode::from(if violation.invariant.is_liveness() { LIVENESS } else { SAFETY })
        }
    }
}

fn threads() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Measures how long a command takes, for the figures it prints.
struct Stopwatch(std::time::Instant);

#[expect(clippy::disallowed_methods, reason = "it measures how long a command took")]
impl Stopwatch {
    fn started() -> Self {
        Self(std::time::Instant::now())
    }

    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}
