//! The connections of a client: which brokers are connected, and how often each connection has ended or left
//! a request without an answer (`docs/protocol.md`, "Source reads"). librdkafka's error events are not
//! enough: a closed connection is only a debug line, and equal events are suppressed for half a minute.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rdkafka::types::RDKafkaRespErr;
use rdkafka_sys as sys;

use super::interceptors::{Watcher, watcher};
use super::raw;

/// librdkafka's names for the state of a usable connection and of one that has ended.
const UP: &CStr = c"UP";
const DOWN: &CStr = c"DOWN";

/// The connections of one client, by the node id of the broker.
#[derive(Debug, Default)]
pub struct Connections {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    up: BTreeSet<i32>,
    ended: BTreeMap<i32, u64>,
}

impl Connections {
    /// The brokers that are connected.
    #[must_use]
    pub fn up(&self) -> BTreeSet<i32> {
        self.known().up.clone()
    }

    /// How often connections to `broker` have ended or left a request without an answer. `None` counts those
    /// of all brokers, for callers that do not know the broker.
    #[must_use]
    pub fn ended(&self, broker: Option<i32>) -> u64 {
        let known = self.known();
        match broker {
            Some(broker) => known.ended.get(&broker).copied().unwrap_or_default(),
            None => known.ended.values().sum(),
        }
    }

    fn state(&self, broker: i32, state: &CStr) {
        let mut known = self.known();
        if state == UP {
            known.up.insert(broker);
        } else {
            known.up.remove(&broker);
        }
        if state == DOWN {
            *known.ended.entry(broker).or_default() += 1;
        }
    }

    fn unanswered(&self, broker: i32) {
        *self.known().ended.entry(broker).or_default() += 1;
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watcher for Connections {
    const NAME: &CStr = c"sprag-connections";

    unsafe fn add(client: *mut sys::rd_kafka_t, opaque: *mut c_void) -> bool {
        // SAFETY: guaranteed by the caller.
        unsafe {
            let name = Self::NAME.as_ptr();
            let state = sys::rd_kafka_interceptor_add_on_broker_state_change(
                client,
                name,
                Some(on_state),
                opaque,
            );
            let ended = raw::rd_kafka_interceptor_add_on_response_received(
                client,
                name,
                on_response,
                opaque,
            );
            state == RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR && ended == 0
        }
    }
}

unsafe extern "C" fn on_state(
    _client: *mut sys::rd_kafka_t,
    broker_id: i32,
    _protocol: *const c_char,
    _name: *const c_char,
    _port: c_int,
    state: *const c_char,
    opaque: *mut c_void,
) -> RDKafkaRespErr {
    // A broker without a node id is an entry of `bootstrap.servers`; it coordinates nothing.
    if broker_id >= 0 {
        // SAFETY: librdkafka's names of states are static; `opaque` is valid as `Watcher::add` requires.
        unsafe { watcher::<Connections>(opaque).state(broker_id, CStr::from_ptr(state)) };
    }
    RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR
}

/// Counts a request that ended without an answer: the broker may never have answered it, or may still do so.
unsafe extern "C" fn on_response(
    _client: *mut sys::rd_kafka_t,
    _socket: c_int,
    _broker: *const c_char,
    broker_id: i32,
    _key: i16,
    _version: i16,
    _correlation: i32,
    _size: usize,
    _round_trip: i64,
    error: c_int,
    opaque: *mut c_void,
) -> c_int {
    if error != 0 && broker_id >= 0 {
        // SAFETY: `opaque` is valid as `Watcher::add` requires.
        unsafe { watcher::<Connections>(opaque) }.unanswered(broker_id);
    }
    0
}
