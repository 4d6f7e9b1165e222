//! The clock of a process. It may stop while the process is frozen, as on a suspended machine.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use sprag::ports::Clock;
use sprag_core::time::Instant;

/// The simulated time minus the time that this process slept without noticing. Clones share one clock.
#[derive(Clone, Default)]
pub struct SimClock {
    slept: Rc<Cell<Duration>>,
    /// The last simulated time at which a wait returned at once, and how often it did.
    spun: Rc<Cell<(u64, u32)>>,
}

/// Number of waits that may return at once before simulated time must pass.
const SPINS: u32 = 100_000;

impl SimClock {
    /// The machine was suspended for `time`, during which its clock did not move.
    pub fn stood_still(&self, time: Duration) {
        self.slept.set(self.slept.get() + time);
    }
}

impl SimClock {
    /// Panics if the process is due again and again without doing anything. A real one would burn a core;
    /// here, simulated time would never advance.
    fn spin(&self) {
        let now = simulated().as_millis();
        let (at, times) = self.spun.get();
        let times = if at == now { times + 1 } else { 0 };
        self.spun.set((now, times));
        assert!(times < SPINS, "a process is due again and again at {now} ms and does nothing");
    }
}

/// The current simulated time.
#[must_use]
pub fn simulated() -> Instant {
    let elapsed = turmoil::sim_elapsed().unwrap_or_default();
    Instant::from_millis(u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX))
}

impl Clock for SimClock {
    fn now(&self) -> Instant {
        let slept = u64::try_from(self.slept.get().as_millis()).unwrap_or(u64::MAX);
        Instant::from_millis(simulated().as_millis().saturating_sub(slept))
    }

    #[expect(clippy::disallowed_methods, reason = "this is the simulated clock")]
    async fn sleep_until(&self, deadline: Instant) {
        // The clock may have stopped during the sleep, so the rest is computed again.
        loop {
            let left = deadline.since(self.now());
            if left.is_zero() {
                return self.spin();
            }
            tokio::time::sleep(left).await;
        }
    }
}
