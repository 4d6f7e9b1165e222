//! Decoders of mapping records, in the two formats that replicators publish (`docs/protocol.md`,
//! "Mapping records"). No content of a mapping topic makes them panic. A record that is short, foreign or
//! impossible is never taken for a valid one: it becomes a [`Skip`], which gives the reason.

#![cfg_attr(not(test), no_std)]

#[macro_use]
extern crate alloc;

pub mod internal_topics;
pub mod mirrormaker2;
pub mod native;
mod primitives;
pub mod replication_policy;
mod skip;

use alloc::boxed::Box;

use replication_policy::ReplicationPolicy;
use sprag_core::mapping::MappingRecord;

pub use skip::{Flaw, Skip, SkipCounter, SkipKind, Skipped};

/// The format of a mapping topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// Sprag's open format.
    Native,
    /// MirrorMaker 2's offset syncs. The policy maps each source topic to its target topic.
    MirrorMaker2(ReplicationPolicy),
}

/// Decodes the records of one mapping topic. The result depends on the record alone. State kept between
/// records only saves work.
#[derive(Clone, Debug)]
pub struct Decoder {
    format: FormatDecoder,
}

#[derive(Clone, Debug)]
enum FormatDecoder {
    Native,
    MirrorMaker2(Box<mirrormaker2::SyncDecoder>),
}

impl Decoder {
    /// Creates a decoder for this format.
    #[must_use]
    pub fn new(format: Format) -> Self {
        let format = match format {
            Format::Native => FormatDecoder::Native,
            Format::MirrorMaker2(policy) => {
                FormatDecoder::MirrorMaker2(Box::new(mirrormaker2::SyncDecoder::new(policy)))
            }
        };
        Self { format }
    }

    /// Decodes the record with this key and value. `None` is a null.
    ///
    /// # Errors
    ///
    /// The reason why the record must be skipped.
    pub fn decode(
        &mut self,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
    ) -> Result<MappingRecord, Skip> {
        match &mut self.format {
            FormatDecoder::Native => native::decode(key, value).map(MappingRecord::Chunk),
            FormatDecoder::MirrorMaker2(decoder) => {
                decoder.decode(key, value).map(MappingRecord::Sync)
            }
        }
    }
}

#[cfg(test)]
mod tests;
