//! The requests that Sprag makes, on every version: what the answers say, and what they must never
//! be mistaken for.

mod groups;
mod logs;

use crate::support::alone::turn;
use crate::support::artifacts::Version;
use crate::support::broker::Broker;
use crate::support::clients::{block_on, config, group_config};
use crate::support::groups::offset_list;
use crate::support::topics::create_topic;
use rdkafka::consumer::{BaseConsumer, DefaultConsumerContext};
use rdkafka::producer::{BaseProducer, Producer};
use rdkafka::{Offset, TopicPartitionList};
use sprag::kafka::ffi::admin::{Admin, PartitionOffset};

/// One broker serves all of them: each uses its own groups and topics.
fn hold_on(version: Version) {
    let _turn = turn();
    let broker = Broker::start(version);
    create_topic(&broker, groups::T, 3);
    groups::plain_commits_have_an_outcome_per_partition_and_are_read_back(&broker);
    groups::groups_are_listed_and_described_with_their_state_and_live_ones_refuse_us(&broker);
    groups::a_pending_commit_is_unknown_and_a_fenced_producer_is_refused(&broker);
    groups::groups_of_every_protocol_type_are_in_the_list_of_all(&broker);
    logs::topics_are_created_and_distinguished_by_their_ids(&broker);
    logs::log_ends_follow_the_isolation_level_and_the_reader_reaches_them(&broker);
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

type Stored = Option<(i64, String)>;

fn admin(broker: &Broker) -> Admin<DefaultConsumerContext> {
    Admin::new(&group_config(&broker.bootstrap(), "sprag-admin"), DefaultConsumerContext).unwrap()
}

fn transactional(broker: &Broker, id: &str) -> BaseProducer {
    let producer: BaseProducer =
        config(&broker.bootstrap()).set("transactional.id", id).create().unwrap();
    producer.init_transactions(crate::support::DEADLINE).unwrap();
    producer
}

fn stored(offset: i64, metadata: &str) -> Stored {
    Some((offset, metadata.to_owned()))
}

#[track_caller]
fn of<'a>(answer: &'a [PartitionOffset], topic: &str, partition: i32) -> &'a PartitionOffset {
    answer
        .iter()
        .find(|part| part.topic == topic && part.partition == partition)
        .unwrap_or_else(|| panic!("expected {topic}-{partition} in {answer:?}"))
}
