//! The core's log messages: one note for each change that an operator should know about.

use alloc::sync::Arc;
use core::fmt;

use super::failure::Failure;
use super::ids::{
    BrokerId, Fence, GroupId, MappingPartition, Shard, SourceOffset, SourcePartition, TargetOffset,
    TargetPartition, TopicName,
};
use super::verdict::Verdict;

const GUARD_IS_OFF: &str = "THE GUARD IS OFF (features.applyMappingsGuard: disabled): offsets may go \
     backwards; use this only for a full reset or for troubleshooting";
const SOURCE_DISTURBED: &str = "another connection or another broker answers now; offsets that changed \
     with its first answer are read again before they are used";

/// The log level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// For looking into a single group.
    Debug,
    /// A change in normal operation.
    Info,
    /// Somebody should look at it today.
    Warn,
    /// Somebody should look at it now.
    Error,
}

/// A message for the log.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Note {
    /// `features.applyMappingsGuard` is disabled.
    GuardDisabled,
    /// The mapping topic was found and is being read.
    ReadingMappings {
        /// Its partition count.
        partitions: i32,
    },
    /// Nothing can be translated: the replicator publishes no mappings, or publishes them elsewhere.
    NoMappings {
        /// What was looked for, and what to do.
        detail: Arc<str>,
    },
    /// All mappings are read again: the mapping topic was recreated, lost unread records or changed
    /// its partition count, or a replicated topic was recreated.
    MappingsRestarted {
        /// What was found.
        detail: Arc<str>,
    },
    /// A mapping partition cannot be read at the moment.
    MappingReadFailed {
        /// The partition.
        partition: MappingPartition,
        /// The failure.
        failure: Failure,
    },
    /// A later mapping record showed that some translations were too high.
    Lowered {
        /// The source partition.
        source: SourcePartition,
    },
    /// Two publishers mapped the same source offsets.
    TwicePublished {
        /// The source partition.
        source: SourcePartition,
    },
    /// A source or target topic was recreated; its earlier offset syncs are dropped.
    TopicRecreated {
        /// The source topic.
        source: TopicName,
        /// The target topic.
        target: TopicName,
    },
    /// A shard was taken over.
    FenceAcquired {
        /// The shard.
        shard: Shard,
        /// Its fence.
        fence: Fence,
    },
    /// This instance has read the mappings, and now decides and commits for the shard.
    ShardActive {
        /// The shard.
        shard: Shard,
        /// Its fence.
        fence: Fence,
    },
    /// A shard could not be taken over; it is tried again.
    FencingFailed {
        /// The shard.
        shard: Shard,
        /// The failure.
        failure: Failure,
    },
    /// Another instance owns the shard now, or the shard's producer can no longer be used.
    StoodDown {
        /// The shard.
        shard: Shard,
        /// What was found.
        detail: Arc<str>,
    },
    /// A shard was given back or lost.
    ShardLeft {
        /// The shard.
        shard: Shard,
    },
    /// An offset is known to be committed.
    Committed {
        /// The group.
        group: GroupId,
        /// The partition.
        target: TargetPartition,
        /// The offset that it replaced, if there was one.
        from: Option<TargetOffset>,
        /// The committed offset on the target.
        to: TargetOffset,
        /// The committed offset on the source.
        source: SourceOffset,
        /// At most this many records are read again by a consumer that resumes here, if known.
        re_read: Option<u64>,
        /// The verdict, with its reason.
        verdict: Verdict,
    },
    /// Our own commit was written again so that it does not expire.
    Refreshed {
        /// The group.
        group: GroupId,
        /// The partition.
        target: TargetPartition,
        /// The committed offset.
        offset: TargetOffset,
    },
    /// A partition is held, kept or blocked, and the verdict or its reason is new.
    Judged {
        /// The group.
        group: GroupId,
        /// The source partition.
        source: SourcePartition,
        /// The target partition, if a mapping names one.
        target: Option<TargetPartition>,
        /// The verdict.
        verdict: Verdict,
    },
    /// A stored offset changed between check and commit, so the commit was aborted.
    Overtaken {
        /// The group.
        group: GroupId,
        /// The partition that changed.
        target: TargetPartition,
    },
    /// The source's commit metadata did not fit next to the stamp.
    SourceMetadataDropped {
        /// The group.
        group: GroupId,
        /// The partition.
        target: TargetPartition,
    },
    /// A round of a group failed; it is tried again after a back-off.
    GroupFailed {
        /// The group.
        group: GroupId,
        /// The failure.
        failure: Failure,
    },
    /// Groups could not be listed, or topics could not be described; the previous answer stays in use.
    ListingFailed {
        /// The failure.
        failure: Failure,
    },
    /// Another connection or another broker now answers for the groups of this source coordinator.
    /// Offsets that changed with its first answer must be confirmed.
    SourceDisturbed {
        /// The coordinator, if known.
        coordinator: Option<BrokerId>,
    },
    /// A selected group is not synced, because its protocol commits no offsets.
    GroupLeftOut {
        /// The group.
        group: GroupId,
        /// Its protocol type.
        protocol: Arc<str>,
    },
    /// A chunk of runs was found in a mapping partition that its source partition does not hash to.
    Misplaced {
        /// The source partition.
        source: SourcePartition,
        /// The mapping partition that holds the chunk.
        found: MappingPartition,
        /// The mapping partition that should hold it.
        expected: MappingPartition,
    },
    /// A broker may carry out a request of the shard's producer late, so the shard gets a new producer
    /// before anything else is done for it.
    ProducerReplaced {
        /// The shard.
        shard: Shard,
        /// What was found.
        detail: Arc<str>,
    },
}

