//! What the driver needs from the outside world, as traits. `kafka/` implements them with rdkafka, the
//! simulator with models. Ports make no decisions: they classify each failure (`FailureClass`), and the
//! core decides what follows.
//!
//! Every request completes in bounded time, if necessary with a failure. The methods named `next` wait
//! indefinitely. Dropping their future loses nothing.

mod clock;
mod fence_reader;
mod mappings;
mod membership;
mod source_groups;
mod target_groups;
mod topic_reader;
mod transactions;

pub use clock::Clock;
pub use fence_reader::{FenceReader, FenceRecords, ReadFrom};
pub use mappings::Mappings;
pub use membership::Membership;
pub use source_groups::SourceGroups;
pub use target_groups::TargetGroups;
pub use topic_reader::TopicReader;
pub use transactions::{Transactions, member};

/// The ports of one instance.
pub trait Ports {
    /// See [`Clock`].
    type Clock: Clock;
    /// See [`SourceGroups`].
    type SourceGroups: SourceGroups;
    /// See [`TargetGroups`].
    type TargetGroups: TargetGroups;
    /// See [`TopicReader`].
    type TopicReader: TopicReader;
    /// See [`Mappings`].
    type Mappings: Mappings;
    /// See [`Membership`].
    type Membership: Membership;
    /// See [`FenceReader`].
    type FenceReader: FenceReader;
    /// See [`Transactions`].
    type Transactions: Transactions;

    /// The clock.
    fn clock(&self) -> &Self::Clock;
    /// The source's groups.
    fn source_groups(&self) -> &Self::SourceGroups;
    /// The target's groups.
    fn target_groups(&self) -> &Self::TargetGroups;
    /// The topics of both clusters.
    fn topic_reader(&self) -> &Self::TopicReader;
    /// The mapping reader.
    fn mappings(&self) -> &Self::Mappings;
    /// The membership in the coordination group.
    fn membership(&self) -> &Self::Membership;
    /// The reader of the fence partitions.
    fn fence_reader(&self) -> &Self::FenceReader;
    /// The transactions of the shards' producers.
    fn transactions(&self) -> &Self::Transactions;
}
