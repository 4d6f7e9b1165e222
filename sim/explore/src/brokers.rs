//! The smallest brokers that can answer a core: one fence partition, one transactional.id, one mapping
//! partition, one group with one partition on either cluster, and one coordination group.

use std::collections::BTreeMap;

use sprag_core::action::{Action, Commit, Read, ReadScope, TransactionEnd};
use sprag_core::event::{
    Aftermath, Answerer, CommitDone, Event, MappingEnds, ReadDone, SourceCommit, SourceOffsets,
    TargetCommit, TargetOffsets,
};
use sprag_core::failure::{Failure, FailureClass};
use sprag_core::ids::{Fence, MappingOffset, MappingPartition, TargetOffset};
use sprag_core::policy::CommitMode;

use crate::plant::Plant;
use crate::script;
use crate::violation::{Violation, ours, overwriting};

/// Everything that both clusters store.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Brokers {
    /// The instance that the coordination group assigned the shard to.
    pub owner: Option<usize>,
    /// The newest producer epoch of the shard's transactional.id; 0 before the first one.
    pub epoch: u8,
    /// The fence partition's log end offset.
    pub fence_end: i64,
    /// The newest take-over record.
    pub take_over: Option<(Fence, String)>,
    /// The offsets of open transactions, in the order in which they were written. There is at most one,
    /// unless the fence is disabled by a plant.
    pub pending: Vec<Pending>,
    /// The group's committed offset on the target.
    pub stored: Option<TargetCommit>,
    /// Whether a consumer is a member of the group on the target.
    pub member: bool,
    /// Requests of transactions that are delayed; their clients have retried them.
    pub late: Vec<Late>,
    /// Number of mapping records.
    pub mappings: u8,
    /// Number of commits that the group has made on the source after its first one.
    pub source: u8,
    /// The broken promise.
    pub violation: Option<Violation>,
    /// Our plain commit followed another commit that the check behind it did not see: the race that the
    /// documents of `guarded` mode admit.
    pub raced: bool,
}

/// A first half: an offset that is written but not yet visible.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pending {
    /// The epoch of its producer.
    pub epoch: Option<u8>,
    /// The offset that it would commit.
    pub commit: TargetCommit,
    /// A later commit is already stored and wins.
    pub superseded: bool,
    /// The group had a member when the half was written.
    pub live: bool,
    /// The stored offset has been read since.
    pub verified: bool,
}

/// A delayed request of a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Late {
    /// The request.
    pub sent: Request,
    /// A half has been written since it was sent, so it belongs to an earlier transaction.
    pub outlived: bool,
}

/// A request in flight, with what its client knew when it sent it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Request {
    /// The action that the core ordered.
    pub action: Action,
    /// The epoch of the producer that sent it.
    pub epoch: Option<u8>,
    /// What the check behind a plain commit found.
    pub checked: Option<TargetCommit>,
}

/// The age of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Age {
    /// Current.
    Present,
    /// One commit or one record old: from a former coordinator or a lagging replica.
    Stale,
}

fn failure(class: FailureClass) -> Failure {
    Failure::new(class, format!("{class:?}"))
}

impl Brokers {
    /// The initial state: the group has committed once on the source, and one record is mapped.
    #[must_use]
    pub fn new() -> Self {
        Self {
            owner: None,
            epoch: 0,
            fence_end: 0,
            take_over: None,
            pending: Vec::new(),
            stored: None,
            member: false,
            late: Vec::new(),
            mappings: 1,
            source: 0,
            violation: None,
            raced: false,
        }
    }

    /// A foreign client commits, as a member or not.
    pub fn foreign_commit(&mut self) {
        let commit = TargetCommit { offset: TargetOffset(1020), metadata: "theirs".to_owned() };
        self.stored = Some(commit);
        for pending in &mut self.pending {
            pending.superseded = true;
        }
    }

    /// The open transaction took too long: it is aborted and its producer fenced.
    pub fn time_out(&mut self) {
        self.pending.clear();
        self.epoch += 1;
    }

