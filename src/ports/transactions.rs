//! Transactions of the shards' producers.

use std::collections::BTreeMap;

use sprag_core::action::TransactionEnd;
use sprag_core::event::{Aftermath, TargetCommit};
use sprag_core::failure::Failure;
use sprag_core::fence_log::FenceRecord;
use sprag_core::ids::{Fence, GroupId, Shard, TargetPartition};
use sprag_core::planted::{Bug, has};

/// The member id in transactional offset commits. It is not a member of any group, so the broker
/// rejects the commit while the group has members. A commit without a member id skips that check
/// (`docs/protocol.md`, "The member check").
#[must_use]
pub fn member() -> &'static str {
    if has(Bug::EmptyMember) { "" } else { "sprag" }
}

/// The shards' producers and their transactions (KIP-98): each shard has one producer, which writes to the
/// shard's fence partition and commits offsets of the shard's groups.
///
/// If a request of the shard's producer was sent and never answered, the methods fail with
/// `FailureClass::LateRequest`, because a broker may carry that request out late. [`end`](Self::end)
/// returns `Aftermath::LateRequest` instead, because the transaction has ended nonetheless.
///
/// The methods that take a `fence` fail unless the shard's producer belongs to it: an order from an earlier
/// ownership must not be carried out under a new one.
pub trait Transactions {
    /// Creates a new producer for the shard and initialises its transactions, which fences every earlier
    /// producer of the shard (InitProducerId).
    fn init(&self, shard: Shard) -> impl Future<Output = Result<(), Failure>>;

    /// Writes the take-over record to the shard's fence partition, and returns its offset once it is
    /// written. From then on the shard's producer belongs to that fence.
    fn take_over(
        &self,
        shard: Shard,
        record: &FenceRecord,
    ) -> impl Future<Output = Result<Fence, Failure>>;

    /// Writes other records to the shard's fence partition, in one transaction. Succeeds only if every
    /// record was delivered.
    fn write_records(
        &self,
        shard: Shard,
        fence: Fence,
        records: &[FenceRecord],
    ) -> impl Future<Output = Result<(), Failure>>;

    /// Begins a transaction and writes the group's offsets in it (TxnOffsetCommit), with the member id
    /// [`member`].
    fn write_offsets(
        &self,
        shard: Shard,
        fence: Fence,
        group: &GroupId,
        offsets: &BTreeMap<TargetPartition, TargetCommit>,
    ) -> impl Future<Output = Result<(), Failure>>;

    /// Ends the open transaction (EndTxn). May be called again while the outcome is unknown.
    fn end(
        &self,
        shard: Shard,
        fence: Fence,
        end: TransactionEnd,
    ) -> impl Future<Output = Result<Aftermath, Failure>>;

    /// Destroys the shard's producer, once it has finished what it is doing.
    fn destroy_producer(&self, shard: Shard);
}
