//! The staircase: which target offset a source offset is at (`docs/protocol.md`, "Translation").
//!
//! *A known copy (s, t) is kept iff no other known copy (s', t') has s' ≥ s and t' ≤ t.* The runs
//! are therefore disjoint and strictly ascending in source and in target, and depend on nothing but
//! the set of copies known: the order in which they were read does not matter.

mod lowered;
mod packed;

use std::hash::{Hash, Hasher};

use self::lowered::Lowered;
use self::packed::Packed;
use super::ids::{MappingOffset, SourceOffset, TargetOffset};
use super::mapping::Run;

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
    /// Adds the copies of `run`, told by a record below `as_of`. Adding what is known changes
    /// nothing.
    pub fn insert(&mut self, run: Run, as_of: MappingOffset) -> Inserted {
        let Some(new) = Span::of(run) else {
            return Inserted::Rejected;
        };
        match self.runs.last().and_then(Span::of) {
            None => {
                self.runs.push(run);
                return Inserted::Added;
            }
            Some(last) if new.source >= last.end() && new.target() >= last.target_end() => {
                self.append(last, new);
                return Inserted::Added;
            }
            Some(_) => {}
        }
        self.insert_between(new, as_of)
    }

    /// Where `position` is on the target: never beyond the first copy of any record at or after it.
    #[must_use]
    pub fn translate(&self, position: SourceOffset) -> Translation {
        let Some(first) = self.runs.first() else {
            return Translation::Empty;
        };
        let (below, next) = self.runs.around(position.get());
        let Some(below) = below.and_then(Span::of) else {
            return Translation::BelowFirst { first };
        };
        if position.get() < below.end() {
            return Translation::Exact { target: TargetOffset(position.get() + below.delta) };
        }
        Translation::LowerBound {
            target: TargetOffset(below.target_end()),
            next: next.map(|run| run.target),
        }
    }

    /// Whether the translation of `position` fell because of a record at or above `as_of`.
    #[must_use]
    pub fn lowered_after(&self, position: SourceOffset, as_of: MappingOffset) -> bool {
        self.lowered.after(position.get(), as_of)
    }

    /// The runs, ascending.
    pub fn iter(&self) -> impl Iterator<Item = Run> + '_ {
        self.runs.iter()
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
        self.runs.heap_bytes()
    }

    /// Checks the staircase's own invariants.
    ///
    /// # Errors
    ///
    /// The two runs that are not strictly ascending, or that should be one.
    pub fn validate(&self) -> Result<(), (Run, Run)> {
        let spans: Vec<_> = self.iter().filter_map(|run| Some((run, Span::of(run)?))).collect();
        for pair in spans.windows(2) {
            let ((left_run, left), (right_run, right)) = (pair[0], pair[1]);
            let ascending = right.source >= left.end() && right.target() >= left.target_end();
            if !ascending || left.touches(right) {
                return Err((left_run, right_run));
            }
        }
        Ok(())
    }

    fn append(&mut self, last: Span, new: Span) {
        if last.touches(new) {
            self.runs.pop();
            self.runs.push(last.joined(new).run());
        } else {
            self.runs.push(new.run());
        }
    }

    fn insert_between(&mut self, new: Span, as_of: MappingOffset) -> Inserted {
        // Everything the new run can touch: from the first run that reaches its source or its
        // target, one before that to merge with, to the first run behind it.
        let from = self.runs.first_reaching(new.source, new.target()).saturating_sub(1);
        let until = self.runs.first_at_or_above(new.end());
        let known: Vec<Span> = self.runs.range(from, until + 1).filter_map(Span::of).collect();
        let behind = known.iter().position(|span| span.source >= new.end());
        let survivors = clip(new, &known);
        if survivors.is_empty() {
            return Inserted::Nothing;
        }
        let (mut kept, first_cut) = cut(&known, &survivors);
        let next = behind.map(|index| known[index].source);
        if let Some(first_cut) = first_cut {
            let last = survivors.last().map_or(new.end(), |span| span.end());
            let resumes = kept.iter().map(|span| span.source).filter(|at| *at >= last).min();
            self.lowered.note(first_cut, resumes.or(next), as_of);
        }
        kept.extend(survivors);
        kept.sort_unstable_by_key(|span| span.source);
        let merged = merge(&kept);
        let replaced = known.len();
        self.runs.replace(from, replaced, merged.iter().map(|span| span.run()));
        if first_cut.is_some() { Inserted::Lowered } else { Inserted::Added }
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

/// A run as an interval of the source and the distance to the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    source: i64,
    len: i64,
    delta: i64,
}

