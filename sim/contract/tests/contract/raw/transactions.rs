//! Transactional producers and their offsets.

use kafka_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use kafka_protocol::messages::{
    AddOffsetsToTxnRequest, EndTxnRequest, InitProducerIdRequest, ProducerId, TransactionalId,
    TxnOffsetCommitRequest,
};
use sprag_sim::wire::Producer;

use super::offsets::{by_topic, spot};
use super::{RawRequests, text};
use crate::operation::{Code, Commits, Parts};
use crate::support::DEADLINE;
use crate::support::wait::eventually;

const INIT: i16 = 3;
const ADD: i16 = 3;
const COMMIT: i16 = 3;
const END: i16 = 3;
const TIMEOUT: i32 = 600_000;
/// What every client retries: the coordinator is being looked up or loaded (14, 15, 16), or the previous
/// transaction has not ended yet (51).
const LATER: [i16; 4] = [14, 15, 16, 51];

impl RawRequests {
    pub(super) fn init_producer_id(&mut self) -> Result<Producer, Code> {
        let request = InitProducerIdRequest::default()
            .with_transactional_id(Some(self.transactional_id()))
            .with_transaction_timeout_ms(TIMEOUT)
            .with_producer_id(ProducerId(-1))
            .with_producer_epoch(-1);
        let client = &mut self.client;
        let answer = settled(|| {
            let answer = client.ask(&request, INIT);
            (answer.error_code, answer)
        });
        Code::check(answer.error_code)?;
        Ok(Producer {
            transactional_id: self.transactional_id.clone(),
            id: answer.producer_id.0,
            epoch: answer.producer_epoch,
        })
    }

    pub(super) fn add_offsets(&mut self, producer: &Producer) -> Result<(), Code> {
        let request = AddOffsetsToTxnRequest::default()
            .with_transactional_id(self.transactional_id())
            .with_producer_id(ProducerId(producer.id))
            .with_producer_epoch(producer.epoch)
            .with_group_id(self.group.clone());
        let client = &mut self.client;
        let code = settled(|| {
            let code = client.ask(&request, ADD).error_code;
            (code, code)
        });
        Code::check(code)
    }

    pub(super) fn txn_offset_commit(
        &mut self,
        producer: &Producer,
        member: &str,
        generation: i32,
        commits: &Commits,
    ) -> Parts {
        let topics = by_topic(commits.iter(), |partition, commit| {
            TxnOffsetCommitRequestPartition::default()
                .with_partition_index(partition)
                .with_committed_offset(commit.offset)
                .with_committed_leader_epoch(commit.leader_epoch())
                .with_committed_metadata(Some(text(&commit.metadata)))
        });
        let topic = |(name, partitions)| {
            TxnOffsetCommitRequestTopic::default().with_name(name).with_partitions(partitions)
        };
        let request = TxnOffsetCommitRequest::default()
            .with_transactional_id(self.transactional_id())
            .with_group_id(self.group.clone())
            .with_producer_id(ProducerId(producer.id))
            .with_producer_epoch(producer.epoch)
            .with_generation_id(generation)
            .with_member_id(text(member))
            .with_topics(topics.into_iter().map(topic).collect());
        let answer = self.client.ask(&request, COMMIT);
        let parts = answer.topics.iter().flat_map(|topic| {
            let outcome = |at: i32, code| (spot(&topic.name, at), Code::check(code));
            topic.partitions.iter().map(move |part| outcome(part.partition_index, part.error_code))
        });
        Ok(parts.collect())
    }

    pub(super) fn end_txn(&mut self, producer: &Producer, commit: bool) -> Result<(), Code> {
        let request = EndTxnRequest::default()
            .with_transactional_id(self.transactional_id())
            .with_producer_id(ProducerId(producer.id))
            .with_producer_epoch(producer.epoch)
            .with_committed(commit);
        let client = &mut self.client;
        let code = settled(|| {
            let code = client.ask(&request, END).error_code;
            (code, code)
        });
        Code::check(code)
    }

    fn transactional_id(&self) -> TransactionalId {
        TransactionalId(text(&self.transactional_id))
    }
}

/// Sends a request until its answer is none of [`LATER`].
fn settled<T>(mut ask: impl FnMut() -> (i16, T)) -> T {
    eventually(DEADLINE, "a transaction coordinator that is ready", || {
        let (code, answer) = ask();
        if LATER.contains(&code) { Err(format!("{:?}", Code(code))) } else { Ok(answer) }
    })
}
