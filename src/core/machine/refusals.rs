//! Commits that are larger than the target's brokers accept. The next round makes a smaller one.

use super::super::decide::Decision;
use super::super::failure::{Failure, FailureClass};
use super::super::group::Aborted;
use super::super::ids::GroupId;
use super::super::limits::{partition_bytes, stamp_units, units};
use super::Core;

impl Core {
    pub(super) fn plainly_refused(&mut self, name: GroupId, decision: &Decision, failure: Failure) {
        match failure.class {
            FailureClass::MetadataTooLarge | FailureClass::CommitTooLarge => {
                let aborted = self.limit_found(&name, decision, failure);
                self.aborted(name, aborted);
            }
            FailureClass::Retry
            | FailureClass::GroupActive
            | FailureClass::HoldGroup
            | FailureClass::Fenced
            | FailureClass::Abort
            | FailureClass::OutcomeUnknown
            | FailureClass::LateRequest
            | FailureClass::Unstable
            | FailureClass::Missing
            | FailureClass::Stop => self.round_failed(name, failure),
        }
    }

    /// A commit was refused because it, or its metadata, is larger than the broker accepts. Remembers the
    /// limit, so that the next round makes a smaller one if that is possible.
    pub(super) fn limit_found(
        &mut self,
        name: &GroupId,
        decision: &Decision,
        failure: Failure,
    ) -> Aborted {
        let metadata = || decision.commits.values().map(|planned| &planned.commit.metadata);
        let longest = |of: fn(&str) -> usize| metadata().map(|text| of(text)).max().unwrap_or(0);
        let held = |failure| Aborted::Failed(Failure { class: FailureClass::HoldGroup, ..failure });
        match failure.class {
            FailureClass::MetadataTooLarge => {
                match self.limits.metadata_refused(longest(units), longest(stamp_units)) {
                    true => Aborted::Again,
                    false => held(failure),
                }
            }
            FailureClass::CommitTooLarge => {
                let bytes = decision.commits.iter().map(|(at, planned)| {
                    partition_bytes(name.as_str(), at.topic.as_str(), &planned.commit.metadata)
                });
                self.limits.commit_refused(bytes.sum());
                match decision.commits.len() > 1 {
                    true => Aborted::Again,
                    // The broker may have had another reason, so the same commit is tried again.
                    false => Aborted::Failed(failure),
                }
            }
            FailureClass::Retry
            | FailureClass::GroupActive
            | FailureClass::HoldGroup
            | FailureClass::Fenced
            | FailureClass::Abort
            | FailureClass::OutcomeUnknown
            | FailureClass::LateRequest
            | FailureClass::Unstable
            | FailureClass::Missing
            | FailureClass::Stop => held(failure),
        }
    }

    /// Ends the round of a commit that succeeded. What did not fit into the commit follows at once.
    pub(super) fn commit_round_ended(&mut self, name: &GroupId, decision: &Decision) {
        let metadata = decision.commits.values().map(|planned| &planned.commit.metadata);
        self.limits.metadata_accepted(metadata.map(|text| units(text)).max().unwrap_or(0));
        self.round_ended(name);
        if decision.more {
            self.limits.commit_accepted();
            self.rest(name, self.now);
        }
    }
}
