//! The connection of one instance to one cluster.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use sprag::ports::Clock;
use sprag_core::failure::Failure;
use sprag_core::ids::BrokerId;
use sprag_core::time::Instant;

use super::Timing;
use super::classify::{Doing, failure, no_answer};
use crate::clock::{SimClock, simulated};
use crate::net::{Client, NoAnswer};
use crate::wire::{Envelope, Error, Request, Response};

/// How long a client waits before a retry of its own.
const PAUSE: Duration = Duration::from_millis(50);
/// Minimum time between two look-ups of leaders and coordinators for requests that are not about one group.
const LEAST_CLIENT_LIFE: Duration = Duration::from_millis(50);
/// How long a client stays in use after one of its requests timed out.
const TIMED_OUT_LIFE: Duration = Duration::from_millis(5_000);
/// Maximum number of clients.
const MOST_CLIENTS: usize = 5;

/// A connection to the cluster on one host. Clones share it.
#[derive(Clone)]
pub struct Link(Rc<Connection>);

struct Connection {
    client: Rc<Client>,
    host: String,
    clock: SimClock,
    timing: Timing,
    /// The cluster's only broker, if there is only one.
    sole: Option<BrokerId>,
    /// The clients in use, oldest first, kept as in the adapter (`src/kafka/client.rs`). A client does not
    /// notice moves after it was created.
    live: RefCell<Vec<Live>>,
    made: Cell<u64>,
    /// Requests that are not about one group use a client created after this.
    moved: Cell<Option<Instant>>,
    /// How often connections to each broker broke.
    breaks: RefCell<BTreeMap<BrokerId, u64>>,
}

/// One librdkafka client. It looks up each coordinator once.
#[derive(Clone, Copy)]
pub(super) struct Live {
    /// Its number, unique within the process.
    pub(super) number: u64,
    /// When it was created, by the clock of the process, which may have stopped.
    by_clock: Instant,
    /// When it was created, in simulated time.
    truly: Instant,
    /// It was created for a read that needs a newer look-up, not because a connection broke.
    for_proof: bool,
    /// When one of its requests first timed out.
    timed_out: Option<Instant>,
}

impl Link {
    /// A connection to `host`, a cluster with this many brokers.
    #[must_use]
    pub fn new(
        client: Rc<Client>,
        host: &str,
        clock: SimClock,
        timing: Timing,
        brokers: usize,
    ) -> Self {
        let link = Self(Rc::new(Connection {
            client,
            host: host.to_owned(),
            clock,
            timing,
            sole: (brokers <= 1).then_some(BrokerId(0)),
            live: RefCell::default(),
            made: Cell::new(0),
            moved: Cell::new(None),
            breaks: RefCell::default(),
        }));
        link.another(None, false);
        link
    }

    pub(super) fn clock(&self) -> &SimClock {
        &self.0.clock
    }

    pub(super) fn timing(&self) -> Timing {
        self.0.timing
    }

    /// The cluster's only broker, if there is only one.
    pub(super) fn sole(&self) -> Option<BrokerId> {
        self.0.sole
    }

    /// The oldest client created after `since`; a new one if there is none.
    pub(super) fn since(&self, since: Option<Instant>) -> Live {
        self.find(since, false)
    }

    /// The same, among clients whose look-up was made for a read that needs one.
    pub(super) fn proven_since(&self, since: Instant) -> Live {
        self.find(Some(since), true)
    }

    /// The client with this number, if it is in use.
    pub(super) fn client(&self, number: u64) -> Option<Live> {
        self.0.live.borrow().iter().find(|live| live.number == number).copied()
    }

    fn find(&self, since: Option<Instant>, for_proof: bool) -> Live {
        let now = self.0.clock.now();
        self.0.live.borrow_mut().retain(|live| {
            live.timed_out.is_none_or(|timed_out| now.since(timed_out) < TIMED_OUT_LIFE)
        });
        let will_do = |live: &&Live| {
            (live.for_proof || !for_proof) && since.is_none_or(|since| live.by_clock > since)
        };
        let found = self.0.live.borrow().iter().find(will_do).copied();
        found.unwrap_or_else(|| self.another(since, for_proof))
    }

    fn another(&self, since: Option<Instant>, for_proof: bool) -> Live {
        let (now, number) = (self.0.clock.now(), self.0.made.get());
        // It has looked up nothing yet, so it also suits later requests for a look-up after `since`.
        let by_clock = since.map_or(now, |since| now.max(since + Duration::from_millis(1)));
        let live = Live { number, by_clock, truly: simulated(), for_proof, timed_out: None };
        self.0.made.set(number + 1);
        let mut all = self.0.live.borrow_mut();
        if all.len() >= MOST_CLIENTS {
            all.remove(1);
        }
        all.push(live);
        live
    }

    /// How many connections to this broker have ended; the sum over all brokers if it is not known.
    pub(super) fn ended(&self, broker: Option<BrokerId>) -> u64 {
        let breaks = self.0.breaks.borrow();
        match broker {
            Some(broker) => breaks.get(&broker).copied().unwrap_or_default(),
            None => breaks.values().sum(),
        }
    }

