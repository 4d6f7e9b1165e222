//! Sequences of mapping records: encoded, decoded, applied to the index, and looked up beside a plain
//! list of every copy that they tell of.

use std::collections::BTreeMap;

use super::super::Situations;
use super::super::choices::Choices;
use super::reference::{Reference, WINDOW};
use super::sync_record;
use sprag_core::event::MappingTopic;
use sprag_core::ids::{
    MappingOffset, MappingPartition, PublisherId, SourceOffset, SourcePartition, TargetOffset,
    TargetPartition, TopicId, TopicName,
};
use sprag_core::index::{Applied, Index};
use sprag_core::mapping::{Chunk, MappingRecord, OffsetSync, Run};
use sprag_mapping::native::{self, ChunkPlace};
use sprag_mapping::replication_policy::ReplicationPolicy;
use sprag_mapping::{Decoder, Format};

const TOPIC: MappingTopic = MappingTopic { id: TopicId([8; 16]), partitions: 2 };
const MOST_STEPS: usize = 24;

struct Bench {
    index: Index,
    reference: Reference,
    /// Every record ever told, by its place.
    log: BTreeMap<MappingPartition, Vec<(MappingOffset, MappingRecord)>>,
    bases: (i64, i64),
}

pub(super) fn run(choices: &mut Choices<'_>, situations: &mut Situations) {
    let bases = choices.of(&[
        (0, 0),
        (i64::from(u32::MAX) - 20, 0),
        (0, i64::from(u32::MAX) - 20),
        (i64::MAX - 40, i64::MAX - 60),
    ]);
    let mut bench = Bench {
        index: Index::default(),
        reference: Reference { base: bases.0, ..Reference::default() },
        log: BTreeMap::new(),
        bases,
    };
    bench.index.restart(TOPIC);
    for _ in 0..MOST_STEPS {
        if choices.is_over() {
            break;
        }
        bench.step(choices, situations);
    }
    bench.compare(situations);
}

impl Bench {
    fn step(&mut self, choices: &mut Choices<'_>, situations: &mut Situations) {
        match choices.below(10) {
            0..=6 => {
                let record = if choices.flag() {
                    MappingRecord::Sync(self.sync(choices))
                } else {
                    MappingRecord::Chunk(self.chunk(choices))
                };
                let gap = choices.byte() % 3;
                self.tell(through_the_wire(record), i64::from(gap), situations);
            }
            7 => self.read_once_more(choices, situations),
            8 => self.source_end_read(choices, situations),
            _ => self.raise_floor(choices, situations),
        }
        if choices.rarely(8) {
            self.compare(situations);
        }
    }

    fn offset(base: i64, choices: &mut Choices<'_>) -> i64 {
        base.saturating_add(i64::from(choices.byte()) % WINDOW)
    }

    fn sync(&self, choices: &mut Choices<'_>) -> OffsetSync {
        let topic = choices.of(&["orders", "bills"]);
        let copy = format!("main.{topic}");
        OffsetSync {
            source: SourcePartition::new(topic, 0),
            target: TargetPartition::new(copy.as_str(), 0),
            source_offset: SourceOffset(Self::offset(self.bases.0, choices)),
            target_offset: TargetOffset(Self::offset(self.bases.1, choices)),
        }
    }

    /// Runs that follow each other; in the uppermost window some would not fit, and are left out.
    fn chunk(&self, choices: &mut Choices<'_>) -> Chunk {
        let source = SourcePartition::new(choices.of(&["orders", "bills"]), 0);
        let target = TargetPartition::new("main.orders", choices.below(2) as i32);
        let (mut from, mut to) =
            (Self::offset(self.bases.0, choices), Self::offset(self.bases.1, choices));
        let mut runs = Vec::new();
        for _ in 0..=choices.below(3) {
            let len = 1 + i64::from(choices.byte()) % 8;
            let (Some(source_end), Some(target_end)) = (from.checked_add(len), to.checked_add(len))
            else {
                break;
            };
            let (source, target) = (SourceOffset(from), TargetOffset(to));
            runs.push(Run { source, target, len: len.unsigned_abs() });
            from = source_end.saturating_add(i64::from(choices.byte() % 4));
            to = target_end.saturating_add(i64::from(choices.byte() % 4));
        }
        Chunk {
            source,
            target,
            source_topic_id: TopicId([choices.byte() % 2; 16]),
            target_topic_id: TopicId([2; 16]),
            publisher: PublisherId::from(choices.of(&["mirror-1", "mirror-2"])),
            runs,
        }
    }

    /// A record that is news. All of one source partition stand in one mapping partition.
    fn tell(&mut self, record: MappingRecord, gap: i64, situations: &mut Situations) {
        let partition = MappingPartition(match &record {
            MappingRecord::Sync(_) => 0,
            MappingRecord::Chunk(chunk) => i32::from(chunk.source.topic.as_str() == "bills"),
        });
        let as_of = self.reference.as_of.get(&partition).copied().unwrap_or_default();
        let offset = MappingOffset(as_of.get() + gap);
        self.log.entry(partition).or_default().push((offset, record.clone()));
        let position = MappingOffset(offset.get() + 1);
        self.apply(partition, vec![(offset, record)], position, situations);
    }

