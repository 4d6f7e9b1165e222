//! From what was read in one round to what is to be committed for one group: translate each
//! position, judge it, and compose the stamps. Pure, like the judge that it asks.

use std::collections::{BTreeMap, BTreeSet};

use super::event::{GroupActivity, SourceCommit, TargetCommit, TargetOffsets, Topics};
use super::failure::{Failure, FailureClass};
use super::ids::{
    Fence, Incarnation, MappingOffset, MappingPartition, SourceOffset, SourcePartition,
    TargetOffset, TargetPartition, TopicId, TopicName,
};
use super::index::{Copies, Index, Lineage};
use super::judge::{
    Candidate, Findings, Knowledge, Ownership, Stored, is_foreign, is_of_later_fence, judge,
    may_refresh,
};
use super::planted::{Bug, has, misread};
use super::policy::Policy;
use super::source::SourceMemory;
use super::stamp::{Metadata, Stamp};
use super::time::Instant;
use super::translate::{Translated, translate};
use super::verdict::{HoldReason, Verdict};

/// All that a decision is made from. Every part of it was read, successfully, in this round.
pub(crate) struct Round<'a> {
    pub(crate) now: Instant,
    pub(crate) policy: &'a Policy,
    pub(crate) own: Ownership,
    pub(crate) index: &'a Index,
    pub(crate) topics: &'a Topics,
    pub(crate) target: &'a BTreeMap<TargetPartition, Option<TargetCommit>>,
    pub(crate) activity: GroupActivity,
    /// Partitions whose commit has not been written for so long that it may expire.
    pub(crate) refresh_due: BTreeSet<TargetPartition>,
    /// The round before this one failed.
    pub(crate) failed_before: bool,
}

/// What was decided for one group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Decision {
    /// Every verdict.
    pub(crate) verdicts: BTreeMap<Subject, Verdict>,
    /// What is to be committed.
    pub(crate) commits: BTreeMap<TargetPartition, Planned>,
    /// What the commits were judged against, for compare-and-swap.
    pub(crate) judged: BTreeMap<TargetPartition, Option<TargetCommit>>,
    /// A read without which some partition has no verdict.
    pub(crate) unknown: Option<Failure>,
    /// A stored commit was decided under a later fence than ours, whatever its verdict.
    pub(crate) later_fence: bool,
}

impl Decision {
    /// The highest fence above ours that the first look found.
    pub(crate) fn regressed(&self) -> Option<Fence> {
        let fences = self.verdicts.values().filter_map(|verdict| match verdict {
            Verdict::Hold(HoldReason::FenceRegressed { stored }) => Some(*stored),
            Verdict::Hold(_) | Verdict::Commit(_) | Verdict::Keep(_) | Verdict::Block(_) => None,
        });
        fences.max()
    }
}

/// What a verdict is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Subject {
    pub(crate) source: SourcePartition,
    pub(crate) target: Option<TargetPartition>,
}

/// An offset to commit.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Planned {
    pub(crate) commit: TargetCommit,
    pub(crate) kind: PlannedKind,
}

/// What kind of commit it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum PlannedKind {
    /// A translation.
    Translation {
        source: SourceOffset,
        from: Option<TargetOffset>,
        re_read: Option<u64>,
        verdict: Verdict,
        source_metadata_dropped: bool,
    },
    /// What stands there, byte for byte.
    Refresh,
}

/// The target partitions that a round of this group must read, and the source topics with them.
pub(crate) fn wanted(
    index: &Index,
    source: &SourceMemory,
) -> (BTreeSet<SourcePartition>, BTreeSet<TargetPartition>) {
    let sources: BTreeSet<_> = source.commits().map(|(partition, _)| partition.clone()).collect();
    let targets = sources
        .iter()
        .flat_map(|partition| index.lineages(partition))
        .map(|(lineage, _)| lineage.target.clone())
        .collect();
    (sources, targets)
}

/// Decides one round of one group.
pub(crate) fn decide(round: &Round<'_>, source: &mut SourceMemory) -> Decision {
    let mut decision = Decision::default();
    let read = round.target.iter();
    let stored: BTreeMap<_, _> =
        read.map(|(at, commit)| (at, misread(parse(commit, round.policy), &round.own))).collect();
    decision.later_fence = stored.values().any(|stored| is_of_later_fence(stored, &round.own));
    let foreign: BTreeSet<&TargetPartition> = stored
        .iter()
        .filter(|(at, stored)| is_foreign(stored) && round.index.is_target_topic(&at.topic))
        .map(|(at, _)| *at)
        .collect();
    let commits: Vec<_> =
        source.commits().map(|(partition, commit)| (partition.clone(), commit.clone())).collect();
    for partition in source.vanished() {
        for (lineage, _) in round.index.lineages(partition) {
            let subject =
                Subject { source: partition.clone(), target: Some(lineage.target.clone()) };
            decision.verdicts.insert(subject, Verdict::Hold(HoldReason::NoSourceOffset));
        }
    }
    let claims = claims(round, &commits, &mut decision);
    for (at, claims) in &claims {
        let Some(stored) = stored.get(at) else {
            continue;
        };
        let sibling = foreign.iter().any(|other| *other != at) && !has(Bug::ForeignSiblingIgnored);
        decide_partition(round, source, at, claims, (stored, sibling), &mut decision);
    }
    let active = round.activity == GroupActivity::Active;
    // A refresh that the broker refuses takes the rest of its transaction with it, once.
    let alone = decision.commits.is_empty();
    for (at, stored) in &stored {
        let untouched = !decision.commits.contains_key(*at) && (alone || !round.failed_before);
        if untouched && round.refresh_due.contains(*at) && may_refresh(stored, &round.own, active) {
            plan_refresh(round, at, &mut decision);
        }
    }
    if !decision.commits.is_empty() {
        decision.judged = round.target.clone();
    }
    decision
}

