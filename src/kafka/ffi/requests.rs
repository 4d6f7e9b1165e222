//! How admin requests go out and their answers come back: one native queue, and one thread that
//! hands each answer to whoever waits for it.

use std::collections::BTreeMap;
use std::ffi::{CString, c_void};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::channel::oneshot;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka_sys as sys;

use super::answers::Answer;
use super::group_list::{AnyGroup, list_all};
use super::{NativeError, milliseconds, text};

const PUMP: Duration = Duration::from_millis(100);

/// How much longer than we do librdkafka waits for an answer. When its own timer ends a request that
/// still waits for a coordinator, and the coordinator comes up later, it aborts the process (its issue
/// 4605). So ours ends first, and a client in which that happened is not used any more and destroyed
/// long before its own timers run out.
const NATIVE_PATIENCE: u32 = 6;

/// A client and the queue that its answers come to.
pub(super) struct Requests<C: ConsumerContext + 'static> {
    queue: *mut sys::rd_kafka_queue_t,
    consumer: BaseConsumer<C>,
    closing: AtomicBool,
    waiting: Mutex<Waiting>,
}

/// Who waits for an answer, by the number that the request carries.
#[derive(Default)]
struct Waiting {
    last: usize,
    by_number: BTreeMap<usize, Waiter>,
}

struct Waiter {
    sender: oneshot::Sender<Result<Answer, NativeError>>,
    until: Instant,
}

// SAFETY: librdkafka's clients and queues may be used from any thread.
unsafe impl<C: ConsumerContext + 'static> Send for Requests<C> {}
// SAFETY: as above; what is ours is atomic.
unsafe impl<C: ConsumerContext + 'static> Sync for Requests<C> {}

impl<C: ConsumerContext + 'static> Drop for Requests<C> {
    fn drop(&mut self) {
        // SAFETY: ours, released once, before the client that is dropped after this.
        unsafe { sys::rd_kafka_queue_destroy(self.queue) }
    }
}

