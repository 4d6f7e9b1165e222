//! Follows a broker's `__consumer_offsets` from its beginning, as independent evidence of what was
//! committed.

use super::DEADLINE;
use super::clients::{config, group_config};
use super::cluster::Cluster;
use super::history::{Decrease, History};
use super::offsets_topic::decode;
use super::topics::partitions_of;
use super::wait::{Answer, eventually};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::{Offset, TopicPartitionList};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

const TOPIC: &str = "__consumer_offsets";
const READER: &str = "tests.offsets-watcher";

/// Reads every committed record of `__consumer_offsets` in a thread, and keeps them all. Its
/// isolation level is `read_committed`, so it sees no offset of an aborted or open transaction. It
/// survives a restart of the broker.
pub(crate) struct OffsetsWatcher {
    shared: Arc<Shared>,
    partitions: i32,
    /// Reads the log end offset, open transactions included.
    uncommitted: BaseConsumer,
    /// Reads the last stable offset.
    committed: BaseConsumer,
    requests: Sender<Reread>,
    thread: Option<JoinHandle<()>>,
}

/// A request to read all partitions to their end, with a new fetch. It is answered when that is
/// done.
type Reread = Sender<()>;

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    ended: AtomicBool,
}

#[derive(Default)]
struct State {
    history: History,
    /// Why the history cannot be trusted: records that could not be decoded, or a log that lost
    /// records.
    problems: Vec<String>,
}

impl OffsetsWatcher {
    /// Starts to follow. Makes the broker create the topic if there is none yet.
    #[track_caller]
    pub(crate) fn start(broker: &dyn Cluster) -> Self {
        let bootstrap = broker.bootstrap();
        let consumer: BaseConsumer = group_config(&bootstrap, READER)
            .set("enable.partition.eof", "true")
            .create()
            .expect("a consumer");
        let partitions = ensure_topic(&consumer);
        let query = |isolation: &str| {
            config(&bootstrap).set("isolation.level", isolation).create().expect("a client")
        };
        let (uncommitted, committed) = (query("read_uncommitted"), query("read_committed"));
        let shared = Arc::new(Shared::default());
        let (requests, inbox) = channel();
        let reader = Reader::new(consumer, partitions, Arc::clone(&shared));
        let thread = thread::spawn(move || reader.run(&inbox));
        Self { shared, partitions, uncommitted, committed, requests, thread: Some(thread) }
    }

    /// Returns once the history contains everything that was committed before this call. Each
    /// partition has then been read to its end by a fetch sent after this call, and that end was at
    /// or after the log end offset as of this call, transaction markers included.
    ///
    /// # Panics
    /// After [`DEADLINE`], which includes the case that a transaction stays open in the topic. Also
    /// if a record could not be decoded, or the log lost records.
    #[track_caller]
    pub(crate) fn catch_up(&self) {
        let ends: Vec<i64> = (0..self.partitions)
            .map(|partition| {
                eventually(DEADLINE, "the log end of __consumer_offsets", || {
                    end_of(&self.uncommitted, partition)
                })
            })
            .collect();
        for (partition, end) in (0..).zip(ends) {
            let what = format!("the end of the transactions in {TOPIC}-{partition} below {end}");
            eventually(DEADLINE, &what, || {
                match end_of(&self.committed, partition).map_err(|error| error.to_string())? {
                    stable if stable >= end => Ok(()),
                    stable => Err(format!("the last stable offset is {stable}")),
                }
            });
        }
        let (reply, done) = channel();
        self.requests.send(reply).expect("the watcher's thread runs");
        done.recv_timeout(DEADLINE).unwrap_or_else(|_| {
            panic!("the watcher did not reach the end of {TOPIC} within {DEADLINE:?}")
        });
        let problems = self.shared.state().problems.clone();
        assert!(problems.is_empty(), "{TOPIC} could not be followed: {problems:#?}");
    }

    /// What has been read so far. Call [`OffsetsWatcher::catch_up`] first to be certain that it is
    /// complete.
    pub(crate) fn history(&self) -> History {
        self.shared.state().history.clone()
    }

    /// Catches up, and returns every committed offset that went backwards.
    #[track_caller]
    pub(crate) fn decreases(&self) -> Vec<Decrease> {
        self.catch_up();
        self.shared.state().history.decreases()
    }

    /// Asks `question` about the history, now and after each change, until it answers with a value.
    ///
    /// # Panics
    /// After `deadline`. The message says what was waited for, and the last state seen.
    #[track_caller]
    pub(crate) fn wait_until<A: Answer>(
        &self,
        deadline: Duration,
        what: &str,
        question: impl FnMut(&History) -> A,
    ) -> A::Value {
        match self.try_wait_until(deadline, question) {
            Ok(value) => value,
            Err(last) => panic!("waited {deadline:?} for {what}; last seen: {last}"),
        }
    }

