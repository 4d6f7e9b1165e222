//! The memory of lowered translations, within its limit and beyond it.

use super::*;

fn note(lowered: &mut Lowered, from: i64, until: Option<i64>, as_of: i64) {
    lowered.note(Positions { from, until }, MappingOffset(as_of));
}

#[test]
fn the_newest_record_counts_where_notes_overlap() {
    let mut lowered = Lowered::default();
    note(&mut lowered, 10, Some(20), 5);
    note(&mut lowered, 15, Some(30), 3);
    note(&mut lowered, 12, Some(14), 9);
    let expected = [(9, 0), (10, 5), (12, 9), (13, 9), (14, 5), (19, 5), (20, 3), (29, 3), (30, 0)];
    for (position, newest) in expected {
        for as_of in 0..10 {
            let found = lowered.after(position, MappingOffset(as_of));
            assert_eq!(found, newest > as_of, "{position} as of {as_of}");
        }
    }
}

#[test]
fn equal_notes_make_equal_memories_in_any_order() {
    let notes = [(10, Some(20), 5), (20, Some(30), 5), (25, None, 5), (0, Some(2), 7)];
    let (mut forwards, mut backwards) = (Lowered::default(), Lowered::default());
    for (from, until, as_of) in notes {
        note(&mut forwards, from, until, as_of);
    }
    for (from, until, as_of) in notes.into_iter().rev() {
        note(&mut backwards, from, until, as_of);
    }
    assert_eq!(forwards, backwards);
    assert_eq!(forwards.steps.len(), 3, "{forwards:?}");
    assert!(forwards.after(i64::MAX, MappingOffset(4)));
}

#[test]
fn beyond_the_limit_nothing_that_fell_is_forgotten() {
    let mut lowered = Lowered::default();
    let notes = |nth: i64| (nth * 100, nth * 100 + 1 + (nth * 37) % 90, 1 + (nth * 7919) % 1000);
    let count = MOST_STEPS as i64;
    for nth in 0..count {
        let (from, until, as_of) = notes(nth);
        note(&mut lowered, from, Some(until), as_of);
    }
    assert!(lowered.steps.len() <= MOST_STEPS);
    for nth in 0..count {
        let (from, until, as_of) = notes(nth);
        for position in [from, until - 1] {
            assert!(lowered.after(position, MappingOffset(as_of - 1)), "{position}");
        }
    }
    // The widest gaps are kept.
    let lost = (0..count).filter(|nth| {
        let (_, until, _) = notes(*nth);
        until < nth * 100 + 10 && lowered.after(until + 1, MappingOffset(0))
    });
    assert_eq!(lost.count(), 0);
    assert!(!lowered.after(-1, MappingOffset(0)));
    assert!(!lowered.after(count * 100, MappingOffset(0)));
}

#[test]
fn the_narrowest_step_is_raised_as_little_as_possible() {
    let mut lowered = Lowered::default();
    note(&mut lowered, 0, Some(10), 5);
    note(&mut lowered, 10, Some(12), 3);
    note(&mut lowered, 12, Some(20), 9);
    lowered.coarsen();
    for (position, newest) in [(0, 5), (9, 5), (11, 5), (12, 9), (19, 9), (20, 0)] {
        for as_of in 0..10 {
            let found = lowered.after(position, MappingOffset(as_of));
            assert_eq!(found, newest > as_of, "{position} as of {as_of}");
        }
    }
}

#[test]
fn the_first_step_is_raised_to_the_next_one() {
    let mut lowered = Lowered::default();
    note(&mut lowered, 0, Some(2), 3);
    note(&mut lowered, 2, Some(12), 9);
    lowered.coarsen();
    let step = |from, as_of: Option<i64>| Step { from, as_of: as_of.map(MappingOffset) };
    assert_eq!(lowered.steps, [step(0, Some(9)), step(12, None)]);
}

#[test]
fn up_to_the_limit_nothing_is_made_coarser() {
    let mut lowered = Lowered::default();
    let notes = MOST_STEPS as i64 / 2;
    for nth in 0..notes {
        note(&mut lowered, nth * 10, Some(nth * 10 + 5), 1);
    }
    assert_eq!(lowered.steps.len(), MOST_STEPS);
    assert!((0..notes).all(|nth| !lowered.after(nth * 10 + 5, MappingOffset(0))));
}

#[test]
fn beyond_the_limit_the_narrowest_are_raised_to_the_lower_of_those_above_them() {
    let mut lowered = Lowered::default();
    let notes = MOST_STEPS as i64 / 2;
    for nth in 0..notes {
        note(&mut lowered, nth * 20, Some(nth * 20 + 10), 1 + nth % 2);
    }
    // There are three positions between the last of these steps, as of 2, and this one.
    let end = notes * 20 - 10;
    note(&mut lowered, end + 3, Some(end + 13), 9);
    assert_eq!(lowered.steps.len(), MOST_STEPS);
    let newest = |position| {
        let known = (0..10).rev().find(|as_of| lowered.after(position, MappingOffset(*as_of)));
        known.map(|as_of| as_of + 1)
    };
    assert_eq!((newest(end), newest(end + 2), newest(end + 3)), (Some(2), Some(2), Some(9)));
    // The first gap of ten positions is between a step as of 1 and one as of 2.
    assert_eq!((newest(10), newest(19), newest(20)), (Some(1), Some(1), Some(2)));
    assert!((1..notes - 1).all(|nth| newest(nth * 20 + 10).is_none()), "no other gap is raised");
    assert_eq!(newest(end + 13), None);
}
