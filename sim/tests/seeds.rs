//! Seeds repeat and keep every invariant; with the guard disabled, they do not.

#![allow(clippy::unwrap_used)]

use sprag_sim::run::{Counts, Outcome, run};
use sprag_sim::scenario::Scenario;

#[test]
fn no_seed_breaks_an_invariant() {
    let mut sum = Counts::default();
    for seed in 1..=40 {
        match run(&Scenario::of(seed)) {
            Outcome::Good(counts) => sum.add(counts),
            bad @ (Outcome::Crash(_) | Outcome::Broken(_)) => panic!("seed {seed}: {bad:?}"),
        }
    }
    assert!(sum.commits > 500, "Sprag made hardly any commits: {sum}");
}

#[test]
fn a_seed_is_one_history() {
    for seed in [3, 7] {
        let scenario = Scenario::of(seed);
        assert_eq!(run(&scenario), run(&scenario));
    }
}

#[test]
fn without_the_guard_an_invariant_breaks() {
    let broken = (1..=60).any(|seed| {
        let mut scenario = Scenario::of(seed);
        scenario.rules.guard_off = true;
        matches!(run(&scenario), Outcome::Broken(_))
    });
    assert!(broken, "60 seeds ran with the guard disabled, and no invariant broke");
}
