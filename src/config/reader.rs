//! Turns the flat list of keys into the typed configuration.

use std::collections::BTreeMap;

use serde_yaml::Value;

use super::error::ConfigError;
use super::keys::{GUARDS, KEYS};
use super::origin::Origin;
use super::properties::{self, Client};
use super::tree::{Leaf, Tree};
use super::{Cluster, Config, Coordination, Loaded, Mapping, MappingFormat, TopicNaming};
use sprag_core::group_filter::GroupFilter;
use sprag_core::ids::GroupId;
use sprag_core::policy::{
    CommitMode, OnActiveGroup, OnBelowFirstMapping, OnCorrection, OnForeignCommit,
    OnMultipleMappings, OnSourceRewind, Policy,
};
use sprag_mapping::internal_topics::{InternalTopics, OffsetSyncsLocation};

/// The longest pipeline name and cluster alias, and the longest separator, in characters. They become
/// parts of topic names, which Kafka limits to 249 characters.
const LONGEST_NAME: usize = 150;
const LONGEST_SEPARATOR: usize = 32;

/// Reads the whole configuration. Errors are added to `errors`.
pub(super) fn read(
    tree: Tree,
    mut notices: Vec<String>,
    errors: &mut Vec<ConfigError>,
) -> Option<Loaded> {
    let mut reader = Reader { tree, errors };
    reader.merge_guards();
    reader.add_defaults();
    let name = reader.name();
    let policy = reader.policy(&name, &mut notices);
    let mapping = reader.mapping();
    let coordination = reader.coordination(&name);
    let source = reader.cluster("source", &mut notices);
    let target = reader.cluster("target", &mut notices);
    let auto_create_control_topics = reader.enabled("features.autoCreateControlTopics");
    let http_listen = reader.listen(&mut notices);
    let effective = reader.tree.leaves;
    let config = Config {
        name,
        source,
        target,
        auto_create_control_topics,
        policy: policy?,
        mapping: mapping?,
        coordination,
        http_listen,
    };
    Some(Loaded { config, effective, notices })
}

pub(super) struct Reader<'a> {
    pub(super) tree: Tree,
    errors: &'a mut Vec<ConfigError>,
}

