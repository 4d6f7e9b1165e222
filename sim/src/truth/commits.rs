//! Commits on either cluster, in the form in which they are judged.

use std::rc::Rc;

use sprag_core::ids::{GroupId, TopicId};
use sprag_core::stamp::{Metadata, Stamp};
use sprag_core::time::Instant;

use super::PREFIX;
use crate::wire::{Committed, Partition};

/// A commit on the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceCommit {
    /// When it was committed.
    pub at: Instant,
    /// The offset and its metadata.
    pub commit: Committed,
    /// The source topic's id, if it is known.
    pub topic: Option<TopicId>,
}

/// An offset that Sprag committed on the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ours {
    /// When it became visible.
    pub time: Instant,
    /// The host of the instance that committed it; empty if a transaction time-out ended the transaction.
    pub from: Rc<str>,
    /// The group.
    pub group: GroupId,
    /// The target partition.
    pub at: Partition,
    /// The offset stored before it.
    pub before: Option<Committed>,
    /// The offset that it stored.
    pub after: Committed,
    /// Its stamp.
    pub stamp: Stamp,
    /// The source consumer's own metadata, which follows the stamp.
    pub own: String,
    /// Whether it was a plain commit, without a transaction.
    pub plain: bool,
    /// Whether the group had members when the offset was written.
    pub active: bool,
    /// Whether the client had read the group again before it sent the request that ended the transaction.
    pub verified: bool,
    /// Whether it only keeps an offset from expiring: it equals the last offset committed there.
    pub refresh: bool,
}

/// The stamp of a commit, if it is bound to that commit's offset, and the source's metadata after it.
#[must_use]
pub fn stamp_of(commit: &Committed) -> Option<(Stamp, String)> {
    match Metadata::parse(&commit.metadata, [PREFIX]) {
        Metadata::Stamped { stamp, source_metadata } if stamp.target.get() == commit.offset => {
            Some((stamp, source_metadata))
        }
        Metadata::Stamped { .. }
        | Metadata::Foreign
        | Metadata::Malformed
        | Metadata::NewerVersion { .. } => None,
    }
}

/// Whether the judge must treat a commit as foreign (`docs/protocol.md`, "The judge"): it has no stamp, a
/// malformed one, or one for another offset.
#[must_use]
pub fn is_foreign(commit: &Committed) -> bool {
    match Metadata::parse(&commit.metadata, [PREFIX]) {
        Metadata::Stamped { stamp, .. } => stamp.target.get() != commit.offset,
        Metadata::Foreign | Metadata::Malformed => true,
        Metadata::NewerVersion { .. } => false,
    }
}
