//! One Apache Kafka node (KRaft, combined broker and controller) on loopback, owned by a test.

use super::DEADLINE;
use super::alone;
use super::artifacts::{Version, scratch};
use super::class_archive;
use super::clients;
use super::cluster::Cluster;
use super::process::{Process, Signal};
use super::wait::{eventually, try_eventually};
use rdkafka::consumer::{BaseConsumer, Consumer};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// How often to try a start: another process may take a port between its choice and its use.
const PORT_ATTEMPTS: usize = 5;
const HEAP: &str = "512m";
pub(super) const PORT_TAKEN: &str = "Address already in use";
const LOG_LINES_SHOWN: usize = 20;

/// A running broker. Dropping it ends the process and deletes the data.
pub(crate) struct Broker {
    version: Version,
    cluster_id: String,
    extra: Vec<(String, String)>,
    ports: Ports,
    // Before the folder: fields drop in order, and the process must end first.
    process: Process,
    folder: TempDir,
}

#[derive(Clone, Copy)]
struct Ports {
    client: u16,
    controller: u16,
    second: u16,
}

enum StartFailure {
    PortTaken,
    Other(String),
}

impl Broker {
    /// Starts a new, empty cluster of one broker, and returns once the broker answers.
    ///
    /// # Panics
    /// If it does not answer within [`DEADLINE`] (the message shows the end of its log), or if the
    /// test does not hold an [`alone::Turn`].
    #[track_caller]
    pub(crate) fn start(version: Version) -> Self {
        Self::start_with(version, &[])
    }

    /// Like [`Broker::start`], with additional or overriding broker properties. In their values,
    /// `$CLIENT` and `$CONTROLLER` stand for the addresses of the two listeners. `$SECOND` stands
    /// for the address of one more listener, if a property declares one.
    #[track_caller]
    pub(crate) fn start_with(version: Version, extra: &[(&str, &str)]) -> Self {
        Self::start_seen(version, extra, |_port| {})
    }

    /// Like [`Broker::start_with`]. Calls `picked` with the port of the client listener before each
    /// attempt to start the broker.
    #[track_caller]
    pub(crate) fn start_seen(
        version: Version,
        extra: &[(&str, &str)],
        picked: impl Fn(u16),
    ) -> Self {
        alone::insist();
        class_archive::ensure(version);
        let extra: Vec<_> =
            extra.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        for _ in 0..PORT_ATTEMPTS {
            let ports = Ports::pick();
            picked(ports.client);
            let folder = new_folder(&format!("broker-{}-", version.number()));
            let cluster_id = new_cluster_id();
            write_properties(folder.path(), ports, &extra);
            format_data(version, folder.path(), &cluster_id);
            let java = version.java(HEAP, "kafka.Kafka");
            match launch(version, java, folder.path(), ports, &cluster_id) {
                Ok(process) => {
                    return Self { version, cluster_id, extra, ports, process, folder };
                }
                Err(StartFailure::PortTaken) => {}
                Err(StartFailure::Other(why)) => panic!("{why}"),
            }
        }
        panic!(
            "cannot start a broker: another process took its port {PORT_ATTEMPTS} times in a row"
        );
    }

    /// Starts two clusters, source and target, in parallel.
    pub(crate) fn start_pair(source: Version, target: Version) -> (Self, Self) {
        std::thread::scope(|scope| {
            let source = scope.spawn(move || Self::start(source));
            let target = Self::start(target);
            (source.join().expect("the source broker starts"), target)
        })
    }

    /// `127.0.0.1:<port>`. It stays the same across restarts.
    pub(crate) fn bootstrap(&self) -> String {
        self.ports.bootstrap()
    }

    /// The address of the second listener, if the broker was started with one.
    pub(crate) fn second(&self) -> String {
        format!("127.0.0.1:{}", self.ports.second)
    }

    /// The port of the client listener.
    pub(crate) fn port(&self) -> u16 {
        self.ports.client
    }

    /// The version that it runs.
    pub(crate) fn version(&self) -> Version {
        self.version
    }

    /// The cluster id that its data was formatted with, as clients see it.
    pub(crate) fn cluster_id(&self) -> &str {
        &self.cluster_id
    }

    /// The process id.
    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Sends SIGKILL and waits until the process is gone. Keeps the data for [`Broker::restart`].
    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// Sends SIGTERM and waits for a clean shutdown. Keeps the data for [`Broker::restart`].
    pub(crate) fn shut_down(&mut self) {
        self.process.signal(Signal::Term);
        eventually(DEADLINE, "a broker to shut down", || self.process.exit_status());
    }

