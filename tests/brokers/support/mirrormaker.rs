//! Apache Kafka's MirrorMaker 2 in its dedicated mode, from one broker to another.

use super::artifacts::Version;
use super::broker::{log_tail, new_folder};
use super::cluster::Cluster;
use super::process::{Process, Signal};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tempfile::TempDir;

/// The alias of the source cluster, `main`: the prefix of the names of replicated topics.
pub(crate) const SOURCE_ALIAS: &str = "main";
/// The alias of the target cluster, `dr`: a part of the name of the offset-syncs topic.
pub(crate) const TARGET_ALIAS: &str = "dr";

/// What a [`MirrorMaker`] replicates and how.
#[derive(Clone, Debug)]
pub(crate) struct MirrorOptions {
    /// A Java regular expression that matches whole topic names.
    pub(crate) topics: String,
    /// Whether the offset-syncs topic is on the target instead of the source.
    pub(crate) syncs_on_target: bool,
}

impl Default for MirrorOptions {
    /// Every topic except internal ones, offset syncs on the source, no checkpoints.
    fn default() -> Self {
        Self { topics: ".*".to_owned(), syncs_on_target: false }
    }
}

impl MirrorOptions {
    /// The name of the offset-syncs topic under these options.
    pub(crate) fn offset_syncs_topic(&self) -> String {
        let other = if self.syncs_on_target { SOURCE_ALIAS } else { TARGET_ALIAS };
        format!("mm2-offset-syncs.{other}.internal")
    }
}

/// The name that a source topic has on the target under MirrorMaker's default policy.
pub(crate) fn replicated(topic: &str) -> String {
    format!("{SOURCE_ALIAS}.{topic}")
}

/// A running MirrorMaker 2. It ends on drop. To follow its progress, wait for the replicated
/// records on the brokers, not for the process.
pub(crate) struct MirrorMaker {
    version: Version,
    process: Process,
    folder: TempDir,
}

impl MirrorMaker {
    /// Starts MirrorMaker 2 in the target's version. It takes some seconds to replicate the first
    /// record.
    pub(crate) fn start(
        source: &dyn Cluster,
        target: &dyn Cluster,
        options: &MirrorOptions,
    ) -> Self {
        let version = target.version();
        let folder = new_folder("mirrormaker-");
        write_properties(folder.path(), source, target, options);
        let process = launch(version, folder.path());
        Self { version, process, folder }
    }

    /// Sends SIGKILL and waits until the process is gone. Its state is stored on the brokers.
    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// Restarts it with the same options. Kills it first if it still runs.
    pub(crate) fn restart(&mut self) {
        self.process.kill();
        self.process = launch(self.version, self.folder.path());
    }

    /// Sends SIGSTOP: the replication lag only grows from here.
    pub(crate) fn stop_signal(&mut self) {
        self.process.signal(Signal::Stop);
    }

    /// Sends SIGCONT: it continues where it stopped.
    pub(crate) fn cont_signal(&mut self) {
        self.process.signal(Signal::Continue);
    }

    /// The process id.
    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }
}

impl Drop for MirrorMaker {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("MirrorMaker {}", log_tail(&log_file(self.folder.path())));
        }
    }
}

fn properties_file(folder: &Path) -> PathBuf {
    folder.join("mm2.properties")
}

fn log_file(folder: &Path) -> PathBuf {
    folder.join("mm2.log")
}

fn write_properties(
    folder: &Path,
    source: &dyn Cluster,
    target: &dyn Cluster,
    options: &MirrorOptions,
) {
    let (main, dr) = (SOURCE_ALIAS, TARGET_ALIAS);
    let location = if options.syncs_on_target { "target" } else { "source" };
    let mut properties: BTreeMap<String, String> = [
        ("clusters".to_owned(), format!("{main}, {dr}")),
        (format!("{main}.bootstrap.servers"), source.bootstrap()),
        (format!("{dr}.bootstrap.servers"), target.bootstrap()),
        (format!("{main}->{dr}.enabled"), "true".to_owned()),
        (format!("{dr}->{main}.enabled"), "false".to_owned()),
        // MirrorMaker holds back the sync of the newest record until the next record, or until this
        // has passed. It is a worker setting, which MirrorMaker accepts only with the target's
        // alias as a prefix.
        (format!("{dr}.offset.flush.interval.ms"), "1000".to_owned()),
        ("topics".to_owned(), options.topics.clone()),
        ("offset-syncs.topic.location".to_owned(), location.to_owned()),
    ]
    .into();
    let fixed = [
        ("groups", ".*"),
        ("emit.heartbeats.enabled", "false"),
        ("emit.checkpoints.enabled", "false"),
        ("sync.topic.acls.enabled", "false"),
        ("refresh.topics.interval.seconds", "1"),
        ("refresh.groups.interval.seconds", "1"),
        ("offset.lag.max", "0"),
        ("plugin.discovery", "service_load"),
        ("replication.factor", "1"),
        ("checkpoints.topic.replication.factor", "1"),
        ("heartbeats.topic.replication.factor", "1"),
        ("offset-syncs.topic.replication.factor", "1"),
        ("offset.storage.replication.factor", "1"),
        ("status.storage.replication.factor", "1"),
        ("config.storage.replication.factor", "1"),
    ];
    properties.extend(fixed.map(|(key, value)| (key.to_owned(), value.to_owned())));
    let text: String = properties.iter().map(|(key, value)| format!("{key}={value}\n")).collect();
    fs::write(properties_file(folder), text).expect("MirrorMaker's properties file");
}

fn launch(version: Version, folder: &Path) -> Process {
    let log = File::options()
        .create(true)
        .append(true)
        .open(log_file(folder))
        .expect("MirrorMaker's log file");
    let mut command = version.java("256m", "org.apache.kafka.connect.mirror.MirrorMaker");
    command
        .arg(properties_file(folder))
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("MirrorMaker's log file, twice"))
        .stderr(log);
    Process::spawn("MirrorMaker", command)
}
