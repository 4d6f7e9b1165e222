//! Decides which leader to ask about a partition, and with which client.

use std::collections::{BTreeMap, BTreeSet};

use super::Place;
use super::describing::Described;
use sprag_core::failure::{Failure, FailureClass};
use sprag_core::time::Instant;

/// The leaders of partitions, as of their last description. librdkafka caches the leaders that it has looked
/// up, so if a partition's leader changed, the request takes a client that was made after the change.
#[derive(Debug, Default)]
pub(super) struct Leaders {
    known: BTreeMap<Place, Led>,
}

#[derive(Clone, Copy, Debug)]
struct Led {
    leader: i32,
    /// When a change of the leader was last noticed; `None` if never.
    since: Option<Instant>,
}

/// The partitions of one leader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// The client must have been made after this time; `None` if any client will do.
    pub(super) since: Option<Instant>,
    pub(super) places: Vec<Place>,
}

impl Leaders {
    /// Notes the leaders of a description, and returns what to ask each leader and with which client.
    pub(super) fn described(
        &mut self,
        leaders: BTreeMap<i32, Vec<Place>>,
        now: Instant,
    ) -> Vec<Part> {
        let parts = leaders.into_iter().map(|(leader, places)| {
            let since = places.iter().filter_map(|place| self.since(place, leader, now)).max();
            Part { since, places }
        });
        parts.collect()
    }

    /// Notes that a broker said that it does not lead the partition.
    pub(super) fn moved(&mut self, place: &Place, now: Instant) {
        if let Some(led) = self.known.get_mut(place) {
            led.since = Some(now);
        }
    }

    fn since(&mut self, place: &Place, leader: i32, now: Instant) -> Option<Instant> {
        let first = Led { leader, since: None };
        let led = self.known.entry(place.clone()).or_insert(first);
        if led.leader != leader {
            *led = Led { leader, since: Some(now) };
        }
        led.since
    }
}

/// The partitions by leader, and a failure for each partition whose leader is not known.
pub(super) fn share_out(
    described: &Described,
    wanted: &BTreeSet<Place>,
) -> (BTreeMap<i32, Vec<Place>>, BTreeMap<Place, Result<i64, Failure>>) {
    let (mut leaders, mut failed) = (BTreeMap::<i32, Vec<Place>>::new(), BTreeMap::new());
    for place in wanted {
        match leader(described, place) {
            Ok(leader) => leaders.entry(leader).or_default().push(place.clone()),
            Err(failure) => {
                failed.insert(place.clone(), Err(failure));
            }
        }
    }
    (leaders, failed)
}

fn leader(described: &Described, (topic, partition): &Place) -> Result<i32, Failure> {
    let retry =
        |what: &str| Failure::new(FailureClass::Retry, format!("{topic}-{partition}: {what}"));
    let Some(found) = described.get(topic) else {
        return Err(retry("the description of the topics does not include it"));
    };
    let found = found.as_ref().map_err(Clone::clone)?;
    match usize::try_from(*partition).ok().and_then(|at| found.leaders.get(at)) {
        Some(Some(leader)) => Ok(*leader),
        Some(None) => Err(retry("the partition has no leader at the moment")),
        None => {
            let detail = format!(
                "{topic}-{partition}: the partition does not exist; the topic has {} partition(s)",
                found.partitions
            );
            Err(Failure::new(FailureClass::Missing, detail))
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::kafka::ffi::admin::TopicDescription;
    use sprag_core::ids::TopicName;

    #[test]
    fn each_partition_goes_to_its_leader_and_one_without_is_a_failure_of_its_own() {
        let leaders = vec![Some(1), None, Some(2), Some(1)];
        let topic = TopicDescription { id: [0; 16], partitions: 4, leaders, replicas: 1 };
        let gone = Failure::new(FailureClass::HoldGroup, "refused");
        let name = TopicName::from;
        let described = [(name("a"), Ok(topic)), (name("b"), Err(gone.clone()))].into();
        let wanted: BTreeSet<Place> =
            (0..5).map(|at| (name("a"), at)).chain([(name("b"), 0), (name("c"), 0)]).collect();
        let (leaders, failed) = share_out(&described, &wanted);
        assert_eq!(leaders[&1], [(name("a"), 0), (name("a"), 3)]);
        assert_eq!(leaders[&2], [(name("a"), 2)]);
        let class = |topic, at| failed[&(name(topic), at)].clone().unwrap_err().class;
        assert_eq!(class("a", 1), FailureClass::Retry);
        assert_eq!(class("a", 4), FailureClass::Missing);
        assert_eq!(class("b", 0), FailureClass::HoldGroup);
        assert_eq!(class("c", 0), FailureClass::Retry);
        assert_eq!(failed.len(), 4);
    }

    #[test]
    fn a_partition_whose_leader_changed_is_asked_about_by_a_client_made_after_that() {
        let at = Instant::from_millis;
        let place = |at: i32| (TopicName::from("a"), at);
        let led_by = |leader: i32| BTreeMap::from([(leader, vec![place(0)]), (9, vec![place(1)])]);
        let mut leaders = Leaders::default();
        let mut since = |leader, now| {
            let parts = leaders.described(led_by(leader), at(now));
            let since_of = |partition| {
                let part = parts.iter().find(|part| part.places == [place(partition)]);
                part.map(|part| part.since)
            };
            assert_eq!(since_of(1), Some(None), "the leader of the other one never changed");
            since_of(0).unwrap()
        };
        assert_eq!(since(1, 1000), None);
        assert_eq!(since(1, 2000), None);
        assert_eq!(since(2, 3000), Some(at(3000)));
        assert_eq!(since(2, 4000), Some(at(3000)));
        assert_eq!(since(1, 5000), Some(at(5000)));
        leaders.moved(&place(0), at(6000));
        assert_eq!(leaders.described(led_by(1), at(7000))[0].since, Some(at(6000)));
    }
}
