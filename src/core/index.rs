//! The contents of the mapping topic: for each source partition the staircases of its copies, and for
//! each mapping partition the as-of up to which it was applied.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::ops::RangeInclusive;

use super::event::MappingTopic;
use super::ids::{
    MappingOffset, MappingPartition, MappingTopicTag, SourceOffset, SourcePartition,
    TargetPartition, TopicId, TopicName,
};
use super::mapping::{Chunk, MappingRecord, OffsetSync, Run};
use super::murmur2::murmur2;

pub use self::copies::{Copies, Replay};

mod copies;

/// The mappings known to this instance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Index {
    topic: Option<MappingTopic>,
    progress: BTreeMap<MappingPartition, Progress>,
    copies: BTreeMap<SourcePartition, BTreeMap<Lineage, Copies>>,
    /// Per pair of topics: syncs below this as-of belong to an earlier incarnation.
    floors: BTreeMap<(TopicName, TopicName), MappingOffset>,
    /// Per pair of topics: replays that began below this as-of are over.
    settled: BTreeMap<(TopicName, TopicName), MappingOffset>,
    /// Pairs of topics with a replay that ended since the last [`Index::take_ended_replays`].
    ended: BTreeSet<(TopicName, TopicName)>,
    /// The same, for topics whose ids are not known yet.
    ended_before_ids: BTreeSet<(TopicName, TopicName)>,
    target_topics: BTreeSet<TopicName>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Progress {
    /// The next offset to read; everything below it is applied.
    as_of: MappingOffset,
    /// The log end offset, as last read.
    log_end: Option<MappingOffset>,
}

/// One route on which records of a source partition were copied: the target partition and the topic ids.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lineage {
    /// The partition that holds the copies.
    pub target: TargetPartition,
    /// The ids of the source and the target topic; `None` for offset syncs, which do not carry them.
    pub ids: Option<(TopicId, TopicId)>,
}

/// What is worth reporting about a batch of records that was applied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Source partitions in which two publishers mapped the same offsets.
    pub twice_published: BTreeSet<SourcePartition>,
    /// Source partitions with lowered translations.
    pub lowered: BTreeSet<SourcePartition>,
    /// Source partitions with chunks in the wrong mapping partition: the partition that holds them, and
    /// the one that should.
    pub misplaced: BTreeMap<SourcePartition, (MappingPartition, MappingPartition)>,
    /// The number of runs that the index rejected, because their offsets are out of range.
    pub refused: u64,
}

impl Index {
    /// Starts over with this mapping topic. All mappings are dropped, and so is what is known about
    /// earlier incarnations.
    pub fn restart(&mut self, topic: MappingTopic) {
        self.progress = (0..topic.partitions)
            .map(|partition| (MappingPartition(partition), Progress::default()))
            .collect();
        self.copies.clear();
        self.floors.clear();
        self.settled.clear();
        self.ended.clear();
        self.ended_before_ids.clear();
        self.target_topics.clear();
        self.topic = Some(topic);
    }

    /// Drops everything, because the mapping topic is gone.
    pub fn forget(&mut self) {
        *self = Self::default();
    }

    /// Whether copies into a topic of this name are known.
    pub fn is_target_topic(&self, topic: &TopicName) -> bool {
        self.target_topics.contains(topic)
    }

    /// The mapping topic being read.
    pub fn topic(&self) -> Option<MappingTopic> {
        self.topic
    }

    /// The tag of the mapping topic being read.
    pub fn tag(&self) -> Option<MappingTopicTag> {
        self.topic.map(|topic| MappingTopicTag::of(topic.id))
    }

    /// Whether no mapping is known.
    pub fn is_empty(&self) -> bool {
        self.copies.is_empty()
    }

    /// All partitions of the mapping topic.
    pub fn partitions(&self) -> BTreeSet<MappingPartition> {
        self.progress.keys().copied().collect()
    }

    /// The as-of of a mapping partition; `None` if there is no such partition.
    pub fn as_of(&self, partition: MappingPartition) -> Option<MappingOffset> {
        self.progress.get(&partition).map(|progress| progress.as_of)
    }

    /// The mapping partition's log end offset, as last read.
    pub fn log_end(&self, partition: MappingPartition) -> Option<MappingOffset> {
        self.progress.get(&partition)?.log_end
    }

