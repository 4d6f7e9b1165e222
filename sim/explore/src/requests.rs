//! Kinds of requests: those with a fixed answer, and what follows if no answer arrives, as in the product's
//! error table for a time-out.

use std::collections::BTreeMap;

use sprag_core::action::{Action, Commit, Read};
use sprag_core::coordinators::Coordinators;
use sprag_core::event::{
    CommitDone, ControlTopics, Event, GroupActivity, ReadDone, SourceListing, TargetListing, Topics,
};
use sprag_core::failure::{Failure, FailureClass};

use crate::script;

/// The answer to a read of something that never changes in this world. Whether the group has members is
/// unknown, so the broker's own check must decide.
#[must_use]
pub fn fixed(read: &Read) -> Option<Event> {
    let done = match read {
        Read::ControlTopics { request } => {
            let topics = ControlTopics {
                fence: Ok(script::FENCE_TOPIC),
                mapping: Ok(script::MAPPING_TOPIC),
            };
            ReadDone::ControlTopics { request: *request, outcome: Ok(topics) }
        }
        Read::Coordinators { request, side } => {
            let outcome = Ok(Coordinators::default());
            ReadDone::Coordinators { request: *request, side: *side, outcome }
        }
        Read::SourceGroups { request } => {
            let listing =
                SourceListing { groups: vec![script::group()], ..SourceListing::default() };
            ReadDone::SourceGroups { request: *request, outcome: Ok(listing) }
        }
        Read::TargetGroups { request } => {
            let groups = BTreeMap::from([(script::group(), GroupActivity::Unknown)]);
            let outcome = Ok(TargetListing { groups, missing: None });
            ReadDone::TargetGroups { request: *request, outcome }
        }
        Read::Topics { request, source, target, .. } => {
            let topics = Topics {
                source: source.iter().map(|at| (at.clone(), Ok(script::SOURCE_TOPIC))).collect(),
                target: target
                    .iter()
                    .map(|at| (at.topic.clone(), Ok(script::TARGET_TOPIC)))
                    .collect(),
                ranges: target.iter().map(|at| (at.clone(), Ok(script::LOG))).collect(),
                source_ends: BTreeMap::new(),
            };
            ReadDone::Topics { request: *request, outcome: Ok(topics) }
        }
        Read::MappingEnds { .. } | Read::SourceOffsets { .. } | Read::TargetOffsets { .. } => {
            return None;
        }
    };
    Some(Event::Read(done))
}

/// The event for the core when no answer arrives: a read failed, a write may have taken effect.
#[must_use]
pub fn unanswered(action: &Action) -> Option<Event> {
    let class = if writes(action) { FailureClass::OutcomeUnknown } else { FailureClass::Retry };
    failed(action, class)
}

/// Whether the request changes anything on the brokers.
#[must_use]
pub fn writes(action: &Action) -> bool {
    match action {
        Action::InitTransactions { .. }
        | Action::WriteTakeOver { .. }
        | Action::WriteFenceRecords { .. }
        | Action::Commit(_) => true,
        Action::CheckAssignment { .. }
        | Action::ReadFenceLog { .. }
        | Action::DestroyProducer { .. }
        | Action::ReleaseShard { .. }
        | Action::ReadMappings { .. }
        | Action::Read(_)
        | Action::Report { .. }
        | Action::Stop { .. } => false,
    }
}

/// Whether the request belongs to a shard's transaction.
#[must_use]
pub fn is_of_transaction(action: &Action) -> bool {
    matches!(action, Action::Commit(Commit::WriteHalf { .. } | Commit::End { .. }))
}

/// The answer to a request that failed.
#[must_use]
pub fn failed(action: &Action, class: FailureClass) -> Option<Event> {
    let failure = Failure::new(class, format!("{class:?}"));
    let event = match action {
        Action::InitTransactions { request, .. } => {
            Event::TransactionsInitialised { request: *request, outcome: Err(failure) }
        }
        Action::WriteTakeOver { request, .. } => {
            Event::TakeOverWritten { request: *request, outcome: Err(failure) }
        }
        Action::Read(Read::MappingEnds { request, .. }) => {
            Event::Read(ReadDone::MappingEnds { request: *request, outcome: Err(failure) })
        }
        Action::Read(Read::SourceOffsets { request, .. }) => {
            Event::Read(ReadDone::SourceOffsets { request: *request, outcome: Err(failure) })
        }
        Action::Read(Read::TargetOffsets { request, .. }) => {
            Event::Read(ReadDone::TargetOffsets { request: *request, outcome: Err(failure) })
        }
        Action::Commit(Commit::WriteHalf { request, .. }) => {
            Event::Commit(CommitDone::HalfWritten { request: *request, outcome: Err(failure) })
        }
        Action::Commit(Commit::End { request, .. }) => {
            Event::Commit(CommitDone::Ended { request: *request, outcome: Err(failure) })
        }
        Action::Commit(Commit::Plain { request, .. }) => {
            Event::Commit(CommitDone::Plain { request: *request, outcome: Err(failure) })
        }
        Action::CheckAssignment { .. }
        | Action::ReadFenceLog { .. }
        | Action::WriteFenceRecords { .. }
        | Action::Read(
            Read::ControlTopics { .. }
            | Read::Coordinators { .. }
            | Read::SourceGroups { .. }
            | Read::TargetGroups { .. }
            | Read::Topics { .. },
        )
        | Action::DestroyProducer { .. }
        | Action::ReleaseShard { .. }
        | Action::ReadMappings { .. }
        | Action::Report { .. }
        | Action::Stop { .. } => return None,
    };
    Some(event)
}
