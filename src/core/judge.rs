//! The guard. Everything that decides whether an offset may be overwritten is in this file. [`judge`]
//! is a pure function that follows the table of `docs/protocol.md`, "The judge", row by row.

use core::cmp::Ordering;

use super::ids::{
    Fence, FenceTopicTag, Incarnation, MappingOffset, MappingPartition, MappingTopicTag,
    PipelineId, Shard, ShardCount, SourceOffset, TargetOffset,
};
use super::policy::{OnCorrection, OnForeignCommit, OnSourceRewind, Policy};
use super::stamp::{Metadata, Stamp};
use super::verdict::{BlockReason, CommitReason, HoldReason, KeepReason, Verdict};

/// The result of a *successful* fetch from the target.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Stored {
    /// The fetch succeeded and found no offset.
    Nothing,
    /// The fetch found a committed offset.
    Commit {
        /// The committed offset.
        offset: TargetOffset,
        /// The commit's metadata, parsed.
        metadata: Metadata,
    },
}

/// The commit that this instance would make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Candidate {
    /// The committed offset on the source.
    pub source: SourceOffset,
    /// Its translation, clamped up to the target's log start.
    pub target: TargetOffset,
    /// The target offset of the first known copy of a record at or after `source`; `None` if no copy is
    /// known.
    pub first_copy: Option<TargetOffset>,
    /// The incarnation of the source and the target topic.
    pub incarnation: Incarnation,
    /// The source read is confirmed, and so is the log end if it is below the stored offset.
    pub confirmed: bool,
}

/// The ownership under which the commit would be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ownership {
    /// The pipeline.
    pub pipeline: PipelineId,
    /// The fence topic.
    pub fence_topic: FenceTopicTag,
    /// The group's shard.
    pub shard: Shard,
    /// The number of shards.
    pub shards: ShardCount,
    /// Our fence.
    pub fence: Fence,
    /// The mapping topic that we read.
    pub mapping_topic: MappingTopicTag,
    /// This is the first look at the group since the shard was taken over.
    pub loading: bool,
}

/// What this instance knows about the mappings.
pub trait Knowledge {
    /// Our as-of in a mapping partition; `None` if there is no such partition.
    fn as_of(&self, partition: MappingPartition) -> Option<MappingOffset>;

    /// The mapping partition's log end offset, as last read; `None` if it was not read yet.
    fn log_end(&self, partition: MappingPartition) -> Option<MappingOffset>;

    /// Whether a mapping record at or above `as_of` lowered the translation of the candidate's source
    /// position.
    fn lowered_after(&self, as_of: MappingOffset) -> bool;
}

/// What this round's successful reads found about the group and the partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Findings {
    /// The group is known to have members on the target.
    pub active: bool,
    /// Another partition of the group, of a mapped topic, has a foreign commit.
    pub foreign_sibling: bool,
    /// The target partition's log end offset.
    pub log_end: TargetOffset,
}

/// Compares the stored commit with the candidate. If the position has no translation, `candidate` is an
/// `Err` with the reason.
#[must_use]
pub fn judge(
    stored: &Stored,
    candidate: Result<Candidate, HoldReason>,
    own: &Ownership,
    knowledge: &impl Knowledge,
    findings: Findings,
    policy: &Policy,
) -> Verdict {
    let candidate = match candidate {
        Ok(candidate) => candidate,
        Err(reason) => return Verdict::Hold(reason), // row 0
    };
    if let Stored::Commit { metadata: Metadata::NewerVersion { version }, .. } = stored {
        return Verdict::Hold(HoldReason::NewerVersion { version: *version }); // row 1
    }
    if findings.active {
        return Verdict::Hold(HoldReason::Active); // row 2
    }
    if candidate.target > findings.log_end {
        return Verdict::Hold(HoldReason::BeyondEnd { end: findings.log_end }); // row 3
    }
    let verdict = if policy.apply_mappings_guard {
        guard(stored, &candidate, own, knowledge, findings, policy)
    } else {
        without_guard(stored, &candidate)
    };
    match verdict {
        Verdict::Commit(_) if !candidate.confirmed => Verdict::Hold(HoldReason::Unconfirmed),
        Verdict::Commit(_) | Verdict::Keep(_) | Verdict::Hold(_) | Verdict::Block(_) => verdict,
    }
}

