//! One shard's producer, in a thread of its own.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::channel::oneshot;
use rdkafka::TopicPartitionList;
use rdkafka::client::ClientContext;
use rdkafka::error::KafkaError;
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};

use super::client::{Properties, client_config, failed};
use super::errors::{Doing, failure};
use super::ffi::transaction_offsets::send_offsets;
use crate::core::action::TransactionEnd;
use crate::core::failure::{Failure, FailureClass};
use crate::core::fence_log::FenceRecord;
use crate::core::ids::{Fence, GroupId, Shard, TopicName};
use crate::core::policy::CommitMode;
use crate::ports::member;

/// How long a transactional call may take: longer than `transaction.timeout.ms`, so that a call that
/// times out leaves nothing open.
const TRANSACTION_CALL: Duration = Duration::from_secs(15);

/// How the shards' producers are made.
pub(super) struct Producers {
    /// The target's producer properties.
    pub(super) properties: Properties,
    /// Of the transactional.ids: `sprag.<pipeline id>`.
    pub(super) prefix: String,
    /// Where take-over records go.
    pub(super) fence_topic: TopicName,
    /// `guarded` producers have no transactions.
    pub(super) mode: CommitMode,
}

/// A handle of the thread; when the last one goes, the producer is destroyed after what it is doing.
pub(super) struct ShardProducer {
    jobs: Sender<Job>,
}

type Job = Box<dyn FnOnce(&Worker) + Send>;

struct Worker {
    producer: BaseProducer<Deliveries>,
    fence_topic: TopicName,
    shard: Shard,
    mode: CommitMode,
}

/// Hands delivery reports to whoever waits for them.
#[derive(Clone, Copy)]
struct Deliveries;

type Delivery = Arc<Mutex<Option<Result<i64, KafkaError>>>>;

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Delivery;

    fn delivery(&self, result: &DeliveryResult<'_>, slot: Delivery) {
        let report = match result {
            Ok(message) => Ok(message.offset()),
            Err((error, _)) => Err(error.clone()),
        };
        *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(report);
    }
}

impl Producers {
    /// A producer for `shard`.
    ///
    /// # Errors
    ///
    /// Where librdkafka refuses the properties.
    #[expect(clippy::disallowed_methods, reason = "a thread of its own makes the blocking calls")]
    pub(super) fn make(&self, shard: Shard) -> Result<ShardProducer, Failure> {
        let transactional_id = format!("{}.{shard}", self.prefix);
        let mut ours = vec![("enable.idempotence", "true"), ("linger.ms", "0")];
        match self.mode {
            CommitMode::Fenced => {
                ours.push(("transactional.id", transactional_id.as_str()));
                ours.push(("transaction.timeout.ms", "10000"));
            }
            CommitMode::Guarded => ours.push(("message.timeout.ms", "10000")),
        }
        let producer = client_config(&self.properties, &ours)
            .create_with_context(Deliveries)
            .map_err(|error| failed(&error, Doing::Fencing, &format!("shard {shard}: producer")))?;
        let (fence_topic, mode) = (self.fence_topic.clone(), self.mode);
        let worker = Worker { producer, fence_topic, shard, mode };
        let (jobs, received) = channel();
        std::thread::spawn(move || worker.serve(&received));
        Ok(ShardProducer { jobs })
    }
}

impl ShardProducer {
    /// Fences every earlier producer of the shard.
    ///
    /// # Errors
    ///
    /// As the error table has it.
    pub(super) async fn init_transactions(&self) -> Result<(), Failure> {
        self.run(Worker::init_transactions).await
    }

    /// Writes a record to the shard's fence partition.
    ///
    /// # Errors
    ///
    /// As the error table has it; also where the delivery report holds no offset.
    pub(super) async fn write_record(&self, record: FenceRecord) -> Result<Fence, Failure> {
        self.run(move |worker| worker.write_record(&record)).await
    }

    /// Begins a transaction and writes offsets in it.
    ///
    /// # Errors
    ///
    /// As the error table has it.
    pub(super) async fn write_offsets(
        &self,
        group: GroupId,
        offsets: TopicPartitionList,
    ) -> Result<(), Failure> {
        self.run(move |worker| worker.write_offsets(&group, &offsets)).await
    }

