//! A shard's producer, and the dedicated thread that makes its blocking calls.

#[cfg(test)]
mod tests;

use std::pin::pin;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use futures::channel::oneshot;
use futures::future::{Either, select};
use rdkafka::TopicPartitionList;
use rdkafka::types::RDKafkaErrorCode as Code;

use super::client::{Properties, client_config, failed};
use super::clock::ProcessClock;
use super::errors::{Doing, failure};
use super::ffi::NativeError;
use super::ffi::producer::{Producer, RecordId};
use crate::ports::{Clock, member};
use sprag_core::action::TransactionEnd;
use sprag_core::event::Aftermath;
use sprag_core::failure::{Failure, FailureClass};
use sprag_core::fence_log::FenceRecord;
use sprag_core::ids::{Fence, GroupId, Shard, TopicName};
use sprag_core::policy::CommitMode;

/// The time limit of a call within a transaction. No other group of the shard can commit meanwhile. If a call
/// times out and leaves the transaction open, the start of the next producer aborts it.
const TRANSACTION_CALL: Duration = Duration::from_secs(3);

/// The time limit of `init_transactions`, which may have to connect and to wait for an earlier transaction to
/// end.
const INITIALISATION: Duration = Duration::from_secs(5);

/// How long to wait for a producer's thread beyond the time limits of its calls.
/// `rd_kafka_send_offsets_to_transaction()` does not keep its time limit. It may never return after the
/// group's coordinator has left the cluster or come back to it (librdkafka issues 5456 and 5511).
const RETURNS_AFTER: Duration = Duration::from_secs(1);

/// The maximum number of blocking calls needed to write records: two, and one to abort.
const CALLS_FOR_RECORDS: u32 = 3;

/// Appended to a failure's text if an earlier request was never answered.
const LATE: &str =
    "an earlier request was sent and never answered, and a broker may carry it out late";

/// Appended to a failure's text if it is not known how a transaction ended.
const UNVERIFIED: &str = "offsets that were not verified may have become visible";

/// Makes the shards' producers.
pub(super) struct Producers {
    /// The target's producer properties.
    pub(super) properties: Properties,
    /// The prefix of the transactional.ids: `sprag.<pipeline id>`.
    pub(super) prefix: String,
    /// The fence topic.
    pub(super) fence_topic: TopicName,
    /// In `guarded` mode producers have no transactions.
    pub(super) mode: CommitMode,
}

/// A handle to the producer's thread. When the last handle is dropped, the thread finishes its jobs and then
/// destroys the producer.
pub(super) struct ShardProducer {
    shard: Shard,
    jobs: Sender<Job>,
    clock: ProcessClock,
}

type Job = Box<dyn FnOnce(&Worker) + Send>;

struct Worker {
    producer: Producer,
    fence_topic: TopicName,
    shard: Shard,
    mode: CommitMode,
}

impl Producers {
    /// A new producer for `shard`.
    ///
    /// # Errors
    ///
    /// If librdkafka refuses the properties.
    #[expect(clippy::disallowed_methods, reason = "a dedicated thread makes the blocking calls")]
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
        let producer = Producer::new(&client_config(&self.properties, &ours)).map_err(|error| {
            failed(&error, Doing::Fencing, &format!("shard {shard}: creating the producer"))
        })?;
        let (fence_topic, mode) = (self.fence_topic.clone(), self.mode);
        let worker = Worker { producer, fence_topic, shard, mode };
        let (jobs, received) = channel();
        std::thread::spawn(move || worker.serve(&received));
        Ok(ShardProducer { shard, jobs, clock: ProcessClock::start() })
    }
}

impl ShardProducer {
    /// Fences every earlier producer of the shard.
    ///
    /// # Errors
    ///
    /// Classified by the error table.
    pub(super) async fn init_transactions(&self) -> Result<(), Failure> {
        self.run("initialising transactions", INITIALISATION, Worker::init_transactions).await
    }

