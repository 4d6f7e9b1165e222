//! The host of a cluster. It answers requests, truthfully unless a fault says otherwise.

mod former;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use sprag_core::ids::{BrokerId, TopicName};
use sprag_core::time::Instant;

use self::former::{Former, is_of_coordinators};
use super::brokers::{Brokers, Trouble, Way};
use crate::clock::simulated;
use crate::cluster::Cluster;
use crate::cluster::topics::Topics;
use crate::coverage::{Kind, reached};
use crate::invariants::sparing::{self, Did};
use crate::net::{Answer, Mail, serve};
use crate::wire::{Envelope, Error, Partition, Request, Response};

/// One cluster and its faults. Clones share them.
#[derive(Clone)]
pub struct Broker(Rc<RefCell<State>>);

struct State {
    cluster: Cluster,
    brokers: Brokers,
    /// Requests of Sprag's transactions that reached a broker while it was stopped.
    asleep: Vec<(BrokerId, Envelope)>,
    /// The former coordinators. A client that has not looked coordinators up since then asks them.
    former: Option<Former>,
    /// A topic, and a lagging replica that answers for its log end offsets.
    stale_ends: Option<(TopicName, Cluster)>,
    /// Topics whose leaders are behind, and what these know.
    lagging: Option<(BTreeSet<TopicName>, Topics)>,
    /// Topics that are not described.
    undescribed: BTreeSet<TopicName>,
    /// Partitions that cannot be read.
    failing: BTreeMap<Partition, Failing>,
    slow_by: Duration,
    loses_answers: bool,
    /// How long requests of transactions are delayed; their clients retry meanwhile.
    late_by: Option<Duration>,
    held: Vec<Held>,
    /// Number of requests that might have been delayed.
    transactional: u64,
    /// What instances of Sprag's asked since this was looked at.
    asked: Did,
}

/// A delayed request. Its client sees a broken connection and retries.
struct Held {
    due: Instant,
    envelope: Envelope,
}

/// One in this many requests of transactions is delayed.
const HELD: u64 = 3;

/// How reading a partition fails.
#[derive(Clone, Copy, Debug)]
pub struct Failing {
    /// The answer to a fetch.
    pub error: Error,
    /// Whether the log end offset cannot be read either.
    pub ends_too: bool,
}

impl Broker {
    /// A cluster with this many brokers and no faults.
    #[must_use]
    pub fn new(cluster: Cluster, brokers: usize) -> Self {
        Self(Rc::new(RefCell::new(State {
            cluster,
            brokers: Brokers::new(brokers),
            asleep: Vec::new(),
            former: None,
            stale_ends: None,
            lagging: None,
            undescribed: BTreeSet::new(),
            failing: BTreeMap::new(),
            slow_by: Duration::ZERO,
            loses_answers: false,
            late_by: None,
            held: Vec::new(),
            transactional: 0,
            asked: Did::new(),
        })))
    }

    /// Answers requests on this `host`. Returns only on an error.
    ///
    /// # Errors
    ///
    /// An error of turmoil, if the port cannot be bound.
    pub async fn run(self, mail: Mail, host: &str) -> std::io::Result<()> {
        serve(mail, host, |envelope| self.answer(host, &envelope)).await
    }

    /// Inspects the cluster.
    pub fn look<T>(&self, at: impl FnOnce(&Cluster) -> T) -> T {
        at(&self.0.borrow().cluster)
    }

    /// How often instances of Sprag's asked what, since the last call.
    #[must_use]
    pub fn take_asked(&self) -> Did {
        std::mem::take(&mut self.0.borrow_mut().asked)
    }

    /// Changes the cluster without a client.
    pub fn act<T>(&self, on: impl FnOnce(&mut Cluster) -> T) -> T {
        on(&mut self.0.borrow_mut().cluster)
    }

    /// Inspects its brokers.
    pub fn brokers<T>(&self, at: impl FnOnce(&Brokers) -> T) -> T {
        at(&self.0.borrow().brokers)
    }

    /// Sets the trouble of each broker. A broker that was stopped now carries out the requests of Sprag's
    /// transactions that reached it meanwhile, unless others took its place.
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

    /// Other brokers take the place of this one.
    pub fn elect(&self, now: Instant, gone: BrokerId) {
        self.0.borrow_mut().brokers.elect(now, gone);
    }

