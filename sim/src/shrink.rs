//! Finds the smallest scenario that still fails.

use crate::scenario::{Network, OnForeign, Scenario, Shape, Timed};

/// Reduces a scenario, if it can be reduced.
type Cut = fn(&mut Scenario);

/// Reductions that are tried one at a time, each once per round.
const CUTS: &[Cut] = &[
    |it| it.network = Network { latency_millis: 10, lost: 0 },
    |it| it.network.lost = 0,
    |it| it.shape = Shape { instances: it.shape.instances.saturating_sub(1).max(1), ..it.shape },
    |it| it.shape = Shape { shards: (it.shape.shards - 1).max(1), ..it.shape },
    |it| it.shape = Shape { groups: it.shape.groups.saturating_sub(1).max(1), ..it.shape },
    |it| it.shape = Shape { topics: it.shape.topics.saturating_sub(1).max(1), ..it.shape },
    |it| it.shape = Shape { partitions: (it.shape.partitions - 1).max(1), ..it.shape },
    |it| it.shape = Shape { mapping_partitions: 1, ..it.shape },
    |it| it.shape.brokers = (1, 1),
    |it| it.rules.retention_millis = None,
    |it| it.rules.on_foreign = OnForeign::Hold,
    |it| it.rules.refresh_millis = 86_400_000,
    |it| it.calm_from = end_of(it).max(1_000),
];

/// When the last work item and the last fault are over, in milliseconds.
fn end_of(scenario: &Scenario) -> u64 {
    let work = scenario.work.iter().map(|work| work.at + 1_000);
    let faults = scenario.faults.iter().map(|fault| fault.at + fault.what.lasts());
    work.chain(faults).max().unwrap_or_default()
}

/// Removes what `scenario` does not need to fail. Runs at most `most` reduced scenarios. Returns the
/// smallest one that failed, and the number of runs.
pub fn shrink(
    scenario: &Scenario,
    most: u32,
    mut fails: impl FnMut(&Scenario) -> bool,
) -> (Scenario, u32) {
    let (mut smallest, mut runs) = (scenario.clone(), 0);
    let mut still_fails = |smaller: &Scenario| {
        runs += 1;
        runs <= most && fails(smaller)
    };
    loop {
        let before = smallest.clone();
        for part in [Part::Faults, Part::Work] {
            thin_out(&mut smallest, part, &mut still_fails);
        }
        for cut in CUTS {
            let mut smaller = smallest.clone();
            cut(&mut smaller);
            if smaller != smallest && still_fails(&smaller) {
                smallest = smaller;
            }
        }
        if smallest == before {
            return (smallest, runs.min(most));
        }
    }
}

/// A list in a scenario.
#[derive(Clone, Copy)]
enum Part {
    Faults,
    Work,
}

impl Part {
    fn len(self, scenario: &Scenario) -> usize {
        match self {
            Self::Faults => scenario.faults.len(),
            Self::Work => scenario.work.len(),
        }
    }

    fn remove(self, scenario: &mut Scenario, from: usize, count: usize) {
        fn remove<T>(list: &mut Vec<Timed<T>>, from: usize, count: usize) {
            list.drain(from..(from + count).min(list.len()));
        }
        match self {
            Self::Faults => remove(&mut scenario.faults, from, count),
            Self::Work => remove(&mut scenario.work, from, count),
        }
    }
}

/// Removes pieces of a list, large ones first (Zeller's delta debugging, without complements).
fn thin_out(smallest: &mut Scenario, part: Part, still_fails: &mut impl FnMut(&Scenario) -> bool) {
    let mut piece = part.len(smallest);
    while piece > 0 {
        let mut from = 0;
        while from < part.len(smallest) {
            let mut smaller = smallest.clone();
            part.remove(&mut smaller, from, piece);
            if still_fails(&smaller) {
                *smallest = smaller;
            } else {
                from += piece;
            }
        }
        piece /= 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{Fault, Work};

    #[test]
    fn only_what_the_failure_needs_is_left() {
        let crash = |it: &Timed<Fault>| matches!(it.what, Fault::Crash { .. });
        let trim = |it: &Timed<Work>| matches!(it.what, Work::TrimTarget { .. });
        let takes = |it: &Scenario| {
            it.faults.iter().any(crash) && it.work.iter().any(trim) && it.shape.instances >= 2
        };
        let found = (1..200).map(Scenario::of).find(|it| takes(it) && it.faults.len() > 5);
        let Some(scenario) = found else {
            panic!("no seed has a crash and a trimmed log");
        };
        let (smallest, runs) = shrink(&scenario, 2_000, takes);
        assert_eq!((smallest.faults.len(), smallest.work.len()), (1, 1), "{smallest:#?}");
        assert!(crash(&smallest.faults[0]) && trim(&smallest.work[0]));
        assert_eq!((smallest.shape.instances, smallest.shape.groups), (2, 1));
        assert!(smallest.calm_from < scenario.calm_from && runs < 2_000, "{runs} runs");
    }

    #[test]
    fn a_scenario_that_needs_everything_stays_and_runs_are_bounded() {
        let scenario = Scenario::of(1);
        let mut asked = 0;
        let (smallest, runs) = shrink(&scenario, 50, |_| {
            asked += 1;
            false
        });
        assert_eq!((smallest, runs, asked), (scenario, 50, 50));
    }
}
