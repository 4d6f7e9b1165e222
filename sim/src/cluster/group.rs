//! One group: its members, who may commit, and who is assigned which partition.

use std::collections::BTreeSet;
use std::time::Duration;

use sprag_core::ids::TopicName;
use sprag_core::time::Instant;

use super::members::Members;
pub use super::members::Scope;
use super::offsets::Offsets;
use crate::wire::{Error, MemberId, Partition, Protocol};

/// A group.
#[derive(Clone, Debug, Default)]
pub struct Group {
    /// Its offsets.
    pub offsets: Offsets,
    /// Whether it is listed. 4.3 lists only groups for which something was written, and may know others.
    pub listed: bool,
    protocol: Option<Protocol>,
    members: Members,
    /// When its last member left; `None` if it never had one or has one now.
    pub empty_since: Option<Instant>,
}

impl Group {
    /// Whether it has members.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.members.count() > 0
    }

    /// How many members it has.
    #[must_use]
    pub fn members(&self) -> usize {
        self.members.count()
    }

    /// Whether a member subscribes to this topic.
    #[must_use]
    pub fn is_subscribed(&self, topic: &TopicName) -> bool {
        self.members.subscribe_to(topic)
    }

    /// Adds a member, or lets it rejoin. `partitions` are those of its topic.
    ///
    /// # Errors
    ///
    /// If the group uses the other protocol. Groups with members of both (online migration) are not
    /// modelled.
    pub fn join(
        &mut self,
        now: Instant,
        id: &MemberId,
        protocol: Protocol,
        subscription: (TopicName, BTreeSet<Partition>),
        session: Duration,
    ) -> Result<(), Error> {
        if self.protocol != Some(protocol) {
            if self.is_active() {
                return Err(Error::InconsistentGroupProtocol);
            }
            // An emptied group of the other protocol is replaced; its offsets stay.
            self.members = Members::new(protocol);
        }
        self.protocol = Some(protocol);
        self.empty_since = None;
        self.listed = true;
        self.members.join(now, id, subscription, session);
        Ok(())
    }

    /// A member is alive and owns these partitions. While a classic group rebalances, this stands for the
    /// member's JoinGroup.
    ///
    /// # Errors
    ///
    /// If it is not a member, or states another generation than the one it was given.
    pub fn heartbeat(
        &mut self,
        now: Instant,
        id: &MemberId,
        generation: i32,
        owned: &BTreeSet<Partition>,
    ) -> Result<(), Error> {
        self.members.heartbeat(now, id, generation, owned)
    }

    /// The generation of a member and its assigned partitions.
    pub fn assignment(&mut self, id: &MemberId) -> (i32, BTreeSet<Partition>) {
        self.members.assignment(id)
    }

    /// Removes a member. Returns false if it was not one.
    pub fn leave(&mut self, now: Instant, id: &MemberId) -> bool {
        let was = self.members.leave(id);
        self.note_empty(now, was);
        was
    }

    /// Removes members whose session expired, and returns them.
    pub fn expire(&mut self, now: Instant) -> Vec<MemberId> {
        let gone = self.members.expire(now);
        self.note_empty(now, !gone.is_empty());
        gone
    }

    /// What the broker accepts in a plain commit (`ClassicGroup` and `ConsumerGroup`,
    /// `validateOffsetCommit`).
    ///
    /// # Errors
    ///
    /// Why it accepts nothing.
    pub fn may_commit(&self, id: &MemberId, generation: i32) -> Result<Scope, Error> {
        if generation < 0 && !self.is_active() {
            return Ok(Scope::All);
        }
        self.members.check(id, generation)
    }

    /// What the broker accepts in a transactional commit. A commit that names no member is not checked.
    ///
    /// # Errors
    ///
    /// Why it accepts nothing.
    pub fn may_commit_in_transaction(
        &self,
        id: &MemberId,
        generation: i32,
    ) -> Result<Scope, Error> {
        if generation < 0 && (id.is_empty() || !self.is_active()) {
            return Ok(Scope::All);
        }
        self.members.check(id, generation)
    }

    /// Whether a commit may include all of these partitions. One that it may not fails all others.
    ///
    /// # Errors
    ///
    /// If a partition is outside the scope of the commit.
    pub fn may_commit_all<'a>(
        &self,
        id: &MemberId,
        scope: Scope,
        mut at: impl Iterator<Item = &'a Partition>,
    ) -> Result<(), Error> {
        match at.all(|at| self.members.is_in(id, scope, at)) {
            true => Ok(()),
            false => Err(Error::StaleMemberEpoch),
        }
    }

    fn note_empty(&mut self, now: Instant, changed: bool) {
        if changed && !self.is_active() {
            self.empty_since = Some(now);
        }
    }
}