    /// Records the mapping partition's log end offset.
    pub fn log_end_read(&mut self, partition: MappingPartition, end: MappingOffset) {
        if let Some(progress) = self.progress.get_mut(&partition) {
            progress.log_end = Some(end);
        }
    }

    /// The lineages of a source partition.
    pub fn lineages(&self, source: &SourcePartition) -> impl Iterator<Item = (&Lineage, &Copies)> {
        self.copies.get(source).into_iter().flatten()
    }

    /// Applies records that were read in order, and moves the as-of to the reader's position.
    pub fn apply(
        &mut self,
        partition: MappingPartition,
        records: Vec<(MappingOffset, MappingRecord)>,
        position: MappingOffset,
    ) -> Applied {
        let mut applied = Applied::default();
        let Some(progress) = self.progress.get_mut(&partition) else {
            return applied;
        };
        let applied_before = progress.as_of;
        progress.as_of = applied_before.max(position);
        // Records that were applied before are skipped. Applying an offset sync twice would look like a
        // replay, for example.
        for (offset, record) in records.into_iter().filter(|(at, _)| *at >= applied_before) {
            let at = At { partition, as_of: MappingOffset(offset.get().saturating_add(1)) };
            match record {
                MappingRecord::Chunk(chunk) => self.apply_chunk(at, chunk, &mut applied),
                MappingRecord::Sync(sync) => self.apply_sync(at, sync, &mut applied),
            }
        }
        applied
    }

    /// Whether a replay of the source partition needs the source's log end, which the caller reads now. The
    /// answer to an earlier request no longer counts.
    pub fn ask_source_end(&mut self, source: &SourcePartition) -> bool {
        let mut asked = false;
        for replay in self.copies_of(source).filter_map(|copies| copies.replay.as_mut()) {
            if replay.until().is_none() {
                *replay = Replay::EndAsked;
                asked = true;
            }
        }
        asked
    }

    /// The source's log end was read, as requested last.
    pub fn source_end_read(&mut self, source: &SourcePartition, end: SourceOffset) {
        let mut ended = Vec::new();
        for (lineage, copies) in self.copies.get_mut(source).into_iter().flatten() {
            if copies.replay == Some(Replay::EndAsked) {
                copies.replay = Some(Replay::Until(end));
            }
            if copies.end_replay() {
                ended.push((source.topic.clone(), lineage.target.topic.clone()));
            }
        }
        self.ended.extend(ended);
    }

    /// The pairs of topics whose replays have ended since the last call. A pair is left out while any of
    /// its partitions is still in a replay.
    pub fn take_ended_replays(&mut self) -> Vec<(TopicName, TopicName)> {
        let ended = core::mem::take(&mut self.ended);
        ended.into_iter().filter(|topics| !self.is_replayed(topics)).collect()
    }

    /// A replay of this pair ended. That cannot be written to the fence log before the topics' ids are
    /// known.
    pub fn ended_before_ids(&mut self, topics: (TopicName, TopicName)) {
        self.ended_before_ids.insert(topics);
    }

    /// The ids of these topics are known from now on.
    pub fn ids_known(&mut self, topics: &(TopicName, TopicName)) {
        self.ended.extend(self.ended_before_ids.take(topics));
    }

    fn is_replayed(&self, (source, target): &(TopicName, TopicName)) -> bool {
        let partitions = self.copies.range(partitions_of(source));
        let mut lineages = partitions.flat_map(|(_, lineages)| lineages);
        lineages.any(|(lineage, copies)| lineage.target.topic == *target && copies.replay.is_some())
    }

    /// Ends all replays of this pair of topics that began below the as-of `settled`.
    pub fn settle(&mut self, source: &TopicName, target: &TopicName, settled: MappingOffset) {
        if settled == MappingOffset(0) {
            return;
        }
        let known = self.settled.entry((source.clone(), target.clone())).or_default();
        *known = settled.max(*known);
        let partitions = self.copies.range_mut(partitions_of(source));
        for (lineage, copies) in partitions.flat_map(|(_, lineages)| lineages) {
            if lineage.target.topic == *target {
                copies.settle(settled);
            }
        }
    }

