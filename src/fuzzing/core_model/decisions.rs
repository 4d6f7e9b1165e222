//! What a round must come to, by `docs/protocol.md`: claims, translation, the judge's table, stamps and
//! refreshes, all from plain lists.

use std::collections::{BTreeMap, BTreeSet};

use crate::core::event::{GroupActivity, LogRange, SourceCommit, TargetCommit, Topics};
use crate::core::failure::{Failure, FailureClass};
use crate::core::ids::{
    Fence, Incarnation, MappingOffset, MappingPartition, SourceOffset, SourcePartition,
    TargetOffset, TargetPartition, TopicId,
};
use crate::core::judge::{Candidate, Findings, Knowledge, Ownership, Stored};
use crate::core::policy::{OnBelowFirstMapping, Policy};
use crate::core::runs::Translation;
use crate::core::stamp::Metadata;
use crate::core::verdict::{BlockReason, HoldReason, Verdict};

use super::super::Situations;
use super::super::judge::specification::{
    Facts, is_foreign, is_of_later_fence, may_refresh, verdict,
};
use super::super::known_copies::{Lane, Reference, first_copy, translation};
use super::belief::Memory;

/// All that a round has to go by.
pub(super) struct Ground<'a> {
    pub(super) now: u64,
    pub(super) policy: &'a Policy,
    pub(super) own: Ownership,
    pub(super) known: &'a Reference,
    pub(super) log_ends: &'a BTreeMap<MappingPartition, MappingOffset>,
    pub(super) topics: &'a Topics,
    pub(super) target: &'a Target,
    pub(super) activity: GroupActivity,
    pub(super) refresh_due: BTreeSet<TargetPartition>,
    pub(super) failed_before: bool,
}

/// What a group has on the target.
pub(super) type Target = BTreeMap<TargetPartition, Option<TargetCommit>>;

/// What the round comes to.
#[derive(Clone, Debug, Default)]
pub(super) struct Decided {
    pub(super) commits: BTreeMap<TargetPartition, TargetCommit>,
    pub(super) refreshed: BTreeSet<TargetPartition>,
    pub(super) stands_down: bool,
    pub(super) is_active: bool,
    pub(super) unknown: Option<FailureClass>,
    pub(super) later_fence: bool,
    /// The highest fence above ours in a first look.
    pub(super) regressed: Option<Fence>,
}

struct Claim<'a> {
    source: &'a SourcePartition,
    commit: &'a SourceCommit,
    lane: &'a Lane,
    incarnation: Incarnation,
}

pub(super) fn decide(
    ground: &Ground<'_>,
    memory: &mut Memory,
    situations: &mut Situations,
) -> Decided {
    let mut decided = Decided::default();
    let stored: BTreeMap<_, _> =
        ground.target.iter().map(|(at, commit)| (at, parse(commit, ground.policy))).collect();
    decided.later_fence = stored.values().any(|stored| is_of_later_fence(stored, &ground.own));
    let commits = memory.commits();
    for (at, claims) in claims(ground, &commits, &mut decided) {
        let (Some(stored), [claim]) = (stored.get(&at), claims.as_slice()) else {
            continue;
        };
        let Some(range) = range(ground.topics.ranges.get(&at), &mut decided) else {
            continue;
        };
        let (row, verdict) = judged(ground, memory, &at, claim, stored, range);
        situations.reach(row);
        match verdict {
            Verdict::Commit(_) => {
                let target = target_of(ground, claim, range).unwrap_or_default();
                decided.commits.insert(at, stamped(ground, claim, target));
            }
            Verdict::Block(BlockReason::Stale { .. } | BlockReason::Refence) => {
                decided.stands_down = true;
            }
            Verdict::Hold(HoldReason::Active) => decided.is_active = true,
            Verdict::Hold(HoldReason::FenceRegressed { stored }) => {
                decided.regressed = decided.regressed.max(Some(stored));
            }
            Verdict::Hold(_) | Verdict::Keep(_) | Verdict::Block(BlockReason::Behind { .. }) => {}
        }
    }
    let alone = decided.commits.is_empty();
    for (at, stored) in stored {
        let due = ground.refresh_due.contains(at) && !decided.commits.contains_key(at);
        let active = ground.activity == GroupActivity::Active;
        if due && (alone || !ground.failed_before) && may_refresh(&stored, &ground.own, active) {
            decided.refreshed.insert(at.clone());
            decided.commits.extend(ground.target[at].clone().map(|commit| (at.clone(), commit)));
        }
    }
    decided
}

/// The ways of the group's positions to the target, through topics that exist as they were copied.
fn claims<'a>(
    ground: &'a Ground<'_>,
    commits: &'a [(SourcePartition, SourceCommit)],
    decided: &mut Decided,
) -> BTreeMap<TargetPartition, Vec<Claim<'a>>> {
    let mut claims: BTreeMap<TargetPartition, Vec<Claim<'a>>> = BTreeMap::new();
    for (source, commit) in commits {
        for ((_, lineage), lane) in ground.known.lanes.iter().filter(|((at, _), _)| at == source) {
            let source_id = ground.topics.source.get(&source.topic);
            let target_id = ground.topics.target.get(&lineage.target.topic);
            let ids = present(source_id, decided)
                .and_then(|source| Some((source, present(target_id, decided)?)));
            if let Some((source_id, target_id)) = ids
                && lineage.ids.is_none_or(|copied| Some(copied) == ids)
            {
                let incarnation = Incarnation::of(source_id, target_id);
                let claim = Claim { source, commit, lane, incarnation };
                claims.entry(lineage.target.clone()).or_default().push(claim);
            }
        }
    }
    claims
}

