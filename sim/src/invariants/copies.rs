//! The copies that the mapping topic describes. Positions are translated by the definition of the staircase
//! (`sprag-spec`). Of Sprag's own code only the decoders are used.

use std::collections::BTreeMap;

use sprag_core::ids::{SourceOffset, TargetOffset, TopicId};
use sprag_core::mapping::{MappingRecord, Run};
use sprag_mapping::{Decoder, Format};
use sprag_spec::staircase::{self, KnownCopy};

use crate::cluster::Cluster;
use crate::names::Names;
use crate::scenario::{Publisher, Scenario, Work};
use crate::wire::{Isolation, Partition};

/// The copies of one source partition in one target partition, as the mapping topic describes them.
#[derive(Debug, Default)]
pub struct Copies {
    published: Vec<(Option<(TopicId, TopicId)>, Run)>,
    /// The as-of at which offset syncs last went back on the source, since when groups may have to wait until
    /// the syncs pass their position.
    replayed: Option<i64>,
    /// The numbers, in `published`, of the syncs that went back on both sides.
    apart: Vec<usize>,
}

/// For so many syncs that went back on both sides, what came after is also translated by itself.
const MOST_APART: usize = 8;

impl Copies {
    /// The translation of a position, by definition. Where syncs went back on both sides, what came after must
    /// translate the position too, and the lowest translation counts.
    #[must_use]
    pub fn translate(&self, position: i64, ids: (TopicId, TopicId)) -> Option<i64> {
        self.translate_after(0, position, ids)
    }

    /// The same, if every replay that began below the as-of `over` is over.
    #[must_use]
    pub fn translate_after(
        &self,
        over: i64,
        position: i64,
        ids: (TopicId, TopicId),
    ) -> Option<i64> {
        if self.replayed.is_some_and(|at| at > over) {
            return None;
        }
        let apart = self.apart.iter().rev().take(MOST_APART);
        let mut lowest = self.translate_from(0, position, ids)?;
        for from in apart {
            lowest = lowest.min(self.translate_from(*from, position, ids)?);
        }
        Some(lowest)
    }

    /// The lowest offset that any of the known copies gives a reason for: the translations of all staircases
    /// that know the position, and the first copy at or after it.
    #[must_use]
    pub fn lowest(&self, position: i64, ids: (TopicId, TopicId)) -> Option<i64> {
        let staircases = std::iter::once(&0).chain(self.apart.iter().rev().take(MOST_APART));
        let known = staircases.filter_map(|from| self.translate_from(*from, position, ids));
        known.chain(self.first_from(position, ids)).min()
    }

    fn translate_from(&self, from: usize, position: i64, ids: (TopicId, TopicId)) -> Option<i64> {
        let kept = staircase::kept(self.of(from, ids));
        let translation = staircase::translation(&kept, SourceOffset(position));
        staircase::target(translation).map(TargetOffset::get)
    }

    /// The first target offset at which a record at or after the position is copied. A larger offset would
    /// skip a known copy.
    #[must_use]
    pub fn first_from(&self, position: i64, ids: (TopicId, TopicId)) -> Option<i64> {
        let above = self.of(0, ids).filter(|(source, _)| source.get() >= position);
        above.map(|(_, target)| target.get()).min()
    }

    /// The copies from one topic to the other, one at a time, of the records `from` this number on.
    fn of(&self, from: usize, ids: (TopicId, TopicId)) -> impl Iterator<Item = KnownCopy> + '_ {
        let of = self.published[from..]
            .iter()
            .filter(move |(topics, _)| topics.is_none_or(|topics| topics == ids));
        of.flat_map(|(_, run)| staircase::copies(*run))
    }
}

/// Whether the mapping topic still describes everything that was ever published. A sync does not say which
/// incarnation it belongs to. Compaction removes syncs, and chunks that a replicator published again.
pub(super) fn is_complete(scenario: &Scenario) -> bool {
    let has = |kind: fn(&Work) -> bool| scenario.work.iter().any(|work| kind(&work.what));
    let topics = has(|it| matches!(it, Work::RecreateSource { .. } | Work::RecreateTarget { .. }));
    let recreated = has(|it| matches!(it, Work::RecreateMappings));
    let compacted = has(|it| matches!(it, Work::CompactMappings));
    match scenario.shape.publisher {
        Publisher::Dense => !(recreated && compacted),
        Publisher::Sparse { .. } => !(topics || recreated || compacted),
    }
}

/// The copies that the `wanted` records of the mapping topic describe; `wanted` takes a partition and an
/// offset. Empty if the logs cannot show which records count.
#[must_use]
pub fn published_copies(
    scenario: &Scenario,
    names: &Names,
    target: &Cluster,
    wanted: impl Fn(i32, i64) -> bool,
) -> BTreeMap<(Partition, Partition), Copies> {
    let mut copies: BTreeMap<(Partition, Partition), Copies> = BTreeMap::new();
    let sparse = matches!(scenario.shape.publisher, Publisher::Sparse { .. });
    if !is_complete(scenario) {
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
            if let Ok(published) = decoder.decode(Some(&record.key), record.value.as_deref()) {
                add(&mut copies, record.offset, published);
            }
        }
    }
    copies
}

/// The copies that these records describe, in order.
#[must_use]
pub fn described<'a>(
    records: impl Iterator<Item = (i64, &'a MappingRecord)>,
) -> BTreeMap<(Partition, Partition), Copies> {
    let mut copies = BTreeMap::new();
    records.for_each(|(offset, record)| add(&mut copies, offset, record.clone()));
    copies
}

fn add(
    copies: &mut BTreeMap<(Partition, Partition), Copies>,
    offset: i64,
    published: MappingRecord,
) {
    match published {
        MappingRecord::Chunk(chunk) => {
            let ids = (chunk.source_topic_id, chunk.target_topic_id);
            let known = copies.entry(((&chunk.source).into(), (&chunk.target).into())).or_default();
            known.published.extend(chunk.runs.into_iter().map(|run| (Some(ids), run)));
        }
        MappingRecord::Sync(sync) => {
            let known = copies.entry(((&sync.source).into(), (&sync.target).into())).or_default();
            if let Some((_, last)) = known.published.last()
                && sync.source_offset < last.source
            {
                known.replayed = Some(offset + 1);
                if sync.target_offset < last.target {
                    known.apart.push(known.published.len());
                }
            }
            let run = Run { source: sync.source_offset, target: sync.target_offset, len: 1 };
            known.published.push((None, run));
        }
    }
}
