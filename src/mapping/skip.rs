//! Why records of a mapping topic were skipped, and how many.

use alloc::collections::BTreeMap;
use core::fmt;

use thiserror::Error;

use super::replication_policy::NotCopied;
use sprag_core::ids::{MappingOffset, MappingPartition, TopicName};

/// The reason why a record was skipped.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Skip {
    /// The value is null.
    #[error("it is a tombstone, which holds no mapping")]
    Tombstone,
    /// The topic has no copy on the target that a group could resume on.
    #[error("topic {topic:?} has no copy that a group could resume on: {why}")]
    NotReplicated {
        /// The source topic.
        topic: TopicName,
        /// Why it has no such copy.
        why: NotCopied,
    },
    /// A version of the format that this build does not know.
    #[error(
        "expected version 1, found {found}; either the publisher is newer than this Sprag, or the \
         record is not a mapping in the native format"
    )]
    UnknownVersion {
        /// The version found.
        found: i16,
    },
    /// The record ends too early.
    #[error("its {field} needs {needed} bytes, but only {left} are left")]
    Truncated {
        /// The field that was being read.
        field: &'static str,
        /// The minimum number of bytes that the field needs.
        needed: usize,
        /// The number of bytes left.
        left: usize,
    },
    /// A field has an impossible value.
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
    /// A negative partition, offset or length.
    #[error("{0}, which is negative")]
    Negative(i64),
    /// A name without any bytes.
    #[error("empty")]
    Empty,
    /// A run without offsets, or a chunk without runs.
    #[error("0, but at least 1 was expected")]
    Zero,
    /// Bytes that are not UTF-8 text.
    #[error("not UTF-8")]
    NotUtf8,
    /// A control character, which no topic name contains. Bytes of another format that are read as a name
    /// usually contain some.
    #[error("a string with control characters")]
    ControlCharacter,
    /// A varint of more than 64 bits.
    #[error("a varint of more than 64 bits")]
    LongVarint,
    /// A gap or a length that leads to an offset beyond the INT64 range.
    #[error("{0}, which leads beyond the largest offset")]
    BeyondLargestOffset(u64),
    /// Bytes after the last field.
    #[error("followed by {0} more bytes, but the end was expected")]
    TrailingBytes(usize),
}

/// A [`Skip`] without its details, for counting.
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
    /// The kind of this skip.
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
    /// A short name in snake case. It is stable, so that metrics can use it.
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

    /// Whether the record is not in the expected format at all, like the records of another product's
    /// topic.
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

/// The number of skipped records of one kind, and the position of the first one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// The number of records, at least 1.
    pub count: u64,
    /// The mapping partition of the first record.
    pub first_partition: MappingPartition,
    /// The offset of the first record.
    pub first_offset: MappingOffset,
}

/// Counts skipped records by kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SkipCounter {
    counts: BTreeMap<SkipKind, Skipped>,
}

impl SkipCounter {
    /// Counts a record at this position. Returns true for the first of its kind, so that each kind is
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

    /// The counts of all kinds that occurred.
    #[must_use]
    pub fn counts(&self) -> &BTreeMap<SkipKind, Skipped> {
        &self.counts
    }
}
