//! The staircase and its definition, for random runs.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use sprag_core::ids::{MappingOffset, SourceOffset, TargetOffset};
use sprag_core::mapping::Run;
use sprag_core::runs::{Inserted, Staircase};
use sprag_spec::staircase::{copies, kept, target, translation};

fn run(source: i64, target: i64, len: u64) -> Run {
    Run { source: SourceOffset(source), target: TargetOffset(target), len }
}

fn of(runs: &[Run]) -> Staircase {
    let mut staircase = Staircase::default();
    for (nth, run) in runs.iter().enumerate() {
        staircase.insert(*run, MappingOffset(nth as i64 + 1));
        staircase.validate().unwrap();
    }
    staircase
}

fn definition(runs: &[Run]) -> BTreeMap<SourceOffset, TargetOffset> {
    kept(runs.iter().copied().flat_map(copies))
}

fn translated(staircase: &Staircase, position: i64) -> Option<i64> {
    target(staircase.translate(SourceOffset(position))).map(TargetOffset::get)
}

fn any_runs() -> impl Strategy<Value = Vec<Run>> {
    prop::collection::vec((0..40_i64, 0..60_i64, 1..8_u64), 1..12)
        .prop_map(|runs| runs.into_iter().map(|(s, t, len)| run(s, t, len)).collect())
}

/// Runs around the boundaries of number types, valid or not.
fn extreme_runs() -> impl Strategy<Value = Vec<Run>> {
    let u32_end = i64::from(u32::MAX);
    let borders = vec![0, u32_end, u32_end * 3, i64::MAX / 2, i64::MAX - 40, i64::MIN];
    let offset = (prop::sample::select(borders), -20..40_i64)
        .prop_map(|(border, by)| border.saturating_add(by));
    let lens = vec![1, 7, 30, 1 << 32, 1 << 33, 1 << 62, i64::MAX as u64, u64::MAX];
    let run = (offset.clone(), offset, prop::sample::select(lens));
    prop::collection::vec(run.prop_map(|(s, t, len)| super::runs::run(s, t, len)), 1..12)
}

/// Positions at which the translation changes, and their neighbours.
fn edges(staircase: &Staircase) -> BTreeSet<i64> {
    staircase
        .iter()
        .flat_map(|run| [run.source.get(), run.source.get() + run.len as i64])
        .chain([0, i64::MIN, i64::MAX])
        .flat_map(|at| (-1..=1).map(move |by| at.saturating_add(by)))
        .collect()
}

proptest! {
    #[test]
    fn it_is_the_set_of_copies_that_nothing_dominates(all in any_runs()) {
        let (staircase, kept) = (of(&all), definition(&all));
        let copies: BTreeMap<_, _> = staircase.iter().flat_map(copies).collect();
        prop_assert_eq!(copies, kept.clone());
        for position in (-1..60).map(SourceOffset) {
            let expected = translation(&kept, position);
            prop_assert_eq!(staircase.translate(position), expected, "at {}", position);
        }
    }

    #[test]
    fn an_insertion_returns_its_effect(all in any_runs()) {
        let mut staircase = Staircase::default();
        for (nth, run) in all.iter().enumerate() {
            let (before, after) = (definition(&all[..nth]), definition(&all[..=nth]));
            let remains = |(source, target)| after.get(source) == Some(target);
            let expected = match before.iter().all(remains) {
                true if before == after => Inserted::Nothing,
                true => Inserted::Added,
                false => Inserted::Lowered,
            };
            prop_assert_eq!(staircase.insert(*run, MappingOffset(1)), expected);
        }
        let before = staircase.clone();
        for run in all {
            prop_assert_eq!(staircase.insert(run, MappingOffset(1000)), Inserted::Nothing);
        }
        prop_assert_eq!(staircase, before);
    }

    #[test]
    fn what_fell_is_remembered_exactly(all in any_runs(), as_ofs in prop::collection::vec(1..6_i64, 12)) {
        let mut staircase = Staircase::default();
        let mut fell = vec![0_i64; 70];
        for (nth, (run, as_of)) in all.iter().zip(as_ofs).enumerate() {
            staircase.insert(*run, MappingOffset(as_of));
            let (before, after) = (definition(&all[..nth]), definition(&all[..=nth]));
            for (at, newest) in fell.iter_mut().enumerate() {
                let position = SourceOffset(at as i64);
                let before = target(translation(&before, position));
                if before.is_some() && target(translation(&after, position)) < before {
                    *newest = as_of.max(*newest);
                }
            }
        }
        for (at, newest) in fell.iter().enumerate() {
            for as_of in 0..7 {
                let found = staircase.lowered_after(SourceOffset(at as i64), MappingOffset(as_of));
                prop_assert_eq!(found, *newest > as_of, "{} fell at {}, as of {}", at, newest, as_of);
            }
        }
    }

    #[test]
    fn numbers_of_any_size_are_safe(all in extreme_runs()) {
        let staircase = of(&all);
        let mut backwards = all.clone();
        backwards.reverse();
        prop_assert!(staircase.iter().eq(of(&backwards).iter()));
        let mut last = None;
        for position in edges(&staircase) {
            let found = translated(&staircase, position);
            prop_assert!(found >= last, "{} at {}, lower before it", position, found.unwrap_or(-1));
            last = found;
        }
        // Every known copy is at or after the translation of its source offset.
        let rejected = |run: &Run| Staircase::default().insert(*run, MappingOffset(1)).is_rejected();
        for run in all.iter().filter(|run| !rejected(run)) {
            for at in [0, run.len as i64 - 1] {
                let found = translated(&staircase, run.source.get() + at);
                prop_assert!(found.is_none_or(|found| found <= run.target.get() + at));
            }
        }
    }
}
