//! The configuration: K2K's vocabulary first, Sprag's own keys beside it (`config/sprag.yaml` has
//! them all with their defaults).
//!
//! Files are parsed, overlaid key by key, and `${VAR}` is substituted in the values; what comes out
//! is a flat list of keys, each with its origin. Every error names file and key; all are reported
//! at once.

pub mod duration;
pub mod error;
mod keys;
mod lines;
mod origin;
pub mod properties;
mod reader;
mod show;
mod tree;
mod values;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use sprag_core::policy::Policy;

pub use error::{ConfigError, ConfigErrors};
pub use origin::Origin;
pub use show::{show_json, show_yaml};
pub use tree::Leaf;

/// The whole configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// The pipeline's name.
    pub name: String,
    /// The cluster that groups are read from.
    pub source: Cluster,
    /// The cluster that offsets are committed to.
    pub target: Cluster,
    /// Whether the fence topic is created if it is missing.
    pub auto_create_control_topics: bool,
    /// What the core goes by.
    pub policy: Policy,
    /// Where mappings come from.
    pub mapping: Mapping,
    /// How instances share the work.
    pub coordination: Coordination,
    /// Where the status page listens.
    pub http_listen: String,
}

/// One cluster's client properties, as librdkafka names them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cluster {
    /// For admin clients.
    pub admin: BTreeMap<String, Secret>,
    /// For consumers.
    pub consumer: BTreeMap<String, Secret>,
    /// For producers.
    pub producer: BTreeMap<String, Secret>,
}

/// A value that is never shown by accident: `Debug` and `Display` redact it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(REDACTED)
    }
}

/// What stands in the place of a secret.
pub const REDACTED: &str = "********";

/// Where mappings come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// The mapping topic.
    pub topic: String,
    /// Whether it is on the source cluster.
    pub on_source: bool,
    /// What it is written in.
    pub format: MappingFormat,
}

/// What the mapping topic is written in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MappingFormat {
    /// Sprag's open format.
    Native,
    /// MirrorMaker 2's offset syncs.
    MirrorMaker2 {
        /// The source cluster's alias in MirrorMaker's configuration.
        source_alias: String,
        /// The target cluster's.
        target_alias: String,
        /// How topics are named on the target.
        naming: TopicNaming,
        /// `replication.policy.separator`.
        separator: String,
    },
}

/// How replicated topics are named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TopicNaming {
    /// `DefaultReplicationPolicy`.
    Default,
    /// `IdentityReplicationPolicy`.
    Identity,
    /// Source topic to target topic.
    Map(BTreeMap<String, String>),
}

/// How instances share the work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coordination {
    /// The fence topic's name.
    pub fence_topic: String,
    /// How many replicas it has when it is created; `None` for the brokers' default.
    pub fence_topic_replicas: Option<i16>,
    /// Its partition count when it is created.
    pub shards: u32,
    /// After this long without a sign of life an instance loses its shards.
    pub session_timeout: Duration,
}

/// A configuration, with where each value came from and what was noticed.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Every effective value: set in a file, or a default.
    pub effective: BTreeMap<String, Leaf>,
    /// Keys that are accepted and mean nothing here, one sentence each.
    pub notices: Vec<String>,
}

/// Loads and overlays the files. `variable` looks up environment variables.
///
/// # Errors
///
/// Everything that is wrong, at once.
pub fn load(
    files: &[PathBuf],
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Loaded, ConfigErrors> {
    let mut errors = Vec::new();
    let mut tree = tree::Tree::default();
    for file in files {
        match std::fs::read_to_string(file) {
            Ok(text) => tree.overlay(&file.display().to_string(), &text, &mut errors),
            Err(error) => errors.push(ConfigError::in_file(
                &file.display().to_string(),
                format!("cannot be read: {error}"),
            )),
        }
    }
    finish(tree, variable, errors)
}

/// Like [`load`], from one text; `name` stands for the file in errors.
///
/// # Errors
///
/// Everything that is wrong, at once.
pub fn load_text(
    name: &str,
    text: &str,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Loaded, ConfigErrors> {
    let mut errors = Vec::new();
    let mut tree = tree::Tree::default();
    tree.overlay(name, text, &mut errors);
    finish(tree, variable, errors)
}

fn finish(
    mut tree: tree::Tree,
    variable: &dyn Fn(&str) -> Option<String>,
    mut errors: Vec<ConfigError>,
) -> Result<Loaded, ConfigErrors> {
    if !errors.is_empty() {
        // What a file that cannot be read would have set is not missing.
        return Err(ConfigErrors(errors));
    }
    let notices = keys::check(&mut tree, &mut errors);
    // Of what is ignored no variable is needed.
    tree.substitute(variable, &mut errors);
    let read = reader::read(tree, notices, &mut errors);
    match read {
        Some(loaded) if errors.is_empty() => Ok(loaded),
        Some(_) | None => Err(ConfigErrors(errors)),
    }
}

#[cfg(test)]
mod tests;
