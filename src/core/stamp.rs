//! The stamp in the metadata of each offset commit. It records the knowledge behind the commit, so that
//! the next decision can compare its own with it (`docs/protocol.md`, "The stamp").

use alloc::borrow::ToOwned;
use alloc::string::String;
use core::fmt;

use super::ids::{
    Fence, FenceTopicTag, Incarnation, MappingOffset, MappingPartition, MappingTopicTag,
    PipelineId, Shard, ShardCount, SourceOffset, TargetOffset,
};

/// The stamp version that this build writes, and the only one that it reads.
pub const STAMP_VERSION: u32 = 1;

/// The longest metadata that a broker accepts by default (`offset.metadata.max.bytes`), in UTF-16 code
/// units, which is how brokers count.
pub const METADATA_MAX_UNITS: usize = 4096;

/// The knowledge behind an offset commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp {
    /// The pipeline that committed.
    pub pipeline: PipelineId,
    /// The fence topic that `fence` counts in.
    pub fence_topic: FenceTopicTag,
    /// The group's shard.
    pub shard: Shard,
    /// The number of shards at the time of the decision.
    pub shards: ShardCount,
    /// The fence of the decision, even if an instance with another fence rewrites the commit later.
    pub fence: Fence,
    /// The mapping topic that `as_of` counts in.
    pub mapping_topic: MappingTopicTag,
    /// The mapping partition that `as_of` counts in.
    pub mapping_partition: MappingPartition,
    /// How far that partition had been applied when the position was translated.
    pub as_of: MappingOffset,
    /// The incarnation of the source and the target topic.
    pub incarnation: Incarnation,
    /// The committed offset on the source.
    pub source: SourceOffset,
    /// The target offset that this stamp was committed with. Stored with another offset, the stamp is a
    /// copy and proves nothing.
    pub target: TargetOffset,
}

/// The classes of commit metadata. Every string belongs to exactly one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Metadata {
    /// A stamp under one of our prefixes, followed by the source consumer's own metadata.
    Stamped {
        /// The stamp.
        stamp: Stamp,
        /// The text after the `|`; empty if there is no `|`.
        source_metadata: String,
    },
    /// One of our prefixes, followed by a version that this build cannot read.
    NewerVersion {
        /// The version found.
        version: u32,
    },
    /// Text that does not begin with one of our prefixes.
    Foreign,
    /// One of our prefixes, not followed by a stamp.
    Malformed,
}

/// Metadata ready to be committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Composed {
    /// The text to commit.
    pub text: String,
    /// The source's own metadata did not fit next to the stamp and was left out.
    pub source_metadata_dropped: bool,
}

impl Stamp {
    /// Writes the stamp under `prefix`, followed by the source's own metadata if that fits into
    /// [`METADATA_MAX_UNITS`]. Stamps at the start of the source's metadata, under this prefix or one of
    /// the `former` ones, are stripped first so that stamps never nest. They occur when the direction of
    /// a flow was reversed.
    #[must_use]
    pub fn compose(&self, prefix: &str, former: &[String], source_metadata: &str) -> Composed {
        self.compose_within(METADATA_MAX_UNITS, prefix, former, source_metadata)
    }

    /// Like [`Self::compose`], but for at most `most_units` UTF-16 code units.
    #[must_use]
    pub fn compose_within(
        &self,
        most_units: usize,
        prefix: &str,
        former: &[String],
        source_metadata: &str,
    ) -> Composed {
        let stamp = format!("{prefix}{self}");
        let own = strip_stamps(prefix, former, source_metadata);
        if own.is_empty() {
            return Composed { text: stamp, source_metadata_dropped: false };
        }
        let whole = format!("{stamp}|{own}");
        if whole.encode_utf16().count() > most_units {
            return Composed { text: stamp, source_metadata_dropped: true };
        }
        Composed { text: whole, source_metadata_dropped: false }
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "v{STAMP_VERSION}:{}:{}.{}/{}.{}:{}.{}.{}:{}:{}@{}",
            self.pipeline,
            self.fence_topic,
            self.shard,
            self.shards,
            self.fence,
            self.mapping_topic,
            self.mapping_partition,
            self.as_of,
            self.incarnation,
            self.source,
            self.target
        )
    }
}