    /// Ends the open transaction.
    ///
    /// # Errors
    ///
    /// As the error table has it.
    pub(super) async fn end_transaction(&self, end: TransactionEnd) -> Result<(), Failure> {
        self.run(move |worker| worker.end(end)).await
    }

    async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Worker) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let gone = || Failure::new(FailureClass::Fenced, "the producer's thread is gone");
        let (sender, receiver) = oneshot::channel();
        let job: Job = Box::new(move |worker| {
            // Nobody waits any more: the shard was given up meanwhile.
            let _ = sender.send(job(worker));
        });
        self.jobs.send(job).map_err(|_| gone())?;
        receiver.await.map_err(|_| gone())?
    }
}

impl Worker {
    fn serve(self, jobs: &Receiver<Job>) {
        while let Ok(job) = jobs.recv() {
            job(&self);
        }
    }

    fn init_transactions(&self) -> Result<(), Failure> {
        let what = format!("shard {}: initialising transactions", self.shard);
        let outcome = self.producer.init_transactions(TRANSACTION_CALL);
        outcome.map_err(|error| failed(&error, Doing::Fencing, &what))
    }

    fn write_record(&self, record: &FenceRecord) -> Result<Fence, Failure> {
        let what = format!("shard {}: writing {} to the fence topic", self.shard, record.key);
        let refused = |error: KafkaError| failed(&error, Doing::Fencing, &what);
        let slot = Delivery::default();
        match self.mode {
            CommitMode::Fenced => self.in_a_transaction(record, &slot).map_err(refused)?,
            CommitMode::Guarded => {
                self.send_record(record, &slot).map_err(refused)?;
                self.producer.flush(TRANSACTION_CALL).map_err(refused)?;
            }
        }
        // The delivery report is handed out by a poll.
        self.producer.poll(Duration::ZERO);
        let report = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
        match report {
            Some(Ok(offset)) if offset >= 0 => Ok(Fence(offset)),
            Some(Ok(_)) | None => {
                let detail = format!("{what}: the broker did not tell the record's offset");
                Err(Failure::new(FailureClass::OutcomeUnknown, detail))
            }
            Some(Err(error)) => Err(refused(error)),
        }
    }

    /// A transaction that could not be committed is aborted, so that the next one may begin.
    fn in_a_transaction(&self, record: &FenceRecord, slot: &Delivery) -> Result<(), KafkaError> {
        self.producer.begin_transaction()?;
        let sent = self.send_record(record, slot);
        let done = sent.and_then(|()| self.producer.commit_transaction(TRANSACTION_CALL));
        if done.is_err()
            && let Err(error) = self.producer.abort_transaction(TRANSACTION_CALL)
        {
            tracing::debug!(%error, shard = self.shard.get(), "aborting a fence record");
        }
        done
    }

    fn send_record(&self, record: &FenceRecord, slot: &Delivery) -> Result<(), KafkaError> {
        let partition = self.shard.get().cast_signed();
        let message = BaseRecord::with_opaque_to(self.fence_topic.as_str(), Arc::clone(slot))
            .partition(partition)
            .key(&record.key)
            .payload(&record.value);
        self.producer.send(message).map_err(|(error, _)| error)
    }

    fn write_offsets(&self, group: &GroupId, offsets: &TopicPartitionList) -> Result<(), Failure> {
        let what = format!("shard {}: writing offsets of group {group}", self.shard);
        let begun = self.producer.begin_transaction();
        begun.map_err(|error| failed(&error, Doing::Committing, &what))?;
        let written =
            send_offsets(&self.producer, group.as_str(), member(), offsets, TRANSACTION_CALL);
        written.map_err(|error| refused(failure(&error, Doing::Committing, &what)))
    }

    fn end(&self, end: TransactionEnd) -> Result<(), Failure> {
        let what = format!("shard {}: ending a transaction ({end:?})", self.shard);
        let ended = match end {
            TransactionEnd::Commit => self.producer.commit_transaction(TRANSACTION_CALL),
            TransactionEnd::Abort => self.producer.abort_transaction(TRANSACTION_CALL),
        };
        ended.map_err(|error| refused(failed(&error, Doing::Ending, &what)))
    }
}

/// Tells that the fence held: whoever ordered the commit may not be there any more to tell it.
fn refused(failure: Failure) -> Failure {
    if failure.class == FailureClass::Fenced {
        tracing::warn!(event = "commit_refused", "the broker refused a commit: {failure}");
    }
    failure
}
