//! One node of a cluster: its process, properties, data and log.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::TcpListener;
use std::process::Stdio;

use tempfile::TempDir;

use crate::support::artifacts::Version;
use crate::support::broker::{
    PORT_TAKEN, format_data, log_file, log_tail, new_folder, properties_file,
};
use crate::support::process::{Process, Signal};

const HEAP: &str = "256m";

/// Another process took a port between its choice and its use.
#[derive(Debug)]
pub(super) struct PortTaken;

/// The ports of one broker.
#[derive(Clone, Copy)]
pub(super) struct Ports {
    /// For the tests' clients and the other brokers.
    pub(super) plain: u16,
    /// For the listener behind the gate.
    pub(super) gated: u16,
}

impl Ports {
    /// Picks the controller's port and the ports of three brokers, chosen by the kernel: binds all
    /// at once, so that they differ, then releases them.
    pub(super) fn pick() -> (u16, [Ports; 3]) {
        let bound: Vec<TcpListener> = (0..7)
            .map(|_| TcpListener::bind(("127.0.0.1", 0)).expect("a free port on loopback"))
            .collect();
        let port = |nth: usize| bound[nth].local_addr().expect("its address").port();
        (port(0), [1, 3, 5].map(|nth| Ports { plain: port(nth), gated: port(nth + 1) }))
    }
}

pub(super) type Properties = BTreeMap<String, String>;

/// A running node. It ends on drop.
pub(super) struct Node {
    version: Version,
    id: i32,
    address: String,
    // Before the folder: fields drop in order, and the process must end first.
    process: Process,
    folder: TempDir,
    /// The size of the log, in bytes, when the process was last started.
    earlier: usize,
}

impl Node {
    /// Formats a new data folder and starts the process. Does not wait until it answers.
    pub(super) fn launch(
        version: Version,
        id: i32,
        cluster_id: &str,
        mut properties: Properties,
    ) -> Self {
        let folder = new_folder(&format!("node-{id}-{}-", version.number()));
        let data = folder.path().join("data").display().to_string();
        properties.insert("log.dirs".to_owned(), data);
        let text: String =
            properties.iter().map(|(key, value)| format!("{key}={value}\n")).collect();
        fs::write(properties_file(folder.path()), text).expect("the node's properties file");
        format_data(version, folder.path(), cluster_id);
        let listener = properties["listeners"].split(',').next().expect("a listener");
        let address = listener.rsplit('/').next().expect("its address").to_owned();
        let (process, earlier) = spawn(version, id, &folder);
        Self { version, id, address, process, folder, earlier }
    }

    pub(super) fn id(&self) -> i32 {
        self.id
    }

    /// `127.0.0.1:<port>` of the first listener.
    pub(super) fn address(&self) -> String {
        self.address.clone()
    }

    pub(super) fn pid(&self) -> u32 {
        self.process.pid()
    }

    pub(super) fn log_tail(&self) -> String {
        log_tail(&log_file(self.folder.path()))
    }

    pub(super) fn kill(&mut self) {
        self.process.kill();
    }

    #[track_caller]
    pub(super) fn signal(&mut self, signal: Signal) {
        self.process.signal(signal);
    }

    pub(super) fn restart(&mut self) {
        self.process.kill();
        (self.process, self.earlier) = spawn(self.version, self.id, &self.folder);
    }

    /// Whether it ended because another process had taken its port.
    ///
    /// # Panics
    /// If it ended for another reason; the message shows the end of its log.
    pub(super) fn lost_its_port(&mut self) -> bool {
        let Some(status) = self.process.exit_status() else { return false };
        let file = log_file(self.folder.path());
        let log = fs::read(&file).expect("the node's log file");
        let taken = String::from_utf8_lossy(&log[self.earlier..]).contains(PORT_TAKEN);
        assert!(taken, "node {} exited ({status}); {}", self.id, log_tail(&file));
        true
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let tail = log_tail(&log_file(self.folder.path()));
            eprintln!("node {} at {}: {tail}", self.id, self.address);
        }
    }
}

fn spawn(version: Version, id: i32, folder: &TempDir) -> (Process, usize) {
    let log = File::options()
        .create(true)
        .append(true)
        .open(log_file(folder.path()))
        .expect("the node's log file");
    let earlier = usize::try_from(log.metadata().expect("its size").len()).expect("a size");
    let mut command = version.java(HEAP, "kafka.Kafka");
    command
        .arg(properties_file(folder.path()))
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("the node's log file, twice"))
        .stderr(log);
    (Process::spawn(&format!("node {id} of {}", version.number()), command), earlier)
}

pub(super) fn controller_properties(port: u16) -> Properties {
    let mut properties = common_properties(port);
    properties.extend(owned(&[
        ("process.roles", "controller"),
        ("node.id", "100"),
        ("listeners", &format!("CONTROLLER://127.0.0.1:{port}")),
    ]));
    properties
}

pub(super) fn broker_properties(id: i32, ports: Ports, gate: u16, controller: u16) -> Properties {
    let Ports { plain, gated } = ports;
    let mut properties = common_properties(controller);
    properties.extend(owned(&[
        ("process.roles", "broker"),
        ("node.id", &id.to_string()),
        ("listeners", &format!("PLAINTEXT://127.0.0.1:{plain},GATED://127.0.0.1:{gated}")),
        (
            "advertised.listeners",
            &format!("PLAINTEXT://127.0.0.1:{plain},GATED://127.0.0.1:{gate}"),
        ),
        ("inter.broker.listener.name", "PLAINTEXT"),
    ]));
    properties
}

fn common_properties(controller: u16) -> Properties {
    owned(&[
        ("controller.quorum.voters", &format!("100@127.0.0.1:{controller}")),
        ("controller.listener.names", "CONTROLLER"),
        (
            "listener.security.protocol.map",
            "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,GATED:PLAINTEXT",
        ),
        ("default.replication.factor", "3"),
        ("offsets.topic.replication.factor", "3"),
        ("offsets.topic.num.partitions", "6"),
        ("transaction.state.log.replication.factor", "3"),
        ("transaction.state.log.min.isr", "2"),
        ("transaction.state.log.num.partitions", "6"),
        ("share.coordinator.state.topic.replication.factor", "1"),
        ("share.coordinator.state.topic.min.isr", "1"),
        ("group.initial.rebalance.delay.ms", "0"),
        ("group.min.session.timeout.ms", "1000"),
        // The controller moves a broker's leaderships after this long without a heartbeat.
        ("broker.session.timeout.ms", "3000"),
        ("broker.heartbeat.interval.ms", "500"),
        // Only faults move leaderships. A test moves them back itself.
        ("auto.leader.rebalance.enable", "false"),
        ("auto.create.topics.enable", "false"),
        // A transaction coordinator waits this long for a stopped broker to answer WriteTxnMarkers.
        // Meanwhile it refuses the shard's other transactions. The default is 30 s.
        ("request.timeout.ms", "5000"),
        // The default would take half of the heap.
        ("log.cleaner.dedupe.buffer.size", "4194304"),
    ])
}

fn owned(pairs: &[(&str, &str)]) -> Properties {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}
