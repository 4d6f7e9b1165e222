//! Why a record of a mapping topic was skipped, and how often.

use std::collections::BTreeMap;

use thiserror::Error;

use crate::core::ids::{MappingOffset, MappingPartition};

/// Why a record was skipped.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Skip {
    /// A null value: nothing is said.
    #[error("a tombstone")]
    Tombstone,
    /// A topic that is not replicated to anywhere: heartbeats, internal topics, cycles.
    #[error("topic {topic:?} is not replicated by the configured policy")]
    NotReplicated {
        /// The source topic.
        topic: String,
    },
    /// A version of the format that this build does not know.
    #[error("version {found}, where 1 was expected; is the publisher newer than this Sprag?")]
    UnknownVersion {
        /// The version found.
        found: i16,
    },
    /// The record ends too early.
    #[error("it ends within its {field}")]
    Truncated {
        /// What was being read.
        field: &'static str,
    },
    /// A field cannot be what it is.
    #[error("its {field} is not possible: {reason}")]
    Malformed {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
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

/// Counts skipped records by kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SkipCounter {
    counts: BTreeMap<SkipKind, (u64, MappingPartition, MappingOffset)>,
}

impl SkipCounter {
    /// Counts one, found at this position. True for the first of its kind.
    pub fn record(&mut self, kind: SkipKind, at: MappingPartition, offset: MappingOffset) -> bool {
        let entry = self.counts.entry(kind).or_insert((0, at, offset));
        entry.0 += 1;
        entry.0 == 1
    }

    /// How many of each kind, and where the first one was.
    pub fn counts(
        &self,
    ) -> impl Iterator<Item = (SkipKind, u64, MappingPartition, MappingOffset)> + '_ {
        self.counts.iter().map(|(kind, (count, at, offset))| (*kind, *count, *at, *offset))
    }
}