/// Whether this is a foreign commit: its metadata is no stamp, or a stamp for another offset than the
/// one it is stored with.
#[must_use]
pub fn is_foreign(stored: &Stored) -> bool {
    match stored {
        Stored::Nothing => false,
        Stored::Commit { offset, metadata } => match metadata {
            Metadata::Foreign | Metadata::Malformed => true,
            Metadata::NewerVersion { .. } => false,
            Metadata::Stamped { stamp, .. } => stamp.target != *offset,
        },
    }
}

/// Whether the stored commit was decided under a fence above ours, in the same fence log.
#[must_use]
pub fn is_of_later_fence(stored: &Stored, own: &Ownership) -> bool {
    match stored {
        Stored::Nothing => false,
        Stored::Commit { offset, metadata } => match metadata {
            Metadata::Foreign | Metadata::Malformed | Metadata::NewerVersion { .. } => false,
            Metadata::Stamped { stamp, .. } => {
                stamp.target == *offset
                    && stamp.pipeline == own.pipeline
                    && same_fence_log(stamp, own)
                    && stamp.fence > own.fence
            }
        },
    }
}

/// Whether the stored commit is our own and unmodified, so that it may be rewritten byte for byte to
/// keep it from expiring. This needs neither the source nor a candidate.
#[must_use]
pub fn may_refresh(stored: &Stored, own: &Ownership, active: bool) -> bool {
    match stored {
        Stored::Nothing => false,
        Stored::Commit { offset, metadata } => match metadata {
            Metadata::Foreign | Metadata::Malformed | Metadata::NewerVersion { .. } => false,
            Metadata::Stamped { stamp, .. } => {
                !active
                    && stamp.target == *offset
                    && stamp.pipeline == own.pipeline
                    && same_fence_log(stamp, own)
                    && stamp.fence <= own.fence
            }
        },
    }
}

/// Rows 4 to 17.
fn guard(
    stored: &Stored,
    candidate: &Candidate,
    own: &Ownership,
    knowledge: &impl Knowledge,
    findings: Findings,
    policy: &Policy,
) -> Verdict {
    let (offset, stamp) = match stored {
        Stored::Nothing => {
            return sibling(findings, policy).unwrap_or(Verdict::Commit(CommitReason::First)); // row 5
        }
        Stored::Commit { offset, metadata } => match metadata {
            Metadata::Foreign | Metadata::Malformed => return foreign(*offset, candidate, policy),
            Metadata::NewerVersion { version } => {
                return Verdict::Hold(HoldReason::NewerVersion { version: *version });
            }
            Metadata::Stamped { stamp, .. } if stamp.target != *offset => {
                return foreign(*offset, candidate, policy); // row 4a
            }
            Metadata::Stamped { stamp, .. } => (offset, stamp),
        },
    };
    if let Some(held) = sibling(findings, policy) {
        return held; // row 4b
    }
    if stamp.pipeline != own.pipeline {
        return Verdict::Hold(HoldReason::OtherPipeline); // row 6
    }
    if !same_fence_log(stamp, own) {
        return Verdict::Hold(HoldReason::FenceChanged); // row 7
    }
    match dominance(stamp, own, knowledge) {
        Dominance::Yes => {
            let lowered = knowledge.lowered_after(stamp.as_of);
            ours(*offset, stamp, candidate, lowered, findings.log_end, policy)
        }
        Dominance::NewMappingTopic => {
            ours(*offset, stamp, candidate, true, findings.log_end, policy)
        }
        Dominance::No(verdict) => verdict,
    }
}

/// Whether this instance knows at least what the stored decision knew.
enum Dominance {
    Yes,
    /// The stored decision was made from another mapping topic. Its as-of cannot be compared, and the
    /// translation of any position may have been lowered.
    NewMappingTopic,
    No(Verdict),
}

