//! The source's part of a check, and the mapping topic, wherever it is.

use std::rc::Rc;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};

use super::report::{Report, acl};
use crate::config::{Cluster, Config};
use crate::core::failure::{Failure, FailureClass};
use crate::core::ids::{GroupId, TopicName};
use crate::kafka::client::{AdminClient, REQUEST_TIMEOUT, client_config, failed};
use crate::kafka::connect::{mapping_format, plain};
use crate::kafka::errors::Doing;
use crate::kafka::ffi::batch::{BatchReader, Delivered};
use crate::kafka::groups::KafkaSourceGroups;
use crate::kafka::topics::describe_one;
use crate::mapping::Decoder;
use crate::ports::SourceGroups;

/// How many of the newest mapping records are decoded.
const TAIL: i64 = 500;
const POLL: Duration = Duration::from_millis(200);
/// Polls without a word before a partition counts as read.
const PATIENCE: usize = 50;

/// Tries the source; the groups that would be synced.
pub(super) async fn check(
    config: &Config,
    source: &Rc<AdminClient>,
    report: &mut Report,
) -> Vec<GroupId> {
    if !reach(source, report).await {
        report.skipped("source: groups", "no broker answers");
        return Vec::new();
    }
    let groups = groups(config, source, report).await;
    mappings(config, source, report).await;
    groups
}

/// Whether a broker answers.
pub(super) async fn reach(client: &AdminClient, report: &mut Report) -> bool {
    let what = format!("{}: reach a broker", client.side);
    let id = match client.since(None) {
        Ok(admin) => admin.cluster_id(REQUEST_TIMEOUT).await,
        Err(failure) => {
            report.missing(&what, &failure, "");
            return false;
        }
    };
    match id {
        Some(id) => report.ok(&what, format!("cluster {id}")),
        None => {
            let failure = Failure::new(FailureClass::Retry, "no broker answers");
            let remedy = format!(
                "see that {side}.kafka.common.bootstrap.servers, security.protocol and credentials \
                 are right, and the cluster is up",
                side = client.side
            );
            report.missing(&what, &failure, &remedy);
            return false;
        }
    }
    true
}

async fn groups(config: &Config, source: &Rc<AdminClient>, report: &mut Report) -> Vec<GroupId> {
    let port = KafkaSourceGroups::new(Rc::clone(source));
    let listed = match port.list().await {
        Ok(listed) => listed,
        Err(failure) => {
            let remedy = acl(&["Describe"], "--cluster");
            report.missing("source: list groups", &failure, &remedy);
            return Vec::new();
        }
    };
    let all = listed.len();
    let filter = &config.policy.groups;
    let selected: Vec<GroupId> =
        listed.into_iter().filter(|group| filter.admits(group).is_ok()).collect();
    let found = format!("{all} groups seen, {} of them selected", selected.len());
    if selected.is_empty() {
        let remedy = "see groups.consumerGroups and groups.exclude; a principal without Describe on \
                      the cluster sees only the groups that it may describe";
        report.warn("source: list groups", found, remedy);
    } else {
        report.ok("source: list groups", found);
    }
    let mut read = 0;
    for group in &selected {
        match port.offsets(group, None).await {
            Ok(_) => read += 1,
            Err(failure) => {
                let remedy = acl(&["Describe", "Read"], &format!("--group {group}"));
                report.missing("source: read committed offsets", &failure, &remedy);
                return selected;
            }
        }
    }
    report.ok("source: read committed offsets", format!("of {read} groups"));
    selected
}

async fn mappings(config: &Config, source: &Rc<AdminClient>, report: &mut Report) {
    let topic = TopicName::from(config.mapping.topic.as_str());
    let side = if config.mapping.on_source { "source" } else { "target" };
    let what = format!("{side}: mapping topic {topic}");
    let elsewhere;
    let (client, cluster) = if config.mapping.on_source {
        (source.as_ref(), &config.source)
    } else {
        elsewhere = AdminClient::new(
            plain(&config.target.admin),
            "target",
            crate::kafka::clock::ProcessClock::start(),
        );
        (&elsewhere, &config.target)
    };
    let described = match describe_one(client, &topic).await {
        Ok(described) => described,
        Err(failure) => {
            let remedy = if failure.class == FailureClass::Missing {
                "start the replicator, and see that offsetMapping.format, topic and location are \
                 right; without Describe on the topic it looks as if it were not there"
                    .to_owned()
            } else {
                acl(&["Describe", "Read"], &format!("--topic {topic}"))
            };
            return report.missing(&what, &failure, &remedy);
        }
    };
    let tail = read_tail(config, cluster, &topic, described.partitions);
    match tail {
        Err(failure) => {
            let remedy = acl(&["Describe", "Read"], &format!("--topic {topic}"));
            report.missing(&what, &failure, &remedy);
        }
        Ok((0, _)) => {
            report.warn(&what, "holds no record yet", "is the replicator running?");
        }
        Ok((records, decoded)) if decoded * 2 < records => {
            let detail = format!(
                "of its newest {records} records only {decoded} are mappings of this format; does \
                 the topic belong to another product?"
            );
            let failure = Failure::new(FailureClass::Stop, detail);
            report.missing(&what, &failure, "see offsetMapping.format and offsetMapping.topic");
        }
        Ok((records, decoded)) => {
            report.ok(&what, format!("{decoded} of its newest {records} records are mappings"));
        }
    }
}

/// How many of the newest records there are, and how many of them decode.
fn read_tail(
    config: &Config,
    cluster: &Cluster,
    topic: &TopicName,
    partitions: i32,
) -> Result<(u64, u64), Failure> {
    let what = format!("reading {topic}");
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
    let (mut records, mut decoded, mut ended, mut failure) = (0, 0, 0, None);
    for _ in 0..PATIENCE {
        reader.poll(POLL, |delivered| match delivered {
            Delivered::Record { key, value, .. } => {
                records += 1;
                decoded += u64::from(decoder.decode(key, value).is_ok());
            }
            Delivered::End { .. } => ended += 1,
            Delivered::PartitionFailed { error, .. } => {
                failure = Some(crate::kafka::errors::failure(&error, Doing::Reading, &what));
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
            Err(Failure::new(FailureClass::Retry, format!("{what}: its end was not reached")))
        }
        None => Ok((records, decoded)),
    }
}
