//! A group's round: read its source offsets, then its target offsets and the topics, then decide.

use alloc::collections::BTreeSet;
use alloc::string::ToString;
use alloc::sync::Arc;

use super::super::action::{Action, Read, ReadScope};
use super::super::coordinators::Side;
use super::super::decide::{self, Decision, Round};
use super::super::event::{SourceOffsets, TargetOffsets, Topics};
use super::super::failure::{Failure, FailureClass};
use super::super::group::{Group, Stage};
use super::super::ids::{GroupId, Shard, TargetPartition};
use super::super::judge::Ownership;
use super::super::note::Note;
use super::super::policy::OnActiveGroup;
use super::super::source::Reading;
use super::super::time::Instant;
use super::super::verdict::{BlockReason, HoldReason, Verdict};
use super::{Core, Waiter};

impl Core {
    /// When the next round of a group may begin.
    pub(super) fn next_round_due(&self) -> Option<Instant> {
        self.agenda.next_due().filter(|_| self.stopping.is_none())
    }

    pub(super) fn advance_rounds(&mut self) {
        while self.stopping.is_none()
            && let Some(group) = self.agenda.begin(self.now)
        {
            self.start_round(group);
        }
    }

    fn start_round(&mut self, name: GroupId) {
        let confirm_after = self.policy().confirm_after;
        let coordinator = self.coordinator(Side::Source, &name);
        let Some(group) = self.groups.get_mut(&name) else {
            return;
        };
        let confirming = group.source.coordinator_since(self.now, confirm_after);
        let confirms = confirming.is_some();
        let coordinator_since = confirming.max(group.source_since);
        group.stage = Stage::ReadingSource { looked_up_after: coordinator_since, confirms };
        let request = self.requests.ask(Waiter::Group(name.clone()));
        self.act(Action::Read(Read::SourceOffsets {
            request,
            group: name,
            coordinator,
            coordinator_since,
        }));
    }

    pub(super) fn source_offsets_read(
        &mut self,
        name: GroupId,
        outcome: Result<SourceOffsets, Failure>,
    ) {
        let (now, confirm_after) = (self.now, self.policy().confirm_after);
        self.agenda.read(&name);
        let Some(group) = self.groups.get_mut(&name) else {
            return;
        };
        let Stage::ReadingSource { looked_up_after, confirms } = group.stage else {
            return;
        };
        let read = match outcome {
            Ok(read) => read,
            Err(failure) => {
                group.source.disturb();
                self.look_up_again(Side::Source, &name);
                return self.source_unread(name, failure);
            }
        };
        let same = group.source.commits().eq(read.commits.iter());
        group.idle = if same { group.idle.saturating_add(1) } else { 0 };
        let reading = Reading { now, looked_up_after, confirms, confirm_after };
        let answered_by = read.answered_by;
        let other = group.source.read(read, reading);
        let (_, mut targets) = decide::wanted(&self.index, &group.source);
        targets.extend(group.written.keys().cloned());
        if other {
            self.answered_by_another(&name, answered_by);
        }
        self.read_target(name, None, targets);
    }

    /// Reads the group's target offsets, as soon as its coordinator there has room.
    pub(super) fn read_target(
        &mut self,
        name: GroupId,
        source_failed: Option<Failure>,
        targets: BTreeSet<TargetPartition>,
    ) {
        let begins = self.begin_target_read(&name);
        let now = self.now;
        let Some(group) = self.groups.get_mut(&name) else {
            return;
        };
        if !begins {
            group.stage = Stage::WaitingForTarget { source_failed, targets, since: now };
            return;
        }
        let coordinator_since = group.target_since;
        group.stage = Stage::ReadingTarget { source_failed };
        let request = self.requests.ask(Waiter::Group(name.clone()));
        let scope = ReadScope::AllAnd(targets);
        self.act(Action::Read(Read::TargetOffsets {
            request,
            group: name,
            coordinator_since,
            scope,
            stable: true,
        }));
    }

    fn read_topics(&mut self, name: GroupId, target: TargetOffsets) {
        let Some(group) = self.groups.get_mut(&name) else {
            return;
        };
        group.stage = Stage::ReadingTopics { target };
        let (sources, target) = decide::wanted(&self.index, &group.source);
        let mapped = sources.iter().filter(|at| self.index.lineages(at).next().is_some());
        let source = mapped.map(|at| at.topic.clone()).collect();
        let source_ends = sources.into_iter().filter(|at| self.index.ask_source_end(at)).collect();
        let request = self.requests.ask(Waiter::Group(name));
        self.act(Action::Read(Read::Topics { request, source, target, source_ends }));
    }

    pub(super) fn topics_read(&mut self, name: GroupId, outcome: Result<Topics, Failure>) {
        let topics = match outcome {
            Ok(topics) => topics,
            Err(failure) => return self.topics_unread(name, failure),
        };
        for (partition, end) in &topics.source_ends {
            if let Ok(end) = end {
                self.index.source_end_read(partition, *end);
            }
        }
        if !self.recreated(&name, &topics) {
            self.replays_ended();
            self.decide_round(name, &topics);
        }
    }

