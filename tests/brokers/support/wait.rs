//! Waiting for a state: polls until a deadline, and reports the last state seen.

use std::thread;
use std::time::{Duration, Instant};

/// The pause between two polls.
const PAUSE: Duration = Duration::from_millis(20);

/// The answer to a question: the value that is waited for, or the state seen instead.
pub(crate) trait Answer {
    /// The value that is waited for.
    type Value;

    /// The value, or a description of the state seen instead.
    fn settle(self) -> Result<Self::Value, String>;
}

impl Answer for bool {
    type Value = ();

    fn settle(self) -> Result<(), String> {
        self.then_some(()).ok_or_else(|| "false".to_owned())
    }
}

impl<T> Answer for Option<T> {
    type Value = T;

    fn settle(self) -> Result<T, String> {
        self.ok_or_else(|| "nothing".to_owned())
    }
}

impl<T, E: std::fmt::Display> Answer for Result<T, E> {
    type Value = T;

    fn settle(self) -> Result<T, String> {
        self.map_err(|state| state.to_string())
    }
}

/// Polls `question` until it answers `true`, `Some` or `Ok`, and returns the value. Answer
/// `Err(state)` to show the state in the failure message.
///
/// # Panics
/// After `deadline`. The message says what was waited for, and the last state seen.
#[track_caller]
pub(crate) fn eventually<A: Answer>(
    deadline: Duration,
    what: &str,
    question: impl FnMut() -> A,
) -> A::Value {
    match try_eventually(deadline, question) {
        Ok(value) => value,
        Err(last) => panic!("waited {deadline:?} for {what}; last seen: {last}"),
    }
}

/// Like [`eventually`], but returns the last state seen as an error after the deadline.
pub(crate) fn try_eventually<A: Answer>(
    deadline: Duration,
    mut question: impl FnMut() -> A,
) -> Result<A::Value, String> {
    let end = Instant::now() + deadline;
    loop {
        match question().settle() {
            Ok(value) => return Ok(value),
            Err(last) if Instant::now() >= end => return Err(last),
            Err(_) => thread::park_timeout(PAUSE),
        }
    }
}

/// Lets time pass. Only for scenarios that are about time itself: it waits for no state.
pub(crate) fn pass(time: Duration) {
    let end = Instant::now() + time;
    while let Some(left) = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
    {
        thread::park_timeout(left);
    }
}
