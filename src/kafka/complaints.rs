//! What the clients' threads say of their connections. An outage says the same thing many times a
//! second; people are told it at once, and then now and again while it lasts.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::clock::ProcessClock;
use crate::ports::Clock;
use sprag_core::time::Instant;

/// The same sentence is told again after this long.
const AGAIN: Duration = Duration::from_secs(300);

/// What was said, and when it was told.
#[derive(Clone, Debug)]
pub(super) struct Complaints {
    clock: ProcessClock,
    told: Arc<Mutex<BTreeMap<String, Instant>>>,
}

impl Complaints {
    pub(super) fn new(clock: ProcessClock) -> Self {
        Self { clock, told: Arc::default() }
    }

    /// Whether to tell `sentence`.
    pub(super) fn is_news(&self, sentence: &str) -> bool {
        self.is_news_at(self.clock.now(), sentence)
    }

    fn is_news_at(&self, now: Instant, sentence: &str) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.retain(|_, at| now.since(*at) < AGAIN);
        let news = !told.contains_key(sentence);
        if news {
            told.insert(sentence.to_owned(), now);
        }
        news
    }
}

/// librdkafka's sentence without what differs each time: `(after 3ms in state CONNECT, …)`.
pub(super) fn plain_sentence(reason: &str) -> &str {
    let end = reason.find(" (after ").unwrap_or(reason.len());
    reason[..end].trim_end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_sentence_is_told_once_in_a_while() {
        let complaints = Complaints::new(ProcessClock::start());
        let at = |seconds: u64| Instant::from_millis(seconds * 1000);
        let heard = [(0, "a"), (1, "a"), (2, "b"), (299, "a"), (301, "a"), (302, "a")];
        let told: Vec<_> =
            heard.into_iter().filter(|(s, what)| complaints.is_news_at(at(*s), what)).collect();
        assert_eq!(told, [(0, "a"), (2, "b"), (301, "a")]);
    }

    #[test]
    fn what_differs_each_time_is_left_out() {
        let said = "h:1/1: Connect to ipv4#127.0.0.1:1 failed: Connection refused (after 0ms in \
                    state CONNECT, 3 identical error(s) suppressed)";
        assert_eq!(
            plain_sentence(said),
            "h:1/1: Connect to ipv4#127.0.0.1:1 failed: Connection refused"
        );
        assert_eq!(plain_sentence("1/1 brokers are down"), "1/1 brokers are down");
    }
}