impl<C: ConsumerContext + 'static> Requests<C> {
    #[expect(clippy::disallowed_methods, reason = "a thread of its own serves the native queue")]
    pub(super) fn start(consumer: BaseConsumer<C>) -> Arc<Self> {
        // SAFETY: the client is live and is kept beside the queue.
        let queue = unsafe { sys::rd_kafka_queue_new(consumer.client().native_ptr()) };
        let (closing, waiting) = (AtomicBool::new(false), Mutex::default());
        let requests = Arc::new(Self { queue, consumer, closing, waiting });
        let pumped = Arc::clone(&requests);
        std::thread::spawn(move || pump(&pumped));
        requests
    }

    /// Lets the thread end once nobody waits any more. The client is destroyed by the thread,
    /// because that blocks.
    pub(super) fn close(&self) {
        self.closing.store(true, Ordering::Release);
    }

    pub(super) fn cluster_id(&self, timeout: Duration) -> Option<String> {
        let rk = self.consumer.client().native_ptr();
        // SAFETY: the client is live; the string is ours and freed once, after it was copied.
        unsafe {
            let id = sys::rd_kafka_clusterid(rk, milliseconds(timeout));
            if id.is_null() {
                return None;
            }
            let copy = text(id);
            sys::rd_kafka_mem_free(rk, id.cast());
            Some(copy)
        }
    }

    /// Blocks until all brokers have answered, or for as long as `timeout`.
    pub(super) fn list_all_groups(&self, timeout: Duration) -> Result<Vec<AnyGroup>, NativeError> {
        let rk = self.consumer.client().native_ptr();
        // SAFETY: the client is live, and is ours for as long as this runs.
        unsafe { list_all(rk, timeout) }
    }

    pub(super) fn options(
        &self,
        op: sys::rd_kafka_admin_op_t,
        timeout: Duration,
    ) -> Result<Options, NativeError> {
        // librdkafka refuses more than an hour and takes 0 for no time at all.
        let patience = milliseconds(timeout * NATIVE_PATIENCE).clamp(1, 3_600_000);
        // SAFETY: the client is live; a null error buffer of length 0 is allowed.
        unsafe {
            let rk = self.consumer.client().native_ptr();
            let native = sys::rd_kafka_AdminOptions_new(rk, op);
            let options = Options { native, timeout };
            let set = sys::rd_kafka_AdminOptions_set_request_timeout(
                options.native,
                patience,
                std::ptr::null_mut(),
                0,
            );
            NativeError::of_number(set as i32).map_or(Ok(options), Err)
        }
    }

    /// Sends a request and waits for its answer, no longer than its time-out.
    pub(super) async fn ask(
        &self,
        options: Options,
        send: impl FnOnce(
            *mut sys::rd_kafka_t,
            *const sys::rd_kafka_AdminOptions_t,
            *mut sys::rd_kafka_queue_t,
        ),
    ) -> Result<Answer, NativeError> {
        let (sender, receiver) = oneshot::channel();
        let number = self.wait(sender, options.timeout);
        // SAFETY: the opaque is a number, never a place in memory.
        unsafe {
            let opaque = std::ptr::without_provenance_mut::<c_void>(number);
            sys::rd_kafka_AdminOptions_set_opaque(options.native, opaque);
        }
        send(self.consumer.client().native_ptr(), options.native, self.queue);
        let gone = || NativeError::new(RDKafkaErrorCode::BrokerDestroy, "the client was closed");
        let answer = receiver.await.map_err(|_| gone())??;
        answer.error().map_or(Ok(answer), Err)
    }

    #[expect(clippy::disallowed_methods, reason = "the time-out of a native client's request")]
    fn wait(
        &self,
        sender: oneshot::Sender<Result<Answer, NativeError>>,
        timeout: Duration,
    ) -> usize {
        let until = Instant::now() + timeout;
        let mut waiting = self.waiting();
        // Never 0, which is no opaque at all.
        waiting.last += 1;
        let number = waiting.last;
        waiting.by_number.insert(number, Waiter { sender, until });
        number
    }

    fn answered(&self, number: usize, answer: Answer) {
        let waiter = self.waiting().by_number.remove(&number);
        if let Some(waiter) = waiter {
            // Nobody waits any more: the answer is dropped.
            let _ = waiter.sender.send(Ok(answer));
        }
    }

    /// Tells those who have waited for too long.
    #[expect(clippy::disallowed_methods, reason = "the time-out of a native client's request")]
    fn time_out(&self) {
        let now = Instant::now();
        let over: Vec<Waiter> = {
            let mut waiting = self.waiting();
            waiting
                .by_number
                .extract_if(.., |_, waiter| waiter.until <= now)
                .map(|it| it.1)
                .collect()
        };
        for waiter in over {
            let code = RDKafkaErrorCode::OperationTimedOut;
            let _ = waiter.sender.send(Err(NativeError::new(code, "no answer from the broker")));
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request's options, owned.
pub(super) struct Options {
    native: *mut sys::rd_kafka_AdminOptions_t,
    timeout: Duration,
}

impl Options {
    pub(super) fn require_stable(&self, stable: bool) -> Result<(), NativeError> {
        // SAFETY: the options are live; the error is ours.
        let error = unsafe {
            NativeError::take(sys::rd_kafka_AdminOptions_set_require_stable_offsets(
                self.native,
                i32::from(stable),
            ))
        };
        error.map_or(Ok(()), Err)
    }

    pub(super) fn isolation(
        &self,
        level: sys::rd_kafka_IsolationLevel_t,
    ) -> Result<(), NativeError> {
        // SAFETY: the options are live; the error is ours.
        let error = unsafe {
            NativeError::take(sys::rd_kafka_AdminOptions_set_isolation_level(self.native, level))
        };
        error.map_or(Ok(()), Err)
    }
}

impl Drop for Options {
    fn drop(&mut self) {
        // SAFETY: made by `rd_kafka_AdminOptions_new`, freed once.
        unsafe { sys::rd_kafka_AdminOptions_destroy(self.native) }
    }
}

/// Hands each answer to whoever waits for it, until the client is closed and nobody waits.
fn pump<C: ConsumerContext + 'static>(requests: &Arc<Requests<C>>) {
    loop {
        let last = Arc::strong_count(requests) == 1;
        if last && requests.closing.load(Ordering::Acquire) {
            return;
        }
        requests.time_out();
        // Serves the client's own queue, from which its context hears of broken connections. All of
        // it: an outage fills it faster than one at a time would empty it, and what is heard late
        // is taken for another disturbance.
        while requests.consumer.poll(Duration::ZERO).is_some() {}
        // SAFETY: the queue is live; an event is ours, and its opaque is the number that `ask` gave.
        unsafe {
            let event = sys::rd_kafka_queue_poll(requests.queue, milliseconds(PUMP));
            if event.is_null() {
                continue;
            }
            let number = sys::rd_kafka_event_opaque(event).addr();
            requests.answered(number, Answer::own(event));
        }
    }
}

/// The text as C has it.
///
/// # Errors
///
/// Where it has a NUL byte.
pub(super) fn c_string(text: &str) -> Result<CString, NativeError> {
    CString::new(text).map_err(|_| {
        NativeError::new(RDKafkaErrorCode::InvalidArgument, format!("{text:?} has a NUL byte"))
    })
}
