//! What the core tells people: one note per change, at the level an operator wants it.

use alloc::sync::Arc;
use core::fmt;

use super::failure::Failure;
use super::ids::{
    BrokerId, Fence, GroupId, MappingPartition, Shard, SourceOffset, SourcePartition, TargetOffset,
    TargetPartition, TopicName,
};
use super::verdict::Verdict;

const GUARD_IS_OFF: &str = "THE GUARD IS OFF (features.applyMappingsGuard: disabled): offsets may go \
     backwards; use this for a full reset or for troubleshooting only";
const SOURCE_DISTURBED: &str = "another connection or another broker answers now; offsets that changed \
     with its answer are read again before they count";

/// How loudly to tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// For somebody who looks into one group.
    Debug,
    /// What changed.
    Info,
    /// Somebody should look at it today.
    Warn,
    /// Somebody should look at it now.
    Error,
}

/// Something to tell.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Note {
    /// `features.applyMappingsGuard` is disabled.
    GuardDisabled,
    /// The mapping topic was found and is being read.
    ReadingMappings {
        /// Its partition count.
        partitions: i32,
    },
    /// Nothing can be translated: the replicator does not publish, or not there.
    NoMappings {
        /// What was looked for and what to do.
        detail: Arc<str>,
    },
    /// The mapping topic was recreated, truncated or changed its partition count.
    MappingsRestarted {
        /// What was seen.
        detail: Arc<str>,
    },
    /// A mapping partition cannot be read for now.
    MappingReadFailed {
        /// The partition.
        partition: MappingPartition,
        /// The failure.
        failure: Failure,
    },
    /// A later record showed that a translation was too high somewhere.
    Lowered {
        /// The source partition.
        source: SourcePartition,
    },
    /// Two publishers copied the same source offsets.
    TwicePublished {
        /// The source partition.
        source: SourcePartition,
    },
    /// A source or target topic was recreated; its offset syncs are forgotten.
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
    /// A shard's owner has read all mappings and may decide.
    ShardActive {
        /// The shard.
        shard: Shard,
        /// Its fence.
        fence: Fence,
    },
    /// A shard could not be taken over for now.
    FencingFailed {
        /// The shard.
        shard: Shard,
        /// The failure.
        failure: Failure,
    },
    /// Another instance owns the shard now, or its producer is beyond use.
    StoodDown {
        /// The shard.
        shard: Shard,
        /// What showed it.
        detail: Arc<str>,
    },
    /// A shard was given back or lost.
    ShardLeft {
        /// The shard.
        shard: Shard,
    },
    /// An offset was committed; it stands.
    Committed {
        /// The group.
        group: GroupId,
        /// The partition.
        target: TargetPartition,
        /// What stood there before, if anything.
        from: Option<TargetOffset>,
        /// What stands there now.
        to: TargetOffset,
        /// The committed offset on the source.
        source: SourceOffset,
        /// How many records a consumer that resumes here reads again at the most, if known.
        re_read: Option<u64>,
        /// Why, with the judge's word.
        verdict: Verdict,
    },
    /// Our own commit was written again, so that it does not expire.
    Refreshed {
        /// The group.
        group: GroupId,
        /// The partition.
        target: TargetPartition,
        /// What stands there.
        offset: TargetOffset,
    },
    /// A partition is held, kept or blocked for another reason than before.
    Judged {
        /// The group.
        group: GroupId,
        /// The source partition.
        source: SourcePartition,
        /// The target partition, where a mapping tells it.
        target: Option<TargetPartition>,
        /// The verdict.
        verdict: Verdict,
    },
    /// What was judged changed before the commit was complete; it was aborted.
    Overtaken {
        /// The group.
        group: GroupId,
        /// The partition that changed.
        target: TargetPartition,
    },
    /// The source's metadata did not fit beside the stamp.
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
    /// A listing or description failed; what was known stands.
    ListingFailed {
        /// The failure.
        failure: Failure,
    },
    /// Somebody else than before answers for the groups of this coordinator on the source: what
    /// changes with that answer is confirmed before it counts.
    SourceDisturbed {
        /// The coordinator, where it is known.
        coordinator: Option<BrokerId>,
    },
    /// A group that is selected commits no offsets, so there is nothing to sync.
    GroupLeftOut {
        /// The group.
        group: GroupId,
        /// Its protocol type.
        protocol: Arc<str>,
    },
    /// A chunk of runs stands in another mapping partition than its source partition's.
    Misplaced {
        /// The source partition.
        source: SourcePartition,
        /// Where it stands.
        found: MappingPartition,
        /// Where it should.
        expected: MappingPartition,
    },
    /// A request of the shard's producer may be carried out late, so the shard gets another producer
    /// before it goes on.
    ProducerReplaced {
        /// The shard.
        shard: Shard,
        /// What showed it.
        detail: Arc<str>,
    },
}

