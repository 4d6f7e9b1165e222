//! A block of runs: a common base, and 12 bytes for each run.

use alloc::vec::Vec;

use super::search::{count_at_or_below, first_where};
use super::span::Span;

/// The most runs that a block holds.
pub(super) const BLOCK_RUNS: usize = 512;

/// At least one run, in ascending order.
#[derive(Clone, Debug)]
pub(super) struct Block {
    source: i64,
    target: i64,
    /// The source offset at which the last run starts, relative to the base. Kept here because a search
    /// needs it before it reads any cell.
    last: u32,
    cells: Cells,
}

#[derive(Clone, Debug)]
enum Cells {
    /// Runs relative to the block's base.
    Narrow(Vec<Cell>),
    /// The length of a single run that is too long for a cell; it starts at the base.
    Wide(i64),
}

#[derive(Clone, Copy, Debug)]
struct Cell {
    source: u32,
    target: u32,
    len: u32,
}

impl Block {
    pub(super) fn of(span: Span) -> Self {
        let cells = u32::try_from(span.len).map_or(Cells::Wide(span.len), |len| {
            let (source, target) = (0, 0);
            Cells::Narrow(vec![Cell { source, target, len }])
        });
        Self { source: span.source, target: span.target, last: 0, cells }
    }

    /// Appends a run. Returns false if it does not fit.
    pub(super) fn push(&mut self, span: Span) -> bool {
        let Cells::Narrow(cells) = &mut self.cells else {
            return false;
        };
        let source = u32::try_from(span.source - self.source);
        let target = u32::try_from(span.target - self.target);
        let (Ok(source), Ok(target), Ok(len)) = (source, target, u32::try_from(span.len)) else {
            return false;
        };
        if cells.len() >= BLOCK_RUNS {
            return false;
        }
        if cells.len() == cells.capacity() {
            cells.reserve_exact(cells.len().min(BLOCK_RUNS - cells.len()));
        }
        cells.push(Cell { source, target, len });
        self.last = source;
        true
    }

    /// Makes the last run longer. Returns false if the new length does not fit.
    pub(super) fn lengthen_last(&mut self, by: i64) -> bool {
        let Cells::Narrow(cells) = &mut self.cells else {
            return false;
        };
        let Some(cell) = cells.last_mut() else {
            return false;
        };
        match u32::try_from(i64::from(cell.len).saturating_add(by)) {
            Ok(len) => {
                cell.len = len;
                true
            }
            Err(_) => false,
        }
    }

    /// Removes the last run. Returns false, and removes nothing, if it is the only one.
    pub(super) fn pop(&mut self) -> bool {
        let Cells::Narrow(cells) = &mut self.cells else {
            return false;
        };
        if cells.len() < 2 {
            return false;
        }
        cells.pop();
        self.last = cells.last().map_or(0, |cell| cell.source);
        true
    }

    /// Frees unused capacity.
    pub(super) fn shrink(&mut self) {
        match &mut self.cells {
            Cells::Narrow(cells) => cells.shrink_to_fit(),
            Cells::Wide(_) => {}
        }
    }

    pub(super) fn len(&self) -> usize {
        match &self.cells {
            Cells::Narrow(cells) => cells.len(),
            Cells::Wide(_) => 1,
        }
    }

    /// The source offset at which the first run starts.
    pub(super) fn source(&self) -> i64 {
        self.source
    }

    pub(super) fn get(&self, index: usize) -> Option<Span> {
        match &self.cells {
            Cells::Narrow(cells) => cells.get(index).map(|cell| Span {
                source: self.source + i64::from(cell.source),
                target: self.target + i64::from(cell.target),
                len: i64::from(cell.len),
            }),
            Cells::Wide(len) => {
                (index == 0).then_some(Span { source: self.source, target: self.target, len: *len })
            }
        }
    }

    pub(super) fn last(&self) -> Option<Span> {
        self.get(self.len() - 1)
    }

    /// The runs from `index` on.
    pub(super) fn iter_from(&self, index: usize) -> impl Iterator<Item = Span> + '_ {
        (index..self.len()).filter_map(|index| self.get(index))
    }

    /// The number of runs that start at or below `source`.
    pub(super) fn count_at_or_below(&self, source: i64) -> usize {
        let wanted = source - self.source;
        match &self.cells {
            Cells::Narrow(cells) => {
                let ends = (0, i64::from(self.last));
                count_at_or_below(wanted, cells.len(), ends, |nth| i64::from(cells[nth].source))
            }
            Cells::Wide(_) => usize::from(wanted >= 0),
        }
    }

    /// The index of the first run for which `is` holds. It must hold for all runs after that, too.
    pub(super) fn first_where(&self, is: impl Fn(Span) -> bool) -> usize {
        first_where(self.len(), |index| self.get(index).is_none_or(&is))
    }

    pub(super) fn heap_bytes(&self) -> usize {
        match &self.cells {
            Cells::Narrow(cells) => cells.capacity() * size_of::<Cell>(),
            Cells::Wide(_) => 0,
        }
    }
}

#[cfg(test)]
mod tests;
