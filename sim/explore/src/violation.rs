//! What a commit must not do, judged from what the brokers hold, never from what an instance believes.

use sprag_core::event::TargetCommit;
use sprag_core::ids::SourceOffset;
use sprag_core::stamp::{Metadata, Stamp};

use crate::script;

/// A broken promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Violation {
    /// A translation was overwritten by one made from older knowledge.
    Stale,
    /// A translation moved back although the source was never reset.
    Rewound,
    /// A foreign commit was overwritten.
    Trampled,
    /// An offset became visible before the stored one had been read again.
    Unverified,
    /// The offset is not the translation by the mappings that its stamp claims.
    Invented,
}

/// The stamp of our commit; `None` for a foreign one.
#[must_use]
pub fn ours(commit: &TargetCommit) -> Option<Stamp> {
    match Metadata::parse(&commit.metadata, ["k2k_"]) {
        Metadata::Stamped { stamp, .. } if stamp.target == commit.offset => Some(stamp),
        Metadata::Stamped { .. }
        | Metadata::NewerVersion { .. }
        | Metadata::Foreign
        | Metadata::Malformed => None,
    }
}

/// What is wrong with `commit` replacing `stored`, if the group's newest source position is `newest`.
#[must_use]
pub fn overwriting(
    stored: Option<&TargetCommit>,
    commit: &TargetCommit,
    newest: SourceOffset,
) -> Option<Violation> {
    let Some(stamp) = ours(commit) else {
        return Some(Violation::Invented);
    };
    if stamp.source > newest
        || script::translation(stamp.source, stamp.as_of.get()) != Some(commit.offset)
    {
        return Some(Violation::Invented);
    }
    let stored = stored?;
    let Some(before) = ours(stored) else {
        return Some(Violation::Trampled);
    };
    if stamp.fence < before.fence || stamp.as_of < before.as_of {
        return Some(Violation::Stale);
    }
    (commit.offset < stored.offset).then_some(Violation::Rewound)
}
