//! How a request can fail, as far as decisions depend on it. One table in the adapter
//! (`src/kafka/errors/table.rs`) maps broker and client errors to these classes.

use alloc::sync::Arc;
use core::fmt;

/// A request that did not succeed. It never means "none".
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Failure {
    /// The class, which decides what follows.
    pub class: FailureClass,
    /// The message for people: the request, the broker, the answer, and what to do.
    pub detail: Arc<str>,
}

/// The class of a failure: all that a decision depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FailureClass {
    /// Nothing happened, and a later attempt may succeed.
    Retry,
    /// The broker's member check refused the commit: the group has members, or our member id is not one
    /// of them.
    GroupActive,
    /// The group cannot be served until somebody acts, for example by granting a right.
    HoldGroup,
    /// Another instance took the shard over.
    Fenced,
    /// The transaction must be aborted; the producer can still be used.
    Abort,
    /// The request may or may not have taken effect.
    OutcomeUnknown,
    /// A request of the shard's producer was sent and never answered. A broker may carry it out later,
    /// whatever the outcome of the call was (`docs/protocol.md`, "Late requests").
    LateRequest,
    /// A commit's metadata is longer than the broker's `offset.metadata.max.bytes`.
    MetadataTooLarge,
    /// A commit is larger than the broker accepts.
    CommitTooLarge,
    /// A transaction with offsets of the partition is pending (UNSTABLE_OFFSET_COMMIT).
    Unstable,
    /// The broker said that the topic or partition does not exist.
    Missing,
    /// The process cannot continue until the configuration, the rights or the cluster change.
    Stop,
}

impl Failure {
    /// Creates a failure from its class and its message.
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
