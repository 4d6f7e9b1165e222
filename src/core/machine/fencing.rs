//! The life of a shard: assigned, fenced, caught up, loaded, active, and left
//! (`docs/protocol.md`, "The life of a shard").

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::action::{Action, Read};
use super::super::event::{FenceTopic, MappingEnds};
use super::super::failure::{Failure, FailureClass};
use super::super::fence_log::{FenceLog, keep_alive};
use super::super::ids::{Fence, MappingOffset, MappingPartition, Shard};
use super::super::note::Note;
use super::super::planted::{Bug, has};
use super::super::policy::CommitMode;
use super::super::shard::{Ends, Lane, Life, ShardState, Step};
use super::super::time::Instant;
use super::timing::BackOff;
use super::{Core, Waiter};

/// Whoever ran with fewer shards owned this one too.
const FIRST_SHARD: Shard = Shard(0);
const ENDS_RETRY: Duration = Duration::from_secs(1);
/// How long ends are waited for before they are read again: a log that was truncated, or an answer from a
/// replica that lagged behind, may have told of records that never come.
const ENDS_AGAIN: Duration = Duration::from_secs(30);
/// A transactional.id expires after seven days without use.
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
                 partitions when this instance started: it was given more. Stop all instances and \
                 name a new coordination.fenceTopic"
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

    /// Whether something that changes the target is under way for the shard. A take-over is that too:
    /// its `init_transactions` would fence whoever owns the shard next.
    pub(super) fn in_flight(&self, shard: Shard) -> bool {
        let writes = |state: &ShardState| match &state.life {
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
            | Life::Active { .. } => state.lane != Lane::Free,
        };
        let lane = self.shards.get(&shard).is_some_and(writes);
        lane || self.groups.values().any(|group| group.shard == shard && group.in_transaction())
    }

    /// Gives the shard back: nothing of it is in flight, or it is not ours any more.
    pub(super) fn leave(&mut self, shard: Shard) {
        if self.shards.contains_key(&shard) {
            self.drop_shard(shard);
            self.report(Note::ShardLeft { shard });
        }
        self.act(Action::ReleaseShard { shard });
    }

    /// Forgets the shard, its producer and every decision made under it.
    fn drop_shard(&mut self, shard: Shard) {
        if self.shards.remove(&shard).is_some() {
            self.forget_decisions(shard);
            self.act(Action::DestroyProducer { shard });
        }
    }

    fn forget_decisions(&mut self, shard: Shard) {
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

    /// Another instance took the shard over, or its producer is beyond use: every decision made
    /// under the present fence is dropped, and the shard is taken over anew if it is still ours.
    pub(super) fn stand_down(&mut self, shard: Shard, detail: &str) {
        if has(Bug::StandDownIgnored) {
            return self.go_on(shard, detail);
        }
        self.report(Note::StoodDown { shard, detail: detail.into() });
        self.back_to_fencing(shard, true);
    }

    /// A broker may carry out a request of the shard's producer late: inside the next transaction of
    /// that producer, or after it. A new producer begins with a new epoch, and the broker refuses the
    /// late request (`docs/protocol.md`, "Late requests").
    pub(super) fn replace_producer(&mut self, shard: Shard, detail: &str) {
        let Some(state) = self.shards.get(&shard) else {
            return;
        };
        if has(Bug::LateRequestIgnored) {
            return;
        }
        let ShardState { failures, regressed, revoked, .. } = *state;
        self.report(Note::ProducerReplaced { shard, detail: detail.into() });
        self.forget_decisions(shard);
        self.act(Action::DestroyProducer { shard });
        if revoked {
            return self.leave(shard);
        }
        let step = Step::CheckingAssignment;
        self.shards.insert(shard, ShardState { failures, regressed, ..ShardState::new(step) });
        self.begin(shard, step);
    }

    /// All shards are taken over anew.
    pub(super) fn fence_anew(&mut self) {
        let shards: Vec<_> = self.shards.keys().copied().collect();
        for shard in shards {
            self.forget_decisions(shard);
            self.act(Action::DestroyProducer { shard });
            let Some(state) = self.shards.get_mut(&shard) else {
                continue;
            };
            let ShardState { failures, regressed, revoked, .. } = *state;
            // Whoever has to ask first whether the shard is still its own has to ask still.
            let waits = match state.life {
                Life::Fencing(step @ Step::BackingOff { .. }) => Some(step),
                Life::Fencing(Step::CheckingAssignment) => Some(Step::CheckingAssignment),
                Life::Fencing(_)
                | Life::CatchingUp { .. }
                | Life::Loading { .. }
                | Life::Active { .. } => None,
            };
            let step = waits.unwrap_or(Step::ReadingLog);
            *state = ShardState { failures, regressed, revoked, ..ShardState::new(step) };
            self.begin(shard, step);
        }
    }

    /// Destroys the producer and waits; `check` asks the coordination group first.
    fn back_to_fencing(&mut self, shard: Shard, check: bool) {
        let Some(state) = self.shards.get(&shard) else {
            return;
        };
        let failures = state.failures.saturating_add(1);
        let (regressed, revoked) = (state.regressed, state.revoked);
        self.forget_decisions(shard);
        self.act(Action::DestroyProducer { shard });
        if revoked {
            self.leave(shard);
            return;
        }
        let until = self.now + self.back_off(failures, BackOff::Connection);
        let step = Step::BackingOff { until, check };
        self.shards.insert(shard, ShardState { failures, regressed, ..ShardState::new(step) });
    }

    fn fencing_failed(&mut self, shard: Shard, failure: Failure, check: bool) {
        if self.fail_if_stop(&failure) {
            return;
        }
        self.report(Note::FencingFailed { shard, failure });
        self.back_to_fencing(shard, check);
    }

    fn begin(&mut self, shard: Shard, step: Step) {
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
            // The group will say that it is lost, or was between two generations; whoever forgot the shard
            // here would not be told again that it is theirs.
            Ok(false) => {
                let detail = format!(
                    "the coordination group does not know this instance as the owner of shard {shard} \
                     now; it is asked again until it takes the shard away"
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

    pub(super) fn mapping_ends_read(
        &mut self,
        shard: Shard,
        outcome: Result<MappingEnds, Failure>,
    ) {
        let present = self.index.topic().map(|topic| topic.id);
        if let Ok(MappingEnds { topic, .. }) = &outcome
            && present != Some(*topic)
            && !has(Bug::EndsOfAnotherTopic)
        {
            return self.ends_of_another_topic(shard);
        }
        let known = outcome.and_then(|MappingEnds { ends, .. }| {
            let ends = ends.into_iter();
            if has(Bug::CaughtUpDespiteError) {
                return Ok(ends.map(|(at, end)| (at, end.unwrap_or_default())).collect());
            }
            ends.map(|(at, end)| Ok((at, end?))).collect::<Result<BTreeMap<_, _>, _>>()
        });
        let due = self.now + ENDS_RETRY;
        let complete = known.as_ref().is_ok_and(|ends| {
            self.index.partitions().iter().all(|partition| ends.contains_key(partition))
        });
        if let Ok(ends) = &known {
            for (partition, end) in ends {
                self.index.log_end_read(*partition, *end);
            }
        }
        let Some(Life::CatchingUp { ends, .. }) =
            self.shards.get_mut(&shard).map(|state| &mut state.life)
        else {
            return;
        };
        let again = Some(self.now + ENDS_AGAIN);
        match (known, ends) {
            (Ok(read), Ends::Known { ends, again: next }) if complete => {
                // A later answer tells of no more than what must be caught up with.
                for (at, end) in ends {
                    *end = read.get(at).map_or(*end, |read| (*end).min(*read));
                }
                *next = again;
            }
            (Ok(_), Ends::Known { again: next, .. }) => *next = again,
            (Err(failure), Ends::Known { again: next, .. }) => {
                *next = again;
                self.listing_failed(failure);
            }
            (Ok(read), ends) if complete => *ends = Ends::Known { ends: read, again },
            (Ok(_), ends) => *ends = Ends::Due(due),
            (Err(failure), ends) => {
                *ends = Ends::Due(due);
                self.listing_failed(failure);
            }
        }
    }

    /// The mapping topic is another one than the one that is being read: nobody is caught up until the
    /// topics have been described again.
    fn ends_of_another_topic(&mut self, shard: Shard) {
        let due = self.now + ENDS_RETRY;
        self.describe_control_topics_now();
        if let Some(Life::CatchingUp { ends, .. }) =
            self.shards.get_mut(&shard).map(|state| &mut state.life)
        {
            *ends = Ends::Due(due);
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

    fn ask_ends(&mut self, shard: Shard) {
        let request = self.requests.ask(Waiter::Shard(shard));
        let partitions = self.index.partitions();
        self.act(Action::Read(Read::MappingEnds { request, partitions }));
        if let Some(Life::CatchingUp { ends, .. }) =
            self.shards.get_mut(&shard).map(|state| &mut state.life)
        {
            match ends {
                Ends::Known { again, .. } => *again = None,
                Ends::Due(_) | Ends::Asked => *ends = Ends::Asked,
            }
        }
    }

    /// Caught up: everything below the ends is applied. The log end counts transaction markers that
    /// a consumer never sees, which the reader's position counts too.
    fn reached(&self, ends: &BTreeMap<MappingPartition, MappingOffset>) -> bool {
        ends.iter().all(|(at, end)| self.index.as_of(*at).is_some_and(|as_of| as_of >= *end))
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
                "the mapping topic {} holds no mappings yet; is the replicator publishing?",
                self.setup.mapping_topic
            ));
        }
        self.adopt_listed_groups(shard);
        self.retry_decisions(shard);
        self.queue_floors(shard);
    }

    /// Queues the keep-alive record when it is due.
    pub(super) fn advance_keep_alive(&mut self, shard: Shard) {
        let now: Instant = self.now;
        if let Some(state) = self.shards.get_mut(&shard)
            && let Life::Active { fence, keep_alive_due } = &mut state.life
            && *keep_alive_due <= now
        {
            *keep_alive_due = now + KEEP_ALIVE;
            let record = keep_alive(*fence);
            state.records.push_back(record);
        }
    }
}
