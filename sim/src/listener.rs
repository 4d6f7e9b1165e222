//! Listens to what the driver logs through `tracing`, counts it, and records it if a trace is wanted.

use std::cell::RefCell;
use std::fmt;

use sprag_core::ids::{GroupId, TopicName};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::clock::simulated;
use crate::coverage;
use crate::invariants::sparing::{self, Did};
use crate::invariants::truthful::Report;
use crate::trace::{self, What};
use crate::wire::Partition;

/// A subscriber for the thread of one run.
pub struct Listener {
    /// The most detailed level that it listens to. A run without a trace needs only the notes.
    level: Level,
}

impl Listener {
    /// Runs `what` and listens while it runs.
    pub fn hears<T>(what: impl FnOnce() -> T) -> T {
        let level = if trace::is_on() { Level::TRACE } else { Level::DEBUG };
        tracing::subscriber::with_default(Self { level }, what)
    }
}

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_event()
            && metadata.target().starts_with("sprag::")
            && *metadata.level() <= self.level
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut heard = Heard { text: trace::is_on().then(String::new), ..Heard::default() };
        event.record(&mut heard);
        if let Some(name) = &heard.event {
            coverage::reached(coverage::Kind::Note, name);
        }
        if let Some(name) = &heard.reason {
            coverage::reached(coverage::Kind::Verdict, name);
        }
        heard.report();
        heard.count();
        let Heard { event: name, reason, text, detail, .. } = heard;
        let text = text.unwrap_or_default();
        if !trace::is_on() {
            return;
        }
        trace::record(&trace::host(), || {
            // An event without a name is not a note. It says what the driver did, and with what.
            let (event_name, text) = match name {
                Some(name) => (name, text),
                None => (text, detail.unwrap_or_default()),
            };
            let level = event.metadata().level().to_string();
            What::Logged { level, event: event_name, reason, text }
        });
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// The fields of one event.
#[derive(Default)]
struct Heard {
    event: Option<String>,
    reason: Option<String>,
    /// The message, if a trace is wanted. Formatting it takes longer than everything else.
    text: Option<String>,
    /// What the driver received or passed on.
    detail: Option<String>,
    /// For a commit: the group, the topic, the partition and the offset.
    group: Option<String>,
    topic: Option<String>,
    partition: Option<i64>,
    offset: Option<i64>,
}

thread_local! {
    static REPORTS: RefCell<Vec<Report>> = const { RefCell::new(Vec::new()) };
    static LOGGED: RefCell<Did> = const { RefCell::new(Did::new()) };
}

/// Forgets what another run left in this thread.
pub fn forget() {
    REPORTS.take();
    LOGGED.take();
}

/// How often each instance logged what since this was asked last, in this thread.
pub fn logged() -> Did {
    LOGGED.take()
}

/// The commits that were reported in this thread since the last call.
pub fn reports() -> Vec<Report> {
    REPORTS.take()
}

impl Heard {
    fn count(&self) {
        if let Some(event) = &self.event {
            let what = sparing::What::Log(event.clone(), self.group.clone());
            LOGGED.with_borrow_mut(|did| *did.entry((trace::host(), what)).or_default() += 1);
        }
    }

    fn report(&self) {
        let Self { group, topic, partition, offset, .. } = self;
        if self.event.as_deref() != Some("committed") {
            return;
        }
        if let (Some(group), Some(topic), Some(partition), Some(offset)) =
            (group, topic, partition, offset)
        {
            let partition = i32::try_from(*partition).unwrap_or(-1);
            let report = Report {
                at: simulated(),
                from: trace::host(),
                group: GroupId::from(group.as_str()),
                place: Partition { topic: TopicName::from(topic.as_str()), partition },
                offset: *offset,
            };
            REPORTS.with_borrow_mut(|reports| reports.push(report));
        }
    }
}

impl Visit for Heard {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "event" => self.event = Some(value.to_owned()),
            "reason" => self.reason = Some(value.to_owned()),
            "group" => self.group = Some(value.to_owned()),
            "topic" => self.topic = Some(value.to_owned()),
            _ => {}
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        match field.name() {
            "partition" => self.partition = Some(value),
            "offset" => self.offset = Some(value),
            _ => {}
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let Some(text) = &mut self.text else {
            return;
        };
        match field.name() {
            "message" => *text = format!("{value:?}"),
            "order" | "answer" | "why" => self.detail = Some(format!("{value:?}")),
            _ => {}
        }
    }
}
