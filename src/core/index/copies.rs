//! What is known of one way that records took: where their copies are, and whether the replicator
//! copies again.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::super::ids::{
    MappingOffset, MappingPartition, PublisherId, SourceOffset, SourcePartition,
};
use super::super::mapping::Run;
use super::super::planted::Arrivals;
use super::super::runs::{Staircase, Translation};
use super::{Applied, At};

/// How often syncs may go back on both sides before the oldest time is forgotten. Copies of an earlier
/// incarnation are superseded by then.
const MOST_KEPT_APART: usize = 8;

/// The copies of one lineage.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Copies {
    /// Where its mapping records stand.
    pub(crate) mapping_partition: MappingPartition,
    /// Which source offset is where.
    pub(crate) staircase: Staircase,
    /// The replicator copies again.
    pub(crate) replay: Option<Replay>,
    /// The as-of at which it last went back.
    replayed_at: MappingOffset,
    /// For bugs that are planted.
    pub(crate) arrivals: Arrivals,
    /// The newest offset sync.
    newest: Option<Run>,
    /// What came since each time that offset syncs went back on both sides, oldest first.
    since_back: Vec<Staircase>,
    publishers: BTreeMap<PublisherId, (SourceOffset, SourceOffset)>,
}

/// A replay: the offset syncs went back on the source. It is over when they reach the source's log
/// end as asked for after they last went back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Replay {
    /// The log end was not asked for since.
    Noticed,
    /// It was.
    EndAsked,
    /// It lies here.
    Until(SourceOffset),
}

impl Replay {
    /// Where it is over, as far as that is known.
    pub(crate) fn until(self) -> Option<SourceOffset> {
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

    /// Notes what `publisher` copied. True if another one copied some of the same source offsets.
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

    /// Ends the replay that the newest sync has passed. True if there was one.
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

    /// Replays that began at or below this as-of are known to be over.
    pub(super) fn settle(&mut self, settled: MappingOffset) {
        if self.replayed_at <= settled {
            self.replay = None;
        }
    }

    /// An offset sync is about to be inserted. One that goes back on the source begins a replay. One
    /// that goes back on the target as well is a publisher's late word, or the first of topics that were
    /// both recreated. Nobody can tell which, so what comes from here on is kept apart, too.
    ///
    /// A replay that `is_over` is known to have come to its end.
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

    /// Where `position` is on the target: the lowest answer of all that may be true.
    pub(crate) fn translate(&self, position: SourceOffset) -> Translation {
        let all = self.staircase.translate(position);
        let others = self.since_back.iter().map(|since| since.translate(position));
        others.fold(all, lower)
    }
}

/// The one that is safe under both: what either does not know is not known.
fn lower(one: Translation, other: Translation) -> Translation {
    let target = |translation: &Translation| match translation {
        Translation::Exact { target } | Translation::LowerBound { target, .. } => Some(*target),
        Translation::BelowFirst { .. } | Translation::Empty => None,
    };
    if target(&other) < target(&one) { other } else { one }
}

#[cfg(test)]
#[path = "copies_tests.rs"]
mod tests;
