//! A process's clock. It may stand still while the process is frozen, as a suspended machine's does.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use sprag::ports::Clock;
use sprag_core::time::Instant;

/// The simulated time, less what this process slept through without noticing. Clones are the same
/// clock.
#[derive(Clone, Default)]
pub struct SimClock {
    slept: Rc<Cell<Duration>>,
    /// How often nothing was waited for at one time of the simulation.
    spun: Rc<Cell<(u64, u32)>>,
}

/// So often a process may find that there is nothing to wait for, before time must pass.
const SPINS: u32 = 100_000;

impl SimClock {
    /// The machine was suspended for `time`: its clock did not move.
    pub fn stood_still(&self, time: Duration) {
        self.slept.set(self.slept.get() + time);
    }
}

impl SimClock {
    /// A process that is due again and again, and does nothing, would burn a core; here time would stand
    /// still for ever.
    fn spin(&self) {
        let now = simulated().as_millis();
        let (at, times) = self.spun.get();
        let times = if at == now { times + 1 } else { 0 };
        self.spun.set((now, times));
        assert!(times < SPINS, "a process is due at {now} ms for ever, and does nothing about it");
    }
}

/// The time of the simulation.
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
        // Time that the clock stood still does not count, so the rest is looked at again.
        loop {
            let left = deadline.since(self.now());
            if left.is_zero() {
                return self.spin();
            }
            tokio::time::sleep(left).await;
        }
    }
}
