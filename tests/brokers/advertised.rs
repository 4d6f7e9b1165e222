//! A broker whose advertised address refuses connections: the log names the address, and the daemon
//! does not spin.

use std::net::TcpListener;
use std::time::Duration;

use crate::scenario::{Mapped, PATIENCE, active, committed, pipeline};
use crate::support::alone::alone;
use crate::support::artifacts::Version;
use crate::support::broker::Broker;
use crate::support::gate::{Gate, Mode};
use crate::support::groups::Group;
use crate::support::process::cpu_seconds;
use crate::support::rounds;
use crate::support::sprag::Sprag;
use crate::support::wait::pass;
use crate::support::watcher::OffsetsWatcher;

/// The share of one core that a daemon may use while it cannot connect.
const SHARE: f64 = 0.5;

/// The listener for the tests.
const OWN: &str = "PLAINTEXT://$CLIENT";
const PROTOCOLS: &str = "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SECOND:PLAINTEXT";

/// A port on which nothing listens, for a listener that starts soon.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port on loopback");
    listener.local_addr().expect("its address").port()
}

/// Starts a broker with a second listener on `port`, to which the gate connects. It advertises the
/// gate's address.
pub(crate) fn behind_a_gate(version: Version, port: u16, gate: &Gate) -> Broker {
    let gate = gate.port();
    Broker::start_with(
        version,
        &[
            ("listeners", &format!("{OWN},SECOND://127.0.0.1:{port},CONTROLLER://$CONTROLLER")),
            ("advertised.listeners", &format!("{OWN},SECOND://127.0.0.1:{gate}")),
            ("listener.security.protocol.map", PROTOCOLS),
            ("inter.broker.listener.name", "PLAINTEXT"),
        ],
    )
}

/// Lets time pass. Returns the share of a core that the daemon used meanwhile.
fn used(sprag: &Sprag, seconds: u64) -> f64 {
    let before = cpu_seconds(sprag.pid());
    pass(Duration::from_secs(seconds));
    let used = (cpu_seconds(sprag.pid()) - before) / Duration::from_secs(seconds).as_secs_f64();
    eprintln!("{used:.3} of a core in {seconds} s");
    used
}

#[test]
fn an_advertised_address_that_refuses_is_named_and_makes_nothing_spin() {
    let _turn = alone();
    let seconds = rounds(10, 40) as u64;
    let ports = [free_port(), free_port()];
    let gates = ports.map(Gate::to);
    gates.iter().for_each(|gate| gate.set(Mode::Refuse));
    let source = behind_a_gate(Version::V4_3, ports[0], &gates[0]);
    let target = behind_a_gate(Version::V3_9, ports[1], &gates[1]);
    let mapped = Mapped::make(&source, &target, "orders", 1000, 7);
    let watcher = OffsetsWatcher::start(&target);
    let group = Group::of(&source, "billing");
    group.commit(&mapped.source, 0, 100, "");

    let servers = ports.map(|port| format!("\"127.0.0.1:{port}\""));
    let sprag = Sprag::start(&pipeline(
        &source,
        &target,
        &[
            ("source.kafka.common.bootstrap.servers", &servers[0]),
            ("target.kafka.common.bootstrap.servers", &servers[1]),
        ],
    ));
    let address = format!("127.0.0.1:{}", gates[1].port());
    sprag.wait_for(PATIENCE, "the address that refuses", |line| {
        line.message().contains(&address) && line.message().contains("advertised.listeners")
    });
    let share = used(&sprag, seconds);
    assert!(share < SHARE, "{share:.3} of a core while it waits for the target");

    // The daemon continues once the addresses answer. Then each in turn refuses the running daemon.
    gates.iter().for_each(|gate| gate.set(Mode::Pass));
    active(&sprag, 0);
    committed(&watcher, "billing", &mapped.target, mapped.at(100));
    for (nth, gate) in gates.iter().enumerate() {
        gate.set(Mode::Refuse);
        let share = used(&sprag, seconds);
        assert!(share < SHARE, "{share:.3} of a core without cluster {nth}");
        gate.set(Mode::Pass);
        let position = 200 + 100 * i64::try_from(nth).expect("a small number");
        group.commit(&mapped.source, 0, position, "");
        committed(&watcher, "billing", &mapped.target, mapped.at(position));
    }
}
