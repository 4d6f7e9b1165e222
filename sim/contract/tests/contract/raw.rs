//! Hand-written Kafka requests, for what librdkafka's clients do not let a test choose: member ids,
//! generations, and when requests are sent.

mod classic;
mod connection;
mod consumer;
mod offsets;
mod transactions;

use std::collections::BTreeMap;

use kafka_protocol::messages::{DescribeGroupsRequest, GroupId};
use kafka_protocol::protocol::StrBytes;
use sprag_sim::wire::{Producer, Protocol};
use uuid::Uuid;

use self::connection::Connection;
use super::members::Members;
use super::operation::{Code, Commits, Parts, SLOTS, Spot};
use super::side::Requests;
use crate::support::artifacts::Version;

/// A client for one group, with one connection per member.
pub(crate) struct RawRequests {
    group: GroupId,
    transactional_id: String,
    bootstrap: String,
    client: Connection,
    members: Vec<Connection>,
    topic_id: Option<Uuid>,
    /// Whether the broker supports KIP-848 groups.
    serves_consumer: bool,
}

impl RawRequests {
    pub(crate) fn new(
        bootstrap: &str,
        group: &str,
        transactional_id: &str,
        version: Version,
    ) -> Self {
        Self {
            group: GroupId(text(group)),
            transactional_id: transactional_id.to_owned(),
            bootstrap: bootstrap.to_owned(),
            client: Connection::open(bootstrap),
            members: (0..SLOTS).map(|_| Connection::open(bootstrap)).collect(),
            topic_id: None,
            serves_consumer: match version {
                Version::V3_9 => false,
                Version::V4_3 | Version::V4_4 => true,
            },
        }
    }
}

impl Requests for RawRequests {
    fn join(&mut self, members: &mut Members, slot: usize, protocol: Protocol) -> Result<(), Code> {
        match protocol {
            Protocol::Classic => self.join_classic(members, slot),
            Protocol::Consumer => self.join_consumer(members, slot),
        }
    }

    fn join_and_wait(&mut self, members: &mut Members, slot: usize) -> Result<(), Code> {
        self.join_classic_and_wait(members, slot)
    }

    /// Drops the connection, because nobody awaits its outstanding answer.
    fn wait_no_more(&mut self, slot: usize) {
        self.members[slot] = Connection::open(&self.bootstrap);
    }

    fn settle(&mut self, members: &mut Members) -> Result<(), Code> {
        match members.protocol() {
            Some(Protocol::Classic) if members.unsettled => self.join_again(members, None),
            Some(Protocol::Consumer) => self.settle_consumer(members),
            Some(Protocol::Classic) | None => Ok(()),
        }
    }

    fn beat(&mut self, members: &mut Members, slot: usize, generation: i32) -> Result<(), Code> {
        match members.slots[slot].speaks {
            Some(Protocol::Consumer) => self.beat_consumer(members, slot, generation),
            Some(Protocol::Classic) | None => {
                self.beat_classic(&members.slots[slot].id, generation)
            }
        }
    }

    fn leave(&mut self, id: &str, protocol: Protocol) -> Result<(), Code> {
        match protocol {
            Protocol::Classic => self.leave_classic(id),
            Protocol::Consumer => self.leave_consumer(id),
        }
    }

    fn commit(&mut self, member: &str, generation: i32, commits: &Commits) -> Parts {
        self.offset_commit(member, generation, commits)
    }

    fn init_producer(&mut self) -> Result<Producer, Code> {
        self.init_producer_id()
    }

    fn commit_in_transaction(
        &mut self,
        producer: &Producer,
        member: &str,
        generation: i32,
        commits: &Commits,
    ) -> Parts {
        self.add_offsets(producer)?;
        self.txn_offset_commit(producer, member, generation, commits)
    }

    fn end(&mut self, producer: &Producer, commit: bool) -> Result<(), Code> {
        self.end_txn(producer, commit)
    }

    fn delete_offsets(&mut self, spots: &[Spot]) -> Parts {
        self.offset_delete(spots)
    }

    fn delete_group(&mut self) -> Result<(), Code> {
        self.delete_groups()
    }

    fn members(&mut self) -> usize {
        self.described_classic().max(self.described_consumer())
    }

    fn leader_epochs(&mut self) -> BTreeMap<Spot, i32> {
        self.fetched_leader_epochs()
    }
}

impl RawRequests {
    fn described_classic(&mut self) -> usize {
        let request = DescribeGroupsRequest::default().with_groups(vec![self.group.clone()]);
        let described = self.client.ask(&request, 5);
        described.groups.first().map_or(0, |group| group.members.len())
    }
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}
