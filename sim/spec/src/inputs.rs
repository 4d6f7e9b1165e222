//! Inputs of the judge, so that each comparison of the table finds less, the same and more.

use std::sync::LazyLock;

use sprag_core::ids::{
    Fence, FenceTopicTag, Incarnation, MappingOffset, MappingPartition, MappingTopicTag,
    PipelineId, Shard, ShardCount, SourceOffset, TargetOffset,
};
use sprag_core::judge::{Candidate, Findings, Knowledge, Ownership, Stored};
use sprag_core::policy::{OnCorrection, OnForeignCommit, OnSourceRewind, Policy};
use sprag_core::stamp::{Metadata, Stamp};
use sprag_core::verdict::HoldReason;

use crate::judge::Facts;

/// The stored commit's offsets and knowledge.
const STORED: i64 = 1000;
const SOURCE: i64 = 5000;
const FENCE: i64 = 40;
const AS_OF: i64 = 700;

const FOREIGN: [OnForeignCommit; 3] =
    [OnForeignCommit::Hold, OnForeignCommit::ForwardOnly, OnForeignCommit::Overwrite];

/// How many different inputs there are.
pub const COUNT: usize = 10 * 27 * 4 * 3 * 3 * 4 * (1 << 11);

/// Created once, because it compiles a regular expression.
static DEFAULTS: LazyLock<Policy> = LazyLock::new(|| Policy::for_pipeline("dr"));

/// What the judge is asked.
#[derive(Clone, Debug)]
pub struct Inputs {
    /// The stored commit.
    pub stored: Stored,
    /// The commit that would be made.
    pub candidate: Result<Candidate, HoldReason>,
    /// The ownership.
    pub own: Ownership,
    /// What is known of the mappings.
    pub known: Known,
    /// What was read of the group and the partition.
    pub findings: Findings,
    /// The policies.
    pub policy: Policy,
}

/// What is known of the stored stamp's mapping partition.
#[derive(Clone, Debug)]
pub struct Known {
    as_of: Option<i64>,
    log_end: Option<i64>,
    lowered: bool,
}

impl Knowledge for Known {
    fn as_of(&self, partition: MappingPartition) -> Option<MappingOffset> {
        assert_eq!(partition, MappingPartition(0));
        self.as_of.map(MappingOffset)
    }

    fn log_end(&self, partition: MappingPartition) -> Option<MappingOffset> {
        assert_eq!(partition, MappingPartition(0));
        self.log_end.map(MappingOffset)
    }

    fn lowered_after(&self, as_of: MappingOffset) -> bool {
        assert_eq!(as_of, MappingOffset(AS_OF));
        self.lowered
    }
}

/// Chooses one of so many values.
type Pick<'a> = &'a mut dyn FnMut(usize) -> usize;

fn flag(pick: Pick<'_>) -> bool {
    pick(2) == 1
}

fn one<T: Copy, const N: usize>(pick: Pick<'_>, options: [T; N]) -> T {
    options[pick(N)]
}

/// Next to `stored`, or equal to it.
fn near(pick: Pick<'_>, stored: i64) -> i64 {
    stored + one(pick, [0, -1, 1])
}

impl Inputs {
    /// Inputs that `pick` chooses, one of so many values at a time.
    pub fn picked(pick: &mut dyn FnMut(usize) -> usize) -> Self {
        let own = Ownership {
            pipeline: PipelineId(1),
            fence_topic: FenceTopicTag(3),
            shard: Shard(2),
            shards: ShardCount(8),
            fence: Fence(near(pick, FENCE)),
            mapping_topic: MappingTopicTag(5),
            loading: flag(pick),
        };
        let target = TargetOffset(near(pick, STORED));
        let candidate = Candidate {
            source: SourceOffset(near(pick, SOURCE)),
            target,
            first_copy: one(pick, [None, Some(STORED - 1), Some(STORED)]).map(TargetOffset),
            incarnation: Incarnation(7),
            confirmed: !flag(pick),
        };
        let less = AS_OF - 1;
        let ends = [(AS_OF, AS_OF), (less, AS_OF), (less, less)].map(Some);
        let (as_of, log_end) = one(pick, [ends[0], ends[1], ends[2], None]).unzip();
        let log_ends = [STORED + 100, STORED, STORED - 1, target.get() - 1];
        Self {
            stored: stored(pick, own),
            candidate: if flag(pick) { Err(HoldReason::NoMapping) } else { Ok(candidate) },
            own,
            known: Known { as_of, log_end, lowered: flag(pick) },
            findings: Findings {
                active: flag(pick),
                foreign_sibling: flag(pick),
                log_end: TargetOffset(one(pick, log_ends)),
            },
            policy: Policy {
                apply_mappings_guard: !flag(pick),
                on_foreign_commit: one(pick, FOREIGN),
                on_source_rewind: one(pick, [OnSourceRewind::Follow, OnSourceRewind::Hold]),
                on_correction: one(pick, [OnCorrection::Follow, OnCorrection::Hold]),
                ..DEFAULTS.clone()
            },
        }
    }

    /// The inputs of this number, below [`COUNT`].
    #[must_use]
    pub fn nth(mut number: usize) -> Self {
        Self::picked(&mut |of| {
            let picked = number % of;
            number /= of;
            picked
        })
    }

    /// The same as facts for the table.
    #[must_use]
    pub fn facts(&self) -> Facts<'_> {
        let Self { stored, candidate, own, known, findings, policy } = self;
        Facts { stored, candidate, own, knowledge: known, findings: *findings, policy }
    }
}

fn stored(pick: Pick<'_>, own: Ownership) -> Stored {
    let stamp = Stamp {
        pipeline: own.pipeline,
        fence_topic: own.fence_topic,
        shard: own.shard,
        shards: own.shards,
        fence: Fence(FENCE),
        mapping_topic: one(pick, [own.mapping_topic, MappingTopicTag(6)]),
        mapping_partition: MappingPartition(0),
        as_of: MappingOffset(AS_OF),
        incarnation: one(pick, [Incarnation(7), Incarnation(8)]),
        source: SourceOffset(SOURCE),
        target: TargetOffset(STORED),
    };
    let stamped = |stamp| Metadata::Stamped { stamp, source_metadata: String::new() };
    let metadata = match pick(10) {
        0 => return Stored::Nothing,
        1 => Metadata::Foreign,
        2 => Metadata::Malformed,
        3 => Metadata::NewerVersion { version: 9 },
        4 => stamped(Stamp { target: TargetOffset(STORED + 50), ..stamp }),
        5 => stamped(Stamp { pipeline: PipelineId(2), ..stamp }),
        6 => stamped(Stamp { shards: ShardCount(4), ..stamp }),
        7 => stamped(Stamp { shard: Shard(1), ..stamp }),
        8 => stamped(Stamp { fence_topic: FenceTopicTag(4), ..stamp }),
        _ => stamped(stamp),
    };
    Stored::Commit { offset: TargetOffset(STORED), metadata }
}
