//! A cluster of three Apache Kafka brokers on loopback with a separate controller, owned by a test.
//! Whichever broker fails, the controller quorum stays up.

mod node;

use super::DEADLINE;
use super::alone;
use super::artifacts::Version;
use super::broker::new_cluster_id;
use super::class_archive;
use super::cluster::Cluster;
use super::coordinators::{Layout, OFFSETS, TRANSACTIONS, create_internal_topics, live_brokers};
use super::gate::Gate;
use super::process::Signal;
use super::topics::create_topic_on;
use super::wait::{eventually, try_eventually};
use node::{Node, PortTaken, Ports, broker_properties, controller_properties};

/// The brokers' ids.
pub(crate) const IDS: [i32; 3] = [1, 2, 3];

/// How often to try a start: another process may take a port between its choice and its use.
const PORT_ATTEMPTS: usize = 5;

/// Three running brokers and their controller. Dropping it ends all of them. Internal topics have
/// three replicas. A broker whose process does not answer loses its leaderships after three
/// seconds, when its session expires.
///
/// Each broker has two listeners: one for the tests' own clients and for the other brokers
/// ([`Cluster::bootstrap`]), and one behind a [`Gate`] ([`Brokers::gated`]).
pub(crate) struct Brokers {
    version: Version,
    cluster_id: String,
    brokers: Vec<Node>,
    gates: Vec<Gate>,
    _controller: Node,
}

impl Brokers {
    /// Starts a new, empty cluster. Its internal topics exist, and each broker leads some
    /// partitions of both.
    ///
    /// # Panics
    /// If it does not answer within [`DEADLINE`], or if the test does not hold an [`alone::Turn`].
    #[track_caller]
    pub(crate) fn start(version: Version) -> Self {
        alone::insist();
        class_archive::ensure(version);
        for _ in 0..PORT_ATTEMPTS {
            if let Ok(cluster) = Self::try_start(version) {
                create_internal_topics(&cluster.bootstrap());
                cluster.wait_for_leaders(&[OFFSETS, TRANSACTIONS]);
                cluster.elect_preferred_leaders();
                return cluster;
            }
        }
        panic!(
            "cannot start a cluster: another process took one of its ports {PORT_ATTEMPTS} times in a row"
        );
    }

