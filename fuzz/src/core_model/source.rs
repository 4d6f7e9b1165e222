//! What was read of one group on the source, and which of it was looked at a second time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sprag_core::event::{Answerer, SourceOffsets};
use sprag_core::ids::{SourceOffset, SourcePartition};
use sprag_core::time::Instant;

/// Reads by one owner of the shard.
#[derive(Debug, Default)]
pub(super) struct SourceSeen {
    /// The coordinator of the read under way was looked up after this.
    looked_up_after: Option<Instant>,
    first_read: Option<Instant>,
    /// Everyone who answered so far.
    answerers: BTreeSet<Answerer>,
    /// The next change may be an older state.
    disturbed: bool,
    positions: BTreeMap<SourcePartition, Position>,
}

#[derive(Debug)]
struct Position {
    /// What was read last. A read that may have been made to confirm other partitions leaves what was
    /// read before it.
    read: BTreeSet<SourceOffset>,
    last: SourceOffset,
    /// When the offset fell last, or was read first.
    since: Instant,
    confirmed: bool,
}

impl SourceSeen {
    pub(super) fn ask(&mut self, coordinator_since: Option<Instant>) {
        self.looked_up_after = coordinator_since;
    }

    pub(super) fn failed(&mut self) {
        self.disturbed = true;
    }

    pub(super) fn read(&mut self, now: Instant, confirm_after: Duration, read: &SourceOffsets) {
        let after = self.looked_up_after.filter(|after| Some(*after) >= self.first_read);
        let after = after.filter(|_| self.first_read.is_some());
        let another = match read.answered_by {
            Some(answerer) => self.answerers.insert(answerer) && self.first_read.is_some(),
            None => true,
        };
        let disturbed = std::mem::take(&mut self.disturbed) || another;
        self.disturbed = read.answered_by.is_none() && after.is_none();
        self.first_read.get_or_insert(now);
        if after.is_none() {
            self.positions.values_mut().for_each(|position| position.read.clear());
        }
        for (at, commit) in &read.commits {
            let offset = commit.offset;
            match self.positions.get_mut(at) {
                Some(position) if after.is_some_and(|after| after >= position.since) => {
                    let late_enough = now.since(position.since) >= confirm_after;
                    position.confirmed |= late_enough && offset >= position.last;
                    position.go_on(offset);
                }
                Some(position) if after.is_some() => _ = position.read.insert(offset),
                Some(position) => {
                    let fell = offset < position.last;
                    position.since = if fell { now } else { position.since };
                    let changed = offset != position.last;
                    position.confirmed &= !(fell || changed && disturbed);
                    position.go_on(offset);
                }
                None => {
                    let read = BTreeSet::from([offset]);
                    let position = Position { read, last: offset, since: now, confirmed: false };
                    self.positions.insert(at.clone(), position);
                }
            }
        }
    }

    /// The partitions where `offset` was read.
    pub(super) fn at(&self, offset: SourceOffset) -> impl Iterator<Item = &SourcePartition> {
        let read = self.positions.iter();
        read.filter(move |(_, position)| position.read.contains(&offset)).map(|(at, _)| at)
    }

    /// Whether what was read stands although the offset fell: a coordinator that was looked up after
    /// that said the same, or more.
    pub(super) fn is_confirmed(&self, at: &SourcePartition) -> bool {
        self.positions.get(at).is_some_and(|position| position.confirmed)
    }
}

impl Position {
    fn go_on(&mut self, offset: SourceOffset) {
        self.last = offset;
        self.read.insert(offset);
    }
}
