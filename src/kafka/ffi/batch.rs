//! A consumer's messages in batches, with topic partition and offset also for errors and for the
//! end of a partition (rdkafka keeps only a number of those).

use std::ffi::CStr;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka_sys as sys;

use super::{NativeError, milliseconds, raw};

/// The queue of a consumer that is assigned and never polled otherwise.
pub struct BatchReader<C: ConsumerContext + 'static> {
    queue: *mut sys::rd_kafka_queue_t,
    messages: Vec<*mut sys::rd_kafka_message_t>,
    consumer: BaseConsumer<C>,
}

// SAFETY: librdkafka's queues may be used from any thread; `&mut self` keeps it to one at a time.
unsafe impl<C: ConsumerContext + 'static> Send for BatchReader<C> {}

/// One thing that the consumer delivered.
pub enum Delivered<'a> {
    /// A record.
    Record {
        /// Its partition.
        partition: i32,
        /// Its offset.
        offset: i64,
        /// Its key.
        key: Option<&'a [u8]>,
        /// Its value.
        value: Option<&'a [u8]>,
        /// Its timestamp in milliseconds since 1970, if it has one.
        timestamp: Option<i64>,
    },
    /// The consumer's position reached the end of the partition.
    End {
        /// The topic.
        topic: &'a str,
        /// The partition.
        partition: i32,
        /// The position: transaction markers before it are counted.
        position: i64,
    },
    /// The partition cannot be read.
    PartitionFailed {
        /// The topic.
        topic: &'a str,
        /// The partition.
        partition: i32,
        /// Why.
        error: NativeError,
    },
    /// The consumer as a whole reports an error.
    Failed(NativeError),
}

impl<C: ConsumerContext + 'static> BatchReader<C> {
    /// Takes a consumer over; `most` messages are delivered at once.
    #[must_use]
    pub fn new(consumer: BaseConsumer<C>, most: usize) -> Self {
        // SAFETY: the consumer is live and kept beside the queue, which is released before it.
        let queue = unsafe { sys::rd_kafka_queue_get_consumer(consumer.client().native_ptr()) };
        Self {
            queue,
            messages: vec![std::ptr::null_mut(); most],
            consumer,
        }
    }

    /// The consumer.
    #[must_use]
    pub fn consumer(&self) -> &BaseConsumer<C> {
        &self.consumer
    }

    /// Waits for messages at most `timeout` and hands each to `each`. True if there were any.
    pub fn poll(&mut self, timeout: Duration, mut each: impl FnMut(Delivered<'_>)) -> bool {
        // SAFETY: the queue is live, and the vector has room for as many pointers as it says.
        let count = unsafe {
            sys::rd_kafka_consume_batch_queue(
                self.queue,
                milliseconds(timeout),
                self.messages.as_mut_ptr(),
                self.messages.len(),
            )
        };
        let count = usize::try_from(count).unwrap_or(0);
        for message in &self.messages[..count] {
            // SAFETY: librdkafka filled the first `count` places with live messages of ours; each
            // is read, then freed, once.
            unsafe {
                each(delivered(*message));
                sys::rd_kafka_message_destroy(*message);
            }
        }
        count > 0
    }
}

impl<C: ConsumerContext + 'static> Drop for BatchReader<C> {
    fn drop(&mut self) {
        // SAFETY: ours, released once, before the consumer that is dropped after this.
        unsafe { sys::rd_kafka_queue_destroy(self.queue) }
    }
}

/// # Safety
///
/// The message is live for as long as `'a`, and so are its topic, payload and key. Its error code
/// may be any number.
unsafe fn delivered<'a>(message: *const sys::rd_kafka_message_t) -> Delivered<'a> {
    // SAFETY: as the caller vouches; key and payload are null, or as long as the message says.
    unsafe {
        let partition = (*message).partition;
        let Some(error) = NativeError::of_number(raw::number_at(&raw const (*message).err)) else {
            let timestamp = sys::rd_kafka_message_timestamp(message, std::ptr::null_mut());
            return Delivered::Record {
                partition,
                offset: (*message).offset,
                key: bytes((*message).key.cast(), (*message).key_len),
                value: bytes((*message).payload.cast(), (*message).len),
                timestamp: (timestamp >= 0).then_some(timestamp),
            };
        };
        // An error message's payload is its sentence, owned by the message.
        let error = error.saying(sys::rd_kafka_message_errstr(message));
        if (*message).rkt.is_null() || partition < 0 {
            return Delivered::Failed(error);
        }
        let name = CStr::from_ptr(sys::rd_kafka_topic_name((*message).rkt));
        // Topic names are ASCII.
        let topic = name.to_str().unwrap_or_default();
        if error.code == RDKafkaErrorCode::PartitionEOF {
            let position = (*message).offset;
            Delivered::End {
                topic,
                partition,
                position,
            }
        } else {
            Delivered::PartitionFailed {
                topic,
                partition,
                error,
            }
        }
    }
}

/// # Safety
///
/// `start` is null or points to `len` bytes that live as long as `'a`.
unsafe fn bytes<'a>(start: *const u8, len: usize) -> Option<&'a [u8]> {
    if start.is_null() {
        return None;
    }
    // SAFETY: as the caller vouches.
    Some(unsafe { std::slice::from_raw_parts(start, len) })
}
