//! The records of a fence partition (`docs/protocol.md`, "The fence log"): which instance took the shard
//! over, under what terms, and which incarnations of the topics its mappings belong to.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};

use serde::{Deserialize, Serialize};

use super::ids::{
    ClusterId, Fence, MappingOffset, MappingTopicTag, PipelineId, ShardCount, TopicId, TopicName,
};
use super::policy::CommitMode;
use super::stamp::STAMP_VERSION;

const TAKE_OVER: &str = "takeover";
const KEEP_ALIVE: &str = "keepalive";
const INCARNATION: &str = "incarnation:";

/// A record to write to a fence partition. Keys and values are text, so that any tool can show them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FenceRecord {
    /// The compaction key.
    pub key: String,
    /// A JSON object.
    pub value: String,
}

/// The contents of a fence partition, read to its end (`read_committed`): the newest record of each key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct FenceLog {
    /// Key → (offset, value).
    pub newest: BTreeMap<String, (Fence, String)>,
    /// The number of members of the coordination group, including this instance, if known.
    pub members: Option<usize>,
}

/// The terms under which a shard is owned.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TakeOver {
    /// The pipeline's id, eight hexadecimal digits.
    pub pipeline: String,
    /// The pipeline's name.
    pub name: String,
    /// The source cluster's id.
    pub source: String,
    /// The target cluster's id.
    pub target: String,
    /// The number of shards.
    pub shards: u32,
    /// The version of the stamps that this owner writes.
    pub stamp: u32,
    /// The commit mode of this owner: `fenced` or `guarded`.
    pub mode: String,
}

/// The incarnation of a pair of topics, and the offset syncs that belong to it. It is kept because offset
/// syncs carry no topic ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IncarnationFloor {
    /// The source topic's id.
    pub source: TopicId,
    /// The target topic's id.
    pub target: TopicId,
    /// The mapping topic that `floor` counts in.
    pub mapping_topic: MappingTopicTag,
    /// Syncs below this as-of belong to an earlier incarnation.
    pub floor: MappingOffset,
    /// All replays that began below this as-of are over.
    pub settled: MappingOffset,
}

#[derive(Serialize, Deserialize)]
struct FloorJson {
    source: String,
    target: String,
    mapping: String,
    floor: i64,
    #[serde(default)]
    settled: i64,
}

impl TakeOver {
    /// The terms of an owner with this build.
    #[must_use]
    pub fn terms(
        pipeline: PipelineId,
        name: &str,
        source: &ClusterId,
        target: &ClusterId,
        shards: ShardCount,
        mode: CommitMode,
    ) -> Self {
        Self {
            pipeline: pipeline.to_string(),
            name: name.to_owned(),
            source: source.to_string(),
            target: target.to_string(),
            shards: shards.get(),
            stamp: STAMP_VERSION,
            mode: mode_name(mode).to_owned(),
        }
    }

    /// The record that takes a shard over under these terms.
    #[must_use]
    pub fn record(&self) -> FenceRecord {
        FenceRecord { key: TAKE_OVER.to_owned(), value: json(self) }
    }

    /// Checks that an owner with these terms may follow the one that wrote `log`.
    ///
    /// # Errors
    ///
    /// A message for the operator, if it may not.
    pub fn may_follow(&self, log: &FenceLog) -> Result<(), String> {
        let Some((offset, value)) = log.newest.get(TAKE_OVER) else {
            return Ok(());
        };
        let before: Self = serde_json::from_str(value).map_err(|error| {
            format!(
                "the take-over record at offset {offset} cannot be read ({error}). Does this fence \
                 topic belong to Sprag? If not, set coordination.fenceTopic to another topic"
            )
        })?;
        self.compare(&before, *offset, log.members)
    }

