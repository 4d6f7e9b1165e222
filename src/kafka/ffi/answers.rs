//! Reads admin replies into owned values. If a reply lacks something that was asked for, nothing here makes
//! it up.

use rdkafka::types::RDKafkaErrorCode;
use rdkafka_sys as sys;

use super::{NativeError, elements, raw, text};

/// An admin reply, owned.
pub(super) struct Answer(*mut sys::rd_kafka_event_t);

// SAFETY: an event belongs to its holder and may be read from any thread.
unsafe impl Send for Answer {}

impl Answer {
    /// # Safety
    ///
    /// `event` is live and nothing else frees it.
    pub(super) unsafe fn own(event: *mut sys::rd_kafka_event_t) -> Self {
        Self(event)
    }

    pub(super) fn ptr(&self) -> *mut sys::rd_kafka_event_t {
        self.0
    }

    /// The error of the request as a whole.
    pub(super) fn error(&self) -> Option<NativeError> {
        // SAFETY: the event is live; its message belongs to it and is copied.
        unsafe {
            let error = NativeError::of_number(raw::rd_kafka_event_error(self.0))?;
            Some(error.saying(sys::rd_kafka_event_error_string(self.0)))
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        // SAFETY: owned here, freed once.
        unsafe { sys::rd_kafka_event_destroy(self.0) }
    }
}

/// The consumer groups of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupListings {
    /// The groups of the brokers that answered.
    pub groups: Vec<GroupListing>,
    /// The errors of the other brokers. The list is complete only if this is empty.
    pub errors: Vec<NativeError>,
}

/// One consumer group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupListing {
    /// Its id.
    pub group: String,
    /// Whether it has members; `None` if its state does not show that.
    pub has_members: Option<bool>,
    /// Its state.
    pub state: GroupState,
    /// Its protocol.
    pub kind: GroupKind,
    /// Whether it only stores offsets: no member ever joined it.
    pub simple: bool,
}

/// A consumer group's state (Kafka's `GroupState`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupState {
    /// No members; offsets may be stored.
    Empty,
    /// No members, and about to be removed.
    Dead,
    /// A classic group between two generations, while members join.
    PreparingRebalance,
    /// A classic group that waits for its leader's assignment.
    CompletingRebalance,
    /// The group has members, and each has its assignment.
    Stable,
    /// A state that librdkafka has no name for: `Assigning` and `Reconciling` of KIP-848 groups.
    Unknown,
}

/// A consumer group's protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupKind {
    /// The classic protocol.
    Classic,
    /// The consumer protocol of KIP-848.
    Consumer,
    /// Not reported: brokers before 3.8 do not report it.
    Unknown,
}

impl GroupState {
    fn of(state: sys::rd_kafka_consumer_group_state_t) -> Self {
        use sys::rd_kafka_consumer_group_state_t as State;
        match state {
            State::RD_KAFKA_CONSUMER_GROUP_STATE_EMPTY => Self::Empty,
            State::RD_KAFKA_CONSUMER_GROUP_STATE_DEAD => Self::Dead,
            State::RD_KAFKA_CONSUMER_GROUP_STATE_PREPARING_REBALANCE => Self::PreparingRebalance,
            State::RD_KAFKA_CONSUMER_GROUP_STATE_COMPLETING_REBALANCE => Self::CompletingRebalance,
            State::RD_KAFKA_CONSUMER_GROUP_STATE_STABLE => Self::Stable,
            State::RD_KAFKA_CONSUMER_GROUP_STATE_UNKNOWN
            | State::RD_KAFKA_CONSUMER_GROUP_STATE__CNT => Self::Unknown,
        }
    }

    fn has_members(self) -> Option<bool> {
        match self {
            Self::Empty | Self::Dead => Some(false),
            Self::PreparingRebalance | Self::CompletingRebalance | Self::Stable => Some(true),
            Self::Unknown => None,
        }
    }
}

impl GroupKind {
    fn of(kind: sys::rd_kafka_consumer_group_type_t) -> Self {
        use sys::rd_kafka_consumer_group_type_t as Kind;
        match kind {
            Kind::RD_KAFKA_CONSUMER_GROUP_TYPE_CLASSIC => Self::Classic,
            Kind::RD_KAFKA_CONSUMER_GROUP_TYPE_CONSUMER => Self::Consumer,
            Kind::RD_KAFKA_CONSUMER_GROUP_TYPE_UNKNOWN
            | Kind::RD_KAFKA_CONSUMER_GROUP_TYPE__CNT => Self::Unknown,
        }
    }
}

/// One consumer group, described.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupDescription {
    /// Its state.
    pub state: GroupState,
    /// The number of members.
    pub members: usize,
}

/// An offset of one partition, or the broker's error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionOffset {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The offset and its metadata; `None` if there is no offset.
    pub outcome: Result<Option<(i64, String)>, NativeError>,
}

/// The error for a reply of another kind than expected.
pub(super) fn unexpected(what: &str) -> NativeError {
    NativeError::new(RDKafkaErrorCode::BadMessage, format!("the reply contains no {what}"))
}

/// The error for a reply that does not include something that was asked for by name.
pub(super) fn left_out(what: &str) -> NativeError {
    NativeError::new(RDKafkaErrorCode::BadMessage, format!("the reply does not include {what}"))
}

