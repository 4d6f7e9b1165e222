//! A group coordinator answers a read of stable offsets only when everything that was written to the
//! group's partition is replicated. Sprag's other reads of the same coordinator do not wait behind it.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::future::{Either, select};
use sprag::kafka::client::AdminClient;
use sprag::kafka::clock::ProcessClock;
use sprag::kafka::groups::KafkaTargetGroups;
use sprag::ports::TargetGroups;
use sprag_core::action::ReadScope;
use sprag_core::event::TargetOffsets;
use sprag_core::failure::Failure;
use sprag_core::ids::{GroupId, TargetPartition};

use crate::scenario::PATIENCE;
use crate::support::alone::turn;
use crate::support::artifacts::Version;
use crate::support::brokers::Brokers;
use crate::support::clients::block_on;
use crate::support::coordinators::OFFSETS;
use crate::support::groups::Group;
use crate::support::wait::eventually;

const COORDINATOR: i32 = 1;
/// A follower of every partition of `__consumer_offsets`.
const FOLLOWER: i32 = 3;

async fn read(
    groups: &KafkaTargetGroups,
    name: &str,
    stable: bool,
) -> Result<TargetOffsets, Failure> {
    let named = BTreeSet::from([TargetPartition::new("orders", 0)]);
    groups.offsets(&GroupId::from(name), None, &ReadScope::Only(named), stable).await
}

/// Whether a read that does not wait is answered while an earlier one of stable offsets still waits.
async fn overtakes(groups: &KafkaTargetGroups, name: &str) -> Result<(), String> {
    let stable = Box::pin(read(groups, name, true));
    let unstable = Box::pin(read(groups, name, false));
    match select(stable, unstable).await {
        Either::Left((answer, _)) => Err(format!("the stable read was answered first: {answer:?}")),
        Either::Right((answer, _)) => answer.map(|_| ()).map_err(|failure| failure.to_string()),
    }
}

#[test]
fn a_read_that_waits_for_a_lagging_follower_delays_no_other_read_of_its_coordinator() {
    let _turn = turn();
    let mut cluster = Brokers::start(Version::V4_3);
    cluster.create_topic_at("orders", COORDINATOR);
    let layout = cluster.layout(OFFSETS);
    let mut names = (0..).map(|nth| format!("group-{nth}"));
    let name = names.find(|name| layout.coordinator_of(name) == Some(COORDINATOR)).expect("a name");
    let group = Group::of(&cluster, &name);
    group.commit("orders", 0, 1, "");
    let clock = ProcessClock::start();
    let bootstrap = cluster.bootstrap_without(FOLLOWER);
    let properties = BTreeMap::from([("bootstrap.servers".to_owned(), bootstrap)]);
    let groups =
        KafkaTargetGroups::new(Rc::new(AdminClient::new(properties, "target", clock)), clock);
    for stable in [true, false] {
        eventually(PATIENCE, "a first answer", || {
            block_on(read(&groups, &name, stable)).map(|_| ())
        });
    }
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // Something is always being replicated.
        scope.spawn(|| {
            let mut offset = 1;
            while !done.load(Ordering::Acquire) {
                offset += 1;
                let _ = group.try_commit(&[("orders", 0, offset, "")]);
            }
        });
        eventually(PATIENCE, "a read that overtakes one that waits", || {
            cluster.stop_signal(FOLLOWER);
            let overtaken = block_on(overtakes(&groups, &name));
            cluster.cont_signal(FOLLOWER);
            overtaken
        });
        done.store(true, Ordering::Release);
    });
}
