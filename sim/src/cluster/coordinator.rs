//! The cluster's handling of each request.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sprag_core::ids::{GroupId, TopicName};

use super::group::{Group, Scope};
use super::history::{Author, What};
use super::offsets::check;
use super::{Cluster, Version};
use crate::wire::{
    Committed, Error, GroupState, MemberId, NewRecord, Partition, Producer, Protocol, Response,
};

type Outcomes = BTreeMap<Partition, Result<(), Error>>;

impl Cluster {
    pub(super) fn create_topic(&mut self, name: &TopicName, partitions: i32) -> Response {
        match self.topics.create(name, partitions) {
            Ok(topic) => {
                let at = Partition { topic: name.clone(), partition: 0 };
                self.note(What::Created { at, topic });
                Response::Created(topic)
            }
            Err(error) => Response::Failed(error),
        }
    }

    /// Deleting a topic removes the offsets that groups committed for it.
    pub(super) fn delete_topic(&mut self, name: &TopicName) -> Response {
        if !self.topics.delete(name) {
            return Response::Failed(Error::UnknownTopicOrPartition);
        }
        let groups: Vec<GroupId> = self.groups.keys().cloned().collect();
        for group in groups {
            self.remove_offsets(&group, |at| at.topic == *name);
        }
        Response::Done
    }

    pub(super) fn delete_records(&mut self, at: Partition, before: i64) -> Response {
        match self.topics.trim(&at, before) {
            Ok(start) => {
                self.note(What::Trimmed { at, start });
                Response::Done
            }
            Err(error) => Response::Failed(error),
        }
    }

    pub(super) fn produce(
        &mut self,
        at: &Partition,
        records: Vec<NewRecord>,
        producer: Option<&Producer>,
    ) -> Response {
        let now = self.now;
        if let Some(producer) = producer {
            match self.producers.open(producer, now) {
                Ok(open) => open.partitions.insert(at.clone()),
                Err(error) => return self.refused(producer, error),
            };
        }
        let appended = records.clone();
        match self.topics.append(at, records, producer.map(|producer| producer.id)) {
            Ok((topic, first)) => {
                for (offset, NewRecord { key, value }) in (first..).zip(appended) {
                    self.note(What::Appended { topic, at: at.clone(), offset, key, value });
                }
                Response::Produced(first)
            }
            Err(error) => Response::Failed(error),
        }
    }

    pub(super) fn init_producer(&mut self, transactional_id: &str, timeout: Duration) -> Response {
        let (producer, aborted) = self.producers.init(transactional_id, timeout);
        self.note(What::Fencing { producer: producer.clone() });
        if let Some(ending) = aborted {
            self.end(ending, false);
        }
        Response::Initialised(producer)
    }

    pub(super) fn commit_in_transaction(
        &mut self,
        producer: &Producer,
        name: GroupId,
        (member, generation): (&MemberId, i32),
        offsets: BTreeMap<Partition, Committed>,
    ) -> Response {
        let now = self.now;
        if self.late && !self.producers.has_open(producer, &name) {
            // Brokers from 3.8 on ask the transaction coordinator (KIP-890, part 1).
            return Response::Failed(Error::InvalidTxnState);
        }
        // AddOffsetsToTxn begins the transaction, whatever happens to the commit.
        match self.producers.open(producer, now) {
            Ok(open) => open.groups.insert(name.clone()),
            Err(error) => return self.refused(producer, error),
        };
        let (offsets, mut outcome) = self.of_known_partitions(offsets);
        if offsets.is_empty() {
            return Response::Committed(outcome);
        }
        if self.is_of_no_group(&name, generation) && self.version == Version::V4_3 {
            outcome.extend(all(offsets, Error::IllegalGeneration));
            return Response::Committed(outcome);
        }
        let group = self.groups.entry(name.clone()).or_default();
        group.listed |= self.version == Version::V3_9;
        let allowed = group.may_commit_in_transaction(member, generation);
        if let Err(error) = within(group, member, allowed, &offsets) {
            // TxnOffsetCommit has no error for stale epochs.
            let stale = error == Error::StaleMemberEpoch;
            let error = if stale { Error::IllegalGeneration } else { error };
            outcome.extend(all(offsets, error));
            return Response::Committed(outcome);
        }
        for (at, commit) in offsets {
            let result = check(&commit);
            if result.is_ok() {
                self.offsets_end += 1;
                group.listed = true;
                group.offsets.pend(producer.id, &at, commit, self.offsets_end, now);
            }
            outcome.insert(at, result);
        }
        let active = group.is_active();
        self.note(What::Pending { group: name, producer: producer.id, active });
        Response::Committed(outcome)
    }

