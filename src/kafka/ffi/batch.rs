//! Reads a consumer's messages in batches. Errors and ends of partitions come with their partition and
//! position; rdkafka keeps only the code of an error, and the partition of an end.
//!
//! It reads events rather than `rd_kafka_consume_batch_queue`, which only logs errors that are not consumer
//! errors, such as that a partition does not exist.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::types::RDKafkaErrorCode;
use rdkafka_sys as sys;

use super::{NativeError, milliseconds, raw};

/// The queue of a consumer that has an assignment and that nothing else polls.
pub struct BatchReader<C: ConsumerContext + 'static> {
    queue: *mut sys::rd_kafka_queue_t,
    most: usize,
    /// Kept alive as long as its queue.
    _consumer: BaseConsumer<C>,
}

// SAFETY: librdkafka's queues may be used from any thread; `&mut self` keeps it to one at a time.
unsafe impl<C: ConsumerContext + 'static> Send for BatchReader<C> {}

/// One event of the consumer.
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
    },
    /// The consumer's position reached the end of the partition.
    End {
        /// The partition.
        partition: i32,
        /// The position, which counts the transaction markers before it.
        position: i64,
    },
    /// The partition cannot be read.
    PartitionFailed {
        /// The partition.
        partition: i32,
        /// Why.
        error: NativeError,
    },
    /// An error of the consumer as a whole, such as a broken connection.
    Failed(NativeError),
}

impl<C: ConsumerContext + 'static> BatchReader<C> {
    /// Takes over a consumer that has a `group.id`. A poll delivers at most `most` events.
    #[must_use]
    pub fn new(consumer: BaseConsumer<C>, most: usize) -> Self {
        // SAFETY: the consumer is live, and `Self` releases the queue before it drops the consumer.
        let queue = unsafe { sys::rd_kafka_queue_get_consumer(consumer.client().native_ptr()) };
        Self { queue, most, _consumer: consumer }
    }

    /// Waits at most `timeout` for the first event, then hands all that are there to `each`, up to `most`.
    /// True if there were any.
    pub fn poll(&mut self, timeout: Duration, mut each: impl FnMut(Delivered<'_>)) -> bool {
        let mut timeout = milliseconds(timeout);
        let mut count = 0;
        while count < self.most {
            // SAFETY: the queue is live; the event is owned here.
            let event = unsafe { sys::rd_kafka_queue_poll(self.queue, timeout) };
            if event.is_null() {
                break;
            }
            Event(event).deliver(&mut each);
            timeout = 0;
            count += 1;
        }
        count > 0
    }
}

impl<C: ConsumerContext + 'static> Drop for BatchReader<C> {
    fn drop(&mut self) {
        // SAFETY: owned here, released once, and before the consumer, which is dropped after this.
        unsafe { sys::rd_kafka_queue_destroy(self.queue) }
    }
}

/// An event of a consumer, owned.
struct Event(*mut sys::rd_kafka_event_t);

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: owned here, freed once.
        unsafe { sys::rd_kafka_event_destroy(self.0) }
    }
}

impl Event {
    /// Hands messages and errors to `each`. Other events, such as statistics, are of no use to a reader.
    fn deliver(&self, each: &mut impl FnMut(Delivered<'_>)) {
        // SAFETY: the event is live, and its message lives as long as it does.
        unsafe {
            match sys::rd_kafka_event_type(self.0) {
                sys::RD_KAFKA_EVENT_FETCH => {
                    let message = sys::rd_kafka_event_message_next(self.0);
                    if !message.is_null() {
                        each(record(message));
                    }
                }
                sys::RD_KAFKA_EVENT_ERROR => self.deliver_error(each),
                _ => {}
            }
        }
    }

    fn deliver_error(&self, each: &mut impl FnMut(Delivered<'_>)) {
        // SAFETY: the event is live and is an error; its message belongs to it and is copied.
        let (error, place) = unsafe {
            let Some(error) = NativeError::of_number(raw::rd_kafka_event_error(self.0)) else {
                return;
            };
            let mut error = error.saying(sys::rd_kafka_event_error_string(self.0));
            error.fatal = sys::rd_kafka_event_error_is_fatal(self.0) != 0;
            (error, Place::of(self.0))
        };
        match place {
            None => each(Delivered::Failed(error)),
            Some(place) if error.code == RDKafkaErrorCode::PartitionEOF => {
                each(Delivered::End { partition: place.partition(), position: place.offset() });
            }
            Some(place) => each(Delivered::PartitionFailed { partition: place.partition(), error }),
        }
    }
}

/// The topic partition that an error is about, owned. Its error code may be any number, so the structure is
/// never borrowed as a whole.
struct Place(*mut sys::rd_kafka_topic_partition_t);

impl Drop for Place {
    fn drop(&mut self) {
        // SAFETY: owned here, freed once.
        unsafe { sys::rd_kafka_topic_partition_destroy(self.0) }
    }
}

impl Place {
    /// # Safety
    ///
    /// The event is live.
    unsafe fn of(event: *mut sys::rd_kafka_event_t) -> Option<Self> {
        // SAFETY: guaranteed by the caller; the returned partition is owned here.
        let place = unsafe { sys::rd_kafka_event_topic_partition(event) };
        if place.is_null() { None } else { Some(Self(place)) }
    }

    fn partition(&self) -> i32 {
        // SAFETY: the partition is live.
        unsafe { (*self.0).partition }
    }

    fn offset(&self) -> i64 {
        // SAFETY: the partition is live.
        unsafe { (*self.0).offset }
    }
}

/// # Safety
///
/// The message is live for as long as `'a`, and so are its payload and key.
unsafe fn record<'a>(message: *const sys::rd_kafka_message_t) -> Delivered<'a> {
    // SAFETY: guaranteed by the caller; key and payload are null, or have the lengths in the message.
    unsafe {
        Delivered::Record {
            partition: (*message).partition,
            offset: (*message).offset,
            key: bytes((*message).key.cast(), (*message).key_len),
            value: bytes((*message).payload.cast(), (*message).len),
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
    // SAFETY: guaranteed by the caller.
    Some(unsafe { std::slice::from_raw_parts(start, len) })
}
