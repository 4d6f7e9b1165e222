//! The answer to an order, from what the clusters hold; or a failure, or part of one.

use std::collections::BTreeMap;

use super::world::{FENCE_TOPIC, GROUPS, World, id};
use crate::core::action::{Action, Commit, Read, ReadScope};
use crate::core::event::{
    CommitDone, ControlTopics, Event, GroupActivity, LogRange, ReadDone, TargetOffsets, Topics,
};
use crate::core::failure::{Failure, FailureClass};
use crate::core::fence_log::FenceLog;
use crate::core::ids::{
    GroupId, MappingOffset, MappingPartition, Shard, SourceOffset, TargetOffset, TopicId, TopicName,
};

/// What goes wrong with an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    None,
    /// Nothing took effect.
    Failed(FailureClass),
    /// It took effect, and nobody knows.
    Unknown,
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
        Fault::None | Fault::Partly(_) | Fault::Stale | Fault::Unknown => world.carry_out(action),
    };
    let written = match fault {
        Fault::Failed(class) => Err(failure(class)),
        Fault::Unknown => Err(failure(FailureClass::OutcomeUnknown)),
        Fault::None | Fault::Partly(_) | Fault::Stale => carried_out,
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
        Action::WriteFenceRecord { .. } => Event::FenceRecordWritten { request, outcome: done },
        Action::Read(read) => Event::Read(read_done(world, read, done, fault)),
        Action::Commit(commit) => Event::Commit(commit_done(commit, done, fault)),
        Action::DestroyProducer { .. }
        | Action::ReleaseShard { .. }
        | Action::ReadMappings { .. }
        | Action::Report { .. }
        | Action::Stop { .. } => return None,
    })
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
            let exist = world.mapping_topic.map_or(2, |topic| topic.partitions);
            let exist = partitions.iter().filter(|at| at.get() < exist);
            let ends = |()| exist.map(|at| (*at, mapping_end(world, *at, fault))).collect();
            ReadDone::MappingEnds { request: *request, outcome: done.map(ends) }
        }
        Read::SourceGroups { request } => {
            let outcome = done.map(|()| world.source.keys().cloned().collect());
            ReadDone::SourceGroups { request: *request, outcome }
        }
        Read::TargetGroups { request } => {
            let group = |name: &&str| {
                let name = GroupId::from(*name);
                let activity = world.activity.get(&name).copied();
                let stands = world.target.contains_key(&name) || activity.is_some();
                stands.then_some((name, activity.unwrap_or(GroupActivity::Empty)))
            };
            let outcome = done.map(|()| GROUPS.iter().filter_map(group).collect());
            ReadDone::TargetGroups { request: *request, outcome }
        }
        Read::SourceOffsets { request, group, coordinator_since } => {
            let before = world.source_before.get(group).cloned();
            let stale = fault == Fault::Stale && coordinator_since.is_none();
            let outcome = done.map(|()| {
                let read = match stale {
                    true => before,
                    false => world.source.get(group).cloned(),
                };
                world.source_before.insert(group.clone(), read.clone().unwrap_or_default());
                read.unwrap_or_default()
            });
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
        Commit::End { request, .. } => CommitDone::Ended { request: *request, outcome: done },
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
