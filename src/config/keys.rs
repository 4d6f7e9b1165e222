//! The configuration keys of Sprag, and the keys of K2K that it accepts and ignores.

use std::collections::BTreeSet;

use super::error::ConfigError;
use super::properties;
use super::tree::{Leaf, Tree, kind};

/// Sprag's keys, with their defaults as YAML. An empty string means that there is no default.
pub(super) const KEYS: &[(&str, &str)] = &[
    ("name", ""),
    ("features.applyMappingsGuard", "enabled"),
    ("features.autoCreateControlTopics", "enabled"),
    ("groups.consumerGroups", "'.*'"),
    ("groups.exclude", "[]"),
    ("groups.pollInterval", "5 seconds"),
    ("groups.offsetGuardPrefix", "k2k_"),
    ("groups.acceptedGuardPrefixes", "[]"),
    ("groups.commitMode", "fenced"),
    ("groups.onForeignCommit", "hold"),
    ("groups.onSourceRewind", "follow"),
    ("groups.onCorrection", "follow"),
    ("groups.onBelowFirstMapping", "hold"),
    ("groups.confirmAfter", "10 seconds"),
    ("groups.refreshInterval", "24 hours"),
    ("offsetMapping.format", "native"),
    ("offsetMapping.topic", ""),
    ("offsetMapping.mirrorMaker2.sourceAlias", ""),
    ("offsetMapping.mirrorMaker2.targetAlias", ""),
    ("offsetMapping.mirrorMaker2.offsetSyncsLocation", "source"),
    ("offsetMapping.mirrorMaker2.replicationPolicy", "default"),
    ("offsetMapping.mirrorMaker2.separator", "'.'"),
    ("errorHandling.onMultipleTargetCommittedOffsets", "ignore"),
    ("errorHandling.onActiveConsumerGroupCommit", "ignore"),
    ("coordination.fenceTopic", ""),
    ("coordination.fenceTopicReplicationFactor", ""),
    ("coordination.shards", "8"),
    ("coordination.sessionTimeout", "10 seconds"),
    ("http.listen", "127.0.0.1:9464"),
];

/// The valid range of a duration.
pub(super) struct Range {
    key: &'static str,
    /// The shortest duration, as written in a file.
    pub(super) least: &'static str,
    /// The longest duration.
    pub(super) most: &'static str,
    /// The reason for the limits, for error messages.
    pub(super) why: &'static str,
}

const RANGES: &[Range] = &[
    Range {
        key: "groups.pollInterval",
        least: "10ms",
        most: "1 hour",
        why: "recreated topics are detected at this interval, too",
    },
    Range {
        key: "groups.confirmAfter",
        least: "100ms",
        most: "1 hour",
        why: "it must be longer than a coordinator election takes, and a group waits this long",
    },
    Range {
        key: "groups.refreshInterval",
        least: "1 second",
        most: "30 days",
        why: "brokers expire offsets that are not refreshed within offsets.retention.minutes \
              (7 days by default)",
    },
    Range {
        key: "coordination.sessionTimeout",
        least: "2 seconds",
        most: "30 minutes",
        why: "it must also be between group.min.session.timeout.ms and \
              group.max.session.timeout.ms of the target's brokers (6 seconds and 30 minutes by \
              default)",
    },
];

/// The range of a key. Every key whose value is a duration has one.
pub(super) fn range(key: &str) -> Option<&'static Range> {
    RANGES.iter().find(|range| range.key == key)
}

/// Prefixes under which any key is accepted: Kafka client properties, and a map of topics.
pub(super) const OPEN: &[&str] = &[
    "source.kafka.common.",
    "source.kafka.admin.",
    "source.kafka.consumer.",
    "target.kafka.common.",
    "target.kafka.admin.",
    "target.kafka.consumer.",
    "target.kafka.producer.",
    "offsetMapping.mirrorMaker2.replicationPolicy.",
];

/// K2K's plural spelling of `features.applyMappingsGuard`.
pub(super) const GUARDS: &str = "features.applyMappingsGuards";

const REPLICATORS: &str = "it belongs to the replicator";

/// Keys of the replicator in sections that also contain keys of Sprag. They are listed one by one so
/// that a misspelt key of Sprag is still an error.
const REPLICATOR_KEYS: &[&str] = &[
    "features.offsetMapping",
    "features.autoCreateTopics",
    "features.exactlyOnce",
    "features.schemaMapping",
    "features.headers",
    "features.headers-replication",
    "features.header-replication",
    "features.tracingHeaders",
    "features.optimizeHeaders",
    "features.exactOnce",
    "coordination.kafka.commit.topic",
    "coordination.kafka.commit.group",
    "coordination.kafka.commit.syncTimeout",
    "coordination.kafka.commit.batchSize",
    "coordination.kafka.assignment.topic",
    "coordination.kafka.assignment.group",
    "coordination.kafka.assignement.topic",
    "coordination.commit.topic",
    "coordination.commit.group",
    "coordination.commit.syncTimeout",
    "coordination.commit.batchSize",
    "coordination.assignment.topic",
    "coordination.assignment.group",
    "errorHandling.onCommitSyncTimeout",
    "errorHandling.onControlMessageDeserializationError",
];

