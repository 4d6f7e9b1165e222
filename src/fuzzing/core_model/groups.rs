//! A group's round, by `docs/protocol.md`, "Following the world": read, then decide.

use std::collections::{BTreeMap, BTreeSet};

use crate::core::action::{Action, ReadScope};
use crate::core::event::{GroupActivity, SourceCommit, TargetOffsets, Topics};
use crate::core::failure::{Failure, FailureClass};
use crate::core::ids::{
    GroupId, MappingTopicTag, Shard, SourcePartition, TargetPartition, TopicName,
};
use crate::core::judge::Ownership;
use crate::core::machine::view::StageView;
use crate::core::policy::OnActiveGroup;

use super::super::Situations;
use super::about::group_of;
use super::answers::{FENCE_TOPIC, Fault, target_offsets, topics};
use super::belief::Memory;
use super::commits::Planned;
use super::decisions::{Decided, Ground, Target, decide};
use super::model::Model;
use super::world::{TOPICS, World, target_partition};

/// A group that is looked after.
pub(super) struct Group {
    pub(super) shard: Shard,
    pub(super) stage: StageView,
    pub(super) memory: Memory,
    /// The coordinator was looked up anew for the read under way.
    rediscovered: bool,
    loaded: bool,
    failed_before: bool,
    /// Why the source was not read in this round.
    source_failed: Option<FailureClass>,
    target: TargetOffsets,
    /// Since when what stands there is known to stand there.
    pub(super) written: BTreeMap<TargetPartition, u64>,
    pub(super) planned: Planned,
}

impl Group {
    pub(super) fn new(shard: Shard, disturbed: bool) -> Self {
        Self {
            shard,
            stage: StageView::Resting,
            memory: Memory { partitions: BTreeMap::new(), disturbed },
            rediscovered: false,
            loaded: false,
            failed_before: false,
            source_failed: None,
            target: TargetOffsets::new(),
            written: BTreeMap::new(),
            planned: Planned::default(),
        }
    }

    pub(super) fn rests(&self) -> bool {
        self.stage == StageView::Resting
    }

    pub(super) fn is_committing(&self) -> bool {
        let stages =
            [StageView::Writing, StageView::Verifying, StageView::Ending, StageView::Committing];
        stages.contains(&self.stage)
    }
}

impl Model {
    pub(super) fn group_mut(&mut self, action: &Action) -> Option<(GroupId, &mut Group)> {
        let name = group_of(action)?.clone();
        let group = self.groups.get_mut(&name)?;
        Some((name, group))
    }

    pub(super) fn disturbed(&mut self) {
        self.disturbed_at = Some(self.now);
        self.groups.values_mut().for_each(|group| group.memory.disturbed = true);
    }

    pub(super) fn round_begun(&mut self, name: &GroupId, coordinator_since: Option<u64>) {
        let (now, confirm_after) = (self.now, millis(self.policy.confirm_after));
        let state = self.shards.get(&self.groups.get(name).map(|it| it.shard).unwrap_or_default());
        let fenced_at = state.filter(|state| state.fence().is_some()).map(|state| state.fenced_at);
        let (Some(group), Some(fenced_at)) = (self.groups.get_mut(name), fenced_at) else {
            panic!("a round of {name}, which is not looked after");
        };
        assert!(group.rests(), "{name} is at {:?}", group.stage);
        group.stage = StageView::ReadingSource;
        let doubted = group.memory.doubted();
        let due = doubted.filter(|doubted| doubted + confirm_after <= now);
        group.rediscovered = due.is_some();
        let wanted = due.max((!group.loaded).then_some(fenced_at));
        assert_eq!(
            coordinator_since.is_some(),
            wanted.is_some(),
            "{name}: in doubt since {doubted:?}, loaded: {}",
            group.loaded
        );
        assert!(coordinator_since >= wanted, "{name}: an old coordinator may answer");
    }

    pub(super) fn source_read(
        &mut self,
        action: &Action,
        outcome: &Result<BTreeMap<SourcePartition, SourceCommit>, Failure>,
    ) {
        let (now, confirm_after) = (self.now, millis(self.policy.confirm_after));
        let refresh_after = millis(self.policy.refresh_interval);
        let Some((name, group)) = self.group_mut(action) else {
            return;
        };
        match outcome {
            Ok(offsets) => {
                let rediscovered = group.rediscovered;
                group.memory.read(now, offsets, rediscovered, confirm_after);
                (group.stage, group.source_failed) = (StageView::ReadingTarget, None);
            }
            Err(failure) => {
                group.memory.disturbed = true;
                let due = group.written.values().any(|at| now - at >= refresh_after);
                if due && failure.class != FailureClass::Stop {
                    group.stage = StageView::ReadingTarget;
                    group.source_failed = Some(failure.class);
                } else {
                    self.round_failed(&name, failure.class);
                }
            }
        }
    }

