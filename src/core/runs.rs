//! The staircase: which target offset a source offset is at (`docs/protocol.md`, "Translation").
//!
//! *A known copy (s, t) is kept iff no other known copy (s', t') has s' ≥ s and t' ≤ t.* The runs
//! are therefore disjoint and strictly ascending in source and in target, and depend on nothing but
//! the set of copies known: the order in which they were read does not matter.

mod block;
mod dominance;
mod fell;
mod lowered;
mod packed;
mod search;
mod span;

use alloc::vec::Vec;
use core::hash::{Hash, Hasher};

use self::dominance::{clip, cut, join};
use self::fell::fell;
use self::lowered::Lowered;
use self::packed::Packed;
use self::span::Span;
use super::ids::{MappingOffset, SourceOffset, TargetOffset};
use super::mapping::Run;
use super::planted::{Bug, has, into_run};

/// The copies of one source partition in one target partition.
#[derive(Clone, Debug, Default)]
pub struct Staircase {
    runs: Packed,
    lowered: Lowered,
}

/// What an insertion did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inserted {
    /// The run was refused: an empty one, or offsets that are negative or do not fit in an `i64`.
    Rejected,
    /// All of it was known, or dominated by what was known.
    Nothing,
    /// Some of it was new.
    Added,
    /// Some of it was new and showed that translations were too high.
    Lowered,
}

/// Where a source position is on the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Translation {
    /// The record at the position is at this target offset.
    Exact {
        /// The target offset.
        target: TargetOffset,
    },
    /// Every copy of a record at or after the position lies at or after this target offset.
    LowerBound {
        /// The bound.
        target: TargetOffset,
        /// Where the next known run starts on the target: no more than the records between the two
        /// are read again.
        next: Option<TargetOffset>,
    },
    /// The position lies below everything known.
    BelowFirst {
        /// The first run.
        first: Run,
    },
    /// Nothing is known.
    Empty,
}

/// What [`Staircase::validate`] found; a defect of the program, never of its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StaircaseError {
    /// A run that [`Staircase::insert`] would refuse.
    #[error("the index holds an impossible run: {run:?}")]
    Impossible {
        /// The run.
        run: Run,
    },
    /// Two neighbours of which the right one is not behind the left one in source and in target.
    #[error("runs must ascend in source and in target: {left:?}, then {right:?}")]
    NotAscending {
        /// The one before.
        left: Run,
        /// The one behind.
        right: Run,
    },
    /// Two neighbours that touch in source and in target.
    #[error("runs that touch must be one: {left:?} and {right:?}")]
    NotJoined {
        /// The one before.
        left: Run,
        /// The one behind.
        right: Run,
    },
    /// The blocks are empty, too full, or do not add up to the number of runs.
    #[error("the blocks of the index do not add up to its number of runs")]
    Blocks,
}

impl Inserted {
    /// Whether some translation fell.
    #[must_use]
    pub fn lowered(self) -> bool {
        self == Self::Lowered
    }

    /// Whether the run was refused.
    #[must_use]
    pub fn is_rejected(self) -> bool {
        self == Self::Rejected
    }
}

impl Staircase {
    /// Adds the copies of `run`, told by the record right below `as_of`. Adding what is known
    /// changes nothing.
    pub fn insert(&mut self, run: Run, as_of: MappingOffset) -> Inserted {
        let Some(new) = Span::of(run) else {
            return Inserted::Rejected;
        };
        match self.runs.last() {
            Some(last) if last.touches(new) => self.runs.lengthen_last(new.len),
            Some(last) if !last.precedes(new) => return self.insert_between(new, as_of),
            Some(_) | None => self.runs.push(new),
        }
        Inserted::Added
    }

    /// Where `position` is on the target: never beyond the first known copy of any record at or
    /// after it.
    #[must_use]
    pub fn translate(&self, position: SourceOffset) -> Translation {
        let at = position.get();
        match self.runs.around(at) {
            (Some(below), _) if at < below.end() || has(Bug::Interpolation) => {
                let into = into_run(at - below.source);
                Translation::Exact { target: TargetOffset(below.target + into) }
            }
            (Some(below), next) => Translation::LowerBound {
                target: TargetOffset(below.target_end()),
                next: next.map(|next| TargetOffset(next.target)),
            },
            (None, Some(first)) => Translation::BelowFirst { first: first.run() },
            (None, None) => Translation::Empty,
        }
    }

    /// Whether the translation of `position` fell because of a record at or above `as_of`: to a
    /// lower target offset, or to below the first run.
    #[must_use]
    pub fn lowered_after(&self, position: SourceOffset, as_of: MappingOffset) -> bool {
        self.lowered.after(position.get(), as_of)
    }

    /// The runs, ascending.
    pub fn iter(&self) -> impl Iterator<Item = Run> + '_ {
        self.runs.iter().map(Span::run)
    }

    /// How many runs there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.runs.len()
    }

    /// Whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.runs.len() == 0
    }

    /// Bytes on the heap.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.runs.heap_bytes() + self.lowered.heap_bytes()
    }

    /// Checks the staircase's own invariants: the runs are well-formed, strictly ascending in
    /// source and in target, and those that touch are one.
    ///
    /// # Errors
    ///
    /// The first violation.
    pub fn validate(&self) -> Result<(), StaircaseError> {
        if !self.runs.is_consistent() {
            return Err(StaircaseError::Blocks);
        }
        let mut left: Option<Span> = None;
        for right in self.runs.iter() {
            let Some(right) = Span::of(right.run()) else {
                return Err(StaircaseError::Impossible { run: right.run() });
            };
            if let Some(left) = left {
                let (left_run, right_run) = (left.run(), right.run());
                if !left.precedes(right) {
                    return Err(StaircaseError::NotAscending { left: left_run, right: right_run });
                }
                if left.touches(right) {
                    return Err(StaircaseError::NotJoined { left: left_run, right: right_run });
                }
            }
            left = Some(right);
        }
        Ok(())
    }

    fn insert_between(&mut self, new: Span, as_of: MappingOffset) -> Inserted {
        // What the new run can touch: from the first run that reaches its target, and one before that,
        // to the first run behind it. Runs further back can neither join with it nor lose anything to
        // it, and what they dominate of it the one before dominates too.
        let reached = self.runs.first_where(|run| run.target_end() > new.target);
        let from = self.runs.before(reached);
        let mut known: Vec<Span> = Vec::new();
        for run in self.runs.iter_from(from) {
            known.push(run);
            if run.source >= new.end() {
                break;
            }
        }
        let survivors = clip(new, &known);
        if survivors.is_empty() {
            return Inserted::Nothing;
        }
        let mut after = cut(&known, &survivors);
        let nothing_cut = after == known;
        after.extend(survivors);
        after.sort_unstable_by_key(|span| span.source);
        let after = join(&after);
        self.runs.replace(from, known.len(), &after);
        if nothing_cut {
            return Inserted::Added;
        }
        for positions in fell(&known, &after) {
            self.lowered.note(positions, as_of);
        }
        Inserted::Lowered
    }
}

/// Equal runs are equal staircases, however they are packed; what was lowered when belongs to it.
impl PartialEq for Staircase {
    fn eq(&self, other: &Self) -> bool {
        self.lowered == other.lowered && self.iter().eq(other.iter())
    }
}

impl Eq for Staircase {}

impl Hash for Staircase {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.lowered.hash(state);
        self.iter().for_each(|run| run.hash(state));
    }
}

#[cfg(test)]
mod tests;
