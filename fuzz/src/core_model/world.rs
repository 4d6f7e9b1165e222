//! What the two clusters hold, and the events that come of it. Nothing here knows what the core should
//! do; whatever could happen may happen.

use std::collections::{BTreeMap, BTreeSet};

use sprag_core::action::{Action, Commit, TransactionEnd};
use sprag_core::event::{
    Event, FenceTopic, GroupActivity, MappingTopic, SourceCommit, TargetCommit,
};
use sprag_core::failure::{Failure, FailureClass};
use sprag_core::fence_log::FenceRecord;
use sprag_core::ids::{
    Fence, GroupId, MappingOffset, MappingPartition, PublisherId, Shard, ShardCount, SourceOffset,
    SourcePartition, TargetOffset, TargetPartition, TopicId,
};
use sprag_core::mapping::{Chunk, MappingRecord, OffsetSync, Run};
use sprag_spec::staircase::{copies, kept, target, translation};

use super::super::choices::Choices;

pub(super) const SHARDS: ShardCount = ShardCount(2);
pub(super) const FENCE_TOPIC: FenceTopic = FenceTopic { id: TopicId([9; 16]), shards: SHARDS };
/// Two of one shard, and one of the other.
pub(super) const GROUPS: [&str; 3] = ["billing", "audit", "search"];
pub(super) const TOPICS: [&str; 2] = ["orders", "bills"];
/// Source offsets are below this.
pub(super) const WINDOW: i64 = 48;

type Way<'a> = (&'a SourcePartition, &'a TargetPartition);

/// The clusters.
pub(super) struct World {
    /// Offset syncs, or else native chunks.
    pub(super) syncs: bool,
    /// How often each topic was made anew; `None` where it does not exist.
    pub(super) source_topics: BTreeMap<&'static str, Option<u8>>,
    pub(super) target_topics: BTreeMap<&'static str, Option<u8>>,
    pub(super) range: (i64, i64),
    pub(super) source_end: i64,
    pub(super) mapping_topic: Option<MappingTopic>,
    /// How often it was made.
    mapping_made: u8,
    pub(super) mappings: BTreeMap<MappingPartition, Vec<MappingRecord>>,
    /// The topic being read, and how much of each partition was.
    pub(super) reader: Option<(TopicId, BTreeMap<MappingPartition, usize>)>,
    pub(super) source: BTreeMap<GroupId, BTreeMap<SourcePartition, SourceCommit>>,
    /// What the source answered before, and when: a stale coordinator may answer it again.
    pub(super) source_before: BTreeMap<GroupId, (u64, BTreeMap<SourcePartition, SourceCommit>)>,
    /// The connections to the source, each of which has another number.
    pub(super) connection: u64,
    pub(super) now: u64,
    pub(super) target: BTreeMap<GroupId, BTreeMap<TargetPartition, TargetCommit>>,
    pub(super) activity: BTreeMap<GroupId, GroupActivity>,
    pub(super) fence_logs: BTreeMap<Shard, BTreeMap<String, (Fence, String)>>,
    pub(super) next_fence: i64,
    pub(super) pending: BTreeMap<Shard, (GroupId, BTreeMap<TargetPartition, TargetCommit>)>,
    pub(super) assigned: BTreeSet<Shard>,
    /// Shards that the coordination group asked for, and did not get back yet.
    pub(super) asked_for: BTreeSet<Shard>,
}

pub(super) fn source_partition(topic: &str) -> SourcePartition {
    SourcePartition::new(topic, 0)
}

pub(super) fn target_partition(topic: &str) -> TargetPartition {
    TargetPartition::new(format!("main.{topic}").as_str(), 0)
}

/// The id of a topic that was made so often.
pub(super) fn id(made: Option<u8>) -> TopicId {
    TopicId([made.unwrap_or_default(); 16])
}