    fn try_start(version: Version) -> Result<Self, PortTaken> {
        let (controller_port, ports) = Ports::pick();
        let gates: Vec<Gate> = ports.iter().map(|ports| Gate::to(ports.gated)).collect();
        let cluster_id = new_cluster_id();
        let (controller, brokers) = std::thread::scope(|scope| {
            let id = cluster_id.as_str();
            let controller = scope.spawn(move || {
                Node::launch(version, 100, id, controller_properties(controller_port))
            });
            let brokers: Vec<_> = (IDS.into_iter().zip(ports).zip(&gates))
                .map(|((node, ports), gate)| {
                    let properties = broker_properties(node, ports, gate.port(), controller_port);
                    scope.spawn(move || Node::launch(version, node, id, properties))
                })
                .collect();
            let join = |started: std::thread::ScopedJoinHandle<'_, Node>| {
                started.join().expect("a node whose data folder can be formatted")
            };
            (join(controller), brokers.into_iter().map(join).collect())
        });
        let mut cluster = Self { version, cluster_id, brokers, gates, _controller: controller };
        let answer = try_eventually(DEADLINE, || cluster.readiness());
        match answer {
            Ok(Ok(())) => Ok(cluster),
            Ok(Err(taken)) => Err(taken),
            Err(last) => panic!("a new cluster did not answer within {DEADLINE:?}: {last}"),
        }
    }

    /// `Ok(Ok(()))` once all brokers are live, `Ok(Err(_))` if a node ended because its port was
    /// taken.
    fn readiness(&mut self) -> Result<Result<(), PortTaken>, String> {
        for node in std::iter::once(&mut self._controller).chain(&mut self.brokers) {
            if node.lost_its_port() {
                return Ok(Err(PortTaken));
            }
        }
        self.all_live(&self.bootstrap()).map(Ok)
    }

    fn all_live(&self, bootstrap: &str) -> Result<(), String> {
        match live_brokers(bootstrap)? {
            (id, brokers) if id == self.cluster_id && brokers == IDS => Ok(()),
            (id, brokers) => Err(format!("cluster {id} has the live brokers {brokers:?}")),
        }
    }

    /// `127.0.0.1:<port>` of each broker's gate, comma-separated, for the program under test.
    pub(crate) fn gated(&self) -> String {
        let addresses = self.gates.iter().map(|gate| format!("127.0.0.1:{}", gate.port()));
        addresses.collect::<Vec<_>>().join(",")
    }

    /// The gate in front of a broker.
    pub(crate) fn gate(&self, broker: i32) -> &Gate {
        &self.gates[index(broker)]
    }

    /// The addresses of all brokers but this one, comma-separated.
    pub(crate) fn bootstrap_without(&self, broker: i32) -> String {
        let others = self.brokers.iter().filter(|node| node.id() != broker);
        others.map(Node::address).collect::<Vec<_>>().join(",")
    }

    /// Sends SIGKILL and waits until the process is gone. Keeps the data for [`Brokers::restart`].
    pub(crate) fn kill(&mut self, broker: i32) {
        self.brokers[index(broker)].kill();
    }

    /// Sends SIGSTOP: the broker keeps its sockets open and answers nothing.
    pub(crate) fn stop_signal(&mut self, broker: i32) {
        self.brokers[index(broker)].signal(Signal::Stop);
    }

    /// Sends SIGCONT: the broker continues where it stopped.
    pub(crate) fn cont_signal(&mut self, broker: i32) {
        self.brokers[index(broker)].signal(Signal::Continue);
    }

    /// Restarts a broker on the same ports and data. Kills it first if it still runs. Does not wait
    /// until it answers: [`Brokers::wait_until_back`] does.
    pub(crate) fn restart(&mut self, broker: i32) {
        self.brokers[index(broker)].restart();
    }

    /// The process id of a broker.
    pub(crate) fn pid(&self, broker: i32) -> u32 {
        self.brokers[index(broker)].pid()
    }

    /// What each broker but this one knows about the coordinators of groups, and the end of its log:
    /// for messages that explain why something is late.
    pub(crate) fn state_without(&self, broker: i32) -> String {
        let others = self.brokers.iter().filter(|node| node.id() != broker);
        let each = others.map(|node| {
            let known = Layout::of(&node.address(), OFFSETS);
            format!("broker {}: {OFFSETS}: {known:?}; {}", node.id(), node.log_tail())
        });
        each.collect::<Vec<_>>().join("\n")
    }

    /// The layout of a topic, according to any broker but this one.
    ///
    /// # Errors
    /// If the layout cannot be read; the text says why.
    pub(crate) fn layout_without(&self, broker: i32, topic: &str) -> Result<Layout, String> {
        Layout::of(&self.bootstrap_without(broker), topic)
    }

    /// The layout of a topic, once each partition has a leader.
    #[track_caller]
    pub(crate) fn layout(&self, topic: &str) -> Layout {
        eventually(DEADLINE, &format!("the leaders of {topic}"), || {
            let layout = Layout::of(&self.bootstrap(), topic)?;
            if layout.is_led() { Ok(layout) } else { Err(format!("{layout:?}")) }
        })
    }

    /// Waits until a broker leads no partition of either internal topic, and each partition has a
    /// leader.
    #[track_caller]
    pub(crate) fn wait_for_election_without(&self, broker: i32) {
        for topic in [OFFSETS, TRANSACTIONS] {
            eventually(DEADLINE, &format!("other leaders than {broker} of {topic}"), || {
                let layout = self.layout_without(broker, topic)?;
                let moved = layout.is_led() && layout.led_by(broker).is_empty();
                if moved { Ok(()) } else { Err(format!("{layout:?}")) }
            });
        }
    }

    /// Waits until the other brokers report a broker as live again, and each partition of `topics`
    /// has a leader. Pass the topics whose only replica is on that broker.
    #[track_caller]
    pub(crate) fn wait_until_back(&mut self, broker: i32, topics: &[&str]) {
        let others = self.bootstrap_without(broker);
        eventually(DEADLINE, &format!("broker {broker} to be back"), || {
            // A client that tries to reconnect may itself hold the port for a moment.
            if self.brokers[index(broker)].lost_its_port() {
                self.restart(broker);
            }
            self.all_live(&others)
        });
        self.wait_for_leaders_at(&others, topics);
    }

    /// Returns every partition to its preferred leader, with Kafka's own tool. After a fault, the
    /// survivors lead everything that has more than one replica.
    #[track_caller]
    pub(crate) fn elect_preferred_leaders(&self) {
        eventually(DEADLINE, "the preferred leaders", || {
            let layouts = [OFFSETS, TRANSACTIONS].map(|topic| self.layout(topic));
            if layouts.iter().all(Layout::is_preferred) {
                return Ok(());
            }
            let mut tool =
                self.version.java("128m", "org.apache.kafka.tools.LeaderElectionCommand");
            tool.args(["--bootstrap-server", &self.bootstrap()]).args([
                "--election-type",
                "preferred",
                "--all-topic-partitions",
            ]);
            let output = tool.output().expect("java, which runs the brokers");
            let printed = String::from_utf8_lossy(&output.stdout).into_owned();
            Err(printed + &String::from_utf8_lossy(&output.stderr))
        });
    }

    /// Creates a topic with one partition, whose only replica is on this broker.
    #[track_caller]
    pub(crate) fn create_topic_at(&self, topic: &str, broker: i32) {
        create_topic_on(self, topic, &[&[broker]], &[]);
    }

    fn wait_for_leaders(&self, topics: &[&str]) {
        self.wait_for_leaders_at(&self.bootstrap(), topics);
    }

    #[track_caller]
    fn wait_for_leaders_at(&self, bootstrap: &str, topics: &[&str]) {
        for topic in topics {
            eventually(DEADLINE, &format!("a leader of each partition of {topic}"), || {
                let layout = Layout::of(bootstrap, topic)?;
                if layout.is_led() { Ok(()) } else { Err(format!("{layout:?}")) }
            });
        }
    }
}

impl Cluster for Brokers {
    fn bootstrap(&self) -> String {
        self.brokers.iter().map(Node::address).collect::<Vec<_>>().join(",")
    }

    fn version(&self) -> Version {
        self.version
    }

    fn cluster_id(&self) -> &str {
        &self.cluster_id
    }
}

fn index(broker: i32) -> usize {
    IDS.iter().position(|id| *id == broker).expect("one of the three brokers")
}