/// Sections of K2K's configuration without any key of Sprag, each with the reason why it is ignored.
const FOREIGN_SECTIONS: &[(&str, &str)] = &[
    ("license", "Sprag needs no licence"),
    ("metrics", "Sprag does not use K2K's metrics"),
    ("offsetMapping.retention", "Sprag keeps all mappings"),
    ("source.registry", REPLICATORS),
    ("target.registry", REPLICATORS),
    ("source.schemaRegistry", REPLICATORS),
    ("target.schemaRegistry", REPLICATORS),
    ("source.kafka.producer", REPLICATORS),
    ("replication", REPLICATORS),
    ("schemaMapping", REPLICATORS),
    ("transaction", REPLICATORS),
    ("transactions", REPLICATORS),
    ("observability", REPLICATORS),
    ("tracing", REPLICATORS),
    ("topics", REPLICATORS),
];

/// Removes foreign keys, with one notice per ignored name, and adds an error for each unknown key.
pub(super) fn check(tree: &mut Tree, errors: &mut Vec<ConfigError>) -> Vec<String> {
    let mut noticed = BTreeSet::new();
    let mut notices = Vec::new();
    let keys: Vec<String> = tree.leaves.keys().cloned().collect();
    for key in keys {
        if is_ours(&key) {
            continue;
        }
        let Some(leaf) = tree.leaves.remove(&key) else {
            continue;
        };
        match foreign(&key) {
            Some((name, reason)) => {
                if noticed.insert(name) {
                    notices.push(format!("{name} is ignored: {reason}"));
                }
            }
            None => {
                errors.push(ConfigError::at(&key, Some(&leaf.origin), unknown(&key, &leaf)));
            }
        }
    }
    notices
}

fn is_ours(key: &str) -> bool {
    key == GUARDS
        || KEYS.iter().any(|(known, _)| *known == key)
        || OPEN.iter().any(|open| key.starts_with(open))
}

fn foreign(key: &str) -> Option<(&'static str, &'static str)> {
    let within = |section: &str| {
        key.strip_prefix(section).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    let section = FOREIGN_SECTIONS.iter().find(|(section, _)| within(section));
    let named = || REPLICATOR_KEYS.iter().find(|name| **name == key);
    section.copied().or_else(|| named().map(|name| (*name, REPLICATORS)))
}

/// The default of a key, as YAML. Empty if there is none.
pub(super) fn default(key: &str) -> &'static str {
    KEYS.iter().find(|(known, _)| *known == key).map_or("", |(_, default)| default)
}

/// The error message for an unknown key.
fn unknown(key: &str, leaf: &Leaf) -> String {
    let found = kind(&leaf.value);
    let inside = format!("{key}.");
    let sections = KEYS.iter().map(|(known, _)| *known).chain(OPEN.iter().copied());
    if sections.clone().any(|known| known.starts_with(&inside)) {
        return format!("expected a mapping, found {found}");
    }
    let below = |known: &&str| key.strip_prefix(*known).is_some_and(|rest| rest.starts_with('.'));
    if let Some(known) = KEYS.iter().map(|(known, _)| *known).find(below) {
        return format!("unknown key; {known} is a single value and has no keys below it");
    }
    for side in ["source", "target"] {
        let behind = key.strip_prefix(side).map(|rest| rest.strip_prefix(".kafka").unwrap_or(rest));
        if let Some(property) = behind.and_then(|rest| rest.strip_prefix('.'))
            && properties::is_known(property)
        {
            return format!(
                "unknown key; write this client property as {side}.kafka.common.{property}"
            );
        }
    }
    match nearest(key) {
        Some(nearest) => format!("unknown key; did you mean {nearest}?"),
        None => "unknown key; config/sprag.yaml lists all keys".to_owned(),
    }
}

/// The key that was probably meant: one with a similar path, or else one with a similar last part.
fn nearest(key: &str) -> Option<&'static str> {
    let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
    let known = KEYS.iter().map(|(known, _)| *known);
    let open = OPEN.iter().map(|open| open.trim_end_matches('.'));
    let near = known
        .clone()
        .chain(open)
        .map(|known| (strsim::damerau_levenshtein(key, known), known))
        .min()
        .filter(|(distance, known)| *distance <= known.len() / 3);
    let alike = || {
        known
            .map(|known| (strsim::damerau_levenshtein(&last(key), &last(known)), known))
            .min()
            .filter(|(distance, known)| *distance <= last(known).len() / 3)
    };
    near.or_else(alike).map(|(_, known)| known)
}
