//! Reading the groups of the source cluster.

use sprag_core::coordinators::Coordinators;
use sprag_core::event::{SourceListing, SourceOffsets};
use sprag_core::failure::Failure;
use sprag_core::ids::{BrokerId, GroupId};
use sprag_core::time::Instant;

/// The groups of the source cluster.
pub trait SourceGroups {
    /// Lists all groups (ListGroups), except those of brokers that did not answer. Fails if no broker
    /// answered.
    fn list(&self) -> impl Future<Output = Result<SourceListing, Failure>>;

    /// Which broker coordinates which groups.
    fn coordinators(&self) -> impl Future<Output = Result<Coordinators, Failure>>;

    /// Reads all committed offsets of `group` (OffsetFetch, `require_stable` is false), and which broker
    /// answered. The coordinator must have been looked up after `coordinator_since`. `coordinator` is the
    /// broker that probably coordinates the group; the answer names the connection to it. An error in one
    /// partition fails the whole request.
    fn offsets(
        &self,
        group: &GroupId,
        coordinator: Option<BrokerId>,
        coordinator_since: Option<Instant>,
    ) -> impl Future<Output = Result<SourceOffsets, Failure>>;
}