impl World {
    pub(super) fn new(choices: &mut Choices<'_>) -> Self {
        let mut world = Self {
            syncs: choices.flag(),
            source_topics: TOPICS.map(|topic| (topic, Some(1))).into(),
            target_topics: TOPICS.map(|topic| (topic, Some(101))).into(),
            range: (0, 80),
            source_end: WINDOW,
            mapping_topic: None,
            mapping_made: 0,
            mappings: BTreeMap::new(),
            reader: None,
            source: BTreeMap::new(),
            source_before: BTreeMap::new(),
            connection: 0,
            now: 0,
            target: BTreeMap::new(),
            activity: BTreeMap::new(),
            fence_logs: BTreeMap::new(),
            next_fence: 10,
            pending: BTreeMap::new(),
            assigned: BTreeSet::new(),
            asked_for: BTreeSet::new(),
        };
        world.make_mapping_topic(2);
        world.publish_into(TOPICS[0], TOPICS[0], (0, 10, 8));
        let commit = SourceCommit { offset: SourceOffset(4), metadata: String::new() };
        for group in &GROUPS[..2] {
            let offsets = BTreeMap::from([(source_partition(TOPICS[0]), commit.clone())]);
            world.source.insert(GroupId::from(*group), offsets);
        }
        world
    }

    /// The mapping topic is made, or made anew; whoever reads it has not noticed yet.
    pub(super) fn make_mapping_topic(&mut self, partitions: i32) {
        self.mappings.clear();
        self.reader = None;
        self.mapping_made = self.mapping_made.wrapping_add(1);
        let id = id(Some(128 | self.mapping_made));
        self.mapping_topic = Some(MappingTopic { id, partitions });
    }

    /// A record of so many copies, from and to these offsets, is published.
    pub(super) fn publish_into(
        &mut self,
        topic: &'static str,
        copy: &'static str,
        (from, to, len): (i64, i64, i64),
    ) {
        let (source, target) = (source_partition(topic), target_partition(copy));
        let (source_offset, target_offset) = (SourceOffset(from), TargetOffset(to));
        let record = if self.syncs {
            let target = target_partition(topic);
            MappingRecord::Sync(OffsetSync { source, target, source_offset, target_offset })
        } else {
            let run = Run { source: source_offset, target: target_offset, len: len.unsigned_abs() };
            MappingRecord::Chunk(Chunk {
                source,
                target,
                source_topic_id: id(self.source_topics[topic]),
                target_topic_id: id(self.target_topics[copy]),
                publisher: PublisherId::from("mirror"),
                runs: vec![run],
            })
        };
        let of_its_own = !self.syncs && topic == TOPICS[1];
        let partition = MappingPartition(i32::from(of_its_own));
        self.mappings.entry(partition).or_default().push(record);
    }

    /// The next records that the reader has not delivered, if there are any.
    pub(super) fn read_mappings(&mut self, most: usize) -> Option<Event> {
        let (topic, read) = self.reader.as_mut()?;
        for (partition, log) in &self.mappings {
            let from = read.get(partition).copied().unwrap_or_default().min(log.len());
            let until = log.len().min(from.saturating_add(most.max(1)));
            if from < until {
                read.insert(*partition, until);
                let offset = |nth: usize| MappingOffset(i64::try_from(nth).unwrap_or(i64::MAX));
                let records = (from..until).map(|nth| (offset(nth), log[nth].clone())).collect();
                let (topic, partition, position) = (*topic, *partition, offset(until));
                return Some(Event::MappingsRead { topic, partition, records, position });
            }
        }
        None
    }

