//! The judge and its table, over every 101st of all combinations of the table's inputs.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use sprag_core::ids::{
    Fence, FenceTopicTag, Incarnation, MappingOffset, MappingPartition, MappingTopicTag,
    PipelineId, Shard, ShardCount, SourceOffset, TargetOffset,
};
use sprag_core::judge::{
    Candidate, Findings, Knowledge, Ownership, Stored, is_foreign, is_of_later_fence, judge,
    may_refresh,
};
use sprag_core::policy::{OnCorrection, OnForeignCommit, OnSourceRewind, Policy};
use sprag_core::stamp::{Metadata, Stamp};
use sprag_core::verdict::HoldReason;
use sprag_spec::judge as specification;

/// The stored commit.
const STORED: i64 = 1000;
const SOURCE: i64 = 5000;
const FENCE: i64 = 40;
const AS_OF: i64 = 700;

/// The number of choices; every `STEP`th is tried, which has no factor in common with it.
const CHOICES: usize = 8 * 27 * 4 * 3 * 3 * 4 * (1 << 11);
const STEP: usize = 101;

/// Created once, because it compiles a regular expression.
static DEFAULTS: LazyLock<Policy> = LazyLock::new(|| Policy::for_pipeline("dr"));

/// What every row looks at.
#[derive(Debug)]
struct Inputs {
    stored: Stored,
    candidate: Result<Candidate, HoldReason>,
    own: Ownership,
    known: Known,
    findings: Findings,
    policy: Policy,
}

/// As-of and log end of the stored stamp's mapping partition.
#[derive(Debug)]
struct Known {
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

/// A number between 0 and `CHOICES`, taken apart into choices.
struct Choices(usize);

impl Choices {
    fn pick(&mut self, of: usize) -> usize {
        let picked = self.0 % of;
        self.0 /= of;
        picked
    }

    fn flag(&mut self) -> bool {
        self.pick(2) == 1
    }

    fn of<T: Copy, const N: usize>(&mut self, options: [T; N]) -> T {
        options[self.pick(N)]
    }

