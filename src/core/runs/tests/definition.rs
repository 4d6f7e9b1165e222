//! Compares the staircase with its definition: the set of known copies that no other copy dominates.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{of, run, runs, target};
use crate::runs::*;

fn copies(runs: &[Run]) -> BTreeSet<(i64, i64)> {
    let each = |run: &Run| {
        let (source, target) = (run.source.get(), run.target.get());
        (0..run.len as i64).map(move |nth| (source + nth, target + nth))
    };
    runs.iter().flat_map(each).collect()
}

/// The kept copies: those without another known copy that has a source offset at or above theirs and a
/// target offset at or below theirs.
fn kept(known: &BTreeSet<(i64, i64)>) -> BTreeSet<(i64, i64)> {
    let dominated = |copy: &(i64, i64)| {
        known.iter().any(|other| other != copy && other.0 >= copy.0 && other.1 <= copy.1)
    };
    known.iter().filter(|copy| !dominated(copy)).copied().collect()
}

/// The translation according to the definition.
fn translated(kept: &BTreeSet<(i64, i64)>, position: i64) -> Option<i64> {
    let at = kept.iter().find(|copy| copy.0 == position).map(|copy| copy.1);
    let below = kept.iter().rev().find(|copy| copy.0 < position).map(|copy| copy.1 + 1);
    at.or(below)
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
    prop::collection::vec(run.prop_map(|(s, t, len)| super::run(s, t, len)), 1..12)
}

/// Positions at which the translation changes, and their neighbours.
fn edges(staircase: &Staircase) -> Vec<SourceOffset> {
    let around = |at: i64| (-1..=1).map(move |by| SourceOffset(at.saturating_add(by)));
    staircase
        .iter()
        .flat_map(|run| [run.source.get(), run.source.get() + run.len as i64])
        .chain([0, i64::MIN, i64::MAX])
        .flat_map(around)
        .collect()
}

proptest! {
    #[test]
    fn it_is_the_set_of_copies_that_nothing_dominates(all in any_runs()) {
        let staircase = of(&all);
        let known = copies(&all);
        let expected = kept(&known);
        let runs: Vec<Run> = staircase.iter().collect();
        prop_assert_eq!(copies(&runs), expected.clone());
        for position in 0..60 {
            let translation = staircase.translate(SourceOffset(position));
            prop_assert_eq!(target(translation), translated(&expected, position), "at {}", position);
            let is_exact = matches!(translation, Translation::Exact { .. });
            prop_assert_eq!(is_exact, expected.iter().any(|copy| copy.0 == position));
            if let Translation::LowerBound { next, .. } = translation {
                let behind = expected.iter().find(|copy| copy.0 > position);
                prop_assert_eq!(next.map(TargetOffset::get), behind.map(|copy| copy.1));
            }
        }
    }

    #[test]
    fn order_and_repetition_do_not_matter(all in any_runs(), seed in any::<u64>()) {
        let mut other = all.clone();
        other.extend(all.iter().copied());
        other.sort_by_key(|run| (run.source.get() as u64 ^ seed).wrapping_mul(0x9e37_79b9) >> 7);
        prop_assert_eq!(runs(&of(&all)), runs(&of(&other)));
    }

    #[test]
    fn what_is_known_changes_nothing(all in any_runs()) {
        let mut staircase = of(&all);
        let before = staircase.clone();
        for run in &all {
            prop_assert_eq!(staircase.insert(*run, MappingOffset(1000)), Inserted::Nothing);
        }
        prop_assert_eq!(staircase, before);
    }

    #[test]
    fn an_insertion_returns_its_effect(all in any_runs()) {
        let mut staircase = Staircase::default();
        let mut known = BTreeSet::new();
        for run in &all {
            let before = kept(&known);
            known.extend(copies(&[*run]));
            let after = kept(&known);
            let expected = if after == before {
                Inserted::Nothing
            } else if before.is_subset(&after) {
                Inserted::Added
            } else {
                Inserted::Lowered
            };
            prop_assert_eq!(staircase.insert(*run, MappingOffset(1)), expected);
        }
    }

    #[test]
    fn what_fell_is_remembered_exactly(all in any_runs(), as_ofs in prop::collection::vec(1..6_i64, 12)) {
        let mut staircase = Staircase::default();
        let mut fell = vec![0_i64; 70];
        for (run, as_of) in all.iter().zip(as_ofs) {
            let before: Vec<_> =
                (0..70).map(|at| target(staircase.translate(SourceOffset(at)))).collect();
            let inserted = staircase.insert(*run, MappingOffset(as_of));
            let mut some_fell = false;
            for (at, before) in before.iter().enumerate() {
                let after = target(staircase.translate(SourceOffset(at as i64)));
                if let Some(before) = before && after.is_none_or(|after| after < *before) {
                    fell[at] = fell[at].max(as_of);
                    some_fell = true;
                }
            }
            prop_assert_eq!(inserted.lowered(), some_fell);
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
        prop_assert_eq!(runs(&staircase), runs(&of(&backwards)));
        let mut last = None;
        for position in edges(&staircase).into_iter().collect::<BTreeSet<_>>() {
            let found = target(staircase.translate(position));
            prop_assert!(found >= last, "{} at {}, lower before it", position, found.unwrap_or(-1));
            last = found;
        }
        // Every known copy is at or after the translation of its source offset.
        for run in all.iter().filter(|run| Span::of(**run).is_some()) {
            for at in [0, run.len as i64 - 1] {
                let position = SourceOffset(run.source.get() + at);
                let found = target(staircase.translate(position));
                prop_assert!(found.is_none_or(|found| found <= run.target.get() + at));
            }
        }
    }
}