/// One source partition's way to a target partition.
struct Claim<'a> {
    source: &'a SourcePartition,
    commit: &'a SourceCommit,
    copies: &'a Copies,
    ids: (TopicId, TopicId),
}

fn claims<'a>(
    round: &Round<'a>,
    commits: &'a [(SourcePartition, SourceCommit)],
    decision: &mut Decision,
) -> BTreeMap<TargetPartition, Vec<Claim<'a>>> {
    let mut claims: BTreeMap<TargetPartition, Vec<Claim<'a>>> = BTreeMap::new();
    for (source, commit) in commits {
        let mut mapped = false;
        for (lineage, copies) in round.index.lineages(source) {
            let ids = match present_ids(round.topics, source, lineage) {
                Ok(Some(ids)) => ids,
                Ok(None) => continue,
                Err(Absent::Held(reason)) => {
                    mapped = true;
                    let target = Some(lineage.target.clone());
                    let subject = Subject { source: source.clone(), target };
                    decision.verdicts.insert(subject, Verdict::Hold(reason));
                    continue;
                }
                Err(Absent::NotYet) => {
                    mapped = true;
                    continue;
                }
                Err(Absent::Unknown(failure)) => {
                    mapped = true;
                    decision.unknown = Some(failure);
                    continue;
                }
            };
            mapped = true;
            let claim = Claim { source, commit, copies, ids };
            claims.entry(lineage.target.clone()).or_default().push(claim);
        }
        if !mapped {
            let subject = Subject { source: source.clone(), target: None };
            decision.verdicts.insert(subject, Verdict::Hold(HoldReason::NoMapping));
        }
    }
    claims
}

enum Absent {
    Held(HoldReason),
    Unknown(Failure),
    /// Its first mapping came when the topics of this round had been asked for: the next round has
    /// it.
    NotYet,
}

/// The topic ids as they are now; `None` where the lineage belongs to topics that are gone.
fn present_ids(
    topics: &Topics,
    source: &SourcePartition,
    lineage: &Lineage,
) -> Result<Option<(TopicId, TopicId)>, Absent> {
    let source_id = topic_id(topics.source.get(&source.topic), HoldReason::SourceMissing)?;
    let target_id = topic_id(topics.target.get(&lineage.target.topic), HoldReason::TargetMissing)?;
    let present = (source_id, target_id);
    Ok(lineage.ids.is_none_or(|ids| ids == present).then_some(present))
}

fn topic_id(
    read: Option<&Result<TopicId, Failure>>,
    missing: HoldReason,
) -> Result<TopicId, Absent> {
    match read {
        Some(Ok(id)) => Ok(*id),
        Some(Err(failure)) if failure.class == FailureClass::Missing => Err(Absent::Held(missing)),
        Some(Err(failure)) => Err(Absent::Unknown(failure.clone())),
        None => Err(Absent::NotYet),
    }
}

