//! The name of a topic's copy under MirrorMaker 2's policies (`DefaultReplicationPolicy`,
//! `IdentityReplicationPolicy`), or under an explicit map for custom policies.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::string::String;

use thiserror::Error;

use super::internal_topics::InternalTopics;

const HEARTBEATS: &str = "heartbeats";

/// Maps a source topic to its target topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicationPolicy {
    naming: Naming,
    source_alias: String,
    target_alias: String,
    separator: String,
    internal_topics: InternalTopics,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Naming {
    Default,
    Identity,
    Map(BTreeMap<String, String>),
}

/// Why a topic has no copy that a group could resume on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NotCopied {
    /// See [`InternalTopics::contains`].
    #[error("it is internal to Kafka or to MirrorMaker")]
    Internal,
    /// MirrorMaker's heartbeats. Only the topic with exactly this name: a topic whose name merely ends
    /// with it may belong to an application.
    #[error("it holds MirrorMaker's heartbeats")]
    Heartbeats,
    /// Its name says that it came from the target, and MirrorMaker does not copy records back.
    #[error("its name says that it came from the target cluster")]
    Cycle,
    /// The explicit map does not contain it.
    #[error("the configured map of topics does not contain it")]
    NotInMap,
}

impl ReplicationPolicy {
    /// `DefaultReplicationPolicy`: the target topic is `<source alias><separator><topic>`.
    #[must_use]
    pub fn default_policy(source_alias: &str, target_alias: &str, separator: &str) -> Self {
        Self::new(Naming::Default, source_alias, target_alias, separator)
    }

    /// `IdentityReplicationPolicy`: the name is the same on both clusters, except for names that end with
    /// `heartbeats`.
    #[must_use]
    pub fn identity(source_alias: &str, target_alias: &str, separator: &str) -> Self {
        Self::new(Naming::Identity, source_alias, target_alias, separator)
    }

    /// An explicit map. Topics that it does not contain are not copied.
    #[must_use]
    pub fn map(topics: BTreeMap<String, String>) -> Self {
        Self::new(Naming::Map(topics), "", "", ".")
    }

    fn new(naming: Naming, source_alias: &str, target_alias: &str, separator: &str) -> Self {
        Self {
            naming,
            source_alias: source_alias.to_owned(),
            target_alias: target_alias.to_owned(),
            separator: separator.to_owned(),
            internal_topics: InternalTopics::with_separator(separator),
        }
    }

    /// The topic that MirrorMaker copies the records of `topic` to (`MirrorSourceConnector`,
    /// `formatRemoteTopic`).
    ///
    /// # Errors
    ///
    /// The reason why there is no such topic.
    pub fn target_topic(&self, topic: &str) -> Result<String, NotCopied> {
        if let Naming::Map(topics) = &self.naming {
            return topics.get(topic).cloned().ok_or(NotCopied::NotInMap);
        }
        if self.internal_topics.contains(topic) {
            return Err(NotCopied::Internal);
        }
        if topic == HEARTBEATS {
            return Err(NotCopied::Heartbeats);
        }
        if self.is_cycle(topic) {
            return Err(NotCopied::Cycle);
        }
        Ok(self.remote_topic(topic))
    }

    fn remote_topic(&self, topic: &str) -> String {
        if self.keeps_name(topic) {
            topic.to_owned()
        } else {
            format!("{}{}{topic}", self.source_alias, self.separator)
        }
    }

    /// `IdentityReplicationPolicy` handles names that end with `heartbeats` like the default policy.
    fn keeps_name(&self, topic: &str) -> bool {
        match &self.naming {
            Naming::Default | Naming::Map(_) => false,
            Naming::Identity => !topic.ends_with(HEARTBEATS),
        }
    }

    /// Whether the target is one of the clusters that `topic` came through.
    fn is_cycle(&self, topic: &str) -> bool {
        let mut hops = self.hops(topic);
        hops.any(|(source, _)| source == self.target_alias)
    }

    /// The clusters that `topic` came through according to its name, the latest first, each with the
    /// topic's name on that cluster.
    fn hops<'a>(&'a self, topic: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let first = self.origin(topic);
        core::iter::successors(first, |(_, upstream)| {
            let next = self.origin(upstream)?;
            // A policy that keeps names would repeat the same hop forever.
            (next.1 != *upstream).then_some(next)
        })
    }

    /// Kafka's `topicSource` and `upstreamTopic`. The default policy takes everything before the first
    /// separator for an alias, whether that alias exists or not.
    fn origin<'a>(&'a self, topic: &'a str) -> Option<(&'a str, &'a str)> {
        match &self.naming {
            Naming::Map(_) => None,
            Naming::Identity if self.keeps_name(topic) => Some((&self.source_alias, topic)),
            Naming::Default | Naming::Identity => split_as_java(topic, &self.separator),
        }
    }
}

/// The text before and after the first separator, or `None` if Java's `split` yields fewer than two
/// parts. Java drops empty parts at the end, so `"x."` has no source. With an empty separator it splits
/// the text into characters.
fn split_as_java<'a>(topic: &'a str, separator: &str) -> Option<(&'a str, &'a str)> {
    if separator.is_empty() {
        let (second, _) = topic.char_indices().nth(1)?;
        return Some(topic.split_at(second));
    }
    let (source, upstream) = topic.split_once(separator)?;
    let nothing_follows = upstream.split(separator).all(str::is_empty);
    (!nothing_follows).then_some((source, upstream))
}

#[cfg(test)]
mod tests;
