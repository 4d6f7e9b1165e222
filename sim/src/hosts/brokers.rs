//! The brokers of one cluster: what each leads and coordinates, and its faults. They share a host and the
//! cluster's state. What happens to a request depends on the brokers that it needs.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use sprag_core::coordinators::Coordinators;
use sprag_core::ids::{BrokerId, GroupId};
use sprag_core::murmur2::murmur2;
use sprag_core::time::Instant;

use crate::wire::{Envelope, Error, Partition, Request, Response};

/// Number of partitions of `__consumer_offsets`.
const OFFSETS: usize = 5;
/// Number of partitions of `__transaction_state`.
const TRANSACTIONS: usize = 3;
/// Number of slots that the partitions of other topics are spread over.
const OTHERS: usize = 6;
/// How long Sprag's adapter waits for each part of an answer that several brokers contribute to: half of a
/// request's time-out (`src/kafka/groups.rs`, `src/kafka/topics/log_offsets.rs`).
pub const PARTS: Duration = Duration::from_millis(250);
/// How long the adapter waits for one broker to describe topics before it asks another as well
/// (`src/kafka/topics/describing.rs`). It is scaled down like the time-outs, but longer than a message
/// takes.
const SOON: Duration = Duration::from_millis(210);

/// A role that one broker has.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lead {
    /// The coordinator of a group.
    Group(GroupId),
    /// The transaction coordinator of a transactional.id.
    Transactions(String),
    /// The leader of a partition.
    Partition(Partition),
}

/// A fault of a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It answers this much later.
    Slow(Duration),
    /// It answers no client.
    Silent,
    /// It and Sprag cannot reach each other.
    Unreachable,
}

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// It is carried out and answered this much later.
    After(Duration),
    /// It never reaches this broker, which it needs.
    Unheard(BrokerId),
    /// It reaches a broker that no longer coordinates the group.
    Misdirected,
}

/// The brokers of a cluster.
pub struct Brokers {
    count: i32,
    /// For each slot, its leaders so far and when each took over.
    leaders: Vec<Vec<(Instant, BrokerId)>>,
    trouble: BTreeMap<BrokerId, Trouble>,
    /// Whether any leader has ever moved.
    moved: bool,
    /// The broker that last described topics to each client.
    describers: BTreeMap<Rc<str>, BrokerId>,
}

impl Brokers {
    /// This many brokers; each leads its share.
    #[must_use]
    pub fn new(count: usize) -> Self {
        let count = i32::try_from(count.max(1)).unwrap_or(1);
        let first = |slot: usize| {
            let broker = BrokerId(i32::try_from(slot).unwrap_or_default() % count);
            vec![(Instant::from_millis(0), broker)]
        };
        let leaders = (0..OFFSETS + TRANSACTIONS + OTHERS).map(first).collect();
        let (trouble, describers) = (BTreeMap::new(), BTreeMap::new());
        Self { count, leaders, trouble, moved: false, describers }
    }

    /// The current leader.
    #[must_use]
    pub fn leader(&self, lead: &Lead) -> BrokerId {
        self.leaders[slot(lead)].last().map_or(BrokerId(0), |(_, broker)| *broker)
    }

    /// The leader at an earlier time.
    #[must_use]
    pub fn leader_at(&self, lead: &Lead, then: Instant) -> BrokerId {
        let leaders = &self.leaders[slot(lead)];
        let led = leaders.iter().rev().find(|(since, _)| *since <= then).or(leaders.first());
        led.map_or(BrokerId(0), |(_, broker)| *broker)
    }

    /// The leaders of the partitions of `__consumer_offsets`.
    #[must_use]
    pub fn coordinators(&self) -> Vec<BrokerId> {
        let last = |slot: usize| self.leaders[slot].last().map_or(BrokerId(0), |(_, it)| *it);
        (0..OFFSETS).map(last).collect()
    }

    /// Sets the trouble of each broker.
    pub fn trouble(&mut self, trouble: BTreeMap<BrokerId, Trouble>) {
        self.trouble = trouble;
    }

    /// Moves everything that `gone` leads to other brokers.
    pub fn elect(&mut self, now: Instant, gone: BrokerId) {
        if self.count < 2 {
            return;
        }
        self.moved = true;
        for (slot, leaders) in self.leaders.iter_mut().enumerate() {
            if leaders.last().is_some_and(|(_, leader)| *leader == gone) {
                let further = 1 + i32::try_from(slot).unwrap_or_default() % (self.count - 1);
                leaders.push((now, BrokerId((gone.0 + further) % self.count)));
            }
        }
    }

    /// Whether the request needs this broker and no other one that is in trouble.
    #[must_use]
    pub fn still_leads(&self, broker: BrokerId, request: &Request) -> bool {
        needs(request).iter().any(|lead| self.leader(lead) == broker)
            && needs(request).iter().all(|lead| {
                let leader = self.leader(lead);
                leader == broker || !self.trouble.contains_key(&leader)
            })
    }

