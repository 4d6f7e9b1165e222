//! An owner that knows less of the mappings than the one before it.

use super::{Fault, FrozenClock, Publisher, Scenario, Timed};
use crate::streams::Stream;

/// Some runs have nothing else that breaks: what no fence and no end of a log tells of, the stamps must.
pub(super) fn with_half_read(stream: &mut Stream, mut scenario: Scenario) -> Scenario {
    if stream.chance(4) {
        scenario.shape.publisher = Publisher::Dense;
        scenario.network.lost = 0;
        half_read(&mut scenario);
    }
    scenario
}

/// An owner that knows less of the mappings than the one before it, and is told that it knows all: it was
/// frozen while the others read on, cannot read on itself, and a replica that lags behind tells the ends.
pub(crate) fn half_read(scenario: &mut Scenario) {
    let frozen = Fault::Freeze { instance: 0, lasts: 6_000, clock: FrozenClock::Moves };
    scenario.faults = vec![at(6_000, Fault::StaleEnds { lasts: 17_500 }), at(9_000, frozen)];
    cannot_read(scenario, 14_500, false);
    others_crash(scenario, 16_000);
}

/// The mapping topic cannot be read.
pub(crate) fn cannot_read(scenario: &mut Scenario, from: u64, ends_too: bool) {
    for partition in 0..scenario.shape.mapping_partitions {
        let fails = Fault::MappingPartitionFails { partition, ends_too, lasts: 9_000 };
        scenario.faults.push(at(from, fails));
    }
}

/// Instance 0 is alone for a while.
pub(crate) fn others_crash(scenario: &mut Scenario, from: u64) {
    for instance in 1..scenario.shape.instances {
        scenario.faults.push(at(from, Fault::Crash { instance, lasts: 6_000 }));
    }
}

/// Something at a time.
pub(crate) fn at<T>(at: u64, what: T) -> Timed<T> {
    Timed { at, what }
}
