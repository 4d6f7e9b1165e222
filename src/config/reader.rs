//! From the flat list of keys to the typed configuration.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_yaml::Value;

use super::error::ConfigError;
use super::keys::{GUARDS, KEYS};
use super::origin::Origin;
use super::properties::{self, Client};
use super::tree::{Leaf, Tree, kind};
use super::{Cluster, Config, Coordination, Loaded, Mapping, MappingFormat, TopicNaming, duration};
use crate::core::group_filter::GroupFilter;
use crate::core::ids::GroupId;
use crate::core::policy::{
    CommitMode, OnActiveGroup, OnBelowFirstMapping, OnCorrection, OnForeignCommit,
    OnMultipleMappings, OnSourceRewind, Policy,
};
use crate::mapping::internal_topics::{InternalTopics, OffsetSyncsLocation};

/// Reads everything; errors are added to `errors`.
pub(super) fn read(
    tree: Tree,
    mut notices: Vec<String>,
    errors: &mut Vec<ConfigError>,
) -> Option<Loaded> {
    let mut reader = Reader { tree, errors };
    reader.merge_guards();
    reader.add_defaults();
    let name = reader.name();
    let policy = reader.policy(&name);
    let mapping = reader.mapping();
    let coordination = reader.coordination(&name);
    let source = reader.cluster("source", &mut notices);
    let target = reader.cluster("target", &mut notices);
    let auto_create_control_topics = reader.enabled("features.autoCreateControlTopics");
    let http_listen = reader.text("http.listen").unwrap_or_default();
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

struct Reader<'a> {
    tree: Tree,
    errors: &'a mut Vec<ConfigError>,
}

