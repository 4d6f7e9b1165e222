//! The clients of a cluster: their properties, and a small pool of admin clients. librdkafka caches the
//! leaders and coordinators that it has looked up, so a request that needs a newer lookup uses a newer
//! client.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode as Code;

use super::clock::ProcessClock;
use super::complaints::{Complaints, plain_sentence};
use super::errors::{Doing, coordinator_moved, failure, native, said};
use super::ffi::NativeError;
use super::ffi::admin::Admin;
use super::ffi::requests::NATIVE_PATIENCE;
use crate::ports::Clock;
use sprag_core::failure::{Failure, FailureClass};
use sprag_core::time::Instant;

/// The time limit of one request.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// The minimum time between two clients that are made for requests whose broker the client chooses.
const LEAST_CLIENT_LIFE: Duration = Duration::from_secs(1);
/// How long an unused client is kept.
const UNUSED_LIFE: Duration = Duration::from_secs(60);
/// How long a client is kept after one of its requests timed out that librdkafka still works on. The client
/// must be destroyed before librdkafka's own timer ends that request ([`NATIVE_PATIENCE`]).
const TIMED_OUT_LIFE: Duration = Duration::from_secs(NATIVE_PATIENCE.as_secs() / 2);
/// The maximum number of clients. Each has a thread per broker.
const MOST_CLIENTS: usize = 5;

/// librdkafka's client properties, by name.
pub type Properties = BTreeMap<String, String>;

/// A librdkafka configuration with `properties`. Where `ours` sets the same property, `ours` wins.
#[must_use]
pub fn client_config(properties: &Properties, ours: &[(&str, &str)]) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("client.id", "sprag").set("log.connection.close", "false");
    // Clients reconnect within a second once a broker is back, and do not hammer it while it is down.
    // librdkafka refuses a first back-off above the maximum, so ours are not mixed with the user's.
    if !properties.keys().any(|key| key.starts_with("reconnect.backoff.")) {
        config.set("reconnect.backoff.ms", "100").set("reconnect.backoff.max.ms", "1000");
    }
    // A connection attempt that began before the broker came back can delay the next attempt by this long.
    if !properties.contains_key("socket.connection.setup.timeout.ms") {
        config.set("socket.connection.setup.timeout.ms", "5000");
    }
    // No request of Sprag's waits longer than this. librdkafka then closes the connection, so that nothing else
    // is sent to a broker that does not answer, and looks for other leaders.
    if !properties.contains_key("socket.timeout.ms") {
        config.set("socket.timeout.ms", REQUEST_TIMEOUT.as_millis().to_string());
    }
    // What librdkafka would log also comes back as the error of a request, and is logged with that request.
    config.set_log_level(RDKafkaLogLevel::Critical);
    for (key, value) in properties {
        config.set(key, value);
    }
    for (key, value) in ours {
        config.set(*key, *value);
    }
    config
}

/// Receives the clients' connection errors.
#[derive(Clone)]
pub struct Watch {
    side: &'static str,
    complaints: Complaints,
    /// The last connection error: librdkafka's message.
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

/// A cluster's admin clients. librdkafka never drops the leaders and coordinators that a client has looked
/// up, so another lookup by librdkafka takes another client. Requests that an older client serves well stay
/// with it: a failing broker forces no lookups for the other brokers, and casts no doubt on what an
/// unchanged connection answers.
pub struct AdminClient {
    properties: Properties,
    /// `source` or `target`, for messages.
    pub side: &'static str,
    clock: ProcessClock,
    watch: Watch,
    /// The clients that are kept, oldest first.
    live: RefCell<Vec<Rc<Live>>>,
    made: Cell<u64>,
    /// Requests whose broker the client chooses need a client that was made after this time.
    moved: Cell<Option<Instant>>,
    /// The broker that answered the last description of topics.
    describer: Cell<Option<i32>>,
}

/// One admin client.
pub struct Live {
    /// Its number, unique among the clients of this cluster.
    pub number: u64,
    /// The native client that sends its requests.
    pub admin: Rc<Admin<Watch>>,
    made: Instant,
    used: Cell<Instant>,
    /// When one of its requests first timed out that librdkafka still works on.
    timed_out: Cell<Option<Instant>>,
}

impl AdminClient {
    /// The clients of the cluster `side`. This connects to nothing yet.
    #[must_use]
    pub fn new(properties: Properties, side: &'static str, clock: ProcessClock) -> Self {
        let watch = Watch { side, complaints: Complaints::new(clock), last: Arc::default() };
        let (live, made) = (RefCell::default(), Cell::default());
        let (moved, describer) = (Cell::default(), Cell::default());
        Self { properties, side, clock, watch, live, made, moved, describer }
    }

    /// Other clients of the same cluster, with connections of their own.
    #[must_use]
    pub fn sibling(&self) -> Self {
        let (live, made, moved, describer) = Default::default();
        let (properties, watch) = (self.properties.clone(), self.watch.clone());
        Self { properties, side: self.side, clock: self.clock, watch, live, made, moved, describer }
    }

    /// The last connection error in parentheses, with a space in front; empty if there was none.
    #[must_use]
    pub fn last_complaint(&self) -> String {
        let last = self.watch.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().map_or(String::new(), |last| format!(" ({last})"))
    }

