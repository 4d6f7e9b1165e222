//! Coordinators that were looked up and say that they are none.

use std::collections::BTreeMap;

use rdkafka::types::RDKafkaErrorCode as Code;

use sprag_core::ids::{BrokerId, GroupId};

/// How often in a row a coordinator that was looked up may say that it is none. Then the cluster may assign
/// groups to coordinators in another way than Kafka does; while an election is under way, it happens once or
/// twice.
const LIMIT: u32 = 3;

/// For each group, how often in a row its coordinator said that it is none.
#[derive(Default)]
pub(super) struct Refuted(BTreeMap<GroupId, u32>);

impl Refuted {
    /// Whether librdkafka has to look the group's coordinator up itself, as it does for any cluster.
    pub(super) fn leaves_it_to_the_client(&self, group: &GroupId) -> bool {
        self.0.get(group).is_some_and(|times| *times >= LIMIT)
    }

    /// The broker `at` answered a request about the group with `error`, or with none; `at` is `None` where
    /// librdkafka looked it up. Where its look-up does not serve either, ours is tried again: a slow
    /// election may have refuted it.
    pub(super) fn answered(&mut self, at: Option<BrokerId>, group: &GroupId, error: Option<Code>) {
        match (at, error) {
            (Some(_), None) => {
                self.0.remove(group);
            }
            (Some(_), Some(Code::NotCoordinator)) => {
                *self.0.entry(group.clone()).or_default() += 1;
            }
            (None, Some(_)) => {
                self.0.entry(group.clone()).and_modify(|times| *times = LIMIT - 1);
            }
            (Some(_), Some(_)) | (None, None) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Option<BrokerId> = Some(BrokerId(3));

    fn group() -> GroupId {
        GroupId::from("g")
    }

    fn after(answers: &[(Option<BrokerId>, Option<Code>)]) -> bool {
        let mut refuted = Refuted::default();
        for (at, error) in answers {
            refuted.answered(*at, &group(), *error);
        }
        refuted.leaves_it_to_the_client(&group())
    }

    #[test]
    fn three_refusals_in_a_row_leave_the_look_up_to_the_client() {
        let refusal = (AT, Some(Code::NotCoordinator));
        assert!(!after(&[refusal; 2]));
        assert!(after(&[refusal; 3]));
        assert!(!after(&[refusal, refusal, (AT, None), refusal, refusal]));
        assert!(after(&[refusal, (AT, Some(Code::OperationTimedOut)), refusal, refusal]));
        assert!(after(&[refusal, refusal, refusal, (None, None)]));
    }

    #[test]
    fn where_the_client_fails_too_the_coordinator_that_was_looked_up_is_asked_again() {
        let refusal = (AT, Some(Code::NotCoordinator));
        for error in [Code::NotCoordinator, Code::OperationTimedOut] {
            let failed = [refusal, refusal, refusal, (None, Some(error))];
            assert!(!after(&failed), "{error:?}");
            assert!(after(&[&failed[..], &[refusal]].concat()), "{error:?}");
        }
    }
}
