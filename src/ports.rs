//! What the driver needs from the outside world, as traits. `kafka/` implements them with rdkafka, the
//! simulator with models. Ports make no decisions: they classify each failure (`FailureClass`), and the
//! core decides what follows.
//!
//! Every request completes in bounded time, if necessary with a failure. The methods named `next` wait
//! indefinitely. Dropping their future loses nothing.

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

/// The member id in transactional offset commits. It is not a member of any group, so the broker
/// rejects the commit while the group has members. A commit without a member id skips that check
/// (`docs/protocol.md`, "The member check").
#[must_use]
pub fn member() -> &'static str {
    if has(Bug::EmptyMember) { "" } else { "sprag" }
}

/// The monotonic clock of this process.
pub trait Clock {
    /// The current time.
    fn now(&self) -> Instant;

    /// Waits until `deadline`. Returns immediately if it has passed.
    fn sleep_until(&self, deadline: Instant) -> impl Future<Output = ()>;
}

/// The groups of the source cluster.
pub trait SourceGroups {
    /// Lists all groups, except those of brokers that did not answer. Fails if no broker answered.
    fn list(&self) -> impl Future<Output = Result<SourceListing, Failure>>;

    /// Which broker coordinates which groups.
    fn coordinators(&self) -> impl Future<Output = Result<Coordinators, Failure>>;

    /// Reads all committed offsets of `group` (`require_stable` is false), and which broker answered.
    /// The coordinator must have been looked up after `coordinator_since`. `coordinator` is the broker
    /// that probably coordinates the group; the answer names the connection to it. An error in one
    /// partition fails the whole request.
    fn offsets(
        &self,
        group: &GroupId,
        coordinator: Option<BrokerId>,
        coordinator_since: Option<Instant>,
    ) -> impl Future<Output = Result<SourceOffsets, Failure>>;
}

/// The groups of the target cluster.
pub trait TargetGroups {
    /// Lists all groups and whether each has members, except groups of brokers that did not answer.
    /// Fails if no broker answered.
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

/// Topics on both clusters.
pub trait TopicReader {
    /// The fence topic and the mapping topic.
    fn control(&self) -> impl Future<Output = Result<ControlTopics, Failure>>;

    /// Reads topic ids, log ranges and log end offsets. The answer contains everything that was
    /// requested.
    fn topics(
        &self,
        source: &BTreeSet<TopicName>,
        target: &BTreeSet<TargetPartition>,
        source_ends: &BTreeSet<SourcePartition>,
    ) -> impl Future<Output = Result<Topics, Failure>>;
}

/// The reader of the mapping topic.
pub trait Mappings {
    /// Reads this topic from the start of all its partitions, and abandons any read in progress.
    fn read(&self, topic: TopicId, partitions: i32);

    /// The next [`Event::MappingsRead`] or [`Event::MappingReadFailed`].
    fn next(&self) -> impl Future<Output = Event>;

    /// Reads the log end offsets with fresh metadata, under the reader's isolation level. The topic had
    /// the id in the answer both before and after they were read.
    fn ends(
        &self,
        partitions: &BTreeSet<MappingPartition>,
    ) -> impl Future<Output = Result<MappingEnds, Failure>>;
}

/// Membership in the coordination group, which distributes the shards among the instances.
pub trait Ownership {
    /// The next [`Event::ShardAssigned`], [`Event::ShardRevoked`] or [`Event::ShardLost`].
    fn next(&self) -> impl Future<Output = Event>;

    /// Whether this instance still owns the shard according to the coordination group.
    fn check(&self, shard: Shard) -> impl Future<Output = Result<bool, Failure>>;

    /// Gives back a revoked shard, or acknowledges a lost one. During a stop, gives back any shard.
    fn release(&self, shard: Shard);
}

/// The fence partitions and the shards' producers.
pub trait Committer {
    /// Reads the shard's fence partition to its end.
    fn fence_log(&self, shard: Shard) -> impl Future<Output = Result<FenceLog, Failure>>;

    /// Creates a new producer for the shard and initialises its transactions.
    fn init_transactions(&self, shard: Shard) -> impl Future<Output = Result<(), Failure>>;

    /// Writes the take-over record to the shard's fence partition, and returns its offset once it is
    /// written. From then on the shard's producer belongs to that fence.
    fn take_over(
        &self,
        shard: Shard,
        record: &FenceRecord,
    ) -> impl Future<Output = Result<Fence, Failure>>;

    /// Writes other records to the shard's fence partition, in one transaction. Succeeds only if every
    /// record was delivered.
    ///
    /// This method and those below that take a `fence` fail unless the shard's producer belongs to it:
    /// an order from an earlier ownership must not be carried out under a new one.
    fn write_records(
        &self,
        shard: Shard,
        fence: Fence,
        records: &[FenceRecord],
    ) -> impl Future<Output = Result<(), Failure>>;

    /// Begins a transaction and writes the group's offsets in it, with the member id [`member`].
    fn write_offsets(
        &self,
        shard: Shard,
        fence: Fence,
        group: &GroupId,
        offsets: &BTreeMap<TargetPartition, TargetCommit>,
    ) -> impl Future<Output = Result<(), Failure>>;

    /// Ends the open transaction. May be called again while the outcome is unknown.
    ///
    /// If a request of the shard's producer was sent and never answered, the methods above fail with
    /// `FailureClass::LateRequest`. This method returns `Aftermath::LateRequest` instead, because the
    /// transaction has ended nonetheless.
    fn end_transaction(
        &self,
        shard: Shard,
        fence: Fence,
        end: TransactionEnd,
    ) -> impl Future<Output = Result<Aftermath, Failure>>;

    /// Destroys the shard's producer, once it has finished what it is doing.
    fn destroy(&self, shard: Shard);
}

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
    /// The topics of both clusters.
    fn topic_reader(&self) -> &Self::TopicReader;
    /// The mapping reader.
    fn mappings(&self) -> &Self::Mappings;
    /// The coordination group.
    fn ownership(&self) -> &Self::Ownership;
    /// The committer.
    fn committer(&self) -> &Self::Committer;
}
