//! Reading what topics are: their ids and their logs' ranges.

use std::collections::BTreeSet;

use sprag_core::event::{ControlTopics, Topics};
use sprag_core::failure::Failure;
use sprag_core::ids::{SourcePartition, TargetPartition, TopicName};

/// Topics on both clusters.
pub trait TopicReader {
    /// The fence topic and the mapping topic.
    fn control(&self) -> impl Future<Output = Result<ControlTopics, Failure>>;

    /// Reads topic ids (KIP-516), log ranges and log end offsets. The answer contains everything that was
    /// requested.
    fn topics(
        &self,
        source: &BTreeSet<TopicName>,
        target: &BTreeSet<TargetPartition>,
        source_ends: &BTreeSet<SourcePartition>,
    ) -> impl Future<Output = Result<Topics, Failure>>;
}
