//! The simulated cluster as a [`Side`]: its ports on turmoil's network, and requests that bypass them.

#![allow(clippy::wildcard_enum_match_arm, reason = "an unexpected kind of answer fails the test")]

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use sprag::ports::{FenceReader, Membership, Ports, TargetGroups, TopicReader, Transactions};
use sprag_core::failure::Failure;
use sprag_core::ids::{ClusterId, GroupId, TopicName};
use sprag_core::policy::CommitMode;
use sprag_core::time::Instant;
use sprag_mapping::Format;
use sprag_sim::clock::{SimClock, simulated};
use sprag_sim::cluster::{self, Cluster};
use sprag_sim::gate::Gate;
use sprag_sim::hosts::broker::Broker;
use sprag_sim::net::{Client, Mail};
use sprag_sim::ports::{SimPorts, Timing, Wiring};
use sprag_sim::wire::{Committed, Error, Partition, Producer, Protocol, Request, Response};

use super::members::Members;
use super::operation::{Answer, Code, Commit, Commits, Operation, Parts, Spot, State, TOPIC};
use super::side::{Instance, Requests, Side};
use crate::support::artifacts::Version;

const HOST: &str = "target";
const FENCES: &str = "__sprag.contract.fences";
const GROUP: &str = "group";
const SESSION: u64 = 300_000;

/// The simulated cluster's answer to each operation, and its state after it.
pub(crate) fn on_model(version: Version, operations: &[Operation]) -> Vec<(Answer, State)> {
    let mut sim = turmoil::Builder::new()
        .rng_seed(0)
        .simulation_duration(Duration::from_secs(3_600))
        .tick_duration(Duration::from_millis(1))
        .min_message_latency(Duration::ZERO)
        .max_message_latency(Duration::from_millis(1))
        .build();
    let (broker, mail) = (Broker::new(cluster(version), 1), Mail::default());
    let (served, its_mail) = (broker.clone(), mail.clone());
    sim.host(HOST, move || {
        let (broker, mail) = (served.clone(), its_mail.clone());
        async move { Ok(broker.run(mail, HOST).await?) }
    });
    let steps = Rc::new(RefCell::new(Vec::new()));
    let (taken, operations) = (Rc::clone(&steps), operations.to_vec());
    sim.client("client", async move {
        let client = Rc::new(Client::bind(mail, "client").await?);
        let receiving = Rc::clone(&client);
        let work = async {
            let another =
                Box::new(move || SimPorts::new(Rc::clone(&client), SimClock::default(), &wiring()));
            let mut side = Side::new(GROUP, ModelRequests { broker }, another);
            for (nth, operation) in operations.iter().enumerate() {
                let answer = side.perform(nth, operation).await;
                let state = side.state().await;
                taken.borrow_mut().push((answer, state));
            }
        };
        tokio::select! {
            () = receiving.receive() => panic!("the simulated network ended"),
            () = work => Ok(()),
        }
    });
    sim.run().expect("the simulated sequence");
    drop(sim);
    steps.take()
}

fn cluster(version: Version) -> Cluster {
    let version = match version {
        Version::V3_9 => cluster::Version::V3_9,
        Version::V4_3 | Version::V4_4 => cluster::Version::V4_3,
    };
    let mut cluster = Cluster::of_version(&ClusterId::from("model"), version);
    for (topic, partitions) in [(TOPIC, 2), (FENCES, 1)] {
        let topic = TopicName::from(topic);
        let create = Request::CreateTopic { topic, partitions };
        cluster.handle(Instant::from_millis(0), &Rc::from(""), create);
    }
    cluster
}

fn wiring() -> Wiring {
    Wiring {
        source: HOST.to_owned(),
        target: HOST.to_owned(),
        brokers: (1, 1),
        mapping_on_source: false,
        mapping_topic: TopicName::from("mappings"),
        mapping_format: Format::Native,
        fence_topic: TopicName::from(FENCES),
        coordination_group: GroupId::from(GROUP),
        member: "instance".to_owned(),
        transactional_prefix: "contract".to_owned(),
        mode: CommitMode::Fenced,
        timing: Timing {
            request: 1_000,
            transaction: 600_000,
            transaction_call: 5_000,
            session: SESSION,
        },
        gate: Gate::default(),
    }
}

impl Instance for SimPorts {
    fn groups(&self) -> &impl TargetGroups {
        self.target_groups()
    }

    fn fence_reader(&self) -> &impl FenceReader {
        Ports::fence_reader(self)
    }

    fn transactions(&self) -> &impl Transactions {
        Ports::transactions(self)
    }

    async fn members(&self) -> Result<usize, Failure> {
        self.membership().members().await
    }

    fn topics(&self) -> &impl TopicReader {
        self.topic_reader()
    }
}

struct ModelRequests {
    broker: Broker,
}

impl ModelRequests {
    fn ask(&self, request: Request) -> Response {
        self.broker.act(|cluster| cluster.handle(simulated(), &Rc::from("client"), request))
    }

    /// A request whose answer is only success or an error.
    fn done(&self, request: Request) -> Result<(), Code> {
        if let Response::Failed(error) = self.ask(request) {
            return Err(code(error));
        }
        Ok(())
    }

    fn parts(&self, request: Request) -> Parts {
        match self.ask(request) {
            Response::Committed(parts) => Ok(parts
                .into_iter()
                .map(|(at, outcome)| (spot(&at), outcome.map_err(code)))
                .collect()),
            Response::Failed(error) => Err(code(error)),
            other => panic!("{other:?}"),
        }
    }

