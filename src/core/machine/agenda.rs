//! When the next round of each resting group is due, and how many groups may have one at once.

use std::collections::BTreeSet;

use super::super::ids::GroupId;
use super::super::time::Instant;

/// How many groups may have a round under way at once.
const ROUNDS_AT_ONCE: usize = 64;
/// How many of them may be groups whose round before failed: where their coordinator does not answer,
/// each keeps its room until it times out, and the others must not wait for that.
const RETRIES_AT_ONCE: usize = 16;

/// Resting groups by when their next round is due. Those whose last round failed are kept apart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Agenda {
    rounds: BTreeSet<(Instant, GroupId)>,
    retries: BTreeSet<(Instant, GroupId)>,
    /// Groups that try again now.
    retrying: BTreeSet<GroupId>,
}

impl Agenda {
    /// The group rests until `due`; `failed` tells how its round ended.
    pub(super) fn plan(&mut self, due: Instant, name: GroupId, failed: bool) {
        self.retrying.remove(&name);
        let kept = if failed { &mut self.retries } else { &mut self.rounds };
        kept.insert((due, name));
    }

    /// A resting group is due at another time.
    pub(super) fn move_to(&mut self, due: Instant, name: &GroupId, from: Instant) {
        let old = (from, name.clone());
        for kept in [&mut self.rounds, &mut self.retries] {
            if kept.remove(&old) {
                kept.insert((due, name.clone()));
            }
        }
    }

    /// The group's round hangs on a shard's producer now, which has room of its own.
    pub(super) fn waits_for_producer(&mut self, name: &GroupId) {
        self.retrying.remove(name);
    }

    /// Forgets every group that is not to be kept.
    pub(super) fn retain(&mut self, keep: impl Fn(&GroupId) -> bool) {
        self.rounds.retain(|(_, name)| keep(name));
        self.retries.retain(|(_, name)| keep(name));
        self.retrying.retain(keep);
    }

    /// The group whose round is to begin now, if there is room beside the rounds `under_way`.
    pub(super) fn begin(&mut self, now: Instant, under_way: usize) -> Option<GroupId> {
        let (due, retry) = self.next(under_way)?;
        if due > now {
            return None;
        }
        let kept = if retry { &mut self.retries } else { &mut self.rounds };
        let (_, name) = kept.pop_first()?;
        if retry {
            self.retrying.insert(name.clone());
        }
        Some(name)
    }

    /// When the next round may begin, if there is room beside the rounds `under_way`.
    pub(super) fn next_due(&self, under_way: usize) -> Option<Instant> {
        self.next(under_way).map(|(due, _)| due)
    }

    /// When, and whether it is a retry.
    fn next(&self, under_way: usize) -> Option<(Instant, bool)> {
        if under_way >= ROUNDS_AT_ONCE {
            return None;
        }
        let room = self.retrying.len() < RETRIES_AT_ONCE;
        let retry = self.retries.first().filter(|_| room).map(|(due, _)| (*due, true));
        self.rounds.first().map(|(due, _)| (*due, false)).into_iter().chain(retry).min()
    }

    /// How many groups rest.
    pub(super) fn len(&self) -> usize {
        self.rounds.len() + self.retries.len()
    }

    /// Whether the group rests until `due`.
    pub(super) fn has(&self, due: Instant, name: &GroupId) -> bool {
        let planned = (due, name.clone());
        self.rounds.contains(&planned) || self.retries.contains(&planned)
    }
}
