//! Which leader is asked about which partition.

use std::collections::{BTreeMap, BTreeSet};

use super::{Described, Place};
use crate::core::failure::{Failure, FailureClass};

/// The partitions by their leader, and a failure for each that has none or is unknown.
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
        return Err(retry("the description of the topics leaves it out"));
    };
    let found = found.as_ref().map_err(Clone::clone)?;
    match usize::try_from(*partition).ok().and_then(|at| found.leaders.get(at)) {
        Some(Some(leader)) => Ok(*leader),
        Some(None) => Err(retry("the partition has no leader at the moment")),
        None => {
            let detail = format!(
                "{topic}-{partition}: there is no such partition; the topic has {}",
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
    use crate::core::ids::TopicName;
    use crate::kafka::ffi::admin::TopicDescription;

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
}
