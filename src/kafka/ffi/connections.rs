//! How often each broker's connection of a client has ended, or left a request without an answer
//! (`docs/protocol.md`, "Source reads"). librdkafka's error events will not do: a connection that
//! closes is a debug line, and equal events are suppressed for half a minute.

use std::collections::BTreeMap;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::{Arc, Mutex, PoisonError};

use rdkafka::config::NativeClientConfig;
use rdkafka::types::RDKafkaRespErr;
use rdkafka_sys as sys;

use super::{NativeError, raw};

const NAME: &CStr = c"sprag-connections";
/// librdkafka's name of the state that a broker enters when its connection ends.
const DOWN: &CStr = c"DOWN";

/// The connections of one client, by the node id of the broker.
#[derive(Debug, Default)]
pub struct Connections {
    ended: Mutex<BTreeMap<i32, u64>>,
}

impl Connections {
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

    /// How many connections to this broker have ended; of all brokers where it is not known which one.
    #[must_use]
    pub fn ended(&self, broker: Option<i32>) -> u64 {
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        match broker {
            Some(broker) => ended.get(&broker).copied().unwrap_or_default(),
            None => ended.values().sum(),
        }
    }

    fn end(&self, broker: i32) {
        // A broker without a node id is one that the client was configured with; it coordinates nothing.
        if broker >= 0 {
            let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
            *ended.entry(broker).or_default() += 1;
        }
    }
}

/// # Safety
///
/// `opaque` points to a live watch.
unsafe fn watch<'a>(opaque: *mut c_void) -> &'a Connections {
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
    // SAFETY: the client is live, and so is the watch (`Connections::of`).
    unsafe {
        let name = NAME.as_ptr();
        sys::rd_kafka_interceptor_add_on_broker_state_change(client, name, Some(on_state), opaque);
        raw::rd_kafka_interceptor_add_on_response_received(client, name, on_response, opaque);
    }
    RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR
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
    // SAFETY: librdkafka's names of states are static; the watch is live (`Connections::of`).
    unsafe {
        if CStr::from_ptr(state) == DOWN {
            watch(opaque).end(broker_id);
        }
    }
    RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR
}

/// A request that ended without an answer may have been answered by nobody, or late.
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
    if error != 0 {
        // SAFETY: the watch is live (`Connections::of`).
        unsafe { watch(opaque) }.end(broker_id);
    }
    0
}