    fn compare(&self, before: &Self, at: Fence, members: Option<usize>) -> Result<(), String> {
        if before.stamp > self.stamp {
            return Err(format!(
                "the take-over record at offset {at} was written by a newer Sprag (stamp version \
                 {}; this instance writes {}). Upgrade this instance",
                before.stamp, self.stamp
            ));
        }
        for (what, found, expected) in [
            ("source cluster id", &before.source, &self.source),
            ("target cluster id", &before.target, &self.target),
            ("pipeline name", &before.name, &self.name),
            ("pipeline id", &before.pipeline, &self.pipeline),
        ] {
            if found != expected {
                return Err(format!(
                    "the fence topic belongs to another pipeline: its take-over record at offset \
                     {at} has {what} {found:?}, but this instance has {expected:?}. Give each \
                     pipeline its own coordination.fenceTopic"
                ));
            }
        }
        if before.shards != self.shards {
            return Err(format!(
                "the fence topic has {} partitions, but its take-over record at offset {at} was \
                 written for {} shards. With two shard counts, a group would have two owners. Stop all \
                 instances, then set coordination.fenceTopic to a new topic",
                self.shards, before.shards
            ));
        }
        if before.mode != self.mode && members != Some(1) {
            return Err(format!(
                "the take-over record at offset {at} has commit mode {}, but this configuration has \
                 {}. The two modes must not run at the same time. Stop all other instances (the \
                 coordination group has {} members) before you change groups.commitMode",
                before.mode,
                self.mode,
                members.map_or("an unknown number of".to_owned(), |count| count.to_string())
            ));
        }
        Ok(())
    }
}

impl IncarnationFloor {
    /// Whether this is the floor of topics with these ids.
    #[must_use]
    pub fn is_of(&self, source: TopicId, target: TopicId) -> bool {
        self.source == source && self.target == target
    }

    /// The record that keeps this floor for a pair of topics.
    #[must_use]
    pub fn record(&self, source: &TopicName, target: &TopicName) -> FenceRecord {
        let value = FloorJson {
            source: self.source.to_string(),
            target: self.target.to_string(),
            mapping: self.mapping_topic.to_string(),
            floor: self.floor.get(),
            settled: self.settled.get(),
        };
        FenceRecord { key: floor_key(source, target), value: json(&value) }
    }
}

impl FenceLog {
    /// Whether any instance has ever taken the shard over.
    #[must_use]
    pub fn has_take_over(&self) -> bool {
        self.newest.contains_key(TAKE_OVER)
    }

    /// The floors by (source topic, target topic). A record that cannot be read is left out; its pair of
    /// topics then counts as seen for the first time.
    #[must_use]
    pub fn floors(&self) -> BTreeMap<(TopicName, TopicName), IncarnationFloor> {
        let parse = |key: &str, value: &str| {
            let (source, target) = key.strip_prefix(INCARNATION)?.split_once(' ')?;
            let json: FloorJson = serde_json::from_str(value).ok()?;
            let floor = IncarnationFloor {
                source: topic_id(&json.source)?,
                target: topic_id(&json.target)?,
                mapping_topic: MappingTopicTag(u32::from_str_radix(&json.mapping, 16).ok()?),
                floor: MappingOffset(json.floor),
                settled: MappingOffset(json.settled),
            };
            Some(((TopicName::from(source), TopicName::from(target)), floor))
        };
        self.newest.iter().filter_map(|(key, (_, value))| parse(key, value)).collect()
    }
}

/// The record that keeps the shard's transactional.id from expiring.
#[must_use]
pub fn keep_alive(fence: Fence) -> FenceRecord {
    FenceRecord {
        key: KEEP_ALIVE.to_owned(),
        value: json(&BTreeMap::from([("fence", fence.get())])),
    }
}

fn floor_key(source: &TopicName, target: &TopicName) -> String {
    // A topic's name cannot contain a blank.
    format!("{INCARNATION}{source} {target}")
}

fn mode_name(mode: CommitMode) -> &'static str {
    match mode {
        CommitMode::Fenced => "fenced",
        CommitMode::Guarded => "guarded",
    }
}

fn json(value: &impl Serialize) -> String {
    // Maps of strings and numbers always serialise. If one did not, readers would reject the empty value.
    serde_json::to_string(value).unwrap_or_default()
}

fn topic_id(text: &str) -> Option<TopicId> {
    let mut id = [0; 16];
    if text.len() != 32 || !text.is_ascii() {
        return None;
    }
    for (index, byte) in id.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).ok()?;
    }
    Some(TopicId(id))
}

#[cfg(test)]
mod tests;
