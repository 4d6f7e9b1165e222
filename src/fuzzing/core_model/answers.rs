//! The answer to an order, from what the clusters hold; or a failure, or half of one.

use std::collections::{BTreeMap, BTreeSet};

use crate::core::action::{Action, Commit, Read, ReadScope};
use crate::core::event::{
    CommitDone, ControlTopics, Event, FenceTopic, LogRange, ReadDone, SourceCommit, TargetCommit,
    Topics,
};
use crate::core::failure::{Failure, FailureClass};
use crate::core::fence_log::FenceLog;
use crate::core::ids::{
    GroupId, MappingOffset, MappingPartition, Shard, SourceOffset, SourcePartition, TargetOffset,
    TargetPartition, TopicId, TopicName,
};

use super::world::{GROUPS, SHARDS, World};

pub(super) const FENCE_TOPIC: FenceTopic = FenceTopic { id: TopicId([9; 16]), shards: SHARDS };

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

fn failure(class: FailureClass) -> Failure {
    Failure::new(class, format!("{class:?}"))
}

/// The event that answers `action`.
pub(super) fn answer(world: &mut World, action: &Action, fault: Fault) -> Option<Event> {
    let failed = match fault {
        Fault::Failed(class) => Some(failure(class)),
        Fault::Unknown => Some(failure(FailureClass::OutcomeUnknown)),
        Fault::None | Fault::Partly(_) | Fault::Stale => None,
    };
    let carried_out = match fault {
        Fault::Failed(_) => Ok(None),
        Fault::None | Fault::Partly(_) | Fault::Stale | Fault::Unknown => world.carry_out(action),
    };
    let done = match failed {
        Some(failure) => Err(failure),
        None => carried_out,
    };
    let event = match action {
        Action::CheckAssignment { request, shard } => {
            let outcome = done.map(|_| fault != Fault::Stale && world.assigned.contains(shard));
            Event::AssignmentChecked { request: *request, outcome }
        }
        Action::ReadFenceLog { request, of, .. } => {
            let outcome = done.map(|_| fence_log(world, *of, fault));
            Event::FenceLogRead { request: *request, outcome }
        }
        Action::InitTransactions { request, .. } => {
            Event::TransactionsInitialised { request: *request, outcome: done.map(|_| ()) }
        }
        Action::WriteTakeOver { request, .. } => {
            let outcome = done.map(Option::unwrap_or_default);
            Event::TakeOverWritten { request: *request, outcome }
        }
        Action::WriteFenceRecord { request, .. } => {
            Event::FenceRecordWritten { request: *request, outcome: done.map(|_| ()) }
        }
        Action::Read(read) => Event::Read(read_done(world, read, done.map(|_| ()), fault)),
        Action::Commit(commit) => Event::Commit(commit_done(commit, done.map(|_| ()), fault)),
        Action::DestroyProducer { .. }
        | Action::ReleaseShard { .. }
        | Action::ReadMappings { .. }
        | Action::Report { .. }
        | Action::Stop { .. } => return None,
    };
    Some(event)
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
            let outcome = done.map(|()| control(world, fault));
            ReadDone::ControlTopics { request: *request, outcome }
        }
        Read::MappingEnds { request, partitions } => {
            let asked = |(at, _): &(MappingPartition, _)| partitions.contains(at);
            let ends = |()| mapping_ends(world, fault).into_iter().filter(asked).collect();
            let outcome = done.map(ends);
            ReadDone::MappingEnds { request: *request, outcome }
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
                let empty = crate::core::event::GroupActivity::Empty;
                stands.then_some((name, activity.unwrap_or(empty)))
            };
            let outcome = done.map(|()| GROUPS.iter().filter_map(group).collect());
            ReadDone::TargetGroups { request: *request, outcome }
        }
        Read::SourceOffsets { request, group, coordinator_since } => {
            let stale = fault == Fault::Stale && coordinator_since.is_none();
            let outcome = done.map(|()| source_offsets(world, group, stale));
            ReadDone::SourceOffsets { request: *request, outcome }
        }
        Read::TargetOffsets { request, group, scope, .. } => {
            let outcome = done.map(|()| target_offsets(world, group, scope, fault));
            ReadDone::TargetOffsets { request: *request, outcome }
        }
        Read::Topics { request, source, target, source_ends } => {
            let outcome = done.map(|()| topics(world, source, target, source_ends, fault));
            ReadDone::Topics { request: *request, outcome }
        }
    }
}

/// Everything asked for, as it is.
pub(super) fn topics(
    world: &World,
    source: &BTreeSet<TopicName>,
    target: &BTreeSet<TargetPartition>,
    source_ends: &BTreeSet<SourcePartition>,
    fault: Fault,
) -> Topics {
    let of_source = |topic: &TopicName| topic_id(&world.source_topics, topic, fault);
    let of_target = |topic: &TopicName| topic_id(&world.target_topics, topic, fault);
    Topics {
        source: source.iter().map(|topic| (topic.clone(), of_source(topic))).collect(),
        target: target.iter().map(|at| (at.topic.clone(), of_target(&at.topic))).collect(),
        ranges: target.iter().map(|at| (at.clone(), range(world, at, fault))).collect(),
        source_ends: source_ends.iter().map(|at| (at.clone(), source_end(world, fault))).collect(),
    }
}

