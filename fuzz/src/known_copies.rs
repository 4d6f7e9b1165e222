//! The plain reference: all that was told, and what follows from it by the definitions of
//! `docs/protocol.md`, "Mapping records" and "Translation".

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use super::Situations;
use sprag_core::ids::{
    MappingOffset, MappingPartition, PublisherId, SourceOffset, SourcePartition, TargetOffset,
    TopicName,
};
use sprag_core::index::{Copies, Lineage};
use sprag_core::mapping::{Chunk, MappingRecord, OffsetSync, Run};
use sprag_core::runs::Translation;

/// Offsets are chosen in a window this wide, and looked up somewhat around it.
pub(super) const WINDOW: i64 = 48;
const AROUND: i64 = 16;

/// What was told of every lineage.
#[derive(Default)]
pub(super) struct Reference {
    /// Where the window of source offsets begins.
    pub(super) base: i64,
    pub(super) lanes: BTreeMap<(SourcePartition, Lineage), Lane>,
    pub(super) as_of: BTreeMap<MappingPartition, MappingOffset>,
    pub(super) floors: BTreeMap<TopicName, MappingOffset>,
}

#[derive(Default)]
pub(super) struct Lane {
    /// Where its records stand.
    pub(super) partition: MappingPartition,
    /// Every run told, the latest last: source, target, length.
    told: Vec<(i64, i64, i64)>,
    /// The copies that are kept, by source.
    pub(super) kept: BTreeMap<i64, i64>,
    /// By which as-of each position was last seen to fall.
    pub(super) fell: BTreeMap<i64, MappingOffset>,
    published: Vec<(PublisherId, i64, i64)>,
    newest: i64,
    pub(super) replay: Option<Option<i64>>,
    /// The end of the replay was asked for since the syncs last went back.
    end_asked: bool,
}

impl Reference {
    /// Records that were read in order, up to `position`. Source partitions of which two publishers
    /// copied one of the same offsets.
    pub(super) fn apply(
        &mut self,
        partition: MappingPartition,
        records: Vec<(MappingOffset, MappingRecord)>,
        position: MappingOffset,
        situations: &mut Situations,
    ) -> Vec<SourcePartition> {
        let known = self.as_of.entry(partition).or_default();
        let before = std::mem::replace(known, (*known).max(position));
        let mut twice = Vec::new();
        for (offset, record) in records.into_iter().filter(|(offset, _)| *offset >= before) {
            let as_of = MappingOffset(offset.get() + 1);
            match record {
                MappingRecord::Chunk(chunk) => twice.extend(self.chunk(partition, &chunk, as_of)),
                MappingRecord::Sync(sync) => self.sync(partition, &sync, as_of, situations),
            }
        }
        twice
    }

    /// The source's log end is asked for.
    pub(super) fn ask_source_end(&mut self, source: &SourcePartition) {
        for (_, lane) in self.lanes.iter_mut().filter(|((at, _), _)| at == source) {
            lane.end_asked = true;
        }
    }

    /// The source's log end was read: replays that were waiting for it go on to there.
    pub(super) fn source_end_read(
        &mut self,
        source: &SourcePartition,
        end: i64,
        situations: &mut Situations,
    ) {
        for (_, lane) in self.lanes.iter_mut().filter(|((at, _), _)| at == source) {
            if lane.replay == Some(None) && lane.end_asked {
                lane.replay = Some(Some(end));
            }
            lane.end_replay(situations);
        }
    }

    /// The source partition, where another publisher copied one of the same offsets.
    fn chunk(
        &mut self,
        partition: MappingPartition,
        chunk: &Chunk,
        as_of: MappingOffset,
    ) -> Option<SourcePartition> {
        let ids = Some((chunk.source_topic_id, chunk.target_topic_id));
        let lineage = Lineage { target: chunk.target.clone(), ids };
        let lane = self.lanes.entry((chunk.source.clone(), lineage)).or_default();
        lane.partition = partition;
        let mut twice = false;
        for run in &chunk.runs {
            let (from, len) = (run.source.get(), run.len.cast_signed());
            lane.insert(from, run.target.get(), len, as_of, self.base);
            twice |= lane.published.iter().any(|(publisher, start, end)| {
                *publisher != chunk.publisher && from < *end && *start < from + len
            });
        }
        let published = chunk.runs.iter().map(|run| {
            let start = run.source.get();
            (chunk.publisher.clone(), start, start + run.len.cast_signed())
        });
        lane.published.extend(published);
        twice.then(|| chunk.source.clone())
    }

