//! Compare-and-swap (`docs/protocol.md`, "Compare-and-swap").
//!
//! *Fenced*: write the first half, read the judged offsets again, then end or abort the transaction.
//! *Guarded*: read the judged offsets again, then send a plain commit.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use super::super::action::{Action, Commit, Read, ReadScope, TransactionEnd};
use super::super::decide::{self, Decision, Planned, PlannedKind};
use super::super::event::{Aftermath, TargetCommit, TargetOffsets};
use super::super::failure::{Failure, FailureClass};
use super::super::group::{Aborted, Group, Stage};
use super::super::ids::{Fence, GroupId, Shard, TargetPartition};
use super::super::note::Note;
use super::super::planted::{Bug, has};
use super::super::policy::CommitMode;
use super::super::shard::{Lane, ShardState};
use super::super::time::Instant;
use super::{Core, Waiter};

/// The maximum age of the check behind a plain commit when the commit is sent, counted from when the check
/// was requested.
const GUARDED_CHECK_AGE: Duration = Duration::from_secs(2);
/// How many times the end of a transaction is requested before its producer is given up.
const END_ATTEMPTS: u32 = 5;
const LATE_REQUEST: &str =
    "a transaction ended, but one of the producer's requests was never answered";

impl Core {
    pub(super) fn queue_commit(&mut self, name: GroupId, shard: Shard, decision: Arc<Decision>) {
        match self.policy().commit_mode {
            CommitMode::Fenced => {
                self.set_stage(&name, Stage::Queued(decision));
                if let Some(state) = self.shards.get_mut(&shard) {
                    state.queue.push_back(name);
                }
            }
            // A shard that is to be given back starts nothing new.
            CommitMode::Guarded if self.is_leaving(shard) => self.round_ended(&name),
            CommitMode::Guarded => self.verify(name, decision),
        }
    }

    fn is_leaving(&self, shard: Shard) -> bool {
        self.stopping.is_some() || self.shards.get(&shard).is_none_or(|state| state.revoked)
    }

    /// Gives each free producer to the next group or to the next batch of records.
    pub(super) fn advance_commits(&mut self) {
        let shards: Vec<_> = self.shards.keys().copied().collect();
        for shard in shards {
            self.advance_keep_alive(shard);
            self.advance_lane(shard);
        }
    }

    fn advance_lane(&mut self, shard: Shard) {
        let leaving = self.is_leaving(shard);
        let Some(state) = self.shards.get_mut(&shard) else {
            return;
        };
        let Some(fence) = state.active_fence() else {
            return;
        };
        if state.lane != Lane::Free || leaving {
            return;
        }
        // Records and groups take turns, so that no group waits long for many records.
        let group_first = core::mem::take(&mut state.record_was_last) && !state.queue.is_empty();
        if !group_first && self.write_records(shard, fence) {
            return;
        }
        let queued = self.shards.get_mut(&shard).and_then(|state| state.queue.pop_front());
        if let Some(name) = queued {
            self.write_half(shard, fence, name);
        }
    }

    fn write_half(&mut self, shard: Shard, fence: Fence, name: GroupId) {
        let Some(Group { stage: Stage::Queued(decision), .. }) = self.groups.get(&name) else {
            return;
        };
        let decision = Arc::clone(decision);
        let offsets = self.offsets(&decision);
        if let Some(state) = self.shards.get_mut(&shard) {
            state.lane = Lane::Group(name.clone());
        }
        self.set_stage(&name, Stage::Writing(decision));
        let request = self.requests.ask(Waiter::Group(name.clone()));
        self.act(Action::Commit(Commit::WriteHalf { request, shard, fence, group: name, offsets }));
    }

    pub(super) fn offsets_written(&mut self, name: GroupId, outcome: Result<(), Failure>) {
        let Some(Group { shard, stage: Stage::Writing(decision), .. }) = self.groups.get(&name)
        else {
            return;
        };
        let (shard, decision) = (*shard, Arc::clone(decision));
        match outcome {
            Ok(()) => self.verify(name, decision),
            Err(failure) => match failure.class {
                FailureClass::Fenced => self.stand_down(shard, &failure.detail),
                FailureClass::Stop => self.fail(failure.detail),
                FailureClass::LateRequest if has(Bug::LateRequestIgnored) => {
                    self.verify(name, decision);
                }
                // The half is in the open transaction. The next producer's `init_transactions` aborts it.
                FailureClass::LateRequest => self.replace_producer(shard, &failure.detail),
                FailureClass::MetadataTooLarge | FailureClass::CommitTooLarge => {
                    let aborted = self.limit_found(&name, &decision, failure);
                    self.end(name, decision, Some(aborted), 1);
                }
                FailureClass::GroupActive
                | FailureClass::Unstable
                | FailureClass::HoldGroup
                | FailureClass::Abort
                | FailureClass::Retry
                | FailureClass::Missing
                | FailureClass::OutcomeUnknown => {
                    self.end(name, decision, Some(Aborted::Failed(failure)), 1);
                }
            },
        }
    }

