//! What makes an owner drop its decisions and take its shard over again: another owner, a producer
//! beyond use, a late request, other mappings.

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
    /// Another instance took the shard over, or its producer is beyond use: every decision made
    /// under the present fence is dropped, and the shard is taken over anew if it is still ours.
    pub(super) fn stand_down(&mut self, shard: Shard, detail: &str) {
        if has(Bug::StandDownIgnored) {
            return self.go_on(shard, detail);
        }
        self.report(Note::StoodDown { shard, detail: detail.into() });
        self.back_to_fencing(shard, true);
    }

    /// A broker may carry out a request of the shard's producer late: inside the next transaction of
    /// that producer, or after it. A new producer begins with a new epoch, and the broker refuses the
    /// late request (`docs/protocol.md`, "Late requests").
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

    /// All shards are taken over anew.
    pub(super) fn fence_anew(&mut self) {
        let shards: Vec<_> = self.shards.keys().copied().collect();
        for shard in shards {
            if self.takes_over(shard) {
                // The broker may yet carry it out, so nothing of the shard is given up before that.
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
            // Whoever has to ask first whether the shard is still its own has to ask still.
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

    /// Destroys the producer and waits; `check` asks the coordination group first.
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
