//! What happened in a run, line by line, for people and for comparing two runs. Nothing is recorded
//! unless somebody asked for it in this thread.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;

use crate::clock::simulated;

/// One line of a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When, in milliseconds of the simulation.
    pub at: u64,
    /// On which host, or to which.
    pub host: String,
    /// What.
    pub what: What,
}

/// What a line tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A request left the host.
    Sent {
        /// The message's number, which its answer has too.
        number: u64,
        /// The host it goes to.
        to: String,
        /// The request.
        says: String,
    },
    /// A request reached the host, which carried it out.
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
    /// The request was carried out, and its answer is never sent.
    AnswerLost {
        /// The request's number.
        number: u64,
    },
    /// The broker that the request was for never got it.
    Unheard {
        /// The request's number.
        number: u64,
    },
    /// An answer reached the host.
    Received {
        /// The request's number.
        number: u64,
    },
    /// The process is stopped.
    Frozen {
        /// What its clock does meanwhile.
        clock: String,
    },
    /// The process goes on.
    Thawed,
    /// The process was killed.
    Down,
    /// The process was started again.
    Up,
    /// Another fault.
    Fault {
        /// Whether it begins or ends.
        begins: bool,
        /// Which.
        says: String,
    },
    /// The core of an instance told something.
    Told {
        /// How loudly.
        level: String,
        /// The note's name, or what the driver was doing.
        event: String,
        /// The verdict's name, where there is one.
        reason: Option<String>,
        /// The note.
        text: String,
    },
    /// Something happened on a cluster.
    Fact {
        /// What.
        says: String,
    },
    /// An offset of Sprag's changed on the target.
    Committed {
        /// From what to what.
        says: String,
    },
    /// An invariant was broken.
    Violation {
        /// Which, and how.
        says: String,
    },
}

thread_local! {
    static LINES: RefCell<Option<Vec<Line>>> = const { RefCell::new(None) };
    static NOW: Cell<u64> = const { Cell::new(0) };
    static HOST: RefCell<Option<Rc<str>>> = const { RefCell::new(None) };
}

/// Runs `what` and returns the lines that it left, beside its result.
pub fn recorded<T>(what: impl FnOnce() -> T) -> (T, Vec<Line>) {
    LINES.with_borrow_mut(|lines| *lines = Some(Vec::new()));
    let result = what();
    (result, LINES.take().unwrap_or_default())
}

/// Whether lines are wanted.
#[must_use]
pub fn is_on() -> bool {
    LINES.with_borrow(Option::is_some)
}

/// Adds a line at the present time of the simulation, if lines are wanted.
pub fn record(host: &str, what: impl FnOnce() -> What) {
    if is_on() {
        // Between the steps of the simulation there is no time but the last step's end.
        let at = turmoil::sim_elapsed().map_or(NOW.get(), |_| simulated().as_millis());
        record_at(at, host, what());
    }
}

/// The simulation came to this time, in milliseconds.
pub fn passed(now: u64) {
    NOW.set(now);
}

/// Adds a line at a time, if lines are wanted.
pub fn record_at(at: u64, host: &str, what: What) {
    let line = Line { at, host: host.to_owned(), what };
    LINES.with_borrow_mut(|lines| lines.as_mut().map(|lines| lines.push(line)));
}

/// Runs `what` as a part of the process on `host`.
pub fn on_host<T>(host: &Rc<str>, what: impl FnOnce() -> T) -> T {
    HOST.set(Some(Rc::clone(host)));
    let result = what();
    HOST.set(None);
    result
}

/// The host whose process runs now.
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
            What::AnswerLost { number } => write!(f, "#{number} carried out, the answer lost"),
            What::Unheard { number } => write!(f, "#{number} came to no broker"),
            What::Received { number } => write!(f, "#{number} received"),
            What::Frozen { clock } => write!(f, "FROZEN, its clock {clock}"),
            What::Thawed => f.write_str("GOES ON"),
            What::Down => f.write_str("KILLED"),
            What::Up => f.write_str("STARTED"),
            What::Fault { begins: true, says } => write!(f, "FAULT {says}"),
            What::Fault { begins: false, says } => write!(f, "END OF {says}"),
            What::Told { level, event, reason: _, text } => write!(f, "{level} {event}: {text}"),
            What::Fact { says } => f.write_str(says),
            What::Committed { says } => write!(f, "COMMITTED {says}"),
            What::Violation { says } => write!(f, "VIOLATION {says}"),
        }
    }
}
