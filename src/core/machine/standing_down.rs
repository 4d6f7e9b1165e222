//! Drops an owner's decisions and takes its shard over again: because of another owner, an unusable
//! producer, a late request, or other mappings.

use alloc::vec::Vec;

use super::super::action::Action;
use super::super::failure::Failure;
use super::super::ids::Shard;
use super::super::note::Note;
use super::super::planted::{Bug, has};
use super::super::shard::{Life, ShardState, Step};
use super::Core;
use super::timing::BackOff;

impl Core {
    /// Another instance took the shard over, or its producer is unusable. Every decision made under the
    /// current fence is dropped, and the shard is taken over again if it is still ours.
    pub(super) fn stand_down(&mut self, shard: Shard, detail: &str) {
        if has(Bug::StandDownIgnored) {
            return self.go_on(shard, detail);
        }
        self.report(Note::StoodDown { shard, detail: detail.into() });
        self.back_to_fencing(shard, true);
    }

    /// Replaces the shard's producer, because a broker may carry out one of its requests late: inside the
    /// producer's next transaction, or after it. A new producer has a new epoch, so that the broker refuses
    /// the late request (`docs/protocol.md`, "Late requests").
    pub(super) fn replace_producer(&mut self, shard: Shard, detail: &str) {
        let Some(state) = self.shards.get(&shard) else {
            return;
        };
        if has(Bug::LateRequestIgnored) {
            return;
        }
        let ShardState { failures, regressed, revoked, records_most, .. } = *state;
        self.report(Note::ProducerReplaced { shard, detail: detail.into() });
        self.forget_decisions(shard);
        self.act(Action::DestroyProducer { shard });
        if revoked {
            return self.leave(shard);
        }
        let step = Step::CheckingAssignment;
        let new = ShardState::new(step);
        self.shards.insert(shard, ShardState { failures, regressed, records_most, ..new });
        self.begin(shard, step);
    }

    /// Takes all shards over again.
    pub(super) fn retake_all_shards(&mut self) {
        let shards: Vec<_> = self.shards.keys().copied().collect();
        for shard in shards {
            if self.takes_over(shard) {
                // The broker may still carry the take-over out, so nothing is dropped before its answer.
                if let Some(state) = self.shards.get_mut(&shard) {
                    state.begins_again = true;
                }
                continue;
            }
            self.forget_decisions(shard);
            self.act(Action::DestroyProducer { shard });
            let Some(state) = self.shards.get_mut(&shard) else {
                continue;
            };
            let ShardState { failures, regressed, revoked, .. } = *state;
            // A shard that was backing off, or checking whether it is still ours, does that first.
            let waits = match state.life {
                Life::Fencing(step @ Step::BackingOff { .. }) => Some(step),
                Life::Fencing(Step::CheckingAssignment) => Some(Step::CheckingAssignment),
                Life::Fencing(_)
                | Life::CatchingUp { .. }
                | Life::Loading { .. }
                | Life::Active { .. } => None,
            };
            let step = waits.unwrap_or(Step::ReadingLog);
            *state = ShardState { failures, regressed, revoked, ..ShardState::new(step) };
            self.begin(shard, step);
        }
    }

    /// Destroys the producer and backs off. With `check`, the coordination group is then asked whether the
    /// shard is still ours, before it is taken over again.
    fn back_to_fencing(&mut self, shard: Shard, check: bool) {
        let Some(state) = self.shards.get(&shard) else {
            return;
        };
        let failures = state.failures.saturating_add(1);
        let ShardState { regressed, revoked, records_most, .. } = *state;
        self.forget_decisions(shard);
        self.act(Action::DestroyProducer { shard });
        if revoked {
            self.leave(shard);
            return;
        }
        let until = self.now + self.back_off(failures, BackOff::Connection);
        let new = ShardState::new(Step::BackingOff { until, check });
        self.shards.insert(shard, ShardState { failures, regressed, records_most, ..new });
    }

    pub(super) fn fencing_failed(&mut self, shard: Shard, failure: Failure, check: bool) {
        if self.fail_if_stop(&failure) {
            return;
        }
        self.report(Note::FencingFailed { shard, failure });
        self.back_to_fencing(shard, check);
    }
}