fn control(world: &World, fault: Fault) -> ControlTopics {
    let missing = || failure(FailureClass::Missing);
    ControlTopics {
        fence: match fault {
            Fault::Partly(class) => Err(failure(class)),
            Fault::None | Fault::Failed(_) | Fault::Unknown | Fault::Stale => Ok(FENCE_TOPIC),
        },
        mapping: match fault {
            Fault::Stale => Err(failure(FailureClass::Retry)),
            Fault::None | Fault::Failed(_) | Fault::Unknown | Fault::Partly(_) => {
                world.mapping_topic.ok_or_else(missing)
            }
        },
    }
}

type Ends = BTreeMap<MappingPartition, Result<MappingOffset, Failure>>;

fn mapping_ends(world: &World, fault: Fault) -> Ends {
    let partitions = world.mapping_topic.map_or(2, |topic| topic.partitions);
    let end = |partition: MappingPartition| {
        let len = world.mappings.get(&partition).map_or(0, Vec::len);
        let end = MappingOffset(i64::try_from(len).unwrap_or(i64::MAX));
        match fault {
            Fault::Partly(class) if partition.get() == 1 => Err(failure(class)),
            // Of a log that lost records since.
            Fault::Stale => Ok(MappingOffset(end.get() + 1)),
            Fault::None | Fault::Failed(_) | Fault::Unknown | Fault::Partly(_) => Ok(end),
        }
    };
    (0..partitions).map(MappingPartition).map(|at| (at, end(at))).collect()
}

fn source_offsets(
    world: &mut World,
    group: &GroupId,
    stale: bool,
) -> BTreeMap<SourcePartition, SourceCommit> {
    if stale {
        return world.source_before.get(group).cloned().unwrap_or_default();
    }
    let offsets = world.source.get(group).cloned().unwrap_or_default();
    world.source_before.insert(group.clone(), offsets.clone());
    offsets
}

pub(super) fn target_offsets(
    world: &World,
    group: &GroupId,
    scope: &ReadScope,
    fault: Fault,
) -> BTreeMap<TargetPartition, Result<Option<TargetCommit>, Failure>> {
    let (all, named) = match scope {
        ReadScope::AllAnd(named) => (true, named),
        ReadScope::Only(named) => (false, named),
    };
    let stored = world.target.get(group).cloned().unwrap_or_default();
    let mut read: BTreeMap<_, _> = named.iter().map(|at| (at.clone(), Ok(None))).collect();
    for (at, commit) in stored {
        if all || named.contains(&at) {
            read.insert(at, Ok(Some(commit)));
        }
    }
    if let (Fault::Partly(class), Some(mut last)) = (fault, read.last_entry()) {
        *last.get_mut() = Err(failure(class));
    }
    read
}

fn topic_id(
    of: &BTreeMap<&'static str, Option<u8>>,
    topic: &TopicName,
    fault: Fault,
) -> Result<TopicId, Failure> {
    if let Fault::Partly(class) = fault {
        return Err(failure(class));
    }
    let name = topic.as_str().trim_start_matches("main.");
    let made = of.get(name).copied().flatten();
    made.map(|made| TopicId([made; 16])).ok_or_else(|| failure(FailureClass::Missing))
}

fn range(world: &World, at: &TargetPartition, fault: Fault) -> Result<LogRange, Failure> {
    topic_id(&world.target_topics, &at.topic, Fault::None)?;
    if fault == Fault::Stale {
        return Err(failure(FailureClass::Retry));
    }
    let (start, end) = world.range;
    Ok(LogRange { start: TargetOffset(start), end: TargetOffset(end) })
}

fn source_end(world: &World, fault: Fault) -> Result<SourceOffset, Failure> {
    match fault {
        Fault::Partly(class) => Err(failure(class)),
        Fault::None | Fault::Failed(_) | Fault::Unknown | Fault::Stale => {
            Ok(SourceOffset(world.source_end))
        }
    }
}

fn commit_done(commit: &Commit, done: Result<(), Failure>, fault: Fault) -> CommitDone {
    match commit {
        Commit::WriteHalf { request, .. } => {
            CommitDone::HalfWritten { request: *request, outcome: done }
        }
        Commit::End { request, .. } => CommitDone::Ended { request: *request, outcome: done },
        Commit::Plain { request, offsets, .. } => {
            let outcome = done.map(|()| {
                let mut results: BTreeMap<_, _> =
                    offsets.keys().map(|at| (at.clone(), Ok(()))).collect();
                if let (Fault::Partly(class), Some(mut last)) = (fault, results.last_entry()) {
                    *last.get_mut() = Err(failure(class));
                }
                results
            });
            CommitDone::Plain { request: *request, outcome }
        }
    }
}
