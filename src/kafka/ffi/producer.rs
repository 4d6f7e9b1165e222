//! A producer, transactional or not, that knows whether one of its requests may be carried out late
//! (`docs/protocol.md`, "Late requests"). rdkafka's own producers do not fit: they do not allow an
//! interceptor to be added before the client runs.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::c_void;
use std::ptr;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::client::{Client, ClientContext};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::types::{RDKafkaErrorCode as Code, RDKafkaRespErr, RDKafkaType};
use rdkafka::{ClientConfig, TopicPartitionList};
use rdkafka_sys as sys;

use super::interceptors::Watch;
use super::requests::c_string;
use super::requests_watch::RequestsWatch;
use super::transaction_offsets::send_offsets;
use super::{NativeError, milliseconds, raw, text};
use crate::kafka::clock::ProcessClock;
use crate::ports::Clock;

const POLL: Duration = Duration::from_millis(100);
/// How long dropping a producer waits for the delivery reports of purged records.
const PURGE: Duration = Duration::from_millis(500);

/// A producer for one thread at a time. Its calls block.
pub struct Producer {
    queue: *mut sys::rd_kafka_queue_t,
    client: Client<Quiet>,
    /// After the client: fields are dropped in order, and the client's threads use the watch.
    watch: Arc<Watch<RequestsWatch>>,
    clock: ProcessClock,
    deliveries: RefCell<Deliveries>,
}

/// A record that was handed to the producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordId(usize);

/// The offset of a record, or why it was not delivered.
type Delivery = Result<i64, NativeError>;

#[derive(Default)]
struct Deliveries {
    sent: usize,
    reported: BTreeMap<usize, Delivery>,
}

/// Logs the client's messages at debug only: what matters comes back as the error of a call.
struct Quiet;

impl ClientContext for Quiet {
    fn log(&self, _level: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(facility, message, "producer");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "producer");
    }
}

// SAFETY: librdkafka's clients and queues may be used from any thread. Our own fields are used by one thread
// at a time, because the producer is not `Sync`.
unsafe impl Send for Producer {}

impl Producer {
    /// A producer with this configuration.
    ///
    /// # Errors
    ///
    /// If librdkafka refuses the configuration.
    pub fn new(config: &ClientConfig) -> Result<Self, KafkaError> {
        let refused = |error: NativeError| KafkaError::ClientCreation(error.message);
        let native = config.create_native_config()?;
        // SAFETY: the watch is dropped after the client. `Self` keeps them in this order; if the client
        // cannot be made, the watch is dropped here.
        let watch = unsafe { Watch::<RequestsWatch>::of(&native) }.map_err(refused)?;
        let events = sys::RD_KAFKA_EVENT_DR
            | sys::RD_KAFKA_EVENT_STATS
            | sys::RD_KAFKA_EVENT_ERROR
            | sys::RD_KAFKA_EVENT_OAUTHBEARER_TOKEN_REFRESH;
        // SAFETY: the configuration is live.
        unsafe { sys::rd_kafka_conf_set_events(native.ptr(), events) };
        let client = Client::new(config, native, RDKafkaType::RD_KAFKA_PRODUCER, Quiet)?;
        watch.attached().map_err(refused)?;
        // SAFETY: the client is live, and `Self` releases the queue before it drops the client.
        let queue = unsafe { sys::rd_kafka_queue_get_main(client.native_ptr()) };
        let clock = ProcessClock::start();
        Ok(Self { queue, client, watch, clock, deliveries: RefCell::default() })
    }

    /// Whether a broker may still carry out a request of this producer, because one was sent and not
    /// answered. Once a call has returned, each answer that it waited for has been counted, so such a request
    /// is not reported as unanswered.
    #[must_use]
    pub fn late_request_possible(&self) -> bool {
        self.watch.unanswered() > 0
    }

    /// The number of requests that were sent and not answered.
    #[cfg(test)]
    pub(super) fn unanswered(&self) -> i64 {
        self.watch.unanswered()
    }

