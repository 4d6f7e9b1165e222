//! One instance's way to one cluster.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use sprag::core::failure::Failure;
use sprag::core::time::Instant;
use sprag::ports::Clock;

use super::Timing;
use super::classify::{Doing, failure, no_answer};
use crate::clock::{SimClock, simulated};
use crate::net::Client;
use crate::wire::{Envelope, Error, Request, Response};

/// How long a client waits before it tries again what it tries again by itself.
const PAUSE: Duration = Duration::from_millis(50);

/// A connection to the cluster on one host. Clones share it.
#[derive(Clone)]
pub struct Link(Rc<Connection>);

struct Connection {
    client: Rc<Client>,
    host: String,
    clock: SimClock,
    timing: Timing,
    /// When coordinators were last looked up; what moved since is not noticed.
    looked_up: Cell<LookUp>,
    /// How often a request found no answer.
    breaks: Cell<u64>,
}

/// When coordinators were looked up.
#[derive(Clone, Copy)]
struct LookUp {
    /// By the process's clock, which may have stood still.
    by_clock: Instant,
    /// In truth.
    truly: Instant,
    /// How many came before it: each is another client.
    client: u64,
    /// It was made for a read that needs one, and not because a connection broke.
    for_proof: bool,
}

impl Link {
    /// A connection to `host`.
    #[must_use]
    pub fn new(client: Rc<Client>, host: &str, clock: SimClock, timing: Timing) -> Self {
        let (by_clock, truly) = (clock.now(), simulated());
        let first = LookUp { by_clock, truly, client: 0, for_proof: false };
        let (looked_up, breaks) = (Cell::new(first), Cell::new(0));
        Self(Rc::new(Connection {
            client,
            host: host.to_owned(),
            clock,
            timing,
            looked_up,
            breaks,
        }))
    }

    pub(super) fn clock(&self) -> &SimClock {
        &self.0.clock
    }

    pub(super) fn timing(&self) -> Timing {
        self.0.timing
    }

    /// Coordinators are looked up anew, unless they were after `since`.
    pub(super) fn looked_up_after(&self, since: Option<Instant>) {
        if since.is_some_and(|since| self.0.looked_up.get().by_clock <= since) {
            self.look_up(true);
        }
    }

    /// Coordinators are looked up anew, because a read needs that.
    pub(super) fn look_up_for_proof(&self) {
        self.look_up(true);
    }

    /// Which client asks, and over which of its connections.
    pub(super) fn connection(&self) -> (u64, u64) {
        (self.0.looked_up.get().client, self.0.breaks.get())
    }

    /// Asks once.
    pub async fn ask(
        &self,
        request: Request,
        doing: Doing,
        what: &str,
    ) -> Result<Response, Failure> {
        let patience = Duration::from_millis(self.0.timing.request);
        match self.once(request, patience).await {
            Some(Response::Failed(error)) => {
                self.moved(error);
                Err(failure(error, doing, what))
            }
            Some(response) => Ok(response),
            None => Err(no_answer(doing, what)),
        }
    }

    /// Asks again and again where librdkafka does: while no answer comes, or one that says "later",
    /// until a transactional call takes too long.
    pub async fn ask_on(
        &self,
        request: Request,
        doing: Doing,
        what: &str,
    ) -> Result<Response, Failure> {
        self.ask_until(request, doing, what).await.0
    }

    /// The same, with whether one of the tries was sent and never answered.
    pub(super) async fn ask_until(
        &self,
        request: Request,
        doing: Doing,
        what: &str,
    ) -> (Result<Response, Failure>, bool) {
        let mut unanswered = false;
        let end = self.0.clock.now() + Duration::from_millis(self.0.timing.transaction_call);
        let patience = Duration::from_millis(self.0.timing.request);
        loop {
            let answer = self.once(request.clone(), patience).await;
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

    /// Asks once, for callers that tell errors apart; nothing where no answer came.
    pub async fn plainly(&self, request: Request) -> Option<Response> {
        self.once(request, Duration::from_millis(self.0.timing.request)).await
    }

    async fn once(&self, request: Request, patience: Duration) -> Option<Response> {
        let LookUp { truly, for_proof, .. } = self.0.looked_up.get();
        let envelope = Envelope {
            from: self.0.client.name(),
            coordinators_as_of: truly,
            looked_up_for_proof: for_proof,
            sent: simulated(),
            request,
        };
        let answer = self.0.client.call(&self.0.host, envelope, patience).await;
        if answer.is_err() {
            self.0.breaks.set(self.0.breaks.get() + 1);
            self.look_up(false);
        }
        answer.ok()
    }

    fn moved(&self, error: Error) {
        if matches!(error, Error::NotCoordinator | Error::CoordinatorLoadInProgress) {
            self.look_up(false);
        }
    }

    fn look_up(&self, for_proof: bool) {
        let client = self.0.looked_up.get().client + 1;
        let (by_clock, truly) = (self.0.clock.now(), simulated());
        self.0.looked_up.set(LookUp { by_clock, truly, client, for_proof });
    }
}

/// What a client of librdkafka's tries again by itself.
fn is_later(error: Error) -> bool {
    matches!(
        error,
        Error::ConcurrentTransactions
            | Error::NotCoordinator
            | Error::CoordinatorLoadInProgress
            | Error::RequestTimedOut
    )
}

/// What is said where an answer is of another kind than the question.
pub(super) fn strange(what: &str, response: &Response) -> Failure {
    Failure::new(
        sprag::core::failure::FailureClass::Retry,
        format!("{what}: an answer to something else: {response:?}"),
    )
}