    /// What happens to this request.
    pub fn way(&mut self, envelope: &Envelope) -> Way {
        if self.count < 2 || (self.trouble.is_empty() && !self.moved) {
            return Way::After(Duration::ZERO);
        }
        let request = &envelope.request;
        if matches!(request, Request::DescribeTopics { .. } | Request::DescribeCoordinators) {
            return self.described(envelope);
        }
        if matches!(request, Request::ListGroups) {
            return self.all(envelope, (0..self.count).map(BrokerId));
        }
        if let Request::ListOffsets { at, .. } = request {
            let leaders = at.iter().map(|at| self.leader(&Lead::Partition(at.clone())));
            return self.all(envelope, leaders.collect::<BTreeSet<_>>().into_iter());
        }
        self.each(envelope, &needs(request))
    }

    /// A request that needs all of these brokers, one after the other.
    fn each(&self, envelope: &Envelope, needs: &[Lead]) -> Way {
        let mut delay = Duration::ZERO;
        for lead in needs {
            // An admin client looks up a coordinator once. Other clients look it up again as soon as they
            // are refused.
            let believed = match matches!(envelope.request, Request::OffsetFetch { .. }) {
                true => self.leader_at(lead, envelope.coordinators_as_of),
                false => self.leader(lead),
            };
            match self.delay(believed, &envelope.from) {
                None => return Way::Unheard(believed),
                Some(_) if believed != self.leader(lead) => return Way::Misdirected,
                Some(by) => delay += by,
            }
        }
        Way::After(delay)
    }

    /// A request that is split among brokers. The answer leaves out those that take too long.
    fn all(&self, envelope: &Envelope, brokers: impl Iterator<Item = BrokerId>) -> Way {
        let delay = |broker| self.delay(broker, &envelope.from).unwrap_or(PARTS).min(PARTS);
        Way::After(brokers.map(delay).max().unwrap_or_default())
    }

    /// Any broker can describe topics. The one that last did is asked first, and the others soon after.
    fn described(&mut self, envelope: &Envelope) -> Way {
        let last = self.describers.get(&envelope.from).copied().unwrap_or(BrokerId(0));
        let others = (1..self.count).map(|next| BrokerId((last.0 + next) % self.count));
        let tries = std::iter::once(last).chain(others).zip(0..);
        let answers = tries.filter_map(|(broker, nth)| {
            Some((self.delay(broker, &envelope.from)? + SOON * nth, broker))
        });
        let Some((delay, broker)) = answers.min() else {
            return Way::Unheard(last);
        };
        self.describers.insert(Rc::clone(&envelope.from), broker);
        Way::After(delay)
    }

    /// How late the broker answers this client; `None` if it does not.
    fn delay(&self, broker: BrokerId, from: &str) -> Option<Duration> {
        match self.trouble.get(&broker) {
            None => Some(Duration::ZERO),
            Some(Trouble::Slow(by)) => Some(*by),
            Some(Trouble::Silent) => None,
            Some(Trouble::Unreachable) => (!from.starts_with("sprag-")).then_some(Duration::ZERO),
        }
    }

    /// Leaves out of an answer what brokers in trouble did not contribute in time.
    pub fn leave_out(&self, envelope: &Envelope, response: Response) -> Response {
        if self.count < 2 || self.trouble.is_empty() {
            return response;
        }
        let late = |lead: &Lead| {
            self.delay(self.leader(lead), &envelope.from).is_none_or(|delay| delay >= PARTS)
        };
        if let Response::Groups(mut groups) = response {
            let whole = (0..self.count).map(BrokerId).all(|broker| {
                self.delay(broker, &envelope.from).is_some_and(|delay| delay < PARTS)
            });
            groups.retain(|group, _| !late(&Lead::Group(group.clone())));
            return if whole { Response::Groups(groups) } else { Response::SomeGroups(groups) };
        }
        if let Response::Offsets(mut offsets) = response {
            for (at, offset) in &mut offsets {
                if late(&Lead::Partition(at.clone())) {
                    *offset = Err(Error::RequestTimedOut);
                }
            }
            return Response::Offsets(offsets);
        }
        response
    }
}

/// The roles whose brokers a request needs, one after the other.
fn needs(request: &Request) -> Vec<Lead> {
    let group = |group: &GroupId| Lead::Group(group.clone());
    let partition = |at: &Partition| Lead::Partition(at.clone());
    match request {
        Request::CreateTopic { .. }
        | Request::DeleteTopic { .. }
        | Request::DescribeTopics { .. }
        | Request::DescribeCoordinators
        | Request::ListOffsets { .. }
        | Request::ListGroups => Vec::new(),
        Request::DeleteRecords { at, .. } | Request::Fetch { at, .. } => vec![partition(at)],
        Request::Produce { at, producer, .. } => {
            let id = producer.as_ref().map(|it| Lead::Transactions(it.transactional_id.clone()));
            id.into_iter().chain([partition(at)]).collect()
        }
        Request::InitProducer { transactional_id, .. } => {
            vec![Lead::Transactions(transactional_id.clone())]
        }
        Request::TxnOffsetCommit { producer, group: name, .. } => {
            vec![Lead::Transactions(producer.transactional_id.clone()), group(name)]
        }
        Request::EndTxn { producer, .. } => {
            vec![Lead::Transactions(producer.transactional_id.clone())]
        }
        Request::DescribeGroup { group: name }
        | Request::OffsetFetch { group: name, .. }
        | Request::OffsetCommit { group: name, .. }
        | Request::DeleteGroup { group: name }
        | Request::OffsetDelete { group: name, .. }
        | Request::Join { group: name, .. }
        | Request::Heartbeat { group: name, .. }
        | Request::Leave { group: name, .. } => vec![group(name)],
    }
}

