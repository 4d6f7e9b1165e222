//! Numbers for requests. They match each answer with its waiter, or with none if the waiter has moved on.

use alloc::collections::BTreeMap;
use core::fmt;

/// The number of a request. The driver answers each request exactly once, with this number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(u32);

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The unanswered requests, each with its waiter.
///
/// A number becomes free only when its answer arrives, even if nothing waits for it any more, so a late
/// answer is never taken for that of another request. The smallest free number is used, so that equal
/// situations reached in different ways are equal states.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Requests<W> {
    waiting: BTreeMap<RequestId, Option<W>>,
}

impl<W> Default for Requests<W> {
    fn default() -> Self {
        Self { waiting: BTreeMap::new() }
    }
}

impl<W: PartialEq> Requests<W> {
    /// Assigns a number to a request of `waiter`.
    pub(crate) fn ask(&mut self, waiter: W) -> RequestId {
        let mut free = 0;
        for taken in self.waiting.keys() {
            if taken.0 != free {
                break;
            }
            free += 1;
        }
        let id = RequestId(free);
        self.waiting.insert(id, Some(waiter));
        id
    }

    /// The answer arrived. Returns its waiter, unless the request was abandoned.
    pub(crate) fn answered(&mut self, request: RequestId) -> Option<W> {
        self.waiting.remove(&request).flatten()
    }

    /// Abandons the requests of all waiters for which `gone` holds: their answers are ignored.
    pub(crate) fn abandon(&mut self, gone: impl Fn(&W) -> bool) {
        for waiter in self.waiting.values_mut() {
            if waiter.as_ref().is_some_and(&gone) {
                *waiter = None;
            }
        }
    }

    /// Whether any waiter for which `is` holds waits for an answer.
    pub(crate) fn any(&self, is: impl Fn(&W) -> bool) -> bool {
        self.waiting.values().flatten().any(is)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_abandoned_number_stays_taken_until_its_answer_arrives() {
        let mut requests = Requests::default();
        let first = requests.ask("a");
        requests.abandon(|waiter| *waiter == "a");
        let second = requests.ask("b");
        assert_ne!(first, second);
        assert_eq!(requests.answered(first), None);
        assert_eq!(requests.ask("c"), first);
        assert_eq!(requests.answered(second), Some("b"));
        assert!(requests.any(|waiter| *waiter == "c"));
        assert!(!requests.any(|waiter| *waiter == "b"));
    }
}
