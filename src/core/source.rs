//! Whether a source read may be believed (`docs/protocol.md`, "Source reads").
//!
//! OffsetFetch carries no version, and a coordinator that lost its leadership may answer with old
//! offsets. Doubt is kept per partition: a partition is in doubt after a decrease, after a change
//! that another answerer reports, and after a failed read. A second read ends the doubt: equal or
//! newer, by a coordinator looked up since, and at least `groups.confirmAfter` later.

use alloc::collections::BTreeMap;
use alloc::string::String;
use core::time::Duration;

use super::event::{Answerer, SourceCommit, SourceOffsets};
use super::ids::{Incarnation, SourceOffset, SourcePartition};
use super::planted::{Bug, has};
use super::time::Instant;

/// What the source said of one group, and how far it is to be believed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct SourceMemory {
    positions: BTreeMap<SourcePartition, Position>,
    /// Who answered the last ordinary read; `None` before the first.
    answerer: Option<Answerer>,
    /// A read failed, or its connection changed: whatever changes next is in doubt.
    disturbed: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Position {
    /// As last read; `None` if the group has none any more. A vanished offset keeps its belief, so
    /// that one that comes back lower is still a decrease.
    current: Option<SourceCommit>,
    belief: Belief,
    /// A confirming read found something else than the ordinary one before it: who answers those may be
    /// stale, so a change that the next one reports is in doubt.
    contradicted: bool,
    /// The topics that the position was last judged for.
    incarnation: Option<Incarnation>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Belief {
    /// Equal or newer than all before it. `reread` says that it was read twice in the way that
    /// confirms a decrease.
    Confirmed { highest: SourceOffset, reread: bool },
    /// In doubt since a read at `since`; a later read at or above `offset`, the newest one, confirms
    /// it.
    Unconfirmed { offset: SourceOffset, since: Instant },
}

/// How a read was made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    /// When its answer was handled.
    pub(crate) now: Instant,
    /// Its coordinator was looked up after this.
    pub(crate) looked_up_after: Option<Instant>,
    /// It serves to confirm the partitions in doubt, and says nothing about the others.
    pub(crate) confirms: bool,
    /// How much later than the doubtful read a confirming one must be.
    pub(crate) confirm_after: Duration,
}

impl SourceMemory {
    /// A read failed: the next change may be an older state.
    pub(crate) fn disturb(&mut self) {
        self.disturbed = true;
    }

    /// A read succeeded. Returns whether somebody else answered than before.
    pub(crate) fn read(&mut self, read: SourceOffsets, reading: Reading) -> bool {
        let SourceOffsets { mut commits, answered_by } = read;
        if reading.confirms {
            self.confirming_read(&mut commits, reading);
            return false;
        }
        let other = self.answerer.is_some() && (self.answerer != answered_by);
        let doubtful = (self.disturbed || other) && !has(Bug::DisturbanceIgnored);
        for (partition, position) in &mut self.positions {
            let contradicted = core::mem::take(&mut position.contradicted);
            position.read(commits.remove(partition), reading, doubtful || contradicted);
        }
        for (partition, commit) in commits {
            self.positions.insert(partition, Position::new(commit, reading.now, doubtful));
        }
        self.answerer = answered_by.or(self.answerer);
        // Without an answerer to compare the next read with, that one is in doubt too.
        self.disturbed = answered_by.is_none();
        other
    }

    /// Another client, whose look-up is new, reads what is in doubt. It says nothing about the
    /// partitions that are not.
    fn confirming_read(
        &mut self,
        commits: &mut BTreeMap<SourcePartition, SourceCommit>,
        reading: Reading,
    ) {
        for (partition, position) in &mut self.positions {
            if position.is_due(reading) {
                let commit = commits.remove(partition);
                position.contradicted |= commit != position.current;
                position.read(commit, reading, false);
            }
        }
    }

    /// What the group has committed on the source.
    pub(crate) fn commits(&self) -> impl Iterator<Item = (&SourcePartition, &SourceCommit)> {
        self.positions
            .iter()
            .filter_map(|(partition, position)| Some((partition, position.current.as_ref()?)))
    }

    /// Where the group had committed and has no offset any more.
    pub(crate) fn vanished(&self) -> impl Iterator<Item = &SourcePartition> {
        let positions = self.positions.iter();
        positions.filter(|(_, position)| position.current.is_none()).map(|(at, _)| at)
    }

