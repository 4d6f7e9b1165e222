//! Freezes a process. A process is one future, and while its gate is closed it is not polled.
//!
//! turmoil can hold messages, crash hosts and cut links, but it cannot stop a host's code. A stopped
//! process (SIGSTOP, a long garbage collection, a suspended machine) runs nothing while the world goes on.
//! It keeps what it has decided and carries it out when it wakes: a zombie.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use sprag_core::ids::GroupId;

use crate::scenario::CommitStep;
use crate::trace;

/// The gate of a process. Clones share one gate.
#[derive(Clone, Default)]
pub struct Gate(Rc<State>);

#[derive(Default)]
struct State {
    closed: Cell<bool>,
    waker: RefCell<Option<Waker>>,
    /// The step before which the process freezes itself, for how long, and whether a consumer joins
    /// meanwhile.
    trap: Cell<Option<(CommitStep, u64, bool)>>,
    sprung: RefCell<Option<Sprung>>,
}

/// The process reached the step of its trap and is frozen.
pub struct Sprung {
    /// The step that it was about to take.
    pub step: CommitStep,
    /// How long it stays frozen, in milliseconds.
    pub lasts: u64,
    /// Whether a consumer of the group joins while it is frozen.
    pub visited: bool,
    /// The group whose commit is in progress.
    pub group: GroupId,
}

impl Gate {
    /// Stops everything behind the gate.
    pub fn close(&self) {
        self.0.closed.set(true);
    }

    /// Makes the process freeze itself before its next `step` of a commit, for `lasts` milliseconds.
    /// `visited` is passed on in [`Sprung`].
    pub fn arm(&self, step: CommitStep, lasts: u64, visited: bool) {
        self.0.trap.set(Some((step, lasts, visited)));
    }

    /// Removes the trap.
    pub fn disarm(&self) {
        self.0.trap.set(None);
    }

    /// The trap that the process stepped into, if it did. Each is returned once.
    #[must_use]
    pub fn sprung(&self) -> Option<Sprung> {
        self.0.sprung.take()
    }

    /// The process is about to take this `step` of a commit for `group`.
    pub async fn reach(&self, step: CommitStep, group: &GroupId) {
        if let Some((_, lasts, visited)) = self.0.trap.get().filter(|(at, _, _)| *at == step) {
            self.disarm();
            let group = group.clone();
            *self.0.sprung.borrow_mut() = Some(Sprung { step, lasts, visited, group });
            self.close();
            // The gate takes effect when the process is polled next.
            tokio::task::yield_now().await;
        }
    }

    /// Resumes everything behind the gate.
    pub fn open(&self) {
        self.0.closed.set(false);
        if let Some(waker) = self.0.waker.borrow_mut().take() {
            waker.wake();
        }
    }

    /// Whether the gate is closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.closed.get()
    }

    /// Puts `inner`, the process on `host`, behind this gate. The future must contain the whole process: a
    /// spawned task would keep running.
    pub fn around<F: Future>(&self, host: &str, inner: F) -> Gated<F> {
        Gated { gate: self.clone(), host: Rc::from(host), inner: Box::pin(inner) }
    }
}

/// A future behind a gate.
pub struct Gated<F> {
    gate: Gate,
    host: Rc<str>,
    inner: Pin<Box<F>>,
}

impl<F: Future> Future for Gated<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        if self.gate.is_closed() {
            *self.gate.0.waker.borrow_mut() = Some(context.waker().clone());
            return Poll::Pending;
        }
        let Self { host, inner, .. } = &mut *self;
        trace::on_host(host, || inner.as_mut().poll(context))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[test]
    fn nothing_behind_a_closed_gate_runs_and_an_open_one_wakes_it() {
        let runs = Rc::new(Cell::new(0));
        let counted = Rc::clone(&runs);
        let gate = Gate::default();
        let mut gated = gate.around(
            "here",
            std::future::poll_fn(move |_| {
                counted.set(counted.get() + 1);
                Poll::<()>::Pending
            }),
        );
        assert_eq!((&mut gated).now_or_never(), None);
        gate.close();
        assert_eq!((&mut gated).now_or_never(), None);
        assert_eq!(runs.get(), 1);
        gate.open();
        assert_eq!((&mut gated).now_or_never(), None);
        assert_eq!(runs.get(), 2);
    }
}
