//! The members of a group: generations, and who has which partition.
//!
//! A classic group that rebalances stays in its generation until all members have joined again. A
//! KIP-848 group is in the next epoch at once, and each member follows when it has given up what it
//! must.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sprag_core::ids::TopicName;
use sprag_core::time::Instant;

use crate::wire::{Error, MemberId, Partition, Protocol};

/// Members, and what they share.
#[derive(Clone, Debug, Default)]
pub(super) struct Members {
    protocol: Option<Protocol>,
    known: BTreeMap<MemberId, Member>,
    /// The generation, or the group's epoch.
    generation: i32,
    /// A classic group waits for members to join again.
    rebalances: bool,
    /// Nobody has asked since a member came or went: a KIP-848 group shares out when one does.
    unshared: bool,
    /// Who is to have each partition.
    target: BTreeMap<Partition, MemberId>,
    /// Who has it, since which generation: one that is to go elsewhere stays until it is given up.
    held: BTreeMap<Partition, (MemberId, i32)>,
}

/// What a member may commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Any partition.
    All,
    /// A member of a KIP-848 group that states an earlier epoch: the partitions that it has had
    /// since then (KIP-1251).
    HeldSince(i32),
}

#[derive(Clone, Debug)]
struct Member {
    topic: TopicName,
    session: Duration,
    until: Instant,
    /// The generation, or member epoch, that it was told.
    told: i32,
    /// The one before.
    before: i32,
    /// It has joined the rebalance that is under way.
    joined: bool,
}

impl Members {
    /// None yet.
    pub(super) fn new(protocol: Protocol) -> Self {
        let generation = match protocol {
            Protocol::Classic => 0,
            Protocol::Consumer => 1,
        };
        Self { protocol: Some(protocol), generation, ..Self::default() }
    }

    pub(super) fn count(&self) -> usize {
        self.known.len()
    }

    pub(super) fn subscribe_to(&self, topic: &TopicName) -> bool {
        self.known.values().any(|member| member.topic == *topic)
    }

    pub(super) fn join(
        &mut self,
        now: Instant,
        id: &MemberId,
        (topic, partitions): (TopicName, BTreeSet<Partition>),
        session: Duration,
    ) {
        let until = now + session;
        let told = self.generation + 1;
        let member = Member { topic, session, until, told, before: told, joined: true };
        self.known.insert(id.clone(), member);
        for at in partitions {
            self.target.entry(at).or_default();
        }
        self.changed();
        self.share_out_if_due();
    }

    pub(super) fn heartbeat(
        &mut self,
        now: Instant,
        id: &MemberId,
        generation: i32,
        owned: &BTreeSet<Partition>,
    ) -> Result<(), Error> {
        let protocol = self.protocol;
        let member = self.known.get_mut(id).ok_or(Error::UnknownMemberId)?;
        match protocol {
            // An answer that was lost is asked for again.
            Some(Protocol::Consumer)
                if generation != member.told && generation != member.before =>
            {
                return Err(Error::FencedMemberEpoch);
            }
            Some(Protocol::Classic) | None if generation != member.told => {
                return Err(Error::IllegalGeneration);
            }
            Some(_) | None => {}
        }
        member.until = now + member.session;
        self.share_out_if_due();
        let target = &self.target;
        self.held.retain(|at, (holder, _)| {
            holder != id || owned.contains(at) || target.get(at) == Some(id)
        });
        match protocol {
            Some(Protocol::Consumer) => self.follow(id),
            Some(Protocol::Classic) | None => self.join_again(id),
        }
        Ok(())
    }

    /// What a member is told: its generation, and the partitions that are its now.
    pub(super) fn told(&mut self, id: &MemberId) -> (i32, BTreeSet<Partition>) {
        let told = self.known.get(id).map_or(-1, |member| member.told);
        let mut own = BTreeSet::new();
        for (at, member) in &self.target {
            if member == id && self.held.get(at).is_none_or(|(holder, _)| holder == id) {
                own.insert(at.clone());
            }
        }
        for at in &own {
            self.held.entry(at.clone()).or_insert_with(|| (id.clone(), told));
        }
        (told, own)
    }

