//! How admin requests go out and their answers come back: one native queue, and one thread that
//! hands each answer to whoever waits for it.

use std::ffi::{CString, c_void};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures::channel::oneshot;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka_sys as sys;

use super::answers::Answer;
use super::{NativeError, milliseconds, text};

const PUMP: Duration = Duration::from_millis(100);

/// A client and the queue that its answers come to.
pub(super) struct Requests<C: ConsumerContext + 'static> {
    queue: *mut sys::rd_kafka_queue_t,
    consumer: BaseConsumer<C>,
    closing: AtomicBool,
    unanswered: AtomicUsize,
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
        let (closing, unanswered) = (AtomicBool::new(false), AtomicUsize::new(0));
        let requests = Arc::new(Self { queue, consumer, closing, unanswered });
        let pumped = Arc::clone(&requests);
        std::thread::spawn(move || pump(&pumped));
        requests
    }

    /// Lets the thread end once everything is answered. The client is destroyed by the thread,
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

    pub(super) fn options(
        &self,
        op: sys::rd_kafka_admin_op_t,
        timeout: Duration,
    ) -> Result<Options, NativeError> {
        // librdkafka refuses more than an hour and takes 0 for no time at all.
        let timeout = milliseconds(timeout).clamp(1, 3_600_000);
        // SAFETY: the client is live; a null error buffer of length 0 is allowed.
        unsafe {
            let rk = self.consumer.client().native_ptr();
            let options = Options(sys::rd_kafka_AdminOptions_new(rk, op));
            let set = sys::rd_kafka_AdminOptions_set_request_timeout(
                options.0,
                timeout,
                std::ptr::null_mut(),
                0,
            );
            NativeError::of_number(set as i32).map_or(Ok(options), Err)
        }
    }

    /// Sends a request and waits for its answer. librdkafka answers each, at the latest when its
    /// time-out has passed.
    pub(super) async fn ask(
        &self,
        options: Options,
        send: impl FnOnce(
            *mut sys::rd_kafka_t,
            *const sys::rd_kafka_AdminOptions_t,
            *mut sys::rd_kafka_queue_t,
        ),
    ) -> Result<Answer, NativeError> {
        let (sender, receiver) = oneshot::channel::<Answer>();
        self.unanswered.fetch_add(1, Ordering::AcqRel);
        let opaque = Box::into_raw(Box::new(sender)).cast::<c_void>();
        // SAFETY: the opaque comes back with the one answer, where `pump` takes the box again.
        unsafe { sys::rd_kafka_AdminOptions_set_opaque(options.0, opaque) };
        send(self.consumer.client().native_ptr(), options.0, self.queue);
        let gone = || NativeError::new(RDKafkaErrorCode::BrokerDestroy, "the client was closed");
        let answer = receiver.await.map_err(|_| gone())?;
        answer.error().map_or(Ok(answer), Err)
    }
}

/// A request's options, owned.
pub(super) struct Options(*mut sys::rd_kafka_AdminOptions_t);

impl Options {
    pub(super) fn require_stable(&self, stable: bool) -> Result<(), NativeError> {
        // SAFETY: the options are live; the error is ours.
        let error = unsafe {
            NativeError::take(sys::rd_kafka_AdminOptions_set_require_stable_offsets(
                self.0,
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
fn pump<C: ConsumerContext + 'static>(requests: &Arc<Requests<C>>) {
    loop {
        let idle = requests.unanswered.load(Ordering::Acquire) == 0;
        let last = Arc::strong_count(requests) == 1;
        if idle && last && requests.closing.load(Ordering::Acquire) {
            return;
        }
        // Serves the client's own queue, from which its context hears of broken connections. All of
        // it: an outage fills it faster than one at a time would empty it, and what is heard late
        // is taken for another disturbance.
        while requests.consumer.poll(Duration::ZERO).is_some() {}
        // SAFETY: the queue is live; an event is ours, and its opaque is the box that `ask` made.
        unsafe {
            let event = sys::rd_kafka_queue_poll(requests.queue, milliseconds(PUMP));
            if event.is_null() {
                continue;
            }
            let answer = Answer::own(event);
            let opaque = sys::rd_kafka_event_opaque(event);
            if !opaque.is_null() {
                let sender = Box::from_raw(opaque.cast::<oneshot::Sender<Answer>>());
                requests.unanswered.fetch_sub(1, Ordering::AcqRel);
                // Nobody waits any more: the answer is dropped.
                let _ = sender.send(answer);
            }
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
