//! One of the two clusters, with everything that a sequence has on it: members, producers, instances of
//! Sprag. Both clusters share this code.

mod instances;

use std::collections::{BTreeMap, BTreeSet};

use sprag::ports::{FenceReader, TargetGroups, TopicReader, Transactions};
use sprag_core::action::ReadScope;
use sprag_core::event::GroupActivity;
use sprag_core::failure::Failure;
use sprag_core::ids::{Fence, GroupId};
use sprag_sim::wire::{Producer, Protocol};

use self::instances::{Owner, class, named, named_and_all, seen};
use super::members::{Member, Members};
use super::operation::{
    Answer, Code, Commit, Commits, Metadata, Operation, Parts, Spot, State, Stated, Which, Who,
};

/// The ports of one instance of Sprag that the sequences use.
pub(crate) trait Instance {
    fn groups(&self) -> &impl TargetGroups;
    fn topics(&self) -> &impl TopicReader;
    fn fence_reader(&self) -> &impl FenceReader;
    fn transactions(&self) -> &impl Transactions;
    /// The number of members of the coordination group.
    fn members(&self) -> impl Future<Output = Result<usize, Failure>>;
}

/// Kafka requests for one group that bypass the ports.
pub(crate) trait Requests {
    fn join(&mut self, members: &mut Members, slot: usize, protocol: Protocol) -> Result<(), Code>;
    fn join_and_wait(&mut self, members: &mut Members, slot: usize) -> Result<(), Code>;
    /// The member of this slot left while it was waiting.
    fn wait_no_more(&mut self, slot: usize);
    fn settle(&mut self, members: &mut Members) -> Result<(), Code>;
    fn beat(&mut self, members: &mut Members, slot: usize, generation: i32) -> Result<(), Code>;
    fn leave(&mut self, id: &str, protocol: Protocol) -> Result<(), Code>;
    fn commit(&mut self, member: &str, generation: i32, commits: &Commits) -> Parts;
    fn init_producer(&mut self) -> Result<Producer, Code>;
    fn commit_in_transaction(
        &mut self,
        producer: &Producer,
        member: &str,
        generation: i32,
        commits: &Commits,
    ) -> Parts;
    fn end(&mut self, producer: &Producer, commit: bool) -> Result<(), Code>;
    fn delete_offsets(&mut self, spots: &[Spot]) -> Parts;
    fn delete_group(&mut self) -> Result<(), Code>;
    fn members(&mut self) -> usize;
    fn leader_epochs(&mut self) -> BTreeMap<Spot, i32>;
}

/// One cluster, and everything that a sequence has on it.
pub(crate) struct Side<R, I> {
    group: GroupId,
    requests: R,
    /// Creates another instance; the first one is the reader.
    another: Box<dyn Fn() -> I>,
    reader: I,
    members: Members,
    producers: Pair<Producer>,
    instances: Pair<Owner<I>>,
    /// The offset of the first take-over record.
    first_fence: Option<i64>,
    /// Where the last read of the fence partition ended.
    fences_read: Option<Fence>,
}

/// The newest of its kind, and the one before it.
struct Pair<T> {
    owner: Option<T>,
    zombie: Option<T>,
}

impl<T> Pair<T> {
    fn none() -> Self {
        Self { owner: None, zombie: None }
    }

    fn push(&mut self, newest: T) {
        self.zombie = self.owner.replace(newest);
    }

    fn get(&mut self, which: Which) -> Option<&mut T> {
        match which {
            Which::Owner => self.owner.as_mut(),
            Which::Zombie => self.zombie.as_mut(),
        }
    }
}

impl<R: Requests, I: Instance> Side<R, I> {
    pub(crate) fn new(group: &str, requests: R, another: Box<dyn Fn() -> I>) -> Self {
        Self {
            group: GroupId::from(group),
            requests,
            reader: another(),
            another,
            members: Members::none(),
            producers: Pair::none(),
            instances: Pair::none(),
            first_fence: None,
            fences_read: None,
        }
    }

