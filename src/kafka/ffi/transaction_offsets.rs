//! Sends offsets to a transaction in the name of a group member (`docs/protocol.md`, "The member check").

use std::time::Duration;

use rdkafka::TopicPartitionList;
use rdkafka::client::{Client, ClientContext};
use rdkafka_sys as sys;

use super::requests::c_string;
use super::{NativeError, milliseconds};

struct GroupMetadata(*mut sys::rd_kafka_consumer_group_metadata_t);

impl Drop for GroupMetadata {
    fn drop(&mut self) {
        // SAFETY: made by `rd_kafka_consumer_group_metadata_new_with_genid`, freed once.
        unsafe { sys::rd_kafka_consumer_group_metadata_destroy(self.0) }
    }
}

/// Sends `offsets` of `group` to the open transaction of a producer's `client`, as member `member` of
/// generation -1. If `member` is a member id of no group, the broker refuses while the group has members.
///
/// # Errors
///
/// librdkafka's error, including whether the transaction must be aborted.
pub fn send_offsets<C: ClientContext>(
    client: &Client<C>,
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
    // SAFETY: client, list and metadata are live for the whole call; the returned error is owned here.
    let error = unsafe {
        NativeError::take(sys::rd_kafka_send_offsets_to_transaction(
            client.native_ptr(),
            offsets.ptr(),
            metadata.0,
            milliseconds(timeout),
        ))
    };
    error.map_or(Ok(()), Err)
}