    /// Restarts it on the same ports and data, and returns once it answers. Kills it first if it
    /// still runs. The `extra` properties given at the start still apply.
    pub(crate) fn restart(&mut self) {
        self.process.kill();
        write_properties(self.folder.path(), self.ports, &self.extra);
        for _ in 0..PORT_ATTEMPTS {
            let java = self.version.java(HEAP, "kafka.Kafka");
            match launch(self.version, java, self.folder.path(), self.ports, &self.cluster_id) {
                Ok(process) => {
                    self.process = process;
                    return;
                }
                // A client that tries to reconnect may itself hold the port for a moment.
                Err(StartFailure::PortTaken) => {}
                Err(StartFailure::Other(why)) => panic!("{why}"),
            }
        }
        panic!("cannot restart the broker: another process holds port {}", self.ports.client);
    }

    /// Like [`Broker::restart`], with additional or overriding broker properties.
    pub(crate) fn restart_with(&mut self, extra: &[(&str, &str)]) {
        let extra = extra.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        self.extra.extend(extra);
        self.restart();
    }

    /// Sends SIGSTOP: the broker keeps its sockets open and answers nothing.
    pub(crate) fn stop_signal(&mut self) {
        self.process.signal(Signal::Stop);
    }

    /// Sends SIGCONT: the broker continues where it stopped.
    pub(crate) fn cont_signal(&mut self) {
        self.process.signal(Signal::Continue);
    }

    /// The file with everything that it has printed so far.
    pub(crate) fn log_file(&self) -> PathBuf {
        log_file(self.folder.path())
    }
}

impl Cluster for Broker {
    fn bootstrap(&self) -> String {
        self.bootstrap()
    }

    fn version(&self) -> Version {
        self.version()
    }

    fn cluster_id(&self) -> &str {
        self.cluster_id()
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let number = self.version.number();
            eprintln!("broker {number} at {}: {}", self.bootstrap(), log_tail(&self.log_file()));
        }
    }
}

impl Ports {
    /// Picks free ports: binds all at once, so that they differ, then releases them.
    fn pick() -> Self {
        let bind = || TcpListener::bind(("127.0.0.1", 0)).expect("a free port on loopback");
        let port = |listener: &TcpListener| listener.local_addr().expect("its address").port();
        let [client, controller, second] = [bind(), bind(), bind()].each_ref().map(port);
        Self { client, controller, second }
    }

    fn bootstrap(self) -> String {
        format!("127.0.0.1:{}", self.client)
    }
}

/// Creates a folder inside the target folder. It is deleted on drop.
pub(crate) fn new_folder(prefix: &str) -> TempDir {
    tempfile::Builder::new()
        .prefix(prefix)
        .tempdir_in(scratch())
        .expect("a new folder in the target folder")
}

/// The last lines of a log file, for a failure message.
pub(crate) fn log_tail(file: &Path) -> String {
    let text = fs::read_to_string(file).unwrap_or_else(|error| error.to_string());
    let lines: Vec<&str> = text.lines().collect();
    let from = lines.len().saturating_sub(LOG_LINES_SHOWN);
    format!("the last lines of its log:\n{}", lines[from..].join("\n"))
}

pub(super) fn log_file(folder: &Path) -> PathBuf {
    folder.join("broker.log")
}

pub(super) fn properties_file(folder: &Path) -> PathBuf {
    folder.join("server.properties")
}

/// A random cluster id: 22 characters of base64, where the last one carries two bits.
pub(super) fn new_cluster_id() -> String {
    let mut random = [0_u8; 10];
    File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut random))
        .expect("random bytes");
    let hex: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("s{hex}A")
}

fn write_properties(folder: &Path, ports: Ports, extra: &[(String, String)]) {
    let (client, controller) = (ports.bootstrap(), format!("127.0.0.1:{}", ports.controller));
    let fixed = [
        ("process.roles", "broker,controller".to_owned()),
        ("node.id", "1".to_owned()),
        ("controller.quorum.voters", format!("1@{controller}")),
        ("listeners", format!("PLAINTEXT://{client},CONTROLLER://{controller}")),
        ("advertised.listeners", format!("PLAINTEXT://{client}")),
        ("controller.listener.names", "CONTROLLER".to_owned()),
        ("log.dirs", folder.join("data").display().to_string()),
        ("offsets.topic.replication.factor", "1".to_owned()),
        ("offsets.topic.num.partitions", "5".to_owned()),
        ("transaction.state.log.replication.factor", "1".to_owned()),
        ("transaction.state.log.min.isr", "1".to_owned()),
        ("transaction.state.log.num.partitions", "5".to_owned()),
        ("share.coordinator.state.topic.replication.factor", "1".to_owned()),
        ("share.coordinator.state.topic.min.isr", "1".to_owned()),
        ("group.initial.rebalance.delay.ms", "0".to_owned()),
        // Shorter sessions than a broker allows by default turn an owner into a zombie sooner.
        ("group.min.session.timeout.ms", "1000".to_owned()),
        // A killed broker may register again only after its previous session has expired.
        ("broker.session.timeout.ms", "3000".to_owned()),
        ("broker.heartbeat.interval.ms", "500".to_owned()),
        ("auto.create.topics.enable", "false".to_owned()),
        // The default would take a quarter of the heap.
        ("log.cleaner.dedupe.buffer.size", "4194304".to_owned()),
    ];
    let mut properties: BTreeMap<&str, String> = BTreeMap::from(fixed);
    let second = format!("127.0.0.1:{}", ports.second);
    properties.extend(extra.iter().map(|(key, value)| {
        let value = value.replace("$CLIENT", &client).replace("$CONTROLLER", &controller);
        (key.as_str(), value.replace("$SECOND", &second))
    }));
    let text: String = properties.iter().map(|(key, value)| format!("{key}={value}\n")).collect();
    fs::write(properties_file(folder), text).expect("the broker's properties file");
}