    /// Reads the judged offsets again. In `fenced` mode this read is not stable, so that pending offsets, our
    /// own included, do not show.
    fn verify(&mut self, name: GroupId, decision: Arc<Decision>) {
        // The whole group: somebody may have committed meanwhile where nothing was stored.
        let scope = ReadScope::AllAnd(decision.judged.keys().cloned().collect());
        let stable = self.policy().commit_mode == CommitMode::Guarded;
        let stage = Stage::Verifying { decision: Arc::clone(&decision), asked: self.now };
        self.set_stage(&name, stage);
        if has(Bug::NoVerification) {
            let unread =
                decision.judged.iter().map(|(at, judged)| (at.clone(), Ok(judged.clone())));
            let unread = unread.collect();
            return self.verified(name, Ok(unread));
        }
        let coordinator_since = self.groups.get(&name).and_then(|group| group.target_since);
        let request = self.requests.ask(Waiter::Group(name.clone()));
        self.act(Action::Read(Read::TargetOffsets {
            request,
            group: name,
            coordinator_since,
            scope,
            stable,
        }));
    }

    pub(super) fn verified(&mut self, name: GroupId, outcome: Result<TargetOffsets, Failure>) {
        let Some(Group { stage: Stage::Verifying { decision, asked }, .. }) =
            self.groups.get(&name)
        else {
            return;
        };
        let (decision, asked) = (Arc::clone(decision), *asked);
        let aborted = match outcome.and_then(decide::all_read) {
            Ok(read) => overtaken(&decision, &read).map(Aborted::Overtaken),
            Err(failure) => Some(Aborted::Failed(failure)),
        };
        match (self.policy().commit_mode, aborted) {
            (CommitMode::Fenced, aborted) => self.end(name, decision, aborted, 1),
            (CommitMode::Guarded, None) => self.commit_plainly(name, decision, asked),
            (CommitMode::Guarded, Some(aborted)) => self.aborted(name, aborted),
        }
    }

    fn end(
        &mut self,
        name: GroupId,
        decision: Arc<Decision>,
        aborted: Option<Aborted>,
        attempts: u32,
    ) {
        let Some(shard) = self.groups.get(&name).map(|group| group.shard) else {
            return;
        };
        let Some(fence) = self.shards.get(&shard).and_then(ShardState::active_fence) else {
            return;
        };
        let end = match &aborted {
            Some(_) => TransactionEnd::Abort,
            None => TransactionEnd::Commit,
        };
        self.set_stage(&name, Stage::Ending { decision, end, aborted, attempts });
        let request = self.requests.ask(Waiter::Group(name.clone()));
        self.act(Action::Commit(Commit::End { request, shard, fence, group: name, end }));
    }

    pub(super) fn transaction_ended(&mut self, name: GroupId, outcome: Result<Aftermath, Failure>) {
        let Some(Group {
            shard, stage: Stage::Ending { decision, end, aborted, attempts }, ..
        }) = self.groups.get(&name)
        else {
            return;
        };
        let (shard, end, attempts) = (*shard, *end, *attempts);
        let (decision, aborted) = (Arc::clone(decision), aborted.clone());
        match outcome {
            Ok(aftermath) => {
                self.free_lane(shard);
                match aborted {
                    Some(aborted) if !has(Bug::AbortReported) => self.aborted(name, aborted),
                    Some(_) | None => {
                        self.committed(&name, &decision, |_| true);
                        self.commit_round_ended(&name, &decision);
                    }
                }
                match aftermath {
                    Aftermath::Settled => {}
                    Aftermath::LateRequest => self.replace_producer(shard, LATE_REQUEST),
                }
            }
            Err(failure) => match failure.class {
                FailureClass::Stop => self.fail(failure.detail),
                FailureClass::Abort if end == TransactionEnd::Commit => {
                    self.end(name, decision, Some(Aborted::Failed(failure)), 1);
                }
                FailureClass::OutcomeUnknown | FailureClass::Retry if attempts < END_ATTEMPTS => {
                    self.end(name, decision, aborted, attempts + 1);
                }
                // The next producer's `init_transactions` aborts whatever is open.
                FailureClass::LateRequest => self.replace_producer(shard, &failure.detail),
                FailureClass::Fenced
                | FailureClass::Abort
                | FailureClass::OutcomeUnknown
                | FailureClass::Retry
                | FailureClass::GroupActive
                | FailureClass::HoldGroup
                | FailureClass::MetadataTooLarge
                | FailureClass::CommitTooLarge
                | FailureClass::Unstable
                | FailureClass::Missing => self.stand_down(shard, &failure.detail),
            },
        }
    }

