//! Where each group must have come to when a run is calm, worked out from the logs alone: which copies
//! the mapping topic tells of, and what the definition of the staircase (`docs/protocol.md`,
//! "Translation") makes of the group's position on the source.

use std::collections::BTreeMap;

use sprag::core::ids::{GroupId, Incarnation, TopicId};
use sprag::core::mapping::{MappingRecord, Run};
use sprag::mapping::{Decoder, Format};

use crate::cluster::Cluster;
use crate::scenario::{Publisher, Scenario, Work};
use crate::truth::{Truth, is_foreign, stamp_of};
use crate::wire::{Committed, Isolation, Partition};
use crate::world::World;

/// One partition of one group that must have been translated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// The group.
    pub group: GroupId,
    /// The target partition.
    pub at: Partition,
    /// Its committed offset on the source.
    pub source: i64,
    /// The ids of the source topic and of the target topic.
    pub ids: (TopicId, TopicId),
    /// What stands on the target.
    pub stored: Option<Committed>,
    /// What must stand there.
    pub expected: i64,
    /// A larger offset is right too: who committed it knew mappings that are gone.
    pub may_be_sharper: bool,
}

/// All that must have been translated in this run by now.
#[must_use]
pub fn settled(scenario: &Scenario, truth: &Truth, world: &World) -> Vec<Settled> {
    let copies = world.target.look(|target| told_copies(scenario, truth, target));
    let mut settled = Vec::new();
    for ((group, source), commits) in &truth.source {
        let Some(position) = commits.last().map(|commit| commit.commit.offset) else {
            continue;
        };
        let still = world.source.look(|cluster| has_offset(cluster, group, source));
        let Some((_, name)) = truth.names.topics.iter().find(|(from, _)| *from == source.topic)
        else {
            continue;
        };
        let at = Partition { topic: name.clone(), partition: source.partition };
        if still && !is_held(truth, world, group) {
            let one = Position { group, source, at, position };
            settled.extend(one.settle(scenario, truth, world, &copies));
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
        world: &World,
        copies: &BTreeMap<(Partition, Partition), Copies>,
    ) -> Option<Settled> {
        let Self { group, source, at, position } = self;
        let source_id = world.source.look(|cluster| cluster.topics().id(&source.topic))?;
        let target_id = world.target.look(|cluster| cluster.topics().id(&at.topic))?;
        let ids = (source_id, target_id);
        let (start, end) = world.target.look(|cluster| {
            let log = cluster.topics().log(&at)?;
            Some((log.start(), log.end_for(Isolation::ReadUncommitted)))
        })?;
        let stored = truth.stored.get(&(group.clone(), at.clone())).cloned();
        let known = copies.get(&(source.clone(), at.clone()))?;
        let expected = known.translate(position, ids)?.max(start);
        let rules = &scenario.rules;
        let stamp = stored.as_ref().and_then(stamp_of).map(|(stamp, _)| stamp);
        if let Some(stamp) = stamp {
            let same = stamp.incarnation == Incarnation::of(source_id, target_id);
            // Held: set back on the source; recreated without a commit since; of a fence to come.
            let set_back = !rules.follow_rewinds && position < stamp.source.get();
            let recreated = !same && stamp.source.get() == position;
            let to_come = truth.fences.get(&stamp.shard).is_some_and(|now| stamp.fence > *now);
            if set_back || recreated || to_come {
                return None;
            }
        }
        if expected > end {
            return None;
        }
        let may_be_sharper = !rules.follow_corrections || loses_mappings(scenario);
        let (group, source) = (group.clone(), position);
        Some(Settled { group, at, source, ids, stored, expected, may_be_sharper })
    }
}

/// The copies of one source partition in one target partition, as the mapping topic tells them.
#[derive(Default)]
struct Copies {
    told: Vec<(Option<(TopicId, TopicId)>, Run)>,
    /// Offset syncs went back on the source: the group may have to wait until they pass it.
    replayed: bool,
}

impl Copies {
    /// *A known copy (s, t) is kept iff no other known copy (s', t') has s' ≥ s and t' ≤ t*; the
    /// copy of the position, else the end of the one below.
    fn translate(&self, position: i64, ids: (TopicId, TopicId)) -> Option<i64> {
        if self.replayed {
            return None;
        }
        let of = self.told.iter().filter(|(told, _)| told.is_none_or(|told| told == ids));
        let mut all: Vec<(i64, i64)> = of
            .flat_map(|(_, run)| {
                let steps = 0..run.len.cast_signed();
                steps.map(|step| (run.source.get() + step, run.target.get() + step))
            })
            .collect();
        all.sort_unstable_by_key(|(source, target)| (-source, *target));
        let mut lowest = i64::MAX;
        for (source, target) in all {
            if target < lowest {
                lowest = target;
                if source <= position {
                    return Some(if source == position { target } else { target + 1 });
                }
            }
        }
        None
    }
}

fn told_copies(
    scenario: &Scenario,
    truth: &Truth,
    target: &Cluster,
) -> BTreeMap<(Partition, Partition), Copies> {
    let mut copies: BTreeMap<(Partition, Partition), Copies> = BTreeMap::new();
    let sparse = matches!(scenario.shape.publisher, Publisher::Sparse { .. });
    // Which incarnation a sync belongs to, and what compaction took, no log tells.
    let untold = |work: &Work| {
        matches!(
            work,
            Work::RecreateSource { .. }
                | Work::RecreateTarget { .. }
                | Work::RecreateMappings
                | Work::CompactMappings
        )
    };
    if sparse && scenario.work.iter().any(|work| untold(&work.what)) {
        return copies;
    }
    let format = if sparse { crate::world::syncs() } else { Format::Native };
    let mut decoder = Decoder::new(format);
    for at in target.topics().partitions(&truth.names.mapping_topic) {
        let Some(log) = target.topics().log(&at) else {
            continue;
        };
        let Ok((records, ..)) = log.read(log.start(), Isolation::ReadCommitted, usize::MAX) else {
            continue;
        };
        for record in records {
            if let Ok(told) = decoder.decode(Some(&record.key), record.value.as_deref()) {
                add(&mut copies, told);
            }
        }
    }
    copies
}

fn add(copies: &mut BTreeMap<(Partition, Partition), Copies>, told: MappingRecord) {
    match told {
        MappingRecord::Chunk(chunk) => {
            let ids = (chunk.source_topic_id, chunk.target_topic_id);
            let known = copies.entry(((&chunk.source).into(), (&chunk.target).into())).or_default();
            known.told.extend(chunk.runs.into_iter().map(|run| (Some(ids), run)));
        }
        MappingRecord::Sync(sync) => {
            let known = copies.entry(((&sync.source).into(), (&sync.target).into())).or_default();
            let last = known.told.last().map(|(_, run)| run.source);
            known.replayed |= last.is_some_and(|last| sync.source_offset < last);
            let run = Run { source: sync.source_offset, target: sync.target_offset, len: 1 };
            known.told.push((None, run));
        }
    }
}

/// Whether the group is left alone: somebody else committed for it, or it has members.
fn is_held(truth: &Truth, world: &World, group: &GroupId) -> bool {
    let foreign = |stored: &Committed| {
        is_foreign(stored)
            || stamp_of(stored).is_none_or(|(stamp, _)| {
                stamp.pipeline != truth.names.pipeline
                    || stamp.shards.get() != truth.shards.unsigned_abs()
            })
    };
    let of_group = truth.stored.iter().filter(|((of, _), _)| of == group);
    let held = of_group.into_iter().any(|(_, stored)| foreign(stored));
    let active =
        world.target.look(|target| target.groups().get(group).is_some_and(|it| it.is_active()));
    held || active
}

fn has_offset(cluster: &Cluster, group: &GroupId, at: &Partition) -> bool {
    let named = std::iter::once(at.clone()).collect();
    let group = cluster.groups().get(group);
    let found = group.map(|group| group.offsets.fetch(Some(&named), false));
    found.is_some_and(|found| matches!(found.get(at), Some(Ok(Some(_)))))
}

/// Whether mappings that were known once may be gone.
#[must_use]
pub fn loses_mappings(scenario: &Scenario) -> bool {
    let sparse = matches!(scenario.shape.publisher, Publisher::Sparse { .. });
    let loses = |work: &Work| match work {
        Work::RecreateMappings => true,
        // Chunks have a key each.
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
