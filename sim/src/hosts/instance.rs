//! One instance of Sprag: the real core and the real driver behind a gate.

use std::rc::Rc;

use sprag::driver;
use sprag::ports::{Clock, Ports};
use sprag_core::action::StopReason;
use sprag_core::event::FenceTopic;
use sprag_core::ids::{ClusterId, ShardCount};
use sprag_core::machine::{Core, Setup};
use sprag_core::planted::{Bug, has};
use sprag_core::policy::Policy;

use crate::clock::SimClock;
use crate::gate::Gate;
use crate::names::instance_host;
use crate::net::{Client, Mail};
use crate::ports::{SimPorts, Wiring};

/// What an instance is started with, every time.
#[derive(Clone)]
pub struct Instance {
    /// Its number, which names its host.
    pub number: usize,
    /// Freezes it.
    pub gate: Gate,
    /// Its clock.
    pub clock: SimClock,
    /// Its configuration.
    pub policy: Policy,
    /// Its clusters and topics.
    pub wiring: Wiring,
    /// The ids of the source and the target cluster.
    pub clusters: (ClusterId, ClusterId),
    /// The seed of the jitter in its back-offs.
    pub jitter_seed: u64,
}

impl Instance {
    /// Runs until the core stops. Nobody asks it to stop, so that is a fatal error.
    ///
    /// # Errors
    ///
    /// Why it stopped.
    pub async fn run(self, mail: Mail) -> Result<(), Box<dyn std::error::Error>> {
        let gate = self.gate.clone();
        let host = instance_host(self.number);
        gate.around(&host, self.live(mail)).await
    }

    async fn live(self, mail: Mail) -> Result<(), Box<dyn std::error::Error>> {
        let client = Rc::new(Client::bind(mail, &instance_host(self.number)).await?);
        let ports = SimPorts::new(Rc::clone(&client), self.clock.clone(), &self.wiring);
        let work = async {
            let setup = self.setup(&ports).await;
            let core = Core::new(setup, ports.clock().now());
            driver::run(core, &ports, std::future::pending()).await
        };
        let reason = tokio::select! {
            biased;
            reason = work => reason,
            () = ports.run() => return Ok(()),
            () = client.receive() => return Ok(()),
        };
        match reason {
            StopReason::Asked => Ok(()),
            StopReason::Fatal { reason } => Err(reason.to_string().into()),
        }
    }

    /// [`Bug::TwoShardCounts`]: every other instance was started when there was one shard fewer.
    fn counted(&self, topic: FenceTopic) -> FenceTopic {
        match has(Bug::TwoShardCounts) && self.number % 2 == 1 {
            true => FenceTopic { shards: ShardCount(topic.shards.get() - 1), ..topic },
            false => topic,
        }
    }

    /// Waits for the fence topic, as the real daemon waits for its clusters.
    async fn setup(&self, ports: &SimPorts) -> Setup {
        loop {
            if let Ok(control) = sprag::ports::TopicReader::control(ports.topic_reader()).await
                && let Ok(fence_topic) = control.fence
            {
                let fence_topic = self.counted(fence_topic);
                return Setup {
                    policy: self.policy.clone(),
                    source_cluster: self.clusters.0.clone(),
                    target_cluster: self.clusters.1.clone(),
                    fence_topic,
                    mapping_topic: self.wiring.mapping_topic.clone(),
                    jitter_seed: self.jitter_seed,
                };
            }
            let clock = ports.clock();
            clock.sleep_until(clock.now() + std::time::Duration::from_millis(200)).await;
        }
    }
}