impl Reader<'_> {
    fn fail(&mut self, key: &str, message: impl Into<String>) {
        let origin = self.tree.leaves.get(key).map(|leaf| leaf.origin.clone());
        let origin = origin.filter(|origin| *origin != Origin::Default);
        self.errors.push(ConfigError::at(key, origin.as_ref(), message));
    }

    /// K2K's documents spell the guard's key in two ways.
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

    fn add_default(&mut self, key: &str, value: String) -> String {
        let leaf = Leaf { value: Value::String(value.clone()), origin: Origin::Default };
        self.tree.leaves.insert(key.to_owned(), leaf);
        value
    }

    fn name(&mut self) -> String {
        let name = self.text("name").unwrap_or_default();
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if name.is_empty() {
            self.fail("name", "is missing: the pipeline's name, part of every stamp");
        } else if !name.chars().all(legal) || name.len() > 150 {
            self.fail(
                "name",
                format!(
                    "expected up to 150 letters, digits, `.`, `_` or `-` (it is part of a topic's \
                     name), found {name:?}"
                ),
            );
        }
        name
    }

    fn text(&mut self, key: &str) -> Option<String> {
        let found = match &self.tree.leaves.get(key)?.value {
            Value::String(text) => return Some(text.clone()),
            Value::Number(number) => return Some(number.to_string()),
            other @ (Value::Null
            | Value::Bool(_)
            | Value::Sequence(_)
            | Value::Mapping(_)
            | Value::Tagged(_)) => kind(other),
        };
        self.fail(key, format!("expected a text, found {found}"));
        None
    }

    fn texts(&mut self, key: &str) -> Vec<String> {
        let Some(leaf) = self.tree.leaves.get(key) else {
            return Vec::new();
        };
        let Value::Sequence(items) = &leaf.value else {
            let found = kind(&leaf.value);
            self.fail(key, format!("expected a list of texts, found {found}"));
            return Vec::new();
        };
        let texts: Vec<_> = items.iter().filter_map(Value::as_str).map(str::to_owned).collect();
        if texts.len() != items.len() {
            self.fail(key, "expected a list of texts; one of its items is none");
        }
        texts
    }

    fn duration(&mut self, key: &str) -> Duration {
        let Some(text) = self.text(key) else {
            return Duration::ZERO;
        };
        match duration::parse(&text) {
            Ok(duration) if duration > Duration::ZERO => duration,
            Ok(_) => {
                self.fail(key, "expected a duration longer than nothing");
                Duration::ZERO
            }
            Err(message) => {
                self.fail(key, message);
                Duration::ZERO
            }
        }
    }

    fn choice<T: Copy>(&mut self, key: &str, choices: &[(&str, T)]) -> Option<T> {
        let text = self.text(key)?;
        if let Some((_, value)) = choices.iter().find(|(name, _)| *name == text) {
            return Some(*value);
        }
        let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
        self.fail(key, format!("expected {}, found {text:?}", names.join(" or ")));
        None
    }

    fn enabled(&mut self, key: &str) -> bool {
        self.choice(key, &[("enabled", true), ("disabled", false)]).unwrap_or_default()
    }

    fn policy(&mut self, name: &str) -> Option<Policy> {
        let groups = self.group_filter(name);
        let accepted = self.texts("groups.acceptedGuardPrefixes");
        let prefix = self.text("groups.offsetGuardPrefix").unwrap_or_default();
        for (key, prefix) in std::iter::once(("groups.offsetGuardPrefix", &prefix))
            .chain(accepted.iter().map(|prefix| ("groups.acceptedGuardPrefixes", prefix)))
        {
            if prefix.is_empty() || prefix.contains([':', '|']) {
                self.fail(key, format!("expected a text without `:` and `|`, found {prefix:?}"));
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

    fn group_filter(&mut self, name: &str) -> GroupFilter {
        const SELECTED: &str = "groups.consumerGroups";
        const EXCLUDED: &str = "groups.exclude";
        let all = GroupFilter::all(name);
        let list = self.tree.leaves.get(SELECTED).is_some_and(|leaf| leaf.value.is_sequence());
        let mut filter = if list {
            all.named(self.texts(SELECTED).iter().map(|name| GroupId::from(name.as_str())))
        } else {
            let expression = self.text(SELECTED).unwrap_or_default();
            match all.clone().matching(&expression) {
                Ok(filter) => filter,
                Err(error) => {
                    self.fail(SELECTED, format!("is no regular expression: {error}"));
                    all
                }
            }
        };
        for expression in self.texts(EXCLUDED) {
            match filter.clone().excluding(&expression) {
                Ok(excluding) => filter = excluding,
                Err(error) => self.fail(EXCLUDED, format!("is no regular expression: {error}")),
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
        let topic = match self.text(TOPIC) {
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
        let naming = self.naming(&key("replicationPolicy"))?;
        let mut alias = |name: &str| {
            let found = self.text(&key(name)).filter(|alias| !alias.is_empty());
            if found.is_none() {
                let message = "is missing: the cluster's alias in MirrorMaker's configuration";
                self.fail(&key(name), message);
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
        let topics: BTreeMap<String, String> = self
            .tree
            .leaves
            .iter()
            .filter_map(|(path, leaf)| {
                let topic = path.strip_prefix(&inside)?;
                Some((topic.to_owned(), leaf.value.as_str()?.to_owned()))
            })
            .collect();
        if !topics.is_empty() {
            return Some(TopicNaming::Map(topics));
        }
        let text = self.text(key)?;
        match text.as_str() {
            "default" => Some(TopicNaming::Default),
            "identity" => Some(TopicNaming::Identity),
            _ => {
                let message = format!(
                    "expected default, identity or a map of source topic to target topic, found \
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
        let fence_topic = match self.text(TOPIC) {
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
        Coordination { fence_topic, shards, session_timeout }
    }

    fn cluster(&mut self, side: &str, notices: &mut Vec<String>) -> Cluster {
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
        if !admin.contains_key("bootstrap.servers") {
            let key = format!("{side}.kafka.common.bootstrap.servers");
            self.fail(&key, format!("is missing: the {side} cluster's brokers, host:port,…"));
        }
        Cluster { admin, consumer, producer }
    }
}
