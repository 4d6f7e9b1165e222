//! Fenced commits: one transactional producer per shard, each with a thread of its own, because
//! librdkafka's transactional calls block.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use super::client::{AdminClient, Properties, REQUEST_TIMEOUT};
use super::errors::Doing;
use super::fence_log::read_fence_partition;
use super::groups::offset_list;
use super::producer::{Producers, ShardProducer};
use crate::core::action::TransactionEnd;
use crate::core::event::TargetCommit;
use crate::core::failure::{Failure, FailureClass};
use crate::core::fence_log::{FenceLog, FenceRecord};
use crate::core::ids::{Fence, GroupId, Shard, TargetPartition, TopicName};
use crate::core::policy::CommitMode;
use crate::ports::Committer;

/// The fence partitions and the shards' producers.
pub struct KafkaCommitter {
    admin: Rc<AdminClient>,
    consumer: Properties,
    fence_topic: TopicName,
    coordination_group: String,
    producers: Producers,
    live: RefCell<BTreeMap<Shard, Arc<ShardProducer>>>,
}

impl KafkaCommitter {
    /// A committer on the target cluster. `prefix` is the transactional.ids', without the shard.
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
        let live = RefCell::default();
        Self { admin, consumer, fence_topic, coordination_group, producers, live }
    }

    fn producer(&self, shard: Shard) -> Result<Arc<ShardProducer>, Failure> {
        let gone = || {
            let detail = format!("shard {shard}: its producer was destroyed");
            Failure::new(FailureClass::Fenced, detail)
        };
        self.live.borrow().get(&shard).cloned().ok_or_else(gone)
    }

    fn made_anew(&self, shard: Shard) -> Result<Arc<ShardProducer>, Failure> {
        self.live.borrow_mut().remove(&shard);
        let producer = Arc::new(self.producers.make(shard)?);
        self.live.borrow_mut().insert(shard, Arc::clone(&producer));
        Ok(producer)
    }
}

impl Committer for KafkaCommitter {
    async fn fence_log(&self, shard: Shard) -> Result<FenceLog, Failure> {
        let newest =
            read_fence_partition(self.consumer.clone(), self.fence_topic.clone(), shard).await?;
        let admin = self.admin.since(None)?;
        let group = self.coordination_group.as_str();
        let described = admin.describe_group(group, REQUEST_TIMEOUT).await;
        let what = format!("describing the coordination group {group}");
        let members = match described {
            Ok(group) => Some(group.members),
            Err(error) => {
                let failure = self.admin.failed(&error, Doing::Reading, &what);
                tracing::debug!(%failure, "the number of members is unknown");
                None
            }
        };
        Ok(FenceLog { newest, members })
    }

    async fn init_transactions(&self, shard: Shard) -> Result<(), Failure> {
        self.made_anew(shard)?.init_transactions().await
    }

    async fn write_record(&self, shard: Shard, record: &FenceRecord) -> Result<Fence, Failure> {
        let present = self.live.borrow().get(&shard).cloned();
        let producer = match (present, self.producers.mode) {
            (Some(producer), _) => producer,
            (None, CommitMode::Guarded) => self.made_anew(shard)?,
            (None, CommitMode::Fenced) => self.producer(shard)?,
        };
        producer.write_record(record.clone()).await
    }

    async fn write_offsets(
        &self,
        shard: Shard,
        group: &GroupId,
        offsets: &BTreeMap<TargetPartition, TargetCommit>,
    ) -> Result<(), Failure> {
        let list = offset_list(offsets, &format!("committing offsets of group {group}"))?;
        self.producer(shard)?.write_offsets(group.clone(), list).await
    }

    async fn end_transaction(&self, shard: Shard, end: TransactionEnd) -> Result<(), Failure> {
        self.producer(shard)?.end_transaction(end).await
    }

    fn destroy(&self, shard: Shard) {
        self.live.borrow_mut().remove(&shard);
    }
}
