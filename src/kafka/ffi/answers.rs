//! Admin replies, read into owned values. What was asked for and is missing is never made up here.

use rdkafka::types::RDKafkaErrorCode;
use rdkafka_sys as sys;

use super::{NativeError, elements, text};

/// An admin reply, owned.
pub(super) struct Answer(*mut sys::rd_kafka_event_t);

// SAFETY: an event belongs to whoever holds it and may be read from any thread.
unsafe impl Send for Answer {}

impl Answer {
    /// # Safety
    ///
    /// `event` is live and nobody else frees it.
    pub(super) unsafe fn own(event: *mut sys::rd_kafka_event_t) -> Self {
        Self(event)
    }

    /// The error of the request as a whole.
    pub(super) fn error(&self) -> Option<NativeError> {
        // SAFETY: the event is live; its sentence belongs to it and is copied.
        unsafe {
            let mut error = NativeError::of_native(sys::rd_kafka_event_error(self.0))?;
            error.message = text(sys::rd_kafka_event_error_string(self.0));
            Some(error)
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        // SAFETY: ours, freed once.
        unsafe { sys::rd_kafka_event_destroy(self.0) }
    }
}

/// The consumer groups of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupListings {
    /// What the brokers that answered know.
    pub groups: Vec<GroupListing>,
    /// What the others said; the list is complete only where this is empty.
    pub errors: Vec<NativeError>,
}

/// One consumer group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupListing {
    /// Its id.
    pub group: String,
    /// Whether it has members: `None` where the broker did not say.
    pub has_members: Option<bool>,
}

/// One consumer group, described.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupDescription {
    /// How many members it has.
    pub members: usize,
}

/// An offset of one partition, or what the broker said instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionOffset {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The offset (`None`: none) and its metadata.
    pub outcome: Result<Option<(i64, String)>, NativeError>,
}

/// A topic, described.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicDescription {
    /// Its id.
    pub id: [u8; 16],
    /// How many partitions it has.
    pub partitions: i32,
}

fn unexpected(what: &str) -> NativeError {
    NativeError::new(RDKafkaErrorCode::BadMessage, format!("the reply holds no {what}"))
}

pub(super) fn group_listings(answer: &Answer) -> Result<GroupListings, NativeError> {
    use sys::rd_kafka_consumer_group_state_t as State;
    let mut listings = GroupListings::default();
    // SAFETY: the result and all it holds belong to the event, which outlives this function.
    unsafe {
        let result = sys::rd_kafka_event_ListConsumerGroups_result(answer.0);
        if result.is_null() {
            return Err(unexpected("list of groups"));
        }
        let mut len = 0;
        let array = sys::rd_kafka_ListConsumerGroups_result_valid(result, &raw mut len);
        for group in elements(array, len) {
            let has_members = match sys::rd_kafka_ConsumerGroupListing_state(*group) {
                State::RD_KAFKA_CONSUMER_GROUP_STATE_EMPTY
                | State::RD_KAFKA_CONSUMER_GROUP_STATE_DEAD => Some(false),
                State::RD_KAFKA_CONSUMER_GROUP_STATE_PREPARING_REBALANCE
                | State::RD_KAFKA_CONSUMER_GROUP_STATE_COMPLETING_REBALANCE
                | State::RD_KAFKA_CONSUMER_GROUP_STATE_STABLE => Some(true),
                State::RD_KAFKA_CONSUMER_GROUP_STATE_UNKNOWN
                | State::RD_KAFKA_CONSUMER_GROUP_STATE__CNT => None,
            };
            let group = text(sys::rd_kafka_ConsumerGroupListing_group_id(*group));
            listings.groups.push(GroupListing { group, has_members });
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
                Ok(GroupDescription { members })
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
    // SAFETY: as the caller vouches; list and error belong to the group.
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
        if count == 0 {
            return Ok(Vec::new());
        }
        let parts = std::slice::from_raw_parts((*list).elems, count);
        Ok(parts.iter().map(|part| partition_offset(part)).collect())
    }
}

/// # Safety
///
/// The partition is live.
unsafe fn partition_offset(part: &sys::rd_kafka_topic_partition_t) -> PartitionOffset {
    // SAFETY: as the caller vouches; the metadata is null or as long as it says.
    let (topic, metadata) = unsafe {
        let metadata = if part.metadata.is_null() {
            String::new()
        } else {
            let bytes = std::slice::from_raw_parts(part.metadata.cast::<u8>(), part.metadata_size);
            String::from_utf8_lossy(bytes).into_owned()
        };
        (text(part.topic), metadata)
    };
    // The error is looked at first: an unstable offset comes with offset -1001 and error 88.
    let outcome = match NativeError::of_native(part.err) {
        Some(error) => Err(error),
        None => Ok((part.offset >= 0).then_some((part.offset, metadata))),
    };
    PartitionOffset { topic, partition: part.partition, outcome }
}

pub(super) fn log_offsets(answer: &Answer) -> Result<Vec<PartitionOffset>, NativeError> {
    // SAFETY: as above.
    unsafe {
        let result = sys::rd_kafka_event_ListOffsets_result(answer.0);
        if result.is_null() {
            return Err(unexpected("log offsets"));
        }
        let mut len = 0;
        let array = sys::rd_kafka_ListOffsets_result_infos(result, &raw mut len);
        let infos = elements(array.cast::<*const sys::rd_kafka_ListOffsetsResultInfo_t>(), len);
        Ok(infos
            .iter()
            .map(|info| {
                partition_offset(&*sys::rd_kafka_ListOffsetsResultInfo_topic_partition(*info))
            })
            .collect())
    }
}

pub(super) fn topic_descriptions(
    answer: &Answer,
) -> Result<Vec<(String, Result<TopicDescription, NativeError>)>, NativeError> {
    // SAFETY: as above.
    unsafe {
        let result = sys::rd_kafka_event_DescribeTopics_result(answer.0);
        if result.is_null() {
            return Err(unexpected("topics"));
        }
        let mut len = 0;
        let array = sys::rd_kafka_DescribeTopics_result_topics(result, &raw mut len);
        let topics = elements(array, len).iter();
        Ok(topics
            .map(|topic| {
                let name = text(sys::rd_kafka_TopicDescription_name(*topic));
                (name, topic_description(*topic))
            })
            .collect())
    }
}

/// # Safety
///
/// The topic is live.
unsafe fn topic_description(
    topic: *const sys::rd_kafka_TopicDescription_t,
) -> Result<TopicDescription, NativeError> {
    // SAFETY: as the caller vouches; all it holds belongs to it.
    unsafe {
        if let Some(error) = NativeError::read(sys::rd_kafka_TopicDescription_error(topic)) {
            return Err(error);
        }
        let mut partitions = 0;
        sys::rd_kafka_TopicDescription_partitions(topic, &raw mut partitions);
        let id = sys::rd_kafka_TopicDescription_topic_id(topic);
        if id.is_null() {
            return Err(unexpected("topic id"));
        }
        let most = sys::rd_kafka_Uuid_most_significant_bits(id);
        let least = sys::rd_kafka_Uuid_least_significant_bits(id);
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&most.to_be_bytes());
        bytes[8..].copy_from_slice(&least.to_be_bytes());
        let partitions = i32::try_from(partitions).unwrap_or(i32::MAX);
        Ok(TopicDescription { id: bytes, partitions })
    }
}