    /// Next to `stored`, or equal to it.
    fn near(&mut self, stored: i64) -> i64 {
        stored + self.of([-1, 0, 1])
    }
}

fn inputs(number: usize) -> Inputs {
    let choices = &mut Choices(number);
    let own = Ownership {
        pipeline: PipelineId(1),
        fence_topic: FenceTopicTag(3),
        shard: Shard(2),
        shards: ShardCount(8),
        fence: Fence(choices.near(FENCE)),
        mapping_topic: MappingTopicTag(5),
        loading: choices.flag(),
    };
    let target = TargetOffset(choices.near(STORED));
    let candidate = Candidate {
        source: SourceOffset(choices.near(SOURCE)),
        target,
        first_copy: choices.of([None, Some(STORED - 1), Some(STORED)]).map(TargetOffset),
        incarnation: Incarnation(7),
        confirmed: choices.flag(),
    };
    let (as_of, log_end) = choices.of([
        (Some(AS_OF), Some(AS_OF)),
        (Some(AS_OF - 1), Some(AS_OF)),
        (Some(AS_OF - 1), Some(AS_OF - 1)),
        (None, None),
    ]);
    let log_ends = [STORED + 100, STORED, STORED - 1, target.get() - 1];
    Inputs {
        stored: stored(choices, own),
        candidate: if choices.flag() { Ok(candidate) } else { Err(HoldReason::NoMapping) },
        own,
        known: Known { as_of, log_end, lowered: choices.flag() },
        findings: Findings {
            active: choices.flag(),
            foreign_sibling: choices.flag(),
            log_end: TargetOffset(choices.of(log_ends)),
        },
        policy: Policy {
            apply_mappings_guard: choices.flag(),
            on_foreign_commit: choices.of([
                OnForeignCommit::Hold,
                OnForeignCommit::ForwardOnly,
                OnForeignCommit::Overwrite,
            ]),
            on_source_rewind: choices.of([OnSourceRewind::Follow, OnSourceRewind::Hold]),
            on_correction: choices.of([OnCorrection::Follow, OnCorrection::Hold]),
            ..DEFAULTS.clone()
        },
    }
}

fn stored(choices: &mut Choices, own: Ownership) -> Stored {
    let stamp = Stamp {
        pipeline: own.pipeline,
        fence_topic: own.fence_topic,
        shard: own.shard,
        shards: own.shards,
        fence: Fence(FENCE),
        mapping_topic: choices.of([own.mapping_topic, MappingTopicTag(6)]),
        mapping_partition: MappingPartition(0),
        as_of: MappingOffset(AS_OF),
        incarnation: choices.of([Incarnation(7), Incarnation(8)]),
        source: SourceOffset(SOURCE),
        target: TargetOffset(STORED),
    };
    let stamped = |stamp| Metadata::Stamped { stamp, source_metadata: String::new() };
    let metadata = match choices.pick(8) {
        0 => return Stored::Nothing,
        1 => Metadata::Foreign,
        2 => Metadata::Malformed,
        3 => Metadata::NewerVersion { version: 9 },
        4 => stamped(Stamp { target: TargetOffset(STORED + 50), ..stamp }),
        5 => stamped(Stamp { pipeline: PipelineId(2), ..stamp }),
        6 => stamped(Stamp { shards: ShardCount(4), ..stamp }),
        _ => stamped(stamp),
    };
    Stored::Commit { offset: TargetOffset(STORED), metadata }
}

/// Every outcome of every row.
#[rustfmt::skip]
const OUTCOMES: [&str; 29] = [
    "0 NoMapping", "1 NewerVersion", "2 Active", "3 BeyondEnd", "off GuardOff", "off Same",
    "4a Foreign", "4a NotForward", "4a Override", "4b ForeignSibling", "5 First",
    "6 OtherPipeline", "7 FenceChanged", "8 FenceRegressed", "8 Stale", "9 Refence", "10 Behind",
    "11 Recreated", "11 Reincarnate", "12 Correct", "12 Correction", "13 Correct", "13 Correction",
    "14 FollowRewind", "14 Rewind", "15 Same", "16 Advance", "17 StoredIsSharper",
    "unconfirmed Unconfirmed",
];

#[test]
fn the_judge_is_the_table() {
    let mut outcomes = BTreeSet::new();
    for inputs in (0..CHOICES).step_by(STEP).map(inputs) {
        let Inputs { stored, candidate, own, known, findings, policy } = &inputs;
        let (findings, knowledge) = (*findings, known);
        let facts = specification::Facts { stored, candidate, own, knowledge, findings, policy };
        let (row, expected) = specification::verdict(facts);
        let verdict = judge(stored, candidate.clone(), own, known, findings, policy);
        assert_eq!(verdict, expected, "row {row}: {inputs:#?}");
        outcomes.insert((row, verdict.name()));
    }
    let outcomes = outcomes.into_iter().map(|(row, name)| format!("{row} {name}"));
    assert_eq!(outcomes.collect::<BTreeSet<_>>(), OUTCOMES.map(str::to_owned).into());
}

#[test]
fn a_stored_commit_is_foreign_of_a_later_fence_or_refreshed_as_the_protocol_says() {
    for Inputs { stored, own, findings, .. } in (0..CHOICES).step_by(STEP * 17).map(inputs) {
        assert_eq!(is_foreign(&stored), specification::is_foreign(&stored), "{stored:?}");
        let later = specification::is_of_later_fence(&stored, &own);
        assert_eq!(is_of_later_fence(&stored, &own), later, "{stored:?} {own:?}");
        let may = specification::may_refresh(&stored, &own, findings.active);
        assert_eq!(may_refresh(&stored, &own, findings.active), may, "{stored:?} {own:?}");
    }
}
