//! Compares packed runs with a plain vector of runs.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use proptest::prelude::*;

use super::*;

/// Ascending spans, with an occasional long one and an occasional long distance to the next.
fn ascending(seed: u64, count: usize) -> Vec<Span> {
    let mut random = seed | 1;
    let mut next = |below: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random % below).cast_signed()
    };
    let (mut source, mut target) = (0, 0);
    let mut spans = Vec::new();
    for _ in 0..count {
        source += if next(200) == 0 { 1 << 33 } else { next(9) };
        target += if next(200) == 0 { 1 << 33 } else { 1 + next(4) };
        let len = if next(300) == 0 { 1 << 34 } else { 1 + next(5) };
        spans.push(Span { source, target, len });
        source += len;
        target += len;
    }
    spans
}

fn pack(spans: &[Span]) -> Packed {
    let mut packed = Packed::default();
    spans.iter().for_each(|span| packed.push(*span));
    packed
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn it_holds_what_was_pushed_and_finds_it(seed in any::<u64>(), count in 1..1500_usize) {
        let spans = ascending(seed, count);
        let packed = pack(&spans);
        prop_assert!(packed.is_consistent());
        prop_assert!(packed.iter().eq(spans.iter().copied()));
        prop_assert_eq!(packed.last(), spans.last().copied());
        for (nth, span) in spans.iter().enumerate() {
            let before = nth.checked_sub(1).map(|before| spans[before]);
            let (behind, next) = (Some(*span), spans.get(nth + 1).copied());
            if before.is_none_or(|before| before.source < span.source - 1) {
                prop_assert_eq!(packed.around(span.source - 1), (before, behind));
            }
            prop_assert_eq!(packed.around(span.source), (behind, next));
            let place = packed.first_where(|run| run.source >= span.source);
            prop_assert_eq!(packed.iter_from(place).next(), behind);
            prop_assert_eq!(packed.iter_from(packed.before(place)).next(), before.or(behind));
        }
    }

    #[test]
    fn replacing_equals_replacing_in_a_vector(
        seed in any::<u64>(),
        count in 1..1500_usize,
        changes in prop::collection::vec((any::<u64>(), any::<u64>(), any::<u64>()), 1..20),
    ) {
        let all = ascending(seed, count);
        let (mut held, mut packed) = (all.clone(), pack(&all));
        for (at, removed, width) in changes {
            // Removes some runs, and inserts some of all those that belong there.
            let from = (at % held.len() as u64) as usize;
            let most = 1 + width % 900;
            let removed = ((removed % most) as usize + 1).min(held.len() - from);
            let (low, high) = (held[from].source, held[from + removed - 1].source);
            let back: Vec<Span> = all
                .iter()
                .filter(|span| (low..=high).contains(&span.source))
                .filter(|span| !(span.source as u64 ^ width).is_multiple_of(3))
                .copied()
                .collect();
            if back.is_empty() && removed == held.len() {
                continue;
            }
            let place = packed.first_where(|run| run.source >= low);
            packed.replace(place, removed, &back);
            held.splice(from..from + removed, back);
            prop_assert!(packed.is_consistent());
            prop_assert_eq!(packed.len(), held.len());
            prop_assert!(packed.iter().eq(held.iter().copied()));
        }
    }
}

#[test]
fn the_last_run_grows_beyond_what_a_cell_holds() {
    let mut packed =
        pack(&[Span { source: 0, target: 0, len: 1 }, Span { source: 5, target: 9, len: 1 }]);
    let mut len = 1;
    for by in [3, i64::from(u32::MAX) - 4, 1, 1 << 40] {
        packed.lengthen_last(by);
        len += by;
        assert_eq!(packed.last(), Some(Span { source: 5, target: 9, len }));
        assert_eq!(packed.len(), 2);
        for source in 0..5 {
            assert_eq!(packed.around(source), (packed.iter().next(), packed.last()));
        }
        assert!(packed.is_consistent());
    }
    packed.push(Span { source: 1 << 50, target: 1 << 50, len: 2 });
    assert_eq!(packed.iter().count(), 3);
    assert_eq!(packed.around(1 << 50).0, packed.last());
}

