//! Turns the configuration into running ports: waits for both clusters, creates the fence topic if it is
//! missing, and gathers the core's set-up.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::rc::Rc;
use std::time::Duration;

use rdkafka::types::RDKafkaErrorCode;

use super::addresses::{advertised_hint, credentials_refused};
use super::client::{AdminClient, Properties, REQUEST_TIMEOUT};
use super::clock::ProcessClock;
use super::errors::{Doing, failure};
use super::fence_reader::KafkaFenceReader;
use super::ffi::NativeError;
use super::ffi::admin::{NewTopic, TopicDescription};
use super::groups::{KafkaSourceGroups, KafkaTargetGroups};
use super::mapping_reader::KafkaMappings;
use super::membership::KafkaMembership;
use super::settings::{Doubt, Weight, fence_topic_doubts};
use super::topics::{self, KafkaTopics, describe_one};
use super::transactions::KafkaTransactions;
use crate::config::{Cluster, Config, MappingFormat, Secret, TopicNaming};
use crate::ports::{Clock, Ports};
use sprag_core::failure::{Failure, FailureClass};
use sprag_core::ids::{ClusterId, PipelineId, TopicName};
use sprag_core::machine::Setup;
use sprag_mapping::Format;
use sprag_mapping::replication_policy::ReplicationPolicy;

const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// How long the start-up waits for settings that it only reports.
const SETTINGS_PATIENCE: Duration = Duration::from_secs(3);

/// The ports on real clusters.
pub struct KafkaPorts {
    clock: ProcessClock,
    source_groups: KafkaSourceGroups,
    target_groups: KafkaTargetGroups,
    topics: KafkaTopics,
    mappings: KafkaMappings,
    membership: KafkaMembership,
    fence_reader: KafkaFenceReader,
    transactions: KafkaTransactions,
}

impl Ports for KafkaPorts {
    type Clock = ProcessClock;
    type SourceGroups = KafkaSourceGroups;
    type TargetGroups = KafkaTargetGroups;
    type TopicReader = KafkaTopics;
    type Mappings = KafkaMappings;
    type Membership = KafkaMembership;
    type FenceReader = KafkaFenceReader;
    type Transactions = KafkaTransactions;

    fn clock(&self) -> &ProcessClock {
        &self.clock
    }

    fn source_groups(&self) -> &KafkaSourceGroups {
        &self.source_groups
    }

    fn target_groups(&self) -> &KafkaTargetGroups {
        &self.target_groups
    }

    fn topic_reader(&self) -> &KafkaTopics {
        &self.topics
    }

    fn mappings(&self) -> &KafkaMappings {
        &self.mappings
    }

    fn membership(&self) -> &KafkaMembership {
        &self.membership
    }

    fn fence_reader(&self) -> &KafkaFenceReader {
        &self.fence_reader
    }

    fn transactions(&self) -> &KafkaTransactions {
        &self.transactions
    }
}

/// Connects to both clusters and joins the coordination group. Waits for a cluster that is down.
///
/// # Errors
///
/// If waiting cannot help.
pub async fn connect(config: &Config) -> Result<(Setup, KafkaPorts), Failure> {
    let clock = ProcessClock::start();
    let admin =
        |cluster: &Cluster, side| Rc::new(AdminClient::new(plain(&cluster.admin), side, clock));
    let (source, target) = (admin(&config.source, "source"), admin(&config.target, "target"));
    for client in [&source, &target] {
        tracing::info!("connecting to the {} cluster at {}", client.side, client.bootstrap());
    }
    let source_cluster = waited_for(&clock, || cluster_id(&source)).await?;
    let target_cluster = waited_for(&clock, || cluster_id(&target)).await?;
    let fence_topic = waited_for(&clock, || fence_topic(config, &target)).await?;
    report_fence_topic(config, &target, fence_topic.replicas).await;
    let setup = Setup {
        policy: config.policy.clone(),
        source_cluster,
        target_cluster,
        fence_topic: topics::fence_topic(fence_topic),
        mapping_topic: TopicName::from(config.mapping.topic.as_str()),
        jitter_seed: jitter_seed(),
    };
    let ports = ports(config, &setup, clock, source, target)?;
    Ok((setup, ports))
}

/// A seed that differs between processes. A process id would not do: in containers it is always 1.
fn jitter_seed() -> u64 {
    RandomState::new().build_hasher().finish()
}

