//! Topics as some broker describes them.
//!
//! Every broker can describe every topic. librdkafka would ask the one that it takes for the controller,
//! and no other (under KRaft that is any broker that the cluster takes for alive), so each request names
//! its broker, and where that one does not answer soon, others are asked as well.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::future::{Either, select};
use futures::stream::{FuturesUnordered, StreamExt};

use super::super::client::{AdminClient, REQUEST_TIMEOUT, Watch};
use super::super::errors::Doing;
use super::super::ffi::NativeError;
use super::super::ffi::admin::{Admin, TopicDescription};
use super::CHUNK;
use crate::core::failure::{Failure, FailureClass};
use crate::core::ids::TopicName;

/// How long one broker is waited for before another one is asked as well.
const SOON: Duration = Duration::from_secs(1);
/// How many brokers are asked at the most.
const MOST_ASKED: usize = 4;

/// Descriptions of topics, each with its own failure.
pub(super) type Described = BTreeMap<TopicName, Result<TopicDescription, Failure>>;

type ByBroker = Vec<(String, Result<TopicDescription, NativeError>)>;

/// Describes one topic.
///
/// # Errors
///
/// [`FailureClass::Missing`] where the broker says that there is none.
pub async fn describe_one(
    client: &AdminClient,
    topic: &TopicName,
) -> Result<TopicDescription, Failure> {
    describe_one_by(client, &*client.present()?, topic).await
}

/// Describes one topic, as the brokers of this client know it.
///
/// # Errors
///
/// As [`describe_one`].
pub async fn describe_one_by(
    client: &AdminClient,
    admin: &Admin<Watch>,
    topic: &TopicName,
) -> Result<TopicDescription, Failure> {
    let what = format!("describing topic {topic}");
    let described = describe(client, admin, &[topic.as_str()], &what).await?;
    described
        .into_values()
        .next()
        .unwrap_or_else(|| Err(Failure::new(FailureClass::Retry, format!("{what}: no answer"))))
}

/// Describes topics; each that was asked for is in the answer.
///
/// # Errors
///
/// Where no broker answered.
pub(super) async fn describe_all(
    client: &AdminClient,
    topics: &BTreeSet<TopicName>,
) -> Result<Described, Failure> {
    let topics: Vec<_> = topics.iter().map(TopicName::as_str).collect();
    let admin = client.present()?;
    let mut all = Described::new();
    for chunk in topics.chunks(CHUNK) {
        all.extend(describe(client, &admin, chunk, "describing topics").await?);
    }
    Ok(all)
}

async fn describe(
    client: &AdminClient,
    admin: &Admin<Watch>,
    topics: &[&str],
    what: &str,
) -> Result<Described, Failure> {
    let described = by_some_broker(client, admin, topics)
        .await
        .map_err(|error| client.failed(&error, Doing::Reading, what))?;
    Ok(described
        .into_iter()
        .map(|(name, topic)| {
            let what = format!("describing topic {name}");
            let topic = topic.map_err(|error| client.failed(&error, Doing::Reading, &what));
            (TopicName::from(name.as_str()), topic)
        })
        .collect())
}

/// Asks the broker that answered last, and others where it does not answer soon. Before any is connected
/// it is librdkafka's choice.
async fn by_some_broker(
    client: &AdminClient,
    admin: &Admin<Watch>,
    topics: &[&str],
) -> Result<ByBroker, NativeError> {
    let ask = async |at: Option<i32>| {
        (at, admin.describe_topics(topics.iter().copied(), at, REQUEST_TIMEOUT).await)
    };
    let up = admin.connections().up();
    let first = client.describer().filter(|broker| up.contains(broker)).or(up.first().copied());
    let mut asked = vec![first];
    let mut answers = FuturesUnordered::from_iter([ask(first)]);
    loop {
        let failed = match select(answers.next(), Box::pin(client.pause(SOON))).await {
            Either::Left((Some((at, Ok(described))), _)) => {
                client.described_by(at);
                return Ok(described);
            }
            Either::Left((Some((_, Err(error))), _)) => Some(error),
            Either::Left((None, _)) | Either::Right(_) => None,
        };
        let others = admin.connections().up();
        let next = others.into_iter().map(Some).find(|other| !asked.contains(other));
        match (next.filter(|_| asked.len() < MOST_ASKED), failed) {
            (Some(next), _) => {
                asked.push(next);
                answers.push(ask(next));
            }
            (None, Some(error)) if answers.is_empty() => return Err(error),
            (None, Some(_) | None) => {}
        }
    }
}
