//! Which incarnation of a pair of topics MirrorMaker's offset syncs belong to. The syncs do not say, so the
//! as-of from which they count is kept in the fence log (`docs/protocol.md`, "The fence log").

use alloc::collections::{BTreeMap, BTreeSet};

use super::super::decide;
use super::super::event::Topics;
use super::super::fence_log::{FenceLog, IncarnationFloor};
use super::super::ids::{
    GroupId, MappingOffset, MappingPartition, MappingTopicTag, Shard, SourcePartition, TopicId,
    TopicName,
};
use super::super::note::Note;
use super::Core;

/// The only partition with offset syncs.
const SYNC_PARTITION: MappingPartition = MappingPartition(0);
/// Kafka's zero id, which no topic has.
const NO_TOPIC: TopicId = TopicId([0; 16]);

/// What is known of one pair of topics, for each mapping topic in which it was seen.
pub(super) type Floors = BTreeMap<MappingTopicTag, IncarnationFloor>;

impl Core {
    /// Compares the ids of the topics behind offset syncs with the ids that the fence log keeps. If a topic
    /// was recreated, the mappings are read again, all shards are taken over again, and this returns true.
    pub(super) fn recreated(&mut self, name: &GroupId, topics: &Topics) -> bool {
        let commits = self.groups.get(name).into_iter().flat_map(|group| group.source.commits());
        let sources: BTreeSet<SourcePartition> = commits.map(|(at, _)| at.clone()).collect();
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

    /// Remembers the ids of a pair of topics. Returns true if syncs of an earlier incarnation may have been
    /// applied.
    fn incarnation_seen(
        &mut self,
        source: &TopicName,
        target: &TopicName,
        (source_id, target_id): (TopicId, TopicId),
    ) -> bool {
        let Some(mapping_topic) = self.index.tag() else {
            return false;
        };
        let now = self.index.as_of(SYNC_PARTITION).unwrap_or_default();
        let known = self.floors.entry((source.clone(), target.clone())).or_default();
        let same = |known: &IncarnationFloor| known.is_of(source_id, target_id);
        let (floor, recreated) = match known.get(&mapping_topic) {
            Some(known) if same(known) => return false,
            Some(_) => (now, true),
            None if known.is_empty() || known.values().any(same) => (MappingOffset(0), false),
            None => (now, true),
        };
        let floor = IncarnationFloor {
            source: source_id,
            target: target_id,
            mapping_topic,
            floor,
            settled: MappingOffset(0),
        };
        known.insert(mapping_topic, floor);
        let topics = (source.clone(), target.clone());
        self.index.ids_known(&topics);
        self.keep_floor(&topics);
        self.index.raise_floor(source, target, floor.floor) && recreated
    }

    /// Remembers the incarnations that earlier owners of the shard saw, as its fence log keeps them. If syncs
    /// of an earlier incarnation may have been applied, the mappings are read again, all shards are taken
    /// over again, and this returns true.
    pub(super) fn floors_read(&mut self, shard: Shard, log: &FenceLog) -> bool {
        let mut raised = None;
        let present = self.index.tag();
        let kept = log.floors();
        for (topics, floor) in &kept {
            let known = self.floors.entry(topics.clone()).or_default();
            let newest = match known.get(&floor.mapping_topic) {
                Some(known) => later(*known, *floor),
                None => *floor,
            };
            known.insert(floor.mapping_topic, newest);
            let ours = present == Some(floor.mapping_topic);
            if ours {
                self.index.ids_known(topics);
                self.index.settle(&topics.0, &topics.1, newest.settled);
            }
            if ours && self.index.raise_floor(&topics.0, &topics.1, newest.floor) {
                raised = Some(topics.clone());
            }
        }
        if let Some(state) = self.shards.get_mut(&shard) {
            state.kept = kept;
        }
        let Some((source, target)) = raised else {
            return false;
        };
        self.restart_mappings(format!(
            "an earlier owner saw that {source} or {target} was recreated"
        ));
        true
    }

    /// The mapping topic is about to be read from its start. The floors known in it count for that; floors in
    /// another mapping topic do not.
    pub(super) fn keep_floors(&mut self) {
        let Some(present) = self.index.tag() else {
            return;
        };
        for ((source, target), floors) in &self.floors {
            if let Some(floor) = floors.get(&present) {
                self.index.raise_floor(source, target, floor.floor);
                self.index.settle(source, target, floor.settled);
            }
        }
    }

    /// Keeps in the fence log that replays have ended. An instance that reads their syncs later then need not
    /// wait for a source log end that may have moved on, or that no sync ever reaches.
    pub(super) fn replays_ended(&mut self) {
        let (Some(present), Some(as_of)) = (self.index.tag(), self.index.as_of(SYNC_PARTITION))
        else {
            return;
        };
        for topics in self.index.take_ended_replays() {
            let known = self.floors.get_mut(&topics).and_then(|floors| floors.get_mut(&present));
            let Some(floor) = known else {
                self.index.ended_before_ids(topics);
                continue;
            };
            if floor.settled < as_of {
                floor.settled = as_of;
                self.index.settle(&topics.0, &topics.1, as_of);
                self.keep_floor(&topics);
            }
        }
    }

    /// Queues what is known of incarnations for the fence log of this shard, which is active now, unless the
    /// log has it already.
    pub(super) fn queue_floors(&mut self, shard: Shard) {
        let (Some(state), Some(present)) = (self.shards.get_mut(&shard), self.index.tag()) else {
            return;
        };
        let kept = core::mem::take(&mut state.kept);
        for (topics, floors) in &self.floors {
            let floor = floors.get(&present);
            if floor.is_some() && floor != kept.get(topics) {
                state.records.incarnations.insert(topics.clone());
            }
        }
    }

    /// Queues what has become known of these topics for the fence logs of all active shards. The others go
    /// through all pairs once they are active.
    fn keep_floor(&mut self, topics: &(TopicName, TopicName)) {
        for state in self.shards.values_mut().filter(|state| state.active_fence().is_some()) {
            state.records.incarnations.insert(topics.clone());
        }
    }
}

/// Merges what two fence logs keep of the same topics in the same mapping topic. The higher floor counts. If
/// the floors are equal and the ids differ, two owners saw different incarnations first, and neither is
/// believed: no topic has the ids of the result, so the pair counts as recreated at the next look.
fn later(known: IncarnationFloor, read: IncarnationFloor) -> IncarnationFloor {
    if known.floor != read.floor {
        return if known.floor > read.floor { known } else { read };
    }
    if known.is_of(read.source, read.target) {
        IncarnationFloor { settled: known.settled.max(read.settled), ..known }
    } else {
        IncarnationFloor { source: NO_TOPIC, target: NO_TOPIC, ..known }
    }
}
