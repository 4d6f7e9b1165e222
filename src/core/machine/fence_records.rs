//! Records that go to a shard's fence partition beside its take-over: incarnations, keep-alives.

use super::super::failure::{Failure, FailureClass};
use super::super::fence_log::FenceRecord;
use super::super::ids::Shard;
use super::super::shard::{Lane, ShardState};
use super::Core;
use super::timing::BackOff;

impl Core {
    pub(super) fn record_written(&mut self, shard: Shard, outcome: Result<(), Failure>) {
        let Some(state) = self.shards.get_mut(&shard) else {
            return;
        };
        let lane = std::mem::replace(&mut state.lane, Lane::Free);
        match (outcome, lane) {
            (Ok(()), _) => state.record_failures = 0,
            (Err(_), Lane::Free | Lane::Group(_)) => {}
            (Err(failure), Lane::Record(record)) => match failure.class {
                FailureClass::Stop => self.fail(failure.detail),
                FailureClass::Retry => self.put_back(shard, record),
                FailureClass::LateRequest => self.replace_producer(shard, &failure.detail),
                // Its transaction is still open, and ends with the producer.
                FailureClass::Abort
                | FailureClass::Fenced
                | FailureClass::OutcomeUnknown
                | FailureClass::GroupActive
                | FailureClass::HoldGroup
                | FailureClass::MetadataTooLarge
                | FailureClass::CommitTooLarge
                | FailureClass::Unstable
                | FailureClass::Missing => self.stand_down(shard, &failure.detail),
            },
        }
    }

    /// A record that could not be written waits, and lets the groups go first.
    fn put_back(&mut self, shard: Shard, record: FenceRecord) {
        let failed = |state: &ShardState| state.record_failures.saturating_add(1);
        let failures = self.shards.get(&shard).map_or(1, failed);
        let due = self.now + self.back_off(failures, BackOff::Connection);
        if let Some(state) = self.shards.get_mut(&shard) {
            state.record_failures = failures;
            state.records_due = due;
            state.records.push_front(record);
        }
    }
}
