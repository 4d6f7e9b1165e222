//! Decoders of mapping records, in the two formats that replicators publish (`docs/protocol.md`,
//! "Mapping records"). Nothing that a mapping topic may hold makes them panic.

pub mod mirrormaker2;
pub mod native;
mod primitives;
pub mod replication_policy;
mod skip;

use crate::core::mapping::MappingRecord;
use replication_policy::ReplicationPolicy;

pub use skip::{Skip, SkipCounter, SkipKind};

/// What a mapping topic is written in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// Sprag's open format.
    Native,
    /// MirrorMaker 2's offset syncs; the policy tells the target topic of a source topic.
    MirrorMaker2(ReplicationPolicy),
}

/// Decodes the records of one mapping topic.
#[derive(Clone, Debug)]
pub enum Decoder {
    /// See [`Format::Native`].
    Native,
    /// See [`Format::MirrorMaker2`].
    MirrorMaker2(mirrormaker2::SyncDecoder),
}

impl Decoder {
    /// A decoder of this format.
    #[must_use]
    pub fn new(format: Format) -> Self {
        match format {
            Format::Native => Self::Native,
            Format::MirrorMaker2(policy) => {
                Self::MirrorMaker2(mirrormaker2::SyncDecoder::new(policy))
            }
        }
    }

    /// The record that key and value make; `None` is a null.
    ///
    /// # Errors
    ///
    /// Why it is skipped. It is never taken for another record.
    pub fn decode(
        &mut self,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
    ) -> Result<MappingRecord, Skip> {
        match self {
            Self::Native => native::decode(key, value).map(MappingRecord::Chunk),
            Self::MirrorMaker2(decoder) => decoder.decode(key, value).map(MappingRecord::Sync),
        }
    }
}
