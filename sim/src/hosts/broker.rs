//! A cluster's host: answers requests, truthfully unless a fault says otherwise.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use sprag_core::ids::{BrokerId, TopicName};
use sprag_core::time::Instant;

use super::brokers::{Brokers, Trouble, Way};
use crate::clock::simulated;
use crate::cluster::Cluster;
use crate::coverage::{Kind, reached};
use crate::invariants::sparing::{self, Did};
use crate::net::{Answer, Mail, serve};
use crate::wire::{Envelope, Error, Partition, Request, Response};

/// One cluster and what is wrong with it. Clones are the same.
#[derive(Clone)]
pub struct Broker(Rc<RefCell<State>>);

struct State {
    cluster: Cluster,
    brokers: Brokers,
    /// Requests of transactions that brokers got while they were stopped.
    asleep: Vec<(BrokerId, Envelope)>,
    /// What the coordinators knew that were replaced: whoever has not looked them up since, asks them.
    former: Option<Former>,
    /// A replica that lags behind and answers for the ends of one topic.
    stale_ends: Option<(TopicName, Cluster)>,
    /// Partitions that cannot be read.
    failing: BTreeMap<Partition, Failing>,
    slow_by: Duration,
    loses_answers: bool,
    /// Requests of transactions are held for so long, and tried again by their clients meanwhile.
    late_by: Option<Duration>,
    held: Vec<Held>,
    /// Requests that might have been held.
    transactional: u64,
    /// What instances of Sprag's asked since this was looked at.
    asked: Did,
}

/// A request that hangs on its way. Its client sees a broken connection, and sends another one.
struct Held {
    due: Instant,
    envelope: Envelope,
}

/// One in so many requests of a transaction is held.
const HELD: u64 = 3;

/// How reading a partition fails.
#[derive(Clone, Copy, Debug)]
pub struct Failing {
    /// The answer to a fetch.
    pub error: Error,
    /// Its end cannot be read either.
    pub ends_too: bool,
}

struct Former {
    cluster: Cluster,
    replaced: Instant,
    /// It is asked by nobody at first, but answers look-ups: whoever looks up because a connection broke
    /// comes to it.
    misleads: bool,
    /// Since when.
    misled_from: Option<Instant>,
    /// Clients whose connection is to break once.
    breaks: BTreeSet<Rc<str>>,
}

impl Former {
    /// Whether the client that asks believes this to be the coordinator.
    fn answers(&self, envelope: &Envelope) -> bool {
        let as_of = envelope.coordinators_as_of;
        let believed = match self.misleads {
            false => as_of < self.replaced,
            true => {
                let misled = self.misled_from.is_some_and(|from| as_of >= from);
                misled && !envelope.looked_up_for_proof
            }
        };
        is_of_coordinators(&envelope.request) && believed
    }
}

impl Broker {
    /// A cluster of so many brokers, with nothing wrong.
    #[must_use]
    pub fn new(cluster: Cluster, brokers: usize) -> Self {
        Self(Rc::new(RefCell::new(State {
            cluster,
            brokers: Brokers::new(brokers),
            asleep: Vec::new(),
            former: None,
            stale_ends: None,
            failing: BTreeMap::new(),
            slow_by: Duration::ZERO,
            loses_answers: false,
            late_by: None,
            held: Vec::new(),
            transactional: 0,
            asked: Did::new(),
        })))
    }

    /// Answers for ever on this `host`.
    ///
    /// # Errors
    ///
    /// What turmoil says, where the port cannot be had.
    pub async fn run(self, mail: Mail, host: &str) -> std::io::Result<()> {
        serve(mail, host, |envelope| self.answer(host, &envelope)).await
    }

    /// Looks at the cluster.
    pub fn look<T>(&self, at: impl FnOnce(&Cluster) -> T) -> T {
        at(&self.0.borrow().cluster)
    }

    /// How often instances of Sprag's asked what, since the last call.
    #[must_use]
    pub fn take_asked(&self) -> Did {
        std::mem::take(&mut self.0.borrow_mut().asked)
    }