    /// Lets time pass on the cluster.
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

    /// Delays some requests of Sprag's transactions by this long; their clients retry first.
    pub fn late_by(&self, by: Option<Duration>) {
        self.0.borrow_mut().late_by = by;
    }

    /// The group coordinators move. The former ones keep answering with their old state; if they `mislead`,
    /// they answer look-ups too.
    pub fn move_coordinators(&self, now: Instant, misleads: bool) {
        let mut state = self.0.borrow_mut();
        let cluster = state.cluster.clone();
        let (misled_from, breaks) = (None, BTreeSet::new());
        state.former = Some(Former { cluster, replaced: now, misleads, misled_from, breaks });
    }

    /// Breaks the connection of each of these clients to the coordinators, once.
    pub fn break_connections(&self, now: Instant, of: impl Iterator<Item = String>) {
        if let Some(former) = &mut self.0.borrow_mut().former {
            former.misled_from = Some(now);
            former.breaks.extend(of.map(Rc::from));
        }
    }

    /// The former coordinators stop answering.
    pub fn settle_coordinators(&self) {
        self.0.borrow_mut().former = None;
    }

    /// From now on, a replica that no longer changes answers for the log end offsets of `topic`.
    pub fn stale_ends(&self, topic: &TopicName) {
        let mut state = self.0.borrow_mut();
        let cluster = state.cluster.clone();
        state.stale_ends = Some((topic.clone(), cluster));
    }

    /// Log end offsets are current again.
    pub fn true_ends(&self) {
        self.0.borrow_mut().stale_ends = None;
    }

    /// From now on, the leaders of these topics know nothing that is new.
    pub fn lag(&self, topics: BTreeSet<TopicName>) {
        let mut state = self.0.borrow_mut();
        let known = state.cluster.topics().clone();
        state.lagging = Some((topics, known));
    }

    /// The leaders know everything again.
    pub fn catch_up(&self) {
        self.0.borrow_mut().lagging = None;
    }

    /// Describes all topics but these.
    pub fn leave_undescribed(&self, topics: BTreeSet<TopicName>) {
        self.0.borrow_mut().undescribed = topics;
    }

    /// Makes reading this partition fail; `None` ends that.
    pub fn fail_partition(&self, at: &Partition, how: Option<Failing>) {
        let mut state = self.0.borrow_mut();
        match how {
            Some(how) => state.failing.insert(at.clone(), how),
            None => state.failing.remove(at),
        };
    }

    /// Delays answers by this long.
    pub fn slow_by(&self, by: Duration) {
        self.0.borrow_mut().slow_by = by;
    }

    /// Requests are carried out, but their answers are lost.
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
    /// When a delayed request arrives; `None` if it is not delayed.
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
        if from.starts_with("sprag-") {
            self.hold_back(request, &mut response);
        }
        self.spoil(request, &mut response);
        response
    }

    /// Takes out of a response to Sprag what leaders that are behind do not know, and the topics that are
    /// not described. A log start is never taken back.
    fn hold_back(&self, request: &Request, response: &mut Response) {
        if let Response::Topics(described) = response {
            for (_, topic) in described.iter_mut().filter(|(at, _)| self.undescribed.contains(*at))
            {
                struck("Topic is not described");
                *topic = Err(Error::RequestTimedOut);
            }
        }
        if let (Some((topics, known)), Request::ListOffsets { at, isolation }) =
            (&self.lagging, request)
            && let Response::Offsets(offsets) = response
        {
            let behind = at.iter().filter(|at| topics.contains(&at.topic)).cloned().collect();
            for (at, range) in known.ends(behind, *isolation) {
                if let (Ok((_, known)), Some(Ok((start, end)))) = (range, offsets.get_mut(&at))
                    && known < *end
                {
                    struck("End of a leader that is behind");
                    *end = known.max(*start);
                }
            }
        }
    }

    /// Applies the failing partitions to a response.
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

/// Whether a request belongs to a transaction of Sprag's. Late requests of other applications are out of
/// scope.
fn is_of_transactions(envelope: &Envelope) -> bool {
    let of_transaction = matches!(
        envelope.request,
        Request::TxnOffsetCommit { .. }
            | Request::EndTxn { .. }
            | Request::Produce { producer: Some(_), .. }
    );
    of_transaction && envelope.from.starts_with("sprag-")
}