fn slot(lead: &Lead) -> usize {
    let hashed = |text: &str, among: usize| {
        usize::try_from(murmur2(text.as_bytes()) & 0x7fff_ffff).unwrap_or_default() % among
    };
    match lead {
        Lead::Group(group) => {
            // Hash the group like Kafka and the core do. Each slot is used as its own leader here.
            let slots = (0..OFFSETS).map(|slot| Some(BrokerId(i32::try_from(slot).ok()?)));
            let slot = Coordinators::new(slots.collect()).of(group);
            slot.and_then(|slot| usize::try_from(slot.0).ok()).unwrap_or_default()
        }
        Lead::Transactions(id) => OFFSETS + hashed(id, TRANSACTIONS),
        Lead::Partition(Partition { topic, partition }) => {
            let at = usize::try_from(*partition).unwrap_or_default();
            OFFSETS + TRANSACTIONS + (hashed(topic.as_str(), OTHERS) + at) % OTHERS
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Instant = Instant::from_millis(1_000);

    fn fetch(group: &str, as_of: Instant) -> Envelope {
        let request = Request::OffsetFetch { group: GroupId::from(group), at: None, stable: false };
        asked(request, as_of)
    }

    fn asked(request: Request, as_of: Instant) -> Envelope {
        let (from, looked_up_for_proof) = (Rc::from("sprag-0"), false);
        Envelope { from, coordinators_as_of: as_of, looked_up_for_proof, sent: NOW, request }
    }

    /// The name of one group for each of three brokers.
    fn groups(brokers: &Brokers) -> Vec<String> {
        let of = |broker: i32| {
            let mut names = (0..100).map(|nth| format!("group-{nth}"));
            let leads = |name: &String| brokers.leader(&Lead::Group(name.as_str().into()));
            names.find(|name| leads(name) == BrokerId(broker))
        };
        (0..3).filter_map(of).collect()
    }

    #[test]
    fn brokers_and_core_agree_on_the_coordinator_of_each_group() {
        let mut brokers = Brokers::new(3);
        for _ in 0..2 {
            let known = brokers.coordinators().into_iter().map(Some).collect();
            let known = Coordinators::new(known);
            for name in (0..50).map(|nth| GroupId::from(format!("group-{nth}").as_str())) {
                assert_eq!(known.of(&name), Some(brokers.leader(&Lead::Group(name))));
            }
            brokers.elect(NOW, BrokerId(1));
            assert!(!brokers.coordinators().contains(&BrokerId(1)));
        }
    }

    #[test]
    fn one_faulty_broker_leaves_the_others_alone_and_a_look_up_notices_an_election() {
        let mut brokers = Brokers::new(3);
        let groups = groups(&brokers);
        let at = BrokerId(1);
        let ways = |brokers: &mut Brokers, as_of| -> Vec<Way> {
            groups.iter().map(|group| brokers.way(&fetch(group, as_of))).collect()
        };
        let good = Way::After(Duration::ZERO);
        let before = Instant::from_millis(500);
        for trouble in [Trouble::Silent, Trouble::Unreachable] {
            brokers.trouble(BTreeMap::from([(at, trouble)]));
            assert_eq!(ways(&mut brokers, before), [good, Way::Unheard(at), good]);
        }
        let others = Envelope { from: Rc::from("replicator"), ..fetch(&groups[1], before) };
        assert_eq!(brokers.way(&others), good, "Sprag alone cannot reach it");
        brokers.elect(NOW, at);
        assert_eq!(ways(&mut brokers, before), [good, Way::Unheard(at), good]);
        assert_eq!(ways(&mut brokers, NOW), [good; 3]);
        brokers.trouble(BTreeMap::new());
        assert_eq!(ways(&mut brokers, before), [good, Way::Misdirected, good]);
    }

    #[test]
    fn an_answer_leaves_out_the_part_of_a_silent_broker() {
        let mut brokers = Brokers::new(3);
        let groups = groups(&brokers);
        brokers.trouble(BTreeMap::from([(BrokerId(1), Trouble::Silent)]));
        let list = asked(Request::ListGroups, NOW);
        assert_eq!(brokers.way(&list), Way::After(PARTS));
        let all = groups
            .iter()
            .map(|name| (GroupId::from(name.as_str()), crate::wire::GroupState::Empty));
        let Response::SomeGroups(listed) =
            brokers.leave_out(&list, Response::Groups(all.collect()))
        else {
            panic!("expected a list that is marked as incomplete");
        };
        let listed: Vec<_> = listed.into_keys().collect();
        assert_eq!(listed.len(), 2);
        assert!(!listed.contains(&GroupId::from(groups[1].as_str())));
    }
}
