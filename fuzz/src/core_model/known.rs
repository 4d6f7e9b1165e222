//! The mapping records that were delivered, and what a source position translates to by the definition
//! of `docs/protocol.md`, "Translation".

use std::collections::{BTreeMap, BTreeSet};

use super::super::known_copies::{kept, translation};
use sprag_core::event::Topics;
use sprag_core::ids::{
    Incarnation, MappingOffset, MappingPartition, SourceOffset, SourcePartition, TargetOffset,
    TargetPartition,
};
use sprag_core::mapping::MappingRecord;
use sprag_core::runs::Translation;

#[derive(Default)]
pub(super) struct Known {
    records: BTreeMap<MappingPartition, Vec<MappingRecord>>,
    /// Every log start that was read: a translation below it is raised to it.
    starts: BTreeSet<TargetOffset>,
}

impl Known {
    pub(super) fn restart(&mut self) {
        self.records.clear();
    }

    pub(super) fn apply(
        &mut self,
        partition: MappingPartition,
        records: &[(MappingOffset, MappingRecord)],
    ) {
        let records = records.iter().map(|(_, record)| record.clone());
        self.records.entry(partition).or_default().extend(records);
    }

    pub(super) fn saw_ranges(&mut self, topics: &Topics) {
        self.starts.extend(topics.ranges.values().flatten().map(|range| range.start));
    }

    pub(super) fn as_of(&self, partition: MappingPartition) -> MappingOffset {
        let count = self.records.get(&partition).map_or(0, Vec::len);
        MappingOffset(i64::try_from(count).unwrap_or(i64::MAX))
    }

    /// Whether everything below these ends was delivered.
    pub(super) fn reaches(&self, ends: &BTreeMap<MappingPartition, MappingOffset>) -> bool {
        ends.iter().all(|(partition, end)| self.as_of(*partition) >= *end)
    }

    /// Whether anything was copied to this partition's topic.
    pub(super) fn is_target(&self, at: &TargetPartition) -> bool {
        self.records.values().flatten().any(|record| ways(record).1.topic == at.topic)
    }

    /// Whether `target` is where `position` leads by all that was delivered.
    pub(super) fn is_translation(
        &self,
        way: (&SourcePartition, &TargetPartition),
        position: SourceOffset,
        target: TargetOffset,
    ) -> bool {
        let mut partitions = self.records.keys();
        partitions.any(|partition| {
            let as_of = (*partition, self.as_of(*partition));
            let incarnations = self.records[partition].iter().map(incarnation);
            let mut incarnations = incarnations.collect::<BTreeSet<_>>().into_iter();
            incarnations.any(|of| self.leads(way, of, as_of, position, target))
        })
    }

    /// Whether `target` is where `position` leads by the records below an as-of, of one incarnation.
    /// Offset syncs tell none.
    pub(super) fn leads(
        &self,
        way: (&SourcePartition, &TargetPartition),
        of: Option<Incarnation>,
        (partition, as_of): (MappingPartition, MappingOffset),
        position: SourceOffset,
        target: TargetOffset,
    ) -> bool {
        let records = self.records.get(&partition).into_iter().flatten();
        let below = records.take(usize::try_from(as_of.get()).unwrap_or_default());
        let fitting = below.filter(|record| {
            ways(record) == way && incarnation(record).is_none_or(|id| Some(id) == of)
        });
        let fitting: Vec<_> = fitting.collect();
        let raised = self.starts.contains(&target);
        let told = |records: &[&MappingRecord]| {
            let copies = kept(records.iter().flat_map(|record| copies(record)).collect());
            translation(&copies, position.get()).1
        };
        // What any of them does not know is not known.
        let mut possible: Vec<_> =
            came_back(&fitting).iter().map(|from| told(&fitting[*from..])).collect();
        possible.push(told(&fitting));
        let Some(lowest) = possible.iter().map(leads_to).min().flatten() else {
            return raised && !fitting.is_empty();
        };
        target == lowest || (target > lowest && raised)
    }
}

fn leads_to(translation: &Translation) -> Option<TargetOffset> {
    match translation {
        Translation::Exact { target } | Translation::LowerBound { target, .. } => Some(*target),
        Translation::BelowFirst { .. } | Translation::Empty => None,
    }
}

/// Where offset syncs went back on both sides: what came before may be of earlier topics. The newest
/// eight of these count.
fn came_back(records: &[&MappingRecord]) -> Vec<usize> {
    let sync = |nth: usize| match records[nth] {
        MappingRecord::Sync(sync) => Some((sync.source_offset, sync.target_offset)),
        MappingRecord::Chunk(_) => None,
    };
    let back = |nth: &usize| match (sync(*nth - 1), sync(*nth)) {
        (Some(before), Some(now)) => now.0 < before.0 && now.1 < before.1,
        (_, None) | (None, _) => false,
    };
    let mut back: Vec<_> = (1..records.len()).filter(back).collect();
    back.split_off(back.len().saturating_sub(8))
}

fn ways(record: &MappingRecord) -> (&SourcePartition, &TargetPartition) {
    match record {
        MappingRecord::Chunk(chunk) => (&chunk.source, &chunk.target),
        MappingRecord::Sync(sync) => (&sync.source, &sync.target),
    }
}

fn incarnation(record: &MappingRecord) -> Option<Incarnation> {
    match record {
        MappingRecord::Chunk(chunk) => {
            Some(Incarnation::of(chunk.source_topic_id, chunk.target_topic_id))
        }
        MappingRecord::Sync(_) => None,
    }
}

fn copies(record: &MappingRecord) -> Vec<(i64, i64)> {
    match record {
        MappingRecord::Chunk(chunk) => {
            let runs = chunk.runs.iter().map(|run| (run.source.get(), run.target.get(), run.len));
            let copies = |(source, target, len): (i64, i64, u64)| {
                (0..len.cast_signed()).map(move |nth| (source + nth, target + nth))
            };
            runs.flat_map(copies).collect()
        }
        MappingRecord::Sync(sync) => vec![(sync.source_offset.get(), sync.target_offset.get())],
    }
}
