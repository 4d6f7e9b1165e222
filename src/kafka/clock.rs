//! The process's monotonic clock.

use crate::ports::Clock;
use sprag_core::time::Instant;

/// Milliseconds since this clock was made.
#[derive(Clone, Copy, Debug)]
pub struct ProcessClock {
    start: tokio::time::Instant,
}

impl ProcessClock {
    /// A clock that starts now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the one clock")]
    pub fn start() -> Self {
        Self { start: tokio::time::Instant::now() }
    }
}

impl Clock for ProcessClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one clock")]
    fn now(&self) -> Instant {
        let passed = tokio::time::Instant::now().duration_since(self.start).as_millis();
        Instant::from_millis(u64::try_from(passed).unwrap_or(u64::MAX))
    }

    #[expect(clippy::disallowed_methods, reason = "this is the one clock")]
    async fn sleep_until(&self, deadline: Instant) {
        let passed = std::time::Duration::from_millis(deadline.as_millis());
        // The driver asks again after at most an hour, so a deadline out of range is only far away.
        match self.start.checked_add(passed) {
            Some(deadline) => tokio::time::sleep_until(deadline).await,
            None => std::future::pending().await,
        }
    }
}
