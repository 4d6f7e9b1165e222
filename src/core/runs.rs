//! The staircase maps source offsets to target offsets (`docs/protocol.md`, "Translation").
//!
//! *A known copy (s, t) is kept iff no other known copy (s', t') has s' ≥ s and t' ≤ t.* The runs are
//! therefore disjoint and strictly ascending in source and in target. They depend only on the set of
//! known copies, not on the order in which the copies were read.

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

/// The known copies of one source partition in one target partition.
#[derive(Clone, Debug, Default)]
pub struct Staircase {
    runs: Packed,
    lowered: Lowered,
}

/// The effect of an insertion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inserted {
    /// The run was rejected: it is empty, or its offsets are negative or do not fit in an `i64`.
    Rejected,
    /// All copies of the run were known, or dominated by known ones.
    Nothing,
    /// Some copies were new.
    Added,
    /// Some copies were new and removed known ones, whose translations were too high.
    Lowered,
}

/// The translation of a source position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Translation {
    /// The record at the position is at this target offset.
    Exact {
        /// The target offset.
        target: TargetOffset,
    },
    /// Every known copy of a record at or after the position is at or after this target offset.
    LowerBound {
        /// The bound.
        target: TargetOffset,
        /// The target offset at which the next known run starts. At most the records between the two are
        /// read again.
        next: Option<TargetOffset>,
    },
    /// The position is below all known runs.
    BelowFirst {
        /// The first run.
        first: Run,
    },
    /// No runs are known.
    Empty,
}

/// A violation that [`Staircase::validate`] found. It is a bug in this module; no input can cause it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StaircaseError {
    /// A run that [`Staircase::insert`] would reject.
    #[error("the index holds an impossible run: {run:?}")]
    Impossible {
        /// The run.
        run: Run,
    },
    /// Two neighbouring runs that do not ascend in both source and target.
    #[error("runs must ascend in source and in target: {left:?}, then {right:?}")]
    NotAscending {
        /// The earlier run.
        left: Run,
        /// The later run.
        right: Run,
    },
    /// Two neighbouring runs that touch in both source and target, and should be one.
    #[error("runs that touch must be joined: {left:?} and {right:?}")]
    NotJoined {
        /// The earlier run.
        left: Run,
        /// The later run.
        right: Run,
    },
    /// A block is empty or too full, or the blocks do not add up to the number of runs.
    #[error("the blocks of the index do not add up to its number of runs")]
    Blocks,
}

impl Inserted {
    /// Whether some translations were lowered.
    #[must_use]
    pub fn lowered(self) -> bool {
        self == Self::Lowered
    }

    /// Whether the run was rejected.
    #[must_use]
    pub fn is_rejected(self) -> bool {
        self == Self::Rejected
    }
}

impl Staircase {
    /// Adds the copies of `run`, which came with the mapping record at offset `as_of - 1`. Adding known
    /// copies changes nothing.
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

    /// Translates `position`. The result is never above the first known copy of any record at or after
    /// the position.
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

    /// Whether a mapping record at or above `as_of` lowered the translation of `position`, or left the
    /// position below the first run.
    #[must_use]
    pub fn lowered_after(&self, position: SourceOffset, as_of: MappingOffset) -> bool {
        self.lowered.after(position.get(), as_of)
    }

    /// The runs in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = Run> + '_ {
        self.runs.iter().map(Span::run)
    }

    /// The number of runs.
    #[must_use]
    pub fn len(&self) -> usize {
        self.runs.len()
    }

    /// Whether there are no runs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.runs.len() == 0
    }

    /// The number of bytes on the heap.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.runs.heap_bytes() + self.lowered.heap_bytes()
    }

    /// Checks the staircase's invariants: runs are well-formed and strictly ascending in source and in
    /// target, and runs that touch are joined.
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
        // The runs that matter: from one before the first run that reaches the new run's target, up to the
        // first run that starts at or after its source end. Runs before these can neither join with it nor
        // lose copies to it, and whatever they dominate of it is also dominated by the first of these.
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

/// Staircases are equal if their runs and their history of lowered translations are. How the runs are
/// packed does not matter.
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
