//! The judge's verdicts. Each carries its reason as a type, and `Display` turns it into a sentence.

use core::fmt;

use super::ids::{Fence, MappingOffset, MappingPartition, SourceOffset, TargetOffset};

/// The judge's answer for one target partition of one group (`docs/protocol.md`, "The judge").
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Write the candidate.
    Commit(CommitReason),
    /// Leave the stored offset as it is; it is right.
    Keep(KeepReason),
    /// Write nothing until the reason goes away or somebody acts.
    Hold(HoldReason),
    /// The guard refuses: this instance knows less than the one that wrote the stored commit.
    Block(BlockReason),
}

/// Why an offset is committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CommitReason {
    /// Nothing was stored.
    First,
    /// The stored commit is foreign, and `groups.onForeignCommit` allows overwriting it.
    Override,
    /// The source or the target topic was recreated.
    Reincarnate,
    /// The stored offset skips records: it is beyond the log end, or newer mappings lowered the
    /// translation below it.
    Correct,
    /// The source group moved back.
    FollowRewind,
    /// The translation is above the stored offset.
    Advance,
    /// The guard is disabled; no stamps were compared.
    GuardOff,
}

/// Why the stored offset stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeepReason {
    /// The stored offset equals the candidate.
    Same,
    /// The stored commit is foreign, and `groups.onForeignCommit: forwardOnly` overwrites it only
    /// with a higher offset.
    NotForward,
    /// An earlier owner knew more of the history, so its offset re-reads less.
    StoredIsSharper,
}

/// Why nothing is written for now.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HoldReason {
    /// The source group no longer has a committed offset for the partition.
    NoSourceOffset,
    /// No mapping of the source partition is known for the current incarnation of the topics.
    NoMapping,
    /// The committed offset is below the first known mapping.
    BelowFirst {
        /// The first source offset that a mapping covers.
        first: SourceOffset,
    },
    /// The replicator is copying a part of the source again.
    Replay {
        /// The source offset that the mappings must pass; `None` until the source's log end is read.
        until: Option<SourceOffset>,
    },
    /// Several source partitions of the group are mapped to this target partition.
    Merged,
    /// The target topic or partition does not exist.
    TargetMissing,
    /// The source topic does not exist.
    SourceMissing,
    /// The stamp was written by a newer Sprag.
    NewerVersion {
        /// The stamp's version.
        version: u32,
    },
    /// The group has members on the target.
    Active,
    /// The translation is beyond the end of the target log.
    BeyondEnd {
        /// The target's log end offset.
        end: TargetOffset,
    },
    /// The stored commit of this partition is foreign.
    Foreign,
    /// The stored commit of another partition of the group is foreign.
    ForeignSibling,
    /// The stamp belongs to another pipeline.
    OtherPipeline,
    /// The stamp names another fence topic, shard or shard count.
    FenceChanged,
    /// In the first look after a take-over, the stamp's fence is above ours: another instance took the
    /// shard over, or the fence topic lost records. Reported only if another take-over did not yield a
    /// higher fence.
    FenceRegressed {
        /// The fence found in the stamp.
        stored: Fence,
    },
    /// A topic was recreated and the source group has not committed since.
    Recreated,
    /// The stored offset skips records, and `groups.onCorrection` is `hold`.
    Correction,
    /// The source group moved back, and `groups.onSourceRewind` is `hold`.
    Rewind,
    /// The source offset, or a target log end below the stored offset, is not confirmed yet.
    Unconfirmed,
    /// A foreign transaction with offsets of the partition has been pending for too long.
    PendingTransaction,
}

/// Why the guard refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BlockReason {
    /// The stored stamp has a higher fence: another instance owns the shard now.
    Stale {
        /// The fence found in the stamp.
        stored: Fence,
        /// Our fence.
        own: Fence,
    },
    /// The mapping topic was recreated during this ownership: the shard must be taken over again.
    Refence,
    /// This instance has not applied all the mappings that the stored decision was based on.
    Behind {
        /// The mapping partition of the stamp.
        partition: MappingPartition,
        /// The stamp's as-of.
        stored: MappingOffset,
        /// Our as-of; `None` if there is no such partition.
        own: Option<MappingOffset>,
        /// The mapping log ends below the stored as-of: it was truncated, and the records are lost.
        truncated: bool,
    },
}

impl Verdict {
    /// The reason's short name, for the log field `reason`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Commit(reason) => reason.name(),
            Self::Keep(reason) => reason.name(),
            Self::Hold(reason) => reason.name(),
            Self::Block(reason) => reason.name(),
        }
    }
}

impl CommitReason {
    fn name(self) -> &'static str {
        match self {
            Self::First => "First",
            Self::Override => "Override",
            Self::Reincarnate => "Reincarnate",
            Self::Correct => "Correct",
            Self::FollowRewind => "FollowRewind",
            Self::Advance => "Advance",
            Self::GuardOff => "GuardOff",
        }
    }
}

impl KeepReason {
    fn name(self) -> &'static str {
        match self {
            Self::Same => "Same",
            Self::NotForward => "NotForward",
            Self::StoredIsSharper => "StoredIsSharper",
        }
    }
}

