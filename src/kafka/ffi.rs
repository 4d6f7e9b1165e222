//! What rdkafka has no safe wrapper for. The only `unsafe` of the tree stands in this module and
//! its parts; everything that leaves it is owned, typed and checked.

#![allow(unsafe_code)]

pub mod admin;
mod answers;
pub mod batch;
pub mod group_metadata;

use std::ffi::{CStr, c_char};
use std::fmt;

use rdkafka::types::RDKafkaErrorCode;
use rdkafka_sys as sys;

/// An error as librdkafka reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NativeError {
    /// The broker's or the client's error code.
    pub code: RDKafkaErrorCode,
    /// librdkafka's sentence.
    pub message: String,
    /// The client is beyond use (a fenced producer, for one).
    pub fatal: bool,
    /// The open transaction must be aborted.
    pub abortable: bool,
    /// The same call may be made again.
    pub retriable: bool,
}

impl fmt::Display for NativeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:?})", self.message, self.code)
    }
}

impl NativeError {
    /// An error known by its code alone.
    #[must_use]
    pub fn of(code: RDKafkaErrorCode) -> Self {
        let message = code.to_string();
        Self { code, message, fatal: false, abortable: false, retriable: false }
    }

    fn new(code: RDKafkaErrorCode, message: impl Into<String>) -> Self {
        Self { message: message.into(), ..Self::of(code) }
    }

    fn of_native(error: sys::rd_kafka_resp_err_t) -> Option<Self> {
        let ok = error == sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR;
        (!ok).then(|| Self::of(error.into()))
    }

    /// Reads an error that somebody else owns.
    ///
    /// # Safety
    ///
    /// `error` is null or points to a live error.
    unsafe fn read(error: *const sys::rd_kafka_error_t) -> Option<Self> {
        if error.is_null() {
            return None;
        }
        // SAFETY: the caller vouches for the pointer; the string belongs to the error and is copied.
        unsafe {
            let code = sys::rd_kafka_error_code(error);
            (code != sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR).then(|| Self {
                code: code.into(),
                message: text(sys::rd_kafka_error_string(error)),
                fatal: sys::rd_kafka_error_is_fatal(error) != 0,
                abortable: sys::rd_kafka_error_txn_requires_abort(error) != 0,
                retriable: sys::rd_kafka_error_is_retriable(error) != 0,
            })
        }
    }

    /// Takes an error that is ours to free.
    ///
    /// # Safety
    ///
    /// `error` is null or points to a live error that nobody else frees.
    unsafe fn take(error: *mut sys::rd_kafka_error_t) -> Option<Self> {
        // SAFETY: as the caller vouches; it is read before it is freed, once.
        unsafe {
            let read = Self::read(error);
            if !error.is_null() {
                sys::rd_kafka_error_destroy(error);
            }
            read
        }
    }
}

/// Copies a C string; null is the empty text.
///
/// # Safety
///
/// `text` is null or points to a NUL-terminated string.
unsafe fn text(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: as the caller vouches.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

/// The elements of an array of pointers that librdkafka returned with its length.
///
/// # Safety
///
/// `array` is null or points to `len` pointers that live as long as `'a`.
unsafe fn elements<'a, T>(array: *mut *const T, len: usize) -> &'a [*const T] {
    if array.is_null() || len == 0 {
        return &[];
    }
    // SAFETY: as the caller vouches.
    unsafe { std::slice::from_raw_parts(array.cast_const(), len) }
}
