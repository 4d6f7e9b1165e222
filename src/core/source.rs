//! Whether a source read can be trusted (`docs/protocol.md`, "Source reads").
//!
//! OffsetFetch carries no version, and a coordinator that lost its leadership may answer with old
//! offsets. Doubt is kept per partition. A partition is in doubt after a decrease, after a change that
//! another answerer reports, and after a change that follows a failed read. A second read confirms the
//! offset if it is equal or newer, at least `groups.confirmAfter` later, and from a coordinator that was
//! looked up after the doubtful read.

use alloc::collections::BTreeMap;
use alloc::string::String;
use core::time::Duration;

use super::event::{Answerer, SourceCommit, SourceOffsets};
use super::ids::{Incarnation, SourceOffset, SourcePartition};
use super::planted::{Bug, has};
use super::time::Instant;

/// The source offsets of one group, and which of them are confirmed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct SourceMemory {
    positions: BTreeMap<SourcePartition, Position>,
    /// The answerer of the last ordinary read that had one; `None` before the first.
    answerer: Option<Answerer>,
    /// A read failed, or its connection changed, so what changes with the next read is in doubt.
    disturbed: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Position {
    /// The offset as last read; `None` if the group no longer has one. A vanished offset keeps its belief,
    /// so that one that comes back lower still counts as a decrease.
    current: Option<SourceCommit>,
    belief: Belief,
    /// A confirming read differed from the ordinary read before it. The coordinator of the ordinary reads
    /// may be stale, so a change that the next one reports is in doubt.
    contradicted: bool,
    /// The incarnation of the topics that the position was last judged for.
    incarnation: Option<Incarnation>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Belief {
    /// Confirmed at `highest`. `reread` is true once a second read has ended a doubt; the position then
    /// counts as confirmed even below the stamp's source offset.
    Confirmed { highest: SourceOffset, reread: bool },
    /// In doubt since the read at `since`. `offset` is the newest one; a confirming read at or above it
    /// ends the doubt.
    Unconfirmed { offset: SourceOffset, since: Instant },
}

/// How a read was made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    /// The time at which its answer was handled.
    pub(crate) now: Instant,
    /// The coordinator was looked up after this time.
    pub(crate) looked_up_after: Option<Instant>,
    /// The read confirms partitions in doubt. It is ignored for all others.
    pub(crate) confirms: bool,
    /// How much later than the doubtful read a confirming read must be.
    pub(crate) confirm_after: Duration,
}

impl SourceMemory {
    /// A read failed, so the next answer may be an older state.
    pub(crate) fn disturb(&mut self) {
        self.disturbed = true;
    }

    /// A read succeeded. Returns whether the answerer is another one than before.
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
        // Without an answerer to compare with, the next read is in doubt too.
        self.disturbed = answered_by.is_none();
        other
    }

    /// Another client, which has just looked the coordinator up, read the partitions in doubt. Its answer
    /// is ignored for all others.
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

    /// The group's committed offsets on the source.
    pub(crate) fn commits(&self) -> impl Iterator<Item = (&SourcePartition, &SourceCommit)> {
        self.positions
            .iter()
            .filter_map(|(partition, position)| Some((partition, position.current.as_ref()?)))
    }

    /// The partitions for which the group had a committed offset and no longer has one.
    pub(crate) fn vanished(&self) -> impl Iterator<Item = &SourcePartition> {
        let positions = self.positions.iter();
        positions.filter(|(_, position)| position.current.is_none()).map(|(at, _)| at)
    }

    /// Whether the current offset of `partition` is confirmed. `stamped` is the source offset in the stamp
    /// on the target; an offset below it counts as a decrease too.
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

    /// The position is about to be judged for the incarnation `present`; the stamp on the target has the
    /// incarnation `stamped`. If the incarnation has changed, the position is in doubt, because it may be
    /// older than the topics.
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

    /// The time at which the next confirming read is due, if one is needed.
    pub(crate) fn confirm_due(&self, confirm_after: Duration) -> Option<Instant> {
        self.unconfirmed().map(|since| since + confirm_after).min()
    }

    /// If a confirming read is due now, the time after which its coordinator must have been looked up: the
    /// latest of the doubtful reads that it can confirm. A later time would be stricter than needed; with
    /// this one, a single look-up serves all groups that came into doubt together.
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
            // An unchanged offset is as valid as before.
            Self::Confirmed { highest, .. } if doubtful && read != highest => doubted,
            Self::Confirmed { reread, .. } => Self::Confirmed { highest: read, reread },
            Self::Unconfirmed { offset, .. } if read < offset => doubted,
            // A disturbance does not restart the wait: when the doubtful answer was given, the coordinator
            // that answers now already had that state or a newer one.
            Self::Unconfirmed { since, .. } if reading.may_confirm(since) => {
                Self::Confirmed { highest: read, reread: true }
            }
            Self::Unconfirmed { since, .. } => Self::Unconfirmed { offset: read, since },
        }
    }
}

#[cfg(test)]
mod tests;
