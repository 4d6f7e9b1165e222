//! What planted bugs do to the machine (`core/planted.rs`). No release build does any of it.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use super::super::decide::Decision;
use super::super::event::{TargetCommit, TargetOffsets};
use super::super::failure::{Failure, FailureClass};
use super::super::group::{Group, Stage};
use super::super::ids::{Fence, GroupId, MappingOffset, MappingPartition, Shard, TargetPartition};
use super::super::planted::{Bug, has};
use super::super::shard::Lane;
use super::super::stamp::{Metadata, Stamp};
use super::Core;

/// What bugs remember that the machine forgets. Of no size where no bug can be planted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Memory {
    #[cfg(feature = "planted-bugs")]
    decisions: Vec<(Shard, GroupId, Arc<Decision>)>,
    #[cfg(feature = "planted-bugs")]
    targets: BTreeMap<GroupId, (Fence, TargetOffsets)>,
}

#[cfg(not(feature = "planted-bugs"))]
impl Memory {
    fn keep(&mut self, _: Shard, _: &GroupId, _: &Arc<Decision>) {}

    fn take(&mut self, _: Shard) -> Vec<(GroupId, Arc<Decision>)> {
        Vec::new()
    }

    fn target(&mut self, _: &GroupId, _: Fence, read: TargetOffsets) -> TargetOffsets {
        read
    }
}

#[cfg(feature = "planted-bugs")]
impl Memory {
    fn keep(&mut self, shard: Shard, group: &GroupId, decision: &Arc<Decision>) {
        self.decisions.push((shard, group.clone(), Arc::clone(decision)));
    }

    fn take(&mut self, shard: Shard) -> Vec<(GroupId, Arc<Decision>)> {
        let of = self.decisions.extract_if(.., |(of, _, _)| *of == shard);
        of.map(|(_, group, decision)| (group, decision)).collect()
    }

    /// What was read under an earlier fence, for as long as this ownership lasts.
    fn target(&mut self, group: &GroupId, fence: Fence, read: TargetOffsets) -> TargetOffsets {
        match self.targets.get(group) {
            Some((earlier, kept)) if *earlier < fence => kept.clone(),
            Some(_) | None => {
                self.targets.insert(group.clone(), (fence, read.clone()));
                read
            }
        }
    }
}

impl Core {
    /// [`Bug::DecisionRetried`]: decisions that are about to be forgotten.
    pub(super) fn keep_decisions(&mut self, shard: Shard) {
        if !has(Bug::DecisionRetried) {
            return;
        }
        for (name, group) in self.groups.iter().filter(|(_, group)| group.shard == shard) {
            match &group.stage {
                Stage::Queued(decision)
                | Stage::Writing(decision)
                | Stage::Verifying { decision, .. }
                | Stage::Ending { decision, .. }
                | Stage::Committing(decision) => self.planted.keep(shard, name, decision),
                Stage::Resting { .. }
                | Stage::ReadingSource { .. }
                | Stage::WaitingForTarget { .. }
                | Stage::ReadingTarget { .. }
                | Stage::ReadingTopics { .. } => {}
            }
        }
    }

    /// [`Bug::DecisionRetried`]: the shard is active again.
    pub(super) fn retry_decisions(&mut self, shard: Shard) {
        for (name, decision) in self.planted.take(shard) {
            let known = self.groups.get(&name).map(|group| &group.stage);
            if matches!(known, Some(Stage::Resting { .. })) {
                self.agenda.retain(|group| *group != name);
                self.queue_commit(name, shard, decision);
            }
        }
    }

    /// [`Bug::TargetKeptAcrossTakeOver`]: what was read before stands for what is read now.
    pub(super) fn kept_target(
        &mut self,
        name: &GroupId,
        outcome: Result<TargetOffsets, Failure>,
    ) -> Result<TargetOffsets, Failure> {
        let shard = self.groups.get(name).and_then(|group| self.shards.get(&group.shard));
        match shard.and_then(|state| state.active_fence()) {
            Some(fence) if has(Bug::TargetKeptAcrossTakeOver) => {
                outcome.map(|read| self.planted.target(name, fence, read))
            }
            Some(_) | None => outcome,
        }
    }

    /// [`Bug::StandDownIgnored`]: the group tries again, with the producer that it had.
    pub(super) fn go_on(&mut self, shard: Shard, failure: &str) {
        if let Some(state) = self.shards.get_mut(&shard)
            && let Lane::Group(name) = core::mem::replace(&mut state.lane, Lane::Free)
        {
            self.round_failed(name, Failure::new(FailureClass::Retry, failure));
        }
    }

    /// [`Bug::OneOutageForAll`]: no group is read for a while.
    pub(super) fn outage_for_all(&mut self, failure: &Failure) {
        if !has(Bug::OneOutageForAll) || failure.class != FailureClass::Retry {
            return;
        }
        let due = self.now + Duration::from_secs(10);
        let resting = |group: &Group| matches!(group.stage, Stage::Resting { .. });
        let all = self.groups.iter().filter(|(_, group)| resting(group));
        let names: Vec<GroupId> = all.map(|(name, _)| name.clone()).collect();
        for name in names {
            self.rest(&name, due);
        }
    }

    /// [`Bug::EndsBeforeFence`]: the ends as far as they happen to be known.
    pub(super) fn ends_known_before(&self) -> BTreeMap<MappingPartition, MappingOffset> {
        let partitions = self.index.partitions().into_iter();
        let known =
            |at| self.index.log_end(at).or_else(|| self.index.as_of(at)).unwrap_or_default();
        partitions.map(|at| (at, known(at))).collect()
    }

    /// [`Bug::AsOfAtCommit`]: stamps of what is known now.
    pub(super) fn stamped_anew(
        &self,
        offsets: BTreeMap<TargetPartition, TargetCommit>,
    ) -> BTreeMap<TargetPartition, TargetCommit> {
        if !has(Bug::AsOfAtCommit) {
            return offsets;
        }
        let prefix = self.setup.policy.guard_prefix.as_str();
        let anew = |commit: TargetCommit| match Metadata::parse(&commit.metadata, [prefix]) {
            Metadata::Stamped { stamp, source_metadata } => {
                let as_of = self.index.as_of(stamp.mapping_partition).unwrap_or(stamp.as_of);
                let metadata = Stamp { as_of, ..stamp }.compose(prefix, &[], &source_metadata).text;
                TargetCommit { metadata, ..commit }
            }
            Metadata::Foreign | Metadata::Malformed | Metadata::NewerVersion { .. } => commit,
        };
        offsets.into_iter().map(|(at, commit)| (at, anew(commit))).collect()
    }
}