    /// Carries out the `nth` operation of the sequence.
    pub(crate) async fn perform(&mut self, nth: usize, operation: &Operation) -> Answer {
        match operation {
            Operation::Join { slot, protocol } => self.join(*slot, *protocol),
            Operation::JoinAndWait { slot } => self.join_and_wait(*slot),
            Operation::Settle => self.settle(),
            Operation::Beat { slot, stated } => {
                let generation = self.members.generation(*stated);
                self.beat(*slot, generation)
            }
            Operation::Leave { slot } => self.leave(*slot),
            Operation::StrangerLeaves => {
                let id = self.members.id(Who::Stranger);
                Answer::Done(self.requests.leave(&id, Protocol::Classic))
            }
            Operation::Commit { who, stated, spots, metadata } => {
                self.commit(nth, (*who, *stated), spots, *metadata)
            }
            Operation::InitProducer => self.init_producer(),
            Operation::CommitInTransaction { which, who, stated, spots } => {
                self.commit_in_transaction(nth, *which, (*who, *stated), spots)
            }
            Operation::EndTransaction { which, commit } => match self.producers.get(*which) {
                Some(producer) => Answer::Done(self.requests.end(producer, *commit)),
                None => Answer::Skipped,
            },
            Operation::DeleteOffsets { spots } => {
                Answer::Parts(self.requests.delete_offsets(spots))
            }
            Operation::DeleteGroup => Answer::Done(self.requests.delete_group()),
            Operation::TakeOver => self.take_over(nth).await,
            Operation::Write { which, spots } => self.write(nth, *which, spots).await,
            Operation::End { which, commit } => self.end(*which, *commit).await,
            Operation::PlainCommit { spots, metadata } => {
                self.plain_commit(nth, spots, *metadata).await
            }
            Operation::Read { stable, all } => {
                let scope = if *all { named_and_all() } else { named() };
                let read = self.reader.groups().offsets(&self.group, None, &scope, *stable).await;
                Answer::Offsets(read.map(seen).map_err(class))
            }
            Operation::FenceLog => self.fence_log().await,
            Operation::LogRanges => self.log_ranges().await,
        }
    }

    /// What is stored now.
    pub(crate) async fn state(&mut self) -> State {
        let groups = self.reader.groups();
        let read = async |scope: ReadScope, stable| {
            let read = groups.offsets(&self.group, None, &scope, stable).await;
            seen(read.expect("an answer to a read"))
        };
        let stable = read(named_and_all(), true).await;
        let unstable = read(named(), false).await;
        let unnamed = read(ReadScope::AllAnd(BTreeSet::new()), true).await.into_keys().collect();
        let listed = groups.list().await.expect("a list of groups").groups.remove(&self.group);
        let members = self.requests.members();
        let leader_epochs = self.requests.leader_epochs();
        State { listed, members, stable, unstable, unnamed, leader_epochs }
    }

    fn join(&mut self, slot: usize, protocol: Protocol) -> Answer {
        let spoken = self.members.protocol();
        // With three members for two partitions, the broker's assignor may leave any of them without.
        if protocol == Protocol::Consumer && self.members.live().len() == 2 {
            return Answer::Skipped;
        }
        // Groups with members of both protocols (online migration) are not modelled.
        if self.members.slots[slot].speaks.is_some() || spoken.is_some_and(|it| it != protocol) {
            return Answer::Skipped;
        }
        let joined = self.requests.join(&mut self.members, slot, protocol);
        if joined.is_ok() {
            self.members.slots[slot].speaks = Some(protocol);
            self.members.settled();
        }
        Answer::Members(joined.map(|()| self.members.assignments()))
    }

