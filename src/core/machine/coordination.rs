//! Which broker coordinates which group, on both clusters. Each coordinator has room of its own for reads,
//! so that a broker that does not answer delays only its own groups (`docs/protocol.md`, "Following the
//! world").

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;
use core::time::Duration;

use super::super::action::{Action, Read};
use super::super::coordinators::{Coordinators, Side};
use super::super::event::Answerer;
use super::super::failure::{Failure, FailureClass};
use super::super::group::Stage;
use super::super::ids::GroupId;
use super::super::note::Note;
use super::super::time::Instant;
use super::agenda::{Coordinator, READS_AT_ONCE};
use super::{Core, Waiter};

/// Groups of one cluster whose requests fail within this time share a look-up of their coordinators.
const LOOK_UP_AGAIN: Duration = Duration::from_secs(2);

/// The coordinators of both clusters, and the reads at those of the target.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Coordination {
    source: Known,
    target: Known,
    /// The reads at the coordinators of the target.
    reads: TargetReads,
    /// The answerer last reported for each coordinator of the source.
    answerers: BTreeMap<Coordinator, Option<Answerer>>,
}

/// The coordinators of one cluster.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Known {
    coordinators: Coordinators,
    /// When they are read again; `None` while a read is under way.
    due: Option<Instant>,
    /// Groups whose request failed need a coordinator that was looked up after this.
    look_up_after: Option<Instant>,
}

/// Groups that are being read on the target, and groups that wait for room there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct TargetReads {
    under_way: BTreeMap<GroupId, Coordinator>,
    at: BTreeMap<Coordinator, usize>,
    waiting: BTreeMap<Coordinator, VecDeque<GroupId>>,
}

impl Coordination {
    pub(super) fn new(now: Instant) -> Self {
        let known =
            || Known { coordinators: Coordinators::default(), due: Some(now), look_up_after: None };
        Self {
            source: known(),
            target: known(),
            reads: TargetReads::default(),
            answerers: BTreeMap::new(),
        }
    }

    /// The group's coordinator on the source; `None` where it is not known.
    pub(super) fn source_of(&self, group: &GroupId) -> Coordinator {
        self.source.coordinators.of(group)
    }

    fn side(&mut self, side: Side) -> &mut Known {
        match side {
            Side::Source => &mut self.source,
            Side::Target => &mut self.target,
        }
    }
}

impl Core {
    pub(super) fn coordination_due(&self) -> Option<Instant> {
        self.coordination.source.due.into_iter().chain(self.coordination.target.due).min()
    }

    pub(super) fn advance_coordination(&mut self) {
        if self.stopping.is_some() {
            return;
        }
        for side in [Side::Source, Side::Target] {
            let known = self.coordination.side(side);
            if known.due.is_some_and(|due| due <= self.now) {
                known.due = None;
                let request = self.requests.ask(Waiter::Coordinators(side));
                self.act(Action::Read(Read::Coordinators { request, side }));
            }
        }
    }

    /// If they could not be read, the previous ones stay in use.
    pub(super) fn coordinators_read(&mut self, side: Side, outcome: Result<Coordinators, Failure>) {
        let next = self.now + self.policy().poll_interval;
        let known = self.coordination.side(side);
        known.due = Some(next);
        let Ok(read) = outcome else {
            return;
        };
        let before = core::mem::replace(&mut known.coordinators, read);
        if before == known.coordinators {
            return;
        }
        let after = known.coordinators.clone();
        let moved: Vec<GroupId> = self
            .groups
            .keys()
            .filter(|name| before.of(name).is_some() && before.of(name) != after.of(name))
            .cloned()
            .collect();
        for name in moved {
            self.coordinator_moved(side, &name);
        }
    }

    /// The group has another coordinator. Clients that looked it up before would still ask the former one, so
    /// the next reads need a new look-up.
    fn coordinator_moved(&mut self, side: Side, name: &GroupId) {
        let now = self.now;
        let Some(group) = self.groups.get_mut(name) else {
            return;
        };
        match side {
            Side::Source => group.source_since = Some(now),
            Side::Target => group.target_since = Some(now),
        }
        match (side, &group.stage) {
            (_, Stage::Resting { .. }) if group.failures > 0 => self.wake(name),
            (Side::Source, Stage::ReadingSource { .. }) => self.read_source_again(name),
            (Side::Target, Stage::ReadingTarget { .. }) => self.read_target_again(name),
            (Side::Target, Stage::Verifying { .. }) => self.unverified(name.clone()),
            (
                _,
                Stage::Resting { .. }
                | Stage::ReadingSource { .. }
                | Stage::WaitingForTarget { .. }
                | Stage::ReadingTarget { .. }
                | Stage::ReadingTopics { .. }
                | Stage::Queued(_)
                | Stage::Writing(_)
                | Stage::Verifying { .. }
                | Stage::Ending { .. }
                | Stage::Committing(_),
            ) => {}
        }
    }

    /// The former coordinator may never answer. The read counts as failed, and the new one is asked.
    fn read_source_again(&mut self, name: &GroupId) {
        self.abandon_read(name);
        self.agenda.read(name);
        if let Some(group) = self.groups.get_mut(name) {
            group.source.disturb();
        }
        self.rest(name, self.now);
    }