    pub(super) fn target_offsets_read(
        &mut self,
        name: GroupId,
        outcome: Result<TargetOffsets, Failure>,
    ) {
        self.target_read_ended(&name);
        let outcome = self.kept_target(&name, outcome);
        if outcome.is_err() {
            self.look_up_again(Side::Target, &name);
        }
        let Some(group) = self.groups.get(&name) else {
            return;
        };
        match &group.stage {
            Stage::ReadingTarget { source_failed: Some(unread) } => {
                let unread = unread.clone();
                match outcome {
                    Ok(target) => self.refresh_alone(name, target, unread),
                    Err(failure) => self.round_failed(name, failure),
                }
            }
            Stage::ReadingTarget { source_failed: None } => match outcome {
                Ok(target) => self.read_topics(name, target),
                Err(failure) => self.round_failed(name, failure),
            },
            Stage::Verifying { .. } => self.verified(name, outcome),
            Stage::Resting { .. }
            | Stage::ReadingSource { .. }
            | Stage::WaitingForTarget { .. }
            | Stage::ReadingTopics { .. }
            | Stage::Queued(_)
            | Stage::Writing(_)
            | Stage::Ending { .. }
            | Stage::Committing(_) => {}
        }
    }

    /// Everything is read: decides, and commits if there is something to commit.
    fn decide_round(&mut self, name: GroupId, topics: &Topics) {
        let Some(group) = self.groups.get(&name) else {
            return;
        };
        let Stage::ReadingTopics { target } = &group.stage else {
            return;
        };
        let target = match decide::all_read(target.clone()) {
            Ok(target) => target,
            Err(failure) if failure.class == FailureClass::Unstable => {
                let pending = decide::pending(target);
                return self.transaction_pending(name, &pending, failure);
            }
            Err(failure) => return self.round_failed(name, failure),
        };
        let Some(own) = self.ownership(group) else {
            return;
        };
        let refresh_due = self.refresh_due(group);
        let activity = self.activity(&name);
        let mut source = group.source.clone();
        let round = Round {
            now: self.now,
            policy: &self.setup.policy,
            own,
            index: &self.index,
            topics,
            target: &target,
            activity,
            refresh_due,
            failed_before: group.failures > 0,
            group: &name,
            limits: &self.limits,
            short_logs: &group.short_logs,
        };
        let decision = decide::decide(&round, &mut source);
        let now = self.now;
        if let Some(group) = self.groups.get_mut(&name) {
            group.source = source;
            // As long as a first look finds a fence above ours, the next look counts as a first one too, even
            // where the verdict gives another reason.
            group.loaded |= !decision.later_fence;
            group.saw_stored(&target, now);
            group.saw_short_logs(&decision.short_logs, now);
            group.pending_since = None;
        }
        self.decided(name, own.shard, decision);
    }

    fn decided(&mut self, name: GroupId, shard: Shard, decision: Decision) {
        if let Some(stored) = decision.regressed()
            && self.shards.get_mut(&shard).is_some_and(|state| state.is_overtaken(stored))
        {
            let detail = format!("group {name} has a commit under fence {stored}, above ours");
            return self.stand_down(shard, &detail);
        }
        self.report_verdicts(&name, &decision);
        for verdict in decision.verdicts.values() {
            match verdict {
                Verdict::Block(reason @ (BlockReason::Stale { .. } | BlockReason::Refence)) => {
                    return self.stand_down(shard, &reason.to_string());
                }
                Verdict::Hold(HoldReason::Active)
                    if self.policy().on_active_group == OnActiveGroup::Fail =>
                {
                    return self.fail(format!(
                        "group {name} has members on the target, and \
                         errorHandling.onActiveConsumerGroupCommit is fail. Stop its consumers \
                         there, exclude the group, or set the key to ignore"
                    ));
                }
                Verdict::Block(BlockReason::Behind { .. })
                | Verdict::Hold(_)
                | Verdict::Commit(_)
                | Verdict::Keep(_) => {}
            }
        }
        self.report_unknown(&name, &decision);
        if !decision.commits.is_empty() {
            self.queue_commit(name, shard, Arc::new(decision));
        } else if let Some(failure) = decision.unknown {
            self.round_failed(name, failure);
        } else {
            self.round_ended(&name);
        }
    }

    /// Reports a partition without a verdict, where the rest of the group goes on.
    fn report_unknown(&mut self, name: &GroupId, decision: &Decision) {
        let Some(group) = self.groups.get_mut(name) else {
            return;
        };
        let unknown = decision.unknown.as_ref().map(|failure| Arc::clone(&failure.detail));
        let news = group.unknown != unknown && !decision.commits.is_empty();
        group.unknown = unknown;
        if let Some(failure) = decision.unknown.clone().filter(|_| news) {
            self.report(Note::GroupFailed { group: name.clone(), failure });
        }
    }

    /// Reports each verdict other than a commit, if its name differs from that of the last one.
    pub(super) fn report_verdicts(&mut self, name: &GroupId, decision: &Decision) {
        let Some(group) = self.groups.get_mut(name) else {
            return;
        };
        let before = core::mem::replace(&mut group.verdicts, decision.verdicts.clone());
        for (subject, verdict) in &decision.verdicts {
            let same = before.get(subject).is_some_and(|before| before.name() == verdict.name());
            match verdict {
                Verdict::Commit(_) => {}
                Verdict::Keep(_) | Verdict::Hold(_) | Verdict::Block(_) if same => {}
                Verdict::Keep(_) | Verdict::Hold(_) | Verdict::Block(_) => {
                    self.report(Note::Judged {
                        group: name.clone(),
                        source: subject.source.clone(),
                        target: subject.target.clone(),
                        verdict: verdict.clone(),
                    });
                }
            }
        }
    }

    pub(super) fn ownership(&self, group: &Group) -> Option<Ownership> {
        let fence = self.shards.get(&group.shard)?.active_fence()?;
        Some(Ownership {
            pipeline: self.pipeline,
            fence_topic: self.fence_topic_tag(),
            shard: group.shard,
            shards: self.setup.fence_topic.shards,
            fence,
            mapping_topic: self.index.tag()?,
            loading: !group.loaded,
        })
    }
}
