//! MirrorMaker 2's offset syncs (`org.apache.kafka.connect.mirror.OffsetSync`).
//!
//! Key: topic STRING, partition INT32. Value: upstream offset INT64, downstream offset INT64.
//! Neither has a version; MirrorMaker reads past trailing bytes, and so does this.

use std::collections::BTreeMap;

use super::primitives::Reader;
use super::replication_policy::ReplicationPolicy;
use super::skip::Skip;
use crate::core::ids::{SourceOffset, SourcePartition, TargetOffset, TargetPartition};
use crate::core::mapping::OffsetSync;

/// Keys remembered at the most; a topic with more source partitions is decoded more slowly.
const MOST_KEYS: usize = 100_000;

/// Decodes offset syncs, remembering each key's partitions: millions of syncs share few keys.
#[derive(Clone, Debug)]
pub struct SyncDecoder {
    policy: ReplicationPolicy,
    known: BTreeMap<Box<[u8]>, Result<(SourcePartition, TargetPartition), Skip>>,
}

impl SyncDecoder {
    /// A decoder for a flow that renames by `policy`.
    #[must_use]
    pub fn new(policy: ReplicationPolicy) -> Self {
        Self { policy, known: BTreeMap::new() }
    }

    /// The sync that key and value make.
    ///
    /// # Errors
    ///
    /// Why it is skipped.
    pub fn decode(&mut self, key: Option<&[u8]>, value: Option<&[u8]>) -> Result<OffsetSync, Skip> {
        let key = key.ok_or(Skip::Truncated { field: "key" })?;
        let mut value = Reader::new(value.ok_or(Skip::Tombstone)?);
        let source_offset = SourceOffset(value.offset("upstream offset")?);
        let target_offset = TargetOffset(value.offset("downstream offset")?);
        let (source, target) = match self.known.get(key) {
            Some(known) => known.clone()?,
            None => self.learn(key)?,
        };
        Ok(OffsetSync { source, target, source_offset, target_offset })
    }

    fn learn(&mut self, key: &[u8]) -> Result<(SourcePartition, TargetPartition), Skip> {
        let partitions = self.partitions(key);
        if self.known.len() < MOST_KEYS {
            self.known.insert(key.into(), partitions.clone());
        }
        partitions
    }

    fn partitions(&self, key: &[u8]) -> Result<(SourcePartition, TargetPartition), Skip> {
        let mut key = Reader::new(key);
        let topic = key.string("topic")?;
        let partition = key.partition("partition")?;
        let not_replicated = || Skip::NotReplicated { topic: topic.to_owned() };
        let target = self.policy.target_topic(topic).ok_or_else(not_replicated)?;
        Ok((
            SourcePartition::new(topic, partition),
            TargetPartition::new(target.as_str(), partition),
        ))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        let bytes = (0..text.len()).step_by(2);
        bytes.map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    }

    fn decoder() -> SyncDecoder {
        SyncDecoder::new(ReplicationPolicy::default_policy("main", "dr", "."))
    }

    fn sync(topic: &str, partition: i32, source: i64, target: i64) -> OffsetSync {
        OffsetSync {
            source: SourcePartition::new(topic, partition),
            target: TargetPartition::new(format!("main.{topic}").as_str(), partition),
            source_offset: SourceOffset(source),
            target_offset: TargetOffset(target),
        }
    }

    #[test]
    fn the_vectors_of_kafkas_own_classes() {
        let mut decoder = decoder();
        let key = hex("00066f726465727300000003");
        let value = hex("00000000000003e80000000000000384");
        let expected = Ok(sync("orders", 3, 1000, 900));
        assert_eq!(decoder.decode(Some(&key), Some(&value)), expected);
        assert_eq!(decoder.decode(Some(&key), Some(&value)), expected, "a known key");
        let key = hex("000cd0b7d0b0d0bad0b0d0b7d18b00000000");
        let value = hex("7fffffffffffffff0000000000000000");
        let expected = Ok(sync("заказы", 0, i64::MAX, 0));
        assert_eq!(decoder.decode(Some(&key), Some(&value)), expected);
    }

    #[test]
    fn short_is_skipped_and_longer_is_read_as_mirrormaker_does() {
        let mut decoder = decoder();
        let (key, value) = (hex("00066f726465727300000003"), [0_u8; 17]);
        assert_eq!(decoder.decode(Some(&key), Some(&value)), Ok(sync("orders", 3, 0, 0)));
        for len in 0..16 {
            assert!(decoder.decode(Some(&key), Some(&value[..len])).is_err());
        }
        for len in 0..key.len() {
            assert!(decoder.decode(Some(&key[..len]), Some(&value)).is_err());
        }
        assert_eq!(decoder.decode(Some(&key), None), Err(Skip::Tombstone));
        assert!(decoder.decode(Some(&key), Some(&[0xff; 16])).is_err(), "negative offsets");
        let heartbeats = hex("000a6865617274626561747300000000");
        let skipped = decoder.decode(Some(&heartbeats), Some(&value));
        assert!(matches!(skipped, Ok(_) | Err(Skip::NotReplicated { .. })));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(
            key in prop::collection::vec(any::<u8>(), 0..40),
            value in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let _ = decoder().decode(Some(&key), Some(&value));
        }
    }
}