    /// A delayed request arrives. Its client awaits no answer.
    pub fn late_request(&mut self, nth: usize, plant: Option<Plant>) -> Option<()> {
        if nth >= self.late.len() {
            return None;
        }
        let Late { sent, outlived } = self.late.remove(nth);
        if self.producer_of(&sent, true, plant).is_err() {
            return Some(());
        }
        match &sent.action {
            Action::Commit(Commit::WriteHalf { offsets, .. }) => {
                // The broker refuses it unless the open transaction includes offsets of the group
                // (KIP-890).
                let open = self.pending.iter_mut().find(|pending| pending.epoch == sent.epoch);
                if let (Some(pending), Some(late)) = (open, offsets.get(&script::target()))
                    && pending.commit != *late
                {
                    let (commit, epoch, live) = (late.clone(), pending.epoch, pending.live);
                    let verified = false;
                    *pending = Pending { epoch, commit, superseded: false, live, verified };
                }
            }
            Action::Commit(Commit::End { end, .. }) => {
                let pending = self.pending.iter_mut().find(|pending| pending.epoch == sent.epoch);
                if let Some(pending) = pending.filter(|_| outlived) {
                    pending.verified = false;
                }
                self.end(*end, sent.epoch);
            }
            Action::CheckAssignment { .. }
            | Action::ReadFenceLog { .. }
            | Action::InitTransactions { .. }
            | Action::WriteTakeOver { .. }
            | Action::WriteFenceRecords { .. }
            | Action::DestroyProducer { .. }
            | Action::ReleaseShard { .. }
            | Action::ReadMappings { .. }
            | Action::Read(_)
            | Action::Commit(Commit::Plain { .. })
            | Action::Report { .. }
            | Action::Stop { .. } => return None,
        }
        Some(())
    }

    /// Carries out a request; `None` if brokers do not answer this kind here.
    pub fn carry_out(
        &mut self,
        sent: &Request,
        age: Age,
        (mode, plant): (CommitMode, Option<Plant>),
    ) -> Option<Event> {
        let fenced = mode == CommitMode::Fenced;
        match &sent.action {
            Action::InitTransactions { request, .. } => {
                self.epoch += 1;
                if plant != Some(Plant::NoFence) {
                    self.pending.clear();
                }
                Some(Event::TransactionsInitialised { request: *request, outcome: Ok(()) })
            }
            Action::WriteTakeOver { request, record, .. } => {
                let outcome = self.producer_of(sent, fenced, plant).map(|()| {
                    let fence = Fence(self.fence_end);
                    // The transaction's marker takes an offset too.
                    self.fence_end += if fenced { 2 } else { 1 };
                    self.take_over = Some((fence, record.value.clone()));
                    fence
                });
                Some(Event::TakeOverWritten { request: *request, outcome })
            }
            Action::Read(read) => self.read(read, age).map(Event::Read),
            Action::Commit(commit) => Some(Event::Commit(self.commit(commit, sent, plant))),
            Action::CheckAssignment { .. }
            | Action::ReadFenceLog { .. }
            | Action::WriteFenceRecords { .. }
            | Action::DestroyProducer { .. }
            | Action::ReleaseShard { .. }
            | Action::ReadMappings { .. }
            | Action::Report { .. }
            | Action::Stop { .. } => None,
        }
    }

    fn producer_of(
        &self,
        sent: &Request,
        fenced: bool,
        plant: Option<Plant>,
    ) -> Result<(), Failure> {
        if !fenced || sent.epoch == Some(self.epoch) || plant == Some(Plant::NoFence) {
            Ok(())
        } else {
            Err(failure(FailureClass::Fenced))
        }
    }

    fn read(&mut self, read: &Read, age: Age) -> Option<ReadDone> {
        let behind = |newest: u8| match age {
            Age::Present => newest,
            Age::Stale => newest.saturating_sub(1),
        };
        match read {
            Read::MappingEnds { request, partitions } => {
                let end = MappingOffset(i64::from(behind(self.mappings)));
                let ends = partitions.iter().map(|at| (*at, Ok(end))).collect();
                let ends = MappingEnds { topic: script::MAPPING_TOPIC.id, ends };
                Some(ReadDone::MappingEnds { request: *request, outcome: Ok(ends) })
            }
            Read::SourceOffsets { request, .. } => {
                let offset = script::source_commit(behind(self.source));
                let commit = SourceCommit { offset, metadata: String::new() };
                let commits = BTreeMap::from([(script::source(), commit)]);
                // A former coordinator is asked by another client, or over another connection.
                let client = match age {
                    Age::Present => 0,
                    Age::Stale => 1,
                };
                let answered_by = Some(Answerer { client, ..Answerer::default() });
                let outcome = Ok(SourceOffsets { commits, answered_by });
                Some(ReadDone::SourceOffsets { request: *request, outcome })
            }
            Read::TargetOffsets { request, scope, stable, .. } => {
                for pending in self.pending.iter_mut().filter(|_| !stable) {
                    pending.verified = true;
                }
                let outcome = Ok(self.target_offsets(scope, *stable));
                Some(ReadDone::TargetOffsets { request: *request, outcome })
            }
            Read::ControlTopics { .. }
            | Read::Coordinators { .. }
            | Read::SourceGroups { .. }
            | Read::TargetGroups { .. }
            | Read::Topics { .. } => None,
        }
    }

