//! The members of a group: generations, and who is assigned which partition.
//!
//! A rebalancing classic group stays in its generation until all members have rejoined. A KIP-848 group
//! enters the next epoch at once; each member follows when it has given up the partitions that it must.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sprag_core::ids::TopicName;
use sprag_core::time::Instant;

use crate::wire::{Error, MemberId, Partition, Protocol};

/// The members of a group and their assignment.
#[derive(Clone, Debug, Default)]
pub(super) struct Members {
    protocol: Option<Protocol>,
    known: BTreeMap<MemberId, Member>,
    /// The generation, or the group epoch.
    generation: i32,
    /// A classic group is waiting for its members to rejoin.
    rebalances: bool,
    /// A member joined or left and no member has asked since. A KIP-848 group reassigns when one does.
    unshared: bool,
    /// The target assignment: who is to own each partition.
    target: BTreeMap<Partition, MemberId>,
    /// Who owns each partition, and since which generation. A partition that is to move stays here until
    /// its owner gives it up.
    held: BTreeMap<Partition, (MemberId, i32)>,
}

/// What a commit of a member may include.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Any partition.
    All,
    /// For a KIP-848 member that states an earlier epoch: the partitions that it has owned since then
    /// (KIP-1251).
    HeldSince(i32),
}

#[derive(Clone, Debug)]
struct Member {
    topic: TopicName,
    session: Duration,
    until: Instant,
    /// The generation or member epoch that it was last given.
    given: i32,
    /// The one before that.
    before: i32,
    /// It has joined the current rebalance.
    joined: bool,
}

impl Members {
    /// No members yet.
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
        let given = self.generation + 1;
        let member = Member { topic, session, until, given, before: given, joined: true };
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
            // A member that missed an answer repeats its heartbeat with the previous epoch.
            Some(Protocol::Consumer)
                if generation != member.given && generation != member.before =>
            {
                return Err(Error::FencedMemberEpoch);
            }
            Some(Protocol::Classic) | None if generation != member.given => {
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

    /// The generation of a member and its assigned partitions.
    pub(super) fn assignment(&mut self, id: &MemberId) -> (i32, BTreeSet<Partition>) {
        let given = self.known.get(id).map_or(-1, |member| member.given);
        let mut own = BTreeSet::new();
        for (at, member) in &self.target {
            if member == id && self.held.get(at).is_none_or(|(holder, _)| holder == id) {
                own.insert(at.clone());
            }
        }
        for at in &own {
            self.held.entry(at.clone()).or_insert_with(|| (id.clone(), given));
        }
        (given, own)
    }

    /// Removes a member. Returns false if it was not one.
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

    /// What a commit of a member with this generation may include.
    pub(super) fn check(&self, id: &MemberId, generation: i32) -> Result<Scope, Error> {
        let member = self.known.get(id).ok_or(Error::UnknownMemberId)?;
        match self.protocol {
            Some(Protocol::Consumer) => match generation.cmp(&member.given) {
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

    /// Whether this partition is within that scope.
    pub(super) fn is_in(&self, id: &MemberId, scope: Scope, at: &Partition) -> bool {
        match scope {
            Scope::All => true,
            Scope::HeldSince(epoch) => {
                self.held.get(at).is_some_and(|(holder, since)| holder == id && *since <= epoch)
            }
        }
    }

    /// A member joined or left.
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

    /// A member of a classic group rejoins and learns the result of the last rebalance.
    fn join_again(&mut self, id: &MemberId) {
        let (rebalances, generation) = (self.rebalances, self.generation);
        if let Some(member) = self.known.get_mut(id) {
            if rebalances {
                member.joined = true;
            } else {
                member.given = generation;
            }
        }
        if rebalances {
            self.complete();
        }
        if !self.rebalances
            && let Some(member) = self.known.get_mut(id)
        {
            member.given = self.generation;
        }
    }

    /// Begins the next generation once all members have joined.
    fn complete(&mut self) {
        if self.known.values().all(|member| member.joined) {
            self.rebalances = false;
            self.known.values_mut().for_each(|member| member.joined = false);
            self.generation += 1;
            self.share_out();
        }
    }

    /// Moves a KIP-848 member to the group epoch, unless it still has to give up a partition.
    fn follow(&mut self, id: &MemberId) {
        let target = &self.target;
        let revoked =
            self.held.iter().any(|(at, (holder, _))| holder == id && target.get(at) != Some(id));
        if let Some(member) = self.known.get_mut(id)
            && !revoked
            && member.given != self.generation
        {
            member.before = member.given;
            member.given = self.generation;
        }
    }

    fn share_out_if_due(&mut self) {
        if std::mem::take(&mut self.unshared) {
            self.share_out();
        }
    }

    /// Assigns the partitions evenly. Members keep their partitions as far as possible.
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
