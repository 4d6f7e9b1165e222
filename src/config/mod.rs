//! The configuration. It uses K2K's vocabulary and adds keys of Sprag. `config/sprag.yaml` lists all
//! keys with their defaults.
//!
//! Files are parsed and overlaid key by key, then `${VAR}` is substituted in the values. The result is a
//! flat list of keys, each with its origin. Every error names the file and the key, and all errors are
//! reported at once.

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
    /// The settings of the core.
    pub policy: Policy,
    /// Where mappings come from.
    pub mapping: Mapping,
    /// How instances share the work.
    pub coordination: Coordination,
    /// The address of the status page, which does not exist yet.
    pub http_listen: String,
}

/// The client properties of one cluster, under librdkafka's names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cluster {
    /// For admin clients.
    pub admin: BTreeMap<String, Secret>,
    /// For consumers.
    pub consumer: BTreeMap<String, Secret>,
    /// For producers.
    pub producer: BTreeMap<String, Secret>,
}

/// A value that is never shown by accident: `Debug` redacts it, and there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(REDACTED)
    }
}

/// The text that replaces a secret.
pub const REDACTED: &str = "********";

/// Where mappings come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// The mapping topic.
    pub topic: String,
    /// Whether the mapping topic is on the source cluster.
    pub on_source: bool,
    /// The format of the mapping topic.
    pub format: MappingFormat,
}

/// The format of the mapping topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MappingFormat {
    /// Sprag's open format.
    Native,
    /// MirrorMaker 2's offset syncs.
    MirrorMaker2 {
        /// The source cluster's alias in MirrorMaker's configuration.
        source_alias: String,
        /// The target cluster's alias in MirrorMaker's configuration.
        target_alias: String,
        /// How replicated topics are named on the target.
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
    /// An explicit map of source topics to target topics.
    Map(BTreeMap<String, String>),
}

/// How instances share the work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coordination {
    /// The fence topic's name.
    pub fence_topic: String,
    /// The replication factor of a newly created fence topic. `None` means the brokers' default.
    pub fence_topic_replicas: Option<i16>,
    /// The number of partitions of a newly created fence topic.
    pub shards: u32,
    /// An instance without a heartbeat for this long loses its shards.
    pub session_timeout: Duration,
}

/// A configuration, with the origin of each value and notices for the user.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Every effective value, set in a file or by default.
    pub effective: BTreeMap<String, Leaf>,
    /// One sentence for each key that is ignored or whose value may surprise.
    pub notices: Vec<String>,
}

/// Loads and overlays the files. `variable` looks up environment variables.
///
/// # Errors
///
/// All errors that were found.
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

/// Like [`load`], but from one text. `name` is the file name in error messages.
///
/// # Errors
///
/// All errors that were found.
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
        // Keys that an unreadable file may set must not be reported as missing.
        return Err(ConfigErrors(errors));
    }
    let notices = keys::check(&mut tree, &mut errors);
    // Ignored keys are gone by now, so their variables need not be set.
    tree.substitute(variable, &mut errors);
    let read = reader::read(tree, notices, &mut errors);
    match read {
        Some(loaded) if errors.is_empty() => Ok(loaded),
        Some(_) | None => Err(ConfigErrors(errors)),
    }
}

#[cfg(test)]
mod tests;
