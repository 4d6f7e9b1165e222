//! The core's state as a reference model sees it, for fuzzing alone.

use std::collections::BTreeMap;

use super::super::group::Stage;
use super::super::ids::{Fence, GroupId, MappingOffset, MappingPartition, Shard};
use super::super::shard::{Lane, Life, Step};
use super::Core;

/// What can be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct View {
    pub(crate) shards: BTreeMap<Shard, ShardView>,
    pub(crate) groups: BTreeMap<GroupId, StageView>,
    pub(crate) as_of: BTreeMap<MappingPartition, MappingOffset>,
    pub(crate) stopped: bool,
}

/// A shard that is not *Unowned*.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ShardView {
    pub(crate) life: LifeView,
    pub(crate) revoked: bool,
    pub(crate) lane: LaneView,
}

/// Where a shard is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LifeView {
    BackingOff { check: bool },
    CheckingAssignment,
    ReadingLog,
    ReadingFirstLog,
    Initialising,
    RereadingLog,
    TakingOver,
    CatchingUp { fence: Fence },
    Loading { fence: Fence, source_listed: bool, target_listed: bool },
    Active { fence: Fence },
}

/// Who uses a shard's producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LaneView {
    Free,
    Group,
    Record,
}

/// Where a group's round stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StageView {
    Resting,
    ReadingSource,
    ReadingTarget,
    ReadingTopics,
    Queued,
    Writing,
    Verifying,
    Ending,
    Committing,
}

impl Core {
    /// The state as it is now.
    pub(crate) fn view(&self) -> View {
        let shard = |state: &super::ShardState| ShardView {
            life: life(&state.life),
            revoked: state.revoked,
            lane: match &state.lane {
                Lane::Free => LaneView::Free,
                Lane::Group(_) => LaneView::Group,
                Lane::Record(_) => LaneView::Record,
            },
        };
        let partitions = self.index.partitions().into_iter();
        View {
            shards: self.shards.iter().map(|(at, state)| (*at, shard(state))).collect(),
            groups: self
                .groups
                .iter()
                .map(|(at, group)| (at.clone(), stage(&group.stage)))
                .collect(),
            as_of: partitions.filter_map(|at| Some((at, self.index.as_of(at)?))).collect(),
            stopped: self.stopped,
        }
    }
}

fn life(life: &Life) -> LifeView {
    match life {
        Life::Fencing(Step::BackingOff { check, .. }) => LifeView::BackingOff { check: *check },
        Life::Fencing(Step::CheckingAssignment) => LifeView::CheckingAssignment,
        Life::Fencing(Step::ReadingLog) => LifeView::ReadingLog,
        Life::Fencing(Step::ReadingFirstLog) => LifeView::ReadingFirstLog,
        Life::Fencing(Step::Initialising) => LifeView::Initialising,
        Life::Fencing(Step::RereadingLog) => LifeView::RereadingLog,
        Life::Fencing(Step::TakingOver) => LifeView::TakingOver,
        Life::CatchingUp { fence, .. } => LifeView::CatchingUp { fence: *fence },
        Life::Loading { fence, source_listed, target_listed } => LifeView::Loading {
            fence: *fence,
            source_listed: *source_listed,
            target_listed: *target_listed,
        },
        Life::Active { fence, .. } => LifeView::Active { fence: *fence },
    }
}

fn stage(stage: &Stage) -> StageView {
    match stage {
        Stage::Resting { .. } => StageView::Resting,
        Stage::ReadingSource { .. } => StageView::ReadingSource,
        Stage::ReadingTarget { .. } => StageView::ReadingTarget,
        Stage::ReadingTopics { .. } => StageView::ReadingTopics,
        Stage::Queued(_) => StageView::Queued,
        Stage::Writing(_) => StageView::Writing,
        Stage::Verifying { .. } => StageView::Verifying,
        Stage::Ending { .. } => StageView::Ending,
        Stage::Committing(_) => StageView::Committing,
    }
}