    /// Acts on the cluster without a client.
    pub fn act<T>(&self, on: impl FnOnce(&mut Cluster) -> T) -> T {
        on(&mut self.0.borrow_mut().cluster)
    }

    /// Looks at its brokers.
    pub fn brokers<T>(&self, at: impl FnOnce(&Brokers) -> T) -> T {
        at(&self.0.borrow().brokers)
    }

    /// What is wrong with each broker from now on. One that was stopped carries out now what it got
    /// meanwhile of Sprag's transactions, if nobody took its place.
    pub fn trouble(&self, now: Instant, trouble: BTreeMap<BrokerId, Trouble>) {
        let mut state = self.0.borrow_mut();
        let silent = |at: &BrokerId| trouble.get(at) == Some(&Trouble::Silent);
        let (asleep, awake): (Vec<_>, _) =
            std::mem::take(&mut state.asleep).into_iter().partition(|(at, _)| silent(at));
        state.asleep = asleep;
        for (broker, Envelope { from, sent, request, .. }) in awake {
            if state.brokers.still_leads(broker, &request) {
                struck("Late request of a stopped broker");
                state.cluster.handle_late(now, (&from, sent), request);
            }
        }
        state.brokers.trouble(trouble);
    }

    /// Others take the place of this broker.
    pub fn elect(&self, now: Instant, gone: BrokerId) {
        self.0.borrow_mut().brokers.elect(now, gone);
    }

    /// Time passes on the cluster.
    pub fn pass_time(&self, now: Instant) {
        let mut state = self.0.borrow_mut();
        let (due, held): (Vec<_>, _) =
            std::mem::take(&mut state.held).into_iter().partition(|held| held.due <= now);
        state.held = held;
        for Held { envelope: Envelope { from, sent, request, .. }, .. } in due {
            struck("Late request");
            state.cluster.handle_late(now, (&from, sent), request);
        }
        state.cluster.pass_time(now);
    }

    /// Some requests of Sprag's transactions arrive so much later, after their client tried again.
    pub fn late_by(&self, by: Option<Duration>) {
        self.0.borrow_mut().late_by = by;
    }

    /// The group coordinators move; the former ones go on answering what they know.
    /// Where they `mislead`, they answer look-ups as well.
    pub fn move_coordinators(&self, now: Instant, misleads: bool) {
        let mut state = self.0.borrow_mut();
        let cluster = state.cluster.clone();
        let (misled_from, breaks) = (None, BTreeSet::new());
        state.former = Some(Former { cluster, replaced: now, misleads, misled_from, breaks });
    }

    /// The connections of these clients to the coordinators break, once each.
    pub fn break_connections(&self, now: Instant, of: impl Iterator<Item = String>) {
        if let Some(former) = &mut self.0.borrow_mut().former {
            former.misled_from = Some(now);
            former.breaks.extend(of.map(Rc::from));
        }
    }

    /// The former coordinators answer no more.
    pub fn settle_coordinators(&self) {
        self.0.borrow_mut().former = None;
    }

    /// From now on a replica that learns nothing more answers for the ends of `topic`.
    pub fn stale_ends(&self, topic: &TopicName) {
        let mut state = self.0.borrow_mut();
        let cluster = state.cluster.clone();
        state.stale_ends = Some((topic.clone(), cluster));
    }

    /// Ends are true again.
    pub fn true_ends(&self) {
        self.0.borrow_mut().stale_ends = None;
    }

    /// Reading this partition fails; `None` ends that.
    pub fn fail_partition(&self, at: &Partition, how: Option<Failing>) {
        let mut state = self.0.borrow_mut();
        match how {
            Some(how) => state.failing.insert(at.clone(), how),
            None => state.failing.remove(at),
        };
    }

    /// Answers come so much later.
    pub fn slow_by(&self, by: Duration) {
        self.0.borrow_mut().slow_by = by;
    }

    /// Requests are carried out, and their answers lost.
    pub fn lose_answers(&self, lose: bool) {
        self.0.borrow_mut().loses_answers = lose;
    }

