//! The judge and its table, for arbitrary input.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::Situations;
use super::choices::Choices;
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

/// Every row of the table, and what may replace or follow it.
#[rustfmt::skip]
pub(super) const SITUATIONS: &[&str] = &[
    "0", "1", "2", "3", "off", "4a", "4b", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14",
    "15", "16", "17", "unconfirmed",
];

/// What is known of each mapping partition: as-of and log end.
#[derive(Clone, Debug)]
pub(super) struct Known {
    partitions: BTreeMap<MappingPartition, (MappingOffset, Option<MappingOffset>)>,
    fell: Option<MappingOffset>,
}

impl Knowledge for Known {
    fn as_of(&self, partition: MappingPartition) -> Option<MappingOffset> {
        self.partitions.get(&partition).map(|(as_of, _)| *as_of)
    }

    fn log_end(&self, partition: MappingPartition) -> Option<MappingOffset> {
        self.partitions.get(&partition)?.1
    }

    fn lowered_after(&self, as_of: MappingOffset) -> bool {
        self.fell.is_some_and(|fell| fell > as_of)
    }
}

pub(super) fn run(bytes: &[u8], situations: &mut Situations) {
    let choices = &mut Choices::new(bytes);
    let policy = policy(choices);
    let (stored, mut candidate) = (stored(choices), candidate(choices));
    let own = ownership(choices);
    let knowledge = known(choices);
    let findings = Findings {
        active: choices.rarely(8),
        foreign_sibling: choices.rarely(8),
        log_end: TargetOffset(if choices.rarely(4) { choices.number() } else { i64::MAX }),
    };
    if let Ok(candidate) = &mut candidate {
        candidate.first_copy = choices.flag().then(|| TargetOffset(choices.number()));
    }
    let judged = judge(&stored, candidate.clone(), &own, &knowledge, findings, &policy);
    let (stored, candidate, own) = (&stored, &candidate, &own);
    let (knowledge, policy) = (&knowledge, &policy);
    let (row, expected) = specification::verdict(specification::Facts {
        stored,
        candidate,
        own,
        knowledge,
        findings,
        policy,
    });
    situations.reach(row);
    assert_eq!(
        judged, expected,
        "left: the judge; right: row {row} of docs/protocol.md, \"The judge\"; for {stored:?}, \
         {candidate:?}, {own:?}, {knowledge:?}, {findings:?}, {policy:?}"
    );
    assert_eq!(is_foreign(stored), specification::is_foreign(stored), "{stored:?}");
    let later = specification::is_of_later_fence(stored, own);
    assert_eq!(is_of_later_fence(stored, own), later, "{stored:?} {own:?}");
    let may = specification::may_refresh(stored, own, findings.active);
    assert_eq!(may_refresh(stored, own, findings.active), may, "{stored:?} {own:?}");
}

/// Created once, because it compiles a regular expression.
static DEFAULTS: LazyLock<Policy> = LazyLock::new(|| Policy::for_pipeline("dr"));

fn policy(choices: &mut Choices<'_>) -> Policy {
    Policy {
        apply_mappings_guard: !choices.rarely(8),
        on_foreign_commit: choices.of(&[
            OnForeignCommit::Hold,
            OnForeignCommit::ForwardOnly,
            OnForeignCommit::Overwrite,
        ]),
        on_source_rewind: choices.of(&[OnSourceRewind::Follow, OnSourceRewind::Hold]),
        on_correction: choices.of(&[OnCorrection::Follow, OnCorrection::Hold]),
        ..DEFAULTS.clone()
    }
}

fn stored(choices: &mut Choices<'_>) -> Stored {
    let metadata = match choices.below(8) {
        0 => return Stored::Nothing,
        1 => Metadata::Foreign,
        2 => Metadata::Malformed,
        3 => Metadata::NewerVersion { version: choices.word() },
        _ => {
            let (target, copied) = (choices.number(), choices.rarely(8));
            let stamp = stamp(choices, TargetOffset(target));
            let offset = if copied { choices.number() } else { target };
            let metadata = Metadata::Stamped { stamp, source_metadata: String::new() };
            return Stored::Commit { offset: TargetOffset(offset), metadata };
        }
    };
    Stored::Commit { offset: TargetOffset(choices.number()), metadata }
}

fn stamp(choices: &mut Choices<'_>, target: TargetOffset) -> Stamp {
    Stamp {
        pipeline: PipelineId(other(choices)),
        fence_topic: FenceTopicTag(other(choices)),
        shard: Shard(other(choices)),
        shards: ShardCount(other(choices)),
        fence: Fence(choices.number()),
        mapping_topic: MappingTopicTag(other(choices)),
        mapping_partition: MappingPartition(choices.below(3) as i32),
        as_of: MappingOffset(choices.number()),
        incarnation: Incarnation(other(choices)),
        source: SourceOffset(choices.number()),
        target,
    }
}

/// 0 for "ours", and now and then something else.
fn other(choices: &mut Choices<'_>) -> u32 {
    u32::from(choices.rarely(16))
}

fn candidate(choices: &mut Choices<'_>) -> Result<Candidate, HoldReason> {
    if choices.rarely(16) {
        let first = SourceOffset(choices.number());
        let reasons = [
            HoldReason::NoMapping,
            HoldReason::BelowFirst { first },
            HoldReason::Replay { until: None },
            HoldReason::Replay { until: Some(first) },
        ];
        return Err(choices.of(&reasons));
    }
    Ok(Candidate {
        source: SourceOffset(choices.number()),
        target: TargetOffset(choices.number()),
        first_copy: None,
        incarnation: Incarnation(other(choices)),
        confirmed: !choices.rarely(8),
    })
}

fn ownership(choices: &mut Choices<'_>) -> Ownership {
    Ownership {
        pipeline: PipelineId(0),
        fence_topic: FenceTopicTag(0),
        shard: Shard(0),
        shards: ShardCount(0),
        fence: Fence(choices.number()),
        mapping_topic: MappingTopicTag(other(choices)),
        loading: choices.flag(),
    }
}

fn known(choices: &mut Choices<'_>) -> Known {
    let mut partitions = BTreeMap::new();
    for partition in 0..choices.below(4) {
        let as_of = MappingOffset(choices.number());
        let end = choices.flag().then(|| MappingOffset(choices.number()));
        partitions.insert(MappingPartition(partition as i32), (as_of, end));
    }
    let fell = choices.flag().then(|| MappingOffset(choices.number()));
    Known { partitions, fell }
}
