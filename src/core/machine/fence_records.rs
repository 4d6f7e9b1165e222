//! The records of a shard's fence partition other than take-overs: incarnations and keep-alives
//! (`docs/protocol.md`, "The fence log").

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::super::action::Action;
use super::super::failure::{Failure, FailureClass};
use super::super::fence_log::{FenceRecord, keep_alive};
use super::super::ids::{Fence, MappingTopicTag, Shard, TopicName};
use super::super::shard::{Lane, Records};
use super::incarnations::Floors;
use super::timing::BackOff;
use super::{Core, Waiter};

/// How many bytes of records one transaction writes at most: a quarter of the largest batch that a broker
/// accepts by default (`max.message.bytes`).
const MOST_BYTES: usize = 256 * 1024;
/// How many bytes a record takes in addition to its key and value.
const RECORD_BYTES: usize = 32;

impl Core {
    /// Writes the next records of the shard in one transaction. Returns false if none are due.
    pub(super) fn write_records(&mut self, shard: Shard, fence: Fence) -> bool {
        let Some(state) = self.shards.get_mut(&shard) else {
            return false;
        };
        if state.records.is_empty() || state.records_due > self.now {
            return false;
        }
        let known = (&self.floors, self.index.tag());
        let (batch, records) = next_batch(&mut state.records, state.records_most, fence, known);
        if records.is_empty() {
            return false;
        }
        state.record_was_last = true;
        state.lane = Lane::Records(batch);
        let request = self.requests.ask(Waiter::Shard(shard));
        self.act(Action::WriteFenceRecords { request, shard, fence, records });
        true
    }

    pub(super) fn records_written(&mut self, shard: Shard, outcome: Result<(), Failure>) {
        let Some(state) = self.shards.get_mut(&shard) else {
            return;
        };
        let lane = core::mem::replace(&mut state.lane, Lane::Free);
        if let (Err(_), Lane::Records(batch)) = (&outcome, &lane) {
            // The batch may have been too large. The shard's next producer keeps this limit.
            state.records_most = (batch.len() / 2).max(1);
        }
        match (outcome, lane) {
            (Ok(()), _) => state.record_failures = 0,
            (Err(_), Lane::Free | Lane::Group(_)) => {}
            (Err(failure), Lane::Records(batch)) => match failure.class {
                FailureClass::Stop => self.fail(failure.detail),
                FailureClass::Retry => self.put_back(shard, batch),
                FailureClass::LateRequest => self.replace_producer(shard, &failure.detail),
                // The transaction is still open, and ends with the producer.
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

    /// Puts records that could not be written back into the queue. They wait for a back-off; groups do not.
    fn put_back(&mut self, shard: Shard, batch: Records) {
        let failures =
            self.shards.get(&shard).map_or(1, |state| state.record_failures.saturating_add(1));
        let due = self.now + self.back_off(failures, BackOff::Connection);
        if let Some(state) = self.shards.get_mut(&shard) {
            state.record_failures = failures;
            state.records_due = due;
            state.records.put_back(batch);
        }
    }
}

/// Takes the next transaction's batch out of `waiting`. Returns it with its records.
fn next_batch(
    waiting: &mut Records,
    most: usize,
    fence: Fence,
    (floors, present): (&BTreeMap<(TopicName, TopicName), Floors>, Option<MappingTopicTag>),
) -> (Records, Vec<FenceRecord>) {
    let mut batch = Records { keep_alive: waiting.keep_alive, ..Records::default() };
    let mut records = Vec::new();
    if core::mem::take(&mut waiting.keep_alive) {
        records.push(keep_alive(fence));
    }
    let mut bytes = 0;
    while records.len() < most
        && let Some(topics) = waiting.incarnations.first()
    {
        let floor = present.and_then(|present| floors.get(topics)?.get(&present));
        if let Some(record) = floor.map(|floor| floor.record(&topics.0, &topics.1)) {
            bytes += RECORD_BYTES + record.key.len() + record.value.len();
            if bytes > MOST_BYTES && !records.is_empty() {
                break;
            }
            records.push(record);
        }
        batch.incarnations.extend(waiting.incarnations.pop_first());
    }
    (batch, records)
}
