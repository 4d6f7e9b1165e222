//! Fenced commits. Each shard has one transactional producer with a dedicated thread, because librdkafka's
//! transactional calls block.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::client::{AdminClient, Properties};
use super::errors::Doing;
use super::fence_log::read_fence_partition;
use super::groups::offset_list;
use super::lookups::Lookups;
use super::producer::{Producers, ShardProducer};
use crate::ports::Committer;
use sprag_core::action::TransactionEnd;
use sprag_core::event::{Aftermath, TargetCommit};
use sprag_core::failure::{Failure, FailureClass};
use sprag_core::fence_log::{FenceLog, FenceRecord};
use sprag_core::ids::{BrokerId, Fence, GroupId, Shard, TargetPartition, TopicName};
use sprag_core::policy::CommitMode;

/// The time limit for reading the number of members of the coordination group. It delays a take-over.
const PATIENCE: Duration = Duration::from_secs(5);

/// The fence partitions and the shards' producers.
pub struct KafkaCommitter {
    admin: Rc<AdminClient>,
    consumer: Properties,
    fence_topic: TopicName,
    coordination_group: GroupId,
    lookups: Lookups,
    producers: Producers,
    live: RefCell<BTreeMap<Shard, Owned>>,
}

/// A shard's producer, and the fence of its ownership once the take-over record is written.
struct Owned {
    producer: Arc<ShardProducer>,
    fence: Option<Fence>,
}

impl KafkaCommitter {
    /// A committer on the target cluster. `prefix` is the transactional.id without the shard.
    #[must_use]
    pub fn new(
        admin: Rc<AdminClient>,
        consumer: Properties,
        producer: Properties,
        fence_topic: TopicName,
        coordination_group: String,
        prefix: String,
        mode: CommitMode,
    ) -> Self {
        let producers =
            Producers { properties: producer, prefix, fence_topic: fence_topic.clone(), mode };
        let (lookups, live) = (Lookups::new(Rc::clone(&admin)), RefCell::default());
        let coordination_group = GroupId::from(coordination_group.as_str());
        Self { admin, consumer, fence_topic, coordination_group, lookups, producers, live }
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

    /// The number of members of the coordination group.
    async fn members(&self) -> Result<Option<usize>, Failure> {
        let group = &self.coordination_group;
        // Take-overs are rare, and a lost broker is a common cause, so the coordinator is always looked up
        // again.
        let (live, at) = self.lookups.coordinator(group, Some(self.admin.now())).await?;
        let described = live.admin.describe_group(group.as_str(), at.map(BrokerId::get), PATIENCE);
        let described = described.await;
        self.lookups.answered(at, group, described.as_ref().err());
        let what = format!("describing the coordination group {group}");
        described
            .map(|described| Some(described.members))
            .map_err(|error| self.admin.failed(&error, Doing::Reading, &what))
    }

    fn replace_producer(&self, shard: Shard) -> Result<Arc<ShardProducer>, Failure> {
        self.live.borrow_mut().remove(&shard);
        let producer = Arc::new(self.producers.make(shard)?);
        let owned = Owned { producer: Arc::clone(&producer), fence: None };
        self.live.borrow_mut().insert(shard, owned);
        Ok(producer)
    }

    /// The producer that `init_transactions` made. `guarded` mode has no `init_transactions`, so the producer
    /// may have to be made here.
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

impl Committer for KafkaCommitter {
    async fn fence_log(&self, shard: Shard) -> Result<FenceLog, Failure> {
        let (newest, members) = futures::join!(
            read_fence_partition(self.consumer.clone(), self.fence_topic.clone(), shard),
            self.members(),
        );
        let members = members.unwrap_or_else(|failure| {
            tracing::debug!(%failure, "the number of members of the coordination group is unknown");
            None
        });
        Ok(FenceLog { newest: newest?, members })
    }

    async fn init_transactions(&self, shard: Shard) -> Result<(), Failure> {
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

    async fn end_transaction(
        &self,
        shard: Shard,
        fence: Fence,
        end: TransactionEnd,
    ) -> Result<Aftermath, Failure> {
        self.owned(shard, fence)?.end_transaction(end).await
    }

    fn destroy(&self, shard: Shard) {
        self.live.borrow_mut().remove(&shard);
    }
}
