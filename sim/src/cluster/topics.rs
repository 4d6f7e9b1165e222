//! The topics of a cluster.

use std::collections::{BTreeMap, BTreeSet};

use sprag_core::ids::{ClusterId, TopicId, TopicName};
use sprag_core::murmur2::murmur2;

use super::log::Log;
use crate::wire::{Error, Isolation, NewRecord, Partition, Response};

/// Topics by name.
#[derive(Clone, Debug)]
pub struct Topics {
    cluster: [u8; 4],
    made: u32,
    known: BTreeMap<TopicName, Topic>,
}

#[derive(Clone, Debug)]
struct Topic {
    id: TopicId,
    logs: Vec<Log>,
}

impl Topics {
    /// No topics yet.
    #[must_use]
    pub fn of(cluster: &ClusterId) -> Self {
        let cluster = murmur2(cluster.as_str().as_bytes()).to_be_bytes();
        Self { cluster, made: 0, known: BTreeMap::new() }
    }

    /// Creates a topic with an id that no other topic has had.
    ///
    /// # Errors
    ///
    /// If a topic with that name exists.
    pub fn create(&mut self, name: &TopicName, partitions: i32) -> Result<TopicId, Error> {
        if self.known.contains_key(name) {
            return Err(Error::TopicAlreadyExists);
        }
        self.made += 1;
        let mut id = [0; 16];
        id[..4].copy_from_slice(&self.cluster);
        id[12..].copy_from_slice(&self.made.to_be_bytes());
        let logs = (0..partitions).map(|_| Log::default()).collect();
        self.known.insert(name.clone(), Topic { id: TopicId(id), logs });
        Ok(TopicId(id))
    }

    /// Deletes a topic. Returns false if it does not exist.
    pub fn delete(&mut self, name: &TopicName) -> bool {
        self.known.remove(name).is_some()
    }

    /// Ids and partition counts.
    #[must_use]
    pub fn describe(
        &self,
        names: BTreeSet<TopicName>,
    ) -> BTreeMap<TopicName, Result<(TopicId, i32), Error>> {
        let describe = |name: &TopicName| match self.known.get(name) {
            Some(topic) => Ok((topic.id, topic.logs.len() as i32)),
            None => Err(Error::UnknownTopicOrPartition),
        };
        names.into_iter().map(|name| (name.clone(), describe(&name))).collect()
    }

    /// Log start and log end offsets.
    #[must_use]
    pub fn ends(
        &self,
        at: BTreeSet<Partition>,
        isolation: Isolation,
    ) -> BTreeMap<Partition, Result<(i64, i64), Error>> {
        let range = |at: &Partition| {
            let log = self.log(at).ok_or(Error::UnknownTopicOrPartition)?;
            Ok((log.start(), log.end_for(isolation)))
        };
        at.into_iter().map(|at| (at.clone(), range(&at))).collect()
    }

    /// The partitions of a topic.
    #[must_use]
    pub fn partitions(&self, name: &TopicName) -> BTreeSet<Partition> {
        let count = self.known.get(name).map_or(0, |topic| topic.logs.len());
        let at = |partition: usize| Partition { topic: name.clone(), partition: partition as i32 };
        (0..count).map(at).collect()
    }

    /// A topic's id.
    #[must_use]
    pub fn id(&self, name: &TopicName) -> Option<TopicId> {
        self.known.get(name).map(|topic| topic.id)
    }

    /// The log of one partition.
    #[must_use]
    pub fn log(&self, at: &Partition) -> Option<&Log> {
        self.known.get(&at.topic)?.logs.get(usize::try_from(at.partition).ok()?)
    }

    /// Appends records. Returns the topic's id and the first offset.
    ///
    /// # Errors
    ///
    /// If the partition does not exist.
    pub fn append(
        &mut self,
        at: &Partition,
        records: Vec<NewRecord>,
        producer: Option<i64>,
    ) -> Result<(TopicId, i64), Error> {
        let topic = self.known.get_mut(&at.topic).ok_or(Error::UnknownTopicOrPartition)?;
        let index = usize::try_from(at.partition).unwrap_or(usize::MAX);
        let log = topic.logs.get_mut(index).ok_or(Error::UnknownTopicOrPartition)?;
        Ok((topic.id, log.append(records, producer)))
    }

    /// Reads records.
    #[must_use]
    pub fn fetch(
        &self,
        at: &Partition,
        offset: i64,
        isolation: Isolation,
        most: usize,
    ) -> Response {
        let Some(log) = self.log(at) else {
            return Response::Failed(Error::UnknownTopicOrPartition);
        };
        match log.read(offset, isolation, most) {
            Ok((records, position)) => {
                Response::Fetched { records, position, end: log.end_for(isolation) }
            }
            Err(error) => Response::Failed(error),
        }
    }

    /// Deletes the oldest records. Returns the new log start offset.
    ///
    /// # Errors
    ///
    /// If the partition does not exist.
    pub fn trim(&mut self, at: &Partition, before: i64) -> Result<i64, Error> {
        let log = self.log_mut(at).ok_or(Error::UnknownTopicOrPartition)?;
        log.trim(before);
        Ok(log.start())
    }

    /// Keeps only the newest record of each key.
    pub fn compact(&mut self, name: &TopicName) {
        if let Some(topic) = self.known.get_mut(name) {
            topic.logs.iter_mut().for_each(Log::compact);
        }
    }

    /// Ends a producer's transaction in one partition.
    pub fn end_transaction(&mut self, at: &Partition, producer: i64, commit: bool) {
        if let Some(log) = self.log_mut(at) {
            log.end_transaction(producer, commit);
        }
    }

    fn log_mut(&mut self, at: &Partition) -> Option<&mut Log> {
        self.known.get_mut(&at.topic)?.logs.get_mut(usize::try_from(at.partition).ok()?)
    }
}
