//! Tests on librdkafka's own mock cluster. It does not support ListGroups, DescribeGroups and CreateTopics;
//! for these, the tests only show that the missing support is an error.

#![allow(clippy::unwrap_used, clippy::expect_used)]
#![allow(clippy::disallowed_methods, reason = "deadlines of tests")]

mod admin;
mod batch;
mod late;
mod member;

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, DefaultConsumerContext};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, DefaultProducerContext};

use super::admin::Admin;

const PATIENCE: Duration = Duration::from_secs(20);
const TOPIC: &str = "orders";

type Mock = MockCluster<'static, DefaultProducerContext>;

fn mock(topics: &[(&str, i32)]) -> Mock {
    let cluster = MockCluster::new(1).unwrap();
    for (topic, partitions) in topics {
        cluster.create_topic(topic, *partitions, 1).unwrap();
    }
    cluster
}

fn config(servers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", servers);
    config.set("group.id", "test");
    config
}

fn admin(servers: &str) -> Admin<DefaultConsumerContext> {
    Admin::new(&config(servers), DefaultConsumerContext).unwrap()
}

fn producer(cluster: &Mock, more: &[(&str, &str)]) -> BaseProducer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", cluster.bootstrap_servers());
    for (key, value) in more {
        config.set(*key, *value);
    }
    config.create().unwrap()
}

/// An address where nothing listens.
fn nobody() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}
