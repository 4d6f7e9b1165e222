//! Where the mapping topic ended.

use std::collections::BTreeMap;

use sprag_core::ids::{TopicId, TopicName};

use crate::cluster::Cluster;
use crate::wire::Isolation;

/// The end of the mapping topic at some time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MappingEnds {
    /// The topic's id, if it exists.
    pub topic: Option<TopicId>,
    /// Last stable offset of each partition.
    pub ends: BTreeMap<i32, i64>,
}

impl MappingEnds {
    /// The end of this mapping topic now.
    #[must_use]
    pub fn of(cluster: &Cluster, topic: &TopicName) -> Self {
        let ends = cluster.topics().partitions(topic).into_iter().filter_map(|at| {
            let end = cluster.topics().log(&at)?.end_for(Isolation::ReadCommitted);
            Some((at.partition, end))
        });
        Self { topic: cluster.topics().id(topic), ends: ends.collect() }
    }
}
