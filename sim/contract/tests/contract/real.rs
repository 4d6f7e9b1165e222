//! A real cluster as a [`Side`]: the adapter's ports, and requests of a raw client that bypass them.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};

use sprag::kafka::client::{AdminClient, Properties};
use sprag::kafka::clock::ProcessClock;
use sprag::kafka::fence_reader::KafkaFenceReader;
use sprag::kafka::groups::KafkaTargetGroups;
use sprag::kafka::membership::MemberCount;
use sprag::kafka::topics::KafkaTopics;
use sprag::kafka::transactions::KafkaTransactions;
use sprag::ports::{FenceReader, TargetGroups, TopicReader, Transactions};
use sprag_core::action::ReadScope;
use sprag_core::failure::Failure;
use sprag_core::ids::{GroupId, Shard, TopicName};
use sprag_core::policy::CommitMode;

use super::operation::TOPIC;
use super::raw::RawRequests;
use super::side::{Instance, Side};
use crate::support::DEADLINE;
use crate::support::artifacts::Version;
use crate::support::broker::Broker;
use crate::support::clients::block_on;
use crate::support::topics::create_topic;
use crate::support::wait::eventually;

const FENCES: &str = "__sprag.contract.fences";

/// The ports of one instance, as the daemon has them.
pub(crate) struct Adapter {
    groups: KafkaTargetGroups,
    fence_reader: KafkaFenceReader,
    transactions: KafkaTransactions,
    members: MemberCount,
    topics: KafkaTopics,
}

/// Starts a broker with the topics that a sequence needs.
pub(crate) fn start(version: Version) -> Broker {
    let broker = match version {
        Version::V3_9 => Broker::start(version),
        // With this, a KIP-848 group enters its next epoch at once.
        Version::V4_3 | Version::V4_4 => {
            Broker::start_with(version, &[("group.consumer.assignment.interval.ms", "0")])
        }
    };
    create_topic(&broker, TOPIC, 2);
    create_topic(&broker, FENCES, 1);
    wait_for_coordinators(&broker);
    broker
}

/// Waits until every partition of `__consumer_offsets` answers.
fn wait_for_coordinators(broker: &Broker) {
    let adapter = Adapter::of(&broker.bootstrap(), ProcessClock::start(), "nobody", "sprag.nobody");
    let init = || block_on(adapter.transactions.init(Shard(0)));
    eventually(DEADLINE, "a transaction coordinator", init);
    // Enough names to hit every partition.
    for nth in 0..32 {
        let group = GroupId::from(format!("nobody-{nth}").as_str());
        let all = ReadScope::AllAnd(BTreeSet::new());
        let read = || block_on(adapter.groups.offsets(&group, None, &all, true));
        eventually(DEADLINE, "a group coordinator", read);
    }
}

/// A group and transactional.ids that were never used before.
pub(crate) fn fresh(broker: &Broker) -> Side<RawRequests, Adapter> {
    static RUNS: AtomicU32 = AtomicU32::new(0);
    let run = RUNS.fetch_add(1, Ordering::Relaxed);
    let (group, bootstrap) = (format!("group-{run}"), broker.bootstrap());
    let requests = RawRequests::new(&bootstrap, &group, &format!("raw-{run}"), broker.version());
    let clock = ProcessClock::start();
    let coordinated = group.clone();
    let another =
        move || Adapter::of(&bootstrap, clock, &coordinated, &format!("sprag.contract-{run}"));
    Side::new(&group, requests, Box::new(another))
}

impl Adapter {
    fn of(bootstrap: &str, clock: ProcessClock, group: &str, prefix: &str) -> Self {
        let properties = Properties::from([("bootstrap.servers".to_owned(), bootstrap.to_owned())]);
        let admin = Rc::new(AdminClient::new(properties.clone(), "target", clock));
        let shared = || Rc::clone(&admin);
        let fences = TopicName::from(FENCES);
        Self {
            fence_reader: KafkaFenceReader::new(properties.clone(), fences.clone()),
            transactions: KafkaTransactions::new(
                properties,
                fences.clone(),
                prefix.to_owned(),
                CommitMode::Fenced,
            ),
            members: MemberCount::of(group, shared()),
            topics: KafkaTopics::new(shared(), shared(), shared(), fences.clone(), fences),
            groups: KafkaTargetGroups::new(admin, clock),
        }
    }
}

impl Instance for Adapter {
    fn groups(&self) -> &impl TargetGroups {
        &self.groups
    }

    fn fence_reader(&self) -> &impl FenceReader {
        &self.fence_reader
    }

    fn transactions(&self) -> &impl Transactions {
        &self.transactions
    }

    async fn members(&self) -> Result<usize, Failure> {
        self.members.read().await
    }

    fn topics(&self) -> &impl TopicReader {
        &self.topics
    }
}
