//! Why a record of a mapping topic was skipped, and how often.

use alloc::collections::BTreeMap;
use core::fmt;

use thiserror::Error;

use super::replication_policy::NotCopied;
use sprag_core::ids::{MappingOffset, MappingPartition, TopicName};

/// Why a record was skipped.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Skip {
    /// A null value: nothing is said.
    #[error("a tombstone, which says nothing")]
    Tombstone,
    /// A topic that has no copy on the target that a group could go on with.
    #[error("topic {topic:?} has no copy to go on with: {why}")]
    NotReplicated {
        /// The source topic.
        topic: TopicName,
        /// Why not.
        why: NotCopied,
    },
    /// A version of the format that this build does not know.
    #[error(
        "version {found}, where 1 was expected: either the publisher is newer than this Sprag, or \
         the record is not a mapping in the native format"
    )]
    UnknownVersion {
        /// The version found.
        found: i16,
    },
    /// The record ends too early.
    #[error("its {field} needs {needed} more bytes, and {left} are left")]
    Truncated {
        /// What was being read.
        field: &'static str,
        /// How many bytes it takes at the least.
        needed: usize,
        /// How many there were.
        left: usize,
    },
    /// A field cannot be what it is.
    #[error("its {field} is {flaw}")]
    Malformed {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        flaw: Flaw,
    },
}

/// What is wrong with a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Flaw {
    /// A partition, an offset or a length below zero.
    #[error("{0}, which is negative")]
    Negative(i64),
    /// A name of no bytes, or no runs.
    #[error("empty")]
    Empty,
    /// A run of no offsets.
    #[error("0, where at least 1 was expected")]
    Zero,
    /// Bytes that are no text.
    #[error("not UTF-8")]
    NotUtf8,
    /// A character that no topic's name has; what bytes of another format look like when they are
    /// read as a name.
    #[error("a text with control characters")]
    ControlCharacter,
    /// A varint that does not end.
    #[error("a varint of more than 64 bits")]
    LongVarint,
    /// Offsets that do not fit in an INT64.
    #[error("{0}, which goes beyond the largest offset")]
    BeyondLargestOffset(u64),
    /// Bytes that no field accounts for.
    #[error("followed by {0} more bytes, where the end was expected")]
    TrailingBytes(usize),
}

/// [`Skip`] without its details, to count by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SkipKind {
    /// See [`Skip::Tombstone`].
    Tombstone,
    /// See [`Skip::NotReplicated`].
    NotReplicated,
    /// See [`Skip::UnknownVersion`].
    UnknownVersion,
    /// See [`Skip::Truncated`].
    Truncated,
    /// See [`Skip::Malformed`].
    Malformed,
}

impl Skip {
    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> SkipKind {
        match self {
            Self::Tombstone => SkipKind::Tombstone,
            Self::NotReplicated { .. } => SkipKind::NotReplicated,
            Self::UnknownVersion { .. } => SkipKind::UnknownVersion,
            Self::Truncated { .. } => SkipKind::Truncated,
            Self::Malformed { .. } => SkipKind::Malformed,
        }
    }
}

impl SkipKind {
    /// A short name: lower case, words joined by `_`. Stable, so that a metric may carry it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tombstone => "tombstone",
            Self::NotReplicated => "not_replicated",
            Self::UnknownVersion => "unknown_version",
            Self::Truncated => "truncated",
            Self::Malformed => "malformed",
        }
    }

    /// Whether it says that the record is not in the expected format at all, as those of another
    /// product's topic are.
    #[must_use]
    pub fn is_foreign(self) -> bool {
        match self {
            Self::Tombstone | Self::NotReplicated => false,
            Self::UnknownVersion | Self::Truncated | Self::Malformed => true,
        }
    }
}

impl fmt::Display for SkipKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How many records of one kind were skipped, and where the first one was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// How many, at least 1.
    pub count: u64,
    /// The mapping partition of the first one.
    pub first_partition: MappingPartition,
    /// The offset of the first one.
    pub first_offset: MappingOffset,
}

/// Counts skipped records by kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SkipCounter {
    counts: BTreeMap<SkipKind, Skipped>,
}

impl SkipCounter {
    /// Counts one, found at this position. True for the first of its kind, so that each kind is
    /// logged once.
    pub fn record(
        &mut self,
        kind: SkipKind,
        partition: MappingPartition,
        offset: MappingOffset,
    ) -> bool {
        let skipped = self.counts.entry(kind).or_insert(Skipped {
            count: 0,
            first_partition: partition,
            first_offset: offset,
        });
        skipped.count += 1;
        skipped.count == 1
    }

    /// The kinds that were met.
    #[must_use]
    pub fn counts(&self) -> &BTreeMap<SkipKind, Skipped> {
        &self.counts
    }
}