    /// Fences every earlier producer of the transactional.id.
    ///
    /// # Errors
    ///
    /// librdkafka's error. The same holds for the methods below.
    pub fn init_transactions(&self, timeout: Duration) -> Result<(), NativeError> {
        // SAFETY: the client is live; the returned error is owned here.
        unsafe { taken(sys::rd_kafka_init_transactions(self.native(), milliseconds(timeout))) }
    }

    /// Begins a transaction. This sends no request.
    ///
    /// # Errors
    ///
    /// As above.
    pub fn begin_transaction(&self) -> Result<(), NativeError> {
        // SAFETY: the client is live; the returned error is owned here.
        unsafe { taken(sys::rd_kafka_begin_transaction(self.native())) }
    }

    /// Sends offsets of `group` to the open transaction, as `member` (see [`send_offsets`]).
    ///
    /// # Errors
    ///
    /// As above.
    pub fn send_offsets(
        &self,
        group: &str,
        member: &str,
        offsets: &TopicPartitionList,
        timeout: Duration,
    ) -> Result<(), NativeError> {
        send_offsets(&self.client, group, member, offsets, timeout)
    }

    /// Commits the open transaction.
    ///
    /// # Errors
    ///
    /// As above.
    pub fn commit_transaction(&self, timeout: Duration) -> Result<(), NativeError> {
        // librdkafka waits for the records too, but only a poll hands out their delivery reports.
        self.flush(timeout)?;
        // SAFETY: the client is live; the returned error is owned here.
        unsafe { taken(sys::rd_kafka_commit_transaction(self.native(), milliseconds(timeout))) }
    }

    /// Aborts the open transaction.
    ///
    /// # Errors
    ///
    /// As above.
    pub fn abort_transaction(&self, timeout: Duration) -> Result<(), NativeError> {
        // SAFETY: the client is live; the returned error is owned here.
        unsafe { taken(sys::rd_kafka_abort_transaction(self.native(), milliseconds(timeout))) }
    }

    /// Hands a record to the producer, which copies it.
    ///
    /// # Errors
    ///
    /// If the producer does not accept the record.
    pub fn send(
        &self,
        topic: &str,
        partition: i32,
        key: &str,
        value: &str,
    ) -> Result<RecordId, NativeError> {
        let topic = c_string(topic)?;
        let record = self.deliveries.borrow().sent + 1;
        // SAFETY: the client is live; the strings outlive the call, which copies them; each argument has the
        // type that its tag requires; the opaque is a number, which is never dereferenced.
        let outcome = unsafe {
            sys::rd_kafka_producev(
                self.native(),
                sys::rd_kafka_vtype_t::RD_KAFKA_VTYPE_TOPIC,
                topic.as_ptr(),
                sys::rd_kafka_vtype_t::RD_KAFKA_VTYPE_PARTITION,
                partition,
                sys::rd_kafka_vtype_t::RD_KAFKA_VTYPE_MSGFLAGS,
                sys::RD_KAFKA_MSG_F_COPY,
                sys::rd_kafka_vtype_t::RD_KAFKA_VTYPE_VALUE,
                value.as_ptr().cast_mut().cast::<c_void>(),
                value.len(),
                sys::rd_kafka_vtype_t::RD_KAFKA_VTYPE_KEY,
                key.as_ptr().cast_mut().cast::<c_void>(),
                key.len(),
                sys::rd_kafka_vtype_t::RD_KAFKA_VTYPE_OPAQUE,
                ptr::without_provenance_mut::<c_void>(record),
                sys::rd_kafka_vtype_t::RD_KAFKA_VTYPE_END,
            )
        };
        done(outcome)?;
        self.deliveries.borrow_mut().sent = record;
        Ok(RecordId(record))
    }

    /// Waits until every record was delivered or has failed.
    ///
    /// # Errors
    ///
    /// If that takes longer than `timeout`.
    pub fn flush(&self, timeout: Duration) -> Result<(), NativeError> {
        let deadline = self.clock.now() + timeout;
        loop {
            // SAFETY: the client is live.
            match done(unsafe { sys::rd_kafka_flush(self.native(), 0) }) {
                Err(error)
                    if error.code == Code::OperationTimedOut && self.clock.now() < deadline =>
                {
                    self.poll(POLL);
                }
                outcome => return outcome,
            }
        }
    }

