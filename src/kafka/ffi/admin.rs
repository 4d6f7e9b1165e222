//! Admin requests, many at a time on one client.
//!
//! The client is a *consumer* that never subscribes. On a producer, `ListConsumerGroupOffsets` dereferences a
//! null pointer after the coordinator has moved (librdkafka issue 5040).

mod configs;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CString;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::ConsumerContext;
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::TopicPartitionListElem;
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{ClientConfig, TopicPartitionList};
use rdkafka_sys as sys;
use sys::rd_kafka_IsolationLevel_t as Level;
use sys::rd_kafka_admin_op_t as Op;

pub use self::configs::ConfigOf;
use super::NativeError;
use super::answers::{self, left_out};
pub use super::answers::{
    GroupDescription, GroupKind, GroupListing, GroupListings, GroupState, PartitionOffset,
};
use super::connections::Connections;
pub use super::group_list::AnyGroup;
use super::new_topic::NativeNewTopic;
pub use super::new_topic::NewTopic;
use super::requests::{Requests, c_string};
use super::topic_answers;
pub use super::topic_answers::TopicDescription;

const TURN: Duration = Duration::from_millis(200);

/// An admin client, with its reply queue and the thread that serves it.
pub struct Admin<C: ConsumerContext + 'static> {
    requests: Arc<Requests<C>>,
}

impl<C: ConsumerContext + 'static> Drop for Admin<C> {
    fn drop(&mut self) {
        // Requests in flight are still answered.
        self.requests.close();
    }
}

/// Which offset [`Admin::list_offsets`] asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffsetSpec {
    /// The log start offset.
    Earliest,
    /// The log end offset: the high watermark, or the last stable offset under `read_committed`.
    Latest,
}

/// Which records count for the log end offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// All records.
    ReadUncommitted,
    /// The records before the first open transaction.
    ReadCommitted,
}

