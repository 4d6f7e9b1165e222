//! Counts the requests of a producer that were sent and never answered (`docs/protocol.md`, "Late requests").

use std::cell::Cell;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::atomic::{AtomicI64, Ordering};

use rdkafka::types::RDKafkaRespErr;
use rdkafka_sys as sys;

use super::interceptors::{Watcher, watcher};
use super::raw;

/// The API keys of the requests that change a transaction or write to a partition: Produce,
/// AddPartitionsToTxn, AddOffsetsToTxn, EndTxn and TxnOffsetCommit.
const WATCHED: [i16; 5] = [0, 24, 25, 26, 28];

thread_local! {
    /// Whether this thread sends requests. librdkafka calls `on_response_received` twice for a request whose
    /// answer goes to another thread: in the broker's thread and in that other thread. Only the former
    /// counts.
    static SENDS: Cell<bool> = const { Cell::new(false) };
}

/// The unanswered requests of one client, counted by librdkafka's broker threads. An answer is counted before
/// it is handed to the call that waits for it.
#[derive(Debug, Default)]
pub(super) struct RequestsWatch {
    unanswered: AtomicI64,
}

impl RequestsWatch {
    /// The number of requests that were sent and not answered, including those that still wait for an answer.
    pub(super) fn unanswered(&self) -> i64 {
        self.unanswered.load(Ordering::Acquire)
    }
}

impl Watcher for RequestsWatch {
    const NAME: &CStr = c"sprag-requests";

    unsafe fn add(client: *mut sys::rd_kafka_t, opaque: *mut c_void) -> bool {
        // SAFETY: guaranteed by the caller.
        unsafe {
            let name = Self::NAME.as_ptr();
            let sent =
                sys::rd_kafka_interceptor_add_on_request_sent(client, name, Some(on_sent), opaque);
            let answered = raw::rd_kafka_interceptor_add_on_response_received(
                client,
                name,
                on_response,
                opaque,
            );
            sent == RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR && answered == 0
        }
    }
}

/// Called when the whole request was handed to the socket.
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
        // SAFETY: `opaque` is valid as `Watcher::add` requires.
        unsafe { watcher::<RequestsWatch>(opaque) }.unanswered.fetch_add(1, Ordering::AcqRel);
    }
    RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR
}

/// Called when a request ended, with its response or with an error of the client.
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
        // SAFETY: `opaque` is valid as `Watcher::add` requires.
        unsafe { watcher::<RequestsWatch>(opaque) }.unanswered.fetch_sub(1, Ordering::AcqRel);
    }
    0
}
