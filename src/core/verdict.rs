//! What the judge may say, each with the reason as a type that a person can read.

use core::fmt;

use super::ids::{Fence, MappingOffset, MappingPartition, SourceOffset, TargetOffset};

/// The judge's answer for one target partition of one group (`docs/protocol.md`, "The judge").
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Write the candidate.
    Commit(CommitReason),
    /// What is stored stays, and that is right.
    Keep(KeepReason),
    /// Nothing is written until the reason goes away or somebody acts.
    Hold(HoldReason),
    /// The guard refuses: this instance knows less than the one that wrote what is stored.
    Block(BlockReason),
}

/// Why an offset is committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CommitReason {
    /// Nothing was stored.
    First,
    /// The stored commit is foreign, and `groups.onForeignCommit` gives it up.
    Override,
    /// The source or the target topic was recreated.
    Reincarnate,
    /// The stored offset skips: it is beyond the log end, or newer mappings lowered it.
    Correct,
    /// The source group was set back.
    FollowRewind,
    /// The source group went on.
    Advance,
    /// The guard is disabled: nothing was compared.
    GuardOff,
}

/// Why what is stored stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeepReason {
    /// The stored offset is the candidate.
    Same,
    /// The stored commit is foreign and `groups.onForeignCommit: forwardOnly` does not go back.
    NotForward,
    /// An earlier owner knew more of the history; its offset re-reads less.
    StoredIsSharper,
}

/// Why nothing is written for now.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HoldReason {
    /// The source group has no committed offset for the partition.
    NoSourceOffset,
    /// No mapping of the source partition is known for the topics as they are now.
    NoMapping,
    /// The committed offset lies below the first mapping known.
    BelowFirst {
        /// The first source offset that a mapping covers.
        first: SourceOffset,
    },
    /// The replicator copies a part of the source once more.
    Replay {
        /// The source offset that the mappings must pass; unknown until the source log was read.
        until: Option<SourceOffset>,
    },
    /// Two source partitions of the group are mapped onto this target partition.
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
    /// The mapping is ahead of the target log.
    BeyondEnd {
        /// The target's log end offset.
        end: TargetOffset,
    },
    /// Somebody else committed this partition.
    Foreign,
    /// Somebody else committed another partition of the group.
    ForeignSibling,
    /// Another pipeline's stamp.
    OtherPipeline,
    /// Another fence topic, shard or shard count.
    FenceChanged,
    /// A stored fence above ours right after we took over: another owner came, or the fence topic lost
    /// records. Told only where a new take-over did not get above it.
    FenceRegressed {
        /// The fence found in the stamp.
        stored: Fence,
    },
    /// A topic was recreated and the source group has not committed since.
    Recreated,
    /// The stored offset skips, and `groups.onCorrection` says hold.
    Correction,
    /// The source group went back, and `groups.onSourceRewind` says hold.
    Rewind,
    /// What was read of the source, or of the target's log end, is not confirmed yet.
    Unconfirmed,
    /// A foreign transaction with offsets of the partition is pending and does not end.
    PendingTransaction,
}

/// Why the guard refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BlockReason {
    /// The stored stamp has a higher fence: another instance owns the group.
    Stale {
        /// The fence found in the stamp.
        stored: Fence,
        /// Ours.
        own: Fence,
    },
    /// The mapping topic was recreated during this ownership: the shard must be taken over anew.
    Refence,
    /// This instance has not applied what the stored decision had.
    Behind {
        /// The mapping partition in question.
        partition: MappingPartition,
        /// The stored as-of.
        stored: MappingOffset,
        /// Ours, if the partition is known.
        own: Option<MappingOffset>,
        /// The mapping log ends below the stored as-of: it was truncated and will not come back.
        truncated: bool,
    },
}

impl Verdict {
    /// The reason in one word, as it stands in logs and, later, in metrics.
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
            Self::Override => "a foreign commit is given up (groups.onForeignCommit)",
            Self::Reincarnate => "a topic was recreated and the source group committed since",
            Self::Correct => "the stored offset skips records",
            Self::FollowRewind => "the source group was set back",
            Self::Advance => "the source group went on",
            Self::GuardOff => "the guard is disabled (features.applyMappingsGuard)",
        })
    }
}

impl fmt::Display for KeepReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Same => "already there",
            Self::NotForward => "a foreign commit further ahead stays (groups.onForeignCommit)",
            Self::StoredIsSharper => "an earlier owner knew more of the history",
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
                "the committed offset is below the first mapping known (source offset {first}); \
                 groups.onBelowFirstMapping: logStart would use the target's log start"
            ),
            Self::Replay { until: Some(until) } => {
                write!(f, "the replicator copies again; waiting until it passes {until}")
            }
            Self::Replay { until: None } => {
                f.write_str("the replicator copies again; the source's log end is being read")
            }
            Self::Merged => {
                f.write_str("two source partitions are mapped onto this target partition")
            }
            Self::TargetMissing => f.write_str("the target topic or partition does not exist"),
            Self::SourceMissing => f.write_str("the source topic does not exist"),
            Self::NewerVersion { version } => write!(
                f,
                "the stamp has version {version}, newer than this Sprag knows; upgrade this one"
            ),
            Self::Active => f.write_str("the group has members on the target"),
            Self::BeyondEnd { end } => {
                write!(f, "the mapping is ahead of the target's log end offset {end}")
            }
            Self::Foreign => f.write_str(
                "the stored commit is not Sprag's; groups.onForeignCommit says who wins",
            ),
            Self::ForeignSibling => {
                f.write_str("another partition of the group has a commit that is not Sprag's")
            }
            Self::OtherPipeline => {
                f.write_str("another pipeline's stamp; two pipelines write here")
            }
            Self::FenceChanged => f.write_str(
                "the stamp is of another fence topic, shard or shard count; to have the group synced \
                 anew, delete its offsets on the target",
            ),
            Self::FenceRegressed { stored } => write!(
                f,
                "the stamp's fence {stored} is above the one just taken: the fence topic lost \
                 records; to have the group synced anew, delete its offsets on the target"
            ),
            Self::Recreated => {
                f.write_str("a topic was recreated and the source group has not committed since")
            }
            Self::Correction => {
                f.write_str("the stored offset skips records (groups.onCorrection: hold)")
            }
            Self::Rewind => {
                f.write_str("the source group was set back (groups.onSourceRewind: hold)")
            }
            Self::Unconfirmed => f.write_str(
                "what was read may be out of date (the source's offset, or a target log end below \
                 the stored offset); it is read again (groups.confirmAfter)",
            ),
            Self::PendingTransaction => f.write_str(
                "a transaction of another producer holds an offset of this partition and does not \
                 end; kafka-transactions.sh find-hanging and abort help where its producer is gone",
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
            Self::Refence => f.write_str("the mapping topic was recreated under this ownership"),
            Self::Behind { partition, stored, own, truncated } => {
                write!(f, "the stored commit knew mapping partition {partition} up to {stored}, ")?;
                match own {
                    Some(own) => write!(f, "we know it up to {own}")?,
                    None => f.write_str("we do not know that partition")?,
                }
                if *truncated {
                    f.write_str("; the mapping log ends below that: it lost records")?;
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
#[path = "verdict_tests.rs"]
mod tests;
