//! Checks that the mapping topic exists and is in the expected format.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};

use super::report::{Report, acl};
use crate::config::Config;
use crate::kafka::client::{AdminClient, client_config, failed};
use crate::kafka::connect::{mapping_format, plain};
use crate::kafka::errors::{self, Doing};
use crate::kafka::ffi::batch::{BatchReader, Delivered};
use crate::kafka::topics::describe_one;
use sprag_core::failure::{Failure, FailureClass};
use sprag_core::ids::TopicName;
use sprag_mapping::Decoder;

/// How many of the newest records of each mapping partition are decoded.
const TAIL: i64 = 500;
const POLL: Duration = Duration::from_millis(200);
/// The maximum number of polls. If the ends are not reached by then, the check fails.
const PATIENCE: usize = 50;

/// Checks the mapping topic. `client` belongs to the cluster that holds it.
pub(super) async fn check(config: &Config, client: &AdminClient, report: &mut Report) {
    let topic = TopicName::from(config.mapping.topic.as_str());
    let what = format!("{}: mapping topic {topic}", client.side);
    let described = match describe_one(client, &topic).await {
        Ok(described) => described,
        Err(failure) => {
            let remedy = if failure.class == FailureClass::Missing {
                "start the replicator, and make sure that offsetMapping.format, topic and location are \
                 right; without the Describe right a topic appears not to exist"
                    .to_owned()
            } else {
                acl(&["Describe", "Read"], &format!("--topic {topic}"))
            };
            return report.missing(&what, &failure, &remedy);
        }
    };
    match read_tail(config, &topic, described.partitions) {
        Err(failure) => {
            let remedy = acl(&["Describe", "Read"], &format!("--topic {topic}"));
            report.missing(&what, &failure, &remedy);
        }
        Ok(Tail { records: 0, .. }) => {
            report.warn(&what, "it has no records yet", "make sure that the replicator is running");
        }
        Ok(Tail { records, foreign, .. }) if foreign * 2 > records => {
            let detail = format!(
                "{foreign} of its newest {records} records are not in the configured format; the topic may \
                 belong to another product"
            );
            let failure = Failure::new(FailureClass::Stop, detail);
            report.missing(&what, &failure, "check offsetMapping.format and offsetMapping.topic");
        }
        Ok(Tail { records, mappings, .. }) => {
            report.ok(&what, format!("{mappings} of its newest {records} records are mappings"));
        }
    }
}

/// Counts of the newest records.
#[derive(Clone, Copy, Debug, Default)]
struct Tail {
    records: u64,
    /// Records that are mappings.
    mappings: u64,
    /// Records that are not in this format at all. Tombstones and syncs of topics that are not
    /// replicated are neither mappings nor foreign.
    foreign: u64,
}

fn read_tail(config: &Config, topic: &TopicName, partitions: i32) -> Result<Tail, Failure> {
    let what = format!("reading {topic}");
    let cluster = if config.mapping.on_source { &config.source } else { &config.target };
    let refused = |error: KafkaError| failed(&error, Doing::Reading, &what);
    let ours = [
        ("group.id", "sprag-check"),
        ("enable.auto.commit", "false"),
        ("enable.partition.eof", "true"),
        ("auto.offset.reset", "earliest"),
    ];
    let consumer: BaseConsumer =
        client_config(&plain(&cluster.consumer), &ours).create().map_err(refused)?;
    let mut list = TopicPartitionList::new();
    for partition in 0..partitions {
        list.add_partition_offset(topic.as_str(), partition, Offset::OffsetTail(TAIL))
            .map_err(refused)?;
    }
    consumer.assign(&list).map_err(refused)?;
    let mut reader = BatchReader::new(consumer, 1000);
    let mut decoder = Decoder::new(mapping_format(&config.mapping.format));
    let (mut tail, mut ended, mut failure) = (Tail::default(), 0, None);
    for _ in 0..PATIENCE {
        reader.poll(POLL, |delivered| match delivered {
            Delivered::Record { key, value, .. } => {
                tail.records += 1;
                match decoder.decode(key, value) {
                    Ok(_) => tail.mappings += 1,
                    Err(skip) => tail.foreign += u64::from(skip.kind().is_foreign()),
                }
            }
            Delivered::End { .. } => ended += 1,
            Delivered::PartitionFailed { error, .. } => {
                failure = Some(errors::failure(&error, Doing::Reading, &what));
            }
            Delivered::Failed(_) => {}
        });
        if ended >= partitions || failure.is_some() {
            break;
        }
    }
    match failure {
        Some(failure) => Err(failure),
        None if ended < partitions => {
            Err(Failure::new(FailureClass::Retry, format!("{what}: the end was not reached")))
        }
        None => Ok(tail),
    }
}
