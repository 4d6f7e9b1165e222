//! Whether a source read may be believed (`docs/protocol.md`, "Source reads").
//!
//! OffsetFetch carries no version, and a coordinator that lost its leadership may answer with old
//! offsets. A read is therefore unconfirmed after any disturbance or decrease, until a second read,
//! equal or newer, with a coordinator looked up anew and at least `groups.confirmAfter` later.

use std::collections::BTreeMap;
use std::time::Duration;

use super::event::SourceCommit;
use super::ids::{SourceOffset, SourcePartition};
use super::planted::{Bug, has};
use super::time::Instant;

/// What the source said of one group, and how far it is to be believed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct SourceMemory {
    positions: BTreeMap<SourcePartition, Position>,
    disturbed: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Position {
    /// As last read; `None` if the group has none any more. A vanished offset keeps its belief, so
    /// that one that comes back lower is still a decrease.
    current: Option<SourceCommit>,
    belief: Belief,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Belief {
    /// Equal or newer than all before it. `reread` tells that it was read twice in the way that
    /// confirms a decrease.
    Confirmed { highest: SourceOffset, reread: bool },
    /// In doubt since a read at `since`; a later read at or above `offset`, the newest one, confirms
    /// it.
    Unconfirmed { offset: SourceOffset, since: Instant },
}

impl SourceMemory {
    /// The source was disturbed: the next answer may be an older one. True if it was not known yet.
    pub(crate) fn disturb(&mut self) -> bool {
        !std::mem::replace(&mut self.disturbed, true)
    }

    /// A read succeeded. `rediscovered` tells that its coordinator was looked up after the time
    /// that [`Self::coordinator_since`] asked for.
    pub(crate) fn read(
        &mut self,
        now: Instant,
        mut offsets: BTreeMap<SourcePartition, SourceCommit>,
        rediscovered: bool,
        confirm_after: Duration,
    ) {
        for (partition, position) in &mut self.positions {
            position.current = offsets.remove(partition);
            if position.current.is_none() && has(Bug::VanishedIsZero) {
                position.current =
                    Some(SourceCommit { offset: SourceOffset(0), metadata: String::new() });
            }
            if let Some(commit) = &position.current {
                let read = Read { now, offset: commit.offset, rediscovered, confirm_after };
                position.belief = position.belief.after(read, self.disturbed);
            }
        }
        for (partition, commit) in offsets {
            let belief = if self.disturbed {
                Belief::Unconfirmed { offset: commit.offset, since: now }
            } else {
                Belief::Confirmed { highest: commit.offset, reread: false }
            };
            self.positions.insert(partition, Position { current: Some(commit), belief });
        }
        self.disturbed = false;
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

    /// When a confirming read is due, if one is needed.
    pub(crate) fn confirm_due(&self, confirm_after: Duration) -> Option<Instant> {
        self.unconfirmed().map(|since| since + confirm_after).max()
    }

    /// When a confirming read is due: its coordinator must have been looked up after this, which is
    /// when the doubtful read was. (Not later than need be: one look-up serves all groups that came
    /// into doubt together.)
    pub(crate) fn coordinator_since(
        &self,
        now: Instant,
        confirm_after: Duration,
    ) -> Option<Instant> {
        let doubtful = self.unconfirmed().max()?;
        (doubtful + confirm_after <= now).then_some(doubtful)
    }

    fn unconfirmed(&self) -> impl Iterator<Item = Instant> {
        self.positions.values().filter(|position| position.current.is_some()).filter_map(
            |position| match position.belief {
                Belief::Confirmed { .. } => None,
                Belief::Unconfirmed { since, .. } => Some(since),
            },
        )
    }
}

#[derive(Clone, Copy)]
struct Read {
    now: Instant,
    offset: SourceOffset,
    rediscovered: bool,
    confirm_after: Duration,
}

impl Belief {
    fn after(self, read: Read, disturbed: bool) -> Self {
        let doubted = Self::Unconfirmed { offset: read.offset, since: read.now };
        match self {
            Self::Confirmed { highest, .. } if disturbed || read.offset < highest => doubted,
            Self::Confirmed { reread, .. } => Self::Confirmed { highest: read.offset, reread },
            Self::Unconfirmed { offset, .. } if read.offset < offset => doubted,
            // A disturbance does not begin the wait again: whoever answers now had the first
            // answer's state, or a newer one, when that was given.
            Self::Unconfirmed { since, .. }
                if read.rediscovered && read.now.since(since) >= read.confirm_after =>
            {
                Self::Confirmed { highest: read.offset, reread: true }
            }
            Self::Unconfirmed { since, .. } => Self::Unconfirmed { offset: read.offset, since },
        }
    }
}

#[cfg(test)]
#[path = "source_tests.rs"]
mod tests;