    /// Commits without a transaction, within `GUARDED_CHECK_AGE` after the check was `asked` for.
    fn commit_plainly(&mut self, name: GroupId, decision: Arc<Decision>, asked: Instant) {
        let offsets = self.offsets(&decision);
        self.set_stage(&name, Stage::Committing(decision));
        let request = self.requests.ask(Waiter::Group(name.clone()));
        let not_after = asked + GUARDED_CHECK_AGE;
        self.act(Action::Commit(Commit::Plain { request, group: name, offsets, not_after }));
    }

    pub(super) fn offsets_committed(
        &mut self,
        name: GroupId,
        outcome: Result<BTreeMap<TargetPartition, Result<(), Failure>>, Failure>,
    ) {
        let Some(Group { stage: Stage::Committing(decision), .. }) = self.groups.get(&name) else {
            return;
        };
        let decision = Arc::clone(decision);
        let results = match outcome {
            Ok(results) => results,
            Err(failure)
                if has(Bug::TimeOutIsNotCommitted)
                    && failure.class == FailureClass::OutcomeUnknown =>
            {
                return self.commit_plainly(name, decision, self.now);
            }
            Err(failure) => return self.plainly_refused(name, &decision, failure),
        };
        let failed = results.values().find_map(|result| result.as_ref().err().cloned());
        let succeeded = |at: &TargetPartition| matches!(results.get(at), Some(Ok(())));
        self.committed(&name, &decision, succeeded);
        match failed {
            Some(failure) => self.plainly_refused(name, &decision, failure),
            None => self.commit_round_ended(&name, &decision),
        }
    }

    /// Records and reports the commit, for the partitions where it `succeeded`.
    fn committed(
        &mut self,
        name: &GroupId,
        decision: &Decision,
        succeeded: impl Fn(&TargetPartition) -> bool,
    ) {
        let now = self.now;
        for (target, planned) in decision.commits.iter().filter(|(at, _)| succeeded(at)) {
            if let Some(group) = self.groups.get_mut(name) {
                group.written.insert(target.clone(), now);
            }
            self.report_committed(name, target, planned);
        }
    }

    fn report_committed(&mut self, name: &GroupId, target: &TargetPartition, planned: &Planned) {
        let (group, target) = (name.clone(), target.clone());
        match &planned.kind {
            PlannedKind::Refresh => {
                self.report(Note::Refreshed { group, target, offset: planned.commit.offset });
            }
            PlannedKind::Translation {
                source,
                from,
                re_read,
                verdict,
                source_metadata_dropped,
            } => {
                if *source_metadata_dropped {
                    let (group, target) = (group.clone(), target.clone());
                    self.report(Note::SourceMetadataDropped { group, target });
                }
                self.report(Note::Committed {
                    group,
                    target,
                    from: *from,
                    to: planned.commit.offset,
                    source: *source,
                    re_read: *re_read,
                    verdict: verdict.clone(),
                });
            }
        }
    }

    pub(super) fn aborted(&mut self, name: GroupId, aborted: Aborted) {
        match aborted {
            Aborted::Overtaken(target) => {
                self.report(Note::Overtaken { group: name.clone(), target });
                self.round_ended(&name);
            }
            Aborted::Failed(failure) => self.round_failed(name, failure),
            Aborted::Again => self.rest(&name, self.now),
        }
    }

    fn offsets(&self, decision: &Decision) -> Arc<BTreeMap<TargetPartition, TargetCommit>> {
        let commits = decision.commits.iter();
        let offsets = commits.map(|(at, planned)| (at.clone(), planned.commit.clone())).collect();
        Arc::new(self.stamped_anew(offsets))
    }

    fn free_lane(&mut self, shard: Shard) {
        if let Some(state) = self.shards.get_mut(&shard) {
            state.lane = Lane::Free;
        }
    }

    fn set_stage(&mut self, name: &GroupId, stage: Stage) {
        if let Some(group) = self.groups.get_mut(name) {
            group.stage = stage;
        }
    }
}

/// The first partition whose offset or metadata differs from what was judged, or that has an offset now and
/// had none then.
fn overtaken(
    decision: &Decision,
    read: &BTreeMap<TargetPartition, Option<TargetCommit>>,
) -> Option<TargetPartition> {
    let judged = &decision.judged;
    let changed = judged.iter().find(|(at, judged)| read.get(*at) != Some(*judged));
    let came = || read.iter().find(|(at, now)| now.is_some() && !judged.contains_key(*at));
    changed.or_else(came).map(|(at, _)| at.clone())
}