impl Note {
    /// The note's name, for the log field `event`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::GuardDisabled => "guard_disabled",
            Self::ReadingMappings { .. } => "reading_mappings",
            Self::NoMappings { .. } => "no_mappings",
            Self::MappingsRestarted { .. } => "mappings_restarted",
            Self::MappingReadFailed { .. } => "mapping_read_failed",
            Self::Lowered { .. } => "lowered",
            Self::TwicePublished { .. } => "twice_published",
            Self::TopicRecreated { .. } => "topic_recreated",
            Self::FenceAcquired { .. } => "fence_acquired",
            Self::ShardActive { .. } => "shard_active",
            Self::FencingFailed { .. } => "fencing_failed",
            Self::StoodDown { .. } => "stood_down",
            Self::ShardLeft { .. } => "shard_left",
            Self::Committed { .. } => "committed",
            Self::Refreshed { .. } => "refreshed",
            Self::Judged { .. } => "judged",
            Self::Overtaken { .. } => "overtaken",
            Self::SourceMetadataDropped { .. } => "source_metadata_dropped",
            Self::GroupFailed { .. } => "group_failed",
            Self::ListingFailed { .. } => "listing_failed",
            Self::SourceDisturbed { .. } => "source_disturbed",
            Self::ProducerReplaced { .. } => "producer_replaced",
            Self::GroupLeftOut { .. } => "group_left_out",
            Self::Misplaced { .. } => "misplaced",
        }
    }

    /// The short name of the verdict's reason, for the log field `reason`.
    #[must_use]
    pub fn reason(&self) -> Option<&'static str> {
        match self {
            Self::Committed { verdict, .. } | Self::Judged { verdict, .. } => Some(verdict.name()),
            Self::GuardDisabled
            | Self::ReadingMappings { .. }
            | Self::NoMappings { .. }
            | Self::MappingsRestarted { .. }
            | Self::MappingReadFailed { .. }
            | Self::Lowered { .. }
            | Self::TwicePublished { .. }
            | Self::TopicRecreated { .. }
            | Self::FenceAcquired { .. }
            | Self::ShardActive { .. }
            | Self::FencingFailed { .. }
            | Self::StoodDown { .. }
            | Self::ShardLeft { .. }
            | Self::Refreshed { .. }
            | Self::Overtaken { .. }
            | Self::SourceMetadataDropped { .. }
            | Self::GroupFailed { .. }
            | Self::ListingFailed { .. }
            | Self::SourceDisturbed { .. }
            | Self::ProducerReplaced { .. }
            | Self::GroupLeftOut { .. }
            | Self::Misplaced { .. } => None,
        }
    }

    /// The level to log it at.
    #[must_use]
    pub fn level(&self) -> Level {
        match self {
            Self::GuardDisabled | Self::NoMappings { .. } => Level::Error,
            Self::MappingsRestarted { .. }
            | Self::MappingReadFailed { .. }
            | Self::TwicePublished { .. }
            | Self::TopicRecreated { .. }
            | Self::FencingFailed { .. }
            | Self::StoodDown { .. }
            | Self::Overtaken { .. }
            | Self::SourceMetadataDropped { .. }
            | Self::GroupFailed { .. }
            | Self::ListingFailed { .. }
            | Self::Misplaced { .. }
            | Self::Lowered { .. } => Level::Warn,
            Self::ReadingMappings { .. }
            | Self::FenceAcquired { .. }
            | Self::ShardActive { .. }
            | Self::ShardLeft { .. }
            | Self::Committed { .. }
            | Self::ProducerReplaced { .. }
            | Self::GroupLeftOut { .. }
            | Self::SourceDisturbed { .. } => Level::Info,
            Self::Refreshed { .. } => Level::Debug,
            Self::Judged { verdict, .. } => match verdict {
                Verdict::Commit(_) | Verdict::Keep(_) => Level::Debug,
                Verdict::Hold(_) => Level::Info,
                Verdict::Block(_) => Level::Warn,
            },
        }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::GuardDisabled => f.write_str(GUARD_IS_OFF),
            Self::ReadingMappings { partitions } => {
                write!(f, "reading the mapping topic's {partitions} partition(s) from the start")
            }
            Self::NoMappings { detail } => write!(f, "nothing is translated: {detail}"),
            Self::MappingsRestarted { detail } => {
                write!(f, "reading all mappings again and taking over all shards again: {detail}")
            }
            Self::MappingReadFailed { partition, failure } => {
                write!(f, "mapping partition {partition} cannot be read: {failure}")
            }
            Self::Lowered { source } => {
                write!(f, "{source}: a mapping that was published late lowered some translations")
            }
            Self::TwicePublished { source } => write!(
                f,
                "{source}: two publishers mapped the same source offsets; are two replicators running?"
            ),
            Self::TopicRecreated { source, target } => write!(
                f,
                "{source} or {target} was recreated: earlier offset syncs of this pair are dropped"
            ),
            Self::FenceAcquired { shard, fence } => {
                write!(f, "shard {shard} taken over with fence {fence}; catching up")
            }
            Self::ShardActive { shard, fence } => {
                write!(f, "shard {shard} is active under fence {fence}")
            }
            Self::FencingFailed { shard, failure } => {
                write!(f, "shard {shard} could not be taken over: {failure}")
            }
            Self::StoodDown { shard, detail } => {
                write!(f, "shard {shard} stood down and stopped committing: {detail}")
            }
            Self::ShardLeft { shard } => write!(f, "this instance no longer owns shard {shard}"),
            Self::Committed { .. } => self.fmt_committed(f),
            Self::Refreshed { group, target, offset } => {
                write!(f, "{group} {target}: {offset} was written again before it expires")
            }
            Self::Judged { group, source, target, verdict } => match target {
                Some(target) => write!(f, "{group} {target} (from {source}): {verdict}"),
                None => write!(f, "{group} {source}: {verdict}"),
            },
            Self::Overtaken { group, target } => write!(
                f,
                "{group} {target}: the stored offset changed before our commit, which was aborted"
            ),
            Self::SourceMetadataDropped { group, target } => write!(
                f,
                "{group} {target}: the source's commit metadata does not fit next to the stamp and \
                 was left out"
            ),
            Self::GroupFailed { group, failure } => write!(f, "{group}: {failure}"),
            Self::ListingFailed { failure } => write!(f, "{failure}"),
            Self::SourceDisturbed { coordinator: Some(broker) } => {
                write!(f, "source coordinator {broker}: {SOURCE_DISTURBED}")
            }
            Self::SourceDisturbed { coordinator: None } => {
                write!(f, "unknown source coordinator: {SOURCE_DISTURBED}")
            }
            Self::GroupLeftOut { group, protocol } => write!(
                f,
                "{group} is not synced: groups of protocol type {protocol:?} commit no offsets"
            ),
            Self::Misplaced { source, found, expected } => write!(
                f,
                "mappings of {source} are in mapping partition {found}, expected {expected}. Does the \
                 publisher use murmur2? Were partitions added to the mapping topic? These mappings \
                 are used, but in guarded mode an owner that has not read them is not detected"
            ),
            Self::ProducerReplaced { shard, detail } => write!(
                f,
                "shard {shard} gets a new producer before it continues, so that brokers refuse the \
                 late request: {detail}"
            ),
        }
    }
}

impl Note {
    fn fmt_committed(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Committed { group, target, from, to, source, re_read, verdict } = self else {
            return Ok(());
        };
        write!(f, "{group} {target}: committed {to}")?;
        if let Some(from) = from {
            write!(f, " over {from}")?;
        }
        write!(f, " for source offset {source} ({verdict}")?;
        match re_read {
            Some(0) => f.write_str("; exact)"),
            Some(count) => write!(f, "; re-reads at most {count} records)"),
            None => f.write_str(")"),
        }
    }
}
