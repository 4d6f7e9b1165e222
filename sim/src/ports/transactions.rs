//! The port for the transactions of the shards' producers.

use std::cell::RefCell;
use std::collections::BTreeMap;

use sprag::ports::{Transactions, member};
use sprag_core::action::TransactionEnd;
use sprag_core::event::{Aftermath, TargetCommit};
use sprag_core::failure::{Failure, FailureClass};
use sprag_core::fence_log::FenceRecord;
use sprag_core::ids::{Fence, GroupId, Shard, TargetPartition, TopicName};
use sprag_core::policy::CommitMode;

use super::Wiring;
use super::classify::{Doing, failure};
use super::groups::committed;
use super::link::{Link, strange};
use crate::coverage::{Kind, reached};
use crate::gate::Gate;
use crate::scenario::CommitStep;
use crate::wire::{NO_GENERATION, NewRecord, Partition, Producer, Request, Response};

/// The port for the transactions of the shards' producers.
pub struct SimTransactions {
    link: Link,
    fence_topic: TopicName,
    prefix: String,
    mode: CommitMode,
    live: RefCell<BTreeMap<Shard, Owned>>,
    /// The group for which each shard's producer last wrote offsets.
    writing: RefCell<BTreeMap<Shard, GroupId>>,
    gate: Gate,
}

/// The ownership of a shard. It has no producer in `guarded` mode.
#[derive(Clone)]
struct Owned {
    producer: Option<Producer>,
    fence: Option<Fence>,
    /// One of the producer's requests was sent and never answered. A broker may still carry it out.
    unanswered: bool,
}

impl SimTransactions {
    pub(super) fn new(link: Link, wiring: &Wiring) -> Self {
        Self {
            link,
            fence_topic: wiring.fence_topic.clone(),
            prefix: wiring.transactional_prefix.clone(),
            mode: wiring.mode,
            live: RefCell::default(),
            writing: RefCell::default(),
            gate: wiring.gate.clone(),
        }
    }

    fn fence_partition(&self, shard: Shard) -> Partition {
        Partition { topic: self.fence_topic.clone(), partition: shard.get().cast_signed() }
    }

    /// The producer of the ownership with this fence.
    fn owned(&self, shard: Shard, fence: Fence) -> Result<Option<Producer>, Failure> {
        let live = self.live.borrow();
        match live.get(&shard).filter(|owned| owned.fence == Some(fence)) {
            Some(owned) => Ok(owned.producer.clone()),
            None => Err(destroyed(shard)),
        }
    }

    /// The ownership that `init` began. In `guarded` mode there is no such call, so it begins here.
    fn initialised(&self, shard: Shard) -> Result<Owned, Failure> {
        let present = self.live.borrow().get(&shard).cloned();
        match (present, self.mode) {
            (Some(owned), CommitMode::Fenced | CommitMode::Guarded) => Ok(owned),
            (None, CommitMode::Guarded) => {
                let owned = Owned { producer: None, fence: None, unanswered: false };
                self.live.borrow_mut().insert(shard, owned.clone());
                Ok(owned)
            }
            (None, CommitMode::Fenced) => Err(destroyed(shard)),
        }
    }

    async fn write(
        &self,
        shard: Shard,
        producer: Option<Producer>,
        records: &[FenceRecord],
    ) -> Result<Fence, Failure> {
        let what = format!("shard {shard}: writing to the fence topic");
        let new = |record: &FenceRecord| {
            let value = Some(record.value.clone().into_bytes());
            NewRecord { key: record.key.clone().into_bytes(), value }
        };
        let records = records.iter().map(new).collect();
        let at = self.fence_partition(shard);
        let produce = Request::Produce { at, records, producer: producer.clone() };
        let written = async {
            let answer = self.ask(shard, produce, Doing::Fencing, &what).await?;
            let Response::Produced(offset) = answer else {
                return Err(strange(&what, &answer));
            };
            if let Some(producer) = producer.clone() {
                let end = Request::EndTxn { producer, commit: true };
                self.ask(shard, end, Doing::Fencing, &what).await?;
            }
            Ok(Fence(offset))
        };
        let written = written.await;
        self.settled(shard, &producer, written)
    }

    /// Sends a request like librdkafka does, and remembers whether an attempt got no answer.
    async fn ask(
        &self,
        shard: Shard,
        request: Request,
        doing: Doing,
        what: &str,
    ) -> Result<Response, Failure> {
        let producer = self.live.borrow().get(&shard).and_then(|owned| owned.producer.clone());
        let (answer, unanswered) = self.link.ask_until(request, doing, what).await;
        if let Some(now) = self.live.borrow_mut().get_mut(&shard)
            && now.producer == producer
        {
            now.unanswered |= unanswered;
        }
        answer
    }

    /// Whether a request of this producer was never answered.
    fn is_unanswered(&self, shard: Shard, producer: &Option<Producer>) -> bool {
        let live = self.live.borrow();
        let owned = live.get(&shard).filter(|owned| owned.producer == *producer);
        producer.is_some() && owned.is_some_and(|owned| owned.unanswered)
    }

