//! Waiting for a state: ask again and again until a deadline, and say what was seen last.

use std::thread;
use std::time::{Duration, Instant};

/// The pause between two questions.
const PAUSE: Duration = Duration::from_millis(20);

/// What a question may answer: the thing waited for, or the state it was seen in instead.
pub(crate) trait Answer {
    /// What is waited for.
    type Value;

    /// The value, or a description of what was there instead of it.
    fn settle(self) -> Result<Self::Value, String>;
}

impl Answer for bool {
    type Value = ();

    fn settle(self) -> Result<(), String> {
        self.then_some(()).ok_or_else(|| "not so".to_owned())
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

/// Asks `question` until it answers with a value, and returns it: `true`, `Some` or `Ok`. Answer
/// `Err(state)` for a failure message that shows the state.
///
/// # Panics
/// After `deadline`, saying what was waited for and the last state seen.
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

/// Like [`eventually`], for callers that can go on: the last state seen, after the deadline.
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

/// Lets time pass, where time itself is what a scenario is about: nothing is waited for.
pub(crate) fn pass(time: Duration) {
    let end = Instant::now() + time;
    while let Some(left) = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
    {
        thread::park_timeout(left);
    }
}
