//! `sprag-sim`.
fn main() {
    let seed = std::env::args().nth(1).and_then(|arg| arg.parse().ok()).unwrap_or(1);
    let count: u64 = std::env::args().nth(2).and_then(|arg| arg.parse().ok()).unwrap_or(1);
    for seed in seed..seed + count {
        let scenario = sprag_sim::scenario::Scenario::of(seed);
        let outcome = sprag_sim::run::run(&scenario);
        println!("{seed}: {outcome:?}");
    }
}
