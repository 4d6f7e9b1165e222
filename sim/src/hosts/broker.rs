//! A cluster's host: answers requests, truthfully unless a fault says otherwise.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use sprag::core::ids::TopicName;
use sprag::core::time::Instant;

use crate::clock::simulated;
use crate::cluster::Cluster;
use crate::coverage::{Kind, reached};
use crate::net::{Answer, Mail, serve};
use crate::wire::{Envelope, Error, Partition, Request, Response};

/// One cluster and what is wrong with it. Clones are the same.
#[derive(Clone)]
pub struct Broker(Rc<RefCell<State>>);

struct State {
    cluster: Cluster,
    /// What the coordinators knew that were replaced: whoever has not looked them up since, asks them.
    former: Option<Former>,
    /// A replica that lags behind and answers for the ends of one topic.
    stale_ends: Option<(TopicName, Cluster)>,
    /// Partitions that cannot be read.
    failing: BTreeMap<Partition, Failing>,
    slow_by: Duration,
    loses_answers: bool,
}

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
}

impl Broker {
    /// A cluster with nothing wrong.
    #[must_use]
    pub fn new(cluster: Cluster) -> Self {
        Self(Rc::new(RefCell::new(State {
            cluster,
            former: None,
            stale_ends: None,
            failing: BTreeMap::new(),
            slow_by: Duration::ZERO,
            loses_answers: false,
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

    /// Acts on the cluster without a client.
    pub fn act<T>(&self, on: impl FnOnce(&mut Cluster) -> T) -> T {
        on(&mut self.0.borrow_mut().cluster)
    }

    /// Time passes on the cluster.
    pub fn pass_time(&self, now: Instant) {
        self.0.borrow_mut().cluster.pass_time(now);
    }

    /// The group coordinators move; the former ones go on answering what they know.
    pub fn move_coordinators(&self, now: Instant) {
        let mut state = self.0.borrow_mut();
        let cluster = state.cluster.clone();
        state.former = Some(Former { cluster, replaced: now });
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
        let response = state.respond(now, envelope);
        let after = state.slow_by;
        if state.loses_answers {
            struck(&format!("Lost answer of the {host}"));
            return Answer::Lost;
        }
        if after > Duration::ZERO {
            struck(&format!("Slow answer of the {host}"));
        }
        Answer::After(after, response)
    }
}

impl State {
    fn respond(&mut self, now: Instant, envelope: &Envelope) -> Response {
        let Envelope { from, coordinators_as_of, request } = envelope;
        if let Some(former) = &mut self.former
            && is_of_coordinators(request)
            && *coordinators_as_of < former.replaced
        {
            struck("Answer of a former coordinator");
            return former.cluster.handle(now, from, request.clone());
        }
        let mut response = match (&mut self.stale_ends, request) {
            (Some((topic, replica)), Request::ListOffsets { at, .. })
                if at.iter().all(|at| at.topic == *topic) =>
            {
                struck("Ends of a lagging replica");
                replica.handle(now, from, request.clone())
            }
            _ => self.cluster.handle(now, from, request.clone()),
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
