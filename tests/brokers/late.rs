//! Producer requests that a broker executes late: after the client has lost them and sent them
//! again (`docs/protocol.md`, "Late requests").

mod daemon;

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use rdkafka::TopicPartitionList;
use rdkafka::producer::{BaseProducer, Producer};

use sprag::kafka::client::{AdminClient, Properties};
use sprag::kafka::clock::ProcessClock;
use sprag::kafka::ffi::transaction_offsets::send_offsets;
use sprag::kafka::groups::KafkaTargetGroups;
use sprag::kafka::transactions::KafkaTransactions;
use sprag::ports::{TargetGroups, Transactions};
use sprag_core::action::{ReadScope, TransactionEnd};
use sprag_core::event::{Aftermath, TargetCommit};
use sprag_core::failure::{Failure, FailureClass};
use sprag_core::fence_log::FenceRecord;
use sprag_core::ids::{Fence, GroupId, Shard, TargetOffset, TargetPartition, TopicName};
use sprag_core::policy::CommitMode;

use crate::support::DEADLINE;
use crate::support::alone::turn;
use crate::support::artifacts::Version;
use crate::support::broker::Broker;
use crate::support::clients::{block_on, config};
use crate::support::groups::{Group, offset_list};
use crate::support::proxy::{ApiKey, LateRequest, Proxy};
use crate::support::records::produce;
use crate::support::rounds;
use crate::support::topics::create_topic;
use crate::support::wait::eventually;

const SHARD: Shard = Shard(0);
const TOPIC: &str = "orders";
const FENCES: &str = "__sprag.test.fences";
const GROUP: &str = "billing";
const KEYS: [ApiKey; 3] = [ApiKey::AddOffsetsToTxn, ApiKey::TxnOffsetCommit, ApiKey::EndTxn];

const ACCEPTED: i16 = 0;
const INVALID_PRODUCER_EPOCH: i16 = 47;
const PRODUCER_FENCED: i16 = 90;

/// Starts a broker whose clients connect through a proxy.
fn behind_a_proxy(version: Version, extra: &[(&str, &str)]) -> (Broker, Proxy) {
    let proxy = Proxy::listen();
    let (name, address) = proxy.advertised();
    let properties = [extra, &[(name, address.as_str())]].concat();
    let broker = Broker::start_seen(version, &properties, |port| proxy.forward_to(port));
    (broker, proxy)
}

fn on_each_version(extra: &[(&str, &str)], test: impl Fn(&Broker, &Proxy)) {
    let _turn = turn();
    for version in Version::tested() {
        let (broker, proxy) = behind_a_proxy(*version, extra);
        create_topic(&broker, TOPIC, 2);
        create_topic(&broker, FENCES, 1);
        produce(&broker, TOPIC, 0, 100);
        test(&broker, &proxy);
    }
}

/// One broker of each version serves all of these, because starting a broker takes the longest.
#[test]
fn late_requests_are_what_the_protocol_says() {
    on_each_version(&[], |broker, proxy| {
        a_late_end_of_a_transaction_ends_the_next_one(broker, proxy);
        late_requests_are_accepted_until_the_producer_has_a_new_epoch(broker, proxy);
        block_on(the_adapter_reports_exactly_the_calls_that_leave_a_request(broker, proxy));
    });
}

/// The group's committed offset as readers see it. Pending offsets are left out.
fn visible(broker: &Broker, group: &str, topic: &str) -> Option<i64> {
    let properties: Properties =
        BTreeMap::from([("bootstrap.servers".to_owned(), broker.bootstrap())]);
    let clock = ProcessClock::start();
    let groups =
        KafkaTargetGroups::new(Rc::new(AdminClient::new(properties, "target", clock)), clock);
    let at = TargetPartition::new(topic, 0);
    let scope = ReadScope::Only(BTreeSet::from([at.clone()]));
    let read = eventually(DEADLINE, "the group's visible offset", || {
        let read = block_on(groups.offsets(&GroupId::from(group), None, &scope, false));
        read.map(|mut read| read.remove(&at).expect("the partition that was named"))
    });
    read.expect("a partition that is not pending").map(|stored| stored.offset.get())
}

