//! How admin requests go out and their answers come back: one native queue, and one thread that
//! hands each answer to whoever waits for it.

use std::collections::BTreeMap;
use std::ffi::{CString, c_void};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::channel::oneshot;
use rdkafka::ClientConfig;
use rdkafka::client::Client;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::KafkaError;
use rdkafka::types::{RDKafkaErrorCode, RDKafkaType};
use rdkafka_sys as sys;

use super::answers::Answer;
use super::connections::Connections;
use super::group_list::{AnyGroup, list_all};
use super::interceptors::Watch;
use super::{NativeError, milliseconds, raw, text};

const PUMP: Duration = Duration::from_millis(100);

/// How long librdkafka waits for an answer, the longest that it allows. When its own timer ends a
/// request that still waits for a coordinator, and the coordinator comes up later, it aborts the process
/// (its issue 4605). So ours ends first, and a client in which that happened is destroyed before this.
pub const NATIVE_PATIENCE: Duration = Duration::from_secs(3600);

/// By how much later than librdkafka's own timer ours ends a request.
const LATER: Duration = Duration::from_secs(1);

/// A client and the queue that its answers come to.
pub(super) struct Requests<C: ConsumerContext + 'static> {
    queue: *mut sys::rd_kafka_queue_t,
    /// What the client has to say by itself.
    main: *mut sys::rd_kafka_queue_t,
    client: Client<C>,
    /// After the client: fields are dropped in order, and the client's threads use the watch.
    connections: Arc<Watch<Connections>>,
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
        unsafe {
            sys::rd_kafka_queue_destroy(self.queue);
            sys::rd_kafka_queue_destroy(self.main);
        }
    }
}

impl<C: ConsumerContext + 'static> Requests<C> {
    /// A client with this configuration, and the thread that serves it.
    ///
    /// # Errors
    ///
    /// Where librdkafka refuses the configuration.
    #[expect(clippy::disallowed_methods, reason = "a thread of its own serves the native queue")]
    pub(super) fn start(config: &ClientConfig, context: C) -> Result<Arc<Self>, KafkaError> {
        let refused = |error: NativeError| KafkaError::ClientCreation(error.message);
        let native = config.create_native_config()?;
        // SAFETY: the watch is dropped after the client: in the requests, which keep them in this
        // order, and here, where the client could not be made.
        let connections = unsafe { Watch::<Connections>::of(&native) }.map_err(refused)?;
        // SAFETY: the configuration is live.
        unsafe { sys::rd_kafka_conf_set_events(native.ptr(), sys::RD_KAFKA_EVENT_ERROR) };
        let client = Client::new(config, native, RDKafkaType::RD_KAFKA_CONSUMER, context)?;
        connections.attached().map_err(refused)?;
        // SAFETY: the client is live and is kept beside its queues.
        let (queue, main) = unsafe {
            let rk = client.native_ptr();
            (sys::rd_kafka_queue_new(rk), sys::rd_kafka_queue_get_main(rk))
        };
        let (closing, waiting) = (AtomicBool::new(false), Mutex::default());
        let requests = Arc::new(Self { queue, main, client, connections, closing, waiting });
        let pumped = Arc::clone(&requests);
        std::thread::spawn(move || pump(&pumped));
        Ok(requests)
    }

    /// The client's connections.
    pub(super) fn connections(&self) -> &Connections {
        &self.connections
    }

    /// The native client.
    #[cfg(test)]
    pub(super) fn native(&self) -> *mut sys::rd_kafka_t {
        self.client.native_ptr()
    }

    /// Serves what the client has to say by itself, all of it: an outage fills its queue faster than
    /// one at a time would empty it.
    fn serve(&self) {
        loop {
            // SAFETY: the queue is live; an event is ours, and what belongs to it is copied.
            unsafe {
                let event = sys::rd_kafka_queue_poll(self.main, 0);
                if event.is_null() {
                    return;
                }
                if sys::rd_kafka_event_type(event) == sys::RD_KAFKA_EVENT_ERROR {
                    let code = raw::known(raw::rd_kafka_event_error(event));
                    let error = KafkaError::Global(code.unwrap_or(RDKafkaErrorCode::Unknown));
                    let reason = text(sys::rd_kafka_event_error_string(event));
                    self.client.context().error(error, &reason);
                }
                sys::rd_kafka_event_destroy(event);
            }
        }
    }

    /// Lets the thread end once nobody waits any more. The client is destroyed by the thread,
    /// because that blocks.
    pub(super) fn close(&self) {
        self.closing.store(true, Ordering::Release);
    }

    pub(super) fn cluster_id(&self, timeout: Duration) -> Option<String> {
        let rk = self.client.native_ptr();
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
        let rk = self.client.native_ptr();
        // SAFETY: the client is live, and is ours for as long as this runs.
        unsafe { list_all(rk, timeout) }
    }

    pub(super) fn options(
        &self,
        op: sys::rd_kafka_admin_op_t,
        timeout: Duration,
    ) -> Result<Options, NativeError> {
        self.options_of(op, NATIVE_PATIENCE, timeout)
    }

    /// Options of a request that librdkafka's own timer ends: what some brokers have answered by then is
    /// the answer. (Not for a request to a coordinator: [`NATIVE_PATIENCE`].)
    pub(super) fn options_that_end(
        &self,
        op: sys::rd_kafka_admin_op_t,
        timeout: Duration,
    ) -> Result<Options, NativeError> {
        self.options_of(op, timeout, timeout + LATER)
    }

    /// Options of a request to this broker and no other.
    pub(super) fn options_at(
        &self,
        op: sys::rd_kafka_admin_op_t,
        broker: i32,
        timeout: Duration,
    ) -> Result<Options, NativeError> {
        let options = self.options_that_end(op, timeout)?;
        // SAFETY: the options are live; a null error buffer of length 0 is allowed.
        let set = unsafe {
            sys::rd_kafka_AdminOptions_set_broker(options.native, broker, std::ptr::null_mut(), 0)
        };
        NativeError::of_number(set as i32).map_or(Ok(options), Err)
    }

    fn options_of(
        &self,
        op: sys::rd_kafka_admin_op_t,
        native: Duration,
        timeout: Duration,
    ) -> Result<Options, NativeError> {
        // SAFETY: the client is live; a null error buffer of length 0 is allowed.
        unsafe {
            let rk = self.client.native_ptr();
            let options = Options { native: sys::rd_kafka_AdminOptions_new(rk, op), timeout };
            let set = sys::rd_kafka_AdminOptions_set_request_timeout(
                options.native,
                milliseconds(native),
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
        send(self.client.native_ptr(), options.native, self.queue);
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
        requests.serve();
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