    /// The result of a record; `None` if there is no report yet. Ask for records in the order in which they
    /// were sent, once each: the reports of earlier records are dropped.
    pub fn delivery(&self, record: RecordId) -> Option<Delivery> {
        self.poll(Duration::ZERO);
        let reported = &mut self.deliveries.borrow_mut().reported;
        // Reports of earlier records are no longer needed.
        *reported = reported.split_off(&record.0);
        reported.remove(&record.0)
    }

    /// Serves the client's events: waits at most `timeout` for the first one, then takes all that are there.
    fn poll(&self, timeout: Duration) {
        let mut timeout = milliseconds(timeout);
        loop {
            // SAFETY: the queue is live; the event is owned here, and freed once.
            unsafe {
                let event = sys::rd_kafka_queue_poll(self.queue, timeout);
                if event.is_null() {
                    return;
                }
                self.serve(event);
                sys::rd_kafka_event_destroy(event);
            }
            timeout = 0;
        }
    }

    /// # Safety
    ///
    /// `event` points to a live event.
    unsafe fn serve(&self, event: *mut sys::rd_kafka_event_t) {
        // SAFETY: guaranteed by the caller; what belongs to the event is copied.
        unsafe {
            match sys::rd_kafka_event_type(event) {
                sys::RD_KAFKA_EVENT_DR => self.delivered(event),
                sys::RD_KAFKA_EVENT_ERROR => {
                    let code =
                        raw::known(raw::rd_kafka_event_error(event)).unwrap_or(Code::Unknown);
                    let reason = text(sys::rd_kafka_event_error_string(event));
                    self.client.context().error(KafkaError::Global(code), &reason);
                }
                sys::RD_KAFKA_EVENT_LOG => {
                    let (mut facility, mut message, mut level) = (ptr::null(), ptr::null(), 0);
                    let read =
                        sys::rd_kafka_event_log(event, &mut facility, &mut message, &mut level);
                    if read == 0 {
                        let level = RDKafkaLogLevel::Debug;
                        self.client.context().log(level, &text(facility), &text(message));
                    }
                }
                _ => {}
            }
        }
    }

    /// # Safety
    ///
    /// `event` points to a live event of delivery reports.
    unsafe fn delivered(&self, event: *mut sys::rd_kafka_event_t) {
        loop {
            // SAFETY: guaranteed by the caller; a message lives as long as its event.
            let (record, delivery) = unsafe {
                let message = sys::rd_kafka_event_message_next(event);
                if message.is_null() {
                    return;
                }
                let error = NativeError::of_number(raw::number_at(&raw const (*message).err));
                ((*message)._private.addr(), error.map_or(Ok((*message).offset), Err))
            };
            self.deliveries.borrow_mut().reported.insert(record, delivery);
        }
    }

    fn native(&self) -> *mut sys::rd_kafka_t {
        self.client.native_ptr()
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        let all = sys::RD_KAFKA_PURGE_F_QUEUE | sys::RD_KAFKA_PURGE_F_INFLIGHT;
        // SAFETY: the client is live.
        unsafe { sys::rd_kafka_purge(self.native(), all) };
        if let Err(error) = self.flush(PURGE) {
            tracing::debug!(%error, "a producer was dropped with undelivered records");
        }
        // SAFETY: owned here, released once, and before the client, which is dropped after this.
        unsafe { sys::rd_kafka_queue_destroy(self.queue) }
    }
}

/// # Safety
///
/// `error` is null or points to a live error that nothing else frees.
unsafe fn taken(error: *mut sys::rd_kafka_error_t) -> Result<(), NativeError> {
    // SAFETY: guaranteed by the caller.
    unsafe { NativeError::take(error) }.map_or(Ok(()), Err)
}

fn done(outcome: RDKafkaRespErr) -> Result<(), NativeError> {
    NativeError::of_number(outcome as i32).map_or(Ok(()), Err)
}
