//! The answer to an order, from what the clusters hold; or a failure, or part of one.

use std::collections::BTreeMap;

use super::world::{FENCE_TOPIC, GROUPS, World, id};
use sprag_core::action::{Action, Commit, Read, ReadScope};
use sprag_core::coordinators::Coordinators;
use sprag_core::event::{
    Aftermath, Answerer, CommitDone, ControlTopics, Event, GroupActivity, LogRange, MappingEnds,
    ReadDone, SourceListing, SourceOffsets, TargetListing, TargetOffsets, Topics,
};
use sprag_core::failure::{Failure, FailureClass};
use sprag_core::fence_log::FenceLog;
use sprag_core::ids::{
    GroupId, MappingOffset, MappingPartition, Shard, SourceOffset, TargetOffset, TopicId, TopicName,
};
use sprag_core::time::Instant;

/// What goes wrong with an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    None,
    /// Nothing took effect.
    Failed(FailureClass),
    /// It took effect, and nobody knows.
    Unknown,
    /// It took effect, and one of its requests may take effect once more.
    Late,
    /// A part of a read failed.
    Partly(FailureClass),
    /// A coordinator that lost its leadership answers.
    Stale,
}

impl Fault {
    fn partly(self) -> Result<(), Failure> {
        if let Self::Partly(class) = self { Err(failure(class)) } else { Ok(()) }
    }
}

fn failure(class: FailureClass) -> Failure {
    Failure::new(class, format!("{class:?}"))
}

/// The event that answers `action`.
pub(super) fn answer(world: &mut World, action: &Action, fault: Fault) -> Option<Event> {
    let carried_out = match fault {
        Fault::Failed(_) => Ok(None),
        Fault::None | Fault::Partly(_) | Fault::Stale | Fault::Unknown | Fault::Late => {
            world.carry_out(action)
        }
    };
    let written = match fault {
        Fault::Failed(class) => Err(failure(class)),
        Fault::Unknown => Err(failure(FailureClass::OutcomeUnknown)),
        Fault::Late if writes_by_producer(action) => Err(failure(FailureClass::LateRequest)),
        Fault::None | Fault::Partly(_) | Fault::Stale | Fault::Late => carried_out,
    };
    let done = written.clone().map(|_| ());
    let request = action.request()?;
    Some(match action {
        Action::CheckAssignment { shard, .. } => {
            let ours = fault != Fault::Stale && world.assigned.contains(shard);
            Event::AssignmentChecked { request, outcome: done.map(|()| ours) }
        }
        Action::ReadFenceLog { of, .. } => {
            Event::FenceLogRead { request, outcome: done.map(|()| fence_log(world, *of, fault)) }
        }
        Action::InitTransactions { .. } => {
            Event::TransactionsInitialised { request, outcome: done }
        }
        Action::WriteTakeOver { .. } => {
            Event::TakeOverWritten { request, outcome: written.map(Option::unwrap_or_default) }
        }
        Action::WriteFenceRecords { .. } => Event::FenceRecordsWritten { request, outcome: done },
        Action::Read(read) => Event::Read(read_done(world, read, done, fault)),
        Action::Commit(commit) => Event::Commit(commit_done(commit, done, fault)),
        Action::DestroyProducer { .. }
        | Action::ReleaseShard { .. }
        | Action::ReadMappings { .. }
        | Action::Report { .. }
        | Action::Stop { .. } => return None,
    })
}

/// Whether a failure of `action` can say that a request of the shard's producer was not answered. The
/// end of a transaction succeeds, and says it with that.
fn writes_by_producer(action: &Action) -> bool {
    match action {
        Action::WriteTakeOver { .. }
        | Action::WriteFenceRecords { .. }
        | Action::Commit(Commit::WriteHalf { .. }) => true,
        Action::Commit(Commit::End { .. } | Commit::Plain { .. })
        | Action::CheckAssignment { .. }
        | Action::ReadFenceLog { .. }
        | Action::InitTransactions { .. }
        | Action::DestroyProducer { .. }
        | Action::ReleaseShard { .. }
        | Action::ReadMappings { .. }
        | Action::Read(_)
        | Action::Report { .. }
        | Action::Stop { .. } => false,
    }
}

