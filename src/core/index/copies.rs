//! What is known about one lineage: where the copies are, and whether the replicator is copying again.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::{Applied, At};
use crate::ids::{MappingOffset, MappingPartition, PublisherId, SourceOffset, SourcePartition};
use crate::mapping::Run;
use crate::planted::Arrivals;
use crate::runs::{Staircase, Translation};

/// How many staircases are kept of syncs that went back on both sides; more drop the oldest. By then the
/// copies of an earlier incarnation are superseded.
const MOST_KEPT_APART: usize = 8;

/// The copies of one lineage.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Copies {
    /// The mapping partition that holds its records.
    pub mapping_partition: MappingPartition,
    /// All copies.
    pub staircase: Staircase,
    /// The replay, while the replicator is copying again.
    pub replay: Option<Replay>,
    /// The as-of at which the syncs last went back on the source.
    replayed_at: MappingOffset,
    /// For bugs that are planted.
    pub(crate) arrivals: Arrivals,
    /// The newest offset sync.
    newest: Option<Run>,
    /// For each time that offset syncs went back on both sides, the copies since then; oldest first.
    since_back: Vec<Staircase>,
    publishers: BTreeMap<PublisherId, (SourceOffset, SourceOffset)>,
}

/// A replay: the offset syncs went back on the source. It ends when the syncs reach the source's log end,
/// as requested after they last went back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Replay {
    /// The source's log end was not requested yet.
    Noticed,
    /// The source's log end was requested.
    EndAsked,
    /// The replay ends at this source offset.
    Until(SourceOffset),
}

impl Replay {
    /// The source offset at which the replay ends, if known.
    pub fn until(self) -> Option<SourceOffset> {
        match self {
            Self::Noticed | Self::EndAsked => None,
            Self::Until(end) => Some(end),
        }
    }
}

impl Copies {
    pub(super) fn new(mapping_partition: MappingPartition) -> Self {
        Self {
            mapping_partition,
            staircase: Staircase::default(),
            replay: None,
            replayed_at: MappingOffset(0),
            arrivals: Arrivals::default(),
            newest: None,
            since_back: Vec::new(),
            publishers: BTreeMap::new(),
        }
    }

    pub(super) fn insert(
        &mut self,
        at: At,
        run: Run,
        source: &SourcePartition,
        applied: &mut Applied,
    ) {
        self.arrivals.note(run);
        let inserted = self.staircase.insert(run, at.as_of);
        for since in &mut self.since_back {
            since.insert(run, at.as_of);
        }
        if inserted.is_rejected() {
            applied.refused += 1;
        }
        if inserted.lowered() {
            applied.lowered.insert(source.clone());
        }
    }

    /// Notes the source offsets that `publisher` copied. Returns true if they overlap with the range that
    /// another publisher copied.
    pub(super) fn publish(
        &mut self,
        publisher: PublisherId,
        start: SourceOffset,
        end: SourceOffset,
    ) -> bool {
        let overlaps = self
            .publishers
            .iter()
            .any(|(other, (from, to))| *other != publisher && start < *to && *from < end);
        let extent = self.publishers.entry(publisher).or_insert((start, end));
        *extent = (extent.0.min(start), extent.1.max(end));
        overlaps
    }

    /// Ends the replay if the newest sync has reached its end. Returns true if it has.
    pub(super) fn end_replay(&mut self) -> bool {
        let until = self.replay.and_then(Replay::until);
        let passed = |until: SourceOffset| {
            self.newest.is_some_and(|newest| newest.source.get().saturating_add(1) >= until.get())
        };
        let over = until.is_some_and(passed);
        if over {
            self.replay = None;
        }
        over
    }

    /// Ends a replay that began at or below this as-of.
    pub(super) fn settle(&mut self, settled: MappingOffset) {
        if self.replayed_at <= settled {
            self.replay = None;
        }
    }

    /// Prepares for an offset sync that is about to be inserted. A sync that goes back on the source begins
    /// a replay, unless `is_over` says that this replay is known to have ended. A sync that also goes back
    /// on the target comes late from another publisher, or is the first of topics that were both recreated.
    /// These cannot be distinguished, so the copies from here on are also kept in a staircase of their own.
    pub(super) fn sync(&mut self, run: Run, as_of: MappingOffset, is_over: bool) {
        if let Some(newest) = self.newest.replace(run)
            && run.source < newest.source
        {
            if !is_over {
                self.replay = Some(Replay::Noticed);
                self.replayed_at = as_of;
            }
            if run.target < newest.target {
                if self.since_back.len() == MOST_KEPT_APART {
                    self.since_back.remove(0);
                }
                self.since_back.push(Staircase::default());
            }
        }
    }

    /// Translates `position`: the lowest translation of all staircases.
    pub fn translate(&self, position: SourceOffset) -> Translation {
        let all = self.staircase.translate(position);
        let others = self.since_back.iter().map(|since| since.translate(position));
        others.fold(all, lower)
    }
}

/// The translation that is safe under both. A position that either does not know is unknown.
fn lower(one: Translation, other: Translation) -> Translation {
    let target = |translation: &Translation| match translation {
        Translation::Exact { target } | Translation::LowerBound { target, .. } => Some(*target),
        Translation::BelowFirst { .. } | Translation::Empty => None,
    };
    if target(&other) < target(&one) { other } else { one }
}

#[cfg(test)]
mod tests;