    /// `bootstrap.servers`, as configured.
    #[must_use]
    pub fn bootstrap(&self) -> &str {
        self.properties.get("bootstrap.servers").map_or("", String::as_str)
    }

    /// A client for requests whose broker the client chooses. If leaders or coordinators may have moved, it
    /// is one that was made since.
    ///
    /// # Errors
    ///
    /// If librdkafka refuses the properties.
    pub fn present(&self) -> Result<Rc<Admin<Watch>>, Failure> {
        Ok(Rc::clone(&self.since(self.moved.get())?.admin))
    }

    /// The oldest client that was made after `since`; a new one if there is none. Callers share one client
    /// until one of them needs a later lookup.
    ///
    /// # Errors
    ///
    /// If librdkafka refuses the properties.
    pub fn since(&self, since: Option<Instant>) -> Result<Rc<Live>, Failure> {
        let now = self.clock.now();
        self.drop_unused(now);
        let will_do = |live: &&Rc<Live>| since.is_none_or(|since| live.made > since);
        let found = self.live.borrow().iter().find(will_do).cloned();
        let live = match found {
            Some(live) => live,
            None => self.another(since)?,
        };
        live.used.set(now);
        Ok(live)
    }

    fn another(&self, since: Option<Instant>) -> Result<Rc<Live>, Failure> {
        let admin = self.fresh()?;
        // The new client has looked nothing up yet, so it also serves later calls with the same `since`.
        let now = self.clock.now();
        let made = since.map_or(now, |since| now.max(since + Duration::from_millis(1)));
        self.made.set(self.made.get() + 1);
        let live = Rc::new(Live {
            number: self.made.get(),
            admin,
            made,
            used: Cell::new(now),
            timed_out: Cell::new(None),
        });
        let mut all = self.live.borrow_mut();
        if all.len() >= MOST_CLIENTS {
            // The oldest client serves the groups that had no trouble, the newest those that look up again.
            all.remove(1);
        }
        all.push(Rc::clone(&live));
        Ok(live)
    }

    fn drop_unused(&self, now: Instant) {
        let mut all = self.live.borrow_mut();
        let newest = all.last().map(|live| live.number);
        all.retain(|live| {
            let spent = live.timed_out.get().is_some_and(|at| now.since(at) >= TIMED_OUT_LIFE);
            let unused = now.since(live.used.get()) >= UNUSED_LIFE;
            !spent && (!unused || Some(live.number) == newest)
        });
    }

    /// Notes that a request whose coordinator librdkafka looks up has timed out. It still waits in one of the
    /// clients, and it is not known in which.
    pub(super) fn waits(&self) {
        let now = self.clock.now();
        for live in self.live.borrow().iter().filter(|live| live.timed_out.get().is_none()) {
            live.timed_out.set(Some(now));
        }
    }

    /// A new client, which has looked nothing up yet. It is not added to the pool.
    ///
    /// # Errors
    ///
    /// If librdkafka refuses the properties.
    pub fn fresh(&self) -> Result<Rc<Admin<Watch>>, Failure> {
        // With sparse connections, a request that waits for a broker starts a new connection in each of the
        // request's states, without a back-off. A broker that refuses connections would make librdkafka spin.
        let ours = [("group.id", "sprag-admin"), ("enable.sparse.connections", "false")];
        let config = client_config(&self.properties, &ours);
        Admin::new(&config, self.watch.clone()).map(Rc::new).map_err(|error| {
            let detail =
                format!("{}.kafka: librdkafka refuses the properties: {}", self.side, said(&error));
            Failure::new(FailureClass::Stop, detail)
        })
    }

    /// The next request whose broker the client chooses uses a new client, unless the last change was less
    /// than [`LEAST_CLIENT_LIFE`] ago.
    fn look_up_again(&self) {
        let now = self.clock.now();
        if self.moved.get().is_none_or(|at| now.since(at) >= LEAST_CLIENT_LIFE) {
            self.moved.set(Some(now));
        }
    }

    /// The broker that answered the last description of topics, if known.
    pub(super) fn describer(&self) -> Option<i32> {
        self.describer.get()
    }

    /// Notes that `broker` has described topics; `None` if librdkafka chose the broker.
    pub(super) fn described_by(&self, broker: Option<i32>) {
        self.describer.set(broker.or(self.describer.get()));
    }

    /// The current time.
    pub(super) fn now(&self) -> Instant {
        self.clock.now()
    }

    /// Waits for `duration`.
    pub async fn pause(&self, duration: Duration) {
        self.clock.sleep_until(self.clock.now() + duration).await;
    }

    /// Turns `error` into a failure, for a request whose broker the client chose. If a leader or a
    /// coordinator may have moved, or no broker answered, the next such request uses a new client.
    #[must_use]
    pub fn client_failed(&self, error: &NativeError, doing: Doing, what: &str) -> Failure {
        if coordinator_moved(error) {
            self.look_up_again();
        }
        self.failed(error, doing, what)
    }

    /// Turns `error` into a failure; `what` names the operation.
    #[must_use]
    pub fn failed(&self, error: &NativeError, doing: Doing, what: &str) -> Failure {
        failure(error, doing, &format!("{what} on the {}", self.side))
    }
}

/// Turns an rdkafka error into a failure.
#[must_use]
pub fn failed(error: &KafkaError, doing: Doing, what: &str) -> Failure {
    failure(&native(error), doing, what)
}