/// A log that another pipeline wrote, where the fault is a stale answer.
fn fence_log(world: &World, shard: Shard, fault: Fault) -> FenceLog {
    let mut newest = world.fence_logs.get(&shard).cloned().unwrap_or_default();
    if fault == Fault::Stale
        && let Some((_, record)) = newest.get_mut("takeover")
    {
        *record = record.replace("\"name\":\"dr\"", "\"name\":\"other\"");
    }
    FenceLog { newest, members: Some(1) }
}

fn read_done(world: &mut World, read: &Read, done: Result<(), Failure>, fault: Fault) -> ReadDone {
    match read {
        Read::ControlTopics { request } => {
            let control = |()| ControlTopics {
                fence: fault.partly().map(|()| FENCE_TOPIC),
                mapping: match fault == Fault::Stale {
                    true => Err(failure(FailureClass::Retry)),
                    false => world.mapping_topic.ok_or_else(|| failure(FailureClass::Missing)),
                },
            };
            ReadDone::ControlTopics { request: *request, outcome: done.map(control) }
        }
        Read::MappingEnds { request, partitions } => {
            let ends = |()| {
                let topic = world.mapping_topic.ok_or_else(|| failure(FailureClass::Missing))?;
                let exist = partitions.iter().filter(|at| at.get() < topic.partitions);
                let ends = exist.map(|at| (*at, mapping_end(world, *at, fault))).collect();
                Ok(MappingEnds { topic: topic.id, ends })
            };
            ReadDone::MappingEnds { request: *request, outcome: done.and_then(ends) }
        }
        Read::Coordinators { request, side } => {
            let outcome = done.map(|()| Coordinators::default());
            ReadDone::Coordinators { request: *request, side: *side, outcome }
        }
        Read::SourceGroups { request } => {
            let missing = fault.partly().err();
            let lacks = usize::from(missing.is_some());
            let groups = world.source.keys().skip(lacks).cloned().collect();
            let listing = |()| SourceListing { groups, missing, ..SourceListing::default() };
            ReadDone::SourceGroups { request: *request, outcome: done.map(listing) }
        }
        Read::TargetGroups { request } => {
            let group = |name: &&str| {
                let name = GroupId::from(*name);
                let activity = world.activity.get(&name).copied();
                let stands = world.target.contains_key(&name) || activity.is_some();
                stands.then_some((name, activity.unwrap_or(GroupActivity::Empty)))
            };
            let missing = fault.partly().err();
            let lacks = usize::from(missing.is_some());
            let groups = GROUPS.iter().skip(lacks).filter_map(group).collect();
            let outcome = done.map(|()| TargetListing { groups, missing });
            ReadDone::TargetGroups { request: *request, outcome }
        }
        Read::SourceOffsets { request, group, coordinator: _, coordinator_since } => {
            let outcome = done.map(|()| source_offsets(world, group, *coordinator_since, fault));
            ReadDone::SourceOffsets { request: *request, outcome }
        }
        Read::TargetOffsets { request, group, scope, .. } => {
            let outcome = done.map(|()| target_offsets(world, group, scope, fault));
            ReadDone::TargetOffsets { request: *request, outcome }
        }
        Read::Topics { request, source, target, source_ends } => {
            let topics = |()| Topics {
                source: source
                    .iter()
                    .map(|topic| (topic.clone(), topic_id(&world.source_topics, topic, fault)))
                    .collect(),
                target: target
                    .iter()
                    .map(|at| (at.topic.clone(), topic_id(&world.target_topics, &at.topic, fault)))
                    .collect(),
                ranges: target
                    .iter()
                    .map(|at| (at.clone(), range(world, &at.topic, fault)))
                    .collect(),
                source_ends: source_ends
                    .iter()
                    .map(|at| (at.clone(), fault.partly().map(|()| SourceOffset(world.source_end))))
                    .collect(),
            };
            ReadDone::Topics { request: *request, outcome: done.map(topics) }
        }
    }
}