    /// Like [`OffsetsWatcher::wait_until`], but returns the last state seen as an error after the
    /// deadline.
    pub(crate) fn try_wait_until<A: Answer>(
        &self,
        deadline: Duration,
        mut question: impl FnMut(&History) -> A,
    ) -> Result<A::Value, String> {
        let end = Instant::now() + deadline;
        let mut state = self.shared.state();
        loop {
            match question(&state.history).settle() {
                Ok(value) => return Ok(value),
                Err(last) => {
                    let left = end.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return Err(last);
                    }
                    state = self
                        .shared
                        .changed
                        .wait_timeout(state, left)
                        .unwrap_or_else(PoisonError::into_inner)
                        .0;
                }
            }
        }
    }
}

impl Drop for OffsetsWatcher {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The watcher's thread.
struct Reader {
    consumer: BaseConsumer,
    partitions: i32,
    /// The next position to read. A partition without one is read from the beginning.
    next: BTreeMap<i32, i64>,
    shared: Arc<Shared>,
    /// The request being served, and the partitions that it still waits for.
    serving: Option<(Reread, BTreeSet<i32>)>,
}

impl Reader {
    fn new(consumer: BaseConsumer, partitions: i32, shared: Arc<Shared>) -> Self {
        Self { consumer, partitions, next: BTreeMap::new(), shared, serving: None }
    }

    fn run(mut self, requests: &Receiver<Reread>) {
        self.assign();
        while !self.shared.ended.load(Ordering::Acquire) {
            if self.serving.is_none()
                && let Ok(reply) = requests.try_recv()
            {
                // A new assignment fetches again and reports the ends again. What an earlier fetch
                // still delivers is dropped with the old assignment.
                self.assign();
                self.serving = Some((reply, (0..self.partitions).collect()));
            }
            let ended = match self.consumer.poll(Duration::from_millis(20)) {
                Some(Ok(message)) => apply(&message, &mut self.next, &self.shared),
                Some(Err(KafkaError::PartitionEOF(partition))) => Some(partition),
                Some(Err(error)) => note(&error, &self.shared),
                None => None,
            };
            if let Some(partition) = ended {
                self.reached_end(partition);
            }
        }
    }

    fn assign(&self) {
        let mut list = TopicPartitionList::new();
        for partition in 0..self.partitions {
            let from = self.next.get(&partition).map_or(Offset::Beginning, |n| Offset::Offset(*n));
            list.add_partition_offset(TOPIC, partition, from).expect("an offset");
        }
        self.consumer.assign(&list).expect("an assignment");
    }

    fn reached_end(&mut self, partition: i32) {
        if let Some((reply, waiting)) = &mut self.serving {
            waiting.remove(&partition);
            if waiting.is_empty() {
                // Nobody listens any more once the deadline of the request has passed.
                let _ = reply.send(());
                self.serving = None;
            }
        }
    }
}

/// Adds a record to the history.
fn apply(
    message: &BorrowedMessage<'_>,
    next: &mut BTreeMap<i32, i64>,
    shared: &Shared,
) -> Option<i32> {
    let (partition, position) = (message.partition(), message.offset());
    next.insert(partition, position + 1);
    let mut state = shared.state();
    match decode(message.key().unwrap_or_default(), message.payload()) {
        Ok(record) => state.history.apply(position, record),
        Err(why) => state.problems.push(format!("{TOPIC}-{partition} at {position}: {why}")),
    }
    shared.changed.notify_all();
    None
}

/// Records a position outside the log as a problem. Other errors, such as lost connections, are
/// transient.
fn note(error: &KafkaError, shared: &Shared) -> Option<i32> {
    if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AutoOffsetReset) {
        shared
            .state()
            .problems
            .push(format!("the position is outside the log, so records were lost: {error}"));
    }
    None
}

/// Returns the number of partitions once the topic exists. Asking for a coordinator makes the
/// broker create it.
fn ensure_topic(consumer: &BaseConsumer) -> i32 {
    eventually(DEADLINE, "the topic __consumer_offsets", || -> Result<i32, String> {
        if let Some(partitions) = partitions_of(consumer, TOPIC)? {
            return Ok(partitions);
        }
        let mut list = TopicPartitionList::new();
        list.add_partition(TOPIC, 0);
        match consumer.committed_offsets(list, Duration::from_secs(1)) {
            Ok(_) => Err("no such topic, although the coordinator answers".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    })
}

fn end_of(client: &BaseConsumer, partition: i32) -> Result<i64, KafkaError> {
    client.fetch_watermarks(TOPIC, partition, Duration::from_secs(5)).map(|(_, end)| end)
}
