//! Describes topics.
//!
//! Every broker can describe every topic, but librdkafka asks only the broker that it believes to be the
//! controller. Under KRaft that can be any broker that the cluster believes to be alive. So each request
//! names its broker, and if that broker does not answer soon, others are asked as well.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::future::{Either, select};
use futures::stream::{FuturesUnordered, StreamExt};

use super::CHUNK;
use crate::kafka::client::{AdminClient, REQUEST_TIMEOUT, Watch};
use crate::kafka::errors::Doing;
use crate::kafka::ffi::NativeError;
use crate::kafka::ffi::admin::{Admin, TopicDescription};
use sprag_core::failure::{Failure, FailureClass};
use sprag_core::ids::TopicName;

/// How long to wait for an answer before another broker is asked as well.
const SOON: Duration = Duration::from_secs(1);
/// The maximum number of brokers to ask.
const MOST_ASKED: usize = 4;

/// The descriptions of topics. Each can fail by itself.
pub(super) type Described = BTreeMap<TopicName, Result<TopicDescription, Failure>>;

type ByBroker = Vec<(String, Result<TopicDescription, NativeError>)>;

/// Describes one topic.
///
/// # Errors
///
/// [`FailureClass::Missing`] if the broker says that the topic does not exist; other classes if no broker
/// answers or the topic cannot be described.
pub async fn describe_one(
    client: &AdminClient,
    topic: &TopicName,
) -> Result<TopicDescription, Failure> {
    describe_one_by(client, &*client.present()?, topic, First::Same).await
}

/// Which broker is asked first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum First {
    /// The broker that answered the last description.
    Same,
    /// A different broker if there is one: a broker that is cut off from the others knows nothing new.
    Another,
}

/// Describes one topic. `admin` sends the requests.
///
/// # Errors
///
/// Same as [`describe_one`].
pub async fn describe_one_by(
    client: &AdminClient,
    admin: &Admin<Watch>,
    topic: &TopicName,
    first: First,
) -> Result<TopicDescription, Failure> {
    let what = format!("describing topic {topic}");
    let described = describe(client, admin, &[topic.as_str()], first, &what).await?;
    described
        .into_values()
        .next()
        .unwrap_or_else(|| Err(Failure::new(FailureClass::Retry, format!("{what}: no answer"))))
}

/// Describes topics. The result contains each topic that was asked for.
///
/// # Errors
///
/// If no broker answered.
pub(super) async fn describe_all(
    client: &AdminClient,
    topics: &BTreeSet<TopicName>,
) -> Result<Described, Failure> {
    let topics: Vec<_> = topics.iter().map(TopicName::as_str).collect();
    let admin = client.present()?;
    let mut all = Described::new();
    for chunk in topics.chunks(CHUNK) {
        all.extend(describe(client, &admin, chunk, First::Same, "describing topics").await?);
    }
    Ok(all)
}

async fn describe(
    client: &AdminClient,
    admin: &Admin<Watch>,
    topics: &[&str],
    first: First,
    what: &str,
) -> Result<Described, Failure> {
    let described = by_some_broker(client, admin, topics, first)
        .await
        .map_err(|error| client.client_failed(&error, Doing::Reading, what))?;
    Ok(described
        .into_iter()
        .map(|(name, topic)| {
            let what = format!("describing topic {name}");
            let topic = topic.map_err(|error| client.failed(&error, Doing::Reading, &what));
            (TopicName::from(name.as_str()), topic)
        })
        .collect())
}

/// Asks one broker, and others as well if it does not answer soon. While no broker is connected, librdkafka
/// chooses the broker.
async fn by_some_broker(
    client: &AdminClient,
    admin: &Admin<Watch>,
    topics: &[&str],
    first: First,
) -> Result<ByBroker, NativeError> {
    let ask = async |at: Option<i32>| {
        (at, admin.describe_topics(topics.iter().copied(), at, REQUEST_TIMEOUT).await)
    };
    let first = choose(first, client.describer(), &admin.connections().up());
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

/// The broker to ask first, from those that are connected.
fn choose(first: First, last: Option<i32>, up: &BTreeSet<i32>) -> Option<i32> {
    let next = |last: i32| up.range(last.saturating_add(1)..).next().copied();
    let chosen = match first {
        First::Same => last.filter(|last| up.contains(last)),
        First::Another => last.and_then(next),
    };
    chosen.or(up.first().copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brokers_are_asked_in_turn_if_there_is_more_than_one() {
        let up = BTreeSet::from([1, 3, 4]);
        let same = |last| choose(First::Same, last, &up);
        assert_eq!([same(None), same(Some(3)), same(Some(2))], [Some(1), Some(3), Some(1)]);
        let another = |last| choose(First::Another, last, &up);
        assert_eq!([another(None), another(Some(1))], [Some(1), Some(3)]);
        assert_eq!([another(Some(2)), another(Some(4))], [Some(3), Some(1)]);
        assert_eq!(choose(First::Another, Some(1), &BTreeSet::new()), None);
    }
}
