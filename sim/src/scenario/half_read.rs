//! An owner that knows fewer mappings than the owner before it.

use super::{Fault, FrozenClock, Publisher, Scenario, Timed};
use crate::streams::Stream;

/// Gives some runs only this fault. Neither fences nor log end offsets show it, so the stamps must.
pub(super) fn with_half_read(stream: &mut Stream, mut scenario: Scenario) -> Scenario {
    if stream.chance(4) {
        scenario.shape.publisher = Publisher::Dense;
        scenario.network.lost = 0;
        half_read(&mut scenario);
    }
    scenario
}

/// An owner knows fewer mappings than the owner before it and believes that it knows all. It was frozen
/// while the others kept reading, it cannot continue reading, and a lagging replica answers for the log end
/// offsets.
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

/// Only instance 0 runs for a while.
pub(crate) fn others_crash(scenario: &mut Scenario, from: u64) {
    for instance in 1..scenario.shape.instances {
        scenario.faults.push(at(from, Fault::Crash { instance, lasts: 6_000 }));
    }
}

/// Something at a time.
pub(crate) fn at<T>(at: u64, what: T) -> Timed<T> {
    Timed { at, what }
}
