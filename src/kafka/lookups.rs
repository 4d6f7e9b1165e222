//! Which broker coordinates a group.
//!
//! librdkafka's own look-ups will not do: a client keeps those of eleven groups
//! (`rd_kafka_coord_cache_add()`), asks any broker that it is connected to for all others, each time
//! again, and waits for that one without an end. So the leaders of `__consumer_offsets` are looked up for
//! all groups at once, from a broker that answers, and requests go to the coordinators by their ids.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::{LocalBoxFuture, Shared};
use rdkafka::types::RDKafkaErrorCode as Code;

use super::client::{AdminClient, Live};
use super::ffi::NativeError;
use super::topics::{First, describe_one_by};
use crate::core::coordinators::Coordinators;
use crate::core::failure::{Failure, FailureClass};
use crate::core::ids::{BrokerId, GroupId, TopicName};
use crate::core::time::Instant;

const OFFSETS_TOPIC: &str = "__consumer_offsets";
/// How long a look-up holds that found no topic, or none that may be described.
const NOT_FOUND_LIFE: Duration = Duration::from_secs(60);
/// A coordinator that was looked up so recently and is none shows that the cluster assigns groups to
/// coordinators in another way than Kafka does.
const RECENT: Duration = Duration::from_secs(1);
/// How soon after a look-up a request that failed makes another one.
const AGAIN: Duration = Duration::from_secs(1);

/// `None` where the topic does not exist, or cannot be described.
type Found = Result<Option<Rc<Coordinators>>, Failure>;

/// The coordinators of one cluster, as they were looked up last.
pub(super) struct Lookups {
    client: Rc<AdminClient>,
    last: RefCell<Option<Lookup>>,
    /// Groups that are coordinated elsewhere than their names say.
    elsewhere: RefCell<BTreeSet<GroupId>>,
}

#[derive(Clone)]
struct Lookup {
    found: Shared<LocalBoxFuture<'static, Found>>,
    begun: Instant,
    /// A request to a coordinator that it found has failed.
    doubted: bool,
}

impl Lookups {
    pub(super) fn new(client: Rc<AdminClient>) -> Self {
        Self { client, last: RefCell::default(), elsewhere: RefCell::default() }
    }

    /// A client for a request to the coordinator of the group, and the coordinator, which was looked up
    /// after `since`. `None` where librdkafka has to look it up itself: then the client was made after
    /// `since`, and has looked nothing up before.
    ///
    /// # Errors
    ///
    /// Where no broker answers, and where librdkafka refuses the properties.
    pub(super) async fn coordinator(
        &self,
        group: &GroupId,
        since: Option<Instant>,
    ) -> Result<(Rc<Live>, Option<BrokerId>), Failure> {
        let coordinator = match self.elsewhere.borrow().contains(group) {
            true => None,
            false => Some(self.lookup(since)?),
        };
        let found = match coordinator {
            Some(lookup) => lookup.await?,
            None => None,
        };
        let coordinator = found.and_then(|coordinators| coordinators.of(group));
        let since = since.filter(|_| coordinator.is_none());
        Ok((self.client.since(since)?, coordinator))
    }

    /// A request to the group's coordinator failed.
    pub(super) fn failed(&self, group: &GroupId, error: &NativeError) {
        let Some(last) = &mut *self.last.borrow_mut() else {
            return;
        };
        last.doubted = true;
        let recent = self.client.now().since(last.begun) < RECENT;
        if recent && error.code == Code::NotCoordinator {
            self.elsewhere.borrow_mut().insert(group.clone());
        }
    }

    /// The last look-up, if it will do, and another one otherwise.
    fn lookup(
        &self,
        since: Option<Instant>,
    ) -> Result<Shared<LocalBoxFuture<'static, Found>>, Failure> {
        let now = self.client.now();
        let mut last = self.last.borrow_mut();
        let will_do = |lookup: &&Lookup| {
            let age = now.since(lookup.begun);
            let late_enough = since.is_none_or(|since| lookup.begun > since);
            let again = match lookup.found.peek() {
                None => false,
                Some(Ok(Some(_))) => lookup.doubted && age >= AGAIN,
                Some(Ok(None)) => age >= NOT_FOUND_LIFE,
                Some(Err(_)) => true,
            };
            late_enough && !again
        };
        if let Some(lookup) = last.as_ref().filter(will_do) {
            return Ok(lookup.found.clone());
        }
        // Of the same millisecond as `since`, it is later all the same.
        let begun = since.map_or(now, |since| now.max(since + Duration::from_millis(1)));
        let (client, live) = (Rc::clone(&self.client), self.client.since(None)?);
        let found = look_up(client, live).boxed_local().shared();
        *last = Some(Lookup { found: found.clone(), begun, doubted: false });
        Ok(found)
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
