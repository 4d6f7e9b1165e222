//! Planted bugs: a simulation that finds none of them would find nothing else either. Each is to be
//! caught by the invariant that it offends, within so many seeds.

use std::fmt;

use sprag_core::planted::{Bug, Planting};

use crate::invariants::Invariant;
use crate::run::Outcome;
use crate::scenario::brokers::{Broken, BrokerFault, only_brokers};
use crate::scenario::half_read::{at, cannot_read, half_read, others_crash};
use crate::scenario::{Fault, OnForeign, Publisher, Scenario, Side, Timed, Work};
use crate::sweep::{run_caught, sweep};

/// Within how many seeds each planted bug must be caught.
pub const SEEDS: u64 = 300;

/// A bug, where it shows, and what must notice it.
#[derive(Clone, Copy, Debug)]
pub struct Plant {
    /// What it is called.
    pub name: &'static str,
    /// The bug; `None` for the guard that the configuration disables.
    pub bug: Option<Bug>,
    /// The commit mode in which it shows.
    pub mode: Mode,
    /// What must notice it.
    pub invariant: Invariant,
    /// What a scenario needs so that the bug can show at all.
    needs: fn(&mut Scenario),
}

/// In which commit mode a planted bug shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// In `fenced` mode, and so in both.
    Fenced,
    /// In `guarded` mode alone: in `fenced` mode the broker's fence or the read between the two halves
    /// of a commit covers it.
    Guarded,
}

/// All of them.
pub const PLANTS: &[Plant] = &[
    Plant::of("guard off", None, Mode::Fenced, Invariant::NeverTrample).needs(without_guard),
    Plant::of("guard off (2)", None, Mode::Guarded, Invariant::NeverStale).needs(without_guard),
    Plant::new(Bug::LexicographicOrder, Mode::Fenced, Invariant::NeverStale).needs(half_read),
    Plant::new(Bug::AsOfAtCommit, Mode::Fenced, Invariant::NoInventedOffset).needs(late_news),
    Plant::new(Bug::CaughtUpDespiteError, Mode::Fenced, Invariant::NeverStale).needs(unreadable),
    Plant::new(Bug::EndsBeforeFence, Mode::Fenced, Invariant::NeverStale).needs(unread),
    Plant::new(Bug::TargetKeptAcrossTakeOver, Mode::Fenced, Invariant::NeverTrample),
    Plant::new(Bug::DecisionRetried, Mode::Fenced, Invariant::FencedMeansFenced),
    Plant::new(Bug::NoVerification, Mode::Fenced, Invariant::NeverTrample),
    Plant::new(Bug::TimeOutIsNotCommitted, Mode::Guarded, Invariant::NeverTrample).needs(lossy),
    Plant::new(Bug::FailedFetchIsNothing, Mode::Guarded, Invariant::NeverTrample),
    Plant::new(Bug::EmptyMember, Mode::Fenced, Invariant::NeverTrample),
    Plant::new(Bug::UnconfirmedFollowed, Mode::Fenced, Invariant::NeverStale).needs(moved),
    Plant::new(Bug::Interpolation, Mode::Fenced, Invariant::NeverSkip).needs(dense),
    Plant::new(Bug::LatestWins, Mode::Fenced, Invariant::NeverSkip).needs(dense),
    Plant::new(Bug::UntilPassed, Mode::Fenced, Invariant::NeverSkip).needs(dense),
    Plant::new(Bug::TwoShardCounts, Mode::Fenced, Invariant::FencedMeansFenced).needs(shards),
    Plant::new(Bug::ForeignSiblingIgnored, Mode::Fenced, Invariant::NeverTrample).needs(siblings),
    Plant::new(Bug::StandDownIgnored, Mode::Fenced, Invariant::StandsDown),
    Plant::new(Bug::VanishedIsZero, Mode::Fenced, Invariant::NoInventedOffset),
    Plant::new(Bug::StartOfRun, Mode::Fenced, Invariant::Exact).needs(dense),
    Plant::new(Bug::FailedRoundForgotten, Mode::Fenced, Invariant::Converges),
    Plant::new(Bug::EndsOfAnotherTopic, Mode::Fenced, Invariant::NeverStale).needs(another_topic),
    Plant::new(Bug::DisturbanceIgnored, Mode::Fenced, Invariant::NeverStale),
    Plant::new(Bug::BelowLogStart, Mode::Fenced, Invariant::NeverSkip),
    Plant::new(Bug::AbortReported, Mode::Fenced, Invariant::Truthful),
    Plant::new(Bug::ReplayIgnored, Mode::Fenced, Invariant::NeverSkip),
    Plant::new(Bug::OneOutageForAll, Mode::Fenced, Invariant::Isolated).needs(one_broker),
    Plant::new(Bug::LateRequestIgnored, Mode::Fenced, Invariant::Verified).needs(late_requests),
    Plant::new(Bug::NoBackOff, Mode::Fenced, Invariant::Sparing),
    Plant::new(Bug::RefreshedAtOnce, Mode::Fenced, Invariant::Sparing),
];

