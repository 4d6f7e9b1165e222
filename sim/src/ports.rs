//! The ports of one simulated instance of Sprag. Every call is a message to a simulated cluster and fails
//! like a call of the real adapter.

mod classify;
mod fence_reader;
mod groups;
mod link;
mod mappings;
mod membership;
mod topics;
mod transactions;

use std::rc::Rc;

use sprag::ports::Ports;
use sprag_core::ids::{GroupId, TopicName};
use sprag_core::policy::CommitMode;
use sprag_mapping::Format;

pub use self::classify::Doing;
use self::fence_reader::SimFenceReader;
use self::groups::{SimSourceGroups, SimTargetGroups};
pub use self::link::Link;
use self::mappings::SimMappings;
use self::membership::SimMembership;
use self::topics::SimTopics;
use self::transactions::SimTransactions;
use crate::clock::SimClock;
use crate::gate::Gate;
use crate::net::Client;

/// The configuration of an instance's ports.
#[derive(Clone)]
pub struct Wiring {
    /// The host of the source cluster.
    pub source: String,
    /// The host of the target cluster.
    pub target: String,
    /// Number of brokers of the source and of the target.
    pub brokers: (usize, usize),
    /// Whether the mapping topic is on the source cluster.
    pub mapping_on_source: bool,
    /// The mapping topic.
    pub mapping_topic: TopicName,
    /// The format of the mapping topic.
    pub mapping_format: Format,
    /// The fence topic.
    pub fence_topic: TopicName,
    /// The coordination group.
    pub coordination_group: GroupId,
    /// This instance's member id in the coordination group.
    pub member: String,
    /// The prefix of the transactional.ids.
    pub transactional_prefix: String,
    /// How offsets are committed.
    pub mode: CommitMode,
    /// The time-outs, shorter than the real ones.
    pub timing: Timing,
    /// Freezes the process at a step of a commit.
    pub gate: Gate,
}

/// Time-outs in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// The time-out of a request.
    pub request: u64,
    /// `transaction.timeout.ms`.
    pub transaction: u64,
    /// The time-out of a transactional call; longer than `transaction`.
    pub transaction_call: u64,
    /// `session.timeout.ms` of the coordination group.
    pub session: u64,
}

/// The ports of one instance.
pub struct SimPorts {
    clock: SimClock,
    source_groups: SimSourceGroups,
    target_groups: SimTargetGroups,
    topics: SimTopics,
    mappings: SimMappings,
    membership: SimMembership,
    fence_reader: SimFenceReader,
    transactions: SimTransactions,
}

impl SimPorts {
    /// Creates the ports of one client.
    #[must_use]
    pub fn new(client: Rc<Client>, clock: SimClock, wiring: &Wiring) -> Self {
        let link = |host: &str, brokers| {
            Link::new(Rc::clone(&client), host, clock.clone(), wiring.timing, brokers)
        };
        let source = link(&wiring.source, wiring.brokers.0);
        let target = link(&wiring.target, wiring.brokers.1);
        let mapping = if wiring.mapping_on_source { source.clone() } else { target.clone() };
        Self {
            source_groups: SimSourceGroups::new(source.clone()),
            target_groups: SimTargetGroups::new(target.clone(), wiring.gate.clone()),
            topics: SimTopics::new(source, target.clone(), mapping.clone(), wiring),
            mappings: SimMappings::new(mapping, wiring),
            membership: SimMembership::new(target.clone(), wiring),
            fence_reader: SimFenceReader::new(target.clone(), wiring),
            transactions: SimTransactions::new(target, wiring),
            clock,
        }
    }

    /// Runs what the process does alongside the driver: reading mappings and sending heartbeats.
    pub async fn run(&self) {
        futures::join!(self.mappings.run(), self.membership.run());
    }
}

impl Ports for SimPorts {
    type Clock = SimClock;
    type SourceGroups = SimSourceGroups;
    type TargetGroups = SimTargetGroups;
    type TopicReader = SimTopics;
    type Mappings = SimMappings;
    type Membership = SimMembership;
    type FenceReader = SimFenceReader;
    type Transactions = SimTransactions;

    fn clock(&self) -> &SimClock {
        &self.clock
    }

    fn source_groups(&self) -> &SimSourceGroups {
        &self.source_groups
    }

    fn target_groups(&self) -> &SimTargetGroups {
        &self.target_groups
    }

    fn topic_reader(&self) -> &SimTopics {
        &self.topics
    }

    fn mappings(&self) -> &SimMappings {
        &self.mappings
    }

    fn membership(&self) -> &SimMembership {
        &self.membership
    }

    fn fence_reader(&self) -> &SimFenceReader {
        &self.fence_reader
    }

    fn transactions(&self) -> &SimTransactions {
        &self.transactions
    }
}