fn ports(
    config: &Config,
    setup: &Setup,
    clock: ProcessClock,
    source: Rc<AdminClient>,
    target: Rc<AdminClient>,
) -> Result<KafkaPorts, Failure> {
    let fence_topic = TopicName::from(config.coordination.fence_topic.as_str());
    let mapping_topic = setup.mapping_topic.clone();
    let (mapping_admin, mapping_cluster) = if config.mapping.on_source {
        (Rc::clone(&source), &config.source)
    } else {
        (Rc::clone(&target), &config.target)
    };
    let pipeline = PipelineId::of(&config.name, &setup.source_cluster, &setup.target_cluster);
    let coordination_group = format!("sprag.{}", config.name);
    let consumer = plain(&config.target.consumer);
    let session_timeout = config.coordination.session_timeout;
    let membership = KafkaMembership::join(
        Rc::clone(&target),
        &polled_as_long(consumer.clone(), session_timeout),
        &coordination_group,
        &fence_topic,
        session_timeout,
    )?;
    Ok(KafkaPorts {
        clock,
        source_groups: KafkaSourceGroups::new(Rc::clone(&source), clock),
        target_groups: KafkaTargetGroups::new(Rc::clone(&target), clock),
        topics: KafkaTopics::new(
            source,
            target,
            Rc::clone(&mapping_admin),
            fence_topic.clone(),
            mapping_topic.clone(),
        ),
        mappings: KafkaMappings::new(
            mapping_admin,
            plain(&mapping_cluster.consumer),
            mapping_topic,
            mapping_format(&config.mapping.format),
        ),
        membership,
        fence_reader: KafkaFenceReader::new(consumer, fence_topic.clone()),
        transactions: KafkaTransactions::new(
            plain(&config.target.producer),
            fence_topic,
            format!("sprag.{pipeline}"),
            config.policy.commit_mode,
        ),
    })
}

/// Raises `max.poll.interval.ms`, which is five minutes by default, to the session timeout if it is lower:
/// librdkafka refuses a session timeout above it.
fn polled_as_long(mut properties: Properties, session_timeout: Duration) -> Properties {
    const NAME: &str = "max.poll.interval.ms";
    const DEFAULT: u128 = 300_000;
    let session = session_timeout.as_millis();
    // librdkafka refuses a value that is not a number, and names the property.
    let polled = properties.get(NAME).map_or(Ok(DEFAULT), |value| value.trim().parse());
    if polled.is_ok_and(|polled| polled < session) {
        properties.insert(NAME.to_owned(), session.to_string());
    }
    properties
}

/// The decoder's format for the configured format of the mapping topic.
#[must_use]
pub fn mapping_format(format: &MappingFormat) -> Format {
    match format {
        MappingFormat::Native => Format::Native,
        MappingFormat::MirrorMaker2 { source_alias, target_alias, naming, separator } => {
            Format::MirrorMaker2(match naming {
                TopicNaming::Default => {
                    ReplicationPolicy::default_policy(source_alias, target_alias, separator)
                }
                TopicNaming::Identity => {
                    ReplicationPolicy::identity(source_alias, target_alias, separator)
                }
                TopicNaming::Map(topics) => ReplicationPolicy::map(topics.clone()),
            })
        }
    }
}

/// A cluster's properties with their secrets in plain text, for librdkafka only.
#[must_use]
pub fn plain(properties: &BTreeMap<String, Secret>) -> Properties {
    properties.iter().map(|(key, value)| (key.clone(), value.0.clone())).collect()
}

async fn cluster_id(client: &AdminClient) -> Result<ClusterId, Failure> {
    let id = client.present()?.cluster_id(REQUEST_TIMEOUT).await;
    id.map(|id| ClusterId::from(id.as_str())).ok_or_else(|| unanswered(client))
}

/// The failure to report when no broker answers with the cluster id.
fn unanswered(client: &AdminClient) -> Failure {
    let said = no_answer(client);
    // librdkafka's call returns no error code. Its code `_AUTHENTICATION` would not be enough either: it also
    // means that a handshake broke off, or that a token could not be fetched. Only the message says that a
    // broker refused the credentials.
    if credentials_refused(&client.last_complaint()) {
        let refused = NativeError::of(RDKafkaErrorCode::SaslAuthenticationFailed);
        return failure(&refused, Doing::Connecting, &said);
    }
    let side = client.side;
    let detail = format!(
        "{said}; check that the cluster is up, and that bootstrap.servers and security.protocol in \
         {side}.kafka.common are correct"
    );
    Failure::new(FailureClass::Retry, detail)
}

