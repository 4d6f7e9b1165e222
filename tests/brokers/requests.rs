//! The requests that Sprag makes, on every version: what the answers say and what they must never
//! be taken for.

mod groups;
mod logs;

use crate::support::broker::Broker;
use crate::support::clients::{block_on, config, group_config};
use crate::support::groups::offset_list;
use rdkafka::consumer::{BaseConsumer, DefaultConsumerContext};
use rdkafka::producer::{BaseProducer, Producer};
use rdkafka::{Offset, TopicPartitionList};
use sprag::kafka::ffi::admin::{Admin, PartitionOffset};

type Stored = Option<(i64, String)>;

fn admin(broker: &Broker) -> Admin<DefaultConsumerContext> {
    let consumer: BaseConsumer = group_config(&broker.bootstrap(), "sprag-admin").create().unwrap();
    Admin::new(consumer)
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
        .unwrap_or_else(|| panic!("{topic}-{partition} is in {answer:?}"))
}
