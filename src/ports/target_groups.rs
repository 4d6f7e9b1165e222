//! Reading the groups of the target cluster, and committing to them without a transaction.

use std::collections::BTreeMap;

use sprag_core::action::ReadScope;
use sprag_core::coordinators::Coordinators;
use sprag_core::event::{TargetCommit, TargetListing, TargetOffsets};
use sprag_core::failure::Failure;
use sprag_core::ids::{GroupId, TargetPartition};
use sprag_core::time::Instant;

/// The groups of the target cluster. Commits in a transaction are part of
/// [`Transactions`](super::Transactions).
pub trait TargetGroups {
    /// Lists all groups (ListGroups) and whether each has members, except groups of brokers that did not
    /// answer. Fails if no broker answered.
    fn list(&self) -> impl Future<Output = Result<TargetListing, Failure>>;

    /// Which broker coordinates which groups.
    fn coordinators(&self) -> impl Future<Output = Result<Coordinators, Failure>>;

    /// Reads committed offsets of `group`. The answer contains every partition that `scope` names. The
    /// coordinator must have been looked up after `coordinator_since`. `stable` is OffsetFetch's
    /// `require_stable` (KIP-447).
    fn offsets(
        &self,
        group: &GroupId,
        coordinator_since: Option<Instant>,
        scope: &ReadScope,
        stable: bool,
    ) -> impl Future<Output = Result<TargetOffsets, Failure>>;

    /// Sends a plain OffsetCommit without membership (generation -1). If `not_after` has passed by the
    /// time it would be sent, it is not sent, and the call fails.
    fn commit(
        &self,
        group: &GroupId,
        offsets: &BTreeMap<TargetPartition, TargetCommit>,
        not_after: Instant,
    ) -> impl Future<Output = Result<BTreeMap<TargetPartition, Result<(), Failure>>, Failure>>;
}
