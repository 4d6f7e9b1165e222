//! The cost of the guard: reading a stamp, writing one, and judging. The same run measures the
//! cheapest possible check for comparison: two numbers compared.
//!
//! `cargo bench --no-default-features --bench guard`

// A bench reads the clock and prints.
#![allow(clippy::print_stdout, clippy::disallowed_methods)]

use std::hint::black_box;
use std::time::Instant;

use sprag_core::ids::{
    Fence, FenceTopicTag, Incarnation, MappingOffset, MappingPartition, MappingTopicTag,
    PipelineId, Shard, ShardCount, SourceOffset, TargetOffset,
};
use sprag_core::judge::{Candidate, Findings, Knowledge, Ownership, Stored, judge};
use sprag_core::policy::Policy;
use sprag_core::stamp::{Metadata, Stamp};

struct Known;

impl Knowledge for Known {
    fn as_of(&self, _partition: MappingPartition) -> Option<MappingOffset> {
        Some(MappingOffset(1_000_000))
    }

    fn log_end(&self, _partition: MappingPartition) -> Option<MappingOffset> {
        Some(MappingOffset(1_000_000))
    }

    fn lowered_after(&self, _as_of: MappingOffset) -> bool {
        false
    }
}

fn main() {
    let is_bench = std::env::args().any(|arg| arg == "--bench");
    let times = if is_bench { 2_000_000 } else { 100 };
    let stamp = Stamp {
        pipeline: PipelineId(1),
        fence_topic: FenceTopicTag(2),
        shard: Shard(3),
        shards: ShardCount(8),
        fence: Fence(41),
        mapping_topic: MappingTopicTag(4),
        mapping_partition: MappingPartition(0),
        as_of: MappingOffset(900_000),
        incarnation: Incarnation(5),
        source: SourceOffset(123_456_789),
        target: TargetOffset(123_400_000),
    };
    let own = Ownership {
        pipeline: stamp.pipeline,
        fence_topic: stamp.fence_topic,
        shard: stamp.shard,
        shards: stamp.shards,
        fence: Fence(43),
        mapping_topic: stamp.mapping_topic,
        loading: false,
    };
    let candidate = Candidate {
        source: SourceOffset(123_456_999),
        target: TargetOffset(123_400_210),
        first_copy: Some(TargetOffset(123_400_210)),
        incarnation: stamp.incarnation,
        confirmed: true,
    };
    let findings =
        Findings { active: false, foreign_sibling: false, log_end: TargetOffset(i64::MAX) };
    let policy = Policy::for_pipeline("dr");
    let text = stamp.compose("k2k_", &[], "").text;
    let parsed = || Metadata::parse(black_box(&text), ["k2k_"]);
    let stored = Stored::Commit { offset: stamp.target, metadata: parsed() };

    let compare = nanos(times, || black_box(stamp.target) < black_box(candidate.target));
    println!("{:<28}{:>9}{:>12}", "", "ns", "x compare");
    for (name, took) in [
        ("two numbers compared", compare),
        ("stamp read", nanos(times, parsed)),
        ("stamp written", nanos(times, || black_box(&stamp).compose("k2k_", &[], ""))),
        (
            "judged",
            nanos(times, || {
                judge(black_box(&stored), Ok(candidate), &own, &Known, findings, &policy)
            }),
        ),
    ] {
        println!("{name:<28}{took:>9.1}{:>12.1}", took / compare);
    }
}

fn nanos<T>(times: u32, mut work: impl FnMut() -> T) -> f64 {
    let start = Instant::now();
    for _ in 0..times {
        black_box(work());
    }
    start.elapsed().as_nanos() as f64 / f64::from(times)
}
