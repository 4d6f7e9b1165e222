//! `sprag-sim`.
use sprag_sim::run::Outcome;

fn main() {
    let seed = std::env::args().nth(1).and_then(|arg| arg.parse().ok()).unwrap_or(1);
    let count: u64 = std::env::args().nth(2).and_then(|arg| arg.parse().ok()).unwrap_or(1);
    let (mut commits, mut races) = (0, 0);
    for seed in seed..seed + count {
        let scenario = sprag_sim::scenario::Scenario::of(seed);
        match sprag_sim::run::run(&scenario) {
            Outcome::Good(counts) => {
                commits += counts.commits;
                races += counts.guarded_races;
            }
            Outcome::Crash(error) => println!("{seed}: crash: {error}"),
            Outcome::Unsafe(violation) => println!("{seed}: {violation}"),
        }
    }
    println!("{commits} commits, {races} guarded races");
}