    /// The effect of an order, where it has one, and the offset of a record that is written.
    pub(super) fn carry_out(&mut self, action: &Action) -> Result<Option<Fence>, Failure> {
        match action {
            Action::WriteTakeOver { shard, record, .. } => {
                self.pending.remove(shard);
                return Ok(Some(self.write(*shard, record)));
            }
            Action::WriteFenceRecords { shard, records, .. } => {
                return Ok(records.iter().map(|record| self.write(*shard, record)).last());
            }
            Action::InitTransactions { shard, .. } | Action::DestroyProducer { shard } => {
                self.pending.remove(shard);
            }
            Action::ReleaseShard { shard } => {
                self.assigned.remove(shard);
                self.asked_for.remove(shard);
            }
            Action::ReadMappings { topic, .. } => self.reader = Some((*topic, BTreeMap::new())),
            Action::Commit(Commit::WriteHalf { shard, group, offsets, .. }) => {
                self.has_no_members(group)?;
                self.pending.insert(*shard, (group.clone(), offsets.as_ref().clone()));
            }
            Action::Commit(Commit::End { shard, end, .. }) => {
                let pending = self.pending.remove(shard);
                if let (TransactionEnd::Commit, Some((group, offsets))) = (end, pending) {
                    self.target.entry(group).or_default().extend(offsets);
                }
            }
            Action::Commit(Commit::Plain { group, offsets, .. }) => {
                self.has_no_members(group)?;
                let stored = self.target.entry(group.clone()).or_default();
                stored.extend(offsets.as_ref().clone());
            }
            Action::CheckAssignment { .. }
            | Action::ReadFenceLog { .. }
            | Action::Read(_)
            | Action::Report { .. }
            | Action::Stop { .. } => {}
        }
        Ok(None)
    }

    /// Whether some stored offset is where `position` leads, by all that was published.
    pub(super) fn is_settled(
        &self,
        group: &GroupId,
        source: &SourcePartition,
        position: SourceOffset,
    ) -> bool {
        let stored = self.target.get(group).into_iter().flatten();
        stored.into_iter().any(|(at, stored)| {
            let runs = self.mappings.values().flatten().flat_map(|record| self.runs(record));
            let runs = runs.filter(|(way, _)| *way == (source, at)).map(|(_, run)| run);
            let copies: Vec<_> = runs.flat_map(copies).collect();
            // Syncs that went back may belong to later topics, so that those before them do not count.
            let begins = if self.syncs { copies.len() } else { 1 };
            (0..begins).any(|from| {
                let kept = kept(copies.iter().skip(from).copied());
                let leads = target(translation(&kept, position)).unwrap_or_default();
                // What is below the log start, or below all copies, is raised to the log start.
                stored.offset == leads.max(TargetOffset(self.range.0))
            })
        })
    }

    /// The runs that a record describes. An earlier incarnation's do not count.
    fn runs<'a>(&self, record: &'a MappingRecord) -> Vec<(Way<'a>, Run)> {
        match record {
            MappingRecord::Sync(OffsetSync { source, target, source_offset, target_offset }) => {
                let run = Run { source: *source_offset, target: *target_offset, len: 1 };
                vec![((source, target), run)]
            }
            MappingRecord::Chunk(chunk) => {
                let Chunk { source, target, source_topic_id, target_topic_id, runs, .. } = chunk;
                let copy = target.topic.as_str().trim_start_matches("main.");
                let exists = id(self.source_topics[source.topic.as_str()]) == *source_topic_id
                    && id(self.target_topics[copy]) == *target_topic_id;
                let runs = runs.iter().filter(|_| exists);
                runs.map(|run| ((source, target), *run)).collect()
            }
        }
    }

    fn has_no_members(&self, group: &GroupId) -> Result<(), Failure> {
        match self.activity.get(group) {
            Some(GroupActivity::Active) => {
                Err(Failure::new(FailureClass::GroupActive, "it has members"))
            }
            Some(GroupActivity::Empty | GroupActivity::Unknown) | None => Ok(()),
        }
    }

    fn write(&mut self, shard: Shard, record: &FenceRecord) -> Fence {
        self.next_fence += 1;
        let stands = (Fence(self.next_fence), record.value.clone());
        self.fence_logs.entry(shard).or_default().insert(record.key.clone(), stands);
        Fence(self.next_fence)
    }
}
