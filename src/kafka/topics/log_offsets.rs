//! Reads log start and log end offsets with a separate request to each leader, so that a leader that does not
//! answer affects only its own partitions.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use rdkafka::types::RDKafkaErrorCode as Code;

use super::describing::Described;
use super::leaders::{Leaders, Part, share_out};
use super::{CHUNK, Place};
use crate::kafka::client::AdminClient;
use crate::kafka::errors::Doing;
use crate::kafka::ffi::NativeError;
use crate::kafka::ffi::admin::{Isolation, OffsetSpec};
use sprag_core::event::LogRange;
use sprag_core::failure::{Failure, FailureClass};
use sprag_core::ids::{TargetOffset, TargetPartition, TopicName};
use sprag_core::time::Instant;

/// The time limit of a request to one leader. A group that also has partitions on other leaders waits as
/// long.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) type Offsets = BTreeMap<Place, Result<i64, Failure>>;
type Ranges = BTreeMap<TargetPartition, Result<LogRange, Failure>>;

/// Reads the log start and log end offsets of one cluster.
pub(super) struct LogOffsets {
    client: Rc<AdminClient>,
    leaders: RefCell<Leaders>,
}

impl LogOffsets {
    pub(super) fn new(client: Rc<AdminClient>) -> Self {
        Self { client, leaders: RefCell::default() }
    }

    /// The log start or log end offsets of partitions. The result contains each of `wanted`.
    pub(super) async fn read(
        &self,
        described: &Described,
        wanted: &BTreeSet<Place>,
        spec: OffsetSpec,
    ) -> Offsets {
        let (leaders, mut answer) = share_out(described, wanted);
        let parts = self.leaders.borrow_mut().described(leaders, self.client.now());
        let requests = parts.iter().flat_map(|Part { since, places }| {
            places
                .chunks(CHUNK)
                .map(async |places: &[Place]| (places, self.of_leader(places, spec, *since).await))
        });
        for (places, outcome) in futures::future::join_all(requests).await {
            match outcome {
                Ok(found) => answer.extend(found),
                Err(failure) => {
                    answer.extend(places.iter().map(|place| (place.clone(), Err(failure.clone()))));
                }
            }
        }
        answer
    }

    /// The log ranges of partitions. The result contains each of `partitions`.
    pub(super) async fn ranges(
        &self,
        described: &Described,
        partitions: &BTreeSet<TargetPartition>,
    ) -> Ranges {
        let places = partitions.iter().map(|at| (at.topic.clone(), at.partition));
        let wanted: BTreeSet<Place> = places.collect();
        let (starts, ends) = futures::join!(
            self.read(described, &wanted, OffsetSpec::Earliest),
            self.read(described, &wanted, OffsetSpec::Latest),
        );
        joined(starts, ends, partitions)
    }

    async fn of_leader(
        &self,
        places: &[Place],
        spec: OffsetSpec,
        since: Option<Instant>,
    ) -> Result<Offsets, Failure> {
        let live = self.client.since(since)?;
        let wanted = places.iter().map(|(topic, at)| (topic.as_str(), *at));
        let listed = live
            .admin
            .list_offsets(wanted, spec, Isolation::ReadUncommitted, PATIENCE)
            .await
            .map_err(|error| {
                places.iter().for_each(|place| self.moved(place, &error));
                self.client.failed(&error, Doing::Reading, "reading log offsets")
            })?;
        let of_part = |(place, outcome): (Place, Result<Option<i64>, NativeError>)| {
            let what = format!("reading log offsets of {}-{}", place.0, place.1);
            let offset = outcome
                .map_err(|error| {
                    self.moved(&place, &error);
                    self.client.failed(&error, Doing::Reading, &what)
                })
                .and_then(|found| found.ok_or_else(|| retry(format!("{what}: no offset"))));
            (place, offset)
        };
        let listed = listed.into_iter().map(|part| {
            let place = (TopicName::from(part.topic.as_str()), part.partition);
            (place, part.outcome.map(|found| found.map(|(offset, _)| offset)))
        });
        Ok(listed.map(of_part).collect())
    }

    /// Notes that the leader moved, if `error` says that the broker does not lead the partition. A broker
    /// that cannot be reached says nothing about its leadership; the next description of the topic does.
    fn moved(&self, place: &Place, error: &NativeError) {
        let says_so = matches!(
            error.code,
            Code::NotLeaderForPartition
                | Code::LeaderNotAvailable
                | Code::ReplicaNotAvailable
                | Code::FencedLeaderEpoch
                | Code::UnknownLeaderEpoch
                | Code::NoEnt
        );
        if says_so {
            self.leaders.borrow_mut().moved(place, self.client.now());
        }
    }
}

/// The log ranges of partitions, without a description of their topics. Each has its own result.
///
/// # Errors
///
/// If a request as a whole fails.
pub async fn log_ranges(
    client: &AdminClient,
    partitions: &BTreeSet<TargetPartition>,
) -> Result<Ranges, Failure> {
    let read = async |spec| {
        let wanted = partitions.iter().map(|at| (at.topic.as_str(), at.partition));
        let listed = client
            .present()?
            .list_offsets(wanted, spec, Isolation::ReadUncommitted, PATIENCE)
            .await
            .map_err(|error| client.client_failed(&error, Doing::Reading, "reading log offsets"))?;
        let of_part = |outcome: Result<Option<(i64, String)>, NativeError>| {
            let found = outcome.map_err(|error| {
                client.client_failed(&error, Doing::Reading, "reading log offsets")
            })?;
            found
                .map(|(offset, _)| offset)
                .ok_or_else(|| retry("reading log offsets: no offset".to_owned()))
        };
        let listed = listed.into_iter();
        Ok(listed
            .map(|part| {
                ((TopicName::from(part.topic.as_str()), part.partition), of_part(part.outcome))
            })
            .collect::<Offsets>())
    };
    let (starts, ends) = futures::join!(read(OffsetSpec::Earliest), read(OffsetSpec::Latest));
    Ok(joined(starts?, ends?, partitions))
}

fn joined(
    mut starts: Offsets,
    mut ends: Offsets,
    partitions: &BTreeSet<TargetPartition>,
) -> Ranges {
    let mut range = |at: &TargetPartition| {
        let left_out = || Err(retry(format!("the target's answer does not include {at}")));
        let key = (at.topic.clone(), at.partition);
        let start = starts.remove(&key).unwrap_or_else(left_out)?;
        let end = ends.remove(&key).unwrap_or_else(left_out)?;
        Ok(LogRange { start: TargetOffset(start), end: TargetOffset(end) })
    };
    partitions.iter().map(|at| (at.clone(), range(at))).collect()
}

fn retry(detail: String) -> Failure {
    Failure::new(FailureClass::Retry, detail)
}