#[test]
fn blocks_with_too_many_or_too_few_runs_are_inconsistent() {
    let mut packed = pack(&ascending(7, 40));
    assert!(packed.is_consistent());
    packed.len += 1;
    assert!(!packed.is_consistent());
    packed.len -= 2;
    assert!(!packed.is_consistent());
}

#[test]
fn a_run_that_outgrows_its_cell_leaves_the_others_in_place() {
    for count in 1..6_i64 {
        let mut held: Vec<Span> =
            (0..count).map(|nth| Span { source: nth * 9, target: nth * 9, len: 5 }).collect();
        let mut packed = pack(&held);
        packed.lengthen_last(1 << 40);
        held.last_mut().unwrap().len += 1 << 40;
        assert!(packed.iter().eq(held.iter().copied()), "{count}");
        assert!(packed.is_consistent());
    }
}

/// Packed runs in blocks of these lengths.
fn blocks_of(lens: &[usize]) -> Packed {
    let mut nth = 0;
    let mut next = || {
        nth += 10;
        Span { source: nth, target: nth, len: 1 }
    };
    let mut blocks = Vec::new();
    for len in lens {
        let spans: Vec<Span> = (0..*len).map(|_| next()).collect();
        blocks.extend(packed(&spans));
    }
    Packed { len: lens.iter().sum(), blocks }
}

fn lens(packed: &Packed) -> Vec<usize> {
    packed.blocks.iter().map(Block::len).collect()
}

/// The lengths of the blocks after `count` runs from this place on were replaced with `new` ones.
fn replaced(
    before: &[usize],
    (block, index): (usize, usize),
    count: usize,
    new: i64,
) -> Vec<usize> {
    let mut packed = blocks_of(before);
    let first = packed.iter_from(Place { block, index }).next();
    let from = first.map_or(0, |first| first.source);
    let new: Vec<Span> =
        (0..new).map(|nth| Span { source: from + nth, target: from + nth, len: 1 }).collect();
    packed.replace(Place { block, index }, count, &new);
    assert!(packed.is_consistent());
    lens(&packed)
}

#[test]
fn a_change_rewrites_only_the_blocks_that_it_affects() {
    let blocks = [512, 300, 100, 300];
    assert_eq!(replaced(&blocks, (1, 150), 1, 2), [512, 301, 100, 300]);
    assert_eq!(replaced(&blocks, (1, 299), 1, 2), [512, 301, 100, 300], "up to its end");
    assert_eq!(replaced(&blocks, (1, 299), 2, 3), [512, 401, 300], "and one beyond");
    assert_eq!(replaced(&blocks, (0, 10), 1, 2), [257, 256, 300, 100, 300], "no room is left");
    assert_eq!(replaced(&[], (0, 0), 0, 1), [1]);
}

#[test]
fn a_block_that_shrinks_below_a_quarter_absorbs_its_neighbour() {
    assert_eq!(replaced(&[200, 512, 200], (0, 10), 72, 0), [128, 512, 200]);
    assert_eq!(replaced(&[200, 512, 200], (0, 10), 73, 0), [320, 319, 200]);
    assert_eq!(replaced(&[200, 512, 200], (0, 10), 74, 1), [320, 319, 200]);
    assert_eq!(replaced(&[200], (0, 10), 150, 0), [50], "there is none");
}

#[test]
fn all_of_the_heap_is_counted() {
    let packed = blocks_of(&[512, 300]);
    let runs = packed.blocks.iter().map(Block::heap_bytes).sum::<usize>();
    assert!(packed.heap_bytes() >= runs + 2 * size_of::<Block>(), "{}", packed.heap_bytes());
}
