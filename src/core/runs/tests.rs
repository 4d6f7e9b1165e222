//! The staircase against its definition by sets, and translation against a naive model of a
//! replicator that keeps every record.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

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

fn runs(staircase: &Staircase) -> Vec<(i64, i64, u64)> {
    staircase.iter().map(|run| (run.source.get(), run.target.get(), run.len)).collect()
}

fn copies(runs: &[Run]) -> BTreeSet<(i64, i64)> {
    let each = |run: &Run| {
        let (source, target) = (run.source.get(), run.target.get());
        (0..run.len as i64).map(move |nth| (source + nth, target + nth))
    };
    runs.iter().flat_map(each).collect()
}

/// Kept iff no other known copy has a source at or above and a target at or below.
fn kept(known: &BTreeSet<(i64, i64)>) -> BTreeSet<(i64, i64)> {
    let dominated = |copy: &(i64, i64)| {
        known.iter().any(|other| other != copy && other.0 >= copy.0 && other.1 <= copy.1)
    };
    known.iter().filter(|copy| !dominated(copy)).copied().collect()
}

/// The translation by definition, for comparison.
fn translated(kept: &BTreeSet<(i64, i64)>, position: i64) -> Option<i64> {
    let at = kept.iter().find(|copy| copy.0 == position).map(|copy| copy.1);
    let below = kept.iter().rev().find(|copy| copy.0 < position).map(|copy| copy.1 + 1);
    at.or(below)
}

fn target(translation: Translation) -> Option<i64> {
    match translation {
        Translation::Exact { target } | Translation::LowerBound { target, .. } => {
            Some(target.get())
        }
        Translation::BelowFirst { .. } | Translation::Empty => None,
    }
}

#[test]
fn runs_that_touch_in_source_and_target_become_one() {
    assert_eq!(runs(&of(&[run(0, 10, 5), run(5, 15, 5)])), [(0, 10, 10)]);
    assert_eq!(runs(&of(&[run(5, 15, 5), run(0, 10, 5)])), [(0, 10, 10)]);
    assert_eq!(runs(&of(&[run(0, 10, 5), run(5, 16, 5)])), [(0, 10, 5), (5, 16, 5)]);
    assert_eq!(runs(&of(&[run(0, 10, 5), run(10, 20, 5), run(5, 15, 5)])), [(0, 10, 15)]);
}

#[test]
fn a_replay_appends_what_is_new() {
    let staircase = of(&[run(0, 0, 200), run(100, 250, 200)]);
    assert_eq!(runs(&staircase), [(0, 0, 200), (200, 350, 100)]);
    assert!(!staircase.lowered_after(SourceOffset(150), MappingOffset(0)));
}

#[test]
fn a_copy_further_back_cuts_what_it_dominates_and_says_so() {
    let mut staircase = of(&[run(0, 1000, 100)]);
    assert_eq!(staircase.insert(run(50, 500, 10), MappingOffset(9)), Inserted::Lowered);
    assert_eq!(runs(&staircase), [(50, 500, 10), (60, 1060, 40)]);
    for position in 0..60 {
        assert!(staircase.lowered_after(SourceOffset(position), MappingOffset(8)), "{position}");
        assert!(!staircase.lowered_after(SourceOffset(position), MappingOffset(9)));
    }
    assert!(!staircase.lowered_after(SourceOffset(60), MappingOffset(0)));
}

#[test]
fn positions_are_exact_inside_a_run_and_bounded_behind_it() {
    let staircase = of(&[run(10, 100, 5), run(20, 130, 5)]);
    let exact = |target| Translation::Exact { target: TargetOffset(target) };
    let translate = |position| staircase.translate(SourceOffset(position));
    assert_eq!(translate(9), Translation::BelowFirst { first: run(10, 100, 5) });
    assert_eq!(translate(10), exact(100));
    assert_eq!(translate(14), exact(104));
    let next = Some(TargetOffset(130));
    assert_eq!(translate(15), Translation::LowerBound { target: TargetOffset(105), next });
    assert_eq!(translate(20), exact(130));
    let last = Translation::LowerBound { target: TargetOffset(135), next: None };
    assert_eq!(translate(1_000_000), last);
    assert_eq!(Staircase::default().translate(SourceOffset(0)), Translation::Empty);
}

#[test]
fn impossible_runs_are_refused() {
    let mut staircase = Staircase::default();
    for run in
        [run(0, 0, 0), run(-1, 0, 1), run(0, -1, 1), run(i64::MAX, 0, 1), run(0, 0, u64::MAX)]
    {
        assert!(staircase.insert(run, MappingOffset(1)).is_rejected(), "{run:?}");
    }
    assert!(staircase.is_empty());
}

#[test]
fn long_runs_and_large_distances_are_kept_exactly() {
    let far = i64::from(u32::MAX) * 3;
    let wide =
        of(&[run(0, 0, 1 << 40), run((1 << 40) + far, (1 << 40) + far * 2, 7), run(5, 3, 1)]);
    let expected = (1 << 40) + far * 2 + 6;
    let last = SourceOffset((1 << 40) + far + 6);
    assert_eq!(target(wide.translate(last)), Some(expected));
    assert_eq!(wide.len(), 4, "{:?}", runs(&wide));
}