pub(super) fn format_data(version: Version, folder: &Path, cluster_id: &str) {
    let output = version
        .java("256m", "kafka.tools.StorageTool")
        .args(["format", "-t", cluster_id, "-c"])
        .arg(properties_file(folder))
        .output()
        .expect("java, which is needed to run a broker");
    assert!(
        output.status.success(),
        "Kafka {} could not format its data folder:\n{}{}",
        version.number(),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Runs a broker with an additional JVM option and ends it once it answers. Ignores a failed start:
/// the next test that starts a broker shows the cause.
pub(super) fn run_once(version: Version, option: String) {
    let (ports, folder, cluster_id) = (Ports::pick(), new_folder("once-"), new_cluster_id());
    write_properties(folder.path(), ports, &[]);
    format_data(version, folder.path(), &cluster_id);
    let java = version.java_with(HEAP, "kafka.Kafka", Some(option));
    if let Ok(mut process) = launch(version, java, folder.path(), ports, &cluster_id) {
        process.signal(Signal::Term);
        eventually(DEADLINE, "a broker to shut down", || process.exit_status());
    }
}

/// Starts the broker's process and waits until it answers.
fn launch(
    version: Version,
    mut java: Command,
    folder: &Path,
    ports: Ports,
    cluster_id: &str,
) -> Result<Process, StartFailure> {
    let log = File::options()
        .create(true)
        .append(true)
        .open(log_file(folder))
        .expect("the broker's log file");
    let earlier = usize::try_from(log.metadata().expect("its size").len()).expect("a size");
    java.arg(properties_file(folder))
        .stdin(std::process::Stdio::null())
        .stdout(log.try_clone().expect("the broker's log file, twice"))
        .stderr(log);
    let mut process = Process::spawn(&format!("broker {}", version.number()), java);
    match try_eventually(DEADLINE, readiness(&mut process, &ports.bootstrap(), cluster_id)) {
        Ok(Readiness::Answers) => Ok(process),
        Ok(Readiness::Ended(how)) => {
            let log = fs::read(log_file(folder)).expect("the broker's log file");
            if String::from_utf8_lossy(&log[earlier..]).contains(PORT_TAKEN) {
                return Err(StartFailure::PortTaken);
            }
            let tail = log_tail(&log_file(folder));
            Err(StartFailure::Other(format!("a new broker exited ({how}); {tail}")))
        }
        Err(last) => Err(StartFailure::Other(format!(
            "a new broker did not answer within {DEADLINE:?} ({last}); {}",
            log_tail(&log_file(folder))
        ))),
    }
}

enum Readiness {
    Answers,
    Ended(String),
}

/// Asks for metadata until the broker reports itself as the only live broker. If a broker of
/// another test took the port first, that one answers too, but with another cluster id.
fn readiness(
    process: &mut Process,
    bootstrap: &str,
    cluster_id: &str,
) -> impl FnMut() -> Result<Readiness, String> {
    let probe: BaseConsumer = clients::config(bootstrap).create().expect("a probing client");
    move || {
        if let Some(status) = process.exit_status() {
            return Ok(Readiness::Ended(status.to_string()));
        }
        match probe.client().fetch_cluster_id(Duration::from_secs(1)) {
            Some(found) if found == cluster_id => {}
            Some(found) => return Err(format!("cluster {found} answered instead of {cluster_id}")),
            None => return Err("no cluster answered".to_owned()),
        }
        match probe.fetch_metadata(None, Duration::from_secs(1)) {
            Ok(metadata) if metadata.brokers().len() == 1 => Ok(Readiness::Answers),
            Ok(metadata) => {
                Err(format!("it reports {} live brokers, expected 1", metadata.brokers().len()))
            }
            Err(error) => Err(error.to_string()),
        }
    }
}