    /// The outcome of a call, or [`FailureClass::LateRequest`] if a request of the producer was never
    /// answered. A fenced outcome is kept: brokers refuse late requests of a fenced producer.
    fn settled<T>(
        &self,
        shard: Shard,
        producer: &Option<Producer>,
        outcome: Result<T, Failure>,
    ) -> Result<T, Failure> {
        let fenced = matches!(&outcome, Err(failure) if failure.class == FailureClass::Fenced);
        if fenced || !self.is_unanswered(shard, producer) {
            return outcome;
        }
        let detail = format!("shard {shard}: a request of its producer was never answered");
        Err(Failure::new(FailureClass::LateRequest, detail))
    }
}

impl Transactions for SimTransactions {
    async fn init(&self, shard: Shard) -> Result<(), Failure> {
        self.live.borrow_mut().remove(&shard);
        let what = format!("shard {shard}: initialising transactions");
        let request = Request::InitProducer {
            transactional_id: format!("{}.{shard}", self.prefix),
            timeout_millis: self.link.timing().transaction,
        };
        let answer = self.link.ask_on(request, Doing::Fencing, &what).await?;
        let Response::Initialised(producer) = answer else {
            return Err(strange(&what, &answer));
        };
        let owned = Owned { producer: Some(producer), fence: None, unanswered: false };
        self.live.borrow_mut().insert(shard, owned);
        reached(Kind::Step, "Transactions initialised");
        Ok(())
    }

    async fn take_over(&self, shard: Shard, record: &FenceRecord) -> Result<Fence, Failure> {
        let owned = self.initialised(shard)?;
        let fence = self.write(shard, owned.producer.clone(), std::slice::from_ref(record)).await?;
        if let Some(now) = self.live.borrow_mut().get_mut(&shard)
            && now.producer == owned.producer
        {
            now.fence = Some(fence);
        }
        reached(Kind::Step, "Taken over");
        Ok(fence)
    }

    async fn write_records(
        &self,
        shard: Shard,
        fence: Fence,
        records: &[FenceRecord],
    ) -> Result<(), Failure> {
        let producer = self.owned(shard, fence)?;
        self.write(shard, producer, records).await.map(|_offset| ())
    }

    async fn write_offsets(
        &self,
        shard: Shard,
        fence: Fence,
        group: &GroupId,
        offsets: &BTreeMap<TargetPartition, TargetCommit>,
    ) -> Result<(), Failure> {
        let what = format!("shard {shard}: writing offsets of group {group}");
        self.writing.borrow_mut().insert(shard, group.clone());
        self.gate.reach(CommitStep::Write, group).await;
        let Some(producer) = self.owned(shard, fence)? else {
            return Err(destroyed(shard));
        };
        let owner = Some(producer.clone());
        let request = Request::TxnOffsetCommit {
            producer,
            group: group.clone(),
            member: member().to_owned(),
            generation: NO_GENERATION,
            offsets: committed(offsets),
        };
        let answer = self.ask(shard, request, Doing::Committing, &what).await;
        let written = abortable(answer).and_then(|answer| {
            let Response::Committed(results) = answer else {
                return Err(strange(&what, &answer));
            };
            match results.into_values().find_map(Result::err) {
                Some(error) => abortable(Err(failure(error, Doing::Committing, &what))),
                None => Ok(()),
            }
        });
        self.settled(shard, &owner, written)
    }

    async fn end(
        &self,
        shard: Shard,
        fence: Fence,
        end: TransactionEnd,
    ) -> Result<Aftermath, Failure> {
        let what = format!("shard {shard}: ending a transaction ({end:?})");
        let group = self.writing.borrow().get(&shard).cloned();
        if let Some(group) = group {
            self.gate.reach(CommitStep::End, &group).await;
        }
        let Some(producer) = self.owned(shard, fence)? else {
            return Err(destroyed(shard));
        };
        let commit = match end {
            TransactionEnd::Commit => true,
            TransactionEnd::Abort => false,
        };
        let owner = Some(producer.clone());
        let request = Request::EndTxn { producer, commit };
        self.ask(shard, request, Doing::Ending, &what).await?;
        match self.is_unanswered(shard, &owner) {
            true => {
                reached(Kind::Step, "Late request possible");
                Ok(Aftermath::LateRequest)
            }
            false => Ok(Aftermath::Settled),
        }
    }

    fn destroy_producer(&self, shard: Shard) {
        self.live.borrow_mut().remove(&shard);
    }
}

/// librdkafka marks a transaction as abortable in cases that would otherwise be a retry or an unknown
/// outcome.
fn abortable<T>(answer: Result<T, Failure>) -> Result<T, Failure> {
    answer.map_err(|failure| match failure.class {
        FailureClass::Retry | FailureClass::OutcomeUnknown => {
            Failure { class: FailureClass::Abort, ..failure }
        }
        FailureClass::GroupActive
        | FailureClass::HoldGroup
        | FailureClass::Fenced
        | FailureClass::Abort
        | FailureClass::Missing
        | FailureClass::LateRequest
        | FailureClass::MetadataTooLarge
        | FailureClass::CommitTooLarge
        | FailureClass::Unstable
        | FailureClass::Stop => failure,
    })
}

fn destroyed(shard: Shard) -> Failure {
    let detail = format!("shard {shard}: its producer was destroyed");
    Failure::new(FailureClass::Fenced, detail)
}
