//! Commits on either cluster, as they are judged.

use std::rc::Rc;

use sprag_core::ids::{GroupId, TopicId};
use sprag_core::stamp::{Metadata, Stamp};
use sprag_core::time::Instant;

use super::PREFIX;
use crate::wire::{Committed, Partition};

/// A commit on the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceCommit {
    /// When.
    pub at: Instant,
    /// What.
    pub commit: Committed,
    /// The source topic's id.
    pub topic: Option<TopicId>,
}

/// An offset that Sprag committed on the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ours {
    /// When.
    pub time: Instant,
    /// By which instance; empty where a time-out ended the transaction.
    pub from: Rc<str>,
    /// The group.
    pub group: GroupId,
    /// The target partition.
    pub at: Partition,
    /// What stood before.
    pub before: Option<Committed>,
    /// What stands now.
    pub after: Committed,
    /// What it says it knew.
    pub stamp: Stamp,
    /// The source's own metadata behind the stamp.
    pub own: String,
    /// Whether it was plain, without a transaction.
    pub plain: bool,
    /// Whether the group had members when it was written.
    pub active: bool,
    /// Whether who ended its transaction had read the group again before that order was sent.
    pub verified: bool,
    /// Whether it only keeps from expiring what stands there, or stood there until it expired.
    pub refresh: bool,
}

/// A stamp that belongs to its commit, and the source's own metadata behind it.
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

/// Whether the guard must take a commit for somebody else's, in the words of the judge's table
/// (`docs/protocol.md`): no stamp, an illegible one, or one of another offset.
#[must_use]
pub fn is_foreign(commit: &Committed) -> bool {
    match Metadata::parse(&commit.metadata, [PREFIX]) {
        Metadata::Stamped { stamp, .. } => stamp.target.get() != commit.offset,
        Metadata::Foreign | Metadata::Malformed => true,
        Metadata::NewerVersion { .. } => false,
    }
}
