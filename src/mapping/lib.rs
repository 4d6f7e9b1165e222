//! Decoders of mapping records, in the two formats that replicators publish (`docs/protocol.md`,
//! "Mapping records"). Nothing that a mapping topic may hold makes them panic, and no record that
//! is short, foreign or impossible is taken for another one: it is a [`Skip`], which says why.

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

/// What a mapping topic is written in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// Sprag's open format.
    Native,
    /// MirrorMaker 2's offset syncs; the policy tells the target topic of a source topic.
    MirrorMaker2(ReplicationPolicy),
}

/// Decodes the records of one mapping topic. What it answers depends on the record alone; what it
/// remembers between records only saves work.
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
    /// A decoder of this format.
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