impl Reader<'_> {
    pub(super) fn fail(&mut self, key: &str, message: impl Into<String>) {
        let origin = self.tree.leaves.get(key).map(|leaf| leaf.origin.clone());
        let origin = origin.filter(|origin| *origin != Origin::Default);
        self.errors.push(ConfigError::at(key, origin.as_ref(), message));
    }

    /// Accepts both spellings of the guard's key, because K2K's documentation uses both.
    fn merge_guards(&mut self) {
        const GUARD: &str = "features.applyMappingsGuard";
        let Some(plural) = self.tree.leaves.remove(GUARDS) else {
            return;
        };
        match self.tree.leaves.get(GUARD) {
            Some(singular) if singular.value != plural.value => self.fail(
                GUARD,
                format!("{GUARD} and {GUARDS} are both set, to different values; keep one of them"),
            ),
            Some(_) => {}
            None => {
                self.tree.leaves.insert(GUARD.to_owned(), plural);
            }
        }
    }

    fn add_defaults(&mut self) {
        for (key, default) in KEYS.iter().filter(|(_, default)| !default.is_empty()) {
            let inside = format!("{key}.");
            let set = self.tree.leaves.keys().any(|path| path == key || path.starts_with(&inside));
            if !set && let Ok(value) = serde_yaml::from_str(default) {
                let leaf = Leaf { value, origin: Origin::Default };
                self.tree.leaves.insert((*key).to_owned(), leaf);
            }
        }
    }

    /// Returns a default that depends on other keys, and records it if the key is not set.
    fn add_default(&mut self, key: &str, value: String) -> String {
        if self.tree.leaves.contains_key(key) {
            return value;
        }
        let leaf = Leaf { value: Value::String(value.clone()), origin: Origin::Default };
        self.tree.leaves.insert(key.to_owned(), leaf);
        value
    }

    fn name(&mut self) -> String {
        if !self.tree.leaves.contains_key("name") {
            self.fail("name", "is missing; set it to the pipeline's name, a part of every stamp");
        }
        let Some(name) = self.text("name") else {
            return String::new();
        };
        if name.is_empty() {
            self.fail("name", "is empty; set it to the pipeline's name, a part of every stamp");
        } else {
            self.part_of_topic("name", &name, LONGEST_NAME);
        }
        name
    }

    fn policy(&mut self, name: &str, notices: &mut Vec<String>) -> Option<Policy> {
        let groups = self.group_filter(name, notices);
        let accepted = self.texts("groups.acceptedGuardPrefixes");
        let prefix = self.text("groups.offsetGuardPrefix").unwrap_or_default();
        for (key, prefix) in std::iter::once(("groups.offsetGuardPrefix", &prefix))
            .chain(accepted.iter().map(|prefix| ("groups.acceptedGuardPrefixes", prefix)))
        {
            if prefix.is_empty() || prefix.contains([':', '|']) {
                let message =
                    format!("expected one or more characters but no `:` or `|`, found {prefix:?}");
                self.fail(key, message);
            }
        }
        let apply_mappings_guard = self.enabled("features.applyMappingsGuard");
        let confirm_after = self.duration("groups.confirmAfter");
        let refresh_interval = self.duration("groups.refreshInterval");
        let poll_interval = self.duration("groups.pollInterval");
        let mode = [("fenced", CommitMode::Fenced), ("guarded", CommitMode::Guarded)];
        let foreign = [
            ("hold", OnForeignCommit::Hold),
            ("forwardOnly", OnForeignCommit::ForwardOnly),
            ("overwrite", OnForeignCommit::Overwrite),
        ];
        let rewind = [("follow", OnSourceRewind::Follow), ("hold", OnSourceRewind::Hold)];
        let correction = [("follow", OnCorrection::Follow), ("hold", OnCorrection::Hold)];
        let below =
            [("hold", OnBelowFirstMapping::Hold), ("logStart", OnBelowFirstMapping::LogStart)];
        let multiple = [("fail", OnMultipleMappings::Fail), ("ignore", OnMultipleMappings::Ignore)];
        let active = [("fail", OnActiveGroup::Fail), ("ignore", OnActiveGroup::Ignore)];
        let commit_mode = self.choice("groups.commitMode", &mode);
        let on_foreign_commit = self.choice("groups.onForeignCommit", &foreign);
        let on_source_rewind = self.choice("groups.onSourceRewind", &rewind);
        let on_correction = self.choice("groups.onCorrection", &correction);
        let on_below_first_mapping = self.choice("groups.onBelowFirstMapping", &below);
        let on_multiple_mappings =
            self.choice("errorHandling.onMultipleTargetCommittedOffsets", &multiple);
        let on_active_group = self.choice("errorHandling.onActiveConsumerGroupCommit", &active);
        Some(Policy {
            pipeline: name.to_owned(),
            guard_prefix: prefix,
            accepted_guard_prefixes: accepted,
            apply_mappings_guard,
            commit_mode: commit_mode?,
            on_foreign_commit: on_foreign_commit?,
            on_source_rewind: on_source_rewind?,
            on_correction: on_correction?,
            on_below_first_mapping: on_below_first_mapping?,
            on_multiple_mappings: on_multiple_mappings?,
            on_active_group: on_active_group?,
            confirm_after,
            refresh_interval,
            poll_interval,
            groups,
        })
    }

    fn group_filter(&mut self, name: &str, notices: &mut Vec<String>) -> GroupFilter {
        const SELECTED: &str = "groups.consumerGroups";
        const EXCLUDED: &str = "groups.exclude";
        let all = GroupFilter::all(name);
        let list = self.tree.leaves.get(SELECTED).is_some_and(|leaf| leaf.value.is_sequence());
        let selects_nothing = "is empty, so no group would be synced; remove the key to sync all \
                               groups, or name some";
        let mut filter = if list {
            let names = self.texts(SELECTED);
            if names.is_empty() {
                self.fail(SELECTED, selects_nothing);
            }
            if let Some(name) = names.iter().find(|name| name.contains(['*', '\\', '^', '$', '|']))
            {
                notices.push(format!(
                    "{SELECTED} is a list, so {name:?} is the exact name of a group; write a \
                     regular expression as a single string"
                ));
            }
            all.named(names.iter().map(|name| GroupId::from(name.as_str())))
        } else {
            let expression = self.expression(SELECTED);
            if expression.as_deref() == Some("") {
                self.fail(SELECTED, selects_nothing);
            }
            let matching = expression.and_then(|text| all.clone().matching(&text).ok());
            matching.unwrap_or(all)
        };
        for expression in self.texts(EXCLUDED) {
            if self.is_expression(EXCLUDED, &expression)
                && let Ok(excluding) = filter.clone().excluding(&expression)
            {
                filter = excluding;
            }
        }
        filter
    }

    fn mapping(&mut self) -> Option<Mapping> {
        const TOPIC: &str = "offsetMapping.topic";
        let native =
            self.choice("offsetMapping.format", &[("native", true), ("mirrorMaker2", false)])?;
        let (default, on_source, format) = if native {
            ("__k2k_offset_mappings".to_owned(), false, MappingFormat::Native)
        } else {
            self.mirror_maker()?
        };
        let topic = match self.topic(TOPIC) {
            Some(topic) => topic,
            None => self.add_default(TOPIC, default),
        };
        Some(Mapping { topic, on_source, format })
    }

    fn mirror_maker(&mut self) -> Option<(String, bool, MappingFormat)> {
        let key = |name: &str| format!("offsetMapping.mirrorMaker2.{name}");
        let location = [("source", true), ("target", false)];
        let on_source = self.choice(&key("offsetSyncsLocation"), &location)?;
        let separator = self.text(&key("separator")).unwrap_or_default();
        self.part_of_topic(&key("separator"), &separator, LONGEST_SEPARATOR);
        let naming = self.naming(&key("replicationPolicy"))?;
        let mut alias = |name: &str| {
            let found = self.text(&key(name)).filter(|alias| !alias.is_empty());
            match &found {
                Some(alias) => self.part_of_topic(&key(name), alias, LONGEST_NAME),
                None => {
                    let message =
                        "is missing; set it to the cluster's alias in MirrorMaker's configuration";
                    self.fail(&key(name), message);
                }
            }
            found
        };
        let (source_alias, target_alias) = (alias("sourceAlias"), alias("targetAlias"));
        let (source_alias, target_alias) = (source_alias?, target_alias?);
        let location = if on_source {
            OffsetSyncsLocation::Source { target_alias: &target_alias }
        } else {
            OffsetSyncsLocation::Target { source_alias: &source_alias }
        };
        let topic = InternalTopics::with_separator(&separator).offset_syncs(location);
        let format = MappingFormat::MirrorMaker2 { source_alias, target_alias, naming, separator };
        Some((topic, on_source, format))
    }

    fn naming(&mut self, key: &str) -> Option<TopicNaming> {
        let inside = format!("{key}.");
        let paths: Vec<String> =
            self.tree.leaves.keys().filter(|path| path.starts_with(&inside)).cloned().collect();
        if !paths.is_empty() {
            let topics = paths
                .iter()
                .filter_map(|path| Some((path[inside.len()..].to_owned(), self.topic(path)?)));
            return Some(TopicNaming::Map(topics.collect()));
        }
        let text = self.text(key)?;
        match text.as_str() {
            "default" => Some(TopicNaming::Default),
            "identity" => Some(TopicNaming::Identity),
            _ => {
                let message = format!(
                    "expected default, identity or a map of source topics to target topics, found \
                     {text:?}"
                );
                self.fail(key, message);
                None
            }
        }
    }

    fn coordination(&mut self, name: &str) -> Coordination {
        const TOPIC: &str = "coordination.fenceTopic";
        const SHARDS: &str = "coordination.shards";
        let fence_topic = match self.topic(TOPIC) {
            Some(topic) => topic,
            None => self.add_default(TOPIC, format!("__sprag.{name}.fences")),
        };
        let shards = self.text(SHARDS).unwrap_or_default();
        let shards = match shards.parse::<u32>() {
            Ok(shards @ 1..=1000) => shards,
            Ok(_) | Err(_) => {
                self.fail(SHARDS, format!("expected a number from 1 to 1000, found {shards:?}"));
                1
            }
        };
        let session_timeout = self.duration("coordination.sessionTimeout");
        let fence_topic_replicas = self.replication_factor();
        Coordination { fence_topic, fence_topic_replicas, shards, session_timeout }
    }

    fn replication_factor(&mut self) -> Option<i16> {
        const REPLICAS: &str = "coordination.fenceTopicReplicationFactor";
        let text = self.text(REPLICAS)?;
        let found = text.parse().ok().filter(|replicas: &i16| *replicas >= 1);
        if found.is_none() {
            let most = i16::MAX;
            self.fail(REPLICAS, format!("expected a number from 1 to {most}, found {text:?}"));
        }
        found
    }

    fn cluster(&mut self, side: &str, notices: &mut Vec<String>) -> Cluster {
        self.bootstrap_servers(side);
        let properties = |client: Client| {
            let mut merged: BTreeMap<String, (String, Leaf)> = BTreeMap::new();
            for section in ["common", client.section()] {
                let prefix = format!("{side}.kafka.{section}.");
                for (path, leaf) in &self.tree.leaves {
                    if let Some(name) = path.strip_prefix(&prefix) {
                        merged.insert(name.to_owned(), (path.clone(), leaf.clone()));
                    }
                }
            }
            merged
        };
        let all = [Client::Admin, Client::Consumer, Client::Producer].map(properties);
        let [admin, consumer, producer] =
            all.map(|merged| properties::to_librdkafka(&merged, notices, self.errors));
        if properties::unused_credentials(&admin) {
            notices.push(format!(
                "{side}.kafka.common: the sasl properties are not used, because security.protocol is \
                 neither SASL_SSL nor SASL_PLAINTEXT"
            ));
        }
        Cluster { admin, consumer, producer }
    }
}
