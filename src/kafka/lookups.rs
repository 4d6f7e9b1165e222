//! Which broker coordinates a group, as a client has looked it up.
//!
//! librdkafka's own look-ups will not do: a client keeps those of eleven groups
//! (`rd_kafka_coord_cache_add()`), asks any broker that it is connected to for all others, each time
//! again, and waits for that one without an end. So a client looks the leaders of `__consumer_offsets` up
//! once, from a broker that answers, and its requests go to the coordinators by their ids.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::{LocalBoxFuture, Shared};
use rdkafka::types::RDKafkaErrorCode as Code;

use super::client::{AdminClient, Live};
use super::ffi::NativeError;
use super::topics::describe_one_by;
use crate::core::coordinators::Coordinators;
use crate::core::failure::{Failure, FailureClass};
use crate::core::ids::{BrokerId, GroupId, TopicName};
use crate::core::time::Instant;

const OFFSETS_TOPIC: &str = "__consumer_offsets";
/// How long a look-up holds that found no topic, or none that may be described.
const NOT_FOUND_LIFE: Duration = Duration::from_secs(60);
/// A coordinator that was looked up so recently and is none shows that the cluster assigns groups to
/// coordinators in another way than Kafka does.
const RECENT: Duration = Duration::from_secs(10);
/// The look-ups of how many clients are kept.
const MOST_KEPT: usize = 8;

/// `None` where the topic does not exist, or cannot be described.
type Found = Result<Option<Rc<Coordinators>>, Failure>;

/// The look-ups of one cluster's clients.
pub(super) struct Lookups {
    client: Rc<AdminClient>,
    by_client: RefCell<BTreeMap<u64, Lookup>>,
    /// Groups that are coordinated elsewhere than their names say.
    elsewhere: RefCell<BTreeSet<GroupId>>,
}

struct Lookup {
    found: Shared<LocalBoxFuture<'static, Found>>,
    begun: Instant,
}

impl Lookups {
    pub(super) fn new(client: Rc<AdminClient>) -> Self {
        Self { client, by_client: RefCell::default(), elsewhere: RefCell::default() }
    }

    /// The coordinator of the group as this client has looked it up; `None` where librdkafka has to look
    /// it up itself.
    ///
    /// # Errors
    ///
    /// Where no broker answers.
    pub(super) async fn coordinator(
        &self,
        live: &Rc<Live>,
        group: &GroupId,
    ) -> Result<Option<BrokerId>, Failure> {
        if self.elsewhere.borrow().contains(group) {
            return Ok(None);
        }
        let found = self.lookup(live).await;
        let Ok(coordinators) = &found else {
            self.by_client.borrow_mut().remove(&live.number);
            return found.map(|_| None);
        };
        Ok(coordinators.as_ref().and_then(|coordinators| coordinators.of(group)))
    }

    /// A request to the group's coordinator, as this client had looked it up, failed.
    pub(super) fn failed(&self, live: &Live, group: &GroupId, error: &NativeError) {
        if error.code != Code::NotCoordinator {
            return;
        }
        let by_client = self.by_client.borrow();
        let age = by_client.get(&live.number).map(|it| self.client.now().since(it.begun));
        if age.is_some_and(|age| age < RECENT) {
            self.elsewhere.borrow_mut().insert(group.clone());
        }
    }

    fn lookup(&self, live: &Rc<Live>) -> Shared<LocalBoxFuture<'static, Found>> {
        let now = self.client.now();
        let mut by_client = self.by_client.borrow_mut();
        let expired = |lookup: &Lookup| {
            let found_none = matches!(lookup.found.peek(), Some(Ok(None)));
            found_none && now.since(lookup.begun) >= NOT_FOUND_LIFE
        };
        if let Some(known) = by_client.get(&live.number).filter(|it| !expired(it)) {
            return known.found.clone();
        }
        let found = look_up(Rc::clone(&self.client), Rc::clone(live)).boxed_local().shared();
        by_client.insert(live.number, Lookup { found: found.clone(), begun: now });
        if by_client.len() > MOST_KEPT {
            by_client.pop_first();
        }
        found
    }
}

async fn look_up(client: Rc<AdminClient>, live: Rc<Live>) -> Found {
    let described = describe_one_by(&client, &live.admin, &TopicName::from(OFFSETS_TOPIC)).await;
    match described {
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
