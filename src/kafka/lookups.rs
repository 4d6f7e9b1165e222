//! Finds the broker that coordinates a group.
//!
//! librdkafka's own lookups are not enough. A client caches those of eleven groups
//! (`rd_kafka_coord_cache_add()`). For every other group it asks some connected broker each time, and waits
//! for that broker without a limit. So the adapter looks up the leaders of `__consumer_offsets` for all
//! groups at once, from a broker that answers, and sends requests to the coordinators by their ids.

mod refuted;

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::{LocalBoxFuture, Shared};
use rdkafka::types::RDKafkaErrorCode as Code;

use super::client::{AdminClient, Live};
use super::ffi::NativeError;
use super::topics::{First, describe_one_by};
use refuted::Refuted;
use sprag_core::coordinators::Coordinators;
use sprag_core::failure::{Failure, FailureClass};
use sprag_core::ids::{BrokerId, GroupId, TopicName};
use sprag_core::time::Instant;

const OFFSETS_TOPIC: &str = "__consumer_offsets";
/// How long a lookup is valid if the topic was not found or may not be described.
const NOT_FOUND_LIFE: Duration = Duration::from_secs(60);

/// `None` if the topic does not exist or cannot be described.
type Found = Result<Option<Rc<Coordinators>>, Failure>;

/// The coordinators of one cluster, as of the last lookup.
pub(super) struct Lookups {
    client: Rc<AdminClient>,
    /// The newest coordinators that were found, and when that lookup began.
    found: RefCell<Option<(Rc<Coordinators>, Instant)>>,
    /// The last lookup, which may still be in progress.
    last: RefCell<Option<Lookup>>,
    refuted: RefCell<Refuted>,
}

#[derive(Clone)]
struct Lookup {
    outcome: Shared<LocalBoxFuture<'static, Found>>,
    begun: Instant,
}

impl Lookups {
    pub(super) fn new(client: Rc<AdminClient>) -> Self {
        let (found, last, refuted) = Default::default();
        Self { client, found, last, refuted }
    }

    /// The coordinator of the group, from a lookup that began after `since`, and a client for a request to
    /// it. `None` if librdkafka must look up the coordinator itself. In that case the client was made after
    /// `since`, so its lookups are newer too.
    ///
    /// # Errors
    ///
    /// If no broker answers, or if librdkafka refuses the properties.
    pub(super) async fn coordinator(
        &self,
        group: &GroupId,
        since: Option<Instant>,
    ) -> Result<(Rc<Live>, Option<BrokerId>), Failure> {
        let elsewhere = self.refuted.borrow().leaves_it_to_the_client(group);
        let coordinators = match self.found_after(since) {
            _ if elsewhere => None,
            Some(found) => Some(found),
            None => self.look_up_after(since).await?,
        };
        let coordinator = coordinators.and_then(|coordinators| coordinators.of(group));
        let since = since.filter(|_| coordinator.is_none());
        Ok((self.client.since(since)?, coordinator))
    }

    /// The partition of `__consumer_offsets` that the group belongs to, if the last lookup found it.
    pub(super) fn partition(&self, group: &GroupId) -> Option<u32> {
        self.found.borrow().as_ref()?.0.partition_of(group)
    }

    /// Notes the result of a request about the group to the broker `at`, which was looked up; `None` if
    /// librdkafka looked up the broker. `error` is the request's error, if it failed.
    pub(super) fn answered(
        &self,
        at: Option<BrokerId>,
        group: &GroupId,
        error: Option<&NativeError>,
    ) {
        let code = error.map(|error| error.code);
        self.refuted.borrow_mut().answered(at, group, code);
        if at.is_none() && code == Some(Code::OperationTimedOut) {
            self.client.waits();
        }
    }

    /// The coordinators that are known, if their lookup began after `since`. A later lookup that is in
    /// progress for another request causes no delay.
    fn found_after(&self, since: Option<Instant>) -> Option<Rc<Coordinators>> {
        let found = self.found.borrow();
        let will_do = |(_, begun): &&(_, Instant)| since.is_none_or(|since| *begun > since);
        found.as_ref().filter(will_do).map(|(found, _)| Rc::clone(found))
    }

    /// The result of the last lookup, if it began after `since`; of a new one otherwise.
    async fn look_up_after(&self, since: Option<Instant>) -> Found {
        let lookup = self.lookup(since)?;
        let outcome = lookup.outcome.await;
        let newer = self.found.borrow().as_ref().is_none_or(|(_, begun)| *begun < lookup.begun);
        if let Ok(Some(coordinators)) = &outcome
            && newer
        {
            *self.found.borrow_mut() = Some((Rc::clone(coordinators), lookup.begun));
        }
        outcome
    }

    fn lookup(&self, since: Option<Instant>) -> Result<Lookup, Failure> {
        let now = self.client.now();
        let mut last = self.last.borrow_mut();
        let will_do = |lookup: &&Lookup| {
            let late_enough = since.is_none_or(|since| lookup.begun > since);
            let again = match lookup.outcome.peek() {
                None | Some(Ok(Some(_))) => false,
                Some(Ok(None)) => now.since(lookup.begun) >= NOT_FOUND_LIFE,
                Some(Err(_)) => true,
            };
            late_enough && !again
        };
        if let Some(lookup) = last.as_ref().filter(will_do) {
            return Ok(lookup.clone());
        }
        // A lookup that begins in the same millisecond as `since` must still count as later.
        let begun = since.map_or(now, |since| now.max(since + Duration::from_millis(1)));
        let (client, live) = (Rc::clone(&self.client), self.client.since(None)?);
        let lookup = Lookup { outcome: look_up(client, live).boxed_local().shared(), begun };
        *last = Some(lookup.clone());
        Ok(lookup)
    }
}

async fn look_up(client: Rc<AdminClient>, live: Rc<Live>) -> Found {
    let topic = TopicName::from(OFFSETS_TOPIC);
    match describe_one_by(&client, &live.admin, &topic, First::Another).await {
        Ok(topic) => {
            let leaders = topic.leaders.into_iter().map(|leader| leader.map(BrokerId)).collect();
            Ok(Some(Rc::new(Coordinators::new(leaders))))
        }
        Err(failure) => match failure.class {
            FailureClass::Missing | FailureClass::HoldGroup | FailureClass::Stop => Ok(None),
            FailureClass::Retry
            | FailureClass::Fenced
            | FailureClass::Abort
            | FailureClass::OutcomeUnknown
            | FailureClass::LateRequest
            | FailureClass::MetadataTooLarge
            | FailureClass::CommitTooLarge
            | FailureClass::Unstable
            | FailureClass::GroupActive => Err(failure),
        },
    }
}
