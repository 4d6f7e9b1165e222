//! The facts that the protocol relies on, checked on real brokers through the adapter. A broker
//! version that changes one of them fails here (`docs/protocol.md`, "The member check" and
//! "Compare-and-swap").

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use sprag::kafka::client::{AdminClient, Properties};
use sprag::kafka::clock::ProcessClock;
use sprag::kafka::groups::KafkaTargetGroups;
use sprag::kafka::transactions::KafkaTransactions;
use sprag::ports::{TargetGroups, Transactions};
use sprag_core::action::{ReadScope, TransactionEnd};
use sprag_core::event::{TargetCommit, TargetOffsets};
use sprag_core::failure::{Failure, FailureClass};
use sprag_core::fence_log::FenceRecord;
use sprag_core::ids::{Fence, GroupId, Shard, TargetOffset, TargetPartition, TopicName};
use sprag_core::policy::CommitMode;

use crate::support::alone::turn;
use crate::support::artifacts::Version;
use crate::support::broker::Broker;
use crate::support::clients::block_on;
use crate::support::groups::Group;
use crate::support::members::{Member, Protocol};
use crate::support::records::produce;
use crate::support::topics::create_topic;

const SHARD: Shard = Shard(0);
const FENCES: &str = "__sprag.test.fences";

/// The producers and the reader of one instance, as in the daemon.
struct Instance {
    transactions: KafkaTransactions,
    groups: KafkaTargetGroups,
    fence: Fence,
}

impl Instance {
    fn of(broker: &Broker) -> Self {
        let properties: Properties =
            BTreeMap::from([("bootstrap.servers".to_owned(), broker.bootstrap())]);
        let clock = ProcessClock::start();
        let admin = Rc::new(AdminClient::new(properties.clone(), "target", clock));
        let transactions = KafkaTransactions::new(
            properties,
            TopicName::from(FENCES),
            "sprag.00000000".to_owned(),
            CommitMode::Fenced,
        );
        Self { transactions, groups: KafkaTargetGroups::new(admin, clock), fence: Fence(-1) }
    }

    async fn owner(broker: &Broker) -> Self {
        let mut instance = Self::of(broker);
        instance.transactions.init(SHARD).await.expect("a producer");
        let record = FenceRecord { key: "takeover".to_owned(), value: "{}".to_owned() };
        instance.fence = instance.transactions.take_over(SHARD, &record).await.expect("a fence");
        instance
    }

    async fn write(&self, group: &str, offset: i64) -> Result<(), Failure> {
        let commit = TargetCommit { offset: TargetOffset(offset), metadata: "ours".to_owned() };
        let offsets = BTreeMap::from([(at(), commit)]);
        self.transactions.write_offsets(SHARD, self.fence, &GroupId::from(group), &offsets).await
    }

    async fn end(&self, end: TransactionEnd) -> Result<(), Failure> {
        self.transactions.end(SHARD, self.fence, end).await.map(|_aftermath| ())
    }

    async fn commit(&self, group: &str, offset: i64) -> Result<(), Failure> {
        self.write(group, offset).await?;
        self.end(TransactionEnd::Commit).await
    }

    async fn read(&self, group: &str, scope: ReadScope, stable: bool) -> TargetOffsets {
        let read = self.groups.offsets(&GroupId::from(group), None, &scope, stable).await;
        read.expect("the broker to answer")
    }

    async fn stored(&self, group: &str, stable: bool) -> Result<Option<TargetCommit>, Failure> {
        let named = ReadScope::Only(BTreeSet::from([at()]));
        self.read(group, named, stable).await.remove(&at()).expect("the partition that was named")
    }

    /// Waits until the transaction that just ended has ended for every reader; returns the stored
    /// commit.
    async fn settled(&self, group: &str) -> Option<TargetCommit> {
        for _ in 0..500 {
            if let Ok(stored) = self.stored(group, true).await {
                return stored;
            }
        }
        panic!("{group}: still unstable after 500 reads");
    }
}

fn at() -> TargetPartition {
    TargetPartition::new("orders", 0)
}

fn class(outcome: Result<(), Failure>) -> FailureClass {
    outcome.expect_err("a refusal").class
}

/// One broker serves all facts. Each uses its own groups, or first commits what it looks at.
async fn facts(broker: &Broker) {
    a_group_without_members_takes_a_commit_that_names_a_stranger(broker).await;
    a_group_with_members_refuses_it_and_the_producer_goes_on(broker).await;
    a_zombie_is_refused_whatever_it_has_open(broker).await;
    a_foreign_commit_before_our_half_shows_and_one_after_it_wins(broker).await;
    a_pending_offset_is_unknown_and_never_none(broker).await;
    an_order_of_an_earlier_ownership_is_not_carried_out_by_the_next_producer(broker).await;
}

fn hold_on(version: Version) {
    let _turn = turn();
    let broker = Broker::start(version);
    create_topic(&broker, "orders", 1);
    create_topic(&broker, FENCES, 1);
    produce(&broker, "orders", 0, 100);
    block_on(facts(&broker));
}

#[test]
fn hold_on_3_9() {
    hold_on(Version::V3_9);
}

#[test]
fn hold_on_4_3() {
    hold_on(Version::V4_3);
}

#[test]
fn hold_on_4_4() {
    hold_on(Version::V4_4);
}

