//! What the driver needs of the world, as traits: `kafka/` implements them with rdkafka, the
//! simulator with models. They carry no decisions; what a failure means is told by its class.
//!
//! Every method that asks something comes back in bounded time, with a failure if need be. The
//! methods named `next` and `disturbed` wait as long as it takes; dropping their future loses
//! nothing.

use std::collections::{BTreeMap, BTreeSet};

use sprag_core::action::{ReadScope, TransactionEnd};
use sprag_core::coordinators::Coordinators;
use sprag_core::event::{
    Aftermath, ControlTopics, Event, MappingEnds, SourceListing, SourceOffsets, TargetCommit,
    TargetListing, TargetOffsets, Topics,
};
use sprag_core::failure::Failure;
use sprag_core::fence_log::{FenceLog, FenceRecord};
use sprag_core::ids::{
    BrokerId, Fence, GroupId, MappingPartition, Shard, SourcePartition, TargetPartition, TopicId,
    TopicName,
};
use sprag_core::planted::{Bug, has};
use sprag_core::time::Instant;

/// The member id that commits in transactions name. It is in no group, so that the broker refuses
/// them while a group has members; it would check nothing of a commit that names none
/// (`docs/protocol.md`, "The member check").
#[must_use]
pub fn member() -> &'static str {
    if has(Bug::EmptyMember) { "" } else { "sprag" }
}

/// The monotonic clock of this process.
pub trait Clock {
    /// The time now.
    fn now(&self) -> Instant;

    /// Waits until `deadline`; at once if it has passed.
    fn sleep_until(&self, deadline: Instant) -> impl Future<Output = ()>;
}

/// The groups of the source cluster.
pub trait SourceGroups {
    /// All groups, but those of brokers that did not contribute; a failure where none did.
    fn list(&self) -> impl Future<Output = Result<SourceListing, Failure>>;

    /// Which broker coordinates which groups.
    fn coordinators(&self) -> impl Future<Output = Result<Coordinators, Failure>>;

    /// All committed offsets of `group`, not stable, and who answered. The coordinator must have
    /// been looked up after `coordinator_since`; `coordinator` says which broker that probably is,
    /// so that the answer can name its connection. One partition that errors fails the whole.
    fn offsets(
        &self,
        group: &GroupId,
        coordinator: Option<BrokerId>,
        coordinator_since: Option<Instant>,
    ) -> impl Future<Output = Result<SourceOffsets, Failure>>;
}

/// The groups of the target cluster.
pub trait TargetGroups {
    /// All groups with whether they have members, but those of brokers that did not contribute; a
    /// failure where none did.
    fn list(&self) -> impl Future<Output = Result<TargetListing, Failure>>;

    /// Which broker coordinates which groups.
    fn coordinators(&self) -> impl Future<Output = Result<Coordinators, Failure>>;

    /// Committed offsets of `group`; every partition that `scope` names is in the answer. The
    /// coordinator must have been looked up after `coordinator_since`.
    fn offsets(
        &self,
        group: &GroupId,
        coordinator_since: Option<Instant>,
        scope: &ReadScope,
        stable: bool,
    ) -> impl Future<Output = Result<TargetOffsets, Failure>>;

    /// A plain OffsetCommit without membership (generation -1). Where `not_after` has passed when
    /// it would be sent, it is not sent and fails.
    fn commit(
        &self,
        group: &GroupId,
        offsets: &BTreeMap<TargetPartition, TargetCommit>,
        not_after: Instant,
    ) -> impl Future<Output = Result<BTreeMap<TargetPartition, Result<(), Failure>>, Failure>>;
}

/// Topics on both clusters.
pub trait TopicReader {
    /// The fence topic and the mapping topic.
    fn control(&self) -> impl Future<Output = Result<ControlTopics, Failure>>;

    /// Topic ids, log ranges and log ends; everything asked for is in the answer.
    fn topics(
        &self,
        source: &BTreeSet<TopicName>,
        target: &BTreeSet<TargetPartition>,
        source_ends: &BTreeSet<SourcePartition>,
    ) -> impl Future<Output = Result<Topics, Failure>>;
}

