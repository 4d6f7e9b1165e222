//! Members that use JoinGroup and SyncGroup.

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::join_group_request::JoinGroupRequestProtocol;
use kafka_protocol::messages::leave_group_request::MemberIdentity;
use kafka_protocol::messages::sync_group_request::SyncGroupRequestAssignment;
use kafka_protocol::messages::{
    GroupId, HeartbeatRequest, JoinGroupRequest, JoinGroupResponse, LeaveGroupRequest,
    SyncGroupRequest,
};

use super::{RawRequests, text};
use crate::members::Members;
use crate::operation::{Code, TOPIC};
use crate::support::DEADLINE;
use crate::support::wait::eventually;

const JOIN: i16 = 9;
const SYNC: i16 = 5;
const HEARTBEAT: i16 = 4;
const LEAVE: i16 = 5;
const PATIENCE: i32 = 300_000;
const MEMBER_ID_REQUIRED: i16 = 79;
const REBALANCE_IN_PROGRESS: i16 = 27;
const PARTITIONS: i32 = 2;

impl RawRequests {
    /// Adds a member and lets all others rejoin.
    pub(super) fn join_classic(&mut self, members: &mut Members, slot: usize) -> Result<(), Code> {
        self.join_classic_and_wait(members, slot)?;
        self.join_again(members, Some(slot))
    }

    /// Adds a member: the broker gives it an id, then it joins. The broker must know it before the others
    /// rejoin, or their rebalance would complete without it.
    pub(super) fn join_classic_and_wait(
        &mut self,
        members: &mut Members,
        slot: usize,
    ) -> Result<(), Code> {
        let named = self.members[slot].ask(&join_group(&self.group, ""), JOIN);
        if named.error_code != MEMBER_ID_REQUIRED {
            Code::check(named.error_code)?;
            panic!("expected MEMBER_ID_REQUIRED for a member without an id, but it joined");
        }
        members.slots[slot].id = named.member_id.to_string();
        self.members[slot].send(&join_group(&self.group, &members.slots[slot].id), JOIN);
        if let Some(unaware) = members.unaware().first() {
            self.wait_for_rebalance(members, *unaware, members.live().len() + 1);
        }
        Ok(())
    }

    /// Sends the JoinGroup of each member that has not sent one, and completes the rebalance.
    pub(super) fn join_again(
        &mut self,
        members: &mut Members,
        new: Option<usize>,
    ) -> Result<(), Code> {
        for slot in members.unaware() {
            self.members[slot].send(&join_group(&self.group, &members.slots[slot].id), JOIN);
        }
        let mut joined = Vec::new();
        for slot in members.live().into_iter().chain(new) {
            joined.push((slot, self.members[slot].receive::<JoinGroupRequest>(JOIN)));
        }
        self.share_out(members, &joined)
    }

    /// The leader assigns the partitions as evenly as possible.
    fn share_out(
        &mut self,
        members: &mut Members,
        joined: &[(usize, JoinGroupResponse)],
    ) -> Result<(), Code> {
        for (_, answer) in joined {
            Code::check(answer.error_code)?;
        }
        for (nth, (slot, answer)) in (0..).zip(joined) {
            let member = &mut members.slots[*slot];
            member.generation = answer.generation_id;
            let count = i32::try_from(joined.len()).expect("few members");
            member.assigned = (0..PARTITIONS).filter(|at| at % count == nth).collect();
        }
        for (slot, answer) in joined {
            let mut sync = SyncGroupRequest::default()
                .with_group_id(self.group.clone())
                .with_generation_id(answer.generation_id)
                .with_member_id(answer.member_id.clone())
                .with_protocol_type(Some(text("consumer")))
                .with_protocol_name(Some(text("range")));
            if answer.leader == answer.member_id {
                let part = |(slot, answer): &(usize, JoinGroupResponse)| {
                    let assigned = &members.slots[*slot].assigned;
                    SyncGroupRequestAssignment::default()
                        .with_member_id(answer.member_id.clone())
                        .with_assignment(assignment(assigned.iter().copied()))
                };
                sync = sync.with_assignments(joined.iter().map(part).collect());
            }
            self.members[*slot].send(&sync, SYNC);
        }
        for (slot, _) in joined {
            Code::check(self.members[*slot].receive::<SyncGroupRequest>(SYNC).error_code)?;
        }
        Ok(())
    }

    /// Waits until a member learns of the rebalance and the broker knows the new member.
    fn wait_for_rebalance(&mut self, members: &Members, slot: usize, count: usize) {
        let (id, generation) = (members.slots[slot].id.clone(), members.slots[slot].generation);
        eventually(DEADLINE, "a rebalance", || {
            let answer = self.beat_classic(&id, generation);
            answer == Err(Code(REBALANCE_IN_PROGRESS)) && self.described_classic() == count
        });
    }

    pub(super) fn beat_classic(&mut self, id: &str, generation: i32) -> Result<(), Code> {
        let beat = HeartbeatRequest::default()
            .with_group_id(self.group.clone())
            .with_generation_id(generation)
            .with_member_id(text(id));
        Code::check(self.client.ask(&beat, HEARTBEAT).error_code)
    }

    pub(super) fn leave_classic(&mut self, id: &str) -> Result<(), Code> {
        let leave = LeaveGroupRequest::default()
            .with_group_id(self.group.clone())
            .with_members(vec![MemberIdentity::default().with_member_id(text(id))]);
        let left = self.client.ask(&leave, LEAVE);
        Code::check(left.error_code)?;
        left.members.iter().try_for_each(|member| Code::check(member.error_code))
    }
}

fn join_group(group: &GroupId, member: &str) -> JoinGroupRequest {
    let protocol =
        JoinGroupRequestProtocol::default().with_name(text("range")).with_metadata(subscription());
    JoinGroupRequest::default()
        .with_group_id(group.clone())
        .with_session_timeout_ms(PATIENCE)
        .with_rebalance_timeout_ms(PATIENCE)
        .with_member_id(text(member))
        .with_protocol_type(text("consumer"))
        .with_protocols(vec![protocol])
}

/// `ConsumerProtocolSubscription`, version 0.
fn subscription() -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_i16(0);
    bytes.put_i32(1);
    put_text(&mut bytes, TOPIC);
    bytes.put_i32(-1);
    bytes.freeze()
}

/// `ConsumerProtocolAssignment`, version 0.
fn assignment(partitions: impl ExactSizeIterator<Item = i32>) -> Bytes {
    let mut bytes = BytesMut::new();
    bytes.put_i16(0);
    bytes.put_i32(1);
    put_text(&mut bytes, TOPIC);
    bytes.put_i32(i32::try_from(partitions.len()).expect("few partitions"));
    partitions.for_each(|partition| bytes.put_i32(partition));
    bytes.put_i32(-1);
    bytes.freeze()
}

fn put_text(bytes: &mut BytesMut, text: &str) {
    bytes.put_i16(i16::try_from(text.len()).expect("a short name"));
    bytes.put_slice(text.as_bytes());
}
