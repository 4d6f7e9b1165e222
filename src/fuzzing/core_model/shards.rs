//! The life of a shard, by `docs/protocol.md`, "The life of a shard".

use crate::core::action::{Action, Read};
use crate::core::event::Event;
use crate::core::failure::{Failure, FailureClass};
use crate::core::fence_log::FenceLog;
use crate::core::ids::{Fence, GroupId, Shard};
use crate::core::machine::view::{LaneView, LifeView, ShardView};

use super::about::{is_for, shard_of};
use super::mapping_ends::{Ends, reached};
use super::model::Model;

/// A shard that is assigned to the machine.
pub(super) struct ShardModel {
    pub(super) view: ShardView,
    pub(super) ends: Ends,
    /// When it was last taken over.
    pub(super) fenced_at: u64,
    /// It was taken over anew because this fence was found above its own.
    regressed: Option<Fence>,
}

impl ShardModel {
    fn at(life: LifeView, revoked: bool) -> Self {
        let view = ShardView { life, revoked, lane: LaneView::Free };
        Self { view, ends: Ends::Due(0), fenced_at: 0, regressed: None }
    }

    pub(super) fn fence(&self) -> Option<Fence> {
        match self.view.life {
            LifeView::Active { fence } => Some(fence),
            LifeView::BackingOff { .. }
            | LifeView::CheckingAssignment
            | LifeView::ReadingLog
            | LifeView::ReadingFirstLog
            | LifeView::Initialising
            | LifeView::RereadingLog
            | LifeView::TakingOver
            | LifeView::CatchingUp { .. }
            | LifeView::Loading { .. } => None,
        }
    }

    pub(super) fn is_free(&self) -> bool {
        self.view.lane == LaneView::Free
    }

    /// Whether it can only go on by an answer.
    pub(super) fn waits(&self) -> bool {
        match self.view.life {
            LifeView::CheckingAssignment
            | LifeView::ReadingLog
            | LifeView::ReadingFirstLog
            | LifeView::Initialising
            | LifeView::RereadingLog
            | LifeView::TakingOver => true,
            LifeView::Active { .. } => self.view.lane == LaneView::Record,
            LifeView::BackingOff { .. }
            | LifeView::CatchingUp { .. }
            | LifeView::Loading { .. } => false,
        }
    }

    /// Whether `action` is what it waits for.
    pub(super) fn asked(&self, own: Shard, action: &Action) -> bool {
        let (at, fits) = match action {
            Action::CheckAssignment { shard, .. } => {
                (shard, self.view.life == LifeView::CheckingAssignment)
            }
            Action::ReadFenceLog { shard, of, .. } => match self.view.life {
                LifeView::ReadingLog | LifeView::RereadingLog => (shard, of == shard),
                LifeView::ReadingFirstLog => (shard, *of == Shard(0)),
                LifeView::BackingOff { .. }
                | LifeView::CheckingAssignment
                | LifeView::Initialising
                | LifeView::TakingOver
                | LifeView::CatchingUp { .. }
                | LifeView::Loading { .. }
                | LifeView::Active { .. } => (shard, false),
            },
            Action::InitTransactions { shard, .. } => {
                (shard, self.view.life == LifeView::Initialising)
            }
            Action::WriteTakeOver { shard, .. } => (shard, self.view.life == LifeView::TakingOver),
            Action::WriteFenceRecord { shard, fence, .. } => {
                (shard, self.fence() == Some(*fence) && self.view.lane == LaneView::Record)
            }
            Action::DestroyProducer { .. }
            | Action::ReleaseShard { .. }
            | Action::ReadMappings { .. }
            | Action::Read(_)
            | Action::Commit(_)
            | Action::Report { .. }
            | Action::Stop { .. } => return false,
        };
        *at == own && fits
    }
}

impl Model {
    pub(super) fn assigned(&mut self, shard: Shard) {
        if self.shards.contains_key(&shard) {
            self.forget(shard);
        }
        self.shards.insert(shard, ShardModel::at(LifeView::ReadingLog, false));
    }

    pub(super) fn revoked(&mut self, shard: Shard) {
        match self.shards.get_mut(&shard) {
            Some(state) => {
                state.view.revoked = true;
                if !self.in_flight(shard) {
                    self.leave(shard);
                }
            }
            None => self.owed.releases.push(shard),
        }
    }

    /// A commit or a record is being written.
    pub(super) fn in_flight(&self, shard: Shard) -> bool {
        let busy = self.shards.get(&shard).is_some_and(|state| !state.is_free());
        busy || self.groups.values().any(|group| group.shard == shard && group.is_committing())
    }

