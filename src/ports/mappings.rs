//! Reading the mapping topic.

use std::collections::BTreeSet;

use sprag_core::event::{Event, MappingEnds};
use sprag_core::failure::Failure;
use sprag_core::ids::{MappingPartition, TopicId};

/// The reader of the mapping topic.
pub trait Mappings {
    /// Reads this topic from the start of all its partitions, and abandons any read in progress.
    fn read(&self, topic: TopicId, partitions: i32);

    /// The next [`Event::MappingsRead`] or [`Event::MappingReadFailed`].
    fn next(&self) -> impl Future<Output = Event>;

    /// Reads the log end offsets with fresh metadata, under the reader's isolation level. The topic had
    /// the id in the answer both before and after they were read.
    fn ends(
        &self,
        partitions: &BTreeSet<MappingPartition>,
    ) -> impl Future<Output = Result<MappingEnds, Failure>>;
}