fn present(read: Option<&Result<TopicId, Failure>>, decided: &mut Decided) -> Option<TopicId> {
    match read? {
        Ok(id) => Some(*id),
        Err(failure) => {
            unread(failure, decided);
            None
        }
    }
}

fn range(read: Option<&Result<LogRange, Failure>>, decided: &mut Decided) -> Option<LogRange> {
    match read? {
        Ok(range) => Some(*range),
        Err(failure) => {
            unread(failure, decided);
            None
        }
    }
}

/// What is missing is held; what could not be read is not known.
fn unread(failure: &Failure, decided: &mut Decided) {
    if failure.class != FailureClass::Missing {
        decided.unknown = Some(failure.class);
    }
}

fn judged(
    ground: &Ground<'_>,
    memory: &mut Memory,
    at: &TargetPartition,
    claim: &Claim<'_>,
    stored: &Stored,
    range: LogRange,
) -> (&'static str, Verdict) {
    let stamped = match stored {
        Stored::Commit { metadata: Metadata::Stamped { stamp, .. }, .. } => Some(stamp.source),
        Stored::Commit { .. } | Stored::Nothing => None,
    };
    let confirmed = memory.confirm(ground.now, claim.source, stamped);
    let candidate = target_of(ground, claim, range).map(|target| Candidate {
        source: claim.commit.offset,
        target,
        first_copy: first_copy(&claim.lane.kept, claim.commit.offset.get()),
        incarnation: claim.incarnation,
        confirmed,
    });
    let copied_to = |other: &TargetPartition| {
        ground.known.lanes.keys().any(|(_, lineage)| lineage.target.topic == other.topic)
    };
    let foreign_sibling = ground.target.iter().any(|(other, commit)| {
        other != at && copied_to(other) && is_foreign(&parse(commit, ground.policy))
    });
    let active = ground.activity == GroupActivity::Active;
    let facts = Facts {
        stored,
        candidate: &candidate,
        own: &ground.own,
        knowledge: &Known { ground, claim },
        findings: Findings { active, foreign_sibling, log_end: range.end },
        policy: ground.policy,
    };
    verdict(&facts)
}

fn target_of(
    ground: &Ground<'_>,
    claim: &Claim<'_>,
    range: LogRange,
) -> Result<TargetOffset, HoldReason> {
    let position = claim.commit.offset.get();
    if let Some(until) = claim.lane.replay
        && until.is_none_or(|until| position < until)
    {
        return Err(HoldReason::Replay { until: until.map(SourceOffset) });
    }
    match translation(&claim.lane.kept, position).1 {
        Translation::Exact { target } | Translation::LowerBound { target, .. } => {
            Ok(target.max(range.start))
        }
        Translation::BelowFirst { first } => match ground.policy.on_below_first_mapping {
            OnBelowFirstMapping::Hold => Err(HoldReason::BelowFirst { first: first.source }),
            OnBelowFirstMapping::LogStart => Ok(range.start),
        },
        Translation::Empty => Err(HoldReason::NoMapping),
    }
}

fn stamped(ground: &Ground<'_>, claim: &Claim<'_>, target: TargetOffset) -> TargetCommit {
    let own = &ground.own;
    let partition = claim.lane.partition;
    let as_of = ground.known.as_of.get(&partition).copied().unwrap_or_default();
    let mut metadata = format!(
        "{}v1:{}:{}.{}/{}.{}:{}.{partition}.{as_of}:{}:{}@{target}",
        ground.policy.guard_prefix,
        own.pipeline,
        own.fence_topic,
        own.shard,
        own.shards,
        own.fence,
        own.mapping_topic,
        claim.incarnation,
        claim.commit.offset
    );
    if !claim.commit.metadata.is_empty() {
        metadata.push_str(&format!("|{}", claim.commit.metadata));
    }
    TargetCommit { offset: target, metadata }
}

fn parse(commit: &Option<TargetCommit>, policy: &Policy) -> Stored {
    match commit {
        None => Stored::Nothing,
        Some(commit) => Stored::Commit {
            offset: commit.offset,
            metadata: Metadata::parse(&commit.metadata, [policy.guard_prefix.as_str()]),
        },
    }
}

struct Known<'a> {
    ground: &'a Ground<'a>,
    claim: &'a Claim<'a>,
}

impl Knowledge for Known<'_> {
    fn as_of(&self, partition: MappingPartition) -> Option<MappingOffset> {
        self.ground.known.as_of.get(&partition).copied()
    }

    fn log_end(&self, partition: MappingPartition) -> Option<MappingOffset> {
        self.ground.log_ends.get(&partition).copied()
    }

    fn lowered_after(&self, as_of: MappingOffset) -> bool {
        let fell = self.claim.lane.fell.get(&self.claim.commit.offset.get());
        fell.is_some_and(|fell| *fell > as_of)
    }
}
