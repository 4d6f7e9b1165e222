//! Which incarnation of a pair of topics MirrorMaker's offset syncs belong to: they do not say, so the
//! as-of from which they count is kept in the fence log (`docs/protocol.md`, "The fence log").

use std::collections::BTreeSet;

use super::super::decide;
use super::super::event::Topics;
use super::super::fence_log::{FenceLog, IncarnationFloor};
use super::super::ids::{
    GroupId, MappingOffset, MappingPartition, Shard, SourcePartition, TopicId, TopicName,
};
use super::super::note::Note;
use super::Core;

/// Offset syncs stand in this partition alone.
const SYNC_PARTITION: MappingPartition = MappingPartition(0);

impl Core {
    /// Compares the ids of the topics behind offset syncs with those that the fence log keeps. True
    /// if a topic was recreated, and everything starts anew.
    pub(super) fn recreated(&mut self, waiting: &BTreeSet<GroupId>, topics: &Topics) -> bool {
        let groups = waiting.iter().filter_map(|name| self.groups.get(name));
        let sources: BTreeSet<SourcePartition> =
            groups.flat_map(|group| group.source.commits()).map(|(at, _)| at.clone()).collect();
        let mut recreated = None;
        for (source, target) in decide::synced_topics(&self.index, sources.iter()) {
            let (Some(Ok(source_id)), Some(Ok(target_id))) =
                (topics.source.get(&source), topics.target.get(&target))
            else {
                continue;
            };
            if self.incarnation_seen(&source, &target, (*source_id, *target_id)) {
                recreated = Some((source, target));
            }
        }
        let Some((source, target)) = recreated else {
            return false;
        };
        let detail = format!("{source} or {target} was recreated");
        self.report(Note::TopicRecreated { source, target });
        self.restart_mappings(detail);
        true
    }

    /// True if syncs that were applied belong to an earlier incarnation.
    fn incarnation_seen(
        &mut self,
        source: &TopicName,
        target: &TopicName,
        (source_id, target_id): (TopicId, TopicId),
    ) -> bool {
        let Some(mapping_topic) = self.index.tag() else {
            return false;
        };
        let key = (source.clone(), target.clone());
        let known = self.floors.get(&key);
        let same_ids =
            known.is_none_or(|known| known.source == source_id && known.target == target_id);
        let floor = match known {
            Some(known) if same_ids && known.mapping_topic == mapping_topic => return false,
            Some(_) if !same_ids => self.index.as_of(SYNC_PARTITION).unwrap_or_default(),
            Some(_) | None => MappingOffset(0),
        };
        let floor = IncarnationFloor { source: source_id, target: target_id, mapping_topic, floor };
        self.floors.insert(key, floor);
        let active = self.shards.iter().filter(|(_, state)| state.active_fence().is_some());
        let active: Vec<_> = active.map(|(shard, _)| *shard).collect();
        for shard in active {
            self.queue_floors(shard);
        }
        self.index.raise_floor(source, target, floor.floor) && !same_ids
    }

    /// A shard's fence log tells which incarnations its earlier owners saw.
    pub(super) fn floors_read(&mut self, shard: Shard, log: &FenceLog) {
        let mut raised = None;
        if let Some(state) = self.shards.get_mut(&shard) {
            state.kept = log.floors();
        }
        for ((source, target), floor) in log.floors() {
            let key = (source, target);
            let known = self.floors.get(&key);
            if known.is_some_and(|known| known.floor >= floor.floor) {
                continue;
            }
            self.floors.insert(key.clone(), floor);
            let ours = self.index.tag().is_none_or(|tag| tag == floor.mapping_topic);
            if ours && self.index.raise_floor(&key.0, &key.1, floor.floor) {
                raised = Some(key);
            }
        }
        if let Some((source, target)) = raised {
            self.restart_mappings(format!(
                "an earlier owner saw that {source} or {target} was recreated"
            ));
        }
    }

    /// Keeps in this shard's fence log what is known of incarnations and does not stand there yet.
    pub(super) fn queue_floors(&mut self, shard: Shard) {
        let Some(state) = self.shards.get_mut(&shard) else {
            return;
        };
        for (topics, floor) in &self.floors {
            if state.kept.get(topics) != Some(floor) {
                state.kept.insert(topics.clone(), *floor);
                state.records.push_back(floor.record(&topics.0, &topics.1));
            }
        }
    }
}