fn decide_partition(
    round: &Round<'_>,
    source: &mut SourceMemory,
    at: &TargetPartition,
    claims: &[Claim<'_>],
    (stored, foreign_sibling): (&Stored, bool),
    decision: &mut Decision,
) {
    let [claim] = claims else {
        for claim in claims {
            let subject = Subject { source: claim.source.clone(), target: Some(at.clone()) };
            decision.verdicts.insert(subject, Verdict::Hold(HoldReason::Merged));
        }
        return;
    };
    let subject = Subject { source: claim.source.clone(), target: Some(at.clone()) };
    let range = match round.topics.ranges.get(at) {
        Some(Ok(range)) => *range,
        Some(Err(failure)) if failure.class == FailureClass::Missing => {
            decision.verdicts.insert(subject, Verdict::Hold(HoldReason::TargetMissing));
            return;
        }
        Some(Err(failure)) => {
            decision.unknown = Some(failure.clone());
            return;
        }
        None => return,
    };
    let position = claim.commit.offset;
    let below_first = round.policy.on_below_first_mapping;
    let translated = translate(position, claim.copies, below_first, range);
    let stamped = match stored {
        Stored::Commit { metadata: Metadata::Stamped { stamp, .. }, .. } => Some(stamp.source),
        Stored::Commit { .. } | Stored::Nothing => None,
    };
    let confirmed = source.confirm(round.now, claim.source, stamped);
    let candidate = translated.as_ref().map_err(Clone::clone).map(|translated| Candidate {
        source: position,
        target: translated.target,
        first_copy: translated.first_copy,
        incarnation: Incarnation::of(claim.ids.0, claim.ids.1),
        confirmed,
    });
    let findings = Findings {
        active: round.activity == GroupActivity::Active,
        foreign_sibling,
        log_end: range.end,
    };
    let knowledge = Known { index: round.index, copies: claim.copies, position };
    let verdict = judge(stored, candidate, &round.own, &knowledge, findings, round.policy);
    if let (Verdict::Commit(_), Ok(translated)) = (&verdict, &translated) {
        plan(round, at, claim, translated, (stored, &verdict), decision);
    }
    decision.verdicts.insert(subject, verdict);
}

fn plan(
    round: &Round<'_>,
    at: &TargetPartition,
    claim: &Claim<'_>,
    translated: &Translated,
    (stored, verdict): (&Stored, &Verdict),
    decision: &mut Decision,
) {
    let partition = claim.copies.mapping_partition;
    let Some(as_of) = round.index.as_of(partition) else {
        return;
    };
    let stamp = Stamp {
        pipeline: round.own.pipeline,
        fence_topic: round.own.fence_topic,
        shard: round.own.shard,
        shards: round.own.shards,
        fence: round.own.fence,
        mapping_topic: round.own.mapping_topic,
        mapping_partition: partition,
        as_of,
        incarnation: Incarnation::of(claim.ids.0, claim.ids.1),
        source: claim.commit.offset,
        target: translated.target,
    };
    let Policy { guard_prefix, accepted_guard_prefixes, .. } = round.policy;
    let composed = stamp.compose(guard_prefix, accepted_guard_prefixes, &claim.commit.metadata);
    let from = match stored {
        Stored::Nothing => None,
        Stored::Commit { offset, .. } => Some(*offset),
    };
    let kind = PlannedKind::Translation {
        source: claim.commit.offset,
        from,
        re_read: translated.re_read,
        verdict: verdict.clone(),
        source_metadata_dropped: composed.source_metadata_dropped,
    };
    let commit = TargetCommit { offset: translated.target, metadata: composed.text };
    decision.commits.insert(at.clone(), Planned { commit, kind });
}

fn plan_refresh(round: &Round<'_>, at: &TargetPartition, decision: &mut Decision) {
    if let Some(Some(commit)) = round.target.get(at) {
        let planned = Planned { commit: commit.clone(), kind: PlannedKind::Refresh };
        decision.commits.insert(at.clone(), planned);
    }
}

fn parse(commit: &Option<TargetCommit>, policy: &Policy) -> Stored {
    match commit {
        None => Stored::Nothing,
        Some(TargetCommit { offset, metadata }) => {
            let accepted = policy.accepted_guard_prefixes.iter().map(String::as_str);
            let prefixes = accepted.chain([policy.guard_prefix.as_str()]);
            Stored::Commit { offset: *offset, metadata: Metadata::parse(metadata, prefixes) }
        }
    }
}

/// Partitions whose read failed leave the whole group without a verdict: a foreign commit may hide
/// behind any of them.
pub(crate) fn all_read(
    target: TargetOffsets,
) -> Result<BTreeMap<TargetPartition, Option<TargetCommit>>, Failure> {
    let target = target.into_iter();
    if has(Bug::FailedFetchIsNothing) {
        return Ok(target.map(|(partition, read)| (partition, read.ok().flatten())).collect());
    }
    target.map(|(partition, read)| Ok((partition, read?))).collect()
}

struct Known<'a> {
    index: &'a Index,
    copies: &'a Copies,
    position: SourceOffset,
}

impl Knowledge for Known<'_> {
    fn as_of(&self, partition: MappingPartition) -> Option<MappingOffset> {
        self.index.as_of(partition)
    }

    fn log_end(&self, partition: MappingPartition) -> Option<MappingOffset> {
        self.index.log_end(partition)
    }

    fn lowered_after(&self, as_of: MappingOffset) -> bool {
        self.copies.staircase.lowered_after(self.position, as_of)
    }
}

/// The pairs of topics behind offset syncs, which do not tell the topics' ids themselves.
pub(crate) fn synced_topics<'a>(
    index: &'a Index,
    sources: impl Iterator<Item = &'a SourcePartition>,
) -> BTreeSet<(TopicName, TopicName)> {
    sources
        .flat_map(|source| index.lineages(source).map(move |(lineage, _)| (source, lineage)))
        .filter(|(_, lineage)| lineage.ids.is_none())
        .map(|(source, lineage)| (source.topic.clone(), lineage.target.topic.clone()))
        .collect()
}
