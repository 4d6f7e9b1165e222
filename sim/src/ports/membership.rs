//! The port for this instance's membership in the coordination group.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use sprag::ports::{Clock, Membership};
use sprag_core::event::Event;
use sprag_core::failure::Failure;
use sprag_core::ids::{GroupId, Shard, TopicName};
use tokio::sync::Notify;

use super::Wiring;
use super::classify::{Doing, failure, no_answer};
use super::link::{Link, strange};
use crate::coverage::{Kind, reached};
use crate::wire::{Committed, Error, Partition, Protocol, Request, Response};

/// The membership, and the shards assigned through it.
pub struct SimMembership {
    link: Link,
    fence_topic: TopicName,
    group: GroupId,
    member: String,
    generation: Cell<Option<i32>>,
    /// The shards that this instance believes to own, including those that it must give up.
    owned: RefCell<BTreeSet<Shard>>,
    revoked: RefCell<BTreeSet<Shard>>,
    events: RefCell<VecDeque<Event>>,
    arrived: Notify,
}

impl SimMembership {
    pub(super) fn new(link: Link, wiring: &Wiring) -> Self {
        Self {
            link,
            fence_topic: wiring.fence_topic.clone(),
            group: wiring.coordination_group.clone(),
            member: wiring.member.clone(),
            generation: Cell::new(None),
            owned: RefCell::default(),
            revoked: RefCell::default(),
            events: RefCell::default(),
            arrived: Notify::new(),
        }
    }

    /// Joins, sends heartbeats, and rejoins after it was removed from the group. Never returns.
    pub(super) async fn run(&self) {
        let clock = self.link.clock();
        let beat = Duration::from_millis((self.link.timing().session / 3).max(1));
        loop {
            let request = match self.generation.get() {
                None => Request::Join {
                    group: self.group.clone(),
                    member: self.member.clone(),
                    protocol: Protocol::Classic,
                    topic: self.fence_topic.clone(),
                    session_millis: self.link.timing().session,
                },
                Some(generation) => Request::Heartbeat {
                    group: self.group.clone(),
                    member: self.member.clone(),
                    generation,
                    acknowledged: self.held(),
                },
            };
            match self.link.plainly(request).await {
                Some(Response::Member { generation, assigned }) => {
                    self.generation.set(Some(generation));
                    self.assigned(&assigned);
                }
                Some(Response::Failed(error)) if is_removed(error) => self.lost(),
                Some(_) | None => {}
            }
            clock.sleep_until(clock.now() + beat).await;
        }
    }

    fn held(&self) -> BTreeSet<Partition> {
        self.owned.borrow().iter().map(|shard| self.partition(*shard)).collect()
    }

    fn partition(&self, shard: Shard) -> Partition {
        Partition { topic: self.fence_topic.clone(), partition: shard.get().cast_signed() }
    }

    fn assigned(&self, assigned: &BTreeSet<Partition>) {
        let wanted: BTreeSet<Shard> =
            assigned.iter().map(|at| Shard(at.partition.unsigned_abs())).collect();
        let mut owned = self.owned.borrow_mut();
        let mut revoked = self.revoked.borrow_mut();
        for shard in wanted.iter().filter(|shard| !owned.contains(shard)) {
            self.deliver(Event::ShardAssigned { shard: *shard }, "Assigned");
        }
        let gone: Vec<Shard> = owned.difference(&wanted).copied().collect();
        for shard in gone.into_iter().filter(|shard| revoked.insert(*shard)) {
            self.deliver(Event::ShardRevoked { shard }, "Revoked");
        }
        owned.extend(wanted);
    }

    fn lost(&self) {
        self.generation.set(None);
        self.revoked.borrow_mut().clear();
        let owned = std::mem::take(&mut *self.owned.borrow_mut());
        for shard in owned {
            self.deliver(Event::ShardLost { shard }, "Lost");
        }
    }

    fn deliver(&self, event: Event, step: &str) {
        reached(Kind::Step, step);
        self.events.borrow_mut().push_back(event);
        self.arrived.notify_one();
    }
}

impl Membership for SimMembership {
    async fn next(&self) -> Event {
        loop {
            let next = self.events.borrow_mut().pop_front();
            match next {
                Some(event) => return event,
                None => self.arrived.notified().await,
            }
        }
    }

    async fn is_assigned(&self, shard: Shard) -> Result<bool, Failure> {
        let known = self.is_known_as_owner(shard).await;
        match known {
            Ok(true) => reached(Kind::Step, "Assignment confirmed"),
            Ok(false) => reached(Kind::Step, "Assignment denied"),
            Err(_) => {}
        }
        known
    }

    fn release(&self, shard: Shard) {
        reached(Kind::Step, "Released");
        self.owned.borrow_mut().remove(&shard);
        self.revoked.borrow_mut().remove(&shard);
    }

    async fn members(&self) -> Result<usize, Failure> {
        let what = "describing the coordination group";
        let request = Request::DescribeGroup { group: self.group.clone() };
        let answer = self.link.ask(request, Doing::Reading, what).await?;
        let Response::Described { members } = answer else {
            return Err(strange(what, &answer));
        };
        Ok(members)
    }
}

impl SimMembership {
    async fn is_known_as_owner(&self, shard: Shard) -> Result<bool, Failure> {
        let what = format!("checking the assignment of shard {shard}");
        let Some(generation) = self.generation.get() else {
            return Ok(false);
        };
        if !self.owned.borrow().contains(&shard) {
            return Ok(false);
        }
        let at = self.partition(shard);
        let commit = Committed { offset: 0, metadata: String::new() };
        let request = Request::OffsetCommit {
            group: self.group.clone(),
            member: self.member.clone(),
            generation,
            offsets: BTreeMap::from([(at.clone(), commit)]),
        };
        match self.link.plainly(request).await {
            Some(Response::Committed(results)) => match results.get(&at) {
                Some(Ok(())) => Ok(true),
                Some(Err(error)) if is_removed(*error) => Ok(false),
                Some(Err(error)) => Err(failure(*error, Doing::Reading, &what)),
                None => Err(failure(Error::RequestTimedOut, Doing::Reading, &what)),
            },
            Some(Response::Failed(error)) if is_removed(error) => Ok(false),
            Some(Response::Failed(error)) => Err(failure(error, Doing::Reading, &what)),
            Some(other) => Err(strange(&what, &other)),
            None => Err(no_answer(Doing::Reading, &what)),
        }
    }
}

/// Whether the coordinator does not know this member, or not in this generation.
fn is_removed(error: Error) -> bool {
    matches!(error, Error::UnknownMemberId | Error::IllegalGeneration | Error::FencedMemberEpoch)
}