    fn copies_of(&mut self, source: &SourcePartition) -> impl Iterator<Item = &mut Copies> {
        self.copies.get_mut(source).into_iter().flat_map(BTreeMap::values_mut)
    }

    /// Syncs of this pair of topics below `floor` belong to an earlier incarnation. Returns true if some of
    /// them may have been applied, so that all mappings must be read again.
    pub fn raise_floor(
        &mut self,
        source: &TopicName,
        target: &TopicName,
        floor: MappingOffset,
    ) -> bool {
        let topics = (source.clone(), target.clone());
        if floor <= self.floors.get(&topics).copied().unwrap_or_default() {
            return false;
        }
        self.floors.insert(topics, floor);
        self.progress.values().any(|progress| progress.as_of > MappingOffset(0))
    }

    fn apply_chunk(&mut self, at: At, chunk: Chunk, applied: &mut Applied) {
        let home = self.home(&chunk.source);
        if home != at.partition {
            applied.misplaced.insert(chunk.source.clone(), (at.partition, home));
        }
        let ids = Some((chunk.source_topic_id, chunk.target_topic_id));
        let lineage = Lineage { target: chunk.target, ids };
        self.note_target(&lineage.target);
        let copies = lane(&mut self.copies, &chunk.source, lineage, at.partition);
        for run in &chunk.runs {
            copies.insert(at, *run, &chunk.source, applied);
        }
        if let (Some(first), Some(last)) = (chunk.runs.first(), chunk.runs.last()) {
            let end = SourceOffset(last.source.get().saturating_add_unsigned(last.len));
            if copies.publish(chunk.publisher, first.source, end) {
                applied.twice_published.insert(chunk.source);
            }
        }
    }

    /// The mapping partition that should hold the native chunks of this source partition.
    fn home(&self, source: &SourcePartition) -> MappingPartition {
        let name = format!("{}-{}", source.topic, source.partition);
        let hash = murmur2(name.as_bytes()) & 0x7fff_ffff;
        let partitions = self.topic.map_or(1, |topic| topic.partitions.unsigned_abs().max(1));
        MappingPartition((hash % partitions).cast_signed())
    }

    fn note_target(&mut self, target: &TargetPartition) {
        if !self.target_topics.contains(&target.topic) {
            self.target_topics.insert(target.topic.clone());
        }
    }

    fn apply_sync(&mut self, at: At, sync: OffsetSync, applied: &mut Applied) {
        if !self.floors.is_empty() {
            let topics = (sync.source.topic.clone(), sync.target.topic.clone());
            if self.floors.get(&topics).is_some_and(|floor| at.as_of <= *floor) {
                return;
            }
        }
        let topics = || (sync.source.topic.clone(), sync.target.topic.clone());
        let settled = match self.settled.is_empty() {
            true => None,
            false => self.settled.get(&topics()).copied(),
        };
        let is_over = settled.is_some_and(|settled| at.as_of <= settled);
        let pair = topics();
        let lineage = Lineage { target: sync.target, ids: None };
        self.note_target(&lineage.target);
        let copies = lane(&mut self.copies, &sync.source, lineage, at.partition);
        let run = Run { source: sync.source_offset, target: sync.target_offset, len: 1 };
        copies.sync(run, at.as_of, is_over);
        copies.insert(at, run, &sync.source, applied);
        if copies.end_replay() {
            self.ended.insert(pair);
        }
    }
}

/// The range of all partitions of a topic.
fn partitions_of(topic: &TopicName) -> RangeInclusive<SourcePartition> {
    let at = |partition| SourcePartition { topic: topic.clone(), partition };
    at(i32::MIN)..=at(i32::MAX)
}

#[derive(Clone, Copy)]
struct At {
    partition: MappingPartition,
    as_of: MappingOffset,
}

fn lane<'a>(
    copies: &'a mut BTreeMap<SourcePartition, BTreeMap<Lineage, Copies>>,
    source: &SourcePartition,
    lineage: Lineage,
    partition: MappingPartition,
) -> &'a mut Copies {
    if !copies.contains_key(source) {
        copies.insert(source.clone(), BTreeMap::new());
    }
    let lineages = copies.entry(source.clone()).or_default();
    lineages.entry(lineage).or_insert_with(|| Copies::new(partition))
}
