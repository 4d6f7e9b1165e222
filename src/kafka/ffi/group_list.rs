//! Groups of every protocol type. `ListConsumerGroups` keeps only the protocol types `consumer` and
//! the empty one, so that it never lists a group of type `streams` (KIP-1071), for one.

use std::time::Duration;

use rdkafka::types::RDKafkaErrorCode;
use rdkafka_sys as sys;

use super::{NativeError, milliseconds, raw, text};

/// A group as the broker that coordinates it lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnyGroup {
    /// Its name.
    pub group: String,
    /// `consumer`, `connect` and the like. Empty for a group without members that only has
    /// offsets, and for every group that is not a classic one: the description that it comes from
    /// knows no other.
    pub protocol_type: String,
    /// `Empty`, `Stable` and the like; `Dead` for a group that is not a classic one.
    pub state: String,
    /// The error of its description, 0 if there is none.
    pub error: i32,
}

/// A list that librdkafka made, freed once.
struct Native(*const sys::rd_kafka_group_list);

impl Drop for Native {
    fn drop(&mut self) {
        if !self.0.is_null() {
            // SAFETY: made by `rd_kafka_list_groups`, and not null.
            unsafe { sys::rd_kafka_group_list_destroy(self.0) }
        }
    }
}

/// All groups of all brokers that answer. That a group is not in the answer says nothing:
/// librdkafka forgets that one broker failed when another one answers after it.
///
/// # Errors
///
/// Where no broker answered, or the last one failed.
///
/// # Safety
///
/// `client` is a live client, and stays so until this returns.
pub(super) unsafe fn list_all(
    client: *mut sys::rd_kafka_t,
    timeout: Duration,
) -> Result<Vec<AnyGroup>, NativeError> {
    let mut list = Native(std::ptr::null());
    // SAFETY: the caller vouches for the client; a null name asks for all groups.
    let error = unsafe {
        raw::rd_kafka_list_groups(client, std::ptr::null(), &raw mut list.0, milliseconds(timeout))
    };
    let error = NativeError::of_number(error);
    match error {
        Some(error) if error.code != RDKafkaErrorCode::Partial => return Err(error),
        Some(_) | None if list.0.is_null() => return Ok(Vec::new()),
        Some(_) | None => {}
    }
    // SAFETY: the list is live until the end of this function, and holds as many groups as it says.
    unsafe {
        let count = usize::try_from((*list.0).group_cnt).unwrap_or(0);
        let groups = (*list.0).groups.cast_const();
        Ok((0..count).map(|at| group(groups.add(at))).collect())
    }
}

/// Copies one group.
///
/// # Safety
///
/// `native` points to a live group.
unsafe fn group(native: *const sys::rd_kafka_group_info) -> AnyGroup {
    // SAFETY: as the caller vouches. The error is read as a number: a broker may answer one that the
    // enumeration lacks.
    unsafe {
        AnyGroup {
            group: text((*native).group),
            protocol_type: text((*native).protocol_type),
            state: text((*native).state),
            error: raw::number_at(&raw const (*native).err),
        }
    }
}