async fn a_group_without_members_takes_a_commit_that_names_a_stranger(broker: &Broker) {
    let owner = Instance::owner(broker).await;
    owner.commit("new", 10).await.expect("a group that never existed");
    let stored = owner.settled("new").await.expect("an offset");
    assert_eq!((stored.offset.get(), stored.metadata.as_str()), (10, "ours"));
    for protocol in Protocol::all_of(broker.version()) {
        let group = format!("emptied-{protocol:?}");
        Member::join(broker, &group, &["orders"], *protocol).leave();
        owner.commit(&group, 20).await.expect("an emptied group");
        assert_eq!(owner.settled(&group).await.map(|stored| stored.offset.get()), Some(20));
    }
}

async fn a_group_with_members_refuses_it_and_the_producer_goes_on(broker: &Broker) {
    let owner = Instance::owner(broker).await;
    for protocol in Protocol::all_of(broker.version()) {
        let group = format!("live-{protocol:?}");
        let member = Member::join(broker, &group, &["orders"], *protocol);
        member.commit("orders", 0, 33, "theirs");
        let refused = class(owner.write(&group, 20).await);
        assert_eq!(refused, FailureClass::GroupActive, "{protocol:?}");
        owner.end(TransactionEnd::Abort).await.expect("an abort");
        let stored = owner.settled(&group).await.expect("theirs");
        assert_eq!((stored.offset.get(), stored.metadata.as_str()), (33, "theirs"));
        owner.commit("another", 5).await.expect("the producer goes on");
    }
}

async fn a_zombie_is_refused_whatever_it_has_open(broker: &Broker) {
    let zombie = Instance::owner(broker).await;
    zombie.commit("billing", 10).await.expect("an owner's commit");
    zombie.settled("billing").await;
    zombie.write("billing", 20).await.expect("its pending half");
    let owner = Instance::owner(broker).await;
    let ended = class(zombie.end(TransactionEnd::Commit).await);
    assert_eq!(ended, FailureClass::Fenced);
    let stored = owner.settled("billing").await.expect("the earlier one");
    assert_eq!(stored.offset.get(), 10, "its pending offset is gone");
    assert_eq!(class(zombie.write("billing", 30).await), FailureClass::Fenced);
    owner.commit("billing", 40).await.expect("the owner goes on");
    assert_eq!(owner.settled("billing").await.map(|stored| stored.offset.get()), Some(40));
}

async fn a_foreign_commit_before_our_half_shows_and_one_after_it_wins(broker: &Broker) {
    let owner = Instance::owner(broker).await;
    owner.commit("billing", 10).await.expect("a commit");
    owner.settled("billing").await;
    let theirs = Group::of(broker, "billing");

    theirs.commit("orders", 0, 50, "theirs");
    owner.write("billing", 20).await.expect("our half");
    let seen = owner.stored("billing", false).await.expect("an answer").expect("an offset");
    assert_eq!(seen.offset.get(), 50, "the non-stable fetch shows theirs and hides ours");
    owner.end(TransactionEnd::Abort).await.expect("an abort");
    assert_eq!(owner.settled("billing").await.map(|stored| stored.offset.get()), Some(50));

    owner.write("billing", 20).await.expect("our half");
    theirs.commit("orders", 0, 60, "theirs");
    owner.end(TransactionEnd::Commit).await.expect("the end");
    assert_eq!(owner.settled("billing").await.map(|stored| stored.offset.get()), Some(60));

    owner.write("billing", 20).await.expect("our half");
    let member = Member::join(broker, "billing", &["orders"], Protocol::Classic);
    member.commit("orders", 0, 70, "theirs");
    member.leave();
    owner.end(TransactionEnd::Commit).await.expect("the end");
    assert_eq!(owner.settled("billing").await.map(|stored| stored.offset.get()), Some(70));
}

async fn a_pending_offset_is_unknown_and_never_none(broker: &Broker) {
    let owner = Instance::owner(broker).await;
    owner.write("first", 20).await.expect("a first half");
    let stable = owner.stored("first", true).await;
    assert_eq!(stable.expect_err("unknown").class, FailureClass::Unstable);
    let all = owner.read("first", ReadScope::AllAnd(BTreeSet::new()), true).await;
    assert_eq!(all.get(&at()), None, "a fetch of all leaves it out");
    let named = owner.read("first", ReadScope::AllAnd(BTreeSet::from([at()])), true).await;
    assert!(matches!(named.get(&at()), Some(Err(_))), "{named:?}");
    assert_eq!(owner.stored("first", false).await.expect("an answer"), None);
    owner.end(TransactionEnd::Commit).await.expect("the end");
    assert_eq!(owner.settled("first").await.map(|stored| stored.offset.get()), Some(20));
}

async fn an_order_of_an_earlier_ownership_is_not_carried_out_by_the_next_producer(broker: &Broker) {
    let mut owner = Instance::owner(broker).await;
    let earlier = owner.fence;
    owner.commit("billing", 10).await.expect("an owner's commit");
    // The same instance takes over its shard again: the old decision must die with the old fence.
    owner.transactions.init(SHARD).await.expect("a new producer");
    let between = class(owner.write("billing", 20).await);
    assert_eq!(between, FailureClass::Fenced, "not even before the new fence is known");
    let record = FenceRecord { key: "takeover".to_owned(), value: "{}".to_owned() };
    let later = owner.transactions.take_over(SHARD, &record).await.expect("a fence");
    assert!(later > earlier, "{later} after {earlier}");
    assert_eq!(class(owner.write("billing", 20).await), FailureClass::Fenced);
    owner.fence = later;
    owner.commit("billing", 30).await.expect("a decision under the new fence");
    assert_eq!(owner.settled("billing").await.map(|stored| stored.offset.get()), Some(30));
}
