//! How many requests of a producer were sent and never answered (`docs/protocol.md`, "Late requests").

use std::cell::Cell;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use rdkafka::config::NativeClientConfig;
use rdkafka::types::{RDKafkaErrorCode as Code, RDKafkaRespErr};
use rdkafka_sys as sys;

use super::{NativeError, raw};

const NAME: &CStr = c"sprag-requests";

/// The requests that change a transaction, or write to a partition: Produce, AddPartitionsToTxn,
/// AddOffsetsToTxn, EndTxn and TxnOffsetCommit.
const WATCHED: [i16; 5] = [0, 24, 25, 26, 28];

thread_local! {
    /// Whether this thread sends requests. librdkafka calls `on_response_received` twice for a request
    /// whose answer goes to another thread: in the broker's thread, and once more in that other one.
    static SENDS: Cell<bool> = const { Cell::new(false) };
}

/// Counts the requests of one client. librdkafka's broker threads count; a call that waited for an
/// answer finds it counted, because the answer is counted before it is handed on.
#[derive(Debug, Default)]
pub(super) struct RequestsWatch {
    attached: AtomicBool,
    unanswered: AtomicI64,
}

impl RequestsWatch {
    /// A watch of the client that will be made of `config`.
    ///
    /// # Errors
    ///
    /// Where librdkafka takes no interceptor.
    ///
    /// # Safety
    ///
    /// The watch is kept until the client was destroyed, or could not be made.
    pub(super) unsafe fn of(config: &NativeClientConfig) -> Result<Arc<Self>, NativeError> {
        let watch = Arc::new(Self::default());
        let opaque = Arc::as_ptr(&watch).cast_mut().cast();
        // SAFETY: the configuration is live, and the caller keeps the watch as long as it is used.
        let added = unsafe {
            sys::rd_kafka_conf_interceptor_add_on_new(
                config.ptr(),
                NAME.as_ptr(),
                Some(on_new),
                opaque,
            )
        };
        if added == RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
            return Ok(watch);
        }
        Err(NativeError::of(added.into()))
    }

    /// That the client does report its requests: librdkafka only logs that an interceptor failed.
    ///
    /// # Errors
    ///
    /// Where it does not.
    pub(super) fn attached(&self) -> Result<(), NativeError> {
        if self.attached.load(Ordering::Acquire) {
            return Ok(());
        }
        Err(NativeError::new(Code::Fail, "librdkafka took no interceptors for requests"))
    }

    /// How many requests were sent and not answered, those that still wait for their answer among
    /// them.
    pub(super) fn unanswered(&self) -> i64 {
        self.unanswered.load(Ordering::Acquire)
    }
}

/// # Safety
///
/// `opaque` points to a live watch.
unsafe fn watch<'a>(opaque: *mut c_void) -> &'a RequestsWatch {
    // SAFETY: as the caller vouches; the watch is only ever shared.
    unsafe { &*opaque.cast_const().cast() }
}

/// Called while the client is made, before it has threads: nobody reads the list of interceptors yet.
unsafe extern "C" fn on_new(
    client: *mut sys::rd_kafka_t,
    _config: *const sys::rd_kafka_conf_t,
    opaque: *mut c_void,
    _message: *mut c_char,
    _size: usize,
) -> RDKafkaRespErr {
    // SAFETY: the client is live, and so is the watch (`RequestsWatch::of`).
    unsafe {
        let name = NAME.as_ptr();
        let sent =
            sys::rd_kafka_interceptor_add_on_request_sent(client, name, Some(on_sent), opaque);
        let answered =
            raw::rd_kafka_interceptor_add_on_response_received(client, name, on_response, opaque);
        let attached = sent == RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR && answered == 0;
        watch(opaque).attached.store(attached, Ordering::Release);
    }
    RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR
}

/// The whole request was handed to the socket.
unsafe extern "C" fn on_sent(
    _client: *mut sys::rd_kafka_t,
    _socket: c_int,
    _broker: *const c_char,
    _broker_id: i32,
    key: i16,
    _version: i16,
    _correlation: i32,
    _size: usize,
    opaque: *mut c_void,
) -> RDKafkaRespErr {
    SENDS.set(true);
    if WATCHED.contains(&key) {
        // SAFETY: the watch is live (`RequestsWatch::of`).
        unsafe { watch(opaque) }.unanswered.fetch_add(1, Ordering::AcqRel);
    }
    RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR
}

/// A request ended: with its response, or with an error of the client's own.
unsafe extern "C" fn on_response(
    _client: *mut sys::rd_kafka_t,
    _socket: c_int,
    _broker: *const c_char,
    _broker_id: i32,
    key: i16,
    _version: i16,
    _correlation: i32,
    _size: usize,
    _round_trip: i64,
    error: c_int,
    opaque: *mut c_void,
) -> c_int {
    if error == 0 && SENDS.get() && WATCHED.contains(&key) {
        // SAFETY: the watch is live (`RequestsWatch::of`).
        unsafe { watch(opaque) }.unanswered.fetch_sub(1, Ordering::AcqRel);
    }
    0
}
