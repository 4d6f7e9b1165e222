//! Refresh: writes our commits again, byte for byte, before they expire. It needs neither the source nor
//! the topics, and goes on when they cannot be read.

use alloc::collections::BTreeSet;
use alloc::sync::Arc;

use super::super::decide::{self, Round};
use super::super::event::{TargetOffsets, Topics};
use super::super::failure::{Failure, FailureClass};
use super::super::group::{Group, Stage};
use super::super::ids::{GroupId, TargetPartition};
use super::super::planted::{Bug, has};
use super::super::source::SourceMemory;
use super::super::time::Instant;
use super::Core;

impl Core {
    /// The partitions whose commit was written, or first seen, at least `groups.refreshInterval` ago.
    pub(super) fn refresh_due(&self, group: &Group) -> BTreeSet<TargetPartition> {
        let interval = self.policy().refresh_interval;
        let due = |since: &Instant| self.now.since(*since) >= interval || has(Bug::RefreshedAtOnce);
        group.written.iter().filter(|(_, at)| due(at)).map(|(at, _)| at.clone()).collect()
    }

    /// The group's source offsets could not be read. The round goes on only if a refresh is due.
    pub(super) fn source_unread(&mut self, name: GroupId, failure: Failure) {
        let due = self.groups.get(&name).map(|group| self.refresh_due(group)).unwrap_or_default();
        if due.is_empty() || failure.class == FailureClass::Stop {
            return self.round_failed(name, failure);
        }
        self.read_target(name, Some(failure), due);
    }

    /// The topics could not be read. The round goes on with refreshes alone.
    pub(super) fn topics_unread(&mut self, name: GroupId, failure: Failure) {
        if let Some(Group { stage: Stage::ReadingTopics { target }, .. }) = self.groups.get(&name)
            && failure.class != FailureClass::Stop
        {
            let target = target.clone();
            self.refresh_alone(name, target, failure);
        } else {
            self.round_failed(name, failure);
        }
    }

    /// Decides about refreshes alone. If there is nothing to refresh, the round fails with `unread`.
    pub(super) fn refresh_alone(&mut self, name: GroupId, target: TargetOffsets, unread: Failure) {
        let target = match decide::all_read(target) {
            Ok(target) => target,
            Err(failure) => return self.round_failed(name, failure),
        };
        let Some((group, own)) =
            self.groups.get(&name).and_then(|group| Some((group, self.ownership(group)?)))
        else {
            return;
        };
        let round = Round {
            now: self.now,
            policy: self.policy(),
            own,
            index: &self.index,
            topics: &Topics::default(),
            target: &target,
            activity: self.activity(&name),
            refresh_due: self.refresh_due(group),
            failed_before: group.failures > 0,
            group: &name,
            limits: &self.limits,
            short_logs: &group.short_logs,
        };
        let decision = decide::decide(&round, &mut SourceMemory::default());
        if decision.commits.is_empty() {
            self.round_failed(name, unread);
        } else {
            self.queue_commit(name, own.shard, Arc::new(decision));
        }
    }
}
