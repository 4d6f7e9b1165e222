//! MirrorMaker 2's offset syncs (`org.apache.kafka.connect.mirror.OffsetSync`; `docs/protocol.md`,
//! "Mapping records").
//!
//! Key: topic STRING, partition INT32. Value: upstream offset INT64, downstream offset INT64.
//! Neither has a version. Trailing bytes are ignored, as MirrorMaker ignores them.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::primitives::Reader;
use super::replication_policy::ReplicationPolicy;
use super::skip::Skip;
use sprag_core::ids::{SourceOffset, SourcePartition, TargetOffset, TargetPartition, TopicName};
use sprag_core::mapping::OffsetSync;

/// The maximum number of keys in the cache. Keys beyond it are decoded each time, which is slower.
const MOST_KEYS: usize = 100_000;
/// The longest key in the cache, in bytes. The key of a topic with the longest legal name is shorter.
const LONGEST_KEY: usize = 256;

/// The partitions that a key names.
type Partitions = Result<(SourcePartition, TargetPartition), Skip>;

/// Decodes offset syncs. It caches the partitions of each key, because millions of syncs share few keys.
/// A sync whose key is cached costs no allocation.
#[derive(Clone, Debug)]
pub struct SyncDecoder {
    policy: ReplicationPolicy,
    known: BTreeMap<Box<[u8]>, Partitions>,
    most_keys: usize,
    /// The partitions of the previous key, which is often the next key too.
    last: Option<Partitions>,
    last_key: Vec<u8>,
}

impl SyncDecoder {
    /// Creates a decoder for a flow that names topics by `policy`.
    #[must_use]
    pub fn new(policy: ReplicationPolicy) -> Self {
        Self::remembering(policy, MOST_KEYS)
    }

    fn remembering(policy: ReplicationPolicy, most_keys: usize) -> Self {
        Self { policy, known: BTreeMap::new(), most_keys, last: None, last_key: Vec::new() }
    }

    /// Decodes the sync with this key and value.
    ///
    /// # Errors
    ///
    /// The reason why the record must be skipped.
    pub fn decode(&mut self, key: Option<&[u8]>, value: Option<&[u8]>) -> Result<OffsetSync, Skip> {
        let mut value = Reader::new(value.ok_or(Skip::Tombstone)?);
        let source_offset = SourceOffset(value.offset("upstream offset")?);
        let target_offset = TargetOffset(value.offset("downstream offset")?);
        let (source, target) = self.partitions(key.unwrap_or_default())?;
        Ok(OffsetSync { source, target, source_offset, target_offset })
    }

    fn partitions(&mut self, key: &[u8]) -> Partitions {
        if let Some(last) = self.last.as_ref().filter(|_| self.last_key == key) {
            return last.clone();
        }
        let partitions = match self.known.get(key) {
            Some(known) => known.clone(),
            None => self.learn(key),
        };
        self.last_key.clear();
        self.last_key.extend_from_slice(key);
        self.last = Some(partitions.clone());
        partitions
    }

    fn learn(&mut self, key: &[u8]) -> Partitions {
        let partitions = read_key(key, &self.policy);
        if key.len() <= LONGEST_KEY && self.known.len() < self.most_keys {
            self.known.insert(key.into(), partitions.clone());
        }
        partitions
    }
}

fn read_key(key: &[u8], policy: &ReplicationPolicy) -> Partitions {
    let mut key = Reader::new(key);
    let topic = TopicName::from(key.name("topic")?);
    let partition = key.partition("partition")?;
    match policy.target_topic(topic.as_str()) {
        Ok(target) => Ok((
            SourcePartition::new(topic, partition),
            TargetPartition::new(target.as_str(), partition),
        )),
        Err(why) => Err(Skip::NotReplicated { topic, why }),
    }
}

#[cfg(test)]
mod tests;
