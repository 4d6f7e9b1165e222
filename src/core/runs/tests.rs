//! Examples for the staircase: all the ways to clip, cut and join runs.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod replicator;

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

fn target(translation: Translation) -> Option<i64> {
    match translation {
        Translation::Exact { target } | Translation::LowerBound { target, .. } => {
            Some(target.get())
        }
        Translation::BelowFirst { .. } | Translation::Empty => None,
    }
}

fn hash_of(staircase: &Staircase) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    staircase.hash(&mut hasher);
    hasher.finish()
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
fn a_copy_with_a_lower_target_removes_what_it_dominates_and_reports_it() {
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
fn positions_are_exact_inside_a_run_and_bounded_after_it() {
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
    for run in [
        run(0, 0, 0),
        run(-1, 0, 1),
        run(0, -1, 1),
        run(i64::MIN, 0, 1),
        run(0, i64::MIN, 1),
        run(i64::MIN, i64::MAX, 1),
        run(i64::MAX, 0, 1),
        run(0, i64::MAX, 1),
        run(0, 0, u64::MAX),
        run(1, 0, i64::MAX as u64),
    ] {
        let inserted = staircase.insert(run, MappingOffset(1));
        assert_eq!(inserted, Inserted::Rejected, "{run:?}");
        assert!(inserted.is_rejected() && !inserted.lowered());
    }
    assert!(staircase.is_empty());
    assert_eq!(staircase, Staircase::default());
    for inserted in [Inserted::Nothing, Inserted::Added, Inserted::Lowered] {
        assert!(!inserted.is_rejected());
    }
}

#[test]
fn the_ends_of_the_number_range_are_compared_exactly() {
    let far = i64::MAX - 8;
    assert_eq!(
        runs(&of(&[run(far + 4, far + 4, 2), run(far, 0, 2)])),
        [(far, 0, 2), (far + 4, far + 4, 2)]
    );
    assert_eq!(runs(&of(&[run(0, far, 5), run(far, 0, 5)])), [(far, 0, 5)]);
    assert_eq!(runs(&of(&[run(far, 0, 5), run(0, far, 5)])), [(far, 0, 5)]);
    let whole = of(&[run(0, 0, i64::MAX as u64)]);
    assert_eq!(target(whole.translate(SourceOffset(i64::MAX))), Some(i64::MAX));
    assert_eq!(target(whole.translate(SourceOffset(i64::MIN))), None);
}

#[test]
fn inside_a_run_only_copies_that_lie_lower_survive() {
    // Equal or higher copies are known or dominated.
    let known = run(100, 1000, 50);
    let mut staircase = of(&[known]);
    for more in [known, run(110, 1010, 5), run(110, 1011, 5)] {
        assert_eq!(staircase.insert(more, MappingOffset(2)), Inserted::Nothing);
    }
    assert_eq!(runs(&staircase), [(100, 1000, 50)]);
    // Lower by one: earlier copies are removed from where their targets reach 1009.
    assert_eq!(staircase.insert(run(110, 1009, 5), MappingOffset(2)), Inserted::Lowered);
    assert_eq!(runs(&staircase), [(100, 1000, 9), (110, 1009, 5), (115, 1015, 35)]);
}

#[test]
fn in_a_gap_only_targets_below_the_next_run_survive() {
    let next = run(100, 1000, 10);
    assert_eq!(runs(&of(&[next, run(50, 990, 20)])), [(50, 990, 10), (100, 1000, 10)]);
    let mut staircase = of(&[next]);
    assert_eq!(staircase.insert(run(50, 1000, 20), MappingOffset(2)), Inserted::Nothing);
}

#[test]
fn one_run_may_survive_in_several_parts() {
    // Every tenth copy is known; a run through all of them fills the gaps and joins them.
    let mut known: Vec<Run> = (0..10).map(|nth| run(nth * 10, 500 + nth * 10, 1)).collect();
    known.push(run(0, 500, 95));
    assert_eq!(runs(&of(&known)), [(0, 500, 95)]);
    // The middle run is lower and stays separate, with a gap of three before it.
    let around = of(&[run(40, 140, 10), run(20, 123, 60)]);
    assert_eq!(runs(&around), [(20, 123, 17), (40, 140, 10), (50, 153, 30)]);
}

#[test]
fn runs_to_the_left_lose_the_targets_from_the_new_one_on() {
    let mut staircase = of(&[run(0, 0, 10), run(20, 30, 10), run(40, 60, 10), run(90, 200, 5)]);
    let inserted = staircase.insert(run(60, 35, 5), MappingOffset(7));
    assert_eq!(inserted, Inserted::Lowered);
    assert_eq!(runs(&staircase), [(0, 0, 10), (20, 30, 5), (60, 35, 5), (90, 200, 5)]);
    // Below 25 nothing changed. 25 keeps its translation, now as a bound. From 65 on it is 40.
    let fell = |at| staircase.lowered_after(SourceOffset(at), MappingOffset(6));
    let found: Vec<i64> = (0..120).filter(|at| fell(*at)).collect();
    let expected: Vec<i64> = (26..90).collect();
    assert_eq!(found, expected);
}

#[test]
fn only_what_fell_is_remembered() {
    // 99 stays at 99, 100 to 150 fall from 100 to 99, and from 151 on nothing is lower than before.
    let mut staircase = of(&[run(0, 0, 100)]);
    staircase.insert(run(150, 99, 50), MappingOffset(9));
    assert_eq!(runs(&staircase), [(0, 0, 99), (150, 99, 50)]);
    let fell = |at| staircase.lowered_after(SourceOffset(at), MappingOffset(8));
    let found: Vec<i64> = (0..400).filter(|at| fell(*at)).collect();
    let expected: Vec<i64> = (100..=150).collect();
    assert_eq!(found, expected);
    assert!(!staircase.lowered_after(SourceOffset(120), MappingOffset(9)));
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
    let of = |all: &[Run]| {
        let mut staircase = Staircase::default();
        all.iter().for_each(|run| {
            staircase.insert(*run, MappingOffset(1));
        });
        staircase.validate().unwrap();
        staircase
    };
    let forwards = of(&all);
    let mut shuffled = all.clone();
    shuffled.sort_by_key(|run| (run.source.get() * 7919) % 5003);
    assert_eq!(forwards, of(&shuffled));
    assert!(forwards.iter().eq(all));
    assert_eq!(target(forwards.translate(SourceOffset(49_991))), Some(4999 * 11 + 1));
}

#[test]
fn memory_stays_small_in_any_order() {
    let all: Vec<Run> = (0..20_000).map(|nth| run(nth * 10, nth * 11, 3)).collect();
    let mut backwards = Staircase::default();
    for run in all.iter().rev() {
        assert_eq!(backwards.insert(*run, MappingOffset(1)), Inserted::Added);
    }
    backwards.validate().unwrap();
    assert_eq!(backwards.len(), all.len());
    assert!(backwards.iter().eq(all));
    let bytes = backwards.heap_bytes();
    assert!(bytes <= 16 * backwards.len(), "{bytes} bytes");
}

#[test]
fn staircases_with_equal_runs_and_equal_history_are_equal() {
    assert_ne!(of(&[run(0, 0, 1)]), of(&[run(0, 0, 2)]));
    let fell = of(&[run(0, 1000, 100), run(50, 500, 10)]);
    let never_fell = of(&[run(50, 500, 10), run(60, 1060, 40)]);
    assert_eq!(runs(&fell), runs(&never_fell));
    assert_ne!(fell, never_fell);
    assert_ne!(hash_of(&fell), hash_of(&never_fell));
    assert_ne!(hash_of(&of(&[run(0, 0, 1)])), hash_of(&of(&[run(0, 0, 2)])));
    assert_eq!(never_fell, of(&[run(60, 1060, 40), run(50, 500, 10)]));
    assert!(!never_fell.is_empty());
}

#[test]
fn its_bytes_are_those_of_its_runs_and_of_what_fell() {
    assert_eq!(Staircase::default().heap_bytes(), 0);
    let mut staircase = Staircase::default();
    let mut as_of = 0;
    let mut insert = |source, target| {
        as_of += 1;
        staircase.insert(run(source, target, 1), MappingOffset(as_of));
        staircase.heap_bytes()
    };
    let of_runs = (0..1000).map(|nth| insert(nth * 10, nth * 10 + 500)).last().unwrap();
    assert!((12_000..24_000).contains(&of_runs), "{of_runs}");
    // Each copy is lower by one than a known one, and replaces it.
    let of_both = (0..1000).map(|nth| insert(nth * 10, nth * 10 + 499)).last().unwrap();
    assert!(of_both > of_runs + 16_000, "{of_both}");
}

#[test]
fn validate_reports_violations() {
    let span = |source, target, len| Span { source, target, len };
    let validated = |spans: &[Span]| {
        let mut staircase = Staircase::default();
        spans.iter().for_each(|span| staircase.runs.push(*span));
        staircase.validate()
    };
    assert_eq!(validated(&[span(0, 10, 5), span(5, 16, 5)]), Ok(()));
    let impossible = Err(StaircaseError::Impossible { run: run(-1, 0, 5) });
    assert_eq!(validated(&[span(-1, 0, 5)]), impossible);
    for right in [span(4, 15, 5), span(5, 14, 5), span(0, 10, 5)] {
        let (left, right_run) = (run(0, 10, 5), right.run());
        let found = validated(&[span(0, 10, 5), right]);
        assert_eq!(found, Err(StaircaseError::NotAscending { left, right: right_run }));
    }
    let (left, right) = (run(0, 10, 5), run(5, 15, 5));
    let apart = validated(&[span(0, 10, 5), span(5, 15, 5)]);
    assert_eq!(apart, Err(StaircaseError::NotJoined { left, right }));
}
