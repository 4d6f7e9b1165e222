//! Membership in the coordination group, which decides the shards that this instance owns
//! (`docs/protocol.md`, "The life of a shard"). A dedicated thread polls the consumer, handles rebalances and
//! asks whether this instance is a member of the current generation.

mod checks;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::channel::oneshot;
use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::types::{RDKafkaErrorCode as Code, RDKafkaRespErr};
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::mpsc;

use self::checks::{Asker, Checks, what};
use super::client::{Properties, REQUEST_TIMEOUT, client_config, failed};
use super::clock::ProcessClock;
use super::complaints::{Complaints, plain_sentence};
use super::errors::{Doing, advice};
use super::ffi::commits;
use crate::ports::{Clock, Ownership};
use sprag_core::event::Event;
use sprag_core::failure::{Failure, FailureClass};
use sprag_core::ids::{Shard, TopicName};
use sprag_core::time::Instant;

const POLL: Duration = Duration::from_millis(50);

/// This instance's membership in the coordination group.
pub struct KafkaOwnership {
    orders: Sender<Order>,
    events: tokio::sync::Mutex<mpsc::UnboundedReceiver<Event>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

enum Order {
    Check(Shard, Asker),
    Release(Shard),
}

/// The state that the rebalance callback and the polling thread share.
#[derive(Clone)]
struct Membership {
    events: mpsc::UnboundedSender<Event>,
    /// Partitions whose revocation is not acknowledged yet. They are given back all at once.
    revoked: Arc<Mutex<Option<Revoked>>>,
    closing: Arc<AtomicBool>,
    checks: Arc<Checks>,
    complaints: Complaints,
}

struct Revoked {
    partitions: TopicPartitionList,
    outstanding: BTreeSet<i32>,
}

impl ClientContext for Membership {
    fn error(&self, error: KafkaError, reason: &str) {
        let remedy = match error.rdkafka_error_code() {
            Some(code @ Code::InvalidSessionTimeout) => advice(code),
            Some(Code::GroupAuthorizationFailed) => {
                "grant Read on Sprag's coordination group on the target"
            }
            Some(Code::AllBrokersDown) => {
                return tracing::debug!("the coordination group on the target: {reason}");
            }
            Some(_) | None => "Sprag tries again",
        };
        let sentence = plain_sentence(reason);
        if self.complaints.is_news(sentence) {
            tracing::warn!("the coordination group on the target: {sentence}; {remedy}");
        }
    }
}

impl ConsumerContext for Membership {
    #[expect(clippy::wildcard_enum_match_arm, reason = "librdkafka's codes are open-ended")]
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        err: RDKafkaRespErr,
        partitions: &mut TopicPartitionList,
    ) {
        let outcome = match err {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => {
                self.assigned(consumer, partitions)
            }
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS => {
                self.revoked(consumer, partitions)
            }
            _ => consumer.unassign(),
        };
        if let Err(error) = outcome {
            tracing::warn!(%error, "could not complete a rebalance of the coordination group");
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, offsets: &TopicPartitionList) {
        self.checks.answered(&result, offsets);
    }
}

impl Membership {
    fn assigned(
        &self,
        consumer: &BaseConsumer<Self>,
        partitions: &TopicPartitionList,
    ) -> Result<(), KafkaError> {
        consumer.incremental_assign(partitions)?;
        // Only the assignment matters here. The committer reads the records.
        consumer.pause(partitions)?;
        for shard in shards(partitions) {
            self.send(Event::ShardAssigned { shard });
        }
        Ok(())
    }

    fn revoked(
        &self,
        consumer: &BaseConsumer<Self>,
        partitions: &TopicPartitionList,
    ) -> Result<(), KafkaError> {
        let closing = self.closing.load(Ordering::Acquire);
        if closing || consumer.assignment_lost() {
            // The partitions that were to be given back are lost together with the others.
            *self.revoked.lock().unwrap_or_else(PoisonError::into_inner) = None;
            for shard in shards(partitions) {
                self.send(Event::ShardLost { shard });
            }
            return consumer.incremental_unassign(partitions);
        }
        let outstanding = partitions.elements().iter().map(|part| part.partition()).collect();
        let revoked = Revoked { partitions: partitions.clone(), outstanding };
        *self.revoked.lock().unwrap_or_else(PoisonError::into_inner) = Some(revoked);
        for shard in shards(partitions) {
            self.send(Event::ShardRevoked { shard });
        }
        Ok(())
    }

    /// Notes that a revoked shard is at rest. If it was the last one, returns all partitions to give back.
    fn released(&self, shard: Shard) -> Option<TopicPartitionList> {
        let mut revoked = self.revoked.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = revoked.as_mut()?;
        waiting.outstanding.remove(&shard.get().cast_signed());
        if waiting.outstanding.is_empty() {
            revoked.take().map(|done| done.partitions)
        } else {
            None
        }
    }

