//! Reads fence partitions to their ends (`docs/protocol.md`, "The fence log").

#[cfg(test)]
mod tests;

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
use crate::ports::{Clock, FenceReader, FenceRecords, ReadFrom};
use sprag_core::failure::{Failure, FailureClass};
use sprag_core::ids::{Fence, Shard, TopicName};

const POLL: Duration = Duration::from_millis(100);

/// Reads the fence partitions, each read with a consumer of its own.
pub struct KafkaFenceReader {
    properties: Properties,
    topic: TopicName,
}

impl KafkaFenceReader {
    /// A reader of this fence topic on the cluster of these consumer properties.
    #[must_use]
    pub fn new(properties: Properties, topic: TopicName) -> Self {
        Self { properties, topic }
    }
}

impl FenceReader for KafkaFenceReader {
    #[expect(clippy::disallowed_methods, reason = "librdkafka's consumer blocks")]
    async fn read(&self, shard: Shard, from: ReadFrom) -> Result<FenceRecords, Failure> {
        let (properties, topic) = (self.properties.clone(), self.topic.clone());
        let reading = tokio::task::spawn_blocking(move || read(&properties, &topic, shard, from));
        reading.await.unwrap_or_else(|error| {
            Err(Failure::new(FailureClass::Retry, format!("reading the fence topic: {error}")))
        })
    }
}

fn read(
    properties: &Properties,
    topic: &TopicName,
    shard: Shard,
    from: ReadFrom,
) -> Result<FenceRecords, Failure> {
    let what = format!("reading fence partition {topic}-{shard}");
    let mut reader = assigned(properties, topic, shard, from)
        .map_err(|error| failed(&error, Doing::Fencing, &what))?;
    let clock = ProcessClock::start();
    let deadline = clock.now() + REQUEST_TIMEOUT;
    let (mut newest, mut after_last) = (BTreeMap::new(), 0);
    let mut outcome: Option<Result<i64, NativeError>> = None;
    let mut last_error = None;
    while outcome.is_none() && clock.now() < deadline {
        reader.poll(POLL, |delivered| match delivered {
            Delivered::Record { offset, key, value, .. } => {
                after_last = offset + 1;
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                let entry = key.map(|key| (text(key), (Fence(offset), value.map(text))));
                newest.extend(entry);
            }
            Delivered::End { position, .. } => outcome = Some(Ok(position)),
            Delivered::PartitionFailed { error, .. } => outcome = Some(Err(error)),
            Delivered::Failed(error) => last_error = Some(error),
        });
    }
    match (outcome, last_error) {
        // One batch can hold the end, and then records that were written meanwhile.
        (Some(Ok(end)), _) => Ok(FenceRecords { newest, end: Fence(end.max(after_last)) }),
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
    from: ReadFrom,
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
    let begin = match from {
        ReadFrom::LogStart => Offset::Beginning,
        ReadFrom::Offset(offset) => Offset::Offset(offset.get()),
    };
    assignment.add_partition_offset(topic.as_str(), partition, begin)?;
    consumer.assign(&assignment)?;
    Ok(BatchReader::new(consumer, 1000))
}
