//! The table of `docs/protocol.md`, "The judge", as a list of rows: the first one that has something
//! to say wins. Written from the document, not from the guard.

use sprag_core::ids::TargetOffset;
use sprag_core::judge::{Candidate, Findings, Knowledge, Ownership, Stored};
use sprag_core::policy::{OnCorrection, OnForeignCommit, OnSourceRewind, Policy};
use sprag_core::stamp::{Metadata, Stamp};
use sprag_core::verdict::{BlockReason, CommitReason, HoldReason, KeepReason, Verdict};

/// All that a row may look at.
pub(crate) struct Facts<'a, K> {
    pub(crate) stored: &'a Stored,
    pub(crate) candidate: &'a Result<Candidate, HoldReason>,
    pub(crate) own: &'a Ownership,
    pub(crate) knowledge: &'a K,
    pub(crate) findings: Findings,
    pub(crate) policy: &'a Policy,
}

/// The names of the rows.
pub(crate) const ROWS: &[&str] = &[
    "0",
    "1",
    "2",
    "3",
    "off",
    "4a",
    "4b",
    "5",
    "6",
    "7",
    "8",
    "9",
    "10",
    "11",
    "12",
    "13",
    "14",
    "15",
    "16",
    "17",
    "unconfirmed",
];

/// The verdict, and the row that gave it.
pub(crate) fn verdict<K: Knowledge>(facts: &Facts<'_, K>) -> (&'static str, Verdict) {
    let candidate = match facts.candidate {
        Err(reason) => return ("0", Verdict::Hold(reason.clone())),
        Ok(candidate) => candidate,
    };
    let found = before_the_guard(facts, candidate).unwrap_or_else(|| match facts.policy {
        Policy { apply_mappings_guard: false, .. } => ("off", guard_off(facts, candidate)),
        Policy { apply_mappings_guard: true, .. } => guarded(facts, candidate),
    });
    // Every commit needs a confirmed source read.
    match found {
        (_, Verdict::Commit(_)) if !candidate.confirmed => {
            ("unconfirmed", Verdict::Hold(HoldReason::Unconfirmed))
        }
        decided => decided,
    }
}

fn before_the_guard<K>(
    facts: &Facts<'_, K>,
    candidate: &Candidate,
) -> Option<(&'static str, Verdict)> {
    if let Stored::Commit { metadata: Metadata::NewerVersion { version }, .. } = facts.stored {
        let version = *version;
        return Some(("1", Verdict::Hold(HoldReason::NewerVersion { version })));
    }
    if facts.findings.active {
        return Some(("2", Verdict::Hold(HoldReason::Active)));
    }
    let end = facts.findings.log_end;
    (candidate.target > end).then_some(("3", Verdict::Hold(HoldReason::BeyondEnd { end })))
}

/// "The rest is commit *GuardOff* where T ≠ S or nothing is stored, else keep *Same*."
fn guard_off<K>(facts: &Facts<'_, K>, candidate: &Candidate) -> Verdict {
    if offset_of(facts.stored) == Some(candidate.target) {
        Verdict::Keep(KeepReason::Same)
    } else {
        Verdict::Commit(CommitReason::GuardOff)
    }
}

fn guarded<K: Knowledge>(facts: &Facts<'_, K>, candidate: &Candidate) -> (&'static str, Verdict) {
    let policy = facts.policy.on_foreign_commit;
    if let Some(stored) = offset_of(facts.stored)
        && is_foreign(facts.stored)
    {
        let forward = candidate.target > stored;
        let verdict = match (policy, forward) {
            (OnForeignCommit::Hold, _) => Verdict::Hold(HoldReason::Foreign),
            (OnForeignCommit::Overwrite, _) | (OnForeignCommit::ForwardOnly, true) => {
                Verdict::Commit(CommitReason::Override)
            }
            (OnForeignCommit::ForwardOnly, false) => Verdict::Keep(KeepReason::NotForward),
        };
        return ("4a", verdict);
    }
    if facts.findings.foreign_sibling && policy == OnForeignCommit::Hold {
        return ("4b", Verdict::Hold(HoldReason::ForeignSibling));
    }
    match stamp_of(facts.stored) {
        None => ("5", Verdict::Commit(CommitReason::First)),
        Some(stamp) => match knows_less(facts, stamp) {
            Some(refusal) => refusal,
            None => stamped(facts, candidate, stamp),
        },
    }
}

