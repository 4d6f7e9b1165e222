//! Clients of a cluster: their properties, and a few admin clients, so that one which has looked up what has
//! moved since need not be asked.

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

/// How long one request may take.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// How often another client is made for requests for which a client chooses the broker, at the most.
const LEAST_CLIENT_LIFE: Duration = Duration::from_secs(1);
/// How long a client that nobody uses is kept.
const UNUSED_LIFE: Duration = Duration::from_secs(60);
/// How long a client is used after a request timed out that librdkafka goes on with: it must be gone before librdkafka's own
/// timer ends that request ([`NATIVE_PATIENCE`]).
const TIMED_OUT_LIFE: Duration = Duration::from_secs(NATIVE_PATIENCE.as_secs() / 2);
/// How many clients are kept. Each has a thread per broker.
const MOST_CLIENTS: usize = 5;

/// librdkafka's properties of a client.
pub type Properties = BTreeMap<String, String>;

/// librdkafka's configuration with these properties, and ours over them.
#[must_use]
pub fn client_config(properties: &Properties, ours: &[(&str, &str)]) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("client.id", "sprag").set("log.connection.close", "false");
    // A broker that is back is connected to within a second; one that is away is not hammered.
    // librdkafka refuses a first back-off above the longest one, so a user's own are not mixed with ours.
    if !properties.keys().any(|key| key.starts_with("reconnect.backoff.")) {
        config.set("reconnect.backoff.ms", "100").set("reconnect.backoff.max.ms", "1000");
    }
    // So long a broker that came back may be waited for by a connection that was begun before.
    if !properties.contains_key("socket.connection.setup.timeout.ms") {
        config.set("socket.connection.setup.timeout.ms", "5000");
    }
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

/// A cluster's admin clients. A client keeps the leaders and coordinators that librdkafka has looked up, so
/// another look-up of its own takes another client. Requests that are served well by an older one keep it: a
/// broker in trouble makes nothing else look anything up, nor doubt what the same connection says.
pub struct AdminClient {
    properties: Properties,
    /// `source` or `target`, for people.
    pub side: &'static str,
    clock: ProcessClock,
    watch: Watch,
    /// The clients in use, oldest first.
    live: RefCell<Vec<Rc<Live>>>,
    made: Cell<u64>,
    /// Requests for which a client chooses the broker use one made after this.
    moved: Cell<Option<Instant>>,
    /// The broker that described topics last.
    describer: Cell<Option<i32>>,
}

/// One admin client.
pub struct Live {
    /// Its number, which no other client of this cluster has.
    pub number: u64,
    /// For its requests.
    pub admin: Rc<Admin<Watch>>,
    made: Instant,
    used: Cell<Instant>,
    /// When a request timed out for the first time that librdkafka goes on with.
    timed_out: Cell<Option<Instant>>,
}

impl AdminClient {
    /// Clients of the cluster `side`; nothing is connected yet.
    #[must_use]
    pub fn new(properties: Properties, side: &'static str, clock: ProcessClock) -> Self {
        let watch = Watch { side, complaints: Complaints::new(clock), last: Arc::default() };
        let (live, made) = (RefCell::default(), Cell::default());
        let (moved, describer) = (Cell::default(), Cell::default());
        Self { properties, side, clock, watch, live, made, moved, describer }
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

    /// A client for requests for which a client chooses the broker. Another one is made where leaders or
    /// coordinators may have moved since.
    ///
    /// # Errors
    ///
    /// Where librdkafka refuses the properties.
    pub fn present(&self) -> Result<Rc<Admin<Watch>>, Failure> {
        Ok(Rc::clone(&self.since(self.moved.get())?.admin))
    }

    /// The oldest client that was made after `since`: for as long as nobody asks for a later look-up,
    /// it is the same one.
    ///
    /// # Errors
    ///
    /// Where librdkafka refuses the properties.
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
        // It has looked nothing up by now, so it will do when this time is asked for again.
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
            // The oldest one serves groups that had no trouble, the newest those that look up again.
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

    /// A request for which librdkafka looks the coordinator up was not answered in time, and still waits in
    /// some client.
    pub(super) fn waits(&self) {
        let now = self.clock.now();
        for live in self.live.borrow().iter().filter(|live| live.timed_out.get().is_none()) {
            live.timed_out.set(Some(now));
        }
    }

    /// A client of its own, which has looked nothing up yet.
    ///
    /// # Errors
    ///
    /// Where librdkafka refuses the properties.
    pub fn fresh(&self) -> Result<Rc<Admin<Watch>>, Failure> {
        // Where librdkafka connects only on demand, a request that waits for a broker orders a new
        // connection at each of its states, without a back-off: one that refuses makes it spin.
        let mut ours = vec![("group.id", "sprag-admin"), ("enable.sparse.connections", "false")];
        // A broker that leaves a request unanswered for longer than any request waits is not asked for
        // anything else: its connection is closed.
        let patience = REQUEST_TIMEOUT.as_millis().to_string();
        if !self.properties.contains_key("socket.timeout.ms") {
            ours.push(("socket.timeout.ms", &patience));
        }
        let config = client_config(&self.properties, &ours);
        Admin::new(&config, self.watch.clone()).map(Rc::new).map_err(|error| {
            let detail =
                format!("{}.kafka: librdkafka refuses the properties: {}", self.side, said(&error));
            Failure::new(FailureClass::Stop, detail)
        })
    }

    /// The next request for which a client chooses the broker is made by another client, unless one was made
    /// a moment ago.
    fn look_up_again(&self) {
        let now = self.clock.now();
        if self.moved.get().is_none_or(|at| now.since(at) >= LEAST_CLIENT_LIFE) {
            self.moved.set(Some(now));
        }
    }

    /// The broker that described topics last, where it is known.
    pub(super) fn describer(&self) -> Option<i32> {
        self.describer.get()
    }

    /// This broker described topics; `None` where librdkafka chose it.
    pub(super) fn described_by(&self, broker: Option<i32>) {
        self.describer.set(broker.or(self.describer.get()));
    }

    /// The present time.
    pub(super) fn now(&self) -> Instant {
        self.clock.now()
    }

    /// Waits for so long.
    pub async fn pause(&self, duration: Duration) {
        self.clock.sleep_until(self.clock.now() + duration).await;
    }

    /// The failure that follows from `error` of a request for which the client chose the broker. Where a
    /// leader or a coordinator may have moved, or no broker answered, the next such request is made by
    /// another client.
    #[must_use]
    pub fn client_failed(&self, error: &NativeError, doing: Doing, what: &str) -> Failure {
        if coordinator_moved(error) {
            self.look_up_again();
        }
        self.failed(error, doing, what)
    }

    /// The failure that follows from `error`.
    #[must_use]
    pub fn failed(&self, error: &NativeError, doing: Doing, what: &str) -> Failure {
        failure(error, doing, &format!("{what} on the {}", self.side))
    }
}

/// The failure that follows from an error of rdkafka's own.
#[must_use]
pub fn failed(error: &KafkaError, doing: Doing, what: &str) -> Failure {
    failure(&native(error), doing, what)
}
