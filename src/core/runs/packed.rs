//! Runs in little memory: blocks of up to 512 runs, each run 12 bytes beside its block's base.

use super::super::ids::{SourceOffset, TargetOffset};
use super::super::mapping::Run;

const BLOCK_RUNS: usize = 512;

/// Ascending runs, by index.
#[derive(Clone, Debug, Default)]
pub(super) struct Packed {
    blocks: Vec<Block>,
    len: usize,
}

#[derive(Clone, Debug)]
struct Block {
    source: i64,
    target: i64,
    cells: Cells,
}

#[derive(Clone, Debug)]
enum Cells {
    /// Distances from the block's base.
    Narrow(Vec<Cell>),
    /// One run that is longer than a cell can tell; it starts at the base.
    Wide(u64),
}

#[derive(Clone, Copy, Debug)]
struct Cell {
    source: u32,
    target: u32,
    len: u32,
}

impl Packed {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn first(&self) -> Option<Run> {
        self.blocks.first().map(|block| block.get(0))
    }

    pub(super) fn last(&self) -> Option<Run> {
        self.blocks.last().map(|block| block.get(block.len() - 1))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Run> + '_ {
        self.blocks.iter().flat_map(|block| (0..block.len()).map(|index| block.get(index)))
    }

    /// The runs with index `from` to `until`, exclusive, as far as they exist.
    pub(super) fn range(&self, from: usize, until: usize) -> impl Iterator<Item = Run> + '_ {
        let (block, within) = self.locate(from);
        let rest = self.blocks.get(block..).unwrap_or_default().iter().enumerate();
        rest.flat_map(move |(nth, block)| {
            let skip = if nth == 0 { within } else { 0 };
            (skip..block.len()).map(|index| block.get(index))
        })
        .take(until.saturating_sub(from))
    }

    /// The last run that starts at or below `source`, and the one behind it.
    pub(super) fn around(&self, source: i64) -> (Option<Run>, Option<Run>) {
        let Some(block) = self.blocks.partition_point(|b| b.source <= source).checked_sub(1) else {
            return (None, self.first());
        };
        let within = self.blocks[block].first_where(|run| run.source.get() > source);
        let below = within.checked_sub(1).map(|index| self.blocks[block].get(index));
        let next = if within < self.blocks[block].len() {
            Some(self.blocks[block].get(within))
        } else {
            self.blocks.get(block + 1).map(|block| block.get(0))
        };
        (below, next)
    }

    /// The index of the first run that ends above `source` or above `target`.
    pub(super) fn first_reaching(&self, source: i64, target: i64) -> usize {
        self.index_where(|run| {
            let len = run.len.cast_signed();
            run.source.get() + len > source || run.target.get() + len > target
        })
    }

    /// The index of the first run that starts at or above `source`.
    pub(super) fn first_at_or_above(&self, source: i64) -> usize {
        self.index_where(|run| run.source.get() >= source)
    }

    pub(super) fn push(&mut self, run: Run) {
        self.len += 1;
        let fits = self.blocks.last_mut().is_some_and(|block| block.push(run));
        if !fits {
            self.blocks.push(Block::of(run));
        }
    }

    pub(super) fn pop(&mut self) -> Option<Run> {
        let last = self.last()?;
        let block = self.blocks.last_mut()?;
        self.len -= 1;
        match &mut block.cells {
            Cells::Narrow(cells) if cells.len() > 1 => {
                cells.pop();
            }
            Cells::Narrow(_) | Cells::Wide(_) => {
                self.blocks.pop();
            }
        }
        Some(last)
    }

    /// Puts `runs` in the place of `count` runs from index `from`. Only the blocks that hold those
    /// are written anew.
    pub(super) fn replace(&mut self, from: usize, count: usize, runs: impl Iterator<Item = Run>) {
        let (first, within) = self.locate(from);
        let (last, _) = self.locate((from + count).saturating_sub(1).max(from));
        let until = (last + 1).min(self.blocks.len());
        let old: Vec<Run> = self.blocks[first..until]
            .iter()
            .flat_map(|block| (0..block.len()).map(|index| block.get(index)))
            .collect();
        let mut anew = Self::default();
        let head = old.iter().take(within).copied();
        let tail = old.iter().skip(within + count).copied();
        head.chain(runs).chain(tail).for_each(|run| anew.push(run));
        self.len = self.len + anew.len - old.len();
        self.blocks.splice(first..until, anew.blocks);
    }

    pub(super) fn heap_bytes(&self) -> usize {
        let cells = |block: &Block| match &block.cells {
            Cells::Narrow(cells) => cells.capacity() * size_of::<Cell>(),
            Cells::Wide(_) => 0,
        };
        self.blocks.capacity() * size_of::<Block>() + self.blocks.iter().map(cells).sum::<usize>()
    }

    /// The index of the first run for which `is` holds; it holds for all behind that one.
    fn index_where(&self, is: impl Fn(Run) -> bool) -> usize {
        let block = self.blocks.partition_point(|block| !is(block.get(block.len() - 1)));
        let before: usize = self.blocks[..block].iter().map(Block::len).sum();
        before + self.blocks.get(block).map_or(0, |block| block.first_where(is))
    }

    /// Block and index within it; behind the end, the last block's end.
    fn locate(&self, index: usize) -> (usize, usize) {
        let mut rest = index;
        for (nth, block) in self.blocks.iter().enumerate() {
            if rest < block.len() {
                return (nth, rest);
            }
            rest -= block.len();
        }
        (self.blocks.len(), 0)
    }
}

impl Block {
    fn of(run: Run) -> Self {
        let cells = match u32::try_from(run.len) {
            Ok(len) => Cells::Narrow(vec![Cell { source: 0, target: 0, len }]),
            Err(_) => Cells::Wide(run.len),
        };
        Self { source: run.source.get(), target: run.target.get(), cells }
    }

    fn len(&self) -> usize {
        match &self.cells {
            Cells::Narrow(cells) => cells.len(),
            Cells::Wide(_) => 1,
        }
    }

    fn get(&self, index: usize) -> Run {
        let (source, target, len) = match &self.cells {
            Cells::Narrow(cells) => {
                let cell = cells[index];
                (i64::from(cell.source), i64::from(cell.target), u64::from(cell.len))
            }
            Cells::Wide(len) => (0, 0, *len),
        };
        Run {
            source: SourceOffset(self.source + source),
            target: TargetOffset(self.target + target),
            len,
        }
    }

    /// True if the run found room here.
    fn push(&mut self, run: Run) -> bool {
        let Cells::Narrow(cells) = &mut self.cells else {
            return false;
        };
        let source = u32::try_from(run.source.get() - self.source);
        let target = u32::try_from(run.target.get() - self.target);
        match (source, target, u32::try_from(run.len)) {
            (Ok(source), Ok(target), Ok(len)) if cells.len() < BLOCK_RUNS => {
                if cells.len() == cells.capacity() {
                    let more =
                        if cells.len() < 16 { cells.len() } else { BLOCK_RUNS - cells.len() };
                    cells.reserve_exact(more);
                }
                cells.push(Cell { source, target, len });
                true
            }
            _ => false,
        }
    }

    fn first_where(&self, is: impl Fn(Run) -> bool) -> usize {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low.midpoint(high);
            if is(self.get(middle)) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        low
    }
}
