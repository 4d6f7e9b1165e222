//! Sends admin requests and receives their answers: one native queue per client, and one thread that hands
//! each answer to the caller that waits for it.

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

/// librdkafka's own time limit of a request: the longest that it allows. If that timer ends a request that
/// still waits for a coordinator, and the coordinator comes up later, librdkafka aborts the process
/// (librdkafka issue 4605). So our own timer ends the request first, and the client is destroyed before this
/// limit.
pub const NATIVE_PATIENCE: Duration = Duration::from_secs(3600);

/// How much later than librdkafka's own timer ours ends a request.
const LATER: Duration = Duration::from_secs(1);

/// A client and the queue of its answers.
pub(super) struct Requests<C: ConsumerContext + 'static> {
    queue: *mut sys::rd_kafka_queue_t,
    /// The queue of events that answer no request, such as connection errors.
    main: *mut sys::rd_kafka_queue_t,
    client: Client<C>,
    /// After the client: fields are dropped in order, and the client's threads use the watch.
    connections: Arc<Watch<Connections>>,
    closing: AtomicBool,
    waiting: Mutex<Waiting>,
}

/// The callers that wait for an answer, by the number that their request carries.
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
// SAFETY: as above; our own fields are atomic or behind a mutex.
unsafe impl<C: ConsumerContext + 'static> Sync for Requests<C> {}

impl<C: ConsumerContext + 'static> Drop for Requests<C> {
    fn drop(&mut self) {
        // SAFETY: owned here, released once, and before the client, which is dropped after this.
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
    /// If librdkafka refuses the configuration.
    #[expect(clippy::disallowed_methods, reason = "a dedicated thread serves the native queue")]
    pub(super) fn start(config: &ClientConfig, context: C) -> Result<Arc<Self>, KafkaError> {
        let refused = |error: NativeError| KafkaError::ClientCreation(error.message);
        let native = config.create_native_config()?;
        // SAFETY: the watch is dropped after the client. `Self` keeps them in this order; if the client
        // cannot be made, the watch is dropped here.
        let connections = unsafe { Watch::<Connections>::of(&native) }.map_err(refused)?;
        // SAFETY: the configuration is live.
        unsafe { sys::rd_kafka_conf_set_events(native.ptr(), sys::RD_KAFKA_EVENT_ERROR) };
        let client = Client::new(config, native, RDKafkaType::RD_KAFKA_CONSUMER, context)?;
        connections.attached().map_err(refused)?;
        // SAFETY: the client is live, and `Self` keeps it as long as its queues.
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

    /// Serves all events of the main queue. During an outage it fills faster than one event at a time would
    /// empty it.
    fn serve(&self) {
        loop {
            // SAFETY: the queue is live; the event is owned here, and what belongs to it is copied.
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

    /// Lets the thread end once no caller waits any more. The thread destroys the client, because that
    /// blocks.
    pub(super) fn close(&self) {
        self.closing.store(true, Ordering::Release);
    }

    pub(super) fn cluster_id(&self, timeout: Duration) -> Option<String> {
        let rk = self.client.native_ptr();
        // SAFETY: the client is live; the string is owned here and freed once, after it was copied.
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

    /// Lists the groups of every protocol type. Blocks until all brokers have answered, at most for
    /// `timeout`.
    pub(super) fn list_all_groups(&self, timeout: Duration) -> Result<Vec<AnyGroup>, NativeError> {
        let rk = self.client.native_ptr();
        // SAFETY: the client is live, and `self` keeps it live until this returns.
        unsafe { list_all(rk, timeout) }
    }

    /// Options of a request that librdkafka's own timer must not end ([`NATIVE_PATIENCE`]). The caller waits
    /// at most for `timeout`.
    pub(super) fn options(
        &self,
        op: sys::rd_kafka_admin_op_t,
        timeout: Duration,
    ) -> Result<Options, NativeError> {
        self.options_of(op, NATIVE_PATIENCE, timeout)
    }

    /// Options of a request that librdkafka's own timer ends after `timeout`. The answer contains what
    /// brokers have answered by then. Not for a request whose coordinator librdkafka looks up
    /// ([`NATIVE_PATIENCE`]).
    pub(super) fn options_that_end(
        &self,
        op: sys::rd_kafka_admin_op_t,
        timeout: Duration,
    ) -> Result<Options, NativeError> {
        self.options_of(op, timeout, timeout + LATER)
    }

    /// Options of a request to a group's coordinator: the broker `coordinator`, or one that librdkafka looks
    /// up.
    pub(super) fn options_of_group(
        &self,
        op: sys::rd_kafka_admin_op_t,
        coordinator: Option<i32>,
        timeout: Duration,
    ) -> Result<Options, NativeError> {
        match coordinator {
            Some(broker) => self.options_at(op, broker, timeout),
            None => self.options(op, timeout),
        }
    }

    /// Options of a request to `broker` and no other.
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

    /// Sends a request and waits for its answer, at most for the time limit of its options.
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
        // SAFETY: the opaque is a number, which is never dereferenced.
        unsafe {
            let opaque = std::ptr::without_provenance_mut::<c_void>(number);
            sys::rd_kafka_AdminOptions_set_opaque(options.native, opaque);
        }
        send(self.client.native_ptr(), options.native, self.queue);
        let gone = || NativeError::new(RDKafkaErrorCode::BrokerDestroy, "the client was closed");
        let answer = receiver.await.map_err(|_| gone())??;
        answer.error().map_or(Ok(answer), Err)
    }

    #[expect(clippy::disallowed_methods, reason = "the timeout of a native client's request")]
    fn wait(
        &self,
        sender: oneshot::Sender<Result<Answer, NativeError>>,
        timeout: Duration,
    ) -> usize {
        let until = Instant::now() + timeout;
        let mut waiting = self.waiting();
        // Numbers start at 1, because an opaque of 0 means none.
        waiting.last += 1;
        let number = waiting.last;
        waiting.by_number.insert(number, Waiter { sender, until });
        number
    }

    fn answered(&self, number: usize, answer: Answer) {
        let waiter = self.waiting().by_number.remove(&number);
        if let Some(waiter) = waiter {
            // The receiver is gone if the caller no longer waits.
            let _ = waiter.sender.send(Ok(answer));
        }
    }

    /// Returns a timeout error to the callers that have waited too long.
    #[expect(clippy::disallowed_methods, reason = "the timeout of a native client's request")]
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
        // SAFETY: the options are live; the returned error is owned here.
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
        // SAFETY: the options are live; the returned error is owned here.
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

/// Hands each answer to the caller that waits for it, until the client is closed and no caller waits.
fn pump<C: ConsumerContext + 'static>(requests: &Arc<Requests<C>>) {
    loop {
        let last = Arc::strong_count(requests) == 1;
        if last && requests.closing.load(Ordering::Acquire) {
            return;
        }
        requests.time_out();
        requests.serve();
        // SAFETY: the queue is live; the event is owned here, and its opaque is the number that `ask` set.
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

/// Converts a string for C.
///
/// # Errors
///
/// If it contains a NUL byte.
pub(super) fn c_string(text: &str) -> Result<CString, NativeError> {
    CString::new(text).map_err(|_| {
        NativeError::new(RDKafkaErrorCode::InvalidArgument, format!("{text:?} contains a NUL byte"))
    })
}
