//! Rate limiting of the clients' connection errors. During an outage librdkafka reports the same error many
//! times a second. Each is logged at once, and again every [`AGAIN`] while the outage lasts.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::clock::ProcessClock;
use crate::ports::Clock;
use sprag_core::time::Instant;

/// The minimum time between two log lines for the same error.
const AGAIN: Duration = Duration::from_secs(300);

/// The errors that were logged recently, and when.
#[derive(Clone, Debug)]
pub(super) struct Complaints {
    clock: ProcessClock,
    logged: Arc<Mutex<BTreeMap<String, Instant>>>,
}

impl Complaints {
    pub(super) fn new(clock: ProcessClock) -> Self {
        Self { clock, logged: Arc::default() }
    }

    /// Whether to log `sentence` now. If so, it counts as logged.
    pub(super) fn is_news(&self, sentence: &str) -> bool {
        self.is_news_at(self.clock.now(), sentence)
    }

    fn is_news_at(&self, now: Instant, sentence: &str) -> bool {
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        logged.retain(|_, at| now.since(*at) < AGAIN);
        let news = !logged.contains_key(sentence);
        if news {
            logged.insert(sentence.to_owned(), now);
        }
        news
    }
}

/// librdkafka's message without its variable part, `(after 3ms in state CONNECT, …)`.
pub(super) fn plain_sentence(reason: &str) -> &str {
    let end = reason.find(" (after ").unwrap_or(reason.len());
    reason[..end].trim_end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_error_is_logged_once_in_five_minutes() {
        let complaints = Complaints::new(ProcessClock::start());
        let at = |seconds: u64| Instant::from_millis(seconds * 1000);
        let reported = [(0, "a"), (1, "a"), (2, "b"), (299, "a"), (301, "a"), (302, "a")];
        let logged: Vec<_> =
            reported.into_iter().filter(|(s, what)| complaints.is_news_at(at(*s), what)).collect();
        assert_eq!(logged, [(0, "a"), (2, "b"), (301, "a")]);
    }

    #[test]
    fn the_variable_part_is_left_out() {
        let reason = "h:1/1: Connect to ipv4#127.0.0.1:1 failed: Connection refused (after 0ms in \
                      state CONNECT, 3 identical error(s) suppressed)";
        assert_eq!(
            plain_sentence(reason),
            "h:1/1: Connect to ipv4#127.0.0.1:1 failed: Connection refused"
        );
        assert_eq!(plain_sentence("1/1 brokers are down"), "1/1 brokers are down");
    }
}