    /// Every partition that matters is asked for by name, and pending transactions are no answer.
    pub(super) fn target_asked(&mut self, name: &GroupId, scope: &ReadScope, stable: bool) {
        let (guarded, now) = (self.is_guarded(), self.now);
        let (ReadScope::AllAnd(named) | ReadScope::Only(named)) = scope;
        let all = matches!(scope, ReadScope::AllAnd(_));
        let Some(group) = self.groups.get_mut(name) else {
            panic!("{name} is not looked after");
        };
        if group.stage == StageView::Verifying {
            group.planned.checked = now;
            assert_eq!(stable, guarded, "{name}: read before a commit");
            let missing = group.planned.judged.keys().find(|at| !named.contains(at));
            return assert!(all && missing.is_none(), "{name}: {missing:?} is not read again");
        }
        assert_eq!(group.stage, StageView::ReadingTarget, "{name}");
        assert!(stable && all, "{name}: what is pending is taken for none");
        let mapped = self.known.lanes.keys().filter(|(source, _)| {
            let belief = group.memory.partitions.get(source);
            belief.is_some_and(|belief| belief.current.is_some())
        });
        if group.source_failed.is_none() {
            let mut mapped = mapped.map(|(_, lineage)| &lineage.target);
            let missing = mapped.find(|at| !named.contains(at));
            assert!(missing.is_none(), "{name}: {missing:?} is not asked for by name");
        }
    }

    pub(super) fn target_read(
        &mut self,
        action: &Action,
        outcome: &Result<TargetOffsets, Failure>,
        situations: &mut Situations,
    ) {
        let Some((name, group)) = self.group_mut(action) else {
            return;
        };
        match (group.stage, group.source_failed, outcome) {
            (StageView::Verifying, _, outcome) => self.verified(&name, outcome),
            (_, _, Err(failure)) => self.round_failed(&name, failure.class),
            (_, Some(class), Ok(target)) => {
                self.refresh_alone(&name, &target.clone(), class, situations);
            }
            (_, None, Ok(target)) => {
                group.stage = StageView::ReadingTopics;
                group.target = target.clone();
                self.topics_wanted.insert(name);
            }
        }
    }

    pub(super) fn topics_asked(
        &mut self,
        source: &BTreeSet<TopicName>,
        target: &BTreeSet<TargetPartition>,
        source_ends: &BTreeSet<SourcePartition>,
    ) {
        assert!(self.topics_asked.is_none(), "the topics are being read already");
        let waiting = std::mem::take(&mut self.topics_wanted);
        for name in &waiting {
            let commits = self.groups.get(name).map(|group| group.memory.commits());
            for ((at, lineage), lane) in &self.known.lanes {
                if commits.iter().flatten().any(|(own, _)| own == at) {
                    assert!(source.contains(&at.topic), "{name}: {at} is not described");
                    let described = target.contains(&lineage.target);
                    assert!(described, "{name}: {} is not described", lineage.target);
                    let unknown = lane.replay == Some(None);
                    assert!(!unknown || source_ends.contains(at), "{at}: the end of the replay");
                }
            }
        }
        for source in source_ends {
            self.known.ask_source_end(source);
        }
        self.topics_asked = Some(waiting);
    }

    pub(super) fn topics_read(
        &mut self,
        outcome: &Result<Topics, Failure>,
        situations: &mut Situations,
    ) {
        let waiting = self.topics_asked.take().unwrap_or_default();
        if let Ok(topics) = outcome {
            for (source, end) in &topics.source_ends {
                if let Ok(end) = end {
                    self.known.source_end_read(source, end.get(), situations);
                }
            }
        }
        for name in waiting {
            let Some(group) = self.groups.get(&name) else {
                continue;
            };
            let target = group.target.clone();
            match outcome {
                Ok(topics) => self.decide_round(&name, &target, topics, situations),
                Err(failure) if failure.class == FailureClass::Stop => return self.fail(),
                Err(failure) => self.refresh_alone(&name, &target, failure.class, situations),
            }
        }
    }

    fn decide_round(
        &mut self,
        name: &GroupId,
        read: &TargetOffsets,
        topics: &Topics,
        situations: &mut Situations,
    ) {
        let target = match all_read(read) {
            Ok(target) => target,
            Err(class) => return self.round_failed(name, class),
        };
        let mut memory =
            self.groups.get(name).map(|group| group.memory.clone()).unwrap_or_default();
        let decided = self.decided(name, &target, topics, &mut memory, situations);
        let now = self.now;
        if let Some(group) = self.groups.get_mut(name) {
            group.memory = memory;
            group.loaded |= !decided.later_fence;
            for (at, commit) in &target {
                match commit {
                    Some(_) => *group.written.entry(at.clone()).or_insert(now),
                    None => group.written.remove(at).unwrap_or_default(),
                };
            }
        }
        let fails = self.policy.on_active_group == OnActiveGroup::Fail;
        let shard = self.groups.get(name).map(|group| group.shard);
        let overtaken = shard.is_some_and(|shard| self.is_overtaken(shard, decided.regressed));
        match (shard, decided.unknown) {
            (Some(shard), _) if overtaken || decided.stands_down => self.back_off(shard, true),
            (_, _) if decided.is_active && fails => self.fail(),
            (_, _) if !decided.commits.is_empty() => self.plan(name, decided, target),
            (_, Some(class)) => self.round_failed(name, class),
            (_, None) => self.round_ended(name),
        }
    }

