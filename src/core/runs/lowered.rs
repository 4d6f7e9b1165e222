//! Which source positions had their translation lowered, and by which record last.

use alloc::vec::Vec;

use super::fell::Positions;
use crate::ids::MappingOffset;

/// The most steps that are kept. Beyond that, the narrowest are merged with a neighbour. This errs on the
/// safe side: a position may count as lowered although it was not. A stored offset there may then be moved
/// back to the translation, which re-reads and never skips.
const MOST_STEPS: usize = 4096;

/// For every source position, the as-of right after the newest record that lowered its translation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Lowered {
    /// Each step extends from its position to that of the next step. Neighbours differ.
    steps: Vec<Step>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Step {
    from: i64,
    /// `None` if no record lowered these positions.
    as_of: Option<MappingOffset>,
}

impl Lowered {
    /// Notes that the record at offset `as_of - 1` lowered the translations of `positions`.
    pub(super) fn note(&mut self, positions: Positions, as_of: MappingOffset) {
        let first = self.edge(positions.from);
        let behind = positions.until.map_or(self.steps.len(), |until| self.edge(until));
        for step in &mut self.steps[first..behind] {
            step.as_of = step.as_of.max(Some(as_of));
        }
        self.steps.dedup_by_key(|step| step.as_of);
        while self.steps.len() > MOST_STEPS {
            self.coarsen();
        }
    }

    /// Whether a record at or above `as_of` lowered the translation of `position`.
    pub(super) fn after(&self, position: i64, as_of: MappingOffset) -> bool {
        self.newest(position) > Some(as_of)
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.steps.capacity() * size_of::<Step>()
    }

    fn newest(&self, position: i64) -> Option<MappingOffset> {
        let behind = self.steps.partition_point(|step| step.from <= position);
        self.steps.get(behind.checked_sub(1)?)?.as_of
    }

    /// The index of the step that begins at `position`. It is inserted if there is none.
    fn edge(&mut self, position: i64) -> usize {
        let index = self.steps.partition_point(|step| step.from < position);
        if self.steps.get(index).is_none_or(|step| step.from != position) {
            let as_of = self.newest(position);
            let from = position;
            self.steps.insert(index, Step { from, as_of });
        }
        index
    }

    /// Raises the narrowest step that is lower than a neighbour to that neighbour.
    fn coarsen(&mut self) {
        let narrowest = (0..self.steps.len().saturating_sub(1))
            .filter(|nth| {
                let before = nth.checked_sub(1).and_then(|before| self.steps.get(before));
                self.steps[nth + 1].as_of > self.steps[*nth].as_of
                    || before.is_some_and(|before| before.as_of > self.steps[*nth].as_of)
            })
            .min_by_key(|nth| self.steps[nth + 1].from - self.steps[*nth].from);
        let Some(nth) = narrowest else {
            return;
        };
        let before = nth.checked_sub(1).and_then(|before| self.steps[before].as_of);
        let higher = [before, self.steps[nth + 1].as_of].into_iter();
        // The lower of the neighbours above it, so that the step is raised as little as possible.
        let raised = higher.filter(|as_of| *as_of > self.steps[nth].as_of).min();
        self.steps[nth].as_of = raised.unwrap_or(self.steps[nth].as_of);
        self.steps.dedup_by_key(|step| step.as_of);
    }
}

#[cfg(test)]
mod tests;
