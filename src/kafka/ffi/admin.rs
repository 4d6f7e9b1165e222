//! Admin requests, many at a time on one client.
//!
//! The client is a *consumer* that never subscribes: on a producer handle
//! `ListConsumerGroupOffsets` dereferences null when the coordinator moved (librdkafka issue 5040).

use std::ffi::{CString, c_void};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures::channel::oneshot;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka_sys as sys;
use sys::rd_kafka_admin_op_t as Op;

use super::answers::{self, Answer};
pub use super::answers::{
    GroupDescription, GroupListing, GroupListings, PartitionOffset, TopicDescription,
};
use super::{NativeError, text};

const PUMP: Duration = Duration::from_millis(100);

/// An admin client with its reply queue and the thread that serves it.
pub struct Admin<C: ConsumerContext + 'static> {
    shared: Arc<Shared<C>>,
}

struct Shared<C: ConsumerContext + 'static> {
    queue: *mut sys::rd_kafka_queue_t,
    consumer: BaseConsumer<C>,
    closing: AtomicBool,
    unanswered: AtomicUsize,
}

impl<C: ConsumerContext + 'static> Shared<C> {
    fn cluster_id(&self, timeout: Duration) -> Option<String> {
        let timeout = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
        let rk = self.consumer.client().native_ptr();
        // SAFETY: the client is live; the string is ours and freed once, after it was copied.
        unsafe {
            let id = sys::rd_kafka_clusterid(rk, timeout);
            if id.is_null() {
                return None;
            }
            let copy = text(id);
            sys::rd_kafka_mem_free(rk, id.cast());
            Some(copy)
        }
    }
}

// SAFETY: librdkafka's clients and queues may be used from any thread.
unsafe impl<C: ConsumerContext + 'static> Send for Shared<C> {}
// SAFETY: as above; what is ours is atomic.
unsafe impl<C: ConsumerContext + 'static> Sync for Shared<C> {}

impl<C: ConsumerContext + 'static> Drop for Shared<C> {
    fn drop(&mut self) {
        // SAFETY: ours, released once, before the client that is dropped after this.
        unsafe { sys::rd_kafka_queue_destroy(self.queue) }
    }
}

impl<C: ConsumerContext + 'static> Drop for Admin<C> {
    fn drop(&mut self) {
        // The thread answers what is under way, then lets the client go.
        self.shared.closing.store(true, Ordering::Release);
    }
}

/// Which log a [`Admin::list_offsets`] asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffsetSpec {
    /// The log start offset.
    Earliest,
    /// The log end: the high watermark, or the last stable offset under `read_committed`.
    Latest,
}

/// Which records a log end counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// All.
    ReadUncommitted,
    /// Those before the first open transaction.
    ReadCommitted,
}

