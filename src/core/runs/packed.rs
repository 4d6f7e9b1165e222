//! Runs in little memory: blocks of up to [`BLOCK_RUNS`] runs. Appending touches only the last block. A
//! change in the middle rewrites only the blocks that it affects, and sometimes the one after them.

use alloc::vec::Vec;

use super::block::{BLOCK_RUNS, Block};
use super::search::{count_at_or_below, first_where};
use super::span::Span;

/// Ascending runs.
#[derive(Clone, Debug, Default)]
pub(super) struct Packed {
    blocks: Vec<Block>,
    len: usize,
}

/// The place of a run, or one at which a run would be inserted. Valid until the next change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    block: usize,
    index: usize,
}

impl Packed {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn last(&self) -> Option<Span> {
        self.blocks.last()?.last()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Span> + '_ {
        self.blocks.iter().flat_map(|block| block.iter_from(0))
    }

    /// The runs from `place` on.
    pub(super) fn iter_from(&self, place: Place) -> impl Iterator<Item = Span> + '_ {
        let blocks = self.blocks.iter().enumerate().skip(place.block);
        blocks.flat_map(move |(nth, block)| {
            block.iter_from(if nth == place.block { place.index } else { 0 })
        })
    }

    /// The last run that starts at or below `source`, and the run after it.
    pub(super) fn around(&self, source: i64) -> (Option<Span>, Option<Span>) {
        let (Some(first), Some(last)) = (self.blocks.first(), self.blocks.last()) else {
            return (None, None);
        };
        let ends = (first.source(), last.source());
        let behind =
            count_at_or_below(source, self.blocks.len(), ends, |nth| self.blocks[nth].source());
        let Some(block) = behind.checked_sub(1).map(|nth| &self.blocks[nth]) else {
            return (None, first.get(0));
        };
        let within = block.count_at_or_below(source);
        let below = within.checked_sub(1).and_then(|index| block.get(index));
        let next = || self.blocks.get(behind)?.get(0);
        (below, block.get(within).or_else(next))
    }

    /// The place of the first run for which `is` holds. It must hold for all runs after that, too.
    pub(super) fn first_where(&self, is: impl Fn(Span) -> bool) -> Place {
        let block = first_where(self.blocks.len(), |nth| self.blocks[nth].last().is_none_or(&is));
        let index = self.blocks.get(block).map_or(0, |block| block.first_where(is));
        Place { block, index }
    }

    /// The place of the run before `place`, or `place` if it is the first.
    pub(super) fn before(&self, place: Place) -> Place {
        let Place { block, index } = place;
        match (index.checked_sub(1), block.checked_sub(1)) {
            (Some(index), _) => Place { block, index },
            (None, Some(block)) => Place { block, index: self.blocks[block].len() - 1 },
            (None, None) => place,
        }
    }

    pub(super) fn push(&mut self, span: Span) {
        self.len += 1;
        push(&mut self.blocks, span);
    }

    /// Makes the last run longer.
    pub(super) fn lengthen_last(&mut self, by: i64) {
        let (Some(last), Some(block)) = (self.last(), self.blocks.last_mut()) else {
            return;
        };
        if block.lengthen_last(by) {
            return;
        }
        if !block.pop() {
            self.blocks.pop();
        }
        let len = last.len + by;
        push(&mut self.blocks, Span { len, ..last });
    }

    /// Replaces the `count` runs from `from` on with `spans`.
    pub(super) fn replace(&mut self, from: Place, count: usize, spans: &[Span]) {
        let mut until = from.block;
        let mut held = 0;
        while until < self.blocks.len() && (until == from.block || held < from.index + count) {
            held += self.blocks[until].len();
            until += 1;
        }
        // Blocks that shrink absorb their neighbour, so that few blocks are nearly empty.
        if held + spans.len() < count + BLOCK_RUNS / 4 && until < self.blocks.len() {
            held += self.blocks[until].len();
            until += 1;
        }
        let old = || {
            let blocks = self.blocks[from.block..until].iter();
            blocks.flat_map(|block| block.iter_from(0))
        };
        let mut new: Vec<Span> = Vec::with_capacity(held + spans.len());
        new.extend(old().take(from.index));
        new.extend(spans);
        new.extend(old().skip(from.index + count));
        self.len = self.len + new.len() - held;
        self.blocks.splice(from.block..until, packed(&new));
    }

    /// Whether the blocks add up to the number of runs, and none is empty or too full.
    pub(super) fn is_consistent(&self) -> bool {
        let lens = || self.blocks.iter().map(Block::len);
        lens().sum::<usize>() == self.len && lens().all(|len| (1..=BLOCK_RUNS).contains(&len))
    }

    pub(super) fn heap_bytes(&self) -> usize {
        let blocks = self.blocks.iter().map(Block::heap_bytes).sum::<usize>();
        self.blocks.capacity() * size_of::<Block>() + blocks
    }
}

fn push(blocks: &mut Vec<Block>, span: Span) {
    if !blocks.last_mut().is_some_and(|block| block.push(span)) {
        blocks.push(Block::of(span));
    }
}

/// Packs runs into blocks of about the same size, so that each has room for more.
fn packed(spans: &[Span]) -> Vec<Block> {
    let mut blocks = Vec::new();
    let parts = spans.len().div_ceil(BLOCK_RUNS).max(1);
    for part in spans.chunks(spans.len().div_ceil(parts).max(1)) {
        let mut of_part = Vec::new();
        part.iter().for_each(|span| push(&mut of_part, *span));
        blocks.append(&mut of_part);
    }
    blocks.iter_mut().for_each(Block::shrink);
    blocks
}

#[cfg(test)]
mod tests;
