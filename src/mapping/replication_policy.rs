//! How MirrorMaker 2 names the copy of a topic (`DefaultReplicationPolicy`,
//! `IdentityReplicationPolicy`), and an explicit map for policies of one's own.

use std::collections::BTreeMap;

const HEARTBEATS: &str = "heartbeats";

/// The target topic of a source topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplicationPolicy {
    naming: Naming,
    source_alias: String,
    target_alias: String,
    separator: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Naming {
    Default,
    Identity,
    Map(BTreeMap<String, String>),
}

impl ReplicationPolicy {
    /// `<source alias><separator><topic>`.
    #[must_use]
    pub fn default_policy(source_alias: &str, target_alias: &str, separator: &str) -> Self {
        Self::new(Naming::Default, source_alias, target_alias, separator)
    }

    /// The same name on both clusters, heartbeats excepted.
    #[must_use]
    pub fn identity(source_alias: &str, target_alias: &str, separator: &str) -> Self {
        Self::new(Naming::Identity, source_alias, target_alias, separator)
    }

    /// What the map says, and nothing else.
    #[must_use]
    pub fn map(topics: BTreeMap<String, String>) -> Self {
        Self::new(Naming::Map(topics), "", "", "")
    }

    fn new(naming: Naming, source_alias: &str, target_alias: &str, separator: &str) -> Self {
        Self {
            naming,
            source_alias: source_alias.to_owned(),
            target_alias: target_alias.to_owned(),
            separator: separator.to_owned(),
        }
    }

    /// Where the records of `topic` are on the target; `None` if it is not replicated: internal
    /// topics, and under the default policy topics that came from the target.
    #[must_use]
    pub fn target_topic(&self, topic: &str) -> Option<String> {
        match &self.naming {
            Naming::Map(topics) => topics.get(topic).cloned(),
            Naming::Default | Naming::Identity if self.is_internal(topic) => None,
            Naming::Default => self.renamed(topic),
            Naming::Identity if topic.ends_with(HEARTBEATS) => self.renamed(topic),
            Naming::Identity => Some(topic.to_owned()),
        }
    }

    fn renamed(&self, topic: &str) -> Option<String> {
        // MirrorMaker does not copy back what came from there.
        let cycle = self.topic_source(topic).is_some_and(|source| source == self.target_alias);
        (!cycle).then(|| format!("{}{}{topic}", self.source_alias, self.separator))
    }

    /// Java's `split` on the separator, with its trap: trailing empty parts are dropped, so that
    /// `"x."` has no source.
    fn topic_source<'a>(&self, topic: &'a str) -> Option<&'a str> {
        if self.separator.is_empty() {
            return topic.char_indices().nth(1).map(|(second, _)| &topic[..second]);
        }
        let parts: Vec<&str> = topic.split(self.separator.as_str()).collect();
        let kept = parts.iter().rposition(|part| !part.is_empty()).map_or(0, |last| last + 1);
        if kept < 2 { None } else { parts.first().copied() }
    }

    fn is_internal(&self, topic: &str) -> bool {
        let own = format!("{}internal", self.separator);
        topic.ends_with(&own)
            || topic.ends_with("-internal")
            || topic.ends_with(".internal")
            || topic.starts_with("__")
            || topic.starts_with('.')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(policy: &ReplicationPolicy, topic: &str) -> Option<String> {
        policy.target_topic(topic)
    }

    #[test]
    fn the_default_policy_puts_the_source_alias_before_the_name() {
        let policy = ReplicationPolicy::default_policy("us-west", "us-east", ".");
        assert_eq!(target(&policy, "orders").as_deref(), Some("us-west.orders"));
        assert_eq!(target(&policy, "heartbeats").as_deref(), Some("us-west.heartbeats"));
        assert_eq!(target(&policy, "a.b.c").as_deref(), Some("us-west.a.b.c"));
        assert_eq!(target(&policy, "us-east.").as_deref(), Some("us-west.us-east."));
    }

    #[test]
    fn what_came_from_the_target_is_not_copied_back() {
        let policy = ReplicationPolicy::default_policy("us-west", "us-east", ".");
        assert_eq!(target(&policy, "us-east.orders"), None);
        let policy = ReplicationPolicy::default_policy("w", "e", "_");
        assert_eq!(target(&policy, "e_orders"), None);
        assert_eq!(target(&policy, "e.orders").as_deref(), Some("w_e.orders"));
    }

    #[test]
    fn identity_keeps_the_name_but_for_heartbeats() {
        let policy = ReplicationPolicy::identity("us-west", "us-east", ".");
        assert_eq!(target(&policy, "orders").as_deref(), Some("orders"));
        assert_eq!(target(&policy, "us-east.orders").as_deref(), Some("us-east.orders"));
        assert_eq!(target(&policy, "heartbeats").as_deref(), Some("us-west.heartbeats"));
        assert_eq!(target(&policy, "my-heartbeats").as_deref(), Some("us-west.my-heartbeats"));
    }

    #[test]
    fn internal_topics_are_not_replicated() {
        let policy = ReplicationPolicy::default_policy("us-west", "us-east", ".");
        for topic in ["__consumer_offsets", ".hidden", "x.internal", "x-internal"] {
            assert_eq!(target(&policy, topic), None, "{topic}");
        }
    }

    #[test]
    fn an_explicit_map_says_it_all() {
        let topics = BTreeMap::from([("orders".to_owned(), "orders-copy".to_owned())]);
        let policy = ReplicationPolicy::map(topics);
        assert_eq!(target(&policy, "orders").as_deref(), Some("orders-copy"));
        assert_eq!(target(&policy, "payments"), None);
    }
}