/// A plain transactional producer of librdkafka, without Sprag's additions.
fn plain_producer(broker: &Broker, transactional_id: &str) -> BaseProducer {
    let mut config = config(&broker.bootstrap());
    let producer: BaseProducer =
        config.set("transactional.id", transactional_id).create().expect("a producer");
    producer.init_transactions(DEADLINE).expect("a transactional producer");
    producer
}

/// Begins a transaction and writes an offset in it.
fn half(producer: &BaseProducer, group: &str, offset: i64) {
    half_of(producer, group, 0, offset);
}

fn half_of(producer: &BaseProducer, group: &str, partition: i32, offset: i64) {
    producer.begin_transaction().expect("a transaction");
    let offsets: TopicPartitionList = offset_list(&[(TOPIC, partition, offset, "")]);
    let written = send_offsets(producer.client(), group, "sprag", &offsets, DEADLINE);
    written.expect("a pending offset");
}

/// Commits a transaction, which succeeds although one of its requests is held back.
fn commit_with_a_late_request(producer: &BaseProducer, proxy: &Proxy, key: ApiKey) -> LateRequest {
    proxy.hold(key);
    half(producer, GROUP, 10);
    producer.commit_transaction(DEADLINE).expect("librdkafka sends it again and succeeds");
    proxy.wait_until_held()
}

/// The fault: the broker cannot distinguish the two transactions, because they have the same
/// producer id and epoch.
fn a_late_end_of_a_transaction_ends_the_next_one(broker: &Broker, proxy: &Proxy) {
    let producer = plain_producer(broker, "plain");
    let late = commit_with_a_late_request(&producer, proxy, ApiKey::EndTxn);
    half(&producer, GROUP, 20);
    assert_eq!(visible(broker, GROUP, TOPIC), Some(10));
    assert_eq!(late.deliver(), ACCEPTED);
    eventually(DEADLINE, "the half that nobody committed", || {
        let seen = visible(broker, GROUP, TOPIC);
        if seen == Some(20) { Ok(()) } else { Err(format!("{seen:?}")) }
    });
    let aborted = producer.abort_transaction(DEADLINE).expect_err("a transaction that has ended");
    eprintln!("{:?}: the client's own abort: {aborted}", broker.version());
    assert!(aborted.to_string().contains("invalid state"), "{aborted}");
}

/// The other late requests: inside the next transaction of the same producer, and after a new
/// producer has taken over the transactional.id.
fn late_requests_are_accepted_until_the_producer_has_a_new_epoch(broker: &Broker, proxy: &Proxy) {
    for key in KEYS {
        let producer = plain_producer(broker, &format!("same-{key:?}"));
        let late = commit_with_a_late_request(&producer, proxy, key);
        half(&producer, GROUP, 20);
        assert_eq!(late.deliver(), ACCEPTED, "{key:?}");
        refused_after_a_new_epoch(broker, proxy, key);
    }
}

/// Brokers before 3.7 do not ask the transaction coordinator whether a TxnOffsetCommit belongs to
/// an open transaction. A broker with this property set to `false` does not either.
#[test]
fn a_new_epoch_refuses_them_also_where_the_broker_does_not_verify() {
    let unverified = [("transaction.partition.verification.enable", "false")];
    on_each_version(&unverified, |broker, proxy| {
        for key in KEYS {
            refused_after_a_new_epoch(broker, proxy, key);
        }
        a_transaction_that_is_ended_first_leaves_no_marker_that_refuses_it(broker, proxy);
    });
}

/// Why Sprag leaves its transaction open: otherwise the broker accepts the late offset after the
/// new epoch, and the next transaction that ends in that partition of `__consumer_offsets` makes it
/// visible.
fn a_transaction_that_is_ended_first_leaves_no_marker_that_refuses_it(
    broker: &Broker,
    proxy: &Proxy,
) {
    let producer = plain_producer(broker, "ended");
    let late = commit_with_a_late_request(&producer, proxy, ApiKey::TxnOffsetCommit);
    let next = plain_producer(broker, "ended");
    Group::of(broker, GROUP).commit(TOPIC, 0, 50, "theirs");
    assert_eq!(late.deliver(), ACCEPTED);
    assert_eq!(visible(broker, GROUP, TOPIC), Some(50));
    half_of(&next, GROUP, 1, 30);
    next.commit_transaction(DEADLINE).expect("the next producer's commit");
    eventually(DEADLINE, "the late offset over the foreign one", || {
        let seen = visible(broker, GROUP, TOPIC);
        if seen == Some(10) { Ok(()) } else { Err(format!("{seen:?}")) }
    });
}

