//! Compares the judge with an independent table, over a sample of all combinations of the table's inputs.
//! Each row of the table must decide some case: without the row, judge and table must differ.

#![allow(clippy::unwrap_used, clippy::wildcard_enum_match_arm)]

mod stored;

use std::sync::LazyLock;

use super::*;

/// The inputs of the rows.
#[derive(Clone, Debug)]
struct Case {
    stored: Kind,
    /// T compared with S, if something is stored.
    target: Side,
    /// N compared with Nₛ.
    source: Side,
    fence: Side,
    knowledge: Behind,
    same_mapping_topic: bool,
    same_incarnation: bool,
    lowered: bool,
    first_copy: FirstCopy,
    stored_beyond_end: bool,
    beyond_end: bool,
    active: bool,
    sibling: bool,
    confirmed: bool,
    loading: bool,
    guard: bool,
    translated: bool,
    foreign: OnForeignCommit,
    rewind: OnSourceRewind,
    correction: OnCorrection,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Nothing,
    Ours,
    Copied,
    Foreign,
    Malformed,
    Newer,
    OtherPipeline,
    OtherShards,
}

/// Our value compared with the stored one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Below,
    Equal,
    Above,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Behind {
    No,
    Yes,
    Truncated,
    UnknownPartition,
}

/// The first known copy of a record at or after N, compared with S.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FirstCopy {
    Unknown,
    Below,
    AtStored,
}