    /// Writes records to the shard's fence partition and returns the offset of the last one. In `fenced` mode
    /// all records are in one transaction.
    ///
    /// # Errors
    ///
    /// Classified by the error table. Also if a delivery report has no offset, or if a request may be carried
    /// out late. In `guarded` mode, some of the records may have been written even so.
    pub(super) async fn write_records(&self, records: Vec<FenceRecord>) -> Result<Fence, Failure> {
        let calls = TRANSACTION_CALL * CALLS_FOR_RECORDS;
        self.run("writing to the fence topic", calls, move |worker| worker.write_records(&records))
            .await
    }

    /// Begins a transaction and writes offsets in it.
    ///
    /// # Errors
    ///
    /// Classified by the error table. Also if a request may be carried out late.
    pub(super) async fn write_offsets(
        &self,
        group: GroupId,
        offsets: TopicPartitionList,
    ) -> Result<(), Failure> {
        let what = format!("writing offsets of group {group}");
        self.run(&what, TRANSACTION_CALL, move |worker| worker.write_offsets(&group, &offsets))
            .await
    }

    /// Ends the open transaction, and returns whether a request may be carried out late.
    ///
    /// # Errors
    ///
    /// Classified by the error table, or as a late request if the call failed and a request may be carried
    /// out late.
    pub(super) async fn end_transaction(&self, end: TransactionEnd) -> Result<Aftermath, Failure> {
        let what = format!("ending a transaction ({end:?})");
        self.run(&what, TRANSACTION_CALL, move |worker| worker.end(end)).await
    }

