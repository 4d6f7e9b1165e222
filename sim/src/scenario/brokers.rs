//! Clusters with several brokers, and faults of one broker at a time.

use serde::{Deserialize, Serialize};

use super::{Fault, Scenario, Side, Timed, Work};
use crate::streams::Stream;

/// When the instances have shared out the shards, in milliseconds. A group that is behind after that has a
/// reason to be.
pub const BEGUN: u64 = 8_000;
/// When the last fault of a broker has ended, in milliseconds.
const END: u64 = 24_000;

/// A fault of one broker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrokerFault {
    /// Which cluster.
    pub cluster: Side,
    /// Which broker.
    pub broker: i32,
    /// What is wrong with it.
    pub how: Broken,
    /// How long, in milliseconds.
    pub lasts: u64,
}

/// What is wrong with a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Broken {
    /// It answers late.
    Slow {
        /// By how much, in milliseconds.
        by: u64,
    },
    /// It is stopped, and no other broker takes its place.
    Silent,
    /// It is gone, and other brokers take its place.
    Gone {
        /// How long that takes, in milliseconds.
        elected_after: u64,
    },
    /// Only Sprag cannot reach it.
    Unreachable,
}

/// Gives half of the runs clusters of up to three brokers. In some of these, one broker at a time has a
/// fault; and some of these have no other faults, which shows what a faulty broker delays.
pub(super) fn with_brokers(stream: &mut Stream, mut scenario: Scenario) -> Scenario {
    if stream.chance(50) {
        return scenario;
    }
    scenario.shape.brokers = (stream.between(1, 3) as usize, stream.between(1, 3) as usize);
    let alone = stream.chance(40);
    if alone {
        only_brokers(&mut scenario);
    }
    let mut at = if alone { BEGUN } else { 2_000 } + stream.between(0, 2_000) as u64;
    for _ in 0..3 {
        let lasts = stream.choose(&[1_500, 4_000, 8_000]);
        let fault = broker_fault(stream, scenario.shape.brokers, lasts);
        if at + lasts <= END
            && let Some(fault) = fault.filter(|_| alone || stream.chance(40))
        {
            scenario.faults.push(Timed { at, what: Fault::Broker(fault) });
        }
        at += lasts + stream.between(500, 3_000) as u64;
    }
    scenario.faults.sort_by_key(|fault| fault.at);
    scenario
}

/// Removes all other faults, and all work that gives a group a reason to be left alone.
pub(crate) fn only_brokers(scenario: &mut Scenario) {
    scenario.faults.clear();
    scenario.network.lost = 0;
    scenario.work.retain(|work| is_plain(&work.what));
}

/// Whether a group must follow this work in any case.
pub(crate) fn is_plain(work: &Work) -> bool {
    matches!(work, Work::Produce { .. } | Work::SourceCommit { .. } | Work::SourceReset { .. })
}

fn broker_fault(stream: &mut Stream, brokers: (usize, usize), lasts: u64) -> Option<BrokerFault> {
    let cluster = match brokers {
        (1, 1) => return None,
        (_, 1) => Side::Source,
        (1, _) => Side::Target,
        (_, _) => stream.choose(&[Side::Source, Side::Target]),
    };
    let count = match cluster {
        Side::Source => brokers.0,
        Side::Target => brokers.1,
    };
    let broker = stream.index(count) as i32;
    let how = match stream.between(0, 5) {
        0 => Broken::Slow { by: stream.choose(&[50, 200, 450]) },
        1 | 2 => Broken::Silent,
        3 | 4 => Broken::Gone { elected_after: stream.choose(&[200, 1_000]) },
        _ => Broken::Unreachable,
    };
    Some(BrokerFault { cluster, broker, how, lasts })
}