impl<C: ConsumerContext + 'static> Admin<C> {
    /// An admin client with this configuration, which must have a `group.id`.
    ///
    /// # Errors
    ///
    /// If librdkafka refuses the configuration.
    pub fn new(config: &ClientConfig, context: C) -> Result<Self, KafkaError> {
        Ok(Self { requests: Requests::start(config, context)? })
    }

    /// The client's connections.
    #[must_use]
    pub fn connections(&self) -> &Connections {
        self.requests.connections()
    }

    /// The native client.
    #[cfg(test)]
    pub(super) fn native(&self) -> *mut sys::rd_kafka_t {
        self.requests.native()
    }

    /// All consumer groups, except those of brokers that do not answer within `timeout`.
    ///
    /// # Errors
    ///
    /// If the request as a whole fails.
    pub async fn list_groups(&self, timeout: Duration) -> Result<GroupListings, NativeError> {
        let options =
            self.requests.options_that_end(Op::RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPS, timeout)?;
        let answer = self.requests.ask(options, |rk, options, queue| {
            // SAFETY: all three are live; the request copies the options.
            unsafe { sys::rd_kafka_ListConsumerGroups(rk, options, queue) }
        });
        answers::group_listings(&answer.await?)
    }

    /// The state and the number of members of one group, according to the broker `at`; librdkafka looks up
    /// the coordinator if `at` is `None`.
    ///
    /// # Errors
    ///
    /// The error of the request or of the group.
    pub async fn describe_group(
        &self,
        group: &str,
        at: Option<i32>,
        timeout: Duration,
    ) -> Result<GroupDescription, NativeError> {
        let group = c_string(group)?;
        let options = self.requests.options_of_group(
            Op::RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS,
            at,
            timeout,
        )?;
        let answer = self.requests.ask(options, |rk, options, queue| {
            let mut names = [group.as_ptr()];
            // SAFETY: the name outlives the call, which copies it.
            unsafe {
                sys::rd_kafka_DescribeConsumerGroups(rk, names.as_mut_ptr(), 1, options, queue);
            }
        });
        answers::group_description(&answer.await?)
    }

    /// The committed offsets of a group: of `partitions`, or of all partitions for which it has one. The
    /// request goes to the broker `at`; librdkafka looks up the coordinator if `at` is `None`.
    ///
    /// # Errors
    ///
    /// The error of the request or of the group. A partition's error is in the answer. A named partition that
    /// the broker leaves out has an error too.
    pub async fn group_offsets(
        &self,
        group: &str,
        at: Option<i32>,
        partitions: Option<&TopicPartitionList>,
        stable: bool,
        timeout: Duration,
    ) -> Result<Vec<PartitionOffset>, NativeError> {
        let group = c_string(group)?;
        let options = self.requests.options_of_group(
            Op::RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS,
            at,
            timeout,
        )?;
        options.require_stable(stable)?;
        let answer = self.requests.ask(options, |rk, options, queue| {
            let list = partitions.map_or(std::ptr::null(), |list| list.ptr().cast_const());
            // SAFETY: name and list outlive the call; the request is freed after it, once.
            unsafe {
                let mut request = sys::rd_kafka_ListConsumerGroupOffsets_new(group.as_ptr(), list);
                sys::rd_kafka_ListConsumerGroupOffsets(rk, &raw mut request, 1, options, queue);
                sys::rd_kafka_ListConsumerGroupOffsets_destroy(request);
            }
        });
        let listed = answers::listed_offsets(&answer.await?)?;
        Ok(match partitions {
            Some(asked) => complete(listed, asked),
            None => listed,
        })
    }

    /// Commits offsets of a group without a transaction and not as a member (its generation is -1). The
    /// request goes to the broker `at`; librdkafka looks up the coordinator if `at` is `None`.
    ///
    /// # Errors
    ///
    /// The error of the request or of the group. A partition's error is in the answer.
    pub async fn alter_group_offsets(
        &self,
        group: &str,
        at: Option<i32>,
        offsets: &TopicPartitionList,
        timeout: Duration,
    ) -> Result<Vec<PartitionOffset>, NativeError> {
        let group = c_string(group)?;
        let options = self.requests.options_of_group(
            Op::RD_KAFKA_ADMIN_OP_ALTERCONSUMERGROUPOFFSETS,
            at,
            timeout,
        )?;
        let answer = self.requests.ask(options, |rk, options, queue| {
            // SAFETY: name and list outlive the call; the request is freed after it, once.
            unsafe {
                let mut request =
                    sys::rd_kafka_AlterConsumerGroupOffsets_new(group.as_ptr(), offsets.ptr());
                sys::rd_kafka_AlterConsumerGroupOffsets(rk, &raw mut request, 1, options, queue);
                sys::rd_kafka_AlterConsumerGroupOffsets_destroy(request);
            }
        });
        answers::altered_offsets(&answer.await?)
    }

    /// The log start or log end offsets of partitions.
    ///
    /// # Errors
    ///
    /// The error of the request. A partition's error is in the answer.
    pub async fn list_offsets(
        &self,
        partitions: impl Iterator<Item = (&str, i32)>,
        spec: OffsetSpec,
        isolation: Isolation,
        timeout: Duration,
    ) -> Result<Vec<PartitionOffset>, NativeError> {
        let spec = match spec {
            OffsetSpec::Earliest => sys::rd_kafka_OffsetSpec_t::RD_KAFKA_OFFSET_SPEC_EARLIEST,
            OffsetSpec::Latest => sys::rd_kafka_OffsetSpec_t::RD_KAFKA_OFFSET_SPEC_LATEST,
        };
        let level = match isolation {
            Isolation::ReadUncommitted => Level::RD_KAFKA_ISOLATION_LEVEL_READ_UNCOMMITTED,
            Isolation::ReadCommitted => Level::RD_KAFKA_ISOLATION_LEVEL_READ_COMMITTED,
        };
        let mut list = TopicPartitionList::new();
        for (topic, partition) in partitions {
            let mut element = list.add_partition(topic, partition);
            // The native request takes the spec from the offset field. As logical offsets, these numbers have
            // the same meaning.
            let offset = rdkafka::Offset::from_raw(spec as i64);
            element.set_offset(offset).map_err(|error| {
                NativeError::new(RDKafkaErrorCode::InvalidArgument, error.to_string())
            })?;
        }
        if list.count() == 0 {
            return Ok(Vec::new());
        }
        let options = self.requests.options_that_end(Op::RD_KAFKA_ADMIN_OP_LISTOFFSETS, timeout)?;
        options.isolation(level)?;
        let answer = self.requests.ask(options, |rk, options, queue| {
            // SAFETY: the list outlives the call, which copies it.
            unsafe { sys::rd_kafka_ListOffsets(rk, list.ptr(), options, queue) }
        });
        match answer.await {
            Ok(answer) => Ok(complete(topic_answers::log_offsets(&answer)?, &list)),
            // librdkafka reports one error for the whole request if none of the partitions exists or has a
            // leader.
            Err(error) if error.code == RDKafkaErrorCode::NoEnt => Ok(all_failed(&error, &list)),
            Err(error) => Err(error),
        }
    }

    /// Describes topics according to the broker `at`; according to the broker that librdkafka believes to be
    /// the controller if `at` is `None`. Each topic can fail by itself.
    ///
    /// # Errors
    ///
    /// The error of the request.
    pub async fn describe_topics(
        &self,
        topics: impl Iterator<Item = &str>,
        at: Option<i32>,
        timeout: Duration,
    ) -> Result<Vec<(String, Result<TopicDescription, NativeError>)>, NativeError> {
        let names: Vec<CString> = topics.map(c_string).collect::<Result<_, _>>()?;
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let op = Op::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS;
        let options = match at {
            Some(broker) => self.requests.options_at(op, broker, timeout)?,
            None => self.requests.options_that_end(op, timeout)?,
        };
        let answer = self.requests.ask(options, |rk, options, queue| {
            let mut pointers: Vec<_> = names.iter().map(|name| name.as_ptr()).collect();
            // SAFETY: the names outlive the call; the collection is freed after it, once.
            unsafe {
                let collection = sys::rd_kafka_TopicCollection_of_topic_names(
                    pointers.as_mut_ptr(),
                    pointers.len(),
                );
                sys::rd_kafka_DescribeTopics(rk, collection, options, queue);
                sys::rd_kafka_TopicCollection_destroy(collection);
            }
        });
        let mut described = topic_answers::descriptions(&answer.await?)?;
        let included: BTreeSet<String> = described.iter().map(|(name, _)| name.clone()).collect();
        for name in names.iter().map(|name| name.to_string_lossy()) {
            if !included.contains(name.as_ref()) {
                described.push((name.to_string(), Err(left_out(&name))));
            }
        }
        Ok(described)
    }

    /// Creates a topic.
    ///
    /// # Errors
    ///
    /// The error of the request, or of the topic with the broker's own message.
    pub async fn create_topic(
        &self,
        topic: &NewTopic<'_>,
        timeout: Duration,
    ) -> Result<(), NativeError> {
        let native = NativeNewTopic::of(topic)?;
        let options = self.requests.options(Op::RD_KAFKA_ADMIN_OP_CREATETOPICS, timeout)?;
        let answer = self.requests.ask(options, |rk, options, queue| {
            let mut topics = [native.ptr()];
            // SAFETY: the topic outlives the call, which copies it.
            unsafe {
                sys::rd_kafka_CreateTopics(rk, topics.as_mut_ptr(), 1, options, queue);
            }
        });
        topic_answers::created(&answer.await?)
    }

    /// The groups of every protocol type, of the brokers that answer. A group that is not in the list may
    /// exist all the same. If one broker cannot be reached, this takes the whole `timeout`, and the process
    /// cannot end before that.
    ///
    /// # Errors
    ///
    /// If no broker answered, or if the last one failed.
    #[expect(clippy::disallowed_methods, reason = "librdkafka has no asynchronous call for it")]
    pub async fn list_all_groups(&self, timeout: Duration) -> Result<Vec<AnyGroup>, NativeError> {
        let requests = Arc::clone(&self.requests);
        let asked = tokio::task::spawn_blocking(move || requests.list_all_groups(timeout));
        let gone = |_| NativeError::new(RDKafkaErrorCode::BrokerDestroy, "the process is ending");
        asked.await.map_err(gone)?
    }

    /// The cluster id; `None` if no broker answered within `timeout`. It waits in short turns, because a turn
    /// that has begun keeps the process from ending.
    #[expect(clippy::disallowed_methods, reason = "librdkafka has no asynchronous call for it")]
    pub async fn cluster_id(&self, timeout: Duration) -> Option<String> {
        let turns = timeout.as_millis().div_ceil(TURN.as_millis());
        for _ in 0..turns {
            let requests = Arc::clone(&self.requests);
            let asked = tokio::task::spawn_blocking(move || requests.cluster_id(TURN));
            if let Some(id) = asked.await.ok().flatten() {
                return Some(id);
            }
        }
        None
    }
}

/// Adds an error for each partition that was asked for and is not in the answer: the broker has not said that
/// it has no offset.
fn complete(mut answer: Vec<PartitionOffset>, asked: &TopicPartitionList) -> Vec<PartitionOffset> {
    let mut included: BTreeMap<&str, BTreeSet<i32>> = BTreeMap::new();
    for part in &answer {
        included.entry(&part.topic).or_default().insert(part.partition);
    }
    let missing: Vec<_> = asked
        .elements()
        .iter()
        .map(|part| (part.topic().to_owned(), part.partition()))
        .filter(|(topic, at)| !included.get(topic.as_str()).is_some_and(|parts| parts.contains(at)))
        .collect();
    answer.extend(missing.into_iter().map(|(topic, partition)| PartitionOffset {
        outcome: Err(left_out(&format!("{topic}-{partition}"))),
        topic,
        partition,
    }));
    answer
}

fn all_failed(error: &NativeError, asked: &TopicPartitionList) -> Vec<PartitionOffset> {
    let failed = |part: &TopicPartitionListElem<'_>| PartitionOffset {
        topic: part.topic().to_owned(),
        partition: part.partition(),
        outcome: Err(error.clone()),
    };
    asked.elements().iter().map(failed).collect()
}
