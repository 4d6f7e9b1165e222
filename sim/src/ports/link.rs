//! One instance's way to one cluster.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use sprag::core::failure::Failure;
use sprag::core::time::Instant;
use sprag::ports::Clock;
use tokio::sync::Notify;

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
    broken: Notify,
}

/// When coordinators were looked up.
#[derive(Clone, Copy)]
struct LookUp {
    /// By the process's clock, which may have stood still.
    by_clock: Instant,
    /// In truth.
    truly: Instant,
}

impl LookUp {
    fn now(clock: &SimClock) -> Self {
        Self { by_clock: clock.now(), truly: simulated() }
    }
}

impl Link {
    /// A connection to `host`.
    #[must_use]
    pub fn new(client: Rc<Client>, host: &str, clock: SimClock, timing: Timing) -> Self {
        let looked_up = Cell::new(LookUp::now(&clock));
        let broken = Notify::new();
        Self(Rc::new(Connection {
            client,
            host: host.to_owned(),
            clock,
            timing,
            looked_up,
            broken,
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
            self.look_up();
        }
    }

    /// Waits until a request found no answer.
    pub(super) async fn broken(&self) {
        self.0.broken.notified().await;
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
        let end = self.0.clock.now() + Duration::from_millis(self.0.timing.transaction_call);
        let patience = Duration::from_millis(self.0.timing.request);
        loop {
            let answer = self.once(request.clone(), patience).await;
            match answer {
                Some(Response::Failed(error)) if !is_later(error) => {
                    return Err(failure(error, doing, what));
                }
                Some(Response::Failed(_)) | None => {}
                Some(response) => return Ok(response),
            }
            if self.0.clock.now() >= end {
                return Err(no_answer(doing, what));
            }
            self.0.clock.sleep_until(self.0.clock.now() + PAUSE).await;
        }
    }

    /// Asks once, for callers that tell errors apart; nothing where no answer came.
    pub async fn plainly(&self, request: Request) -> Option<Response> {
        self.once(request, Duration::from_millis(self.0.timing.request)).await
    }

    async fn once(&self, request: Request, patience: Duration) -> Option<Response> {
        let since = self.0.looked_up.get().truly;
        let from = self.0.client.name();
        let envelope = Envelope { from, coordinators_as_of: since, request };
        let answer = self.0.client.call(&self.0.host, envelope, patience).await;
        if answer.is_err() {
            self.look_up();
            self.0.broken.notify_one();
        }
        answer.ok()
    }

    fn moved(&self, error: Error) {
        if matches!(error, Error::NotCoordinator | Error::CoordinatorLoadInProgress) {
            self.look_up();
        }
    }

    fn look_up(&self) {
        self.0.looked_up.set(LookUp::now(&self.0.clock));
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
