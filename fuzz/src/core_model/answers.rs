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
    GroupId, MappingOffset, MappingPartition, Shard, SourceOffset, TargetOffset, TargetPartition,
    TopicId, TopicName,
};
use sprag_core::request::RequestId;
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
    let request = action.request()?;
    let failed = match fault {
        Fault::Failed(class) => Some(class),
        Fault::Unknown => Some(FailureClass::OutcomeUnknown),
        Fault::Late => writes_by_producer(action).then_some(FailureClass::LateRequest),
        Fault::None | Fault::Partly(_) | Fault::Stale => None,
    };
    let effect = !matches!(fault, Fault::Failed(_));
    let carried_out = if effect { world.carry_out(action) } else { Ok(None) };
    let written = failed.map_or(carried_out, |class| Err(failure(class)));
    let outcome = written.clone().map(|_| ());
    Some(match action {
        Action::CheckAssignment { shard, .. } => {
            let ours = fault != Fault::Stale && world.assigned.contains(shard);
            Event::AssignmentChecked { request, outcome: outcome.map(|()| ours) }
        }
        Action::ReadFenceLog { of, .. } => {
            Event::FenceLogRead { request, outcome: outcome.map(|()| fence_log(world, *of, fault)) }
        }
        Action::InitTransactions { .. } => Event::TransactionsInitialised { request, outcome },
        Action::WriteTakeOver { .. } => {
            Event::TakeOverWritten { request, outcome: written.map(Option::unwrap_or_default) }
        }
        Action::WriteFenceRecords { .. } => Event::FenceRecordsWritten { request, outcome },
        Action::Read(read) => Event::Read(read_done(world, read, request, outcome, fault)),
        Action::Commit(commit) => Event::Commit(commit_done(commit, request, outcome, fault)),
        Action::DestroyProducer { .. }
        | Action::ReleaseShard { .. }
        | Action::ReadMappings { .. }
        | Action::Report { .. }
        | Action::Stop { .. } => return None,
    })
}

/// Whether a failure of `action` can say that a request of the shard's producer was not answered. The end of
/// a transaction says so with its success.
fn writes_by_producer(action: &Action) -> bool {
    matches!(
        action,
        Action::WriteTakeOver { .. }
            | Action::WriteFenceRecords { .. }
            | Action::Commit(Commit::WriteHalf { .. })
    )
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

fn read_done(
    world: &mut World,
    read: &Read,
    request: RequestId,
    done: Result<(), Failure>,
    fault: Fault,
) -> ReadDone {
    let missing = fault.partly().err();
    let lacks = usize::from(missing.is_some());
    match read {
        Read::ControlTopics { .. } => {
            let mapping = world.mapping_topic.ok_or_else(|| failure(FailureClass::Missing));
            let unread = Err(failure(FailureClass::Retry));
            let mapping = if fault == Fault::Stale { unread } else { mapping };
            let fence = fault.partly().map(|()| FENCE_TOPIC);
            ReadDone::ControlTopics {
                request,
                outcome: done.map(|()| ControlTopics { fence, mapping }),
            }
        }
        Read::MappingEnds { partitions, .. } => {
            let ends = |()| {
                let topic = world.mapping_topic.ok_or_else(|| failure(FailureClass::Missing))?;
                let exist = partitions.iter().filter(|at| at.get() < topic.partitions);
                let ends = exist.map(|at| (*at, mapping_end(world, *at, fault))).collect();
                Ok(MappingEnds { topic: topic.id, ends })
            };
            ReadDone::MappingEnds { request, outcome: done.and_then(ends) }
        }
        Read::Coordinators { side, .. } => {
            let outcome = done.map(|()| Coordinators::default());
            ReadDone::Coordinators { request, side: *side, outcome }
        }
        Read::SourceGroups { .. } => {
            let groups = world.source.keys().skip(lacks).cloned().collect();
            let listing = SourceListing { groups, missing, ..SourceListing::default() };
            ReadDone::SourceGroups { request, outcome: done.map(|()| listing) }
        }
        Read::TargetGroups { .. } => {
            let group = |name: &&str| {
                let name = GroupId::from(*name);
                let activity = world.activity.get(&name).copied();
                let exists = world.target.contains_key(&name) || activity.is_some();
                exists.then_some((name, activity.unwrap_or(GroupActivity::Empty)))
            };
            let groups = GROUPS.iter().skip(lacks).filter_map(group).collect();
            ReadDone::TargetGroups {
                request,
                outcome: done.map(|()| TargetListing { groups, missing }),
            }
        }
        Read::SourceOffsets { group, coordinator_since, .. } => {
            let outcome = done.map(|()| source_offsets(world, group, *coordinator_since, fault));
            ReadDone::SourceOffsets { request, outcome }
        }
        Read::TargetOffsets { group, scope, .. } => {
            let outcome = done.map(|()| target_offsets(world, group, scope, fault));
            ReadDone::TargetOffsets { request, outcome }
        }
        Read::Topics { source, target, source_ends, .. } => {
            let source_end = fault.partly().map(|()| SourceOffset(world.source_end));
            let id = |of, topic: &TopicName| (topic.clone(), topic_id(of, topic, fault));
            let range = |at: &TargetPartition| (at.clone(), range(world, &at.topic, fault));
            let topics = Topics {
                source: source.iter().map(|topic| id(&world.source_topics, topic)).collect(),
                target: target.iter().map(|at| id(&world.target_topics, &at.topic)).collect(),
                ranges: target.iter().map(range).collect(),
                source_ends: source_ends
                    .iter()
                    .map(|at| (at.clone(), source_end.clone()))
                    .collect(),
            };
            ReadDone::Topics { request, outcome: done.map(|()| topics) }
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

fn commit_done(
    commit: &Commit,
    request: RequestId,
    outcome: Result<(), Failure>,
    fault: Fault,
) -> CommitDone {
    match commit {
        Commit::WriteHalf { .. } => CommitDone::HalfWritten { request, outcome },
        Commit::End { .. } => {
            let late = fault == Fault::Late;
            let aftermath = if late { Aftermath::LateRequest } else { Aftermath::Settled };
            CommitDone::Ended { request, outcome: outcome.map(|()| aftermath) }
        }
        Commit::Plain { offsets, .. } => {
            let mut results: BTreeMap<_, _> =
                offsets.keys().map(|at| (at.clone(), Ok(()))).collect();
            if let (Err(failure), Some(mut last)) = (fault.partly(), results.last_entry()) {
                *last.get_mut() = Err(failure);
            }
            CommitDone::Plain { request, outcome: outcome.map(|()| results) }
        }
    }
}
