//! Membership in the coordination group.

use sprag_core::event::Event;
use sprag_core::failure::Failure;
use sprag_core::ids::Shard;

/// Membership in the coordination group, a consumer group that distributes the shards among the instances
/// (`docs/protocol.md`, "The life of a shard").
pub trait Membership {
    /// The next [`Event::ShardAssigned`], [`Event::ShardRevoked`] or [`Event::ShardLost`].
    fn next(&self) -> impl Future<Output = Event>;

    /// Whether the shard is assigned to this instance in the group's current generation. Fails if the
    /// group's coordinator does not answer.
    fn is_assigned(&self, shard: Shard) -> impl Future<Output = Result<bool, Failure>>;

    /// Gives back a revoked shard, or acknowledges a lost one. During a stop, gives back any shard.
    fn release(&self, shard: Shard);

    /// The number of members of the group, including this instance (DescribeGroups). Fails if the group's
    /// coordinator does not answer.
    fn members(&self) -> impl Future<Output = Result<usize, Failure>>;
}