    fn send(&self, event: Event) {
        // The receiver is gone if the process is ending.
        let _ = self.events.send(event);
    }
}

fn shards(partitions: &TopicPartitionList) -> Vec<Shard> {
    partitions.elements().iter().map(|part| Shard(part.partition().unsigned_abs())).collect()
}

impl KafkaOwnership {
    /// Joins the coordination group `group`, which assigns the partitions of `fence_topic` to its members.
    ///
    /// # Errors
    ///
    /// If librdkafka refuses the properties.
    #[expect(clippy::disallowed_methods, reason = "a dedicated thread polls the native client")]
    pub fn join(
        properties: &Properties,
        group: &str,
        fence_topic: &TopicName,
        session_timeout: Duration,
    ) -> Result<Self, Failure> {
        let session = session_timeout.as_millis().to_string();
        let heartbeat = (session_timeout.as_millis() / 3).clamp(1, 3000).to_string();
        let patience = patience(session_timeout).as_millis().to_string();
        let ours = [
            ("group.id", group),
            ("partition.assignment.strategy", "cooperative-sticky"),
            ("session.timeout.ms", session.as_str()),
            ("heartbeat.interval.ms", heartbeat.as_str()),
            ("socket.timeout.ms", patience.as_str()),
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            ("auto.offset.reset", "latest"),
            ("allow.auto.create.topics", "false"),
        ];
        let (events, receiver) = mpsc::unbounded_channel();
        let (revoked, closing, checks) = Default::default();
        let complaints = Complaints::new(ProcessClock::start());
        let membership = Membership { events, revoked, closing, checks, complaints };
        let what = format!("joining the coordination group {group} on the target");
        let refused = |error: KafkaError| failed(&error, Doing::Fencing, &what);
        let consumer: BaseConsumer<Membership> = client_config(properties, &ours)
            .create_with_context(membership.clone())
            .map_err(refused)?;
        consumer.subscribe(&[fence_topic.as_str()]).map_err(refused)?;
        let (orders, received) = channel();
        let topic = fence_topic.clone();
        let thread = std::thread::spawn(move || {
            serve(&consumer, &membership, &topic, &received);
        });
        Ok(Self { orders, events: tokio::sync::Mutex::new(receiver), thread: Some(thread) })
    }
}

impl Drop for KafkaOwnership {
    fn drop(&mut self) {
        // The thread ends when the channel of its orders closes. It leaves the group before it ends, so that
        // the other members need not wait for the session to time out.
        let (nobody, _) = channel();
        drop(std::mem::replace(&mut self.orders, nobody));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Ownership for KafkaOwnership {
    async fn next(&self) -> Event {
        let mut events = self.events.lock().await;
        match events.recv().await {
            Some(event) => event,
            None => std::future::pending().await,
        }
    }

    async fn check(&self, shard: Shard) -> Result<bool, Failure> {
        let (sender, receiver) = oneshot::channel();
        let gone =
            || Failure::new(FailureClass::Retry, "the coordination group's thread has ended");
        self.orders.send(Order::Check(shard, sender)).map_err(|_| gone())?;
        receiver.await.map_err(|_| gone())?
    }

    fn release(&self, shard: Shard) {
        let _ = self.orders.send(Order::Release(shard));
    }
}

fn serve(
    consumer: &BaseConsumer<Membership>,
    membership: &Membership,
    topic: &TopicName,
    orders: &Receiver<Order>,
) {
    let clock = ProcessClock::start();
    loop {
        membership.checks.expire(clock.now());
        if let Some(Err(error)) = consumer.poll(POLL) {
            tracing::debug!(%error, "polling the coordination group failed");
        }
        loop {
            match orders.try_recv() {
                Ok(Order::Check(shard, answer)) => {
                    ask(consumer, topic, shard, clock.now(), answer);
                }
                Ok(Order::Release(shard)) => {
                    if let Some(partitions) = membership.released(shard)
                        && let Err(error) = consumer.incremental_unassign(&partitions)
                    {
                        tracing::debug!(%error, "could not give shards back");
                    }
                }
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => {
                    membership.closing.store(true, Ordering::Release);
                    return;
                }
            }
        }
    }
}

/// Asks whether this instance still owns the shard.
fn ask(
    consumer: &BaseConsumer<Membership>,
    topic: &TopicName,
    shard: Shard,
    now: Instant,
    asker: Asker,
) {
    let partition = shard.get().cast_signed();
    match consumer.assignment() {
        Ok(assigned) if assigned.find_partition(topic.as_str(), partition).is_some() => {}
        Ok(_) => {
            let _ = asker.send(Ok(false));
            return;
        }
        Err(error) => {
            let _ = asker.send(Err(failed(&error, Doing::Reading, &what(shard))));
            return;
        }
    }
    let checks = &consumer.context().checks;
    let number = checks.ask(now, shard, asker);
    let mut list = TopicPartitionList::new();
    list.add_partition(topic.as_str(), partition).set_metadata(number.to_string());
    // Nobody reads the offset.
    let sent = list
        .set_partition_offset(topic.as_str(), partition, Offset::Offset(0))
        .and_then(|()| commits::commit(consumer, &list));
    if let Err(error) = sent {
        checks.refused(number, error);
    }
}

/// How long a broker may leave a request unanswered. librdkafka asks any broker for the group's coordinator,
/// also one that hangs, and asks no other before that request times out. The session must outlast two such
/// requests: a heartbeat to a coordinator that hangs, and the look-up of its successor.
fn patience(session_timeout: Duration) -> Duration {
    (session_timeout / 3).clamp(Duration::from_secs(1), REQUEST_TIMEOUT)
}
