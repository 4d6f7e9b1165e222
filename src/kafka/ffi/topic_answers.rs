//! Reads admin replies about topics into owned values.

use rdkafka_sys as sys;

use super::answers::{Answer, PartitionOffset, partition_offset, unexpected};
use super::{NativeError, elements, raw, text};

/// A topic, described.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicDescription {
    /// Its id, most significant byte first; all zero if the broker has no topic ids (before 2.8).
    pub id: [u8; 16],
    /// The number of partitions.
    pub partitions: i32,
    /// The node id of each partition's leader; `None` if a partition has no leader at the moment.
    pub leaders: Vec<Option<i32>>,
    /// The number of replicas of each partition; the smallest if they differ.
    pub replicas: i32,
}

impl TopicDescription {
    /// The number of partitions without a leader at the moment.
    #[must_use]
    pub fn leaderless(&self) -> usize {
        self.leaders.iter().filter(|leader| leader.is_none()).count()
    }
}

pub(super) fn log_offsets(answer: &Answer) -> Result<Vec<PartitionOffset>, NativeError> {
    // SAFETY: the result and all that it contains belong to the event, which outlives this function.
    unsafe {
        let result = sys::rd_kafka_event_ListOffsets_result(answer.ptr());
        if result.is_null() {
            return Err(unexpected("log offsets"));
        }
        let mut len = 0;
        let array = sys::rd_kafka_ListOffsets_result_infos(result, &raw mut len);
        let infos = elements(array.cast::<*const sys::rd_kafka_ListOffsetsResultInfo_t>(), len);
        Ok(infos
            .iter()
            .map(|info| {
                partition_offset(sys::rd_kafka_ListOffsetsResultInfo_topic_partition(*info))
            })
            .collect())
    }
}

pub(super) fn descriptions(
    answer: &Answer,
) -> Result<Vec<(String, Result<TopicDescription, NativeError>)>, NativeError> {
    // SAFETY: as above.
    unsafe {
        let result = sys::rd_kafka_event_DescribeTopics_result(answer.ptr());
        if result.is_null() {
            return Err(unexpected("topics"));
        }
        let mut len = 0;
        let array = sys::rd_kafka_DescribeTopics_result_topics(result, &raw mut len);
        let topics = elements(array, len).iter();
        Ok(topics
            .map(|topic| {
                let name = text(sys::rd_kafka_TopicDescription_name(*topic));
                (name, description(*topic))
            })
            .collect())
    }
}

pub(super) fn created(answer: &Answer) -> Result<(), NativeError> {
    // SAFETY: as above; the topic's error message belongs to it and is copied.
    unsafe {
        let result = sys::rd_kafka_event_CreateTopics_result(answer.ptr());
        if result.is_null() {
            return Err(unexpected("created topic"));
        }
        let mut len = 0;
        let array = sys::rd_kafka_CreateTopics_result_topics(result, &raw mut len);
        let topic = *elements(array, len).first().ok_or_else(|| unexpected("created topic"))?;
        match NativeError::of_number(raw::rd_kafka_topic_result_error(topic)) {
            Some(error) => Err(error.saying(sys::rd_kafka_topic_result_error_string(topic))),
            None => Ok(()),
        }
    }
}

/// # Safety
///
/// The topic is live.
unsafe fn description(
    topic: *const sys::rd_kafka_TopicDescription_t,
) -> Result<TopicDescription, NativeError> {
    // SAFETY: guaranteed by the caller; all that the topic contains belongs to it.
    unsafe {
        if let Some(error) = NativeError::read(sys::rd_kafka_TopicDescription_error(topic)) {
            return Err(error);
        }
        let mut len = 0;
        let array = sys::rd_kafka_TopicDescription_partitions(topic, &raw mut len);
        let replicas = elements(array, len)
            .iter()
            .map(|part| {
                let mut replicas = 0;
                sys::rd_kafka_TopicPartitionInfo_replicas(*part, &raw mut replicas);
                replicas
            })
            .min();
        let mut leaders = vec![None; len];
        for part in elements(array, len) {
            let leader = sys::rd_kafka_TopicPartitionInfo_leader(*part);
            let nth = usize::try_from(sys::rd_kafka_TopicPartitionInfo_partition(*part));
            if let Some(slot) = nth.ok().and_then(|nth| leaders.get_mut(nth))
                && !leader.is_null()
            {
                *slot = Some(sys::rd_kafka_Node_id(leader)).filter(|id| *id >= 0);
            }
        }
        let id = sys::rd_kafka_TopicDescription_topic_id(topic);
        if id.is_null() {
            return Err(unexpected("topic id"));
        }
        let most = sys::rd_kafka_Uuid_most_significant_bits(id);
        let least = sys::rd_kafka_Uuid_least_significant_bits(id);
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&most.to_be_bytes());
        bytes[8..].copy_from_slice(&least.to_be_bytes());
        Ok(TopicDescription {
            id: bytes,
            partitions: i32::try_from(len).unwrap_or(i32::MAX),
            leaders,
            replicas: i32::try_from(replicas.unwrap_or_default()).unwrap_or(i32::MAX),
        })
    }
}
