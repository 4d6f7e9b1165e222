//! Newtypes for names, numbers and positions, so that a source offset is never used as a target offset,
//! nor a shard as a partition. `Display` is for logs and errors; `Debug` prints the same.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use super::murmur2::murmur2;

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(name: &str) -> Self {
                Self(name.into())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

macro_rules! number_id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $inner);

        impl $name {
            /// The number itself.
            #[must_use]
            pub const fn get(self) -> $inner {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

macro_rules! short_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u32);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:08x}", self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

text_id!(/** A consumer group's id; the same on source and target. */ GroupId);
text_id!(/** A topic's name on either cluster. */ TopicName);
text_id!(/** A cluster's id, as the broker reports it (22 base64 characters on KRaft). */ ClusterId);
text_id!(/** The name of the publisher of a native mapping chunk. */ PublisherId);

number_id!(/** An offset of a source topic-partition: a record's, or the next to read. */ SourceOffset(i64));
number_id!(/** An offset of a target topic-partition: a record's, or the next to read. */ TargetOffset(i64));
number_id!(/** A partition of the mapping topic. */ MappingPartition(i32));
number_id!(/** An offset in a mapping partition. As an *as-of*: everything below it has been applied. */ MappingOffset(i64));
number_id!(/** A slice of the groups; equal to the index of its partition of the fence topic. */ Shard(u32));
number_id!(/** The number of shards, at least 1: the partition count of the fence topic. */ ShardCount(u32));
number_id!(/** A broker's node id. */ BrokerId(i32));
number_id!(/** The offset of a take-over record in its fence partition. One per ownership; it only grows. */ Fence(i64));

short_id!(/** Hash of (pipeline name, source cluster id, target cluster id). */ PipelineId);
short_id!(/** Hash of (source topic id, target topic id): changes when either topic is recreated. */ Incarnation);
short_id!(/** Hash of the fence topic's id. */ FenceTopicTag);
short_id!(/** Hash of the mapping topic's id. */ MappingTopicTag);

/// A topic's id (KIP-516): 16 bytes that change when the topic is deleted and recreated.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicId(pub [u8; 16]);

impl fmt::Display for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for TopicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

macro_rules! topic_partition {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name {
            /// The topic's name.
            pub topic: TopicName,
            /// The partition's index, at least 0.
            pub partition: i32,
        }

        impl $name {
            /// Partition `partition` of `topic`.
            #[must_use]
            pub fn new(topic: impl Into<TopicName>, partition: i32) -> Self {
                Self { topic: topic.into(), partition }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}-{}", self.topic, self.partition)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

topic_partition!(/** A topic-partition of the source cluster. */ SourcePartition);
topic_partition!(/** A topic-partition of the target cluster. */ TargetPartition);

impl PipelineId {
    /// The id of the pipeline `name` from `source` to `target`.
    #[must_use]
    pub fn of(name: &str, source: &ClusterId, target: &ClusterId) -> Self {
        Self(hash_parts(&[name.as_bytes(), source.as_str().as_bytes(), target.as_str().as_bytes()]))
    }
}

impl Incarnation {
    /// The incarnation of a pair of topics.
    #[must_use]
    pub fn of(source: TopicId, target: TopicId) -> Self {
        Self(hash_parts(&[&source.0, &target.0]))
    }
}

impl FenceTopicTag {
    /// The tag of the fence topic with this id.
    #[must_use]
    pub fn of(id: TopicId) -> Self {
        Self(hash_parts(&[&id.0]))
    }
}

impl MappingTopicTag {
    /// The tag of the mapping topic with this id.
    #[must_use]
    pub fn of(id: TopicId) -> Self {
        Self(hash_parts(&[&id.0]))
    }
}

impl Shard {
    /// The shard that `group` belongs to: `murmur2(group)`, sign bit cleared, `mod shards`.
    #[must_use]
    pub fn of(group: &GroupId, shards: ShardCount) -> Self {
        let hash = murmur2(group.as_str().as_bytes()) & 0x7fff_ffff;
        Self(hash % shards.0.max(1))
    }
}

/// Hashes several byte strings. Each is preceded by its length, so that different splits of the same bytes
/// have different hashes.
fn hash_parts(parts: &[&[u8]]) -> u32 {
    let mut bytes = Vec::new();
    for part in parts {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    murmur2(&bytes)
}
