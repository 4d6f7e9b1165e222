//! Turns a seed into a scenario. Half of the runs leave out any given class of work or of faults, so that
//! what one class hides shows in a run without it.

use super::brokers::with_brokers;
use super::half_read::with_half_read;
use super::topics::with_topics;
use super::{
    CommitStep, Disguise, Fault, FrozenClock, Network, OnForeign, Publisher, Rules, Scenario,
    Shape, Side, Timed, Work,
};
use crate::streams::{Concern, Stream};

/// When the first fault may begin and when the last has ended, in milliseconds.
pub(super) const FAULTS: (u64, u64) = (2_000, 24_000);
/// When the last work begins, in milliseconds.
const WORK_END: i64 = 24_000;

impl Scenario {
    /// The scenario of `seed`.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        let mut stream = Stream::of(seed, Concern::Shape);
        let shape = shape(&mut stream);
        let rules = rules(&mut stream);
        let shape = Shape { classic: stream.chance(40), ..shape };
        let lossy = stream.chance(50);
        let network = Network {
            latency_millis: stream.choose(&[10, 20, 100]) as u64,
            lost: if lossy { stream.between(1, 200) as u32 } else { 0 },
        };
        let work = work(&mut Stream::of(seed, Concern::Work), &shape);
        let mut faults = faults(&mut Stream::of(seed, Concern::Faults), &shape);
        let work = with_resets(work, &mut faults, &shape);
        let work = with_replays(&mut Stream::of(seed, Concern::Replays), work, &shape);
        let calm_from = FAULTS.1 + 1_000;
        let scenario = Self { seed, shape, rules, network, work, faults, calm_from };
        let scenario = with_topics(&mut Stream::of(seed, Concern::Topics), scenario);
        let scenario = with_half_read(&mut Stream::of(seed, Concern::HalfRead), scenario);
        with_brokers(&mut Stream::of(seed, Concern::Brokers), scenario)
    }
}

fn shape(stream: &mut Stream) -> Shape {
    let dense = stream.chance(60);
    let publisher = if dense {
        Publisher::Dense
    } else {
        Publisher::Sparse { every: stream.choose(&[3, 10, 50]) }
    };
    Shape {
        instances: stream.between(2, 3) as usize,
        brokers: (1, 1),
        shards: stream.between(1, 3) as i32,
        groups: stream.between(1, 5) as usize,
        topics: stream.between(1, 2) as usize,
        partitions: stream.between(1, 2) as i32,
        mapping_partitions: stream.between(1, 2) as i32,
        publisher,
        classic: false,
    }
}

fn rules(stream: &mut Stream) -> Rules {
    Rules {
        guarded: stream.chance(25),
        guard_off: false,
        follow_rewinds: stream.chance(75),
        follow_corrections: stream.chance(85),
        on_foreign: match stream.between(0, 9) {
            0 => OnForeign::ForwardOnly,
            1 => OnForeign::Overwrite,
            _ => OnForeign::Hold,
        },
        poll_millis: stream.choose(&[100, 300, 1000]),
        confirm_millis: stream.choose(&[200, 1000, 2000]),
        session_millis: stream.choose(&[1000, 3000]),
        refresh_millis: stream.choose(&[5_000, 86_400_000]),
        from_log_start: false,
        retention_millis: stream.chance(25).then_some(10_000),
    }
}

/// A class of work, and how often a run has it at most.
type WorkClass = (fn(&mut Stream, &Shape) -> Work, i64);

/// Work of every run.
const ALWAYS: &[WorkClass] = &[(produce, 60), (source_commit, 60)];

/// Work of some runs.
const SOMETIMES: &[WorkClass] = &[
    (source_reset, 3),
    (target_consumer, 3),
    (target_commit, 3),
    (target_transaction, 3),
    (disguised, 2),
    (zombie_copies, 3),
    (|stream, _| Work::ReplicatorRestart { again: stream.between(0, 40) }, 2),
    (|_, _| Work::CompactMappings, 2),
    (|stream, shape| Work::RecreateSource { topic: stream.index(shape.topics) }, 1),
    (|stream, shape| Work::RecreateTarget { topic: stream.index(shape.topics) }, 1),
    (|_, _| Work::RecreateMappings, 1),
    (trim_target, 4),
];