impl Plant {
    const fn of(name: &'static str, bug: Option<Bug>, mode: Mode, invariant: Invariant) -> Self {
        Self { name, bug, mode, invariant, needs: |_| {} }
    }

    const fn new(bug: Bug, mode: Mode, invariant: Invariant) -> Self {
        Self::of(name(bug), Some(bug), mode, invariant)
    }

    const fn needs(self, needs: fn(&mut Scenario)) -> Self {
        Self { needs, ..self }
    }

    /// The scenario of a seed, in which the bug can show.
    #[must_use]
    pub fn scenario(&self, seed: u64) -> Scenario {
        let mut scenario = Scenario::of(seed);
        scenario.rules.guarded = match self.mode {
            Mode::Fenced => false,
            Mode::Guarded => true,
        };
        (self.needs)(&mut scenario);
        scenario
    }

    /// Runs one scenario with the bug, judged by its invariant alone.
    #[must_use]
    pub fn run(&self, scenario: &Scenario) -> Outcome {
        let _planting = Planting::of(self.bug);
        run_caught(scenario, |invariant| invariant == self.invariant)
    }

    /// The first seed whose run the invariant finds broken. A process that ends where others are wrong
    /// is none.
    #[must_use]
    pub fn hunt(&self, threads: usize) -> Option<(u64, String)> {
        let mut from = 1;
        while from <= SEEDS {
            let run = |seed| self.run(&self.scenario(seed));
            let (seed, outcome) = sweep(from, SEEDS + 1 - from, threads, run).failed?;
            match outcome {
                Outcome::Broken(violation) => return Some((seed, violation.to_string())),
                Outcome::Crash(_) | Outcome::Good(_) => from = seed + 1,
            }
        }
        None
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fenced => "fenced",
            Self::Guarded => "guarded",
        })
    }
}

const fn name(bug: Bug) -> &'static str {
    match bug {
        Bug::LexicographicOrder => "order of knowledge lexicographic",
        Bug::AsOfAtCommit => "as-of taken at commit time",
        Bug::CaughtUpDespiteError => "caught up after an errored partition",
        Bug::EndsBeforeFence => "end offsets read before the fence",
        Bug::TargetKeptAcrossTakeOver => "target offsets kept across a take-over",
        Bug::DecisionRetried => "decision retried after init_transactions",
        Bug::NoVerification => "no verification between the halves of a commit",
        Bug::TimeOutIsNotCommitted => "time-out taken for not committed",
        Bug::FailedFetchIsNothing => "failed fetch taken for no offset",
        Bug::EmptyMember => "empty member id",
        Bug::UnconfirmedFollowed => "unconfirmed source read followed",
        Bug::Interpolation => "interpolation between runs",
        Bug::LatestWins => "latest wins on duplicates",
        Bug::UntilPassed => "until passed on duplicates",
        Bug::TwoShardCounts => "a group owned under two shard counts",
        Bug::ForeignSiblingIgnored => "foreign partition ignored by its group",
        Bug::StandDownIgnored => "stand-down ignored",
        Bug::VanishedIsZero => "vanished source offset taken for 0",
        Bug::StartOfRun => "start of the run for a mapped position",
        Bug::FailedRoundForgotten => "failed round never tried again",
        Bug::DisturbanceIgnored => "a disturbance puts nothing in doubt",
        Bug::BelowLogStart => "offset below the log start",
        Bug::AbortReported => "aborted transaction reported as committed",
        Bug::ReplayIgnored => "translation in a replay",
        Bug::OneOutageForAll => "one outage makes every group wait",
        Bug::LateRequestIgnored => "late request ignored",
        Bug::EndsOfAnotherTopic => "mapping ends of another topic",
        Bug::NoBackOff => "no pause after a failure",
        Bug::RefreshedAtOnce => "refreshed in each round",
    }
}

fn without_guard(scenario: &mut Scenario) {
    scenario.rules.guard_off = true;
}

fn dense(scenario: &mut Scenario) {
    scenario.shape.publisher = Publisher::Dense;
}

/// Two counts need two shards at least.
fn shards(scenario: &mut Scenario) {
    scenario.shape.shards = 3;
}

/// A group with a sibling partition, and the policy that holds it.
fn siblings(scenario: &mut Scenario) {
    scenario.shape.partitions = 2;
    scenario.rules.on_foreign = OnForeign::Hold;
}

/// An owner that cannot read on, nor read the ends.
fn unreadable(scenario: &mut Scenario) {
    scenario.faults = Vec::new();
    cannot_read(scenario, 10_000, true);
    others_crash(scenario, 14_000);
}

/// An owner that cannot read on, and could read the ends.
fn unread(scenario: &mut Scenario) {
    scenario.faults = Vec::new();
    cannot_read(scenario, 10_000, false);
    others_crash(scenario, 14_000);
}

