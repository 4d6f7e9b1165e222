//! Which copies the mapping topic tells of, and what the definition of the staircase
//! (`docs/protocol.md`, "Translation") makes of a position: slowly, and without any of Sprag's own code
//! but the decoders.

use std::collections::BTreeMap;

use sprag_core::ids::TopicId;
use sprag_core::mapping::{MappingRecord, Run};
use sprag_mapping::{Decoder, Format};

use crate::cluster::Cluster;
use crate::names::Names;
use crate::scenario::{Publisher, Scenario, Work};
use crate::wire::{Isolation, Partition};

/// The copies of one source partition in one target partition, as the mapping topic tells them.
#[derive(Debug, Default)]
pub struct Copies {
    told: Vec<(Option<(TopicId, TopicId)>, Run)>,
    /// Offset syncs went back on the source: the group may have to wait until they pass it.
    replayed: bool,
}

impl Copies {
    /// *A known copy (s, t) is kept iff no other known copy (s', t') has s' ≥ s and t' ≤ t*; the
    /// copy of the position, else the end of the one below.
    #[must_use]
    pub fn translate(&self, position: i64, ids: (TopicId, TopicId)) -> Option<i64> {
        if self.replayed {
            return None;
        }
        let mut all: Vec<(i64, i64)> = self.of(ids).collect();
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

    /// Where the first copy of a record at or after the position lies; beyond it something known is
    /// skipped.
    #[must_use]
    pub fn first_from(&self, position: i64, ids: (TopicId, TopicId)) -> Option<i64> {
        self.of(ids).filter(|(source, _)| *source >= position).map(|(_, target)| target).min()
    }

    /// The copies from one topic to the other, one by one.
    fn of(&self, ids: (TopicId, TopicId)) -> impl Iterator<Item = (i64, i64)> + '_ {
        let of = self.told.iter().filter(move |(told, _)| told.is_none_or(|told| told == ids));
        of.flat_map(|(_, run)| {
            let steps = 0..run.len.cast_signed();
            steps.map(|step| (run.source.get() + step, run.target.get() + step))
        })
    }
}

/// Whether the mapping topic tells all that was ever told. Which incarnation a sync belongs to it does not
/// tell; compaction takes syncs, and chunks that a replicator told once more.
pub(super) fn tells(scenario: &Scenario) -> bool {
    let has = |kind: fn(&Work) -> bool| scenario.work.iter().any(|work| kind(&work.what));
    let topics = has(|it| matches!(it, Work::RecreateSource { .. } | Work::RecreateTarget { .. }));
    let recreated = has(|it| matches!(it, Work::RecreateMappings));
    let compacted = has(|it| matches!(it, Work::CompactMappings));
    match scenario.shape.publisher {
        Publisher::Dense => !(recreated && compacted),
        Publisher::Sparse { .. } => !(topics || recreated || compacted),
    }
}

/// What the records of the mapping topic that are `wanted`, by partition and offset, tell; nothing where
/// no log tells which of them count.
#[must_use]
pub fn told_copies(
    scenario: &Scenario,
    names: &Names,
    target: &Cluster,
    wanted: impl Fn(i32, i64) -> bool,
) -> BTreeMap<(Partition, Partition), Copies> {
    let mut copies: BTreeMap<(Partition, Partition), Copies> = BTreeMap::new();
    let sparse = matches!(scenario.shape.publisher, Publisher::Sparse { .. });
    if !tells(scenario) {
        return copies;
    }
    let format = if sparse { crate::names::syncs() } else { Format::Native };
    let mut decoder = Decoder::new(format);
    for at in target.topics().partitions(&names.mapping_topic) {
        let Some(log) = target.topics().log(&at) else {
            continue;
        };
        let Ok((records, ..)) = log.read(log.start(), Isolation::ReadCommitted, usize::MAX) else {
            continue;
        };
        for record in records.into_iter().filter(|it| wanted(at.partition, it.offset)) {
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
