//! Members that use ConsumerGroupHeartbeat (KIP-848).

use kafka_protocol::messages::consumer_group_heartbeat_request::TopicPartitions;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{
    ConsumerGroupDescribeRequest, ConsumerGroupHeartbeatRequest, ConsumerGroupHeartbeatResponse,
    MetadataRequest, TopicName,
};
use uuid::Uuid;

use super::{RawRequests, text};
use crate::members::Members;
use crate::operation::{Code, TOPIC};

const HEARTBEAT: i16 = 0;
const DESCRIBE: i16 = 0;
const METADATA: i16 = 12;
const PATIENCE: i32 = 300_000;

impl RawRequests {
    pub(super) fn join_consumer(&mut self, members: &mut Members, slot: usize) -> Result<(), Code> {
        let beat = ConsumerGroupHeartbeatRequest::default()
            .with_group_id(self.group.clone())
            .with_member_epoch(0)
            .with_rebalance_timeout_ms(PATIENCE)
            .with_subscribed_topic_names(Some(vec![TopicName(text(TOPIC))]))
            .with_topic_partitions(Some(Vec::new()));
        let answer = self.members[slot].ask(&beat, HEARTBEAT);
        Code::check(answer.error_code)?;
        let id = answer.member_id.as_ref().expect("the member's id");
        members.slots[slot].id = id.to_string();
        members.slots[slot].assigned.clear();
        learn(members, slot, &answer);
        Ok(())
    }

    pub(super) fn beat_consumer(
        &mut self,
        members: &mut Members,
        slot: usize,
        generation: i32,
    ) -> Result<(), Code> {
        let member = &members.slots[slot];
        let owned = TopicPartitions::default()
            .with_topic_id(self.topic_id())
            .with_partitions(member.assigned.iter().copied().collect());
        let owned = if member.assigned.is_empty() { Vec::new() } else { vec![owned] };
        let beat = ConsumerGroupHeartbeatRequest::default()
            .with_group_id(self.group.clone())
            .with_member_id(text(&member.id))
            .with_member_epoch(generation)
            .with_rebalance_timeout_ms(-1)
            .with_subscribed_topic_names(None)
            .with_topic_partitions(Some(owned));
        let answer = self.members[slot].ask(&beat, HEARTBEAT);
        Code::check(answer.error_code)?;
        learn(members, slot, &answer);
        Ok(())
    }

    /// Sends heartbeats until no member learns anything new.
    pub(super) fn settle_consumer(&mut self, members: &mut Members) -> Result<(), Code> {
        // A partition given up in one round is assigned in the next.
        let mut quiet = 0;
        while quiet < 2 {
            let before = members.assignments();
            for slot in members.live() {
                let generation = members.slots[slot].generation;
                self.beat_consumer(members, slot, generation)?;
            }
            quiet = if members.assignments() == before { quiet + 1 } else { 0 };
        }
        Ok(())
    }

    pub(super) fn leave_consumer(&mut self, id: &str) -> Result<(), Code> {
        let leave = ConsumerGroupHeartbeatRequest::default()
            .with_group_id(self.group.clone())
            .with_member_id(text(id))
            .with_member_epoch(-1);
        Code::check(self.client.ask(&leave, HEARTBEAT).error_code)
    }

    pub(super) fn described_consumer(&mut self) -> usize {
        if !self.serves_consumer {
            return 0;
        }
        let request =
            ConsumerGroupDescribeRequest::default().with_group_ids(vec![self.group.clone()]);
        let described = self.client.ask(&request, DESCRIBE);
        described.groups.first().map_or(0, |group| group.members.len())
    }

    fn topic_id(&mut self) -> Uuid {
        if let Some(id) = self.topic_id {
            return id;
        }
        let topic = MetadataRequestTopic::default().with_name(Some(TopicName(text(TOPIC))));
        let request = MetadataRequest::default().with_topics(Some(vec![topic]));
        let answer = self.client.ask(&request, METADATA);
        let id = answer.topics.first().expect("the topic").topic_id;
        self.topic_id = Some(id);
        id
    }
}

/// An answer without an assignment leaves the assignment unchanged.
fn learn(members: &mut Members, slot: usize, answer: &ConsumerGroupHeartbeatResponse) {
    let member = &mut members.slots[slot];
    member.generation = answer.member_epoch;
    if let Some(assignment) = &answer.assignment {
        let parts = assignment.topic_partitions.iter();
        member.assigned = parts.flat_map(|part| part.partitions.iter().copied()).collect();
    }
}