    /// No answer to the shard or its groups counts any more, and no decision.
    fn forget(&mut self, shard: Shard) {
        self.owed.destroyed.push(shard);
        let (groups, ends) = (&self.groups, &self.asked_ends);
        for (request, (action, wanted)) in &mut self.asked {
            let of_group = |name: &GroupId| groups.get(name).is_some_and(|it| it.shard == shard);
            let of_shard = ends.get(request) == Some(&shard);
            *wanted &= !(of_shard || is_for(action, shard, of_group));
        }
        let of_it = self.groups.iter().filter(|(_, group)| group.shard == shard);
        self.forgotten.extend(of_it.map(|(name, _)| name.clone()));
        self.groups.retain(|_, group| group.shard != shard);
        let groups = &self.groups;
        self.topics_wanted.retain(|name| groups.contains_key(name));
        if let Some(asked) = &mut self.topics_asked {
            asked.retain(|name| groups.contains_key(name));
        }
    }

    pub(super) fn leave(&mut self, shard: Shard) {
        if self.shards.remove(&shard).is_some() {
            self.forget(shard);
            self.left.insert(shard);
        }
        self.owed.releases.push(shard);
    }

    /// Back to *Fencing*, after a while.
    pub(super) fn back_off(&mut self, shard: Shard, check: bool) {
        let Some(state) = self.shards.get(&shard) else {
            return;
        };
        let (revoked, regressed) = (state.view.revoked, state.regressed);
        self.forget(shard);
        if revoked {
            self.owed.destroyed.push(shard);
            self.shards.remove(&shard);
            return self.owed.releases.push(shard);
        }
        let backing_off = ShardModel::at(LifeView::BackingOff { check }, false);
        self.shards.insert(shard, ShardModel { regressed, ..backing_off });
    }

    /// A fence above ours in a first look is another owner's, unless a new take-over did not get above
    /// the last one.
    pub(super) fn is_overtaken(&mut self, shard: Shard, stored: Option<Fence>) -> bool {
        let Some((state, stored)) = self.shards.get_mut(&shard).zip(stored) else {
            return false;
        };
        let before = state.regressed;
        if before.is_some_and(|before| state.fence().is_none_or(|fence| fence <= before)) {
            return false;
        }
        state.regressed = Some(stored);
        true
    }

    /// Everything is taken over anew.
    pub(super) fn all_anew(&mut self) {
        for shard in self.shards.keys().copied().collect::<Vec<_>>() {
            self.forget(shard);
            let revoked = self.shards[&shard].view.revoked;
            self.shards.insert(shard, ShardModel::at(LifeView::ReadingLog, revoked));
        }
    }

    pub(super) fn shard_answered(&mut self, action: &Action, event: &Event) {
        let Some(shard) = shard_of(action) else {
            return;
        };
        let failure = |failure: &Failure| Some(failure.clone());
        let (next, failed, check) = match event {
            Event::AssignmentChecked { outcome: Ok(true), .. } => {
                (Some(LifeView::ReadingLog), None, true)
            }
            Event::AssignmentChecked { outcome: Ok(false), .. } => {
                return self.back_off(shard, true);
            }
            Event::FenceLogRead { outcome: Ok(log), .. } => return self.log_read(shard, log),
            Event::TransactionsInitialised { outcome: Ok(()), .. } => {
                (Some(LifeView::RereadingLog), None, true)
            }
            Event::TakeOverWritten { outcome: Ok(fence), .. } => {
                (Some(LifeView::CatchingUp { fence: *fence }), None, true)
            }
            Event::FenceRecordWritten { outcome, .. } => {
                return self.record_written(shard, outcome);
            }
            Event::AssignmentChecked { outcome: Err(error), .. }
            | Event::TakeOverWritten { outcome: Err(error), .. } => (None, failure(error), true),
            Event::FenceLogRead { outcome: Err(error), .. } => (None, failure(error), false),
            Event::TransactionsInitialised { outcome: Err(error), .. } => {
                (None, failure(error), error.class == FailureClass::Fenced)
            }
            Event::TimePassed
            | Event::StopRequested
            | Event::ShardAssigned { .. }
            | Event::ShardRevoked { .. }
            | Event::ShardLost { .. }
            | Event::MappingsRead { .. }
            | Event::MappingReadFailed { .. }
            | Event::Read(_)
            | Event::Commit(_)
            | Event::SourceDisturbed => return,
        };
        if let Some(failure) = failed
            && !self.fails_by(&failure)
        {
            self.back_off(shard, check);
        }
        if let (Some(life), Some(state)) = (next, self.shards.get_mut(&shard)) {
            state.view.life = life;
            (state.ends, state.fenced_at) = (Ends::Due(self.now), self.now);
        }
    }

