//! The names and numbers of the small world, and the translations that are right in it.

use sprag_core::event::{FenceTopic, LogRange, MappingTopic};
use sprag_core::ids::{
    GroupId, PublisherId, Shard, ShardCount, SourceOffset, SourcePartition, TargetOffset,
    TargetPartition, TopicId,
};
use sprag_core::machine::{Core, Setup};
use sprag_core::mapping::{Chunk, MappingRecord, Run};
use sprag_core::policy::{CommitMode, Policy};
use sprag_core::time::Instant;

use crate::plant::Plant;

/// The only shard.
pub const SHARD: Shard = Shard(0);
/// The fence topic.
pub const FENCE_TOPIC: FenceTopic = FenceTopic { id: TopicId([9; 16]), shards: ShardCount(1) };
/// The mapping topic.
pub const MAPPING_TOPIC: MappingTopic = MappingTopic { id: TopicId([8; 16]), partitions: 1 };
/// The replicated topic on the source.
pub const SOURCE_TOPIC: TopicId = TopicId([1; 16]);
/// The replicated topic on the target.
pub const TARGET_TOPIC: TopicId = TopicId([2; 16]);
/// The log range of the target partition.
pub const LOG: LogRange = LogRange { start: TargetOffset(0), end: TargetOffset(10_000) };
/// Length of one mapping record's run.
const RUN: i64 = 100;
/// Difference between source and target offsets in the first run.
const SHIFT: i64 = 1000;

/// The only group.
#[must_use]
pub fn group() -> GroupId {
    GroupId::from("billing")
}

/// The only source partition.
#[must_use]
pub fn source() -> SourcePartition {
    SourcePartition::new("orders", 0)
}

/// The only target partition.
#[must_use]
pub fn target() -> TargetPartition {
    TargetPartition::new("dr.orders", 0)
}

/// The source offset of the group's `nth` commit, counted from 0.
#[must_use]
pub fn source_commit(nth: u8) -> SourceOffset {
    SourceOffset(50 + RUN * i64::from(nth))
}

/// The `nth` mapping record: source offsets [100 n, 100 n + 100) are at [110 n + 1000, ...), with a gap of
/// ten offsets after each run.
#[must_use]
pub fn mapping(nth: u8) -> MappingRecord {
    let nth = i64::from(nth);
    let run = Run {
        source: SourceOffset(RUN * nth),
        target: TargetOffset(SHIFT + (RUN + 10) * nth),
        len: RUN.unsigned_abs(),
    };
    MappingRecord::Chunk(Chunk {
        source: source(),
        target: target(),
        source_topic_id: SOURCE_TOPIC,
        target_topic_id: TARGET_TOPIC,
        publisher: PublisherId::from("mirror"),
        runs: vec![run],
    })
}

/// The target offset of `position` for a reader of `known` mapping records. It is computed without the
/// core, so that it can judge the core.
#[must_use]
pub fn translation(position: SourceOffset, known: i64) -> Option<TargetOffset> {
    let last = known.checked_sub(1).filter(|last| *last >= 0)?;
    let nth = position.get().div_euclid(RUN);
    let start = |nth: i64| SHIFT + (RUN + 10) * nth;
    Some(TargetOffset(if nth <= last {
        start(nth) + position.get().rem_euclid(RUN)
    } else {
        start(last) + RUN
    }))
}

/// A core that has just started.
#[must_use]
pub fn core(mode: CommitMode, plant: Option<Plant>, now: Instant) -> Core {
    let mut policy = Policy { commit_mode: mode, ..Policy::for_pipeline("dr") };
    // With this, one tick is enough for a round and for the read that confirms a doubtful one.
    policy.confirm_after = policy.poll_interval;
    policy.apply_mappings_guard = plant != Some(Plant::GuardOff);
    let setup = Setup {
        policy,
        source_cluster: "source".into(),
        target_cluster: "target".into(),
        fence_topic: FENCE_TOPIC,
        mapping_topic: "mappings".into(),
        jitter_seed: 0,
    };
    Core::new(setup, now)
}
