//! Reading fence partitions.

use std::collections::BTreeMap;

use sprag_core::failure::Failure;
use sprag_core::ids::{Fence, Shard};

/// The reader of the fence partitions (`docs/protocol.md`, "The fence log").
pub trait FenceReader {
    /// Reads the shard's fence partition with `read_committed`, from `from` to its last stable offset
    /// (KIP-98).
    ///
    /// Fails if the end is not reached in time, if the partition cannot be read, or if its log does not
    /// contain the offset `from`. In the last case a reader must begin again at the log start: the log has
    /// lost records, or is another log.
    fn read(
        &self,
        shard: Shard,
        from: ReadFrom,
    ) -> impl Future<Output = Result<FenceRecords, Failure>>;
}

/// Where a read of a fence partition begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadFrom {
    /// At the log start offset.
    LogStart,
    /// At this offset, such as the end of an earlier read.
    Offset(Fence),
}

/// What a read of a fence partition found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FenceRecords {
    /// Key → (offset, value) of the newest record of each key. The value is `None` if that record is a
    /// tombstone.
    pub newest: BTreeMap<String, (Fence, Option<String>)>,
    /// The offset at which the read ended. The next record, if there is one, is at or after it. Transaction
    /// markers count, so this may be greater than the offset after the last record.
    pub end: Fence,
}
