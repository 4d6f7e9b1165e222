//! Native functions that return an error code, declared here to return its number. A broker may answer a code
//! that librdkafka's enumeration lacks, and a Rust enum must never hold such a value.

use std::ffi::{c_char, c_int, c_void};

use rdkafka::types::{RDKafkaErrorCode, RDKafkaRespErr};
use rdkafka_sys as sys;

/// The signature of `on_response_received`. The last number is the error code.
pub(super) type OnResponse = unsafe extern "C" fn(
    *mut sys::rd_kafka_t,
    c_int,
    *const c_char,
    i32,
    i16,
    i16,
    i32,
    usize,
    i64,
    c_int,
    *mut c_void,
) -> c_int;

unsafe extern "C" {
    pub(super) fn rd_kafka_event_error(event: *mut sys::rd_kafka_event_t) -> c_int;
    pub(super) fn rd_kafka_error_code(error: *const sys::rd_kafka_error_t) -> c_int;
    pub(super) fn rd_kafka_topic_result_error(topic: *const sys::rd_kafka_topic_result_t) -> c_int;
    pub(super) fn rd_kafka_ConfigResource_error(
        resource: *const sys::rd_kafka_ConfigResource_t,
    ) -> c_int;
    pub(super) fn rd_kafka_list_groups(
        client: *mut sys::rd_kafka_t,
        group: *const c_char,
        list: *mut *const sys::rd_kafka_group_list,
        timeout_ms: c_int,
    ) -> c_int;
    pub(super) fn rd_kafka_err2str(error: c_int) -> *const c_char;
    pub(super) fn rd_kafka_interceptor_add_on_response_received(
        client: *mut sys::rd_kafka_t,
        name: *const c_char,
        on_response: OnResponse,
        opaque: *mut c_void,
    ) -> c_int;
}

/// The code with this number, if librdkafka knows it.
pub(super) fn known(number: i32) -> Option<RDKafkaErrorCode> {
    RDKafkaRespErr::try_from(number).ok().map(Into::into)
}

/// The number of an error code in a native structure.
///
/// # Safety
///
/// `place` points to a readable error code.
pub(super) unsafe fn number_at(place: *const RDKafkaRespErr) -> i32 {
    // SAFETY: guaranteed by the caller; the enumeration is represented as this integer.
    unsafe { place.cast::<i32>().read() }
}