    /// Nothing is judged but what may be written once more.
    fn refresh_alone(
        &mut self,
        name: &GroupId,
        read: &TargetOffsets,
        unread: FailureClass,
        situations: &mut Situations,
    ) {
        let target = match all_read(read) {
            Ok(target) => target,
            Err(class) => return self.round_failed(name, class),
        };
        let (topics, memory) = (Topics::default(), &mut Memory::default());
        let decided = self.decided(name, &target, &topics, memory, situations);
        if decided.commits.is_empty() {
            self.round_failed(name, unread);
        } else {
            situations.reach("refresh alone");
            self.plan(name, decided, target);
        }
    }

    fn decided(
        &self,
        name: &GroupId,
        target: &Target,
        topics: &Topics,
        memory: &mut Memory,
        situations: &mut Situations,
    ) -> Decided {
        let group = self.groups.get(name);
        let shard = group.map(|group| group.shard).unwrap_or_default();
        let state = self.shards.get(&shard);
        let (Some(group), Some(fence), Some(mapping)) =
            (group, state.and_then(|state| state.fence()), self.mapping_topic)
        else {
            panic!("a round of {name} without a fence, or without mappings");
        };
        let refresh_after = millis(self.policy.refresh_interval);
        let due = group.written.iter().filter(|(_, at)| self.now - **at >= refresh_after);
        let ground = Ground {
            now: self.now,
            policy: &self.policy,
            own: Ownership {
                pipeline: self.pipeline,
                fence_topic: self.fence_topic,
                shard,
                shards: FENCE_TOPIC.shards,
                fence,
                mapping_topic: MappingTopicTag::of(mapping.id),
                loading: !group.loaded,
            },
            known: &self.known,
            log_ends: &self.log_ends,
            topics,
            target,
            activity: self.activity(name),
            refresh_due: due.map(|(at, _)| at.clone()).collect(),
            failed_before: group.failed_before,
        };
        decide(&ground, memory, situations)
    }

    /// Of nothing that can be committed is anything left.
    pub(super) fn nothing_is_left(&self, world: &World) {
        let sources: BTreeSet<_> = TOPICS.map(TopicName::from).into();
        let targets: BTreeSet<_> = TOPICS.map(target_partition).into();
        let topics = topics(world, &sources, &targets, &BTreeSet::new(), Fault::None);
        // A group that stands on the target alone is looked at rarely, and only refreshed.
        let followed = self.groups.iter().filter(|(name, _)| self.listed_source.contains(*name));
        for (name, group) in followed {
            let scope = ReadScope::AllAnd(targets.clone());
            let read = target_offsets(world, name, &scope, Fault::None);
            let target = all_read(&read).unwrap_or_default();
            let (mut memory, ignored) = (group.memory.clone(), &mut Situations::default());
            let decided = self.decided(name, &target, &topics, &mut memory, ignored);
            let left = decided.commits.keys().find(|at| !decided.refreshed.contains(*at));
            assert!(left.is_none(), "{name}: {left:?} is not committed, and nothing is in the way");
        }
    }

    /// What was listed, for as long as that says anything.
    fn activity(&self, name: &GroupId) -> GroupActivity {
        let known_for = (2 * millis(self.policy.poll_interval)).max(60_000);
        if self.now - self.target_listed_at > known_for {
            return GroupActivity::Unknown;
        }
        self.listed_target.get(name).copied().unwrap_or(GroupActivity::Empty)
    }

    pub(super) fn round_ended(&mut self, name: &GroupId) {
        if let Some(group) = self.groups.get_mut(name) {
            (group.stage, group.failed_before) = (StageView::Resting, false);
        }
    }

    pub(super) fn round_failed(&mut self, name: &GroupId, class: FailureClass) {
        let fails = self.policy.on_active_group == OnActiveGroup::Fail;
        if class == FailureClass::Stop || (class == FailureClass::GroupActive && fails) {
            return self.fail();
        }
        if let Some(group) = self.groups.get_mut(name) {
            (group.stage, group.failed_before) = (StageView::Resting, true);
        }
    }
}

pub(super) fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// A partition that could not be read leaves the group without any.
pub(super) fn all_read(read: &TargetOffsets) -> Result<Target, FailureClass> {
    let each = read.iter().map(|(at, read)| match read {
        Ok(commit) => Ok((at.clone(), commit.clone())),
        Err(failure) => Err(failure.class),
    });
    each.collect()
}