/// Rows 8 to 10: the order of knowledge, component by component.
fn dominance(stamp: &Stamp, own: &Ownership, knowledge: &impl Knowledge) -> Dominance {
    if stamp.fence > own.fence {
        return Dominance::No(if own.loading {
            Verdict::Hold(HoldReason::FenceRegressed { stored: stamp.fence })
        } else {
            Verdict::Block(BlockReason::Stale { stored: stamp.fence, own: own.fence })
        }); // row 8
    }
    if stamp.mapping_topic != own.mapping_topic {
        return if stamp.fence == own.fence {
            Dominance::No(Verdict::Block(BlockReason::Refence))
        } else {
            Dominance::NewMappingTopic
        }; // row 9
    }
    let known = knowledge.as_of(stamp.mapping_partition);
    if known.is_none_or(|known| known < stamp.as_of) {
        let end = knowledge.log_end(stamp.mapping_partition);
        return Dominance::No(Verdict::Block(BlockReason::Behind {
            partition: stamp.mapping_partition,
            stored: stamp.as_of,
            own: known,
            truncated: end.is_some_and(|end| end < stamp.as_of),
        })); // row 10
    }
    Dominance::Yes
}

/// Rows 11 to 17: the stored commit is ours, and we know at least as much.
fn ours(
    stored: TargetOffset,
    stamp: &Stamp,
    candidate: &Candidate,
    lowered: bool,
    log_end: TargetOffset,
    policy: &Policy,
) -> Verdict {
    if stamp.incarnation != candidate.incarnation {
        return if candidate.source == stamp.source {
            Verdict::Hold(HoldReason::Recreated)
        } else {
            Verdict::Commit(CommitReason::Reincarnate)
        }; // row 11
    }
    let back = candidate.target < stored;
    if back && stored > log_end {
        return correct(policy); // row 12
    }
    let source_back = candidate.source < stamp.source;
    // `lowered` depends on the order in which mappings were read. A known copy below the stored offset
    // shows the same, whatever the order.
    let skips = candidate.first_copy.is_some_and(|copy| copy < stored);
    if back && !source_back && (lowered || skips) {
        return correct(policy); // row 13
    }
    if back && source_back {
        return match policy.on_source_rewind {
            OnSourceRewind::Follow => Verdict::Commit(CommitReason::FollowRewind),
            OnSourceRewind::Hold => Verdict::Hold(HoldReason::Rewind),
        }; // row 14
    }
    match candidate.target.cmp(&stored) {
        Ordering::Equal => Verdict::Keep(KeepReason::Same), // row 15
        Ordering::Greater => Verdict::Commit(CommitReason::Advance), // row 16
        Ordering::Less => Verdict::Keep(KeepReason::StoredIsSharper), // row 17
    }
}

fn foreign(stored: TargetOffset, candidate: &Candidate, policy: &Policy) -> Verdict {
    match policy.on_foreign_commit {
        OnForeignCommit::Hold => Verdict::Hold(HoldReason::Foreign),
        OnForeignCommit::Overwrite => Verdict::Commit(CommitReason::Override),
        OnForeignCommit::ForwardOnly if candidate.target > stored => {
            Verdict::Commit(CommitReason::Override)
        }
        OnForeignCommit::ForwardOnly => Verdict::Keep(KeepReason::NotForward),
    }
}

fn sibling(findings: Findings, policy: &Policy) -> Option<Verdict> {
    match policy.on_foreign_commit {
        OnForeignCommit::Hold if findings.foreign_sibling => {
            Some(Verdict::Hold(HoldReason::ForeignSibling))
        }
        OnForeignCommit::Hold | OnForeignCommit::ForwardOnly | OnForeignCommit::Overwrite => None,
    }
}

fn correct(policy: &Policy) -> Verdict {
    match policy.on_correction {
        OnCorrection::Follow => Verdict::Commit(CommitReason::Correct),
        OnCorrection::Hold => Verdict::Hold(HoldReason::Correction),
    }
}

fn without_guard(stored: &Stored, candidate: &Candidate) -> Verdict {
    match stored {
        Stored::Commit { offset, .. } if *offset == candidate.target => {
            Verdict::Keep(KeepReason::Same)
        }
        Stored::Commit { .. } | Stored::Nothing => Verdict::Commit(CommitReason::GuardOff),
    }
}

fn same_fence_log(stamp: &Stamp, own: &Ownership) -> bool {
    stamp.fence_topic == own.fence_topic && stamp.shard == own.shard && stamp.shards == own.shards
}