/// An owner that still asks the source's former coordinators takes over from one that asks the new ones.
fn moved(scenario: &mut Scenario) {
    scenario.rules.follow_rewinds = true;
    scenario.rules.session_millis = 1_000;
    scenario.rules.poll_millis = 100;
    scenario.faults = Vec::new();
    for from in [5_000, 15_000] {
        scenario.faults.push(at(from, Fault::FormerCoordinator { misleads: false, lasts: 8_000 }));
        for instance in 1..scenario.shape.instances {
            let cut = Fault::Cut { instance, cluster: Side::Source, lasts: 700 };
            scenario.faults.push(at(from + 200, cut));
            scenario.faults.push(at(from + 4_500, Fault::Crash { instance, lasts: 3_000 }));
        }
    }
}

/// News of copies further back, from a zombie that copies before the replicator does and tells of it
/// later, while decisions wait for a slow cluster.
fn late_news(scenario: &mut Scenario) {
    dense(scenario);
    scenario.shape.shards = 1;
    scenario.rules.follow_corrections = true;
    let slow = Fault::Slow { cluster: Side::Target, by: 150, lasts: 21_000 };
    scenario.faults = vec![Timed { at: 2_000, what: slow }];
    for at in (3_000..22_000).step_by(600) {
        let zombie =
            Work::ZombieCopies { topic: 0, partition: 0, back: 40, count: 25, delay: 1_500 };
        scenario.work.push(Timed { at, what: zombie });
    }
}

/// Instances that look for a new mapping topic at different times take over from each other while it
/// is made again.
fn another_topic(scenario: &mut Scenario) {
    dense(scenario);
    scenario.shape.instances = 2;
    scenario.rules.poll_millis = 3_000;
    scenario.rules.session_millis = 1_000;
    scenario
        .work
        .retain(|work| matches!(work.what, Work::Produce { .. } | Work::SourceCommit { .. }));
    let crash = |instance, lasts| Fault::Crash { instance, lasts };
    scenario.faults = vec![at(3_000 + scenario.seed % 1_500, crash(0, 300))];
    for nth in 0..3 {
        let from = 7_000 + 5_000 * nth + 37 * (scenario.seed % 20);
        scenario.work.push(at(from, Work::RecreateMappings));
        let instance = (nth % 2) as usize;
        scenario.faults.push(at(from + 1_500 + 61 * (scenario.seed % 15), crash(instance, 2_500)));
    }
    scenario.work.sort_by_key(|work| work.at);
}

/// Requests hang on their way again and again, and are tried again at once.
fn late_requests(scenario: &mut Scenario) {
    let late = |at| Timed { at, what: Fault::LateRequests { by: 60 + at % 140, lasts: 1_000 } };
    scenario.faults = (5_000..22_000).step_by(1_100).map(late).collect();
}

/// One broker of three is silent for long, and nothing else is wrong.
fn one_broker(scenario: &mut Scenario) {
    dense(scenario);
    only_brokers(scenario);
    (scenario.shape.brokers, scenario.shape.groups, scenario.shape.shards) = ((3, 3), 5, 3);
    (scenario.rules.poll_millis, scenario.rules.confirm_millis) = (100, 200);
    scenario.network.latency_millis = 10;
    let broker = (scenario.seed % 3) as i32;
    let fault = BrokerFault { cluster: Side::Source, broker, how: Broken::Silent, lasts: 14_000 };
    scenario.faults = vec![at(9_000, Fault::Broker(fault))];
}

/// Answers are lost all the time, and somebody else commits now and then.
fn lossy(scenario: &mut Scenario) {
    scenario.network.lost = 0;
    let lose = |at| Timed { at, what: Fault::LoseAnswers { cluster: Side::Target, lasts: 100 } };
    scenario.faults = (6_000..23_000).step_by(400).map(lose).collect();
    scenario.rules.poll_millis = 100;
    scenario.rules.on_foreign = OnForeign::Hold;
    scenario.work.retain(|work| match &work.what {
        Work::TargetCommit { .. }
        | Work::TargetConsumer { .. }
        | Work::TargetTransaction { .. }
        | Work::Disguised { .. } => false,
        Work::Produce { .. }
        | Work::SourceCommit { .. }
        | Work::SourceReset { .. }
        | Work::ZombieCopies { .. }
        | Work::ReplicatorRestart { .. }
        | Work::CompactMappings
        | Work::RecreateSource { .. }
        | Work::RecreateTarget { .. }
        | Work::RecreateMappings
        | Work::TrimTarget { .. } => true,
    });
    for group in 0..scenario.shape.groups {
        let at = 8_000 + 2_500 * group as u64;
        for topic in 0..scenario.shape.topics {
            let commit = Work::TargetCommit { group, topic, partition: 0 };
            scenario.work.push(Timed { at, what: commit });
        }
    }
}
