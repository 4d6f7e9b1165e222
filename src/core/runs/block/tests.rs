//! The memory that a block takes.

use super::*;

const RUN: usize = size_of::<Cell>();

fn span(nth: usize) -> Span {
    let nth = nth as i64;
    Span { source: nth * 10, target: nth * 10, len: 1 }
}

fn block(runs: usize) -> Block {
    let mut block = Block::of(span(0));
    for nth in 1..runs {
        assert!(block.push(span(nth)), "{nth}");
    }
    block
}

#[test]
fn capacity_doubles_up_to_the_largest_block() {
    for runs in [1, 2, 3, 4, 5, 100, 300, BLOCK_RUNS] {
        assert_eq!(block(runs).heap_bytes(), runs.next_power_of_two() * RUN, "{runs}");
    }
    assert!(!block(BLOCK_RUNS).push(span(BLOCK_RUNS)));
}

#[test]
fn a_block_grows_again_after_shrinking_but_not_beyond_the_largest_block() {
    let mut block = block(300);
    block.shrink();
    assert_eq!(block.heap_bytes(), 300 * RUN);
    assert!(block.push(span(300)));
    assert_eq!(block.heap_bytes(), BLOCK_RUNS * RUN);
}

#[test]
fn the_last_run_grows_in_place_while_it_fits_in_a_cell() {
    let mut block = block(2);
    assert!(block.lengthen_last(i64::from(u32::MAX) - 1));
    assert_eq!(block.last(), Some(Span { len: i64::from(u32::MAX), ..span(1) }));
    assert!(!block.lengthen_last(1));
}
