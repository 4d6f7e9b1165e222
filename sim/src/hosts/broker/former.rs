//! Former group coordinators, which keep answering with their old state.

use std::collections::BTreeSet;
use std::rc::Rc;

use sprag_core::time::Instant;

use crate::cluster::Cluster;
use crate::wire::{Envelope, Request};

/// The coordinators before they moved.
pub(super) struct Former {
    pub(super) cluster: Cluster,
    pub(super) replaced: Instant,
    /// It answers look-ups, and no other requests at first. A client that looks up a coordinator because
    /// its connection broke is led to it.
    pub(super) misleads: bool,
    /// When connections to it broke, which began to mislead clients.
    pub(super) misled_from: Option<Instant>,
    /// Clients whose connection is to break once.
    pub(super) breaks: BTreeSet<Rc<str>>,
}

impl Former {
    /// Whether the client takes this for the coordinator.
    pub(super) fn answers(&self, envelope: &Envelope) -> bool {
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

/// What a former group coordinator may answer: reads only, because its writes would fail.
pub(super) fn is_of_coordinators(request: &Request) -> bool {
    matches!(request, Request::OffsetFetch { .. })
}