impl HoldReason {
    fn name(&self) -> &'static str {
        match self {
            Self::NoSourceOffset => "NoSourceOffset",
            Self::NoMapping => "NoMapping",
            Self::BelowFirst { .. } => "BelowFirst",
            Self::Replay { .. } => "Replay",
            Self::Merged => "Merged",
            Self::TargetMissing => "TargetMissing",
            Self::SourceMissing => "SourceMissing",
            Self::NewerVersion { .. } => "NewerVersion",
            Self::Active => "Active",
            Self::BeyondEnd { .. } => "BeyondEnd",
            Self::Foreign => "Foreign",
            Self::ForeignSibling => "ForeignSibling",
            Self::OtherPipeline => "OtherPipeline",
            Self::FenceChanged => "FenceChanged",
            Self::FenceRegressed { .. } => "FenceRegressed",
            Self::Recreated => "Recreated",
            Self::Correction => "Correction",
            Self::Rewind => "Rewind",
            Self::Unconfirmed => "Unconfirmed",
            Self::PendingTransaction => "PendingTransaction",
        }
    }
}

impl BlockReason {
    fn name(self) -> &'static str {
        match self {
            Self::Stale { .. } => "Stale",
            Self::Refence => "Refence",
            Self::Behind { .. } => "Behind",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Commit(reason) => write!(f, "commit: {reason}"),
            Self::Keep(reason) => write!(f, "keep: {reason}"),
            Self::Hold(reason) => write!(f, "hold: {reason}"),
            Self::Block(reason) => write!(f, "blocked: {reason}"),
        }
    }
}

impl fmt::Display for CommitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::First => "nothing was stored",
            Self::Override => "a foreign commit is overwritten (groups.onForeignCommit)",
            Self::Reincarnate => "a topic was recreated and the source group has committed since",
            Self::Correct => "the stored offset skips records",
            Self::FollowRewind => "the source group moved back",
            Self::Advance => "the translated offset moved forward",
            Self::GuardOff => "the guard is disabled (features.applyMappingsGuard)",
        })
    }
}

impl fmt::Display for KeepReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Same => "already stored",
            Self::NotForward => {
                "a foreign commit stays, because the translated offset is not above it \
                 (groups.onForeignCommit)"
            }
            Self::StoredIsSharper => {
                "the stored offset is more exact: an earlier owner knew more of the history"
            }
        })
    }
}

impl fmt::Display for HoldReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSourceOffset => f.write_str("the source group has no committed offset here"),
            Self::NoMapping => f.write_str(
                "no mapping of this source partition is known; is the replicator publishing?",
            ),
            Self::BelowFirst { first } => write!(
                f,
                "the committed offset is below the first known mapping (source offset {first}); \
                 groups.onBelowFirstMapping: logStart would commit the target's log start offset"
            ),
            Self::Replay { until: Some(until) } => {
                write!(
                    f,
                    "the replicator is copying again; waiting until it passes source offset {until}"
                )
            }
            Self::Replay { until: None } => {
                f.write_str("the replicator is copying again; reading the source's log end")
            }
            Self::Merged => {
                f.write_str("several source partitions are mapped to this target partition")
            }
            Self::TargetMissing => f.write_str("the target topic or partition does not exist"),
            Self::SourceMissing => f.write_str("the source topic does not exist"),
            Self::NewerVersion { version } => write!(
                f,
                "the stamp has version {version}, which this instance cannot read; upgrade Sprag"
            ),
            Self::Active => f.write_str("the group has members on the target"),
            Self::BeyondEnd { end } => {
                write!(f, "the translated offset is above the target's log end offset {end}")
            }
            Self::Foreign => f.write_str(
                "the stored commit is not Sprag's; groups.onForeignCommit decides whether it stays",
            ),
            Self::ForeignSibling => {
                f.write_str("another partition of the group has a commit that is not Sprag's")
            }
            Self::OtherPipeline => f.write_str(
                "the stored commit has another pipeline's stamp; is a second pipeline committing here?",
            ),
            Self::FenceChanged => f.write_str(
                "the stamp names another fence topic, shard or shard count; to sync the group again, \
                 delete its offsets on the target",
            ),
            Self::FenceRegressed { stored } => write!(
                f,
                "the stamp's fence {stored} is above the one just taken: the fence topic lost \
                 records; to sync the group again, delete its offsets on the target"
            ),
            Self::Recreated => {
                f.write_str("a topic was recreated and the source group has not committed since")
            }
            Self::Correction => {
                f.write_str("the stored offset skips records (groups.onCorrection: hold)")
            }
            Self::Rewind => {
                f.write_str("the source group moved back (groups.onSourceRewind: hold)")
            }
            Self::Unconfirmed => f.write_str(
                "the source offset, or a target log end below the stored offset, may be out of date; \
                 waiting for a second read to confirm it (groups.confirmAfter)",
            ),
            Self::PendingTransaction => f.write_str(
                "another producer's transaction holds an offset of this partition and does not end; \
                 if that producer is gone, use kafka-transactions.sh find-hanging and abort",
            ),
        }
    }
}

impl fmt::Display for BlockReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stale { stored, own } => write!(
                f,
                "the stored commit was decided under fence {stored}, ours is {own}: another \
                 instance owns this group now"
            ),
            Self::Refence => {
                f.write_str("the mapping topic was recreated after this shard was taken over")
            }
            Self::Behind { partition, stored, own, truncated } => {
                write!(
                    f,
                    "the stored commit used mapping partition {partition} up to {stored}, but this \
                     instance "
                )?;
                match own {
                    Some(own) => write!(f, "has read it only up to {own}")?,
                    None => f.write_str("does not know that partition")?,
                }
                if *truncated {
                    write!(f, "; the mapping log ends below {stored}: it lost records")?;
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests;