    fn target_offsets(&self, scope: &ReadScope, stable: bool) -> TargetOffsets {
        let at = script::target();
        let named = match scope {
            ReadScope::AllAnd(named) => named.contains(&at) || self.stored.is_some(),
            ReadScope::Only(named) => named.contains(&at),
        };
        if !named {
            return TargetOffsets::new();
        }
        let read = if stable && !self.pending.is_empty() {
            Err(failure(FailureClass::Retry))
        } else {
            Ok(self.stored.clone())
        };
        TargetOffsets::from([(at, read)])
    }

    fn commit(&mut self, commit: &Commit, sent: &Request, plant: Option<Plant>) -> CommitDone {
        let live = self.member && plant != Some(Plant::EmptyMember);
        match commit {
            Commit::WriteHalf { request, offsets, .. } => {
                let outcome = match self.producer_of(sent, true, plant) {
                    Ok(()) if live => Err(failure(FailureClass::GroupActive)),
                    Ok(()) => {
                        self.pending.retain(|pending| pending.epoch != sent.epoch);
                        for late in self.late.iter_mut() {
                            late.outlived |= late.sent != *sent;
                        }
                        if let Some(commit) = offsets.get(&script::target()).cloned() {
                            let (epoch, live) = (sent.epoch, self.member);
                            let (superseded, verified) = (false, false);
                            self.pending.push(Pending {
                                epoch,
                                commit,
                                superseded,
                                live,
                                verified,
                            });
                        }
                        Ok(())
                    }
                    Err(fenced) => Err(fenced),
                };
                CommitDone::HalfWritten { request: *request, outcome }
            }
            Commit::End { request, end, .. } => {
                let outcome = match (self.producer_of(sent, true, plant), plant, &sent.checked) {
                    (Ok(()), _, _) => {
                        self.end(*end, sent.epoch);
                        Ok(Aftermath::Settled)
                    }
                    (Err(_), Some(Plant::RetriedAfterTakeOver), Some(half))
                        if *end == TransactionEnd::Commit =>
                    {
                        self.epoch += 1;
                        self.store(half.clone());
                        Ok(Aftermath::Settled)
                    }
                    (Err(fenced), _, _) => Err(fenced),
                };
                CommitDone::Ended { request: *request, outcome }
            }
            Commit::Plain { request, offsets, .. } => {
                let result = if live { Err(failure(FailureClass::GroupActive)) } else { Ok(()) };
                if let (Ok(()), Some(commit)) = (&result, offsets.get(&script::target())) {
                    let raced = sent.checked != self.stored;
                    self.store(commit.clone());
                    self.raced |= raced && self.violation.is_some();
                }
                let outcome = Ok(BTreeMap::from([(script::target(), result)]));
                CommitDone::Plain { request: *request, outcome }
            }
        }
    }

    /// Ends the open transaction. Without one, it was already ended and the answer was lost.
    fn end(&mut self, end: TransactionEnd, epoch: Option<u8>) {
        let Some(nth) = self.pending.iter().position(|pending| pending.epoch == epoch) else {
            return;
        };
        let Pending { commit, superseded, live, verified, .. } = self.pending.remove(nth);
        match end {
            TransactionEnd::Commit if !superseded => {
                for earlier in self.pending.iter_mut().take(nth) {
                    earlier.superseded = true;
                }
                self.store(commit);
                if !verified {
                    self.violation = self.violation.or(Some(Violation::Unverified));
                }
                if live {
                    self.violation = self.violation.or(Some(Violation::Trampled));
                }
            }
            TransactionEnd::Commit | TransactionEnd::Abort => {}
        }
    }

    fn store(&mut self, commit: TargetCommit) {
        let newest = script::source_commit(self.source);
        self.violation = self.violation.or(overwriting(self.stored.as_ref(), &commit, newest));
        self.stored = Some(commit);
    }

    /// Whether the stored offset is ours.
    #[must_use]
    pub fn holds_ours(&self) -> bool {
        self.stored.as_ref().and_then(ours).is_some()
    }
}

impl Default for Brokers {
    fn default() -> Self {
        Self::new()
    }
}

/// The only mapping partition.
pub const MAPPING_PARTITION: MappingPartition = MappingPartition(0);