/// Rows 6 to 10: whether this instance may say anything about the stamp's commit.
fn knows_less<K: Knowledge>(
    facts: &Facts<'_, K>,
    stamp: &Stamp,
) -> Option<(&'static str, Verdict)> {
    let own = facts.own;
    if stamp.pipeline != own.pipeline {
        return Some(("6", Verdict::Hold(HoldReason::OtherPipeline)));
    }
    if (stamp.fence_topic, stamp.shard, stamp.shards) != (own.fence_topic, own.shard, own.shards) {
        return Some(("7", Verdict::Hold(HoldReason::FenceChanged)));
    }
    if stamp.fence > own.fence && own.loading {
        return Some(("8", Verdict::Hold(HoldReason::FenceRegressed { stored: stamp.fence })));
    }
    if stamp.fence > own.fence {
        let stale = BlockReason::Stale { stored: stamp.fence, own: own.fence };
        return Some(("8", Verdict::Block(stale)));
    }
    if stamp.mapping_topic != own.mapping_topic {
        let same = stamp.fence == own.fence;
        return same.then_some(("9", Verdict::Block(BlockReason::Refence)));
    }
    let ours = facts.knowledge.as_of(stamp.mapping_partition);
    let end = facts.knowledge.log_end(stamp.mapping_partition);
    if ours >= Some(stamp.as_of) {
        return None;
    }
    let behind = BlockReason::Behind {
        partition: stamp.mapping_partition,
        stored: stamp.as_of,
        own: ours,
        truncated: matches!(end, Some(end) if end < stamp.as_of),
    };
    Some(("10", Verdict::Block(behind)))
}

/// Rows 11 to 17.
fn stamped<K: Knowledge>(
    facts: &Facts<'_, K>,
    candidate: &Candidate,
    stamp: &Stamp,
) -> (&'static str, Verdict) {
    // A stamp that is not foreign stands at its own offset.
    let (s, t) = (stamp.target, candidate.target);
    let (stored_n, n) = (stamp.source, candidate.source);
    let lowered = stamp.mapping_topic != facts.own.mapping_topic
        || facts.knowledge.lowered_after(stamp.as_of);
    let skips = candidate.first_copy.is_some_and(|first| first < s);
    let corrected = || match facts.policy.on_correction {
        OnCorrection::Follow => Verdict::Commit(CommitReason::Correct),
        OnCorrection::Hold => Verdict::Hold(HoldReason::Correction),
    };
    let rewound = || match facts.policy.on_source_rewind {
        OnSourceRewind::Follow => Verdict::Commit(CommitReason::FollowRewind),
        OnSourceRewind::Hold => Verdict::Hold(HoldReason::Rewind),
    };
    let recreated = stamp.incarnation != candidate.incarnation;
    if recreated && n == stored_n {
        ("11", Verdict::Hold(HoldReason::Recreated))
    } else if recreated {
        ("11", Verdict::Commit(CommitReason::Reincarnate))
    } else if s > facts.findings.log_end && t < s {
        ("12", corrected())
    } else if t < s && n >= stored_n && (lowered || skips) {
        ("13", corrected())
    } else if t < s && n < stored_n {
        ("14", rewound())
    } else if t == s {
        ("15", Verdict::Keep(KeepReason::Same))
    } else if t > s {
        ("16", Verdict::Commit(CommitReason::Advance))
    } else {
        ("17", Verdict::Keep(KeepReason::StoredIsSharper))
    }
}

/// "Foreign, malformed, or S is not its stamp's offset."
pub(crate) fn is_foreign(stored: &Stored) -> bool {
    let Stored::Commit { offset, metadata } = stored else {
        return false;
    };
    *metadata == Metadata::Foreign
        || *metadata == Metadata::Malformed
        || stamp_of(stored).is_some_and(|stamp| stamp.target != *offset)
}

/// Our stamp of our fence log, under a fence above ours.
pub(crate) fn is_of_later_fence(stored: &Stored, own: &Ownership) -> bool {
    is_of_our_log(stored, own) && stamp_of(stored).is_some_and(|stamp| stamp.fence > own.fence)
}

/// "No members, our stamp, our pipeline, our fence log, and no higher fence."
pub(crate) fn may_refresh(stored: &Stored, own: &Ownership, active: bool) -> bool {
    !active && is_of_our_log(stored, own) && !is_of_later_fence(stored, own)
}

fn is_of_our_log(stored: &Stored, own: &Ownership) -> bool {
    let of_ours = |stamp: &Stamp| {
        (stamp.pipeline, stamp.fence_topic, stamp.shard, stamp.shards)
            == (own.pipeline, own.fence_topic, own.shard, own.shards)
    };
    !is_foreign(stored) && stamp_of(stored).is_some_and(of_ours)
}

fn offset_of(stored: &Stored) -> Option<TargetOffset> {
    match stored {
        Stored::Nothing => None,
        Stored::Commit { offset, .. } => Some(*offset),
    }
}

fn stamp_of(stored: &Stored) -> Option<&Stamp> {
    match stored {
        Stored::Commit { metadata: Metadata::Stamped { stamp, .. }, .. } => Some(stamp),
        Stored::Commit { .. } | Stored::Nothing => None,
    }
}