impl<C: ConsumerContext + 'static> Admin<C> {
    /// An admin client on `consumer`, which has a `group.id` and is used for nothing else.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "a thread of its own serves the native queue")]
    pub fn new(consumer: BaseConsumer<C>) -> Self {
        // SAFETY: the client is live and is kept beside the queue.
        let queue = unsafe { sys::rd_kafka_queue_new(consumer.client().native_ptr()) };
        let (closing, unanswered) = (AtomicBool::new(false), AtomicUsize::new(0));
        let shared = Arc::new(Shared { queue, consumer, closing, unanswered });
        let pumped = Arc::clone(&shared);
        std::thread::spawn(move || pump(&pumped));
        Self { shared }
    }

    /// All consumer groups, with the brokers that did not answer.
    ///
    /// # Errors
    ///
    /// Where the request as a whole failed.
    pub async fn list_groups(&self, timeout: Duration) -> Result<GroupListings, NativeError> {
        let options = self.options(Op::RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPS, timeout)?;
        let answer = self.ask(options, |rk, options, queue| {
            // SAFETY: all three are live; the request copies the options.
            unsafe { sys::rd_kafka_ListConsumerGroups(rk, options, queue) }
        });
        answers::group_listings(&answer.await?)
    }

    /// State and members of one group.
    ///
    /// # Errors
    ///
    /// The request's error, or the group's.
    pub async fn describe_group(
        &self,
        group: &str,
        timeout: Duration,
    ) -> Result<GroupDescription, NativeError> {
        let group = c_string(group)?;
        let options = self.options(Op::RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS, timeout)?;
        let answer = self.ask(options, |rk, options, queue| {
            let mut names = [group.as_ptr()];
            // SAFETY: the name outlives the call, which copies it.
            unsafe {
                sys::rd_kafka_DescribeConsumerGroups(rk, names.as_mut_ptr(), 1, options, queue);
            }
        });
        answers::group_description(&answer.await?)
    }

    /// The committed offsets of a group: of `partitions`, or of all for which it has any.
    ///
    /// # Errors
    ///
    /// The request's error, or the group's. A partition's own error is in the answer.
    pub async fn group_offsets(
        &self,
        group: &str,
        partitions: Option<&TopicPartitionList>,
        stable: bool,
        timeout: Duration,
    ) -> Result<Vec<PartitionOffset>, NativeError> {
        let group = c_string(group)?;
        let options = self.options(Op::RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS, timeout)?;
        options.require_stable(stable)?;
        let answer = self.ask(options, |rk, options, queue| {
            let list = partitions.map_or(std::ptr::null(), |list| list.ptr().cast_const());
            // SAFETY: name and list outlive the call; the request is freed after it, once.
            unsafe {
                let mut request = sys::rd_kafka_ListConsumerGroupOffsets_new(group.as_ptr(), list);
                sys::rd_kafka_ListConsumerGroupOffsets(rk, &raw mut request, 1, options, queue);
                sys::rd_kafka_ListConsumerGroupOffsets_destroy(request);
            }
        });
        answers::listed_offsets(&answer.await?)
    }

    /// Commits offsets of a group plainly, as no member of it (generation -1).
    ///
    /// # Errors
    ///
    /// The request's error, or the group's. A partition's own error is in the answer.
    pub async fn alter_group_offsets(
        &self,
        group: &str,
        offsets: &TopicPartitionList,
        timeout: Duration,
    ) -> Result<Vec<PartitionOffset>, NativeError> {
        let group = c_string(group)?;
        let options = self.options(Op::RD_KAFKA_ADMIN_OP_ALTERCONSUMERGROUPOFFSETS, timeout)?;
        let answer = self.ask(options, |rk, options, queue| {
            // SAFETY: name and list outlive the call; the request is freed after it, once.
            unsafe {
                let mut request =
                    sys::rd_kafka_AlterConsumerGroupOffsets_new(group.as_ptr(), offsets.ptr());
                sys::rd_kafka_AlterConsumerGroupOffsets(rk, &raw mut request, 1, options, queue);
                sys::rd_kafka_AlterConsumerGroupOffsets_destroy(request);
            }
        });
        answers::altered_offsets(&answer.await?)
    }

    /// Log starts or ends of partitions.
    ///
    /// # Errors
    ///
    /// The request's error. A partition's own error is in the answer.
    pub async fn list_offsets(
        &self,
        partitions: impl Iterator<Item = (&str, i32)>,
        spec: OffsetSpec,
        isolation: Isolation,
        timeout: Duration,
    ) -> Result<Vec<PartitionOffset>, NativeError> {
        let spec = match spec {
            OffsetSpec::Earliest => sys::rd_kafka_OffsetSpec_t::RD_KAFKA_OFFSET_SPEC_EARLIEST,
            OffsetSpec::Latest => sys::rd_kafka_OffsetSpec_t::RD_KAFKA_OFFSET_SPEC_LATEST,
        };
        let mut list = TopicPartitionList::new();
        for (topic, partition) in partitions {
            let mut element = list.add_partition(topic, partition);
            // The native request reads the wish from the offset, which takes these numbers for
            // logical offsets of the same meaning.
            let offset = rdkafka::Offset::from_raw(spec as i64);
            element.set_offset(offset).map_err(|error| {
                NativeError::new(RDKafkaErrorCode::InvalidArgument, error.to_string())
            })?;
        }
        if list.count() == 0 {
            return Ok(Vec::new());
        }
        let options = self.options(Op::RD_KAFKA_ADMIN_OP_LISTOFFSETS, timeout)?;
        options.isolation(isolation)?;
        let answer = self.ask(options, |rk, options, queue| {
            // SAFETY: the list outlives the call, which copies it.
            unsafe { sys::rd_kafka_ListOffsets(rk, list.ptr(), options, queue) }
        });
        answers::log_offsets(&answer.await?)
    }

    /// Ids and partition counts of topics; each with its own error.
    ///
    /// # Errors
    ///
    /// The request's error.
    pub async fn describe_topics(
        &self,
        topics: impl Iterator<Item = &str>,
        timeout: Duration,
    ) -> Result<Vec<(String, Result<TopicDescription, NativeError>)>, NativeError> {
        let names: Vec<CString> = topics.map(c_string).collect::<Result<_, _>>()?;
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let options = self.options(Op::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS, timeout)?;
        let answer = self.ask(options, |rk, options, queue| {
            let mut pointers: Vec<_> = names.iter().map(|name| name.as_ptr()).collect();
            // SAFETY: the names outlive the call; the collection is freed after it, once.
            unsafe {
                let collection = sys::rd_kafka_TopicCollection_of_topic_names(
                    pointers.as_mut_ptr(),
                    pointers.len(),
                );
                sys::rd_kafka_DescribeTopics(rk, collection, options, queue);
                sys::rd_kafka_TopicCollection_destroy(collection);
            }
        });
        answers::topic_descriptions(&answer.await?)
    }

    /// The cluster's id; `None` if no broker told it in time.
    #[expect(clippy::disallowed_methods, reason = "librdkafka has no asynchronous call for it")]
    pub async fn cluster_id(&self, timeout: Duration) -> Option<String> {
        let shared = Arc::clone(&self.shared);
        tokio::task::spawn_blocking(move || shared.cluster_id(timeout)).await.ok().flatten()
    }

    fn options(&self, op: Op, timeout: Duration) -> Result<Options, NativeError> {
        let timeout = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
        // SAFETY: the client is live; a null error buffer of length 0 is allowed.
        unsafe {
            let rk = self.shared.consumer.client().native_ptr();
            let options = Options(sys::rd_kafka_AdminOptions_new(rk, op));
            let set = sys::rd_kafka_AdminOptions_set_request_timeout(
                options.0,
                timeout,
                std::ptr::null_mut(),
                0,
            );
            NativeError::of_native(set).map_or(Ok(options), Err)
        }
    }

    /// Sends a request and waits for its answer. librdkafka answers each, at the latest when its
    /// time-out has passed.
    async fn ask(
        &self,
        options: Options,
        send: impl FnOnce(
            *mut sys::rd_kafka_t,
            *const sys::rd_kafka_AdminOptions_t,
            *mut sys::rd_kafka_queue_t,
        ),
    ) -> Result<Answer, NativeError> {
        let (sender, receiver) = oneshot::channel::<Answer>();
        self.shared.unanswered.fetch_add(1, Ordering::AcqRel);
        let opaque = Box::into_raw(Box::new(sender)).cast::<c_void>();
        // SAFETY: the opaque comes back with the one answer, where `pump` takes the box again.
        unsafe { sys::rd_kafka_AdminOptions_set_opaque(options.0, opaque) };
        send(self.shared.consumer.client().native_ptr(), options.0, self.shared.queue);
        let gone = || NativeError::new(RDKafkaErrorCode::BrokerDestroy, "the client was closed");
        let answer = receiver.await.map_err(|_| gone())?;
        answer.error().map_or(Ok(answer), Err)
    }
}