    fn answer(&self, host: &str, envelope: &Envelope) -> Answer {
        let mut state = self.0.borrow_mut();
        let now = simulated();
        sparing::note(&mut state.asked, envelope);
        if let Some(due) = state.holds(now, envelope) {
            state.held.push(Held { due, envelope: envelope.clone() });
            return Answer::Broken;
        }
        if let Some(former) = &mut state.former
            && is_of_coordinators(&envelope.request)
            && former.breaks.remove(&envelope.from)
        {
            return Answer::Broken;
        }
        let delay = match state.brokers.way(envelope) {
            Way::After(delay) => delay,
            Way::Unheard(broker) => {
                struck("Broker does not answer");
                if is_of_transactions(envelope) {
                    state.asleep.push((broker, envelope.clone()));
                }
                return Answer::Unheard;
            }
            Way::Misdirected => {
                struck("Coordinator moved");
                return Answer::After(state.slow_by, Response::Failed(Error::NotCoordinator));
            }
        };
        if delay > Duration::ZERO {
            struck("Slow broker");
        }
        let response = state.respond(now, envelope);
        let response = state.brokers.leave_out(envelope, response);
        let after = state.slow_by + delay;
        if state.loses_answers {
            struck(&format!("Lost answer of the {host}"));
            return Answer::Lost;
        }
        if state.slow_by > Duration::ZERO {
            struck(&format!("Slow answer of the {host}"));
        }
        Answer::After(after, response)
    }
}

impl State {
    /// Until when the request hangs on its way, if it does.
    fn holds(&mut self, now: Instant, envelope: &Envelope) -> Option<Instant> {
        let by = self.late_by.filter(|_| is_of_transactions(envelope))?;
        self.transactional += 1;
        self.transactional.is_multiple_of(HELD).then(|| now + by)
    }

    fn respond(&mut self, now: Instant, envelope: &Envelope) -> Response {
        let Envelope { from, sent, request, .. } = envelope;
        if let Some(former) = self.former.as_mut().filter(|former| former.answers(envelope)) {
            struck(match former.misleads {
                false => "Answer of a former coordinator",
                true => "Look-up of a former coordinator",
            });
            return former.cluster.handle(now, from, request.clone());
        }
        let mut response = match (&mut self.stale_ends, request) {
            (_, Request::DescribeCoordinators) => {
                Response::Coordinators(self.brokers.coordinators())
            }
            (Some((topic, replica)), Request::ListOffsets { at, .. })
                if at.iter().all(|at| at.topic == *topic) =>
            {
                struck("Ends of a lagging replica");
                replica.handle(now, from, request.clone())
            }
            _ => self.cluster.handle_sent(now, (from, *sent), request.clone()),
        };
        self.spoil(request, &mut response);
        response
    }

    /// What the failing partitions make of a response.
    fn spoil(&self, request: &Request, response: &mut Response) {
        if let Response::Offsets(offsets) = response {
            for (at, offset) in offsets.iter_mut() {
                if let Some(how) = self.failing.get(at).filter(|how| how.ends_too) {
                    struck("End of a partition cannot be read");
                    *offset = Err(how.error);
                }
            }
        }
        if let Request::Fetch { at, .. } = request
            && let Some(how) = self.failing.get(at)
        {
            struck("Partition cannot be read");
            *response = Response::Failed(how.error);
        }
    }
}

fn struck(fault: &str) {
    reached(Kind::Fault, fault);
}

/// What a group coordinator answers without writing: a former one's writes would fail.
fn is_of_coordinators(request: &Request) -> bool {
    matches!(request, Request::OffsetFetch { .. })
}

/// What one of Sprag's producers asks in a transaction. Another application's late requests would be
/// its own business.
fn is_of_transactions(envelope: &Envelope) -> bool {
    let of_transaction = matches!(
        envelope.request,
        Request::TxnOffsetCommit { .. }
            | Request::EndTxn { .. }
            | Request::Produce { producer: Some(_), .. }
    );
    of_transaction && envelope.from.starts_with("sprag-")
}