/// A message that no broker answers, with the cause as far as it is known.
#[must_use]
pub fn no_answer(client: &AdminClient) -> String {
    let (side, servers, why) = (client.side, client.bootstrap(), why(client));
    format!("no broker of the {side} cluster answers at {servers}{why}")
}

/// The last connection error in parentheses, with a hint if there is one; empty if there was no error.
fn why(client: &AdminClient) -> String {
    let complaint = client.last_complaint();
    let hint = advertised_hint(&complaint, client.bootstrap());
    format!("{complaint}{hint}")
}

/// Adds the address that could not be reached to the failure of a start-up request. A timeout does not name
/// one.
fn with_address(client: &AdminClient, failure: Failure) -> Failure {
    let broken = matches!(failure.class, FailureClass::Retry | FailureClass::OutcomeUnknown);
    let complaint = client.last_complaint();
    if !broken || complaint.is_empty() {
        return failure;
    }
    let why = why(client);
    Failure::new(failure.class, format!("{failure}; last connection error:{why}"))
}

/// Describes the fence topic. Creates it if it is missing and `features.autoCreateControlTopics` allows it.
///
/// # Errors
///
/// If it is missing, or cannot be described or created.
pub async fn fence_topic(
    config: &Config,
    target: &AdminClient,
) -> Result<TopicDescription, Failure> {
    let name = TopicName::from(config.coordination.fence_topic.as_str());
    let described = match describe_one(target, &name).await {
        Err(failure) if failure.class == FailureClass::Missing => {
            create_fence_topic(config, target, &name).await?;
            describe_one(target, &name).await
        }
        described => described.map_err(|failure| with_address(target, failure)),
    };
    match described {
        Ok(described) => Ok(described),
        // The topic was just created, and not every broker knows it yet.
        Err(failure) if failure.class == FailureClass::Missing => {
            Err(Failure { class: FailureClass::Retry, ..failure })
        }
        Err(failure) => Err(failure),
    }
}

/// Logs problems with the settings of the fence topic.
async fn report_fence_topic(config: &Config, target: &AdminClient, replicas: i32) {
    let name = TopicName::from(config.coordination.fence_topic.as_str());
    for doubt in fence_topic_doubts(target, &name, replicas, SETTINGS_PATIENCE).await {
        let Doubt { weight, found, remedy } = doubt;
        match weight {
            Weight::Wrong | Weight::Risky => tracing::warn!("{found}; {remedy}"),
            Weight::Unknown => tracing::info!("{found}"),
        }
    }
}

async fn create_fence_topic(
    config: &Config,
    target: &AdminClient,
    name: &TopicName,
) -> Result<(), Failure> {
    let shards = config.coordination.shards;
    if !config.auto_create_control_topics {
        let detail = format!(
            "the fence topic {name} does not exist on the target, and \
             features.autoCreateControlTopics is disabled; create it with {shards} partitions and \
             cleanup.policy=compact"
        );
        return Err(Failure::new(FailureClass::Stop, detail));
    }
    let topic = NewTopic {
        name: name.as_str(),
        partitions: shards.cast_signed(),
        replication_factor: config.coordination.fence_topic_replicas.map_or(-1, i32::from),
        config: &[("cleanup.policy", "compact")],
    };
    match target.present()?.create_topic(&topic, REQUEST_TIMEOUT).await {
        Ok(()) => {
            tracing::info!(topic = name.as_str(), shards, "fence topic created");
            Ok(())
        }
        Err(error) if error.code == RDKafkaErrorCode::TopicAlreadyExists => Ok(()),
        Err(error) => {
            let what = format!("creating the fence topic {name}");
            Err(with_address(target, target.failed(&error, Doing::Connecting, &what)))
        }
    }
}

/// Repeats `attempt` until it succeeds or waiting cannot help. Logs each failure and backs off after it.
async fn waited_for<T, F: Future<Output = Result<T, Failure>>>(
    clock: &ProcessClock,
    attempt: impl Fn() -> F,
) -> Result<T, Failure> {
    let mut wait = FIRST_WAIT;
    loop {
        match attempt().await {
            Ok(done) => return Ok(done),
            Err(failure) if failure.class == FailureClass::Stop => return Err(failure),
            Err(failure) => {
                tracing::warn!(retry_in = ?wait, "{failure}");
                clock.sleep_until(clock.now() + wait).await;
                wait = (wait * 2).min(LONGEST_WAIT);
            }
        }
    }
}