    fn join_and_wait(&mut self, slot: usize) -> Answer {
        let unaware = self.members.unaware();
        let classic = self.members.protocol() == Some(Protocol::Classic);
        if self.members.slots[slot].speaks.is_some() || unaware.is_empty() || !classic {
            return Answer::Skipped;
        }
        let next = self.members.slots[unaware[0]].generation + 1;
        let sent = self.requests.join_and_wait(&mut self.members, slot);
        if sent.is_ok() {
            let member = &mut self.members.slots[slot];
            (member.speaks, member.waits, member.generation) =
                (Some(Protocol::Classic), true, next);
            self.members.unsettled = true;
        }
        Answer::Done(sent)
    }

    fn settle(&mut self) -> Answer {
        let settled = self.requests.settle(&mut self.members);
        self.members.settled();
        Answer::Members(settled.map(|()| self.members.assignments()))
    }

    fn beat(&mut self, slot: usize, generation: i32) -> Answer {
        let member = &self.members.slots[slot];
        let classic = member.speaks == Some(Protocol::Classic);
        // The members of a classic group rejoin together: `Settle`.
        let rejoins = classic && self.members.unsettled && generation == member.generation;
        // KIP-848: epoch 0 joins, epoch -1 leaves.
        if member.speaks.is_none() || member.waits || rejoins || generation <= 0 {
            return Answer::Skipped;
        }
        let beaten = self.requests.beat(&mut self.members, slot, generation);
        Answer::Members(beaten.map(|()| self.members.assignments()))
    }

    fn leave(&mut self, slot: usize) -> Answer {
        let Some(protocol) = self.members.slots[slot].speaks else {
            return Answer::Skipped;
        };
        let left = self.requests.leave(&self.members.slots[slot].id, protocol);
        if let Err(code) = left {
            return Answer::Done(Err(code));
        }
        if self.members.slots[slot].waits {
            self.requests.wait_no_more(slot);
        }
        let id = std::mem::take(&mut self.members.slots[slot].id);
        let generation = self.members.slots[slot].generation;
        self.members.slots[slot] = Member { id, generation, ..Member::default() };
        self.members.unsettled = self.members.protocol().is_some();
        // The waiting members have nobody left to wait for.
        if self.members.unaware().is_empty() && self.members.unsettled {
            return self.settle();
        }
        Answer::Done(Ok(()))
    }

    fn commit(
        &mut self,
        nth: usize,
        (who, stated): (Who, Stated),
        spots: &[Spot],
        metadata: Metadata,
    ) -> Answer {
        let (id, generation) = (self.members.id(who), self.members.generation(stated));
        let commits = commits(nth, spots, metadata, false);
        Answer::Parts(self.requests.commit(&id, generation, &commits))
    }

    fn init_producer(&mut self) -> Answer {
        let made = self.requests.init_producer();
        Answer::Done(made.map(|producer| self.producers.push(producer)))
    }

    fn commit_in_transaction(
        &mut self,
        nth: usize,
        which: Which,
        (who, stated): (Who, Stated),
        spots: &[Spot],
    ) -> Answer {
        let Some(producer) = self.producers.get(which) else {
            return Answer::Skipped;
        };
        let (id, generation) = (self.members.id(who), self.members.generation(stated));
        let commits = commits(nth, spots, Metadata::Short, false);
        let requests = &mut self.requests;
        Answer::Parts(requests.commit_in_transaction(producer, &id, generation, &commits))
    }
}

impl State {
    /// Whether Sprag cannot tell the two states apart. librdkafka has no name for the state of a KIP-848
    /// group between two assignments, so it is unknown. Unknown is never taken for empty.
    pub(crate) fn agrees(&self, broker: &Self) -> bool {
        let mut broker = broker.clone();
        if broker.listed == Some(GroupActivity::Unknown) && self.members > 0 {
            broker.listed = Some(GroupActivity::Active);
        }
        *self == broker
    }
}

fn commits(nth: usize, spots: &[Spot], metadata: Metadata, through_port: bool) -> Commits {
    spots.iter().map(|spot| (*spot, Commit::of(nth, *spot, metadata, through_port))).collect()
}