    /// Waits for `job`, whose calls may take up to `calls` in total. A producer that does not return in time
    /// is unusable. Its successor, which has a newer epoch, aborts the transaction that it left open. The
    /// thread ends when the call returns.
    async fn run<T: Send + 'static>(
        &self,
        what: &str,
        calls: Duration,
        job: impl FnOnce(&Worker) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let gone = || Failure::new(FailureClass::Fenced, "the producer's thread has ended");
        let (sender, receiver) = oneshot::channel();
        let job: Job = Box::new(move |worker| {
            // The receiver is gone if the shard was given up in the meantime.
            let _ = sender.send(job(worker));
        });
        self.jobs.send(job).map_err(|_| gone())?;
        let patience = calls + RETURNS_AFTER;
        let over = self.clock.sleep_until(self.clock.now() + patience);
        match select(receiver, pin!(over)).await {
            Either::Left((outcome, _)) => outcome.map_err(|_| gone())?,
            Either::Right(((), _)) => {
                let detail = format!(
                    "shard {}: {what}: the Kafka client did not return within {patience:?}",
                    self.shard
                );
                Err(Failure::new(FailureClass::LateRequest, detail))
            }
        }
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
        let outcome = self.producer.init_transactions(INITIALISATION);
        outcome.map_err(|error| failure(&error, Doing::Fencing, &what))
    }

    fn write_records(&self, records: &[FenceRecord]) -> Result<Fence, Failure> {
        let what = match records {
            [record] => format!("shard {}: writing {} to the fence topic", self.shard, record.key),
            all => {
                format!("shard {}: writing {} records to the fence topic", self.shard, all.len())
            }
        };
        let written = match self.mode {
            CommitMode::Fenced => self.in_a_transaction(records),
            CommitMode::Guarded => self.send_records(records).and_then(|sent| {
                self.producer.flush(TRANSACTION_CALL)?;
                Ok(sent)
            }),
        };
        let stand = written
            .map_err(|error| failure(&error, Doing::Fencing, &what))
            .and_then(|sent| self.delivered(&sent, &what));
        self.unless_late(&what, stand)
    }

    /// Writes the records in one transaction. If it cannot be committed, it is aborted so that the next one
    /// can begin.
    fn in_a_transaction(&self, records: &[FenceRecord]) -> Result<Vec<RecordId>, NativeError> {
        self.producer.begin_transaction()?;
        let done = self.send_records(records).and_then(|sent| {
            self.producer.commit_transaction(TRANSACTION_CALL)?;
            Ok(sent)
        });
        if done.is_err()
            && let Err(error) = self.producer.abort_transaction(TRANSACTION_CALL)
        {
            tracing::debug!(%error, shard = self.shard.get(), "aborting fence records failed");
        }
        done
    }

    fn send_records(&self, records: &[FenceRecord]) -> Result<Vec<RecordId>, NativeError> {
        let (topic, partition) = (self.fence_topic.as_str(), self.shard.get().cast_signed());
        let send =
            |record: &FenceRecord| self.producer.send(topic, partition, &record.key, &record.value);
        records.iter().map(send).collect()
    }

    /// The offset of the last record, if all of them were delivered.
    fn delivered(&self, sent: &[RecordId], what: &str) -> Result<Fence, Failure> {
        let unreported = || {
            let detail = format!("{what}: the broker did not report an offset for every record");
            Failure::new(FailureClass::OutcomeUnknown, detail)
        };
        let mut last = Err(unreported());
        for record in sent {
            last = match self.producer.delivery(*record) {
                Some(Ok(offset)) if offset >= 0 => Ok(Fence(offset)),
                Some(Ok(_)) | None => return Err(unreported()),
                Some(Err(error)) => return Err(failure(&error, Doing::Fencing, what)),
            };
        }
        last
    }

    fn write_offsets(&self, group: &GroupId, offsets: &TopicPartitionList) -> Result<(), Failure> {
        let what = format!("shard {}: writing offsets of group {group}", self.shard);
        let begun = self.producer.begin_transaction();
        let written = begun.and_then(|()| {
            self.producer.send_offsets(group.as_str(), member(), offsets, TRANSACTION_CALL)
        });
        let written = written.map_err(|error| refused(failure(&error, Doing::Committing, &what)));
        self.unless_late(&what, written)
    }

    fn end(&self, end: TransactionEnd) -> Result<Aftermath, Failure> {
        let what = format!("shard {}: ending a transaction ({end:?})", self.shard);
        let ended = match end {
            TransactionEnd::Commit => self.producer.commit_transaction(TRANSACTION_CALL),
            TransactionEnd::Abort => self.producer.abort_transaction(TRANSACTION_CALL),
        };
        match ended {
            Ok(()) if self.producer.late_request_possible() => Ok(Aftermath::LateRequest),
            Ok(()) => Ok(Aftermath::Settled),
            Err(error) => {
                let failure = refused(failure(&error, Doing::Ending, &what));
                let failure = if end_unknown(&error, &failure, end) {
                    let detail = format!("{failure}; {UNVERIFIED}");
                    Failure::new(failure.class, detail)
                } else {
                    failure
                };
                self.unless_late(&what, Err(failure))
            }
        }
    }

    /// Turns the outcome into a late-request failure if a request of this producer may be carried out late.
    /// `Fenced` and `Stop` failures keep their class.
    fn unless_late<T>(&self, what: &str, outcome: Result<T, Failure>) -> Result<T, Failure> {
        if !self.producer.late_request_possible() {
            return outcome;
        }
        let detail = match outcome {
            Err(failure) if matches!(failure.class, FailureClass::Fenced | FailureClass::Stop) => {
                return Err(failure);
            }
            Err(failure) => format!("{failure}; {LATE}"),
            Ok(_) => format!("{what}: done; {LATE}"),
        };
        Err(Failure::new(FailureClass::LateRequest, detail))
    }
}

/// Whether it is unknown, after a failed end, how the transaction ended. A transaction in an unexpected state
/// was ended by something else, such as a late request.
fn end_unknown(error: &NativeError, failure: &Failure, end: TransactionEnd) -> bool {
    let refused = failure.class == FailureClass::Fenced;
    error.code == Code::InvalidTransactionalState || (end == TransactionEnd::Abort && !refused)
}

/// Logs that the broker enforced the fence. It is logged here because the caller that ordered the commit may
/// be gone.
fn refused(failure: Failure) -> Failure {
    if failure.class == FailureClass::Fenced {
        tracing::warn!(event = "commit_refused", "the broker refused a commit: {failure}");
    }
    failure
}
