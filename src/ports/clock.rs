//! Time.

use sprag_core::time::Instant;

/// The monotonic clock of this process.
pub trait Clock {
    /// The current time.
    fn now(&self) -> Instant;

    /// Waits until `deadline`. Returns immediately if it has passed.
    fn sleep_until(&self, deadline: Instant) -> impl Future<Output = ()>;
}
