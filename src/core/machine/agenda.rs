//! When the next round of each resting group is due, and how many groups may be read at once.
//!
//! Each coordinator has room of its own: if one does not answer, its groups wait for each other, and the
//! groups of the other coordinators wait for none of them.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::super::ids::{BrokerId, GroupId};
use super::super::time::Instant;

/// How many groups of one coordinator may be read at once.
pub(super) const READS_AT_ONCE: usize = 64;
/// How many of them may be groups whose previous round failed. Where the coordinators are not known, this
/// limit leaves room for the other groups.
const RETRIES_AT_ONCE: usize = 16;

/// A group's coordinator; `None` where it is not known.
pub(super) type Coordinator = Option<BrokerId>;

/// Resting groups, ordered by when their next round is due, and groups that are being read on the source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Agenda {
    lanes: BTreeMap<Coordinator, Lane>,
    places: BTreeMap<GroupId, Place>,
}

/// The groups of one coordinator.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Lane {
    /// Resting groups whose previous round did not fail.
    rounds: BTreeSet<(Instant, GroupId)>,
    /// Resting groups whose previous round failed.
    retries: BTreeSet<(Instant, GroupId)>,
    /// How many groups are being read.
    reading: usize,
    /// How many of these are retries.
    retrying: usize,
}

/// A group's place in the agenda.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Place {
    coordinator: Coordinator,
    retry: bool,
    /// Until when it rests; `None` while it is being read.
    due: Option<Instant>,
}

impl Agenda {
    /// Lets the group rest until `due`. `retry` says whether its previous round failed.
    pub(super) fn plan(
        &mut self,
        due: Instant,
        name: GroupId,
        retry: bool,
        coordinator: Coordinator,
    ) {
        self.forget(&name);
        let lane = self.lanes.entry(coordinator).or_default();
        lane.resting(retry).insert((due, name.clone()));
        self.places.insert(name, Place { coordinator, retry, due: Some(due) });
    }

    /// The group has been read on the source. The next one gets its room.
    pub(super) fn read(&mut self, name: &GroupId) {
        if self.is_reading(name) {
            self.forget(name);
        }
    }

    /// Forgets the group.
    pub(super) fn forget(&mut self, name: &GroupId) {
        if let Some(place) = self.places.remove(name)
            && let Some(lane) = self.lanes.get_mut(&place.coordinator)
        {
            lane.leave(name, place);
        }
    }

    /// Forgets every group for which `keep` is false.
    pub(super) fn retain(&mut self, keep: impl Fn(&GroupId) -> bool) {
        let gone: Vec<_> = self.places.keys().filter(|name| !keep(name)).cloned().collect();
        for name in gone {
            self.forget(&name);
        }
    }

    /// Takes the next group whose round is due and whose coordinator has room.
    pub(super) fn begin(&mut self, now: Instant) -> Option<GroupId> {
        let (due, coordinator, retry) = self.next()?;
        if due > now {
            return None;
        }
        let lane = self.lanes.get_mut(&coordinator)?;
        let (_, name) = lane.resting(retry).pop_first()?;
        lane.reading += 1;
        lane.retrying += usize::from(retry);
        self.places.insert(name.clone(), Place { coordinator, retry, due: None });
        Some(name)
    }

    /// When the next round may begin.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.next().map(|(due, _, _)| due)
    }

    /// When the next round may begin, in which lane, and whether it is a retry.
    fn next(&self) -> Option<(Instant, Coordinator, bool)> {
        let lanes = self.lanes.iter();
        lanes.filter_map(|(at, lane)| lane.next().map(|(due, retry)| (due, *at, retry))).min()
    }

    /// Until when the group rests; `None` if it does not.
    pub(super) fn rests_until(&self, name: &GroupId) -> Option<Instant> {
        self.places.get(name).and_then(|place| place.due)
    }

    /// Every group that rests or is being read.
    pub(super) fn groups(&self) -> impl Iterator<Item = &GroupId> {
        self.places.keys()
    }

    /// Whether the group is being read on the source.
    pub(super) fn is_reading(&self, name: &GroupId) -> bool {
        self.places.get(name).is_some_and(|place| place.due.is_none())
    }
}

impl Lane {
    fn resting(&mut self, retry: bool) -> &mut BTreeSet<(Instant, GroupId)> {
        if retry { &mut self.retries } else { &mut self.rounds }
    }

    fn leave(&mut self, name: &GroupId, place: Place) {
        match place.due {
            Some(due) => {
                self.resting(place.retry).remove(&(due, name.clone()));
            }
            None => {
                self.reading = self.reading.saturating_sub(1);
                self.retrying = self.retrying.saturating_sub(usize::from(place.retry));
            }
        }
    }

    fn next(&self) -> Option<(Instant, bool)> {
        if self.reading >= READS_AT_ONCE {
            return None;
        }
        let retry = self.retries.first().filter(|_| self.retrying < RETRIES_AT_ONCE);
        let retry = retry.map(|(due, _)| (*due, true));
        self.rounds.first().map(|(due, _)| (*due, false)).into_iter().chain(retry).min()
    }
}
