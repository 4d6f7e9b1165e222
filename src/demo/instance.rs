//! An instance of the demo: the real core and the real driver on the demo's ports. It is one future;
//! while nothing polls it, it behaves like a frozen process.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use super::clusters::{Clusters, MAPPINGS};
use super::ports::{DemoPorts, FENCE_TOPIC, Fault};
use crate::driver;
use crate::ports::{Clock, Ports};
use sprag_core::action::StopReason;
use sprag_core::ids::{ClusterId, GroupId, TopicName};
use sprag_core::machine::{Core, Setup};
use sprag_core::policy::{CommitMode, Policy};

/// An instance. It runs only inside [`Instance::run_until`] and is frozen otherwise.
pub(super) struct Instance {
    ports: &'static DemoPorts,
    running: Pin<Box<dyn Future<Output = StopReason>>>,
}

const PATIENCE: Duration = Duration::from_secs(10);
const STEP: Duration = Duration::from_millis(20);
/// After this many reads of each group's target offsets, each group has been judged at least twice. The
/// first reads may have begun before the freeze, and a group is not read while its commit is in progress.
const ENOUGH_LOOKS: usize = 5;

impl Instance {
    /// Starts an instance with or without the guard.
    pub(super) fn start(
        clusters: &Clusters,
        groups: &[GroupId],
        fault: Fault,
        guard: bool,
    ) -> Self {
        let ports = DemoPorts::new(clusters.source(), clusters.target(), groups, fault);
        // The futures borrow the ports. Leaking a few of them is fine in a process this short.
        let ports: &'static DemoPorts = Box::leak(Box::new(ports));
        let policy = Policy {
            commit_mode: CommitMode::Guarded,
            apply_mappings_guard: guard,
            poll_interval: Duration::from_millis(100),
            confirm_after: Duration::from_millis(200),
            ..Policy::for_pipeline("demo")
        };
        let setup = Setup {
            policy,
            source_cluster: ClusterId::from("demo-source"),
            target_cluster: ClusterId::from("demo-target"),
            fence_topic: FENCE_TOPIC,
            mapping_topic: TopicName::from(MAPPINGS),
            jitter_seed: 0,
        };
        let core = Core::new(setup, ports.clock().now());
        let running = Box::pin(driver::run(core, ports, std::future::pending()));
        Self { ports, running }
    }

    /// Runs the instance until `done` returns true, for at most ten seconds. Returns whether it did.
    pub(super) async fn run_until(&mut self, done: impl Fn() -> bool) -> bool {
        let clock = self.ports.clock();
        let end = clock.now() + PATIENCE;
        while clock.now() < end {
            tokio::select! {
                biased;
                _ = &mut self.running => return done(),
                () = clock.sleep_until(clock.now() + STEP) => {}
            }
            if done() {
                return true;
            }
        }
        false
    }

    /// Runs the instance until it has judged each group again or stood down. Returns false if it does
    /// neither within ten seconds.
    pub(super) async fn have_its_say(&mut self) -> bool {
        let ports = self.ports;
        ports.target.forget_looks();
        let enough = || ports.target.fewest_looks() >= ENOUGH_LOOKS;
        self.run_until(|| enough() || ports.membership.stood_down()).await
    }
}
