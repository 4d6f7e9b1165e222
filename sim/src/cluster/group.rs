//! One group: its members, whom the broker lets commit, and who has which partition.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sprag::core::ids::TopicName;
use sprag::core::time::Instant;

use super::offsets::Offsets;
use crate::wire::{Error, MemberId, Partition, Protocol};

/// A group.
#[derive(Clone, Debug, Default)]
pub struct Group {
    /// What it has committed.
    pub offsets: Offsets,
    protocol: Option<Protocol>,
    members: BTreeMap<MemberId, Member>,
    generation: i32,
    /// Who is to have each partition.
    target: BTreeMap<Partition, MemberId>,
    /// Who has it: one that is to go elsewhere stays until it is given up.
    held: BTreeMap<Partition, MemberId>,
    /// Since when it has no members, if it had some.
    pub empty_since: Option<Instant>,
}

#[derive(Clone, Debug)]
struct Member {
    topic: TopicName,
    session: Duration,
    until: Instant,
    /// The generation that it was told.
    told: i32,
}

impl Group {
    /// Whether it has members.
    #[must_use]
    pub fn is_active(&self) -> bool {
        !self.members.is_empty()
    }

    /// How many members it has.
    #[must_use]
    pub fn members(&self) -> usize {
        self.members.len()
    }

    /// Whether a member subscribes to this topic.
    #[must_use]
    pub fn is_subscribed(&self, topic: &TopicName) -> bool {
        self.members.values().any(|member| member.topic == *topic)
    }

    /// Takes a member in, or again. `partitions` are those of its topic.
    ///
    /// # Errors
    ///
    /// Where the group speaks the other protocol.
    pub fn join(
        &mut self,
        now: Instant,
        id: &MemberId,
        protocol: Protocol,
        subscription: (TopicName, BTreeSet<Partition>),
        session: Duration,
    ) -> Result<(), Error> {
        if self.is_active() && self.protocol != Some(protocol) {
            return Err(Error::InconsistentGroupProtocol);
        }
        self.protocol = Some(protocol);
        self.empty_since = None;
        self.generation += 1;
        let (topic, partitions) = subscription;
        let member = Member { topic, session, until: now + session, told: self.generation };
        self.members.insert(id.clone(), member);
        for at in partitions {
            self.target.entry(at).or_default();
        }
        self.share_out();
        Ok(())
    }

    /// A member is alive, and has these partitions.
    ///
    /// # Errors
    ///
    /// Where it is none, or of an earlier generation than it was told.
    pub fn heartbeat(
        &mut self,
        now: Instant,
        id: &MemberId,
        generation: i32,
        owned: &BTreeSet<Partition>,
    ) -> Result<(), Error> {
        self.check_member(id, generation)?;
        if let Some(member) = self.members.get_mut(id) {
            member.until = now + member.session;
            member.told = self.generation;
        }
        let target = &self.target;
        self.held
            .retain(|at, holder| holder != id || owned.contains(at) || target.get(at) == Some(id));
        Ok(())
    }

    /// What a member is told: its generation, and the partitions that are its now.
    pub fn told(&mut self, id: &MemberId) -> (i32, BTreeSet<Partition>) {
        let mut own = BTreeSet::new();
        for (at, member) in &self.target {
            if member == id && self.held.get(at).is_none_or(|holder| holder == id) {
                own.insert(at.clone());
            }
        }
        for at in &own {
            self.held.insert(at.clone(), id.clone());
        }
        (self.generation, own)
    }

    /// A member leaves. False if it was none.
    pub fn leave(&mut self, now: Instant, id: &MemberId) -> bool {
        let was = self.members.remove(id).is_some();
        if was {
            self.lost(now, id);
        }
        was
    }

    /// Members whose session ran out.
    pub fn expire(&mut self, now: Instant) -> Vec<MemberId> {
        let over = self.members.extract_if(.., |_, member| member.until < now);
        let gone: Vec<MemberId> = over.map(|(id, _)| id).collect();
        for id in &gone {
            self.lost(now, id);
        }
        gone
    }

    /// Whether the broker takes a plain commit (`ClassicGroup` and `ConsumerGroup`,
    /// `validateOffsetCommit`).
    ///
    /// # Errors
    ///
    /// Why not.
    pub fn may_commit(&self, id: &MemberId, generation: i32) -> Result<(), Error> {
        if generation < 0 && !self.is_active() {
            return Ok(());
        }
        self.check_member(id, generation)
    }

    /// Whether the broker takes a commit in a transaction. One that names no member is not checked.
    ///
    /// # Errors
    ///
    /// Why not.
    pub fn may_commit_in_transaction(&self, id: &MemberId, generation: i32) -> Result<(), Error> {
        if generation < 0 && (id.is_empty() || !self.is_active()) {
            return Ok(());
        }
        self.check_member(id, generation)
    }

    fn check_member(&self, id: &MemberId, generation: i32) -> Result<(), Error> {
        let Some(member) = self.members.get(id) else {
            return Err(Error::UnknownMemberId);
        };
        match (member.told == generation, self.protocol) {
            (true, _) => Ok(()),
            (false, Some(Protocol::Consumer)) => Err(Error::StaleMemberEpoch),
            (false, Some(Protocol::Classic) | None) => Err(Error::IllegalGeneration),
        }
    }

    fn lost(&mut self, now: Instant, id: &MemberId) {
        self.held.retain(|_, holder| holder != id);
        self.generation += 1;
        self.share_out();
        if self.members.is_empty() {
            self.empty_since = Some(now);
        }
    }

    /// Evenly, and everyone keeps what they have as far as that goes.
    fn share_out(&mut self) {
        let topics: BTreeSet<&TopicName> =
            self.members.values().map(|member| &member.topic).collect();
        self.target.retain(|at, _| topics.contains(&at.topic));
        let most = self.target.len().div_ceil(self.members.len().max(1));
        let mut shares: BTreeMap<MemberId, usize> =
            self.members.keys().map(|id| (id.clone(), 0)).collect();
        let mut free = Vec::new();
        for (at, member) in &self.target {
            match shares.get_mut(member) {
                Some(share) if *share < most => *share += 1,
                Some(_) | None => free.push(at.clone()),
            }
        }
        for at in free {
            let least = shares.iter().min_by_key(|(_, share)| **share);
            if let Some(id) = least.map(|(id, _)| id.clone()) {
                *shares.entry(id.clone()).or_default() += 1;
                self.target.insert(at, id);
            }
        }
    }
}
