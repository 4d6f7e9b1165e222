//! What happened in a run, line by line, for reading and for comparing two runs. Nothing is recorded unless
//! this thread asked for it.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;

use crate::clock::simulated;

/// One line of a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When, in milliseconds of simulated time.
    pub at: u64,
    /// The host that this is about.
    pub host: String,
    /// What happened.
    pub what: What,
}

/// The content of a trace line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A request left the host.
    Sent {
        /// The message's number. Its answer has the same number.
        number: u64,
        /// The host it goes to.
        to: String,
        /// The request.
        says: String,
    },
    /// A request reached the host.
    Arrived {
        /// The message's number.
        number: u64,
    },
    /// An answer left the host.
    Answered {
        /// The request's number.
        number: u64,
        /// The host it goes to.
        to: String,
        /// The answer.
        says: String,
    },
    /// No answer is sent: it was lost, or the connection broke.
    AnswerLost {
        /// The request's number.
        number: u64,
    },
    /// The request never reached its broker.
    Unheard {
        /// The request's number.
        number: u64,
    },
    /// An answer reached the host.
    Received {
        /// The request's number.
        number: u64,
    },
    /// The process is frozen.
    Frozen {
        /// What its clock does while it is frozen.
        clock: String,
    },
    /// The process resumed.
    Thawed,
    /// The process was killed.
    Down,
    /// The process was restarted.
    Up,
    /// Another fault.
    Fault {
        /// Whether it begins or ends.
        begins: bool,
        /// The fault.
        says: String,
    },
    /// The core or the driver of an instance logged something.
    Logged {
        /// The log level.
        level: String,
        /// The note's name, or what the driver was doing.
        event: String,
        /// The verdict's name, if there is one.
        reason: Option<String>,
        /// The note's text.
        text: String,
    },
    /// Something happened on a cluster.
    Fact {
        /// The fact.
        says: String,
    },
    /// A committed offset of Sprag's changed on the target.
    Committed {
        /// The change.
        says: String,
    },
    /// An invariant was broken.
    Violation {
        /// The invariant and what broke it.
        says: String,
    },
}

thread_local! {
    static LINES: RefCell<Option<Vec<Line>>> = const { RefCell::new(None) };
    static NOW: Cell<u64> = const { Cell::new(0) };
    static HOST: RefCell<Option<Rc<str>>> = const { RefCell::new(None) };
}

/// Runs `what` and returns its result with the lines that it recorded.
pub fn recorded<T>(what: impl FnOnce() -> T) -> (T, Vec<Line>) {
    LINES.with_borrow_mut(|lines| *lines = Some(Vec::new()));
    let result = what();
    (result, LINES.take().unwrap_or_default())
}

/// Whether lines are being recorded.
#[must_use]
pub fn is_on() -> bool {
    LINES.with_borrow(Option::is_some)
}

/// Adds a line at the current simulated time, if lines are being recorded.
pub fn record(host: &str, what: impl FnOnce() -> What) {
    if is_on() {
        // Between two steps of the simulation, the time is the end of the last step.
        let at = turmoil::sim_elapsed().map_or(NOW.get(), |_| simulated().as_millis());
        record_at(at, host, what());
    }
}

/// Sets the current simulated time, in milliseconds.
pub fn passed(now: u64) {
    NOW.set(now);
}

/// Adds a line at the given time, in milliseconds, if lines are being recorded.
pub fn record_at(at: u64, host: &str, what: What) {
    let line = Line { at, host: host.to_owned(), what };
    LINES.with_borrow_mut(|lines| lines.as_mut().map(|lines| lines.push(line)));
}

/// Runs `what` as part of the process on `host`.
pub fn on_host<T>(host: &Rc<str>, what: impl FnOnce() -> T) -> T {
    HOST.set(Some(Rc::clone(host)));
    let result = what();
    HOST.set(None);
    result
}

/// The host whose process is running.
pub(crate) fn host() -> Rc<str> {
    HOST.with_borrow(Clone::clone).unwrap_or_else(|| Rc::from(""))
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, host, what } = self;
        write!(f, "{at:>6} {host:<10} ")?;
        match what {
            What::Sent { number, to, says } => write!(f, "#{number} to {to}: {says}"),
            What::Arrived { number } => write!(f, "#{number} arrived"),
            What::Answered { number, to, says } => write!(f, "#{number} answered to {to}: {says}"),
            What::AnswerLost { number } => write!(f, "#{number} answer lost"),
            What::Unheard { number } => write!(f, "#{number} reached no broker"),
            What::Received { number } => write!(f, "#{number} received"),
            What::Frozen { clock } => write!(f, "FROZEN, clock {clock}"),
            What::Thawed => f.write_str("RESUMED"),
            What::Down => f.write_str("KILLED"),
            What::Up => f.write_str("STARTED"),
            What::Fault { begins: true, says } => write!(f, "FAULT {says}"),
            What::Fault { begins: false, says } => write!(f, "END OF {says}"),
            What::Logged { level, event, reason: _, text } => write!(f, "{level} {event}: {text}"),
            What::Fact { says } => f.write_str(says),
            What::Committed { says } => write!(f, "COMMITTED {says}"),
            What::Violation { says } => write!(f, "VIOLATION {says}"),
        }
    }
}