struct Options(*mut sys::rd_kafka_AdminOptions_t);

impl Options {
    fn require_stable(&self, stable: bool) -> Result<(), NativeError> {
        // SAFETY: the options are live; the error is ours.
        let error = unsafe {
            NativeError::take(sys::rd_kafka_AdminOptions_set_require_stable_offsets(
                self.0,
                i32::from(stable),
            ))
        };
        error.map_or(Ok(()), Err)
    }

    fn isolation(&self, isolation: Isolation) -> Result<(), NativeError> {
        use sys::rd_kafka_IsolationLevel_t as Level;
        let level = match isolation {
            Isolation::ReadUncommitted => Level::RD_KAFKA_ISOLATION_LEVEL_READ_UNCOMMITTED,
            Isolation::ReadCommitted => Level::RD_KAFKA_ISOLATION_LEVEL_READ_COMMITTED,
        };
        // SAFETY: the options are live; the error is ours.
        let error = unsafe {
            NativeError::take(sys::rd_kafka_AdminOptions_set_isolation_level(self.0, level))
        };
        error.map_or(Ok(()), Err)
    }
}

impl Drop for Options {
    fn drop(&mut self) {
        // SAFETY: made by `rd_kafka_AdminOptions_new`, freed once.
        unsafe { sys::rd_kafka_AdminOptions_destroy(self.0) }
    }
}

/// Hands each answer to whoever waits for it, until the client is closed and nothing is under way.
fn pump<C: ConsumerContext + 'static>(shared: &Shared<C>) {
    let timeout = i32::try_from(PUMP.as_millis()).unwrap_or(i32::MAX);
    loop {
        let idle = shared.unanswered.load(Ordering::Acquire) == 0;
        if idle && shared.closing.load(Ordering::Acquire) {
            return;
        }
        // Serves the client's own queue, from which its context hears of broken connections.
        let _ = shared.consumer.poll(Duration::ZERO);
        // SAFETY: the queue is live; an event is ours, and its opaque is the box that `ask` made.
        unsafe {
            let event = sys::rd_kafka_queue_poll(shared.queue, timeout);
            if event.is_null() {
                continue;
            }
            let answer = Answer::own(event);
            let opaque = sys::rd_kafka_event_opaque(event);
            if !opaque.is_null() {
                let sender = Box::from_raw(opaque.cast::<oneshot::Sender<Answer>>());
                shared.unanswered.fetch_sub(1, Ordering::AcqRel);
                // Nobody waits any more: the answer is dropped.
                let _ = sender.send(answer);
            }
        }
    }
}

fn c_string(text: &str) -> Result<CString, NativeError> {
    CString::new(text).map_err(|_| {
        NativeError::new(RDKafkaErrorCode::InvalidArgument, format!("{text:?} has a NUL byte"))
    })
}
