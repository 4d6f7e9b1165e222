//! Lists the groups of every protocol type. `ListConsumerGroups` keeps only groups whose protocol type is
//! `consumer` or empty, so it never lists groups of type `streams` (KIP-1071), for example.

use std::time::Duration;

use rdkafka::types::RDKafkaErrorCode;
use rdkafka_sys as sys;

use super::{NativeError, milliseconds, raw, text};

/// A group, as its coordinator lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnyGroup {
    /// Its name.
    pub group: String,
    /// The protocol type, such as `consumer` or `connect`. Empty for a group that has no members and only
    /// stores offsets, and for every group that is not classic: the request that describes it knows only
    /// classic groups.
    pub protocol_type: String,
    /// The state, such as `Empty` or `Stable`; `Dead` for a group that is not classic.
    pub state: String,
    /// The error code of its description; 0 if there is none.
    pub error: i32,
}

/// A list that librdkafka allocated, freed once.
struct Native(*const sys::rd_kafka_group_list);

impl Drop for Native {
    fn drop(&mut self) {
        if !self.0.is_null() {
            // SAFETY: made by `rd_kafka_list_groups`, and not null.
            unsafe { sys::rd_kafka_group_list_destroy(self.0) }
        }
    }
}

/// All groups of all brokers that answer. A group that is not in the list may exist: librdkafka forgets that
/// one broker failed if another one answers after it.
///
/// # Errors
///
/// If no broker answered, or if the last one failed.
///
/// # Safety
///
/// `client` is a live client, and stays live until this returns.
pub(super) unsafe fn list_all(
    client: *mut sys::rd_kafka_t,
    timeout: Duration,
) -> Result<Vec<AnyGroup>, NativeError> {
    let mut list = Native(std::ptr::null());
    // SAFETY: the caller guarantees a live client; a null name asks for all groups.
    let error = unsafe {
        raw::rd_kafka_list_groups(client, std::ptr::null(), &raw mut list.0, milliseconds(timeout))
    };
    let error = NativeError::of_number(error);
    match error {
        Some(error) if error.code != RDKafkaErrorCode::Partial => return Err(error),
        Some(_) | None if list.0.is_null() => return Ok(Vec::new()),
        Some(_) | None => {}
    }
    // SAFETY: the list is live until the end of this function, and contains `group_cnt` groups.
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
    // SAFETY: guaranteed by the caller. The error is read as a number, because a broker may answer one that
    // the enumeration lacks.
    unsafe {
        AnyGroup {
            group: text((*native).group),
            protocol_type: text((*native).protocol_type),
            state: text((*native).state),
            error: raw::number_at(&raw const (*native).err),
        }
    }
}