    fn sync(
        &mut self,
        partition: MappingPartition,
        sync: &OffsetSync,
        as_of: MappingOffset,
        situations: &mut Situations,
    ) {
        let floor = self.floors.get(&sync.source.topic).copied().unwrap_or_default();
        if as_of <= floor {
            return situations.reach("index: below the floor");
        }
        let lineage = Lineage { target: sync.target.clone(), ids: None };
        let lane = self.lanes.entry((sync.source.clone(), lineage)).or_default();
        lane.partition = partition;
        let (from, to) = (sync.source_offset.get(), sync.target_offset.get());
        if from < lane.newest {
            lane.replay = Some(None);
            lane.end_asked = false;
            situations.reach("index: replay");
        }
        lane.newest = from;
        // An offset that has none behind it cannot be looked up.
        if from < i64::MAX && to < i64::MAX {
            lane.insert(from, to, 1, as_of, self.base);
        }
        lane.end_replay(situations);
    }
}

impl Lane {
    fn end_replay(&mut self, situations: &mut Situations) {
        if let Some(Some(until)) = self.replay
            && i128::from(self.newest) + 1 >= i128::from(until)
        {
            self.replay = None;
            situations.reach("index: replay over");
        }
    }

    fn insert(&mut self, from: i64, to: i64, len: i64, as_of: MappingOffset, base: i64) {
        self.told.push((from, to, len));
        let before = std::mem::take(&mut self.kept);
        let copies = before.iter().map(|(source, target)| (*source, *target));
        self.kept = kept(copies.chain((0..len).map(|nth| (from + nth, to + nth))).collect());
        for position in positions(base) {
            let (was, is) = (target(&before, position), target(&self.kept, position));
            if was.is_some() && is < was {
                self.fell.insert(position, as_of);
            }
        }
    }

    pub(super) fn compare(&self, copies: &Copies, base: i64, situations: &mut Situations) {
        if let Err(error) = copies.staircase.validate() {
            panic!("{error}");
        }
        let replay = copies.replay.map(|replay| replay.until().map(SourceOffset::get));
        assert_eq!(replay, self.replay, "{:?}", self.told);
        for position in positions(base) {
            let found = copies.staircase.translate(SourceOffset(position));
            let (situation, expected) = translation(&self.kept, position);
            situations.reach(situation);
            let same = match (found, expected) {
                (
                    Translation::BelowFirst { first },
                    Translation::BelowFirst { first: expected },
                ) => (first.source, first.target) == (expected.source, expected.target),
                (found, expected) => found == expected,
            };
            assert!(same, "{position}: {found:?}, not {expected:?}; told: {:?}", self.told);
            let fell = self.fell.get(&position).copied();
            let as_ofs = fell.map_or(0, MappingOffset::get);
            for as_of in [as_ofs - 1, as_ofs, as_ofs + 1].map(MappingOffset) {
                let lowered = copies.staircase.lowered_after(SourceOffset(position), as_of);
                let told = || format!("{position} fell by {fell:?}, asked after {as_of}");
                assert_eq!(lowered, fell > Some(as_of), "{}; told: {:?}", told(), self.told);
            }
        }
    }
}

/// *A known copy (s, t) is kept iff no other known copy (s', t') has s' ≥ s and t' ≤ t.*
pub(super) fn kept(mut copies: Vec<(i64, i64)>) -> BTreeMap<i64, i64> {
    copies.sort_unstable_by_key(|(source, target)| (std::cmp::Reverse(*source), *target));
    let mut lowest = i64::MAX;
    let mut kept = BTreeMap::new();
    for (source, target) in copies {
        if target < lowest {
            lowest = target;
            kept.insert(source, target);
        }
    }
    kept
}

fn positions(base: i64) -> RangeInclusive<i64> {
    base.saturating_sub(2)..=base.saturating_add(WINDOW + AROUND)
}

fn target(kept: &BTreeMap<i64, i64>, position: i64) -> Option<i64> {
    let below = kept.range(..position).next_back().map(|(_, target)| target + 1);
    kept.get(&position).copied().or(below)
}

pub(super) fn translation(kept: &BTreeMap<i64, i64>, position: i64) -> (&'static str, Translation) {
    let next = kept.range(position..).next().map(|(_, target)| TargetOffset(*target));
    let below = kept.range(..position).next_back();
    match (kept.get(&position), below, kept.first_key_value()) {
        (Some(target), _, _) => {
            ("index: exact", Translation::Exact { target: TargetOffset(*target) })
        }
        (None, Some((_, target)), _) => {
            let target = TargetOffset(target + 1);
            ("index: lower bound", Translation::LowerBound { target, next })
        }
        (None, None, Some((source, target))) => {
            let (source, target) = (SourceOffset(*source), TargetOffset(*target));
            (
                "index: below first",
                Translation::BelowFirst { first: Run { source, target, len: 1 } },
            )
        }
        (None, None, None) => ("index: empty", Translation::Empty),
    }
}