    pub(super) fn end_transaction(&mut self, producer: &Producer, commit: bool) -> Response {
        match self.producers.end(producer, commit) {
            Ok(ending) => {
                if let Some(ending) = ending {
                    self.end(ending, commit);
                }
                Response::Done
            }
            Err(error) => self.refused(producer, error),
        }
    }

    pub(super) fn list_groups(&self) -> Response {
        let state = |active| if active { GroupState::Active } else { GroupState::Empty };
        let groups = self.groups.iter().filter(|(_, group)| group.listed);
        Response::Groups(
            groups.map(|(name, group)| (name.clone(), state(group.is_active()))).collect(),
        )
    }

    pub(super) fn describe_group(&self, name: &GroupId) -> Response {
        let members = self.groups.get(name).map_or(0, Group::members);
        Response::Described { members }
    }

    pub(super) fn fetch_offsets(
        &mut self,
        name: &GroupId,
        at: Option<&BTreeSet<Partition>>,
        stable: bool,
    ) -> Response {
        if stable {
            self.note(What::Looked { group: name.clone(), at: at.cloned() });
        } else if self.groups.get(name).is_some_and(|group| group.offsets.has_pending()) {
            self.note(What::Peeked { group: name.clone() });
        }
        match self.groups.get(name) {
            Some(group) => Response::Fetches(group.offsets.fetch(at, stable)),
            // An unknown group has no committed offsets.
            None => Response::Fetches(super::offsets::Offsets::default().fetch(at, stable)),
        }
    }

    pub(super) fn commit(
        &mut self,
        name: GroupId,
        (member, generation): (&MemberId, i32),
        offsets: BTreeMap<Partition, Committed>,
    ) -> Response {
        let (offsets, mut outcome) = self.of_known_partitions(offsets);
        if offsets.is_empty() {
            return Response::Committed(outcome);
        }
        if self.is_of_no_group(&name, generation) {
            let error = match self.version {
                Version::V3_9 => Error::IllegalGeneration,
                Version::V4_3 => Error::GroupIdNotFound,
            };
            outcome.extend(all(offsets, error));
            return Response::Committed(outcome);
        }
        let (now, group) = (self.now, self.groups.entry(name.clone()).or_default());
        group.listed |= self.version == Version::V3_9;
        let allowed = group.may_commit(member, generation);
        if let Err(error) = within(group, member, allowed, &offsets) {
            outcome.extend(all(offsets, error));
            return Response::Committed(outcome);
        }
        let active = group.is_active();
        let mut changes = Vec::new();
        for (at, commit) in offsets {
            let result = check(&commit);
            if result.is_ok() {
                self.offsets_end += 1;
                group.listed = true;
                changes.push(group.offsets.commit(&at, commit, self.offsets_end, now));
            }
            outcome.insert(at, result);
        }
        for change in changes {
            let by = Author::Plain { member: member.clone() };
            self.note(What::Offset { group: name.clone(), change, by, active });
        }
        Response::Committed(outcome)
    }

    pub(super) fn delete_group(&mut self, name: &GroupId) -> Response {
        match self.groups.get(name) {
            None => Response::Failed(Error::GroupIdNotFound),
            Some(group) if group.is_active() => Response::Failed(Error::NonEmptyGroup),
            Some(_) => {
                self.remove_offsets(name, |_| true);
                self.groups.remove(name);
                Response::Done
            }
        }
    }