    fn apply(
        &mut self,
        partition: MappingPartition,
        records: Vec<(MappingOffset, MappingRecord)>,
        position: MappingOffset,
        situations: &mut Situations,
    ) {
        let applied = self.index.apply(partition, records.clone(), position);
        let twice = self.reference.apply(partition, records, position, situations);
        check_applied(&applied, &twice, situations);
        assert_eq!(self.index.as_of(partition), self.reference.as_of.get(&partition).copied());
    }

    /// A reader that begins again delivers what was applied before, and some news behind it or none.
    fn read_once_more(&mut self, choices: &mut Choices<'_>, situations: &mut Situations) {
        let partition = MappingPartition(i32::from(choices.flag()));
        let log = self.log.get(&partition).cloned().unwrap_or_default();
        let from = choices.below(log.len() + 1);
        let position = log.last().map_or(MappingOffset(0), |(at, _)| MappingOffset(at.get() + 1));
        self.apply(partition, log[from..].to_vec(), position, situations);
        situations.reach("index: read once more");
    }

    /// Mostly asked for right before it is read; now and then something comes between the two.
    fn source_end_read(&mut self, choices: &mut Choices<'_>, situations: &mut Situations) {
        let source = SourcePartition::new(choices.of(&["orders", "bills"]), 0);
        let end = Self::offset(self.bases.0, choices);
        let (asked, read) = match choices.below(4) {
            1 => (true, false),
            2 => (false, true),
            _ => (true, true),
        };
        if asked {
            self.ask_source_end(&source);
        }
        if !read {
            return;
        }
        self.index.source_end_read(&source, SourceOffset(end));
        self.reference.source_end_read(&source, end, situations);
    }

    fn ask_source_end(&mut self, source: &SourcePartition) {
        let mut lanes = self.reference.lanes.iter();
        let expected = lanes.any(|((at, _), lane)| at == source && lane.replay == Some(None));
        assert_eq!(self.index.ask_source_end(source), expected, "{source}");
        self.reference.ask_source_end(source);
    }

    /// Where syncs that were applied turn out to be of an earlier incarnation, all is read anew.
    fn raise_floor(&mut self, choices: &mut Choices<'_>, situations: &mut Situations) {
        let topic = TopicName::from(choices.of(&["orders", "bills"]));
        let copy = TopicName::from(format!("main.{topic}").as_str());
        let floor = MappingOffset(i64::from(choices.byte() % 16));
        let known = self.reference.floors.get(&topic).copied().unwrap_or_default();
        let anything = self.reference.as_of.values().any(|as_of| as_of.get() > 0);
        let anew = self.index.raise_floor(&topic, &copy, floor);
        assert_eq!(anew, floor > known && anything, "{topic}: floor {floor} above {known}");
        if floor > known {
            self.reference.floors.insert(topic, floor);
        }
        if !anew {
            return;
        }
        let floors = std::mem::take(&mut self.reference.floors);
        self.reference = Reference { base: self.bases.0, floors, ..Reference::default() };
        self.index.restart(TOPIC);
        for (topic, floor) in &self.reference.floors {
            let copy = TopicName::from(format!("main.{topic}").as_str());
            let again = self.index.raise_floor(topic, &copy, *floor);
            assert!(!again, "nothing is applied after a restart");
        }
        for (partition, records) in self.log.clone() {
            let end = records.last().map_or(0, |(at, _)| at.get() + 1);
            self.apply(partition, records, MappingOffset(end), situations);
        }
    }

    /// Every position around the window, in every lane.
    fn compare(&self, situations: &mut Situations) {
        let lineages = |source: &SourcePartition| self.index.lineages(source).count();
        let sources = ["orders", "bills"].map(|topic| SourcePartition::new(topic, 0));
        let known: usize = sources.iter().map(lineages).sum();
        assert_eq!(known, self.reference.lanes.len(), "lineages");
        assert_eq!(self.index.is_empty(), self.reference.lanes.is_empty());
        for ((source, lineage), lane) in &self.reference.lanes {
            let found = self.index.lineages(source).find(|(at, _)| *at == lineage);
            let Some((_, copies)) = found else {
                panic!("{source} → {lineage:?} is not known");
            };
            lane.compare(copies, self.bases.0, situations);
        }
    }
}

fn check_applied(applied: &Applied, twice: &[SourcePartition], situations: &mut Situations) {
    for source in twice {
        situations.reach("index: published twice");
        let told = applied.twice_published.contains(source);
        assert!(told, "two publishers copied the same offsets of {source}");
    }
    if !applied.lowered.is_empty() {
        situations.reach("index: lowered");
    }
    if applied.refused > 0 {
        situations.reach("index: refused");
    }
}

/// Encoded and decoded, as it would be read.
fn through_the_wire(record: MappingRecord) -> MappingRecord {
    let policy = ReplicationPolicy::default_policy("main", "dr", ".");
    let ((key, value), format) = match &record {
        MappingRecord::Sync(sync) => (sync_record(sync), Format::MirrorMaker2(policy)),
        MappingRecord::Chunk(chunk) => {
            let place = ChunkPlace { epoch: 1, sequence: 0, newest_timestamp: 0 };
            match native::encode(chunk, place) {
                Ok(written) => (written, Format::Native),
                // None of its runs fits: what the index makes of it is another matter.
                Err(_) => return record,
            }
        }
    };
    let decoded = Decoder::new(format).decode(Some(&key), Some(&value));
    assert_eq!(decoded.as_ref(), Ok(&record), "{key:02x?} {value:02x?}");
    record
}