pub(super) fn group_listings(answer: &Answer) -> Result<GroupListings, NativeError> {
    let mut listings = GroupListings::default();
    // SAFETY: the result and all that it contains belong to the event, which outlives this function.
    unsafe {
        let result = sys::rd_kafka_event_ListConsumerGroups_result(answer.0);
        if result.is_null() {
            return Err(unexpected("list of groups"));
        }
        let mut len = 0;
        let array = sys::rd_kafka_ListConsumerGroups_result_valid(result, &raw mut len);
        for group in elements(array, len) {
            let state = GroupState::of(sys::rd_kafka_ConsumerGroupListing_state(*group));
            listings.groups.push(GroupListing {
                group: text(sys::rd_kafka_ConsumerGroupListing_group_id(*group)),
                has_members: state.has_members(),
                state,
                kind: GroupKind::of(sys::rd_kafka_ConsumerGroupListing_type(*group)),
                simple: sys::rd_kafka_ConsumerGroupListing_is_simple_consumer_group(*group) != 0,
            });
        }
        let array = sys::rd_kafka_ListConsumerGroups_result_errors(result, &raw mut len);
        for error in elements(array, len) {
            listings.errors.extend(NativeError::read(*error));
        }
    }
    Ok(listings)
}

pub(super) fn group_description(answer: &Answer) -> Result<GroupDescription, NativeError> {
    // SAFETY: as above.
    unsafe {
        let result = sys::rd_kafka_event_DescribeConsumerGroups_result(answer.0);
        if result.is_null() {
            return Err(unexpected("group"));
        }
        let mut len = 0;
        let array = sys::rd_kafka_DescribeConsumerGroups_result_groups(result, &raw mut len);
        let group = *elements(array, len).first().ok_or_else(|| unexpected("group"))?;
        match NativeError::read(sys::rd_kafka_ConsumerGroupDescription_error(group)) {
            Some(error) => Err(error),
            None => {
                let members = sys::rd_kafka_ConsumerGroupDescription_member_count(group);
                let state = GroupState::of(sys::rd_kafka_ConsumerGroupDescription_state(group));
                Ok(GroupDescription { state, members })
            }
        }
    }
}

pub(super) fn listed_offsets(answer: &Answer) -> Result<Vec<PartitionOffset>, NativeError> {
    // SAFETY: as above.
    unsafe {
        let result = sys::rd_kafka_event_ListConsumerGroupOffsets_result(answer.0);
        if result.is_null() {
            return Err(unexpected("committed offsets"));
        }
        let mut len = 0;
        let array = sys::rd_kafka_ListConsumerGroupOffsets_result_groups(result, &raw mut len);
        group_partitions(elements(array, len))
    }
}

pub(super) fn altered_offsets(answer: &Answer) -> Result<Vec<PartitionOffset>, NativeError> {
    // SAFETY: as above.
    unsafe {
        let result = sys::rd_kafka_event_AlterConsumerGroupOffsets_result(answer.0);
        if result.is_null() {
            return Err(unexpected("commit results"));
        }
        let mut len = 0;
        let array = sys::rd_kafka_AlterConsumerGroupOffsets_result_groups(result, &raw mut len);
        group_partitions(elements(array, len))
    }
}

/// # Safety
///
/// The groups are live.
unsafe fn group_partitions(
    groups: &[*const sys::rd_kafka_group_result_t],
) -> Result<Vec<PartitionOffset>, NativeError> {
    // SAFETY: guaranteed by the caller; list and error belong to the group.
    unsafe {
        let group = *groups.first().ok_or_else(|| unexpected("group"))?;
        if let Some(error) = NativeError::read(sys::rd_kafka_group_result_error(group)) {
            return Err(error);
        }
        let list = sys::rd_kafka_group_result_partitions(group);
        if list.is_null() {
            return Ok(Vec::new());
        }
        let count = usize::try_from((*list).cnt).unwrap_or(0);
        let part = |i| partition_offset((*list).elems.add(i));
        Ok((0..count).map(part).collect())
    }
}

/// Reads a partition's offset and metadata, or its error.
///
/// # Safety
///
/// `part` points to a live partition, whose error code may be any number.
pub(super) unsafe fn partition_offset(
    part: *const sys::rd_kafka_topic_partition_t,
) -> PartitionOffset {
    // SAFETY: guaranteed by the caller; the metadata is null or has the length `metadata_size`.
    unsafe {
        // The error comes first: an unstable offset has offset -1001 and error 88, and must not look like
        // none.
        let outcome = match NativeError::of_number(raw::number_at(&raw const (*part).err)) {
            Some(error) => Err(error),
            None => Ok(((*part).offset >= 0).then(|| ((*part).offset, metadata(part)))),
        };
        PartitionOffset { topic: text((*part).topic), partition: (*part).partition, outcome }
    }
}

/// # Safety
///
/// As for [`partition_offset`].
unsafe fn metadata(part: *const sys::rd_kafka_topic_partition_t) -> String {
    // SAFETY: guaranteed by the caller.
    unsafe {
        if (*part).metadata.is_null() {
            return String::new();
        }
        let (start, len) = ((*part).metadata.cast::<u8>(), (*part).metadata_size);
        // The protocol defines metadata as a string, so brokers answer UTF-8.
        String::from_utf8_lossy(std::slice::from_raw_parts(start, len)).into_owned()
    }
}
