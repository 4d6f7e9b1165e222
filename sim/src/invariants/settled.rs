//! The offset that each group must have reached when a run is calm. It is computed from the logs alone: the
//! copies that the mapping topic describes, applied to the group's position on the source.

use std::collections::BTreeMap;

use sprag_core::ids::{FenceTopicTag, GroupId, Incarnation, Shard, ShardCount, TopicId};

use super::copies::{Copies, published_copies};
use crate::cluster::Cluster;
use crate::scenario::{Publisher, Scenario, Work};
use crate::truth::{Clusters, Truth, is_foreign, stamp_of};
use crate::wire::{Committed, Isolation, Partition};

/// One partition of one group that must have been translated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// The group.
    pub group: GroupId,
    /// The target partition.
    pub at: Partition,
    /// The group's committed offset on the source.
    pub source: i64,
    /// The ids of the source topic and of the target topic.
    pub ids: (TopicId, TopicId),
    /// The committed offset on the target.
    pub stored: Option<Committed>,
    /// The offset that must be committed there.
    pub expected: i64,
    /// The largest offset that is right. It is above `expected` if corrections are not followed, or if the
    /// owner may have known mappings that are gone.
    pub at_most: i64,
}

/// Everything that must have been translated by now.
#[must_use]
pub fn settled(scenario: &Scenario, truth: &Truth, clusters: Clusters<'_>) -> Vec<Settled> {
    let copies = published_copies(scenario, &truth.names, clusters.target, |_, _| true);
    let mut settled = Vec::new();
    for ((group, source), commits) in &truth.source {
        let Some(position) = commits.last().map(|commit| commit.commit.offset) else {
            continue;
        };
        let still = has_offset(clusters.source, group, source);
        let Some((_, name)) = truth.names.topics.iter().find(|(from, _)| *from == source.topic)
        else {
            continue;
        };
        let at = Partition { topic: name.clone(), partition: source.partition };
        if still && !is_held(truth, clusters.target, group) {
            let one = Position { group, source, at, position };
            settled.extend(one.settle(scenario, truth, clusters, &copies));
        }
    }
    settled
}

struct Position<'a> {
    group: &'a GroupId,
    source: &'a Partition,
    at: Partition,
    position: i64,
}

impl Position<'_> {
    fn settle(
        self,
        scenario: &Scenario,
        truth: &Truth,
        clusters: Clusters<'_>,
        copies: &BTreeMap<(Partition, Partition), Copies>,
    ) -> Option<Settled> {
        let Self { group, source, at, position } = self;
        let source_id = clusters.source.topics().id(&source.topic)?;
        let target_id = clusters.target.topics().id(&at.topic)?;
        let ids = (source_id, target_id);
        let log = clusters.target.topics().log(&at)?;
        let (start, end) = (log.start(), log.end_for(Isolation::ReadUncommitted));
        let stored = truth.stored.get(&(group.clone(), at.clone())).cloned();
        let known = copies.get(&(source.clone(), at.clone()))?;
        let shard = Shard::of(group, ShardCount(truth.shards.unsigned_abs()));
        let over = truth.replays_over.below(&at, shard);
        let expected = known.translate_after(over, position, ids)?.max(start);
        let rules = &scenario.rules;
        let stamp = stored.as_ref().and_then(stamp_of).map(|(stamp, _)| stamp);
        if let Some(stamp) = stamp {
            let same = stamp.incarnation == Incarnation::of(source_id, target_id);
            // Held: reset on the source, or recreated without a commit since.
            let set_back = !rules.follow_rewinds && position < stamp.source.get();
            let recreated = !same && stamp.source.get() == position;
            if set_back || recreated {
                return None;
            }
        }
        if expected > end {
            return None;
        }
        let at_most = match (rules.follow_corrections, loses_mappings(scenario)) {
            (false, _) => i64::MAX,
            (true, true) => known.first_from(position, ids).unwrap_or(i64::MAX).max(expected),
            (true, false) => expected,
        };
        let (group, source) = (group.clone(), position);
        Some(Settled { group, at, source, ids, stored, expected, at_most })
    }
}

/// Whether the group is left alone: it has a foreign commit or members, or its fence log lost records.
fn is_held(truth: &Truth, target: &Cluster, group: &GroupId) -> bool {
    let fence_topic = target.topics().id(&truth.names.fence_topic).map(FenceTopicTag::of);
    let foreign = |stored: &Committed| {
        is_foreign(stored)
            || stamp_of(stored).is_none_or(|(stamp, _)| {
                let newest = truth.fences.get(&stamp.shard);
                stamp.pipeline != truth.names.pipeline
                    || Some(stamp.fence_topic) != fence_topic
                    || stamp.shards.get() != truth.shards.unsigned_abs()
                    || newest.is_none_or(|newest| stamp.fence > *newest)
            })
    };
    let of_group = truth.stored.iter().filter(|((of, _), _)| of == group);
    let held = of_group.into_iter().any(|(_, stored)| foreign(stored));
    let active = target.groups().get(group).is_some_and(|it| it.is_active());
    held || active
}

fn has_offset(cluster: &Cluster, group: &GroupId, at: &Partition) -> bool {
    let named = std::iter::once(at.clone()).collect();
    let group = cluster.groups().get(group);
    let found = group.map(|group| group.offsets.fetch(Some(&named), false));
    found.is_some_and(|found| matches!(found.get(at), Some(Ok(Some(_)))))
}

/// Whether mappings that were once known may be gone.
#[must_use]
pub fn loses_mappings(scenario: &Scenario) -> bool {
    let sparse = matches!(scenario.shape.publisher, Publisher::Sparse { .. });
    let loses = |work: &Work| match work {
        Work::RecreateMappings => true,
        // Every chunk has its own key, so compaction keeps it.
        Work::CompactMappings => sparse,
        Work::Produce { .. }
        | Work::SourceCommit { .. }
        | Work::SourceReset { .. }
        | Work::TargetConsumer { .. }
        | Work::TargetCommit { .. }
        | Work::TargetTransaction { .. }
        | Work::Disguised { .. }
        | Work::ZombieCopies { .. }
        | Work::ReplicatorRestart { .. }
        | Work::RecreateSource { .. }
        | Work::RecreateTarget { .. }
        | Work::TrimTarget { .. } => false,
    };
    scenario.work.iter().any(|work| loses(&work.what))
}