fn work(stream: &mut Stream, shape: &Shape) -> Vec<Timed<Work>> {
    let mut work = Vec::new();
    for (make, most) in ALWAYS {
        for _ in 0..*most {
            work.push(Timed { at: stream.between(0, WORK_END) as u64, what: make(stream, shape) });
        }
    }
    for (make, most) in SOMETIMES {
        if stream.chance(50) {
            for _ in 0..stream.between(1, *most) {
                let at = stream.between(1_000, WORK_END - 2_000) as u64;
                work.push(Timed { at, what: make(stream, shape) });
            }
        }
    }
    work.sort_by_key(|work| work.at);
    work
}

/// Makes what misleading coordinators know both older than the newest position and above it: groups are
/// reset soon after the coordinators moved, and do not move on while they mislead.
fn with_resets(
    mut work: Vec<Timed<Work>>,
    faults: &mut [Timed<Fault>],
    shape: &Shape,
) -> Vec<Timed<Work>> {
    for fault in faults.iter_mut() {
        let Fault::FormerCoordinator { misleads: true, lasts } = &mut fault.what else {
            continue;
        };
        *lasts = 6_000;
        fault.at = fault.at.min(FAULTS.1 - *lasts);
        let meanwhile = fault.at..fault.at + *lasts;
        work.retain(|work| {
            let moves = matches!(work.what, Work::SourceCommit { .. } | Work::SourceReset { .. });
            !(moves && meanwhile.contains(&work.at))
        });
        for group in 0..shape.groups {
            let what = Work::SourceReset { group, topic: 0, partition: 0, by: 20 };
            work.push(Timed { at: fault.at + 200, what });
        }
    }
    faults.sort_by_key(|fault| fault.at);
    work.sort_by_key(|work| work.at);
    work
}

/// Gives some runs with sparse mappings replays, and removes everything that makes the mapping topic
/// forget.
fn with_replays(
    stream: &mut Stream,
    mut work: Vec<Timed<Work>>,
    shape: &Shape,
) -> Vec<Timed<Work>> {
    if shape.publisher == Publisher::Dense || !stream.chance(40) {
        return work;
    }
    work.retain(|work| {
        !matches!(
            work.what,
            Work::RecreateSource { .. }
                | Work::RecreateTarget { .. }
                | Work::RecreateMappings
                | Work::CompactMappings
        )
    });
    for from in [6_000, 12_000, 18_000] {
        let again = stream.between(20, 80);
        work.push(Timed { at: from, what: Work::ReplicatorRestart { again } });
        for after in [200, 500, 1_000, 2_000] {
            work.push(Timed { at: from + after, what: source_commit(stream, shape) });
        }
    }
    work.sort_by_key(|work| work.at);
    work
}

fn produce(stream: &mut Stream, shape: &Shape) -> Work {
    Work::Produce {
        topic: stream.index(shape.topics),
        partition: partition(stream, shape),
        count: stream.between(1, 30),
        transactional: stream.chance(20),
    }
}

fn source_commit(stream: &mut Stream, shape: &Shape) -> Work {
    Work::SourceCommit {
        group: stream.index(shape.groups),
        topic: stream.index(shape.topics),
        partition: partition(stream, shape),
        lag: stream.choose(&[0, 0, 1, 5, 40]),
    }
}

fn source_reset(stream: &mut Stream, shape: &Shape) -> Work {
    Work::SourceReset {
        group: stream.index(shape.groups),
        topic: stream.index(shape.topics),
        partition: partition(stream, shape),
        by: stream.between(1, 60),
    }
}

fn target_consumer(stream: &mut Stream, shape: &Shape) -> Work {
    Work::TargetConsumer {
        group: stream.index(shape.groups),
        topic: stream.index(shape.topics),
        partition: partition(stream, shape),
        // A 3.9 cluster supports only the classic protocol by default.
        new_protocol: stream.chance(50) && !shape.classic,
        stays: stream.choose(&[50, 300, 2000]),
    }
}

fn target_commit(stream: &mut Stream, shape: &Shape) -> Work {
    Work::TargetCommit {
        group: stream.index(shape.groups),
        topic: stream.index(shape.topics),
        partition: partition(stream, shape),
    }
}

fn target_transaction(stream: &mut Stream, shape: &Shape) -> Work {
    Work::TargetTransaction {
        group: stream.index(shape.groups),
        topic: stream.index(shape.topics),
        partition: partition(stream, shape),
        stays: stream.choose(&[50, 500, 1_500]),
    }
}

