//! The life of a shard, from its assignment to its release (`docs/protocol.md`, "The life of a shard").

use alloc::vec::Vec;
use core::time::Duration;

use super::super::action::Action;
use super::super::event::FenceTopic;
use super::super::failure::{Failure, FailureClass};
use super::super::fence_log::FenceLog;
use super::super::ids::{Fence, Shard};
use super::super::note::Note;
use super::super::planted::{Bug, has};
use super::super::policy::CommitMode;
use super::super::shard::{Ends, Lane, Life, ShardState, Step};
use super::super::time::Instant;
use super::{Core, Waiter};

/// Every shard count includes it, so instances with fewer shards left a take-over record in its partition.
const FIRST_SHARD: Shard = Shard(0);
/// How often a keep-alive record is written. By default a `transactional.id` expires after seven days
/// without use.
const KEEP_ALIVE: Duration = Duration::from_secs(24 * 3600);

impl Core {
    pub(super) fn shard_assigned(&mut self, shard: Shard) {
        let FenceTopic { shards, .. } = self.setup.fence_topic;
        if shard.get() >= shards.get() && has(Bug::TwoShardCounts) {
            return self.act(Action::ReleaseShard { shard });
        }
        if shard.get() >= shards.get() {
            self.fail(format!(
                "the coordination group assigned shard {shard}, but the fence topic had {shards} \
                 partitions when this instance started: partitions were added since. Stop all \
                 instances, and set coordination.fenceTopic to a new topic"
            ));
            return;
        }
        self.drop_shard(shard);
        self.shards.insert(shard, ShardState::new(Step::ReadingLog));
        self.begin(shard, Step::ReadingLog);
    }

    pub(super) fn shard_revoked(&mut self, shard: Shard) {
        match self.shards.get_mut(&shard) {
            Some(state) => {
                state.revoked = true;
                if !self.in_flight(shard) {
                    self.leave(shard);
                }
            }
            None => self.act(Action::ReleaseShard { shard }),
        }
    }

    pub(super) fn shard_lost(&mut self, shard: Shard) {
        self.leave(shard);
    }

    /// Whether something that changes the target is under way for the shard. A take-over counts too: its
    /// `init_transactions` would fence the shard's next owner.
    pub(super) fn in_flight(&self, shard: Shard) -> bool {
        let lane = self.shards.get(&shard).is_some_and(|state| state.lane != Lane::Free);
        let lane = lane || self.takes_over(shard);
        lane || self.groups.values().any(|group| group.shard == shard && group.in_transaction())
    }

    /// Whether the shard's `init_transactions` or take-over record is under way.
    pub(super) fn takes_over(&self, shard: Shard) -> bool {
        self.shards.get(&shard).is_some_and(|state| match &state.life {
            Life::Fencing(Step::Initialising | Step::TakingOver) => true,
            Life::Fencing(
                Step::BackingOff { .. }
                | Step::CheckingAssignment
                | Step::ReadingLog
                | Step::ReadingFirstLog
                | Step::RereadingLog,
            )
            | Life::CatchingUp { .. }
            | Life::Loading { .. }
            | Life::Active { .. } => false,
        })
    }

    /// Starts a take-over again if the mappings were restarted before its answer, and returns whether it did.
    fn begun_again(&mut self, shard: Shard) -> bool {
        let again = self.shards.get_mut(&shard).filter(|state| state.begins_again);
        let Some(state) = again else {
            return false;
        };
        state.begins_again = false;
        self.act(Action::DestroyProducer { shard });
        self.begin(shard, Step::ReadingLog);
        true
    }

    /// Gives the shard back, and forgets what is known of it.
    pub(super) fn leave(&mut self, shard: Shard) {
        if self.shards.contains_key(&shard) {
            self.drop_shard(shard);
            self.report(Note::ShardLeft { shard });
        }
        self.act(Action::ReleaseShard { shard });
    }

    /// Forgets the shard and every decision made for it, and destroys its producer.
    pub(super) fn drop_shard(&mut self, shard: Shard) {
        if self.shards.remove(&shard).is_some() {
            self.forget_decisions(shard);
            self.act(Action::DestroyProducer { shard });
        }
    }

    pub(super) fn forget_decisions(&mut self, shard: Shard) {
        self.keep_decisions(shard);
        let groups = &self.groups;
        self.requests.abandon(|waiter| match waiter {
            Waiter::Shard(waiting) => *waiting == shard,
            Waiter::Group(group) => groups.get(group).is_some_and(|group| group.shard == shard),
            Waiter::Control | Waiter::SourceList | Waiter::TargetList | Waiter::Coordinators(_) => {
                false
            }
        });
        self.groups.retain(|_, group| group.shard != shard);
        let groups = &self.groups;
        self.agenda.retain(|group| groups.contains_key(group));
        self.forget_target_reads();
    }

    pub(super) fn begin(&mut self, shard: Shard, step: Step) {
        if let Some(state) = self.shards.get_mut(&shard) {
            state.life = Life::Fencing(step);
        }
        let mut ask = || self.requests.ask(Waiter::Shard(shard));
        let action = match step {
            Step::BackingOff { .. } => return,
            Step::CheckingAssignment => Action::CheckAssignment { request: ask(), shard },
            Step::ReadingLog | Step::RereadingLog => {
                Action::ReadFenceLog { request: ask(), shard, of: shard }
            }
            Step::ReadingFirstLog => {
                Action::ReadFenceLog { request: ask(), shard, of: FIRST_SHARD }
            }
            Step::Initialising => Action::InitTransactions { request: ask(), shard },
            Step::TakingOver => {
                let record = self.terms.record();
                Action::WriteTakeOver { request: ask(), shard, record }
            }
        };
        self.act(action);
    }