    pub(super) fn delete_offsets(&mut self, name: &GroupId, at: &BTreeSet<Partition>) -> Response {
        let Some(group) = self.groups.get(name) else {
            return Response::Failed(Error::GroupIdNotFound);
        };
        let outcome: BTreeMap<_, _> = at
            .iter()
            .map(|at| match (self.topics.log(at), group.is_subscribed(&at.topic)) {
                (None, _) => (at.clone(), Err(Error::UnknownTopicOrPartition)),
                (Some(_), true) => (at.clone(), Err(Error::GroupSubscribedToTopic)),
                (Some(_), false) => (at.clone(), Ok(())),
            })
            .collect();
        self.remove_offsets(name, |at| outcome.get(at) == Some(&Ok(())));
        // The classic coordinator removes empty groups after each deletion.
        if self.version == Version::V3_9 {
            self.groups
                .retain(|it, group| it != name || group.is_active() || !group.offsets.is_empty());
        }
        Response::Committed(outcome)
    }

    pub(super) fn join(
        &mut self,
        name: GroupId,
        member: MemberId,
        protocol: Protocol,
        topic: TopicName,
        session: Duration,
    ) -> Response {
        let partitions = self.topics.partitions(&topic);
        let (now, group) = (self.now, self.groups.entry(name.clone()).or_default());
        if let Err(error) = group.join(now, &member, protocol, (topic, partitions), session) {
            return Response::Failed(error);
        }
        let (generation, assigned) = group.assignment(&member);
        self.note(What::Joined { group: name, member });
        Response::Member { generation, assigned }
    }

    pub(super) fn heartbeat(
        &mut self,
        name: &GroupId,
        member: &MemberId,
        generation: i32,
        owned: &BTreeSet<Partition>,
    ) -> Response {
        let now = self.now;
        let Some(group) = self.groups.get_mut(name) else {
            return Response::Failed(Error::UnknownMemberId);
        };
        match group.heartbeat(now, member, generation, owned) {
            Ok(()) => {
                let (generation, assigned) = group.assignment(member);
                Response::Member { generation, assigned }
            }
            Err(error) => Response::Failed(error),
        }
    }

    pub(super) fn leave(&mut self, name: &GroupId, member: &MemberId) -> Response {
        let now = self.now;
        match self.groups.get_mut(name).is_some_and(|group| group.leave(now, member)) {
            true => {
                self.note(What::Left { group: name.clone(), member: member.clone() });
                Response::Done
            }
            false => Response::Failed(Error::UnknownMemberId),
        }
    }

    fn remove_offsets(&mut self, name: &GroupId, which: impl Fn(&Partition) -> bool) {
        let Some(group) = self.groups.get_mut(name) else {
            return;
        };
        let active = group.is_active();
        for change in group.offsets.remove(which) {
            let by = Author::Deletion;
            self.note(What::Offset { group: name.clone(), change, by, active });
        }
    }

    /// Splits a commit into the offsets of partitions that exist and the errors for the others. A commit
    /// without any existing partition never reaches the group.
    fn of_known_partitions(
        &self,
        offsets: BTreeMap<Partition, Committed>,
    ) -> (BTreeMap<Partition, Committed>, Outcomes) {
        let (known, unknown): (BTreeMap<_, _>, _) =
            offsets.into_iter().partition(|(at, _)| self.topics.log(at).is_some());
        (known, all(unknown, Error::UnknownTopicOrPartition))
    }

    /// Whether a commit states a generation for a group that does not exist.
    fn is_of_no_group(&self, name: &GroupId, generation: i32) -> bool {
        generation >= 0 && !self.groups.contains_key(name)
    }

    fn refused(&mut self, producer: &Producer, error: Error) -> Response {
        // A late request says nothing about what its client does now.
        if error == Error::ProducerFenced && !self.late {
            self.note(What::Refused { producer: producer.clone() });
        }
        Response::Failed(error)
    }
}

/// Whether all offsets are within the scope of the commit. Offsets whose metadata is too long are not
/// checked.
fn within(
    group: &Group,
    member: &MemberId,
    allowed: Result<Scope, Error>,
    offsets: &BTreeMap<Partition, Committed>,
) -> Result<(), Error> {
    let sound = offsets.iter().filter(|(_, commit)| check(commit).is_ok());
    group.may_commit_all(member, allowed?, sound.map(|(at, _)| at))
}

/// The same error for every partition.
fn all(offsets: BTreeMap<Partition, Committed>, error: Error) -> Outcomes {
    offsets.into_keys().map(|at| (at, Err(error))).collect()
}
