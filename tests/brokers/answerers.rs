//! What puts a source read in doubt (`docs/protocol.md`, "Source reads"). After each disturbance of
//! a coordinator, the read fails or names a different answerer, so that a change is confirmed
//! before it counts.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use sprag::kafka::client::AdminClient;
use sprag::kafka::clock::ProcessClock;
use sprag::kafka::groups::KafkaSourceGroups;
use sprag::ports::{Clock, SourceGroups};
use sprag_core::coordinators::Coordinators;
use sprag_core::event::{Answerer, SourceOffsets};
use sprag_core::failure::Failure;
use sprag_core::ids::{BrokerId, GroupId};
use sprag_core::time::Instant;

use crate::scenario::PATIENCE;
use crate::support::alone::turn;
use crate::support::artifacts::Version;
use crate::support::brokers::{Brokers, IDS};
use crate::support::clients::block_on;
use crate::support::coordinators::OFFSETS;
use crate::support::gate::{Gate, Mode};
use crate::support::groups::Group;
use crate::support::topics::create_topic;
use crate::support::wait::{eventually, pass};

const GROUP: &str = "billing";

/// Reads the group through the adapter.
struct Reader {
    groups: KafkaSourceGroups,
    clock: ProcessClock,
}

impl Reader {
    fn of(bootstrap: &str) -> Self {
        let clock = ProcessClock::start();
        let properties = BTreeMap::from([("bootstrap.servers".to_owned(), bootstrap.to_owned())]);
        let admin = Rc::new(AdminClient::new(properties, "source", clock));
        Self { groups: KafkaSourceGroups::new(admin, clock), clock }
    }

    async fn offsets(
        &self,
        coordinator: i32,
        since: Option<Instant>,
    ) -> Result<SourceOffsets, Failure> {
        self.groups.offsets(&GroupId::from(GROUP), Some(BrokerId(coordinator)), since).await
    }

    /// The answerer, once the same one has answered twice in a row.
    #[track_caller]
    fn steady(&self, coordinator: i32, since: Option<Instant>) -> Answerer {
        let mut before = None;
        eventually(PATIENCE, "two answers in a row from the same answerer", || {
            let read = block_on(self.offsets(coordinator, since)).map_err(|why| why.to_string())?;
            let last = std::mem::replace(&mut before, read.answered_by);
            match read.answered_by {
                Some(by) if last == Some(by) => Ok(by),
                by => Err(format!("{last:?}, then {by:?}")),
            }
        })
    }

    /// Checks that the first answer after a disturbance does not name `before` as its answerer.
    #[track_caller]
    fn differs(&self, what: &str, before: Answerer, coordinator: i32) {
        let read = eventually(PATIENCE, &format!("an answer after {what}"), || {
            block_on(self.offsets(coordinator, None))
        });
        assert_ne!(read.answered_by, Some(before), "after {what}");
    }

    #[track_caller]
    fn coordinator(&self) -> Option<i32> {
        let read = || block_on(self.groups.coordinators());
        let coordinators: Coordinators = eventually(PATIENCE, "the coordinators", read);
        coordinators.of(&GroupId::from(GROUP)).map(BrokerId::get)
    }
}

#[test]
fn a_broken_connection_to_the_coordinator_shows_in_who_answers() {
    let _turn = turn();
    let port = crate::advertised::free_port();
    let gate = Gate::to(port);
    let mut broker = crate::advertised::behind_a_gate(Version::V4_3, port, &gate);
    create_topic(&broker, "orders", 1);
    Group::of(&broker, GROUP).commit("orders", 0, 5, "");
    let reader = Reader::of(&format!("127.0.0.1:{}", gate.port()));
    let coordinator = reader.coordinator().expect("a coordinator");

    let before = reader.steady(coordinator, None);
    gate.set(Mode::Refuse);
    gate.set(Mode::Pass);
    reader.differs("a closed connection", before, coordinator);

    let before = reader.steady(coordinator, None);
    broker.restart();
    reader.differs("a restart of the broker", before, coordinator);

    // The connection breaks while the request is in flight. librdkafka sends it again by itself.
    let before = reader.steady(coordinator, None);
    gate.set(Mode::Blackhole);
    let broken = async {
        pass(Duration::from_millis(300));
        gate.set(Mode::Pass);
    };
    let (read, ()) = block_on(async { tokio::join!(reader.offsets(coordinator, None), broken) });
    if let Ok(read) = read {
        assert_ne!(
            read.answered_by,
            Some(before),
            "after the connection broke with a request in flight"
        );
    }
    reader.differs("a request without an answer", before, coordinator);

    // A request without an answer in time fails, and the read after a failure is in doubt.
    reader.steady(coordinator, None);
    broker.stop_signal();
    let read = block_on(reader.offsets(coordinator, None));
    broker.cont_signal();
    assert!(read.is_err(), "{read:?}");
}

#[test]
fn a_coordinator_that_moved_answers_no_longer_and_its_successor_is_another_answerer() {
    let _turn = turn();
    let mut cluster = Brokers::start(Version::V4_3);
    let first = cluster.layout(OFFSETS).coordinator_of(GROUP).expect("a coordinator");
    let other = IDS.into_iter().find(|id| *id != first).expect("another broker");
    cluster.create_topic_at("orders", other);
    Group::of(&cluster, GROUP).commit("orders", 0, 5, "");
    let bootstrap = crate::support::cluster::Cluster::bootstrap(&cluster);
    let reader = Reader::of(&bootstrap);
    assert_eq!(reader.coordinator(), Some(first));
    let before = reader.steady(first, None);

    cluster.kill(first);
    cluster.wait_for_election_without(first);
    let second = eventually(PATIENCE, "another coordinator", || {
        reader.coordinator().filter(|found| *found != first)
    });
    let since = Some(reader.clock.now());
    let moved = reader.steady(second, since);
    assert_ne!(moved, before);
    assert_eq!(
        (moved.coordinator, before.coordinator),
        (Some(BrokerId(second)), Some(BrokerId(first)))
    );

    // An election moves the coordinator back. No connection breaks, and the second broker knows
    // that it is no longer the coordinator.
    cluster.restart(first);
    cluster.wait_until_back(first, &[]);
    let steady = reader.steady(second, since);
    cluster.elect_preferred_leaders();
    let read = eventually(PATIENCE, "the former coordinator to refuse", || {
        match block_on(reader.offsets(second, since)) {
            Ok(read) if read.answered_by == Some(steady) => Err("it still answers".to_owned()),
            read => Ok(read),
        }
    });
    assert!(read.is_err(), "{read:?}");
    assert_eq!(reader.coordinator(), Some(first));
    let again = reader.steady(first, Some(reader.clock.now()));
    assert_ne!(again, steady);
}
