//! A fault of one of three brokers stays local: groups that need nothing from it continue, groups
//! whose coordinator moves follow it, and all are up to date soon after it is back.

mod measure;
mod scene;

use std::time::{Duration, Instant};

use crate::support::alone::alone;
use crate::support::gate::Mode;
use crate::support::rounds;
use measure::{Class, Report, Wave};
use scene::{Coordination, Scene, Side};

/// The broker that fails.
const FAULTY: i32 = 3;

/// How a broker fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// Its process is killed: connections are refused, and its leaderships move.
    Killed,
    /// Its process is stopped by SIGSTOP: it is silent, and its leaderships move.
    Stopped,
    /// Sprag's connections to it are silent. The cluster is healthy, and nothing moves.
    Blackholed,
    /// Sprag's connections to it are refused. The cluster is healthy, and nothing moves.
    Refused,
}

impl Fault {
    const ALL: [Self; 4] = [Self::Stopped, Self::Killed, Self::Blackholed, Self::Refused];

    /// Whether other brokers take over its leaderships.
    fn moves_leaders(self) -> bool {
        match self {
            Self::Killed | Self::Stopped => true,
            Self::Blackholed | Self::Refused => false,
        }
    }

    fn begin(self, scene: &mut Scene) {
        match self {
            Self::Killed => scene.cluster.kill(FAULTY),
            Self::Stopped => scene.cluster.stop_signal(FAULTY),
            Self::Blackholed => scene.cluster.gate(FAULTY).set(Mode::Blackhole),
            Self::Refused => scene.cluster.gate(FAULTY).set(Mode::Refuse),
        }
    }

    /// Ends the fault. When this returns, the broker is back and leads its topics.
    fn end(self, scene: &mut Scene) {
        match self {
            Self::Killed => scene.cluster.restart(FAULTY),
            Self::Stopped => scene.cluster.cont_signal(FAULTY),
            Self::Blackholed | Self::Refused => scene.cluster.gate(FAULTY).set(Mode::Pass),
        }
        if self.moves_leaders() {
            scene.wait_until_back(FAULTY);
        }
    }
}

#[test]
fn of_the_target() {
    let kinds = rounds(1, Fault::ALL.len());
    one_broker_fails(Side::Target, Coordination::Elsewhere, &Fault::ALL[..kinds]);
}

#[test]
fn of_the_target_that_coordinates_the_instances() {
    // If the coordinator does not move, no instance can know which shards it owns.
    let kinds = [Fault::Killed, Fault::Stopped];
    one_broker_fails(Side::Target, Coordination::OnFaulty, &kinds[..rounds(1, kinds.len())]);
}

#[test]
fn of_the_source() {
    let kinds = [Fault::Blackholed, Fault::Refused, Fault::Killed, Fault::Stopped];
    one_broker_fails(Side::Source, Coordination::Elsewhere, &kinds[..rounds(1, kinds.len())]);
}

fn one_broker_fails(side: Side, coordination: Coordination, faults: &[Fault]) {
    let _turn = alone();
    let mut scene = Scene::set(side, coordination);
    let mut report = Report::default();
    for fault in faults {
        one_fault(&mut scene, *fault, &mut report);
    }
    assert_eq!(scene.watcher.decreases(), []);
    // Ends the brokers first, so that a failure shows what was late instead of their logs.
    drop(scene);
    report.judge();
}

fn one_fault(scene: &mut Scene, fault: Fault, report: &mut Report) {
    report.begin(&format!("broker {FAULTY} of the {:?}: {fault:?}", scene.side));
    let mut sprag = scene.sprag(!fault.moves_leaders());
    let (items, _) = scene.advance(|_| true);
    report.settled(&Wave::watch(&scene.watcher, &items));

    let (begun, cpu, mark) = (Instant::now(), scene::cpu_seconds(sprag.pid()), sprag.mark());
    fault.begin(scene);
    outage(scene, fault, begun, report);
    let spent = scene::cpu_seconds(sprag.pid()) - cpu;
    report.cpu(spent, begun.elapsed(), &scene::busiest_threads(sprag.pid()));
    report.log(&sprag, mark, || scene.cluster.state_without(FAULTY));

    let mark = sprag.mark();
    let ending = Instant::now();
    fault.end(scene);
    report.remark(&format!("back {:.1} s after its return began", ending.elapsed().as_secs_f64()));
    let latest = scene.items(Instant::now());
    report.back(&Wave::watch(&scene.watcher, &latest));
    report.log(&sprag, mark, || scene.cluster.state_without(FAULTY));

    let mark = sprag.mark();
    let (items, _) = scene.advance(|_| true);
    report.settled(&Wave::watch(&scene.watcher, &items));
    report.log(&sprag, mark, || scene.cluster.state_without(FAULTY));
    sprag.term();
    sprag.wait_for_exit(crate::support::DEADLINE);
    scene.cluster.elect_preferred_leaders();
}

/// Source groups commit, wave after wave, while the broker is gone.
fn outage(scene: &mut Scene, fault: Fault, begun: Instant, report: &mut Report) {
    let length = Duration::from_secs(rounds(15, 40) as u64);
    let (mut waves, mut later) = (0, Wave::default());
    while waves < 2 || begun.elapsed() < length {
        waves += 1;
        // A source group whose coordinator is gone cannot commit until another broker has taken
        // over.
        let (side, early) = (scene.side, !fault.moves_leaders() || waves > 1);
        let (mut items, wave) =
            scene.advance(|group| early || !scene::waits_for_election(side, group));
        if fault.moves_leaders() && waves == 1 {
            scene.cluster.wait_for_election_without(FAULTY);
            report.remark(&format!(
                "election {:.1} s after the fault",
                begun.elapsed().as_secs_f64()
            ));
            let election = Instant::now();
            items.extend(scene.commit_at(wave, |group| scene::waits_for_election(side, group)));
            items.iter_mut().filter(|item| item.class == Class::Moved).for_each(|item| {
                item.since = item.since.max(election);
            });
        }
        let waited_for = |class| match class {
            Class::Apart | Class::Mixed => true,
            Class::Moved => fault.moves_leaders(),
            Class::Parked => false,
        };
        items.retain(|item| waited_for(item.class));
        let wave = Wave::watch(&scene.watcher, &items);
        match waves {
            1 | 2 => report.wave(&format!("wave {waves}"), &wave),
            _ => later.extend(wave),
        }
    }
    if waves > 2 {
        report.wave(&format!("waves 3 to {waves}"), &later);
    }
}
