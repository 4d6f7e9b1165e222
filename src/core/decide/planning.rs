//! Plans commits, with their stamps and within the brokers' limits.

use super::claims::Claim;
use super::{Decision, Planned, PlannedKind, Round};
use crate::event::TargetCommit;
use crate::ids::{Incarnation, TargetPartition};
use crate::judge::Stored;
use crate::limits::partition_bytes;
use crate::policy::Policy;
use crate::stamp::Stamp;
use crate::translate::Translated;
use crate::verdict::Verdict;

/// Plans the commit of a translated offset.
pub(super) fn plan(
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
    let composed = stamp.compose_within(
        round.limits.metadata_units(),
        guard_prefix,
        accepted_guard_prefixes,
        &claim.commit.metadata,
    );
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

/// Plans to write the stored commit again.
pub(super) fn plan_refresh(round: &Round<'_>, at: &TargetPartition, decision: &mut Decision) {
    if let Some(Some(commit)) = round.target.get(at) {
        let planned = Planned { commit: commit.clone(), kind: PlannedKind::Refresh };
        decision.commits.insert(at.clone(), planned);
    }
}

/// Limits the decision to what fits in one commit and leaves the rest for later. One partition always
/// stays.
pub(super) fn keep_within_limits(round: &Round<'_>, decision: &mut Decision) {
    let (most, group) = (round.limits.commit_bytes(), round.group.as_str());
    let mut bytes = 0;
    decision.commits.retain(|at, planned| {
        let metadata = planned.commit.metadata.as_str();
        let first = bytes == 0;
        bytes += partition_bytes(group, at.topic.as_str(), metadata);
        first || bytes <= most
    });
    decision.more = bytes > most;
}