    fn log_read(&mut self, shard: Shard, log: &FenceLog) {
        let own = self.terms.record();
        if log.newest.get(&own.key).is_some_and(|(_, value)| *value != own.value) {
            return self.fail();
        }
        let fenced = !self.is_guarded();
        let never_owned = shard != Shard(0) && !log.newest.contains_key(&own.key);
        if let Some(state) = self.shards.get_mut(&shard) {
            let first = state.view.life != LifeView::RereadingLog;
            state.view.life = if state.view.life == LifeView::ReadingLog && never_owned {
                LifeView::ReadingFirstLog
            } else if first && fenced {
                LifeView::Initialising
            } else {
                LifeView::TakingOver
            };
        }
    }

    fn record_written(&mut self, shard: Shard, outcome: &Result<(), Failure>) {
        if let Some(state) = self.shards.get_mut(&shard) {
            state.view.lane = LaneView::Free;
        }
        match outcome {
            Ok(()) => {}
            Err(failure) if self.fails_by(failure) => {}
            Err(failure) if failure.class == FailureClass::Retry => {}
            Err(_) => self.back_off(shard, true),
        }
    }

    /// The machine asks something for a shard, or writes to its fence log.
    pub(super) fn shard_ordered(&mut self, shard: Shard, action: &Action) {
        let leaving = self.stopping.is_some();
        let own = self.terms.record();
        let Some(state) = self.shards.get_mut(&shard) else {
            assert!(self.left.contains(&shard), "{action:?} for a shard that is not ours");
            let asked = self.asked.values_mut().find(|(asked, _)| asked == action);
            asked.into_iter().for_each(|(_, wanted)| *wanted = false);
            return;
        };
        match (action, state.view.life) {
            (Action::CheckAssignment { .. }, LifeView::BackingOff { check: true }) => {
                state.view.life = LifeView::CheckingAssignment;
            }
            (Action::ReadFenceLog { .. }, LifeView::BackingOff { check: false }) => {
                state.view.life = LifeView::ReadingLog;
            }
            (Action::WriteFenceRecord { .. }, LifeView::Active { .. }) => {
                assert!(state.is_free() && !state.view.revoked && !leaving, "{action:?}");
                state.view.lane = LaneView::Record;
            }
            (_, _) => {}
        }
        if let Action::WriteTakeOver { record, .. } = action {
            assert_eq!(*record, own);
        }
        assert!(state.asked(shard, action), "{action:?} at {:?}", state.view);
    }

    /// What goes on by itself: leaving, and the steps that wait for nothing but what is known.
    pub(super) fn settle(&mut self) {
        if self.stopped {
            return;
        }
        let patient = self.stopping.is_none_or(|until| self.now < until);
        for shard in self.shards.keys().copied().collect::<Vec<_>>() {
            let leaving = self.stopping.is_some() || self.shards[&shard].view.revoked;
            if leaving && (!patient || !self.in_flight(shard)) {
                self.leave(shard);
            } else if self.stopping.is_none() {
                self.step(shard);
            }
        }
        if self.stopping.is_some() && self.shards.is_empty() {
            self.fail();
        }
    }

    fn step(&mut self, shard: Shard) {
        let Some(state) = self.shards.get_mut(&shard) else {
            return;
        };
        match (state.view.life, &state.ends) {
            (LifeView::CatchingUp { fence }, Ends::Known(ends, _))
                if reached(ends, &self.known.as_of) =>
            {
                let (source_listed, target_listed) = (false, false);
                state.view.life = LifeView::Loading { fence, source_listed, target_listed };
                // Lists that were asked for before do not count.
                for (action, wanted) in self.asked.values_mut() {
                    *wanted &= !is_list(action);
                }
            }
            (LifeView::Loading { fence, source_listed: true, target_listed: true }, _) => {
                state.view.life = LifeView::Active { fence };
                self.adopt(shard);
            }
            (_, _) => {}
        }
    }
}

fn is_list(action: &Action) -> bool {
    matches!(action, Action::Read(Read::SourceGroups { .. } | Read::TargetGroups { .. }))
}
