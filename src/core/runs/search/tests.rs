//! The results of searches, and the number of values that they read.

use std::cell::Cell;

use super::*;

#[test]
fn a_search_agrees_with_a_plain_one_however_uneven_the_numbers() {
    let uneven: [&[i64]; 4] = [
        &[0],
        &[0, 1, 2, 3, 1 << 62],
        &[0, 1 << 60, (1 << 60) + 1, (1 << 60) + 2, (1 << 60) + 3, i64::MAX],
        &[3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 1000, 1001, 1002],
    ];
    for numbers in uneven {
        let ends = (numbers[0], numbers[numbers.len() - 1]);
        for wanted in numbers.iter().flat_map(|at| [at - 1, *at, at.saturating_add(1)]) {
            let found = count_at_or_below(wanted, numbers.len(), ends, |nth| numbers[nth]);
            let expected = numbers.iter().filter(|number| **number <= wanted).count();
            assert_eq!(found, expected, "{wanted} in {numbers:?}");
        }
    }
}

/// The most numbers that any search reads.
fn looked_at(numbers: &[i64]) -> usize {
    let ends = (numbers[0], numbers[numbers.len() - 1]);
    let one = |wanted: i64| {
        let count = Cell::new(0);
        let found = count_at_or_below(wanted, numbers.len(), ends, |nth| {
            count.set(count.get() + 1);
            numbers[nth]
        });
        assert_eq!(found, numbers.partition_point(|number| *number <= wanted), "{wanted}");
        count.get()
    };
    numbers.iter().step_by(97).map(|number| one(*number)).max().unwrap_or_default()
}

#[test]
fn numbers_that_grow_evenly_are_found_at_once() {
    let even = |by: i64| (0..1 << 16).map(|nth| nth * by).collect::<Vec<_>>();
    assert!(looked_at(&even(10)) <= 5);
    assert!(looked_at(&even(1 << 46)) <= 5, "also where their product is too large");
}

#[test]
fn other_searches_take_at_most_twice_the_steps_of_a_binary_search() {
    let squares: Vec<i64> = (0..1 << 16).map(|nth| nth * nth).collect();
    assert!(looked_at(&squares) <= 2 * 16 + 2, "ahead of the guess");
    let roots: Vec<i64> =
        (0..1 << 16).map(|nth| (1_i64 << 32) - (65_536_i64 - nth).pow(2)).collect();
    assert!(looked_at(&roots) <= 2 * 16 + 2, "behind it");
}
