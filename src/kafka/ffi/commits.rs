//! Offset commits whose result comes back through the consumer's own queue. librdkafka delivers the result of
//! `rd_kafka_commit()` only to a callback that rdkafka does not set.

use std::ptr::null_mut;

use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{IsError, KafkaError, KafkaResult};
use rdkafka_sys as sys;

/// Commits `offsets` with the consumer's generation. Returns at once. The result comes to the context's
/// `commit_callback` when the consumer is polled.
///
/// # Errors
///
/// If the client has no group, or is being closed.
pub fn commit<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    offsets: &TopicPartitionList,
) -> KafkaResult<()> {
    let client = consumer.client().native_ptr();
    // SAFETY: the client outlives this call. librdkafka copies the list, and the operation keeps a reference
    // of its own to the queue, so the handle may be destroyed. No callback is passed.
    let error = unsafe {
        let queue = sys::rd_kafka_queue_get_consumer(client);
        if queue.is_null() {
            return Err(KafkaError::ClientCreation("the consumer has no queue".to_owned()));
        }
        let error = sys::rd_kafka_commit_queue(client, offsets.ptr(), queue, None, null_mut());
        sys::rd_kafka_queue_destroy(queue);
        error
    };
    match error.is_error() {
        true => Err(KafkaError::ConsumerCommit(error.into())),
        false => Ok(()),
    }
}