fn disguised(stream: &mut Stream, shape: &Shape) -> Work {
    Work::Disguised {
        group: stream.index(shape.groups),
        topic: stream.index(shape.topics),
        partition: partition(stream, shape),
        disguise: stream.choose(&[
            Disguise::NewerVersion,
            Disguise::Malformed,
            Disguise::OtherPipeline,
            Disguise::OtherShards,
            Disguise::LaterFence,
        ]),
    }
}

fn zombie_copies(stream: &mut Stream, shape: &Shape) -> Work {
    Work::ZombieCopies {
        topic: stream.index(shape.topics),
        partition: partition(stream, shape),
        back: stream.between(5, 80),
        count: stream.between(1, 30) as usize,
        delay: stream.choose(&[10, 500, 2_000]),
    }
}

fn trim_target(stream: &mut Stream, shape: &Shape) -> Work {
    Work::TrimTarget {
        topic: stream.index(shape.topics),
        partition: partition(stream, shape),
        left: stream.choose(&[4, 1, 0]),
    }
}

fn partition(stream: &mut Stream, shape: &Shape) -> i32 {
    stream.between(0, i64::from(shape.partitions) - 1) as i32
}

/// A class of faults, and how often a run has it at most.
type FaultClass = (fn(&mut Stream, &Shape, u64) -> Fault, i64);

const FAULT_CLASSES: &[FaultClass] = &[
    (freeze, 3),
    (freeze_at_commit, 4),
    (crash, 3),
    (cut, 3),
    (|stream, _, lasts| Fault::Slow { cluster: side(stream), by: lasts / 10, lasts }, 2),
    (|stream, _, lasts| Fault::LoseAnswers { cluster: side(stream), lasts: lasts / 4 }, 3),
    (late_requests, 3),
    (|stream, _, lasts| Fault::FormerCoordinator { misleads: stream.chance(50), lasts }, 2),
    (|_, _, lasts| Fault::StaleEnds { lasts }, 2),
    (mapping_partition_fails, 2),
];

fn faults(stream: &mut Stream, shape: &Shape) -> Vec<Timed<Fault>> {
    let mut faults = Vec::new();
    for (make, most) in FAULT_CLASSES {
        if stream.chance(50) {
            for _ in 0..stream.between(1, *most) {
                let lasts = stream.choose(&[100, 700, 2_000, 6_000]);
                let latest = FAULTS.1.saturating_sub(lasts);
                let at = stream.between(FAULTS.0 as i64, latest as i64) as u64;
                faults.push(Timed { at, what: make(stream, shape, lasts) });
            }
        }
    }
    faults.sort_by_key(|fault| fault.at);
    faults
}

fn freeze(stream: &mut Stream, shape: &Shape, lasts: u64) -> Fault {
    let clock = stream.choose(&[FrozenClock::Moves, FrozenClock::Stands]);
    Fault::Freeze { instance: stream.index(shape.instances), lasts, clock }
}

fn freeze_at_commit(stream: &mut Stream, shape: &Shape, lasts: u64) -> Fault {
    let step = stream.choose(&[CommitStep::Write, CommitStep::End]);
    let visited = stream.chance(50);
    Fault::FreezeAtCommit { instance: stream.index(shape.instances), step, lasts, visited }
}

fn crash(stream: &mut Stream, shape: &Shape, lasts: u64) -> Fault {
    Fault::Crash { instance: stream.index(shape.instances), lasts }
}

fn cut(stream: &mut Stream, shape: &Shape, lasts: u64) -> Fault {
    Fault::Cut { instance: stream.index(shape.instances), cluster: side(stream), lasts }
}

fn late_requests(stream: &mut Stream, _: &Shape, lasts: u64) -> Fault {
    Fault::LateRequests { by: stream.choose(&[60, 120, 300, 1_500]), lasts }
}

fn mapping_partition_fails(stream: &mut Stream, shape: &Shape, lasts: u64) -> Fault {
    let partition = stream.between(0, i64::from(shape.mapping_partitions) - 1) as i32;
    Fault::MappingPartitionFails { partition, ends_too: stream.chance(60), lasts }
}

fn side(stream: &mut Stream) -> Side {
    stream.choose(&[Side::Source, Side::Target])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_one_scenario_and_faults_end_before_the_calm() {
        for seed in 0..200 {
            let scenario = Scenario::of(seed);
            assert_eq!(scenario, Scenario::of(seed));
            let end = |fault: &Timed<Fault>| fault.at + fault.what.lasts();
            assert!(scenario.faults.iter().all(|fault| end(fault) <= scenario.calm_from));
        }
    }
}