    /// False if it was none.
    pub(super) fn leave(&mut self, id: &MemberId) -> bool {
        let was = self.known.remove(id).is_some();
        if was {
            self.held.retain(|_, (holder, _)| holder != id);
            self.changed();
        }
        was
    }

    pub(super) fn expire(&mut self, now: Instant) -> Vec<MemberId> {
        let over = self.known.extract_if(.., |_, member| member.until < now);
        let gone: Vec<MemberId> = over.map(|(id, _)| id).collect();
        for id in &gone {
            self.held.retain(|_, (holder, _)| holder != id);
            self.changed();
        }
        gone
    }

    /// What a member that states this generation may commit.
    pub(super) fn check(&self, id: &MemberId, generation: i32) -> Result<Scope, Error> {
        let member = self.known.get(id).ok_or(Error::UnknownMemberId)?;
        match self.protocol {
            Some(Protocol::Consumer) => match generation.cmp(&member.told) {
                Ordering::Less => Ok(Scope::HeldSince(generation)),
                Ordering::Equal => Ok(Scope::All),
                Ordering::Greater => Err(Error::StaleMemberEpoch),
            },
            Some(Protocol::Classic) | None if self.generation != generation => {
                Err(Error::IllegalGeneration)
            }
            Some(Protocol::Classic) | None => Ok(Scope::All),
        }
    }

    /// Whether this partition is in that scope.
    pub(super) fn is_in(&self, id: &MemberId, scope: Scope, at: &Partition) -> bool {
        match scope {
            Scope::All => true,
            Scope::HeldSince(epoch) => {
                self.held.get(at).is_some_and(|(holder, since)| holder == id && *since <= epoch)
            }
        }
    }

    /// A member came or went.
    fn changed(&mut self) {
        match self.protocol {
            Some(Protocol::Consumer) => {
                self.generation += 1;
                self.unshared = true;
            }
            Some(Protocol::Classic) | None => {
                self.rebalances = true;
                self.complete();
            }
        }
    }

    /// A member of a classic group joins again, and learns what came of the rebalance before.
    fn join_again(&mut self, id: &MemberId) {
        let (rebalances, generation) = (self.rebalances, self.generation);
        if let Some(member) = self.known.get_mut(id) {
            if rebalances {
                member.joined = true;
            } else {
                member.told = generation;
            }
        }
        if rebalances {
            self.complete();
        }
        if !self.rebalances
            && let Some(member) = self.known.get_mut(id)
        {
            member.told = self.generation;
        }
    }

    /// The next generation begins when all have joined.
    fn complete(&mut self) {
        if self.known.values().all(|member| member.joined) {
            self.rebalances = false;
            self.known.values_mut().for_each(|member| member.joined = false);
            self.generation += 1;
            self.share_out();
        }
    }

    /// A member of a KIP-848 group goes to the group's epoch, unless it has yet to give something up.
    fn follow(&mut self, id: &MemberId) {
        let target = &self.target;
        let revoked =
            self.held.iter().any(|(at, (holder, _))| holder == id && target.get(at) != Some(id));
        if let Some(member) = self.known.get_mut(id)
            && !revoked
            && member.told != self.generation
        {
            member.before = member.told;
            member.told = self.generation;
        }
    }

    fn share_out_if_due(&mut self) {
        if std::mem::take(&mut self.unshared) {
            self.share_out();
        }
    }

    /// Evenly, and everyone keeps what they have as far as that goes.
    fn share_out(&mut self) {
        let topics: BTreeSet<&TopicName> =
            self.known.values().map(|member| &member.topic).collect();
        self.target.retain(|at, _| topics.contains(&at.topic));
        let most = self.target.len().div_ceil(self.known.len().max(1));
        let mut shares: BTreeMap<MemberId, usize> =
            self.known.keys().map(|id| (id.clone(), 0)).collect();
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
