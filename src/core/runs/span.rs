//! A run as plain integers, for arithmetic.

use crate::ids::{SourceOffset, TargetOffset};
use crate::mapping::Run;

/// Source offsets `[source, source + len)` at target offsets `[target, target + len)`. [`Span::of`] ensures
/// that no number is negative, that the length is at least 1, and that both ends fit in an `i64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) source: i64,
    pub(super) target: i64,
    pub(super) len: i64,
}

impl Span {
    /// `None` if the run is empty, or has offsets that are negative or do not fit in an `i64`.
    pub(super) fn of(run: Run) -> Option<Self> {
        let (source, target) = (run.source.get(), run.target.get());
        let len = i64::try_from(run.len).ok()?;
        source.checked_add(len)?;
        target.checked_add(len)?;
        (source >= 0 && target >= 0 && len > 0).then_some(Self { source, target, len })
    }

    pub(super) fn run(self) -> Run {
        Run {
            source: SourceOffset(self.source),
            target: TargetOffset(self.target),
            len: self.len.unsigned_abs(),
        }
    }

    /// The source offset after the last one.
    pub(super) fn end(self) -> i64 {
        self.source + self.len
    }

    /// The target offset after the last one.
    pub(super) fn target_end(self) -> i64 {
        self.target + self.len
    }

    /// How far the target offset is above the source offset; may be negative.
    pub(super) fn delta(self) -> i64 {
        self.target - self.source
    }

    /// The part with the source offsets `[from, until)`, which must be within this span; `None` if empty.
    pub(super) fn part(self, from: i64, until: i64) -> Option<Self> {
        (from < until).then(|| Self {
            source: from,
            target: self.target + (from - self.source),
            len: until - from,
        })
    }

    /// Whether `next` starts at or after the end of this span, in source and in target.
    pub(super) fn precedes(self, next: Self) -> bool {
        self.end() <= next.source && self.target_end() <= next.target
    }

    /// Whether `next` starts exactly where this span ends, in source and in target.
    pub(super) fn touches(self, next: Self) -> bool {
        self.end() == next.source && self.target_end() == next.target
    }

    /// This span and `next` as one. `next` must touch this span.
    pub(super) fn joined(self, next: Self) -> Self {
        Self { len: self.len + next.len, ..self }
    }
}
