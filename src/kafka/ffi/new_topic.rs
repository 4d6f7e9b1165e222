//! The description of a topic to be created.

use std::ffi::c_char;

use rdkafka::types::RDKafkaErrorCode;
use rdkafka_sys as sys;

use super::requests::c_string;
use super::{NativeError, text};

const ERROR_TEXT: usize = 512;

/// A topic to be created.
#[derive(Clone, Copy, Debug)]
pub struct NewTopic<'a> {
    /// Its name.
    pub name: &'a str,
    /// The number of partitions: at least 1, or -1 for the broker's default.
    pub partitions: i32,
    /// The replication factor: at least 1, or -1 for the broker's default.
    pub replication_factor: i32,
    /// Topic properties by name, such as `cleanup.policy`.
    pub config: &'a [(&'a str, &'a str)],
}

/// The native description of a new topic, owned.
pub(super) struct NativeNewTopic(*mut sys::rd_kafka_NewTopic_t);

impl NativeNewTopic {
    pub(super) fn of(topic: &NewTopic<'_>) -> Result<Self, NativeError> {
        let name = c_string(topic.name)?;
        let mut sentence: [c_char; ERROR_TEXT] = [0; ERROR_TEXT];
        // SAFETY: name and buffer outlive the call; librdkafka ends the message with a NUL byte.
        let native = unsafe {
            let native = sys::rd_kafka_NewTopic_new(
                name.as_ptr(),
                topic.partitions,
                topic.replication_factor,
                sentence.as_mut_ptr(),
                sentence.len(),
            );
            if native.is_null() {
                let sentence = text(sentence.as_ptr());
                return Err(NativeError::new(RDKafkaErrorCode::InvalidArgument, sentence));
            }
            Self(native)
        };
        for (key, value) in topic.config {
            let (key, value) = (c_string(key)?, c_string(value)?);
            // SAFETY: the topic is live; the strings outlive the call, which copies them.
            let set = unsafe {
                sys::rd_kafka_NewTopic_set_config(native.0, key.as_ptr(), value.as_ptr())
            };
            if let Some(error) = NativeError::of_number(set as i32) {
                return Err(error);
            }
        }
        Ok(native)
    }

    pub(super) fn ptr(&self) -> *mut sys::rd_kafka_NewTopic_t {
        self.0
    }
}

impl Drop for NativeNewTopic {
    fn drop(&mut self) {
        // SAFETY: made by `rd_kafka_NewTopic_new`, freed once.
        unsafe { sys::rd_kafka_NewTopic_destroy(self.0) }
    }
}
