//! The process's monotonic clock.

use crate::ports::Clock;
use sprag_core::time::Instant;

/// Counts the milliseconds since it was started.
#[derive(Clone, Copy, Debug)]
pub struct ProcessClock {
    start: tokio::time::Instant,
}

impl ProcessClock {
    /// A clock that starts now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the only clock")]
    pub fn start() -> Self {
        Self { start: tokio::time::Instant::now() }
    }
}

impl Clock for ProcessClock {
    #[expect(clippy::disallowed_methods, reason = "this is the only clock")]
    fn now(&self) -> Instant {
        let passed = tokio::time::Instant::now().duration_since(self.start).as_millis();
        Instant::from_millis(u64::try_from(passed).unwrap_or(u64::MAX))
    }

    #[expect(clippy::disallowed_methods, reason = "this is the only clock")]
    async fn sleep_until(&self, deadline: Instant) {
        let passed = std::time::Duration::from_millis(deadline.as_millis());
        // A deadline that is out of range is never reached. The driver calls again after at most an hour.
        match self.start.checked_add(passed) {
            Some(deadline) => tokio::time::sleep_until(deadline).await,
            None => std::future::pending().await,
        }
    }
}