    pub(super) fn assignment_checked(&mut self, shard: Shard, outcome: Result<bool, Failure>) {
        match outcome {
            Ok(true) => self.begin(shard, Step::ReadingLog),
            // Either the group will report the shard as lost, or this instance is between two generations.
            // The shard must not be forgotten: the group would not assign it a second time.
            Ok(false) => {
                let detail = format!(
                    "the coordination group does not confirm that this instance owns shard {shard}. \
                     It is asked again until it confirms that or takes the shard away"
                );
                self.fencing_failed(shard, Failure::new(FailureClass::Retry, detail), true);
            }
            Err(failure) => self.fencing_failed(shard, failure, true),
        }
    }

    pub(super) fn fence_log_read(&mut self, shard: Shard, outcome: Result<FenceLog, Failure>) {
        let log = match outcome {
            Ok(log) => log,
            Err(failure) => return self.fencing_failed(shard, failure, false),
        };
        let Some(Life::Fencing(step)) = self.shards.get(&shard).map(|state| &state.life) else {
            return;
        };
        let step = *step;
        if let Err(reason) = self.terms.may_follow(&log)
            && !has(Bug::TwoShardCounts)
        {
            let of = if step == Step::ReadingFirstLog { FIRST_SHARD } else { shard };
            return self.fail(format!("fence partition {of}: {reason}"));
        }
        if step != Step::ReadingFirstLog && self.floors_read(shard, &log) {
            return;
        }
        match step {
            Step::ReadingLog if shard != FIRST_SHARD && !log.has_take_over() => {
                self.begin(shard, Step::ReadingFirstLog);
            }
            Step::ReadingLog | Step::ReadingFirstLog => match self.policy().commit_mode {
                CommitMode::Fenced => self.begin(shard, Step::Initialising),
                CommitMode::Guarded => self.begin(shard, Step::TakingOver),
            },
            Step::RereadingLog => self.begin(shard, Step::TakingOver),
            Step::BackingOff { .. }
            | Step::CheckingAssignment
            | Step::Initialising
            | Step::TakingOver => {}
        }
    }

    pub(super) fn initialised(&mut self, shard: Shard, outcome: Result<(), Failure>) {
        match outcome {
            Ok(()) if self.begun_again(shard) => {}
            Ok(()) => self.begin(shard, Step::RereadingLog),
            Err(failure) => {
                let check = failure.class == FailureClass::Fenced;
                self.fencing_failed(shard, failure, check);
            }
        }
    }

    pub(super) fn taken_over(&mut self, shard: Shard, outcome: Result<Fence, Failure>) {
        let fence = match outcome {
            Ok(fence) => fence,
            Err(failure) => return self.fencing_failed(shard, failure, true),
        };
        if self.begun_again(shard) {
            return;
        }
        let ends = match has(Bug::EndsBeforeFence) {
            true => Ends::Known { ends: self.ends_known_before(), again: None },
            false => Ends::Due(self.now),
        };
        if let Some(state) = self.shards.get_mut(&shard) {
            state.life = Life::CatchingUp { fence, ends };
            state.fenced_at = self.now;
            self.report(Note::FenceAcquired { shard, fence });
        }
    }

    pub(super) fn advance_fencing(&mut self) {
        if self.stopping.is_some() {
            return;
        }
        let shards: Vec<_> = self.shards.keys().copied().collect();
        for shard in shards {
            self.advance_shard(shard);
        }
    }

    fn advance_shard(&mut self, shard: Shard) {
        let Some(state) = self.shards.get(&shard) else {
            return;
        };
        if state.revoked && !self.in_flight(shard) {
            return self.leave(shard);
        }
        match &state.life {
            Life::Fencing(Step::BackingOff { until, check }) if *until <= self.now => {
                let step = if *check { Step::CheckingAssignment } else { Step::ReadingLog };
                self.begin(shard, step);
            }
            Life::CatchingUp { ends: Ends::Due(due), .. }
                if *due <= self.now && self.index.topic().is_some() =>
            {
                self.ask_ends(shard);
            }
            Life::CatchingUp { fence, ends: Ends::Known { ends, .. } } if self.reached(ends) => {
                let fence = *fence;
                self.start_loading(shard, fence);
            }
            Life::CatchingUp { ends: Ends::Known { again: Some(again), .. }, .. }
                if *again <= self.now =>
            {
                self.ask_ends(shard);
            }
            Life::Loading { fence, source_listed: true, target_listed: true } => {
                let fence = *fence;
                self.activate(shard, fence);
            }
            Life::Fencing(_)
            | Life::CatchingUp { .. }
            | Life::Loading { .. }
            | Life::Active { .. } => {}
        }
    }

    fn activate(&mut self, shard: Shard, fence: Fence) {
        let keep_alive_due = self.now + KEEP_ALIVE;
        if let Some(state) = self.shards.get_mut(&shard) {
            state.life = Life::Active { fence, keep_alive_due };
            state.failures = 0;
        }
        self.report(Note::ShardActive { shard, fence });
        if self.index.is_empty() {
            self.no_mappings(format!(
                "the mapping topic {} holds no mappings yet. Check that the replicator publishes \
                 them",
                self.setup.mapping_topic
            ));
        }
        self.adopt_listed_groups(shard);
        self.retry_decisions(shard);
        self.queue_floors(shard);
    }

    /// Queues the keep-alive record if it is due.
    pub(super) fn advance_keep_alive(&mut self, shard: Shard) {
        let now: Instant = self.now;
        if let Some(state) = self.shards.get_mut(&shard)
            && let Life::Active { keep_alive_due, .. } = &mut state.life
            && *keep_alive_due <= now
        {
            *keep_alive_due = now + KEEP_ALIVE;
            state.records.keep_alive = true;
        }
    }
}