#[test]
fn many_runs_cross_the_blocks() {
    let all: Vec<Run> = (0..5000).map(|nth| run(nth * 10, nth * 11, 3)).collect();
    let forwards = of(&all);
    let mut shuffled = all.clone();
    shuffled.sort_by_key(|run| (run.source.get() * 7919) % 5003);
    assert_eq!(runs(&forwards), runs(&of(&shuffled)));
    assert_eq!(target(forwards.translate(SourceOffset(49_991))), Some(4999 * 11 + 1));
}

fn any_runs() -> impl Strategy<Value = Vec<Run>> {
    prop::collection::vec((0..40_i64, 0..60_i64, 1..8_u64), 1..12)
        .prop_map(|runs| runs.into_iter().map(|(s, t, len)| run(s, t, len)).collect())
}

/// What a replicator copied, in order, and which copies are the first of a session. Each session
/// goes on without a gap from at or below where the copies end, beyond that, to targets behind all
/// before, with gaps where markers stand.
fn sessions() -> impl Strategy<Value = Vec<(i64, i64, bool)>> {
    let session = (0..30_i64, 1..20_i64, prop::collection::vec(0..3_i64, 50));
    prop::collection::vec(session, 1..5).prop_map(|sessions| {
        let (mut copies, mut frontier, mut target) = (Vec::new(), 0_i64, 0_i64);
        for (back, beyond, gaps) in sessions {
            let start = (frontier - back).max(0);
            frontier += beyond;
            for (source, gap) in (start..frontier).zip(gaps) {
                target += gap;
                copies.push((source, target, source == start));
                target += 1;
            }
        }
        copies
    })
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
            let found = target(staircase.translate(SourceOffset(position)));
            prop_assert_eq!(found, translated(&expected, position), "at {}", position);
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
    fn what_fell_is_remembered_exactly(all in any_runs()) {
        let mut staircase = Staircase::default();
        let mut fell = vec![0_i64; 60];
        for (nth, run) in all.iter().enumerate() {
            let before: Vec<_> =
                (0..60).map(|at| target(staircase.translate(SourceOffset(at)))).collect();
            let as_of = nth as i64 + 1;
            staircase.insert(*run, MappingOffset(as_of));
            for (at, before) in before.iter().enumerate() {
                let after = target(staircase.translate(SourceOffset(at as i64)));
                if let Some(before) = before && after.is_none_or(|after| after < *before) {
                    fell[at] = as_of;
                }
            }
        }
        for (at, last) in fell.iter().enumerate() {
            for as_of in 0..=all.len() as i64 {
                let remembered =
                    staircase.lowered_after(SourceOffset(at as i64), MappingOffset(as_of));
                prop_assert!(remembered || *last <= as_of, "{} fell at {} and was forgotten", at, last);
            }
        }
    }

    #[test]
    fn with_all_copies_known_no_copy_lies_below_the_translation(copied in sessions()) {
        let all: Vec<Run> = copied.iter().map(|(source, at, _)| run(*source, *at, 1)).collect();
        let staircase = of(&all);
        for position in 0..120 {
            let copies = copied.iter().filter(|copy| copy.0 >= position).map(|copy| copy.1);
            let found = target(staircase.translate(SourceOffset(position)));
            if let (Some(found), Some(first)) = (found, copies.min()) {
                prop_assert!(found <= first, "{} -> {}, a copy is at {}", position, found, first);
            }
        }
    }

    #[test]
    fn with_some_copies_known_no_record_is_skipped(copied in sessions(), keep in any::<u64>()) {
        // MirrorMaker 2 publishes some of its copies; always the first of a session.
        let mut staircase = Staircase::default();
        for (nth, (source, at, first)) in copied.iter().enumerate() {
            if *first || (keep >> (nth % 64)) & 1 == 1 {
                staircase.insert(run(*source, *at, 1), MappingOffset(nth as i64 + 1));
            }
        }
        let last_copy = |source: i64| {
            copied.iter().filter(|copy| copy.0 == source).map(|copy| copy.1).max()
        };
        for position in 0..120 {
            let Some(found) = target(staircase.translate(SourceOffset(position))) else {
                continue;
            };
            let seen = |source: &i64| last_copy(*source).is_none_or(|at| at >= found);
            let skipped = (position..120).find(|source| !seen(source));
            prop_assert_eq!(skipped, None, "{} -> {}", position, found);
        }
    }

    #[test]
    fn dense_mappings_of_one_session_are_exact(start in 0..1000_i64, gaps in prop::collection::vec(0..3_i64, 1..60)) {
        let mut staircase = Staircase::default();
        let mut target_offset = 0;
        let mut all = Vec::new();
        for (nth, gap) in gaps.iter().enumerate() {
            target_offset += gap;
            all.push((start + nth as i64, target_offset));
            staircase.insert(run(start + nth as i64, target_offset, 1), MappingOffset(nth as i64));
            target_offset += 1;
        }
        for (source, expected) in all {
            let exact = Translation::Exact { target: TargetOffset(expected) };
            prop_assert_eq!(staircase.translate(SourceOffset(source)), exact);
        }
    }
}