    fn ask_as_member(
        &self,
        members: &mut Members,
        slot: usize,
        request: Request,
    ) -> Result<(), Code> {
        match self.ask(request) {
            Response::Member { generation, assigned } => {
                let member = &mut members.slots[slot];
                member.generation = generation;
                member.assigned = assigned.into_iter().map(|at| at.partition).collect();
                Ok(())
            }
            Response::Failed(error) => Err(code(error)),
            other => panic!("{other:?}"),
        }
    }
}

impl ModelRequests {
    fn join_as(&self, members: &mut Members, slot: usize, protocol: Protocol) -> Result<(), Code> {
        members.slots[slot].id = format!("member-{slot}");
        let join = Request::Join {
            group: GroupId::from(GROUP),
            member: members.slots[slot].id.clone(),
            protocol,
            topic: TopicName::from(TOPIC),
            session_millis: SESSION,
        };
        self.ask_as_member(members, slot, join)
    }
}

impl Requests for ModelRequests {
    fn join(&mut self, members: &mut Members, slot: usize, protocol: Protocol) -> Result<(), Code> {
        self.join_as(members, slot, protocol)?;
        match protocol {
            Protocol::Consumer => Ok(()),
            Protocol::Classic => {
                members.slots[slot].speaks = Some(protocol);
                self.settle(members)
            }
        }
    }

    fn join_and_wait(&mut self, members: &mut Members, slot: usize) -> Result<(), Code> {
        self.join_as(members, slot, Protocol::Classic)
    }

    fn wait_no_more(&mut self, _slot: usize) {}

    fn settle(&mut self, members: &mut Members) -> Result<(), Code> {
        // A partition given up in one round is assigned in the next.
        let mut quiet = 0;
        while quiet < 2 {
            let before = members.assignments();
            for slot in members.live() {
                let generation = members.slots[slot].generation;
                self.beat(members, slot, generation)?;
            }
            quiet = if members.assignments() == before { quiet + 1 } else { 0 };
        }
        Ok(())
    }

    fn beat(&mut self, members: &mut Members, slot: usize, generation: i32) -> Result<(), Code> {
        let member = &members.slots[slot];
        let own =
            |partition: &i32| Partition { topic: TopicName::from(TOPIC), partition: *partition };
        let beat = Request::Heartbeat {
            group: GroupId::from(GROUP),
            member: member.id.clone(),
            generation,
            acknowledged: member.assigned.iter().map(own).collect(),
        };
        self.ask_as_member(members, slot, beat)
    }

    fn leave(&mut self, id: &str, _protocol: Protocol) -> Result<(), Code> {
        self.done(Request::Leave { group: GroupId::from(GROUP), member: id.to_owned() })
    }

    fn commit(&mut self, member: &str, generation: i32, commits: &Commits) -> Parts {
        self.parts(Request::OffsetCommit {
            group: GroupId::from(GROUP),
            member: member.to_owned(),
            generation,
            offsets: offsets(commits),
        })
    }

    fn init_producer(&mut self) -> Result<Producer, Code> {
        let (transactional_id, timeout_millis) = ("raw".to_owned(), 600_000);
        match self.ask(Request::InitProducer { transactional_id, timeout_millis }) {
            Response::Initialised(producer) => Ok(producer),
            Response::Failed(error) => Err(code(error)),
            other => panic!("{other:?}"),
        }
    }

    fn commit_in_transaction(
        &mut self,
        producer: &Producer,
        member: &str,
        generation: i32,
        commits: &Commits,
    ) -> Parts {
        self.parts(Request::TxnOffsetCommit {
            producer: producer.clone(),
            group: GroupId::from(GROUP),
            member: member.to_owned(),
            generation,
            offsets: offsets(commits),
        })
    }

    fn end(&mut self, producer: &Producer, commit: bool) -> Result<(), Code> {
        self.done(Request::EndTxn { producer: producer.clone(), commit })
    }

    fn delete_offsets(&mut self, spots: &[Spot]) -> Parts {
        let at = spots.iter().map(|spot| partition(*spot)).collect();
        self.parts(Request::OffsetDelete { group: GroupId::from(GROUP), at })
    }

    fn delete_group(&mut self) -> Result<(), Code> {
        self.done(Request::DeleteGroup { group: GroupId::from(GROUP) })
    }

    fn members(&mut self) -> usize {
        match self.ask(Request::DescribeGroup { group: GroupId::from(GROUP) }) {
            Response::Described { members } => members,
            Response::Failed(_) => 0,
            other => panic!("{other:?}"),
        }
    }

    /// The model keeps no leader epochs. They follow from the committed offsets.
    fn leader_epochs(&mut self) -> BTreeMap<Spot, i32> {
        let at: BTreeSet<_> = Spot::ALL.into_iter().map(partition).collect();
        let fetch =
            Request::OffsetFetch { group: GroupId::from(GROUP), at: Some(at), stable: false };
        let Response::Fetches(fetched) = self.ask(fetch) else {
            panic!("no answer to a fetch");
        };
        let epoch = |(at, found): (Partition, Result<Option<Committed>, Error>)| {
            let Committed { offset, metadata } = found.ok().flatten()?;
            Some((spot(&at), Commit { offset, metadata }.leader_epoch()))
        };
        fetched.into_iter().filter_map(epoch).collect()
    }
}

fn offsets(commits: &Commits) -> BTreeMap<Partition, Committed> {
    let one = |(spot, commit): (&Spot, &Commit)| {
        let Commit { offset, metadata } = commit.clone();
        (partition(*spot), Committed { offset, metadata })
    };
    commits.iter().map(one).collect()
}

fn partition(spot: Spot) -> Partition {
    let (topic, partition) = spot.place();
    Partition { topic: TopicName::from(topic), partition }
}

fn spot(at: &Partition) -> Spot {
    Spot::at(at.topic.as_str(), at.partition).expect("a partition that was asked about")
}

fn code(error: Error) -> Code {
    Code(error.code())
}