/// The reader of the mapping topic.
pub trait Mappings {
    /// Reads this topic from the start of all its partitions, dropping any reading under way.
    fn read(&self, topic: TopicId, partitions: i32);

    /// The next [`Event::MappingsRead`] or [`Event::MappingReadFailed`].
    fn next(&self) -> impl Future<Output = Event>;

    /// The log ends, from metadata refreshed now, under the reader's own isolation level. The topic
    /// has the id in the answer before and after they are read.
    fn ends(
        &self,
        partitions: &BTreeSet<MappingPartition>,
    ) -> impl Future<Output = Result<MappingEnds, Failure>>;
}

/// The coordination group, which shares the shards out.
pub trait Ownership {
    /// The next [`Event::ShardAssigned`], [`Event::ShardRevoked`] or [`Event::ShardLost`].
    fn next(&self) -> impl Future<Output = Event>;

    /// Whether the coordination group still knows this instance as the shard's owner.
    fn check(&self, shard: Shard) -> impl Future<Output = Result<bool, Failure>>;

    /// Gives a revoked shard back, or acknowledges a lost one. When stopping, any shard.
    fn release(&self, shard: Shard);
}

/// The fence partitions and the producers of the shards.
pub trait Committer {
    /// The shard's fence partition, read to its end.
    fn fence_log(&self, shard: Shard) -> impl Future<Output = Result<FenceLog, Failure>>;

    /// Makes the shard's producer anew and initialises its transactions.
    fn init_transactions(&self, shard: Shard) -> impl Future<Output = Result<(), Failure>>;

    /// Writes the take-over record to the shard's fence partition; its offset, once it stands. From
    /// then on the shard's producer belongs to that fence.
    fn take_over(
        &self,
        shard: Shard,
        record: &FenceRecord,
    ) -> impl Future<Output = Result<Fence, Failure>>;

    /// Writes other records to the shard's fence partition, in one transaction. It succeeds only where
    /// each of them was delivered. Like all that follows, it is refused unless the shard's producer
    /// belongs to `fence`: an order that was given under an earlier ownership must not be carried out
    /// under a new one.
    fn write_records(
        &self,
        shard: Shard,
        fence: Fence,
        records: &[FenceRecord],
    ) -> impl Future<Output = Result<(), Failure>>;

    /// Begins a transaction and writes the group's offsets in it, naming a member that is in no
    /// group.
    fn write_offsets(
        &self,
        shard: Shard,
        fence: Fence,
        group: &GroupId,
        offsets: &BTreeMap<TargetPartition, TargetCommit>,
    ) -> impl Future<Output = Result<(), Failure>>;

    /// Ends the open transaction. May be called again while the outcome is unknown.
    ///
    /// Of the methods above, those that succeed had every request of the shard's producer answered;
    /// where one was sent and never answered they fail with `FailureClass::LateRequest`. This one
    /// says so in its success, because the end stands.
    fn end_transaction(
        &self,
        shard: Shard,
        fence: Fence,
        end: TransactionEnd,
    ) -> impl Future<Output = Result<Aftermath, Failure>>;

    /// Destroys the shard's producer, after whatever it is doing.
    fn destroy(&self, shard: Shard);
}

/// All ports of one instance.
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
    /// See [`Ownership`].
    type Ownership: Ownership;
    /// See [`Committer`].
    type Committer: Committer;

    /// The clock.
    fn clock(&self) -> &Self::Clock;
    /// The source's groups.
    fn source_groups(&self) -> &Self::SourceGroups;
    /// The target's groups.
    fn target_groups(&self) -> &Self::TargetGroups;
    /// Topics.
    fn topic_reader(&self) -> &Self::TopicReader;
    /// The mapping reader.
    fn mappings(&self) -> &Self::Mappings;
    /// The coordination group.
    fn ownership(&self) -> &Self::Ownership;
    /// The committer.
    fn committer(&self) -> &Self::Committer;
}