impl Note {
    /// Its name, as the field `event` of a log line has it.
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

    /// The judge's word, where the note is about a verdict; the field `reason` of a log line.
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

    /// How loudly to tell it.
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
                write!(f, "the mappings are read anew and all shards taken over anew: {detail}")
            }
            Self::MappingReadFailed { partition, failure } => {
                write!(f, "mapping partition {partition} cannot be read: {failure}")
            }
            Self::Lowered { source } => write!(
                f,
                "{source}: a copy further back was published later; some translations fell"
            ),
            Self::TwicePublished { source } => write!(
                f,
                "{source}: two publishers copied the same source offsets; do two replicators run?"
            ),
            Self::TopicRecreated { source, target } => write!(
                f,
                "{source} or {target} was recreated: its earlier offset syncs are forgotten"
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
                write!(f, "shard {shard}: stood down, {detail}; nothing more is committed for it")
            }
            Self::ShardLeft { shard } => write!(f, "shard {shard} left"),
            Self::Committed { .. } => self.fmt_committed(f),
            Self::Refreshed { group, target, offset } => {
                write!(f, "{group} {target}: {offset} written again before it expires")
            }
            Self::Judged { group, source, target, verdict } => match target {
                Some(target) => write!(f, "{group} {target} (from {source}): {verdict}"),
                None => write!(f, "{group} {source}: {verdict}"),
            },
            Self::Overtaken { group, target } => write!(
                f,
                "{group} {target}: changed between check and commit; ours was aborted, theirs stays"
            ),
            Self::SourceMetadataDropped { group, target } => write!(
                f,
                "{group} {target}: the source's metadata is too long to stand beside the stamp \
                 and was left out"
            ),
            Self::GroupFailed { group, failure } => write!(f, "{group}: {failure}"),
            Self::ListingFailed { failure } => write!(f, "{failure}"),
            Self::SourceDisturbed { coordinator: Some(broker) } => {
                write!(f, "source broker {broker}, a coordinator: {SOURCE_DISTURBED}")
            }
            Self::SourceDisturbed { coordinator: None } => {
                write!(f, "a coordinator on the source: {SOURCE_DISTURBED}")
            }
            Self::GroupLeftOut { group, protocol } => write!(
                f,
                "{group} is not synced: groups of protocol type {protocol:?} commit no offsets"
            ),
            Self::Misplaced { source, found, expected } => write!(
                f,
                "mappings of {source} stand in mapping partition {found}, expected {expected}; does \
                 the publisher use murmur2, or was the mapping topic given partitions? They are \
                 used, but in guarded mode an older owner's knowledge of them is not told apart"
            ),
            Self::ProducerReplaced { shard, detail } => write!(
                f,
                "shard {shard} gets a new producer before it goes on, so that brokers refuse the \
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
            Some(count) => write!(f, "; re-reads {count} at most)"),
            None => f.write_str(")"),
        }
    }
}