/// What the group has committed; or what was answered before, where the fault is a stale answer and no
/// coordinator had to be looked up since.
fn source_offsets(
    world: &mut World,
    group: &GroupId,
    coordinator_since: Option<Instant>,
    fault: Fault,
) -> SourceOffsets {
    let client = coordinator_since.map_or(0, |since| since.as_millis() + 1);
    let before = world.source_before.get(group);
    let before = before.filter(|(answered, _)| fault == Fault::Stale && client <= *answered);
    let commits = match before {
        Some((_, commits)) => commits.clone(),
        None => world.source.get(group).cloned().unwrap_or_default(),
    };
    world.source_before.insert(group.clone(), (world.now, commits.clone()));
    let answerer = Answerer { client, coordinator: None, connection: world.connection };
    SourceOffsets { commits, answered_by: fault.partly().is_ok().then_some(answerer) }
}

/// One too far, of a log that lost records since, where the fault is a stale answer.
fn mapping_end(
    world: &World,
    at: MappingPartition,
    fault: Fault,
) -> Result<MappingOffset, Failure> {
    if at.get() == 1 {
        fault.partly()?;
    }
    let end = world.mappings.get(&at).map_or(0, Vec::len) + usize::from(fault == Fault::Stale);
    Ok(MappingOffset(i64::try_from(end).unwrap_or(i64::MAX)))
}

fn target_offsets(
    world: &World,
    group: &GroupId,
    scope: &ReadScope,
    fault: Fault,
) -> TargetOffsets {
    let (ReadScope::AllAnd(named) | ReadScope::Only(named)) = scope;
    let all = matches!(scope, ReadScope::AllAnd(_));
    let stored = world.target.get(group).into_iter().flatten();
    let mut read: TargetOffsets = named.iter().map(|at| (at.clone(), Ok(None))).collect();
    read.extend(
        stored
            .filter(|(at, _)| all || named.contains(*at))
            .map(|(at, commit)| (at.clone(), Ok(Some(commit.clone())))),
    );
    if let (Err(failure), Some(mut last)) = (fault.partly(), read.last_entry()) {
        *last.get_mut() = Err(failure);
    }
    read
}

fn topic_id(
    of: &BTreeMap<&'static str, Option<u8>>,
    topic: &TopicName,
    fault: Fault,
) -> Result<TopicId, Failure> {
    fault.partly()?;
    let made = of.get(topic.as_str().trim_start_matches("main.")).copied().flatten();
    made.map(|made| id(Some(made))).ok_or_else(|| failure(FailureClass::Missing))
}

fn range(world: &World, topic: &TopicName, fault: Fault) -> Result<LogRange, Failure> {
    topic_id(&world.target_topics, topic, Fault::None)?;
    if fault == Fault::Stale {
        return Err(failure(FailureClass::Retry));
    }
    Ok(LogRange { start: TargetOffset(world.range.0), end: TargetOffset(world.range.1) })
}

fn commit_done(commit: &Commit, done: Result<(), Failure>, fault: Fault) -> CommitDone {
    match commit {
        Commit::WriteHalf { request, .. } => {
            CommitDone::HalfWritten { request: *request, outcome: done }
        }
        Commit::End { request, .. } => {
            let late = fault == Fault::Late;
            let aftermath = if late { Aftermath::LateRequest } else { Aftermath::Settled };
            CommitDone::Ended { request: *request, outcome: done.map(|()| aftermath) }
        }
        Commit::Plain { request, offsets, .. } => {
            let mut results: BTreeMap<_, _> =
                offsets.keys().map(|at| (at.clone(), Ok(()))).collect();
            if let (Err(failure), Some(mut last)) = (fault.partly(), results.last_entry()) {
                *last.get_mut() = Err(failure);
            }
            CommitDone::Plain { request: *request, outcome: done.map(|()| results) }
        }
    }
}
