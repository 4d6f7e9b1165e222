//! How a request can fail, as far as a decision depends on it. The adapter's one table turns broker
//! and client errors into these.

use alloc::sync::Arc;
use core::fmt;

/// A request that did not succeed. It never means "none".
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Failure {
    /// What follows from it.
    pub class: FailureClass,
    /// For people: what was asked of whom, what came back, what to do.
    pub detail: Arc<str>,
}

/// What follows from a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FailureClass {
    /// Nothing happened; it may work the next time.
    Retry,
    /// The group has members, or our member is not its: the broker's member check refused.
    GroupActive,
    /// This group cannot be served until somebody acts (rights, metadata too large).
    HoldGroup,
    /// Another instance took the shard over.
    Fenced,
    /// The transaction must be aborted; the producer lives on.
    Abort,
    /// The request may or may not have taken effect.
    OutcomeUnknown,
    /// A request of the shard's producer was sent and never answered. A broker may carry it out
    /// later, whatever became of the call (`docs/protocol.md`, "Late requests").
    LateRequest,
    /// A commit's metadata is longer than the broker's `offset.metadata.max.bytes`.
    MetadataTooLarge,
    /// A commit is larger than the broker accepts.
    CommitTooLarge,
    /// A transaction with offsets of the partition is pending (UNSTABLE_OFFSET_COMMIT).
    Unstable,
    /// The topic or partition does not exist: the broker said so.
    Missing,
    /// Going on is useless until the configuration, the rights or the cluster change.
    Stop,
}

impl Failure {
    /// A failure with its class and its sentence.
    #[must_use]
    pub fn new(class: FailureClass, detail: impl Into<Arc<str>>) -> Self {
        Self { class, detail: detail.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl core::error::Error for Failure {}
