//! Offsets in a transaction, naming a member (`docs/protocol.md`, "The member check").

use std::time::Duration;

use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::producer::{BaseProducer, Producer, ProducerContext};
use rdkafka_sys as sys;

use super::requests::c_string;
use super::{NativeError, milliseconds, text};

struct GroupMetadata(*mut sys::rd_kafka_consumer_group_metadata_t);

impl Drop for GroupMetadata {
    fn drop(&mut self) {
        // SAFETY: made by `rd_kafka_consumer_group_metadata_new_with_genid`, freed once.
        unsafe { sys::rd_kafka_consumer_group_metadata_destroy(self.0) }
    }
}

/// Sends `offsets` of `group` to the producer's open transaction, as member `member` of generation
/// -1. With a member id that is in no group the broker refuses while the group has members.
///
/// # Errors
///
/// What librdkafka reports, with what it says of the transaction.
pub fn send_offsets<C: ProducerContext>(
    producer: &BaseProducer<C>,
    group: &str,
    member: &str,
    offsets: &TopicPartitionList,
    timeout: Duration,
) -> Result<(), NativeError> {
    let (group, member) = (c_string(group)?, c_string(member)?);
    // SAFETY: the strings outlive the call, which copies them; a null instance id means none.
    let metadata = GroupMetadata(unsafe {
        sys::rd_kafka_consumer_group_metadata_new_with_genid(
            group.as_ptr(),
            -1,
            member.as_ptr(),
            std::ptr::null(),
        )
    });
    // SAFETY: producer, list and metadata are live for the whole call; the error is ours.
    let error = unsafe {
        NativeError::take(sys::rd_kafka_send_offsets_to_transaction(
            producer.client().native_ptr(),
            offsets.ptr(),
            metadata.0,
            milliseconds(timeout),
        ))
    };
    error.map_or(Ok(()), Err)
}

/// Who a consumer is in its group at the moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// The generation, or the member epoch of a KIP-848 group; -1 while it is in none.
    pub generation: i32,
    /// Its member id; empty until the coordinator gave one.
    pub member: String,
}

/// Who `consumer` is in its group at the moment; `None` if it has no `group.id`.
#[must_use]
pub fn membership<C: ConsumerContext>(consumer: &BaseConsumer<C>) -> Option<Membership> {
    // SAFETY: the consumer is live; the metadata is ours, and its member id is copied before it is
    // freed.
    unsafe {
        let metadata = sys::rd_kafka_consumer_group_metadata(consumer.client().native_ptr());
        if metadata.is_null() {
            return None;
        }
        let metadata = GroupMetadata(metadata);
        Some(Membership {
            generation: sys::rd_kafka_consumer_group_metadata_generation_id(metadata.0),
            member: text(sys::rd_kafka_consumer_group_metadata_member_id(metadata.0)),
        })
    }
}