type Row = (&'static str, fn(&Case) -> bool, fn(&Case) -> Verdict);

fn hold(reason: HoldReason) -> Verdict {
    Verdict::Hold(reason)
}

fn commit(case: &Case, reason: CommitReason) -> Verdict {
    if case.confirmed { Verdict::Commit(reason) } else { hold(HoldReason::Unconfirmed) }
}

fn correction(case: &Case) -> Verdict {
    match case.correction {
        OnCorrection::Follow => commit(case, CommitReason::Correct),
        OnCorrection::Hold => hold(HoldReason::Correction),
    }
}

fn foreign(case: &Case) -> bool {
    matches!(case.stored, Kind::Copied | Kind::Foreign | Kind::Malformed)
}

fn behind(own: Option<i64>, truncated: bool) -> Verdict {
    Verdict::Block(BlockReason::Behind {
        partition: MappingPartition(0),
        stored: MappingOffset(AS_OF),
        own: own.map(MappingOffset),
        truncated,
    })
}

/// The table of `docs/protocol.md`, row by row. A row of the document with several outcomes is split into
/// one row per outcome.
const TABLE: &[Row] = &[
    ("0", |c| !c.translated, |_| hold(HoldReason::NoMapping)),
    ("1", |c| c.stored == Kind::Newer, |_| hold(HoldReason::NewerVersion { version: 9 })),
    ("2", |c| c.active, |_| hold(HoldReason::Active)),
    ("3", |c| c.beyond_end, |c| hold(HoldReason::BeyondEnd { end: TargetOffset(log_end(c)) })),
    (
        "off, same",
        |c| !c.guard && c.stored != Kind::Nothing && c.target == Side::Equal,
        |_| Verdict::Keep(KeepReason::Same),
    ),
    ("off", |c| !c.guard, |c| commit(c, CommitReason::GuardOff)),
    (
        "4a hold",
        |c| foreign(c) && c.foreign == OnForeignCommit::Hold,
        |_| hold(HoldReason::Foreign),
    ),
    (
        "4a keep",
        |c| foreign(c) && c.foreign == OnForeignCommit::ForwardOnly && c.target != Side::Above,
        |_| Verdict::Keep(KeepReason::NotForward),
    ),
    ("4a", foreign, |c| commit(c, CommitReason::Override)),
    (
        "4b",
        |c| c.sibling && c.foreign == OnForeignCommit::Hold,
        |_| hold(HoldReason::ForeignSibling),
    ),
    ("5", |c| c.stored == Kind::Nothing, |c| commit(c, CommitReason::First)),
    ("6", |c| c.stored == Kind::OtherPipeline, |_| hold(HoldReason::OtherPipeline)),
    ("7", |c| c.stored == Kind::OtherShards, |_| hold(HoldReason::FenceChanged)),
    (
        "8 loading",
        |c| c.fence == Side::Below && c.loading,
        |_| hold(HoldReason::FenceRegressed { stored: Fence(FENCE) }),
    ),
    (
        "8",
        |c| c.fence == Side::Below,
        |_| Verdict::Block(BlockReason::Stale { stored: Fence(FENCE), own: Fence(FENCE - 1) }),
    ),
    (
        "9",
        |c| !c.same_mapping_topic && c.fence == Side::Equal,
        |_| Verdict::Block(BlockReason::Refence),
    ),
    (
        "10 truncated",
        |c| c.same_mapping_topic && c.knowledge == Behind::Truncated,
        |_| behind(Some(AS_OF - 1), true),
    ),
    (
        "10 unknown",
        |c| c.same_mapping_topic && c.knowledge == Behind::UnknownPartition,
        |_| behind(None, false),
    ),
    (
        "10",
        |c| c.same_mapping_topic && c.knowledge == Behind::Yes,
        |_| behind(Some(AS_OF - 1), false),
    ),
    (
        "11 hold",
        |c| !c.same_incarnation && c.source == Side::Equal,
        |_| hold(HoldReason::Recreated),
    ),
    ("11", |c| !c.same_incarnation, |c| commit(c, CommitReason::Reincarnate)),
    ("12", |c| c.stored_beyond_end && c.target == Side::Below, correction),
    (
        "13",
        |c| {
            let lowered = c.lowered || !c.same_mapping_topic;
            let skips = c.first_copy == FirstCopy::Below;
            c.target == Side::Below && c.source != Side::Below && (lowered || skips)
        },
        correction,
    ),
    (
        "14 hold",
        |c| {
            let back = c.target == Side::Below && c.source == Side::Below;
            back && c.rewind == OnSourceRewind::Hold
        },
        |_| hold(HoldReason::Rewind),
    ),
    (
        "14",
        |c| c.target == Side::Below && c.source == Side::Below,
        |c| commit(c, CommitReason::FollowRewind),
    ),
    ("15", |c| c.target == Side::Equal, |_| Verdict::Keep(KeepReason::Same)),
    ("16", |c| c.target == Side::Above, |c| commit(c, CommitReason::Advance)),
    ("17", |_| true, |_| Verdict::Keep(KeepReason::StoredIsSharper)),
];

/// Created once, because it compiles a regular expression.
static DEFAULTS: LazyLock<Policy> = LazyLock::new(|| Policy::for_pipeline("dr"));

const STORED: i64 = 1000;
const SOURCE: i64 = 5000;
const FENCE: i64 = 40;
const AS_OF: i64 = 700;

fn on(side: Side, stored: i64) -> i64 {
    match side {
        Side::Below => stored - 1,
        Side::Equal => stored,
        Side::Above => stored + 1,
    }
}

fn log_end(case: &Case) -> i64 {
    let target = on(case.target, STORED);
    match (case.beyond_end, case.stored_beyond_end) {
        (true, _) => target - 1,
        // Between the two offsets: the stored one is beyond the end, and ours is not.
        (false, true) => STORED - 1,
        (false, false) => STORED + 100,
    }
}

fn stamp(case: &Case) -> Stamp {
    let own = ownership(case);
    Stamp {
        pipeline: PipelineId(if case.stored == Kind::OtherPipeline { 2 } else { 1 }),
        fence_topic: own.fence_topic,
        shard: own.shard,
        shards: ShardCount(if case.stored == Kind::OtherShards { 4 } else { 8 }),
        fence: Fence(FENCE),
        mapping_topic: MappingTopicTag(if case.same_mapping_topic { 5 } else { 6 }),
        mapping_partition: MappingPartition(0),
        as_of: MappingOffset(AS_OF),
        incarnation: Incarnation(if case.same_incarnation { 7 } else { 8 }),
        source: SourceOffset(SOURCE),
        target: TargetOffset(if case.stored == Kind::Copied { STORED + 50 } else { STORED }),
    }
}

fn ownership(case: &Case) -> Ownership {
    Ownership {
        pipeline: PipelineId(1),
        fence_topic: FenceTopicTag(3),
        shard: Shard(2),
        shards: ShardCount(8),
        fence: Fence(on(case.fence, FENCE)),
        mapping_topic: MappingTopicTag(5),
        loading: case.loading,
    }
}

impl Knowledge for Case {
    fn as_of(&self, partition: MappingPartition) -> Option<MappingOffset> {
        assert_eq!(partition, MappingPartition(0));
        match self.knowledge {
            Behind::No => Some(MappingOffset(AS_OF)),
            Behind::Yes | Behind::Truncated => Some(MappingOffset(AS_OF - 1)),
            Behind::UnknownPartition => None,
        }
    }

    fn log_end(&self, _partition: MappingPartition) -> Option<MappingOffset> {
        match self.knowledge {
            Behind::No | Behind::Yes => Some(MappingOffset(AS_OF)),
            Behind::Truncated => Some(MappingOffset(AS_OF - 1)),
            Behind::UnknownPartition => None,
        }
    }

    fn lowered_after(&self, as_of: MappingOffset) -> bool {
        assert_eq!(as_of, MappingOffset(AS_OF));
        self.lowered
    }
}

fn judged(case: &Case) -> Verdict {
    judged_at(case, TargetOffset(log_end(case)))
}

fn judged_at(case: &Case, log_end: TargetOffset) -> Verdict {
    let candidate = case.translated.then_some(Candidate {
        source: SourceOffset(on(case.source, SOURCE)),
        target: TargetOffset(on(case.target, STORED)),
        first_copy: match case.first_copy {
            FirstCopy::Unknown => None,
            FirstCopy::Below => Some(TargetOffset(STORED - 1)),
            FirstCopy::AtStored => Some(TargetOffset(STORED)),
        },
        incarnation: Incarnation(7),
        confirmed: case.confirmed,
    });
    let policy = Policy {
        apply_mappings_guard: case.guard,
        on_foreign_commit: case.foreign,
        on_source_rewind: case.rewind,
        on_correction: case.correction,
        ..DEFAULTS.clone()
    };
    let findings = Findings { active: case.active, foreign_sibling: case.sibling, log_end };
    let candidate = candidate.ok_or(HoldReason::NoMapping);
    judge(&stored(case), candidate, &ownership(case), case, findings, &policy)
}

fn by_table(case: &Case, without: Option<usize>) -> Option<Verdict> {
    let rows = TABLE.iter().enumerate().filter(|(nth, _)| Some(*nth) != without);
    let mut deciding = rows.filter(|(_, (_, applies, _))| applies(case));
    deciding.next().map(|(_, (_, _, verdict))| verdict(case))
}

/// A sample of all combinations: every 101st, which is coprime to the number of choices. Contradictory
/// combinations are left out.
fn spread() -> impl Iterator<Item = Case> {
    use Side::{Above, Below, Equal};
    let stored = [
        Kind::Nothing,
        Kind::Ours,
        Kind::Copied,
        Kind::Foreign,
        Kind::Malformed,
        Kind::Newer,
        Kind::OtherPipeline,
        Kind::OtherShards,
    ];
    let sides = [Below, Equal, Above];
    let knowledge = [Behind::No, Behind::Yes, Behind::Truncated, Behind::UnknownPartition];
    let foreign = [OnForeignCommit::Hold, OnForeignCommit::ForwardOnly, OnForeignCommit::Overwrite];
    let copies = [FirstCopy::Unknown, FirstCopy::Below, FirstCopy::AtStored];
    let choices = stored.len() * 81 * knowledge.len() * foreign.len() * (1 << 13);
    (0..choices)
        .step_by(101)
        .map(move |mut number| {
            let mut pick = |of: usize| {
                let picked = number % of;
                number /= of;
                picked
            };
            Case {
                stored: stored[pick(8)],
                target: sides[pick(3)],
                source: sides[pick(3)],
                fence: sides[pick(3)],
                knowledge: knowledge[pick(4)],
                foreign: foreign[pick(3)],
                same_mapping_topic: pick(2) == 0,
                same_incarnation: pick(2) == 0,
                lowered: pick(2) == 0,
                first_copy: copies[pick(3)],
                stored_beyond_end: pick(2) == 0,
                beyond_end: pick(2) == 0,
                active: pick(2) == 0,
                sibling: pick(2) == 0,
                confirmed: pick(2) == 0,
                loading: pick(2) == 0,
                guard: pick(2) == 0,
                translated: pick(2) == 0,
                rewind: [OnSourceRewind::Follow, OnSourceRewind::Hold][pick(2)],
                correction: [OnCorrection::Follow, OnCorrection::Hold][pick(2)],
            }
        })
        .filter(|case| case.beyond_end || !case.stored_beyond_end || case.target == Below)
}

#[test]
fn the_judge_is_the_table() {
    let mut judged_cases = 0;
    for case in spread() {
        assert_eq!(Some(judged(&case)), by_table(&case, None), "{case:#?}");
        judged_cases += 1;
    }
    assert!(judged_cases > 400_000, "{judged_cases}");
}

#[test]
fn every_row_decides_something_that_no_other_would() {
    for (nth, (name, _, _)) in TABLE.iter().enumerate() {
        let missed = spread().any(|case| by_table(&case, Some(nth)) != Some(judged(&case)));
        assert!(missed, "row {name} could be deleted and nobody would notice");
    }
}

fn stored(case: &Case) -> Stored {
    match case.stored {
        Kind::Nothing => Stored::Nothing,
        Kind::Foreign => commit_with(Metadata::Foreign),
        Kind::Malformed => commit_with(Metadata::Malformed),
        Kind::Newer => commit_with(Metadata::NewerVersion { version: 9 }),
        Kind::Ours | Kind::Copied | Kind::OtherPipeline | Kind::OtherShards => {
            let source_metadata = String::new();
            commit_with(Metadata::Stamped { stamp: stamp(case), source_metadata })
        }
    }
}

fn commit_with(metadata: Metadata) -> Stored {
    Stored::Commit { offset: TargetOffset(STORED), metadata }
}
