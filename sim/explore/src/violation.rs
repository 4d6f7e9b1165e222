//! What must not come of a commit, judged from what the brokers hold and not from what an instance
//! believes.

use sprag_core::event::TargetCommit;
use sprag_core::ids::SourceOffset;
use sprag_core::stamp::{Metadata, Stamp};

use crate::script;

/// A broken promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Violation {
    /// A translation was overwritten by one made from older knowledge.
    Stale,
    /// A translation was set back although the source never was.
    Rewound,
    /// A commit that is not ours was overwritten.
    Trampled,
    /// A half became visible before what stood there was read again.
    Unverified,
    /// The offset is not what its own stamp's knowledge gives.
    Invented,
}

/// Our commit with its stamp; `None` where it is somebody else's.
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

/// What is wrong with `ours` taking the place of `stored`, on a source where the group has committed
/// up to `newest`.
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