    /// Sends a request once.
    pub async fn ask(
        &self,
        request: Request,
        doing: Doing,
        what: &str,
    ) -> Result<Response, Failure> {
        let live = self.since(self.0.moved.get());
        let answer = self.once(&live, None, request, self.patience()).await;
        match &answer {
            Some(Response::Failed(error)) if moved(*error) => self.look_up_again(),
            None => self.look_up_again(),
            Some(_) => {}
        }
        outcome(answer, doing, what)
    }

    /// Sends a request once to a group's coordinator, with this client. The core decides whether the
    /// coordinator is looked up again.
    pub(super) async fn ask_coordinator(
        &self,
        live: &Live,
        coordinator: Option<BrokerId>,
        request: Request,
        patience: Duration,
        what: &str,
    ) -> Result<Response, Failure> {
        let answer = self.once(live, coordinator, request, patience).await;
        outcome(answer, Doing::Reading, what)
    }

    /// How long a request may take.
    pub(super) fn patience(&self) -> Duration {
        Duration::from_millis(self.0.timing.request)
    }

    /// Retries a request as librdkafka does, while there is no answer or only a retriable error, until a
    /// transactional call has taken too long.
    pub async fn ask_on(
        &self,
        request: Request,
        doing: Doing,
        what: &str,
    ) -> Result<Response, Failure> {
        self.ask_until(request, doing, what).await.0
    }

    /// The same; also returns whether an attempt was sent and never answered.
    pub(super) async fn ask_until(
        &self,
        request: Request,
        doing: Doing,
        what: &str,
    ) -> (Result<Response, Failure>, bool) {
        let mut unanswered = false;
        let end = self.0.clock.now() + Duration::from_millis(self.0.timing.transaction_call);
        loop {
            let live = self.another_try();
            let answer = self.once(&live, None, request.clone(), self.patience()).await;
            match answer {
                Some(Response::Failed(error)) if !is_later(error) => {
                    return (Err(failure(error, doing, what)), unanswered);
                }
                Some(Response::Failed(_)) => {}
                None => unanswered = true,
                Some(response) => return (Ok(response), unanswered),
            }
            if self.0.clock.now() >= end {
                return (Err(no_answer(doing, what)), unanswered);
            }
            self.0.clock.sleep_until(self.0.clock.now() + PAUSE).await;
        }
    }

    /// Sends a request once, for callers that distinguish errors. `None` if there was no answer.
    pub async fn plainly(&self, request: Request) -> Option<Response> {
        self.once(&self.another_try(), None, request, self.patience()).await
    }

    /// Consumers and producers look up a moved coordinator by themselves.
    fn another_try(&self) -> Live {
        Live { truly: simulated(), ..self.since(None) }
    }

    async fn once(
        &self,
        live: &Live,
        coordinator: Option<BrokerId>,
        request: Request,
        patience: Duration,
    ) -> Option<Response> {
        let envelope = Envelope {
            from: self.0.client.name(),
            coordinators_as_of: live.truly,
            looked_up_for_proof: live.for_proof,
            sent: simulated(),
            request,
        };
        match self.0.client.call(&self.0.host, envelope, patience).await {
            Ok(answer) => Some(answer),
            Err(no_answer) => {
                self.broke(coordinator, no_answer);
                None
            }
        }
    }

    fn broke(&self, coordinator: Option<BrokerId>, how: NoAnswer) {
        if let Some(broker) = coordinator.or(self.0.sole) {
            *self.0.breaks.borrow_mut().entry(broker).or_default() += 1;
        }
        let now = self.0.clock.now();
        let mut live = self.0.live.borrow_mut();
        match how {
            // The next request finds no client, so it looks everything up again.
            NoAnswer::Broken => live.clear(),
            NoAnswer::TimedOut => {
                live.iter_mut().for_each(|live| live.timed_out = live.timed_out.or(Some(now)));
            }
        }
    }

    /// Makes the next request that is not about one group look up leaders and coordinators again.
    fn look_up_again(&self) {
        let now = self.0.clock.now();
        if self.0.moved.get().is_none_or(|at| now.since(at) >= LEAST_CLIENT_LIFE) {
            self.0.moved.set(Some(now));
        }
    }
}

fn outcome(answer: Option<Response>, doing: Doing, what: &str) -> Result<Response, Failure> {
    match answer {
        Some(Response::Failed(error)) => Err(failure(error, doing, what)),
        Some(response) => Ok(response),
        None => Err(no_answer(doing, what)),
    }
}

fn moved(error: Error) -> bool {
    matches!(error, Error::NotCoordinator | Error::CoordinatorLoadInProgress)
}

/// Errors that librdkafka's clients retry by themselves.
fn is_later(error: Error) -> bool {
    matches!(
        error,
        Error::ConcurrentTransactions
            | Error::NotCoordinator
            | Error::CoordinatorLoadInProgress
            | Error::RequestTimedOut
    )
}

/// The failure for an answer of an unexpected kind.
pub(super) fn strange(what: &str, response: &Response) -> Failure {
    Failure::new(
        sprag_core::failure::FailureClass::Retry,
        format!("{what}: unexpected kind of answer: {response:?}"),
    )
}