impl Span {
    fn of(run: Run) -> Option<Self> {
        let len = i64::try_from(run.len).ok().filter(|len| *len > 0)?;
        let (source, target) = (run.source.get(), run.target.get());
        let fits = source >= 0 && target >= 0;
        source.checked_add(len)?;
        target.checked_add(len)?;
        fits.then_some(Self { source, len, delta: target - source })
    }

    fn between(start: i64, end: i64, delta: i64) -> Option<Self> {
        (start < end).then_some(Self { source: start, len: end - start, delta })
    }

    fn end(self) -> i64 {
        self.source + self.len
    }

    fn target(self) -> i64 {
        self.source + self.delta
    }

    fn target_end(self) -> i64 {
        self.end() + self.delta
    }

    fn touches(self, next: Self) -> bool {
        self.end() == next.source && self.delta == next.delta
    }

    fn joined(self, next: Self) -> Self {
        Self { len: self.len + next.len, ..self }
    }

    fn run(self) -> Run {
        Run {
            source: SourceOffset(self.source),
            target: TargetOffset(self.target()),
            len: self.len.unsigned_abs(),
        }
    }
}

/// The parts of `new` that no known copy dominates. `known` are ascending and hold all runs that
/// overlap it, and the first behind it.
fn clip(new: Span, known: &[Span]) -> Vec<Span> {
    let mut survivors = Vec::new();
    let mut at = new.source;
    for run in known.iter().filter(|run| run.end() > new.source) {
        // In the gap before this run only targets below its first survive.
        let gap_end = run.source.min(new.end());
        let below = run.target() - new.delta;
        survivors.extend(Span::between(at, gap_end.min(below), new.delta));
        at = at.max(gap_end);
        // Inside it only a smaller distance survives.
        let inside_end = run.end().min(new.end());
        if new.delta < run.delta {
            survivors.extend(Span::between(at, inside_end, new.delta));
        }
        at = at.max(inside_end);
        if at >= new.end() {
            break;
        }
    }
    survivors.extend(Span::between(at, new.end(), new.delta));
    merge(&survivors)
}

/// What the survivors leave of the known runs, and the first source offset they took away.
fn cut(known: &[Span], survivors: &[Span]) -> (Vec<Span>, Option<i64>) {
    let mut kept = Vec::with_capacity(known.len() + survivors.len());
    let mut first_cut: Option<i64> = None;
    for run in known {
        let mut at = run.source;
        for survivor in survivors {
            // Points before the survivor are dominated from where their target reaches its first.
            let from = (survivor.target() - run.delta).max(at).min(run.end());
            let dominated_to = if run.delta >= survivor.delta {
                survivor.end().min(run.end())
            } else {
                survivor.source.min(run.end())
            };
            if from < dominated_to {
                first_cut = Some(first_cut.map_or(from, |first| first.min(from)));
                kept.extend(Span::between(at, from, run.delta));
                at = dominated_to;
            }
        }
        kept.extend(Span::between(at, run.end(), run.delta));
    }
    (kept, first_cut)
}

/// Joins runs that touch in source and in target.
fn merge(spans: &[Span]) -> Vec<Span> {
    let mut merged: Vec<Span> = Vec::with_capacity(spans.len());
    for span in spans {
        match merged.last_mut() {
            Some(last) if last.touches(*span) => *last = last.joined(*span),
            Some(_) | None => merged.push(*span),
        }
    }
    merged
}

#[cfg(test)]
mod tests;