impl Metadata {
    /// Reads the metadata of a commit; any text is accepted. `prefixes` are the configured prefix and the
    /// accepted former ones. If several match, the one that is followed by a version counts. At most one
    /// is, because no prefix contains a `:`.
    #[must_use]
    pub fn parse<'a>(text: &str, prefixes: impl IntoIterator<Item = &'a str>) -> Self {
        let mut ours = false;
        for behind in prefixes.into_iter().filter_map(|prefix| text.strip_prefix(prefix)) {
            ours = true;
            match version_of(behind) {
                None => {}
                Some(STAMP_VERSION) => return Self::parse_known(behind),
                Some(version) => return Self::NewerVersion { version },
            }
        }
        if ours { Self::Malformed } else { Self::Foreign }
    }

    fn parse_known(behind: &str) -> Self {
        let (stamp, source_metadata) = behind.split_once('|').unwrap_or((behind, ""));
        match parse_stamp(stamp) {
            Some(stamp) => Self::Stamped { stamp, source_metadata: source_metadata.to_owned() },
            None => Self::Malformed,
        }
    }
}

/// The number in `v<number>:`.
fn version_of(behind: &str) -> Option<u32> {
    let (version, _) = behind.strip_prefix('v')?.split_once(':')?;
    canonical(version)
}

fn strip_stamps<'a>(prefix: &str, former: &[String], source_metadata: &'a str) -> &'a str {
    let prefixes = || former.iter().map(String::as_str).chain([prefix]);
    let mut rest = source_metadata;
    while matches!(Metadata::parse(rest, prefixes()), Metadata::Stamped { .. }) {
        rest = rest.split_once('|').map_or("", |(_, behind)| behind);
    }
    rest
}

/// Reads exactly what [`Stamp`]'s `Display` writes. Each stamp has one spelling, so comparing two
/// commits byte for byte compares the knowledge behind them.
fn parse_stamp(text: &str) -> Option<Stamp> {
    let mut fields = text.split(':');
    let (_version, pipeline, fence, mapping, incarnation, offsets) = (
        fields.next()?,
        fields.next()?,
        fields.next()?,
        fields.next()?,
        fields.next()?,
        fields.next()?,
    );
    if fields.next().is_some() {
        return None;
    }
    let (fence_topic, fence) = fence.split_once('.')?;
    let (shard, fence) = fence.split_once('/')?;
    let (shards, fence) = fence.split_once('.')?;
    let (mapping_topic, mapping) = mapping.split_once('.')?;
    let (mapping_partition, as_of) = mapping.split_once('.')?;
    let (source, target) = offsets.split_once('@')?;
    Some(Stamp {
        pipeline: PipelineId(short_id(pipeline)?),
        fence_topic: FenceTopicTag(short_id(fence_topic)?),
        shard: Shard(canonical(shard)?),
        shards: ShardCount(canonical(shards)?),
        fence: Fence(canonical(fence)?),
        mapping_topic: MappingTopicTag(short_id(mapping_topic)?),
        mapping_partition: MappingPartition(canonical(mapping_partition)?),
        as_of: MappingOffset(canonical(as_of)?),
        incarnation: Incarnation(short_id(incarnation)?),
        source: SourceOffset(canonical(source)?),
        target: TargetOffset(canonical(target)?),
    })
}

/// A non-negative decimal number without sign or leading zeros.
fn canonical<T: core::str::FromStr>(text: &str) -> Option<T> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let padded = text.len() > 1 && text.starts_with('0');
    if plain && !padded { text.parse().ok() } else { None }
}

/// Eight lower-case hexadecimal digits.
fn short_id(text: &str) -> Option<u32> {
    let hex = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if hex && text.len() == 8 { u32::from_str_radix(text, 16).ok() } else { None }
}

#[cfg(test)]
mod tests;
