//! Safe wrappers for the parts of librdkafka that rdkafka does not wrap. This module contains the only
//! `unsafe` code of the repository. Everything that leaves it is owned, typed and checked.

#![allow(unsafe_code)]

pub mod admin;
mod answers;
pub mod batch;
pub mod commits;
pub mod connections;
pub mod group_list;
mod interceptors;
mod new_topic;
pub mod producer;
mod raw;
pub mod requests;
mod requests_watch;
mod topic_answers;
pub mod transaction_offsets;

#[cfg(test)]
mod tests;

use std::ffi::{CStr, c_char};
use std::fmt;
use std::time::Duration;

use rdkafka::types::RDKafkaErrorCode;
use rdkafka_sys as sys;

/// An error as librdkafka reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NativeError {
    /// The broker's or the client's error code; `Unknown` also if librdkafka has no name for it.
    pub code: RDKafkaErrorCode,
    /// The code's number in the protocol. Negative numbers other than -1 are librdkafka's own.
    pub number: i32,
    /// librdkafka's message.
    pub message: String,
    /// The client is unusable, such as a fenced producer.
    pub fatal: bool,
    /// The open transaction must be aborted.
    pub abortable: bool,
}

impl fmt::Display for NativeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match raw::known(self.number) {
            Some(code) => write!(f, "{} ({code:?})", self.message),
            None => write!(f, "{} (error code {})", self.message, self.number),
        }
    }
}

impl NativeError {
    /// The error with this code and librdkafka's generic message for it.
    #[must_use]
    pub fn of(code: RDKafkaErrorCode) -> Self {
        let number = code as i32;
        // SAFETY: the message is static or thread-local, and it is copied.
        let message = unsafe { text(raw::rd_kafka_err2str(number)) };
        Self { code, number, message, fatal: false, abortable: false }
    }

    fn new(code: RDKafkaErrorCode, message: impl Into<String>) -> Self {
        Self { message: message.into(), ..Self::of(code) }
    }

    /// The error with this number, which librdkafka may not know; `None` for 0, which is no error.
    #[must_use]
    pub fn of_number(number: i32) -> Option<Self> {
        if number == RDKafkaErrorCode::NoError as i32 {
            return None;
        }
        Some(match raw::known(number) {
            Some(code) => Self::of(code),
            None => Self {
                number,
                message: "an error that librdkafka does not know".to_owned(),
                ..Self::of(RDKafkaErrorCode::Unknown)
            },
        })
    }

    /// Replaces the message with the broker's or the client's specific one, if there is one.
    ///
    /// # Safety
    ///
    /// `sentence` is null or points to a NUL-terminated string.
    unsafe fn saying(mut self, sentence: *const c_char) -> Self {
        // SAFETY: guaranteed by the caller.
        let sentence = unsafe { text(sentence) };
        if !sentence.is_empty() {
            self.message = sentence;
        }
        self
    }

    /// Reads an error that the caller does not own.
    ///
    /// # Safety
    ///
    /// `error` is null or points to a live error.
    unsafe fn read(error: *const sys::rd_kafka_error_t) -> Option<Self> {
        if error.is_null() {
            return None;
        }
        // SAFETY: the caller guarantees a valid pointer; the string belongs to the error and is copied.
        unsafe {
            let known = Self::of_number(raw::rd_kafka_error_code(error))?;
            let mut read = known.saying(sys::rd_kafka_error_string(error));
            read.fatal = sys::rd_kafka_error_is_fatal(error) != 0;
            read.abortable = sys::rd_kafka_error_txn_requires_abort(error) != 0;
            Some(read)
        }
    }

    /// Reads an error that the caller owns, and frees it.
    ///
    /// # Safety
    ///
    /// `error` is null or points to a live error that nothing else frees.
    unsafe fn take(error: *mut sys::rd_kafka_error_t) -> Option<Self> {
        // SAFETY: guaranteed by the caller; the error is read before it is freed, once.
        unsafe {
            let read = Self::read(error);
            if !error.is_null() {
                sys::rd_kafka_error_destroy(error);
            }
            read
        }
    }
}

/// A timeout in librdkafka's format: milliseconds, at most `i32::MAX`.
fn milliseconds(timeout: Duration) -> i32 {
    i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX)
}

/// Copies a C string; null becomes the empty string.
///
/// # Safety
///
/// `text` is null or points to a NUL-terminated string.
unsafe fn text(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: guaranteed by the caller.
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
    // SAFETY: guaranteed by the caller.
    unsafe { std::slice::from_raw_parts(array.cast_const(), len) }
}
