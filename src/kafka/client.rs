//! Clients of a cluster: their properties, and one admin client that is replaced when the
//! coordinator may have moved.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode as Code;

use super::clock::ProcessClock;
use super::complaints::{Complaints, plain_sentence};
use super::errors::{Doing, coordinator_moved, failure, native, said};
use super::ffi::NativeError;
use super::ffi::admin::Admin;
use crate::core::failure::{Failure, FailureClass};
use crate::core::time::Instant;
use crate::ports::Clock;

/// How long one request may take.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// A client is replaced at the most this often.
const LEAST_CLIENT_LIFE: Duration = Duration::from_secs(1);

/// librdkafka's properties of a client.
pub type Properties = BTreeMap<String, String>;

/// librdkafka's configuration with these properties, and ours over them.
#[must_use]
pub fn client_config(properties: &Properties, ours: &[(&str, &str)]) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("client.id", "sprag").set("log.connection.close", "false");
    // What it would log comes back as an error of some request, and is told with that.
    config.set_log_level(RDKafkaLogLevel::Critical);
    for (key, value) in properties {
        config.set(key, value);
    }
    for (key, value) in ours {
        config.set(*key, *value);
    }
    config
}

/// What hears of broken connections.
#[derive(Clone)]
pub struct Watch {
    side: &'static str,
    complaints: Complaints,
    /// What went wrong last, and what it is about.
    last: Arc<Mutex<Option<String>>>,
}

impl Watch {
    fn remember(&self, sentence: &str) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last = Some(sentence.to_owned());
    }
}

impl ClientContext for Watch {
    fn error(&self, error: KafkaError, reason: &str) {
        let sentence = plain_sentence(reason);
        match error.rdkafka_error_code() {
            Some(Code::AllBrokersDown) => {
                tracing::debug!(%error, reason, "connection");
            }
            Some(Code::BrokerTransportFailure) => {
                self.remember(sentence);
                tracing::debug!(%error, reason, "connection");
            }
            Some(Code::SSL | Code::Authentication | Code::Resolve) => {
                self.remember(sentence);
                if self.complaints.is_news(sentence) {
                    tracing::warn!("connecting to the {}: {sentence}", self.side);
                }
            }
            Some(_) | None => tracing::debug!(%error, reason, "client"),
        }
    }
}

impl ConsumerContext for Watch {}

/// A cluster's admin client. Its coordinator cache is never evicted by librdkafka, so the client is
/// replaced whenever an answer shows that the coordinator may have moved.
pub struct AdminClient {
    properties: Properties,
    /// `source` or `target`, for people.
    pub side: &'static str,
    clock: ProcessClock,
    watch: Watch,
    present: RefCell<Option<(Instant, Rc<Admin<Watch>>)>>,
}

impl AdminClient {
    /// A client of the cluster `side`; nothing is connected yet.
    #[must_use]
    pub fn new(properties: Properties, side: &'static str, clock: ProcessClock) -> Self {
        let watch = Watch { side, complaints: Complaints::new(clock), last: Arc::default() };
        Self { properties, side, clock, watch, present: RefCell::new(None) }
    }

    /// What went wrong with a connection last, as a clause to put behind a sentence.
    #[must_use]
    pub fn last_complaint(&self) -> String {
        let last = self.watch.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().map_or(String::new(), |last| format!(" ({last})"))
    }

    /// The brokers that it begins with, as they are configured.
    #[must_use]
    pub fn bootstrap(&self) -> &str {
        self.properties.get("bootstrap.servers").map_or("", String::as_str)
    }

    /// The client, made anew unless it was made after `since`.
    ///
    /// # Errors
    ///
    /// Where librdkafka refuses the properties.
    pub fn since(&self, since: Option<Instant>) -> Result<Rc<Admin<Watch>>, Failure> {
        if let Some((made, admin)) = &*self.present.borrow()
            && since.is_none_or(|since| *made > since)
        {
            return Ok(Rc::clone(admin));
        }
        let made = self.clock.now();
        let admin = self.fresh()?;
        *self.present.borrow_mut() = Some((made, Rc::clone(&admin)));
        Ok(admin)
    }

    /// A client of its own, which has looked nothing up yet.
    ///
    /// # Errors
    ///
    /// Where librdkafka refuses the properties.
    pub fn fresh(&self) -> Result<Rc<Admin<Watch>>, Failure> {
        let config = client_config(&self.properties, &[("group.id", "sprag-admin")]);
        let made: Result<BaseConsumer<Watch>, _> = config.create_with_context(self.watch.clone());
        match made {
            Ok(consumer) => Ok(Rc::new(Admin::new(consumer))),
            Err(error) => {
                let detail = format!(
                    "{}.kafka: librdkafka refuses the properties: {}",
                    self.side,
                    said(&error)
                );
                Err(Failure::new(FailureClass::Stop, detail))
            }
        }
    }

    /// The failure that follows from `error`. Where the coordinator may have moved, the next request
    /// looks it up anew.
    #[must_use]
    pub fn failed(&self, error: &NativeError, doing: Doing, what: &str) -> Failure {
        // Errors of a client that was replaced a moment ago say nothing of the present one; in an
        // outage there are many of them.
        let mut present = self.present.borrow_mut();
        let settled = present
            .as_ref()
            .is_some_and(|(made, _)| self.clock.now().since(*made) >= LEAST_CLIENT_LIFE);
        if coordinator_moved(error) && settled {
            *present = None;
        }
        failure(error, doing, &format!("{what} on the {}", self.side))
    }
}

/// The failure that follows from an error of rdkafka's own.
#[must_use]
pub fn failed(error: &KafkaError, doing: Doing, what: &str) -> Failure {
    failure(&native(error), doing, what)
}
