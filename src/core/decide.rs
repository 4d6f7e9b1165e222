//! Decides what to commit for one group, from what one round has read: translates each position, asks
//! the judge, and composes the stamps. Pure, like the judge.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use self::claims::{Claim, claims};
use self::planning::{keep_within_limits, plan, plan_refresh};
use super::event::{GroupActivity, LogRange, TargetCommit, TargetOffsets, Topics};
use super::failure::{Failure, FailureClass};
use super::ids::{
    Fence, GroupId, Incarnation, MappingOffset, MappingPartition, SourceOffset, SourcePartition,
    TargetOffset, TargetPartition, TopicName,
};
use super::index::{Copies, Index};
use super::judge::{
    Candidate, Findings, Knowledge, Ownership, Stored, is_foreign, is_of_later_fence, judge,
    may_refresh,
};
use super::limits::CommitLimits;
use super::planted::{Bug, has, misread};
use super::policy::Policy;
use super::source::SourceMemory;
use super::stamp::Metadata;
use super::time::Instant;
use super::translate::translate;
use super::verdict::{HoldReason, Verdict};

mod claims;
mod planning;

/// The input of a decision. Its offsets and topics were all read successfully in this round.
pub(crate) struct Round<'a> {
    pub(crate) now: Instant,
    pub(crate) policy: &'a Policy,
    pub(crate) own: Ownership,
    pub(crate) index: &'a Index,
    pub(crate) topics: &'a Topics,
    pub(crate) target: &'a BTreeMap<TargetPartition, Option<TargetCommit>>,
    pub(crate) activity: GroupActivity,
    /// Partitions whose commit is due to be written again before it expires.
    pub(crate) refresh_due: BTreeSet<TargetPartition>,
    /// The previous round failed.
    pub(crate) failed_before: bool,
    /// The group.
    pub(crate) group: &'a GroupId,
    /// The target brokers' limits.
    pub(crate) limits: &'a CommitLimits,
    /// Partitions whose log ends below the stored offset, and since when.
    pub(crate) short_logs: &'a BTreeMap<TargetPartition, Instant>,
}

/// The decision for one group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Decision {
    /// All verdicts.
    pub(crate) verdicts: BTreeMap<Subject, Verdict>,
    /// The offsets to commit.
    pub(crate) commits: BTreeMap<TargetPartition, Planned>,
    /// The stored offsets that the commits were judged against, for compare-and-swap.
    pub(crate) judged: BTreeMap<TargetPartition, Option<TargetCommit>>,
    /// A failed read that leaves some partition without a verdict.
    pub(crate) unknown: Option<Failure>,
    /// Some stored commit was decided under a fence above ours, whatever the verdict.
    pub(crate) later_fence: bool,
    /// Partitions whose log ends below the stored offset.
    pub(crate) short_logs: BTreeSet<TargetPartition>,
    /// There is more to commit than fits in one commit.
    pub(crate) more: bool,
}

impl Decision {
    /// The highest stored fence above ours that the group's first look after a take-over found.
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

/// The kind of a planned commit.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum PlannedKind {
    /// A translated offset.
    Translation {
        source: SourceOffset,
        from: Option<TargetOffset>,
        re_read: Option<u64>,
        verdict: Verdict,
        source_metadata_dropped: bool,
    },
    /// The stored commit, byte for byte.
    Refresh,
}

/// The source partitions that the group has committed, and the target partitions that they are mapped
/// to: what a round must read.
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
    // A refresh that the broker refuses fails its whole transaction. After a failed round, refreshes
    // therefore do not share a transaction with translations.
    let alone = decision.commits.is_empty();
    for (at, stored) in &stored {
        let untouched = !decision.commits.contains_key(*at) && (alone || !round.failed_before);
        if untouched && round.refresh_due.contains(*at) && may_refresh(stored, &round.own, active) {
            plan_refresh(round, at, &mut decision);
        }
    }
    keep_within_limits(round, &mut decision);
    if !decision.commits.is_empty() {
        decision.judged = round.target.clone();
    }
    decision
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
        Stored::Commit { metadata: Metadata::Stamped { stamp, .. }, .. } => Some(*stamp),
        Stored::Commit { .. } | Stored::Nothing => None,
    };
    let incarnation = Incarnation::of(claim.ids.0, claim.ids.1);
    source.judged_for(round.now, claim.source, incarnation, stamped.map(|stamp| stamp.incarnation));
    let source_confirmed =
        source.confirm(round.now, claim.source, stamped.map(|stamp| stamp.source));
    let confirmed = source_confirmed && log_end_confirmed(round, at, stored, range, decision);
    let candidate = translated.as_ref().map_err(Clone::clone).map(|translated| Candidate {
        source: position,
        target: translated.target,
        first_copy: translated.first_copy,
        incarnation,
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

/// Whether the target's log end is confirmed. A log end below the stored offset may come from a newly
/// elected leader that is behind, so it counts only after it stayed there for `groups.confirmAfter`.
fn log_end_confirmed(
    round: &Round<'_>,
    at: &TargetPartition,
    stored: &Stored,
    range: LogRange,
    decision: &mut Decision,
) -> bool {
    match stored {
        Stored::Commit { offset, .. } if *offset > range.end => {
            decision.short_logs.insert(at.clone());
            let since = round.short_logs.get(at);
            since.is_some_and(|since| round.now.since(*since) >= round.policy.confirm_after)
        }
        Stored::Commit { .. } | Stored::Nothing => true,
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

/// The stored offsets, if all partitions were read. A single failed read leaves the whole group without
/// a verdict, because it may hide a foreign commit.
///
/// # Errors
///
/// The first failure that is not a pending transaction; if there is none, a pending transaction.
pub(crate) fn all_read(
    target: TargetOffsets,
) -> Result<BTreeMap<TargetPartition, Option<TargetCommit>>, Failure> {
    let target = target.into_iter();
    if has(Bug::FailedFetchIsNothing) {
        return Ok(target.map(|(partition, read)| (partition, read.ok().flatten())).collect());
    }
    let mut all = BTreeMap::new();
    let mut unstable = None;
    for (partition, read) in target {
        match read {
            Ok(stored) => {
                all.insert(partition, stored);
            }
            Err(failure) if failure.class == FailureClass::Unstable => unstable = Some(failure),
            Err(failure) => return Err(failure),
        }
    }
    unstable.map_or(Ok(all), Err)
}

/// The partitions with a pending transaction.
pub(crate) fn pending(target: &TargetOffsets) -> BTreeSet<TargetPartition> {
    let unstable = |read: &Result<_, Failure>| {
        read.as_ref().is_err_and(|failure: &Failure| failure.class == FailureClass::Unstable)
    };
    target.iter().filter(|(_, read)| unstable(read)).map(|(at, _)| at.clone()).collect()
}

/// The verdicts for partitions with a pending transaction that does not end.
pub(crate) fn held_by_pending(
    index: &Index,
    source: &SourceMemory,
    pending: &BTreeSet<TargetPartition>,
) -> BTreeMap<Subject, Verdict> {
    let mapped = source.commits().flat_map(|(at, _)| {
        index.lineages(at).map(move |(lineage, _)| (at.clone(), lineage.target.clone()))
    });
    mapped
        .filter(|(_, target)| pending.contains(target))
        .map(|(source, target)| {
            let subject = Subject { source, target: Some(target) };
            (subject, Verdict::Hold(HoldReason::PendingTransaction))
        })
        .collect()
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

/// The pairs of source and target topic that are known from offset syncs, which carry no topic ids.
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
