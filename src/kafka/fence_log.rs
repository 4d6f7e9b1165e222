//! Reads a fence partition to its end (`docs/protocol.md`, "The fence log").

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};

use super::client::{Properties, REQUEST_TIMEOUT, client_config, failed};
use super::clock::ProcessClock;
use super::errors::{Doing, failure};
use super::ffi::NativeError;
use super::ffi::batch::{BatchReader, Delivered};
use crate::ports::Clock;
use sprag_core::failure::{Failure, FailureClass};
use sprag_core::ids::{Fence, Shard, TopicName};

const POLL: Duration = Duration::from_millis(100);

type Newest = BTreeMap<String, (Fence, String)>;

/// The newest record of each key in the shard's fence partition, read with `read_committed`.
///
/// # Errors
///
/// If the end is not reached within [`REQUEST_TIMEOUT`], or if the partition cannot be read.
#[expect(clippy::disallowed_methods, reason = "librdkafka's consumer blocks")]
pub(super) async fn read_fence_partition(
    properties: Properties,
    topic: TopicName,
    shard: Shard,
) -> Result<Newest, Failure> {
    let reading = tokio::task::spawn_blocking(move || read(&properties, &topic, shard));
    reading.await.unwrap_or_else(|error| {
        Err(Failure::new(FailureClass::Retry, format!("reading the fence topic: {error}")))
    })
}

fn read(properties: &Properties, topic: &TopicName, shard: Shard) -> Result<Newest, Failure> {
    let what = format!("reading fence partition {topic}-{shard}");
    let mut reader = assigned(properties, topic, shard)
        .map_err(|error| failed(&error, Doing::Fencing, &what))?;
    let clock = ProcessClock::start();
    let deadline = clock.now() + REQUEST_TIMEOUT;
    let mut newest = Newest::new();
    let mut outcome: Option<Result<(), NativeError>> = None;
    let mut last_error = None;
    while outcome.is_none() && clock.now() < deadline {
        reader.poll(POLL, |delivered| match delivered {
            Delivered::Record { offset, key, value, .. } => {
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                match (key, value) {
                    (Some(key), Some(value)) => {
                        newest.insert(text(key), (Fence(offset), text(value)));
                    }
                    (Some(key), None) => {
                        newest.remove(&text(key));
                    }
                    (None, _) => {}
                }
            }
            Delivered::End { .. } => outcome = Some(Ok(())),
            Delivered::PartitionFailed { error, .. } => outcome = Some(Err(error)),
            Delivered::Failed(error) => last_error = Some(error),
        });
    }
    match (outcome, last_error) {
        (Some(Ok(())), _) => Ok(newest),
        (Some(Err(error)), _) | (None, Some(error)) => Err(failure(&error, Doing::Fencing, &what)),
        (None, None) => {
            let detail = format!("{what}: the end was not reached within {REQUEST_TIMEOUT:?}");
            Err(Failure::new(FailureClass::Retry, detail))
        }
    }
}

fn assigned(
    properties: &Properties,
    topic: &TopicName,
    shard: Shard,
) -> Result<BatchReader<rdkafka::consumer::DefaultConsumerContext>, KafkaError> {
    let ours = [
        ("group.id", "sprag-fence-log"),
        ("isolation.level", "read_committed"),
        ("auto.offset.reset", "error"),
        ("enable.partition.eof", "true"),
        ("enable.auto.commit", "false"),
        ("allow.auto.create.topics", "false"),
        ("fetch.wait.max.ms", "50"),
    ];
    let consumer: BaseConsumer = client_config(properties, &ours).create()?;
    let mut assignment = TopicPartitionList::new();
    let partition = shard.get().cast_signed();
    assignment.add_partition_offset(topic.as_str(), partition, Offset::Beginning)?;
    consumer.assign(&assignment)?;
    Ok(BatchReader::new(consumer, 1000))
}