/// Delivers a late request after the next producer has started, and again inside its transaction.
fn refused_after_a_new_epoch(broker: &Broker, proxy: &Proxy, key: ApiKey) {
    let id = format!("replaced-{key:?}");
    let producer = plain_producer(broker, &id);
    proxy.hold(key);
    half(&producer, GROUP, 10);
    // Sprag, too, leaves a transaction open if its half was written with a late request.
    if key == ApiKey::EndTxn {
        producer.commit_transaction(DEADLINE).expect("librdkafka sends it again and succeeds");
    }
    let late = proxy.wait_until_held();
    let next = plain_producer(broker, &id);
    let before = late.deliver();
    half(&next, GROUP, 30);
    let inside = late.deliver();
    next.commit_transaction(DEADLINE).expect("the next producer's commit");
    eprintln!("{:?}: late {key:?} after a new epoch: {before}, {inside}", broker.version());
    for code in [before, inside] {
        assert!([INVALID_PRODUCER_EPOCH, PRODUCER_FENCED].contains(&code), "{key:?}: {code}");
    }
}

/// The owner of a shard, as in the daemon.
struct Owner {
    transactions: KafkaTransactions,
    fence: Fence,
}

impl Owner {
    async fn of(broker: &Broker) -> Self {
        let properties: Properties =
            BTreeMap::from([("bootstrap.servers".to_owned(), broker.bootstrap())]);
        let transactions = KafkaTransactions::new(
            properties,
            TopicName::from(FENCES),
            "sprag.00000000".to_owned(),
            CommitMode::Fenced,
        );
        transactions.init(SHARD).await.expect("a producer");
        let record = FenceRecord { key: "takeover".to_owned(), value: "{}".to_owned() };
        let fence = transactions.take_over(SHARD, &record).await.expect("a fence");
        Self { transactions, fence }
    }

    async fn write(&self, offset: i64) -> Result<(), Failure> {
        let commit = TargetCommit { offset: TargetOffset(offset), metadata: "ours".to_owned() };
        let offsets = BTreeMap::from([(TargetPartition::new(TOPIC, 0), commit)]);
        self.transactions.write_offsets(SHARD, self.fence, &GroupId::from(GROUP), &offsets).await
    }

    async fn commit(&self) -> Result<Aftermath, Failure> {
        self.transactions.end(SHARD, self.fence, TransactionEnd::Commit).await
    }
}

async fn the_adapter_reports_exactly_the_calls_that_leave_a_request(
    broker: &Broker,
    proxy: &Proxy,
) {
    let commits = i64::try_from(rounds(200, 1000)).expect("a number of commits");
    let owner = Owner::of(broker).await;
    for offset in 0..commits {
        // Immediately after the previous one: the coordinator still completes that, and answers
        // CONCURRENT_TRANSACTIONS.
        owner.write(offset).await.expect("a half");
        assert_eq!(owner.commit().await, Ok(Aftermath::Settled), "commit {offset}");
    }
    for key in [ApiKey::AddOffsetsToTxn, ApiKey::TxnOffsetCommit] {
        let owner = Owner::of(broker).await;
        proxy.hold(key);
        let failure = owner.write(1).await.expect_err("a half with a late request");
        assert_eq!(failure.class, FailureClass::LateRequest, "{key:?}: {failure}");
        assert!(failure.detail.contains(": done;"), "{key:?}: {failure}");
        let _late = proxy.wait_until_held();
    }
    let owner = Owner::of(broker).await;
    owner.write(1).await.expect("a half");
    proxy.hold(ApiKey::EndTxn);
    assert_eq!(owner.commit().await, Ok(Aftermath::LateRequest));
    let _late = proxy.wait_until_held();
}
