//! Everything that was published, and what follows from it by `docs/protocol.md`, "Mapping records" and
//! "Translation".

use std::collections::BTreeMap;

use super::super::Situations;
use sprag_core::ids::{
    MappingOffset, MappingPartition, PublisherId, SourceOffset, SourcePartition, TargetOffset,
    TopicName,
};
use sprag_core::index::{Copies, Lineage};
use sprag_core::mapping::{Chunk, MappingRecord, OffsetSync, Run};
use sprag_core::runs::Translation;
use sprag_spec::staircase::{copies, kept, target, translation};

/// Offsets are chosen in a window this wide, and looked up somewhat around it.
pub(super) const WINDOW: i64 = 48;
const AROUND: i64 = 16;

/// What was published for every lineage.
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
    runs: Vec<Run>,
    kept: BTreeMap<SourceOffset, TargetOffset>,
    /// The as-of by which each position was last seen to fall.
    fell: BTreeMap<SourceOffset, MappingOffset>,
    published: Vec<(PublisherId, Run)>,
    newest: i64,
    pub(super) replay: Option<Option<i64>>,
    /// The end of the replay was requested since the syncs last went back.
    end_asked: bool,
}

impl Reference {
    /// Records that were read in order, up to `position`. Returns the source partitions in which two publishers
    /// copied the same offset.
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
                MappingRecord::Chunk(chunk) => twice.extend(self.chunk(&chunk, as_of)),
                MappingRecord::Sync(sync) => self.sync(&sync, as_of, situations),
            }
        }
        twice
    }

    fn lanes_of(&mut self, source: &SourcePartition) -> impl Iterator<Item = &mut Lane> {
        let lanes = self.lanes.iter_mut();
        lanes.filter(move |((at, _), _)| at == source).map(|(_, lane)| lane)
    }

    /// The source's log end is requested.
    pub(super) fn ask_source_end(&mut self, source: &SourcePartition) {
        self.lanes_of(source).for_each(|lane| lane.end_asked = true);
    }

    /// The source's log end was read: replays that were waiting for it continue up to it.
    pub(super) fn source_end_read(
        &mut self,
        source: &SourcePartition,
        end: i64,
        situations: &mut Situations,
    ) {
        for lane in self.lanes_of(source) {
            if lane.replay == Some(None) && lane.end_asked {
                lane.replay = Some(Some(end));
            }
            lane.end_replay(situations);
        }
    }

    /// Returns the source partition if another publisher copied one of the same offsets.
    fn chunk(&mut self, chunk: &Chunk, as_of: MappingOffset) -> Option<SourcePartition> {
        let ids = Some((chunk.source_topic_id, chunk.target_topic_id));
        let lineage = Lineage { target: chunk.target.clone(), ids };
        let lane = self.lanes.entry((chunk.source.clone(), lineage)).or_default();
        let mut twice = false;
        for run in &chunk.runs {
            lane.insert(*run, as_of, self.base);
            let end = |run: &Run| run.source.get() + run.len.cast_signed();
            twice |= lane.published.iter().any(|(publisher, other)| {
                let overlap = run.source.get() < end(other) && other.source.get() < end(run);
                *publisher != chunk.publisher && overlap
            });
        }
        let published = chunk.runs.iter().map(|run| (chunk.publisher.clone(), *run));
        lane.published.extend(published);
        twice.then(|| chunk.source.clone())
    }

    fn sync(&mut self, sync: &OffsetSync, as_of: MappingOffset, situations: &mut Situations) {
        let floor = self.floors.get(&sync.source.topic).copied().unwrap_or_default();
        if as_of <= floor {
            return situations.reach("index: below the floor");
        }
        let lineage = Lineage { target: sync.target.clone(), ids: None };
        let lane = self.lanes.entry((sync.source.clone(), lineage)).or_default();
        let run = Run { source: sync.source_offset, target: sync.target_offset, len: 1 };
        let from = run.source.get();
        if from < lane.newest {
            lane.replay = Some(None);
            lane.end_asked = false;
            situations.reach("index: replay");
        }
        lane.newest = from;
        // The last offset of all has none after it, so it cannot be translated.
        if from < i64::MAX && run.target.get() < i64::MAX {
            lane.insert(run, as_of, self.base);
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

    fn insert(&mut self, run: Run, as_of: MappingOffset, base: i64) {
        self.runs.push(run);
        let before = std::mem::take(&mut self.kept);
        self.kept = kept(before.clone().into_iter().chain(copies(run)));
        for position in positions(base) {
            let was = target(translation(&before, position));
            if was.is_some() && target(translation(&self.kept, position)) < was {
                self.fell.insert(position, as_of);
            }
        }
    }

    pub(super) fn compare(&self, copies: &Copies, base: i64, situations: &mut Situations) {
        if let Err(error) = copies.staircase.validate() {
            panic!("{error}");
        }
        let replay = copies.replay.map(|replay| replay.until().map(SourceOffset::get));
        assert_eq!(replay, self.replay, "{:?}", self.runs);
        for position in positions(base) {
            let expected = translation(&self.kept, position);
            situations.reach(match expected {
                Translation::Exact { .. } => "index: exact",
                Translation::LowerBound { .. } => "index: lower bound",
                Translation::BelowFirst { .. } => "index: below first",
                Translation::Empty => "index: empty",
            });
            let found = copies.staircase.translate(position);
            assert_eq!(found, expected, "at {position}, of {:?}", self.runs);
            let fell = self.fell.get(&position).copied();
            let as_ofs = fell.map_or(0, MappingOffset::get);
            for as_of in [as_ofs - 1, as_ofs, as_ofs + 1].map(MappingOffset) {
                let lowered = copies.staircase.lowered_after(position, as_of);
                let detail = || format!("{position} fell by {fell:?}, asked after {as_of}");
                assert_eq!(lowered, fell > Some(as_of), "{}, of {:?}", detail(), self.runs);
            }
        }
    }
}

fn positions(base: i64) -> impl Iterator<Item = SourceOffset> {
    (base.saturating_sub(2)..=base.saturating_add(WINDOW + AROUND)).map(SourceOffset)
}
