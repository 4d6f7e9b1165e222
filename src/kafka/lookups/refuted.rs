//! Coordinators that were looked up and then answered NOT_COORDINATOR.

use std::collections::BTreeMap;

use rdkafka::types::RDKafkaErrorCode as Code;

use sprag_core::ids::{BrokerId, GroupId};

/// After this many NOT_COORDINATOR answers in a row, librdkafka looks up the group's coordinator itself: the
/// cluster may assign groups to coordinators in another way than Kafka does. An election causes one or two.
const LIMIT: u32 = 3;

/// For each group, the number of NOT_COORDINATOR answers in a row from coordinators that were looked up.
#[derive(Default)]
pub(super) struct Refuted(BTreeMap<GroupId, u32>);

impl Refuted {
    /// Whether librdkafka must look up the group's coordinator itself, which works on any cluster.
    pub(super) fn leaves_it_to_the_client(&self, group: &GroupId) -> bool {
        self.0.get(group).is_some_and(|times| *times >= LIMIT)
    }

    /// Notes the result of a request about the group to the broker `at`; `at` is `None` if librdkafka looked
    /// up the broker, and `error` is `None` on success. If librdkafka's lookup fails too, ours gets another
    /// try: a slow election may have caused the NOT_COORDINATOR answers.
    pub(super) fn answered(&mut self, at: Option<BrokerId>, group: &GroupId, error: Option<Code>) {
        match (at, error) {
            (Some(_), None) => {
                self.0.remove(group);
            }
            (Some(_), Some(Code::NotCoordinator)) => {
                *self.0.entry(group.clone()).or_default() += 1;
            }
            (None, Some(_)) => {
                self.0.entry(group.clone()).and_modify(|times| *times = (*times).min(LIMIT - 1));
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
    fn a_failure_of_the_clients_lookup_counts_as_no_refusal() {
        let refusal = (AT, Some(Code::NotCoordinator));
        let unknown = (None, Some(Code::OperationTimedOut));
        assert!(!after(&[refusal, unknown, refusal]));
    }

    #[test]
    fn if_the_clients_lookup_fails_too_the_coordinator_that_was_looked_up_is_asked_again() {
        let refusal = (AT, Some(Code::NotCoordinator));
        for error in [Code::NotCoordinator, Code::OperationTimedOut] {
            let failed = [refusal, refusal, refusal, (None, Some(error))];
            assert!(!after(&failed), "{error:?}");
            assert!(after(&[&failed[..], &[refusal]].concat()), "{error:?}");
        }
    }
}