    fn read_target_again(&mut self, name: &GroupId) {
        self.abandon_read(name);
        self.target_read_ended(name);
        self.rest(name, self.now);
    }

    /// Fails the verification: the transaction does not wait for the former coordinator's answer.
    fn unverified(&mut self, name: GroupId) {
        self.abandon_read(&name);
        let detail =
            format!("the coordinator of group {name} moved while its commit was being verified");
        self.verified(name, Err(Failure::new(FailureClass::Retry, detail)));
    }

    fn abandon_read(&mut self, name: &GroupId) {
        self.requests.abandon(|waiter| matches!(waiter, Waiter::Group(group) if group == name));
    }

    /// The group's coordinator on this cluster; `None` where it is not known.
    pub(super) fn coordinator(&self, side: Side, name: &GroupId) -> Coordinator {
        match side {
            Side::Source => self.coordination.source.coordinators.of(name),
            Side::Target => self.coordination.target.coordinators.of(name),
        }
    }

    /// A request to the group's coordinator failed. The next one looks the coordinator up first. Groups that
    /// fail together share a look-up.
    pub(super) fn look_up_again(&mut self, side: Side, name: &GroupId) {
        let now = self.now;
        let known = self.coordination.side(side);
        let after = match known.look_up_after {
            Some(after) if now.since(after) < LOOK_UP_AGAIN => after,
            Some(_) | None => now,
        };
        known.look_up_after = Some(after);
        if let Some(group) = self.groups.get_mut(name) {
            match side {
                Side::Source => group.source_since = group.source_since.max(Some(after)),
                Side::Target => group.target_since = group.target_since.max(Some(after)),
            }
        }
    }

    /// Makes the next round of a resting group due now.
    pub(super) fn wake(&mut self, name: &GroupId) {
        let now = self.now;
        if let Some(group) = self.groups.get_mut(name)
            && matches!(group.stage, Stage::Resting { .. })
        {
            group.stage = Stage::Resting { due: now };
            let retry = group.failures > 0;
            let coordinator = self.coordinator(Side::Source, name);
            self.agenda.plan(now, name.clone(), retry, coordinator);
        }
    }

    /// Takes room for a read of the group at its coordinator on the target. If there is none, the group waits
    /// for it, and this returns false.
    pub(super) fn begin_target_read(&mut self, name: &GroupId) -> bool {
        let coordinator = self.coordinator(Side::Target, name);
        let reads = &mut self.coordination.reads;
        let at = reads.at.entry(coordinator).or_default();
        if *at >= READS_AT_ONCE {
            reads.waiting.entry(coordinator).or_default().push_back(name.clone());
            return false;
        }
        *at += 1;
        reads.under_way.insert(name.clone(), coordinator);
        true
    }

    /// The group's read on the target ended. The next group that waits for that coordinator gets its room.
    pub(super) fn target_read_ended(&mut self, name: &GroupId) {
        if let Some(coordinator) = self.coordination.reads.under_way.remove(name) {
            let at = self.coordination.reads.at.entry(coordinator).or_default();
            *at = at.saturating_sub(1);
            self.next_target_read(coordinator);
        }
    }

    fn next_target_read(&mut self, coordinator: Coordinator) {
        let waiting = self.coordination.reads.waiting.get_mut(&coordinator);
        let Some(next) = waiting.and_then(VecDeque::pop_front) else {
            return;
        };
        match self.groups.get(&next).map(|group| group.stage.clone()) {
            Some(Stage::WaitingForTarget { since, .. })
                if self.now.since(since) > self.policy().poll_interval =>
            {
                // The source offsets that it read are out of date by now.
                self.rest(&next, self.now);
                self.next_target_read(coordinator);
            }
            Some(Stage::WaitingForTarget { source_failed, targets, .. }) => {
                self.read_target(next, source_failed, targets);
            }
            Some(_) | None => self.next_target_read(coordinator),
        }
    }

    /// Whether the group waits for room at its coordinator on the target.
    pub(super) fn waits_for_target(&self, name: &GroupId) -> bool {
        self.coordination.reads.waiting.values().any(|queue| queue.contains(name))
    }

    /// Another connection or another coordinator than before answered for the group. Each is reported once.
    pub(super) fn answered_by_another(&mut self, name: &GroupId, by: Option<Answerer>) {
        let coordinator = self.coordinator(Side::Source, name);
        if self.coordination.answerers.insert(coordinator, by) != Some(by) {
            self.report(Note::SourceDisturbed { coordinator });
        }
    }

    /// Forgets the target reads of groups that are no longer kept.
    pub(super) fn forget_target_reads(&mut self) {
        let groups: BTreeSet<GroupId> = self.groups.keys().cloned().collect();
        let reads = &mut self.coordination.reads;
        for queue in reads.waiting.values_mut() {
            queue.retain(|name| groups.contains(name));
        }
        let gone: Vec<_> =
            reads.under_way.keys().filter(|name| !groups.contains(*name)).cloned().collect();
        for name in gone {
            self.target_read_ended(&name);
        }
    }
}
