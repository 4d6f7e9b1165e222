//! Transactions of the shards' producers. Each producer has a dedicated thread, because librdkafka's
//! transactional calls block.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::client::Properties;
use super::groups::offset_list;
use super::producer::{Producers, ShardProducer};
use crate::ports::Transactions;
use sprag_core::action::TransactionEnd;
use sprag_core::event::{Aftermath, TargetCommit};
use sprag_core::failure::{Failure, FailureClass};
use sprag_core::fence_log::FenceRecord;
use sprag_core::ids::{Fence, GroupId, Shard, TargetPartition, TopicName};
use sprag_core::policy::CommitMode;

/// The shards' producers.
pub struct KafkaTransactions {
    producers: Producers,
    live: RefCell<BTreeMap<Shard, Owned>>,
}

/// A shard's producer, and the fence of its ownership once the take-over record is written.
struct Owned {
    producer: Arc<ShardProducer>,
    fence: Option<Fence>,
}

impl KafkaTransactions {
    /// Producers for the shards of this fence topic on the target cluster. `prefix` is the transactional.id
    /// without the shard.
    #[must_use]
    pub fn new(
        properties: Properties,
        fence_topic: TopicName,
        prefix: String,
        mode: CommitMode,
    ) -> Self {
        let producers = Producers { properties, prefix, fence_topic, mode };
        Self { producers, live: RefCell::default() }
    }

    /// The shard's producer, if it belongs to `fence`.
    fn owned(&self, shard: Shard, fence: Fence) -> Result<Arc<ShardProducer>, Failure> {
        let live = self.live.borrow();
        match live.get(&shard).filter(|owned| owned.fence == Some(fence)) {
            Some(owned) => Ok(Arc::clone(&owned.producer)),
            None => {
                let detail = format!("shard {shard}: the producer of fence {fence} was destroyed");
                Err(Failure::new(FailureClass::Fenced, detail))
            }
        }
    }

    fn replace_producer(&self, shard: Shard) -> Result<Arc<ShardProducer>, Failure> {
        self.live.borrow_mut().remove(&shard);
        let producer = Arc::new(self.producers.make(shard)?);
        let owned = Owned { producer: Arc::clone(&producer), fence: None };
        self.live.borrow_mut().insert(shard, owned);
        Ok(producer)
    }

    /// The producer that `init` made. `guarded` mode does not call `init`, so the producer may have to be made
    /// here.
    fn initialised(&self, shard: Shard) -> Result<Arc<ShardProducer>, Failure> {
        let present = self.live.borrow().get(&shard).map(|owned| Arc::clone(&owned.producer));
        match (present, self.producers.mode) {
            (Some(producer), CommitMode::Fenced | CommitMode::Guarded) => Ok(producer),
            (None, CommitMode::Guarded) => self.replace_producer(shard),
            (None, CommitMode::Fenced) => {
                let detail = format!("shard {shard}: its producer was destroyed");
                Err(Failure::new(FailureClass::Fenced, detail))
            }
        }
    }
}

impl Transactions for KafkaTransactions {
    async fn init(&self, shard: Shard) -> Result<(), Failure> {
        self.replace_producer(shard)?.init_transactions().await
    }

    async fn take_over(&self, shard: Shard, record: &FenceRecord) -> Result<Fence, Failure> {
        let producer = self.initialised(shard)?;
        let fence = producer.write_records(vec![record.clone()]).await?;
        // The fence belongs to the producer that wrote the record, not to one that replaced it meanwhile.
        if let Some(owned) = self.live.borrow_mut().get_mut(&shard)
            && Arc::ptr_eq(&owned.producer, &producer)
        {
            owned.fence = Some(fence);
        }
        Ok(fence)
    }

    async fn write_records(
        &self,
        shard: Shard,
        fence: Fence,
        records: &[FenceRecord],
    ) -> Result<(), Failure> {
        self.owned(shard, fence)?.write_records(records.to_vec()).await.map(|_offset| ())
    }

    async fn write_offsets(
        &self,
        shard: Shard,
        fence: Fence,
        group: &GroupId,
        offsets: &BTreeMap<TargetPartition, TargetCommit>,
    ) -> Result<(), Failure> {
        let list = offset_list(offsets, &format!("committing offsets of group {group}"))?;
        self.owned(shard, fence)?.write_offsets(group.clone(), list).await
    }

    async fn end(
        &self,
        shard: Shard,
        fence: Fence,
        end: TransactionEnd,
    ) -> Result<Aftermath, Failure> {
        self.owned(shard, fence)?.end_transaction(end).await
    }

    fn destroy_producer(&self, shard: Shard) {
        self.live.borrow_mut().remove(&shard);
    }
}
