//! One instance of the demo: the real core and the real driver on the demo's ports, as one future
//! that can be left unpolled, which is what a frozen process is.

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

/// A running instance; it runs while it is awaited, and is frozen otherwise.
pub(super) struct Instance {
    ports: &'static DemoPorts,
    running: Pin<Box<dyn Future<Output = StopReason>>>,
}

const PATIENCE: Duration = Duration::from_secs(10);
const STEP: Duration = Duration::from_millis(20);
/// After this many looks at each group, each has been judged at least twice: the first looks may have
/// begun before the instance was frozen, and no group is looked at while its commit is under way.
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
        // A few instances for the life of a short process; their futures borrow them.
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

    /// Lets it run until `done` says so, or ten seconds have passed. True if it was done.
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

    /// Lets it run until it has had its say: it has judged each group again, or stood down. False
    /// if it did neither within ten seconds.
    pub(super) async fn have_its_say(&mut self) -> bool {
        let ports = self.ports;
        ports.target.forget_looks();
        let enough = || ports.target.fewest_looks() >= ENOUGH_LOOKS;
        self.run_until(|| enough() || ports.ownership.stood_down()).await
    }
}