    /// Whether the present offset of `partition` is confirmed, given the source offset of the stamp
    /// stored on the target: an offset below that one is a decrease too.
    pub(crate) fn confirm(
        &mut self,
        now: Instant,
        partition: &SourcePartition,
        stamped: Option<SourceOffset>,
    ) -> bool {
        let Some(position) = self.positions.get_mut(partition) else {
            return false;
        };
        let Some(current) = position.current.as_ref().map(|commit| commit.offset) else {
            return false;
        };
        match position.belief {
            _ if has(Bug::UnconfirmedFollowed) => true,
            Belief::Confirmed { reread: true, .. } => true,
            Belief::Confirmed { reread: false, .. } => {
                let decreased = stamped.is_some_and(|stamped| current < stamped);
                if decreased {
                    position.belief = Belief::Unconfirmed { offset: current, since: now };
                }
                !decreased
            }
            Belief::Unconfirmed { .. } => false,
        }
    }

    /// The position is judged for the topics of `present`; the stamp stored on the target was made
    /// for those of `stamped`. The position may be older than the topics: where they are others than
    /// before, it is in doubt.
    pub(crate) fn judged_for(
        &mut self,
        now: Instant,
        partition: &SourcePartition,
        present: Incarnation,
        stamped: Option<Incarnation>,
    ) {
        let Some(position) = self.positions.get_mut(partition) else {
            return;
        };
        let before = position.incarnation.replace(present).or(stamped);
        if let (Some(before), Some(commit)) = (before, &position.current)
            && before != present
        {
            position.belief = Belief::Unconfirmed { offset: commit.offset, since: now };
        }
    }

    /// When the next confirming read is due, if one is needed.
    pub(crate) fn confirm_due(&self, confirm_after: Duration) -> Option<Instant> {
        self.unconfirmed().map(|since| since + confirm_after).min()
    }

    /// After which time the coordinator of a confirming read must have been looked up, where one is
    /// due now: after the latest of the doubtful reads that it can confirm. (Not later than need be:
    /// one look-up serves all groups that came into doubt together.)
    pub(crate) fn coordinator_since(
        &self,
        now: Instant,
        confirm_after: Duration,
    ) -> Option<Instant> {
        self.unconfirmed().filter(|since| *since + confirm_after <= now).max()
    }

    fn unconfirmed(&self) -> impl Iterator<Item = Instant> {
        self.positions
            .values()
            .filter(|position| position.current.is_some())
            .filter_map(|position| position.belief.in_doubt_since())
    }
}

impl Position {
    fn new(commit: SourceCommit, now: Instant, doubtful: bool) -> Self {
        let offset = commit.offset;
        let belief = match doubtful {
            true => Belief::Unconfirmed { offset, since: now },
            false => Belief::Confirmed { highest: offset, reread: false },
        };
        Self { current: Some(commit), belief, contradicted: false, incarnation: None }
    }

    fn read(&mut self, commit: Option<SourceCommit>, reading: Reading, doubtful: bool) {
        let vanished = SourceCommit { offset: SourceOffset(0), metadata: String::new() };
        let commit = commit.or_else(|| has(Bug::VanishedIsZero).then_some(vanished));
        if let Some(commit) = &commit {
            self.belief = self.belief.after(commit.offset, reading, doubtful);
        }
        self.current = commit;
    }

    /// Whether this reading can end the doubt.
    fn is_due(&self, reading: Reading) -> bool {
        self.current.is_some()
            && self.belief.in_doubt_since().is_some_and(|since| reading.may_confirm(since))
    }
}

impl Reading {
    fn may_confirm(self, since: Instant) -> bool {
        self.looked_up_after.is_some_and(|looked_up_after| looked_up_after >= since)
            && self.now.since(since) >= self.confirm_after
    }
}

impl Belief {
    fn in_doubt_since(self) -> Option<Instant> {
        match self {
            Self::Confirmed { .. } => None,
            Self::Unconfirmed { since, .. } => Some(since),
        }
    }

    fn after(self, read: SourceOffset, reading: Reading, doubtful: bool) -> Self {
        let doubted = Self::Unconfirmed { offset: read, since: reading.now };
        match self {
            Self::Confirmed { highest, .. } if read < highest => doubted,
            // What did not change is as true as it was.
            Self::Confirmed { highest, .. } if doubtful && read != highest => doubted,
            Self::Confirmed { reread, .. } => Self::Confirmed { highest: read, reread },
            Self::Unconfirmed { offset, .. } if read < offset => doubted,
            // A disturbance does not begin the wait again: whoever answers now had the first
            // answer's state, or a newer one, when that was given.
            Self::Unconfirmed { since, .. } if reading.may_confirm(since) => {
                Self::Confirmed { highest: read, reread: true }
            }
            Self::Unconfirmed { since, .. } => Self::Unconfirmed { offset: read, since },
        }
    }
}

#[cfg(test)]
#[path = "source_tests.rs"]
mod tests;
