//! How the world answers the core's actions.

use std::collections::{BTreeMap, VecDeque};

use super::super::super::super::action::{Action, Commit, Read, ReadScope, TransactionEnd};
use super::super::super::super::coordinators::Side;
use super::super::super::super::event::{
    Aftermath, CommitDone, ControlTopics, Event, MappingEnds, MappingTopic, ReadDone, SourceCommit,
    SourceListing, SourceOffsets, TargetCommit, TargetListing, Topics,
};
use super::super::super::super::failure::{Failure, FailureClass};
use super::super::super::super::ids::{
    Fence, MappingOffset, MappingPartition, SourceOffset, SourcePartition, TargetOffset,
    TargetPartition, TopicId, TopicName,
};
use super::super::super::super::mapping::{MappingRecord, OffsetSync};

use super::{World, failure, source, target};

impl World {
    fn outcome<T>(
        &mut self,
        action: &'static str,
        usual: impl FnOnce(&mut Self) -> T,
    ) -> Result<T, Failure> {
        if let Some(happens) = self.before.get(action).copied() {
            happens(self);
        }
        match self.instead.get_mut(action).and_then(VecDeque::pop_front) {
            Some(failure) => {
                self.transcript.push(format!("{action}: fails ({failure})"));
                Err(failure)
            }
            None => {
                self.transcript.push(action.to_owned());
                Ok(usual(self))
            }
        }
    }

    pub(super) fn carry_out(&mut self, action: Action) -> Vec<Event> {
        match action {
            Action::Report { note } => {
                self.transcript.push(format!("{:?}: {note}", note.level()));
                vec![]
            }
            Action::Stop { reason } => {
                self.transcript.push(format!("stop: {reason:?}"));
                self.stopped = Some(reason);
                vec![]
            }
            Action::DestroyProducer { .. } => {
                self.pending = None;
                self.transcript.push("destroy producer".to_owned());
                vec![]
            }
            Action::ReleaseShard { .. } => {
                self.transcript.push("release shard".to_owned());
                vec![]
            }
            Action::ReadMappings { topic, .. } => {
                self.transcript.push("read mappings".to_owned());
                vec![self.mappings_read(topic)]
            }
            Action::CheckAssignment { request, .. } => {
                let outcome = self.outcome("check assignment", |world| world.assigned);
                vec![Event::AssignmentChecked { request, outcome }]
            }
            Action::ReadFenceLog { request, .. } => {
                let outcome = self.outcome("read fence log", |world| world.fences.clone());
                vec![Event::FenceLogRead { request, outcome }]
            }
            Action::InitTransactions { request, .. } => {
                let outcome = self.outcome("init transactions", |world| world.pending = None);
                vec![Event::TransactionsInitialised { request, outcome }]
            }
            Action::WriteTakeOver { request, record, .. } => {
                let outcome = self.outcome("write take-over", |world| {
                    let fence = Fence(world.next_fence);
                    world.next_fence += 2;
                    world.fences.newest.insert(record.key, (fence, record.value));
                    fence
                });
                vec![Event::TakeOverWritten { request, outcome }]
            }
            Action::WriteFenceRecords { request, records, .. } => {
                self.batches.push(records.clone());
                let outcome = self.outcome("write fence records", |world| {
                    let fence = Fence(world.next_fence);
                    let records = records.into_iter();
                    world.fences.newest.extend(records.map(|it| (it.key, (fence, it.value))));
                });
                vec![Event::FenceRecordsWritten { request, outcome }]
            }
            Action::Read(read) => vec![Event::Read(self.read(read))],
            Action::Commit(commit) => vec![Event::Commit(self.commit(commit))],
        }
    }

    pub(in super::super) fn mappings_read(&self, topic: TopicId) -> Event {
        let syncs = |(nth, (from, to)): (usize, &(i64, i64))| {
            let (from, to) = (SourceOffset(*from), TargetOffset(*to));
            let partitions = [0].into_iter().chain(self.mirrored.iter().copied());
            let sync = move |partition| OffsetSync {
                source: SourcePartition::new("orders", partition),
                target: TargetPartition::new("dr.orders", partition),
                source_offset: from,
                target_offset: to,
            };
            let at = MappingOffset(nth as i64);
            partitions.map(|nth| (at, MappingRecord::Sync(sync(nth)))).collect::<Vec<_>>()
        };
        let records = self.mappings.iter().enumerate().flat_map(syncs);
        Event::MappingsRead {
            topic,
            partition: MappingPartition(0),
            records: records.collect(),
            position: MappingOffset(self.mappings.len() as i64),
        }
    }

    fn read(&mut self, read: Read) -> ReadDone {
        match read {
            Read::ControlTopics { request } => {
                let outcome = self.outcome("describe control topics", |world| ControlTopics {
                    fence: Ok(world.fence_topic()),
                    mapping: world
                        .mapping_topic
                        .map(|id| MappingTopic { id: TopicId(id), partitions: 1 })
                        .ok_or_else(|| failure(FailureClass::Missing)),
                });
                ReadDone::ControlTopics { request, outcome }
            }
            Read::MappingEnds { request, .. } => {
                let outcome = self.outcome("read mapping ends", |world| {
                    let topic = TopicId(world.mapping_topic.unwrap_or_default());
                    let end = Ok(MappingOffset(world.mapping_end));
                    MappingEnds { topic, ends: BTreeMap::from([(MappingPartition(0), end)]) }
                });
                ReadDone::MappingEnds { request, outcome }
            }
            Read::Coordinators { request, side } => {
                let name = match side {
                    Side::Source => "read source coordinators",
                    Side::Target => "read target coordinators",
                };
                let outcome = self.outcome(name, |world| world.coordinators.clone());
                ReadDone::Coordinators { request, side, outcome }
            }
            Read::SourceGroups { request } => {
                let outcome = self.outcome("list source groups", |world| SourceListing {
                    groups: world.groups.clone(),
                    without_offsets: world.without_offsets.clone(),
                    missing: world.listing_lacks.clone(),
                });
                ReadDone::SourceGroups { request, outcome }
            }
            Read::TargetGroups { request } => {
                let outcome = self.outcome("list target groups", |world| TargetListing {
                    groups: world.groups.iter().map(|it| (it.clone(), world.activity)).collect(),
                    missing: world.listing_lacks.clone(),
                });
                ReadDone::TargetGroups { request, outcome }
            }
            Read::SourceOffsets { request, .. } => {
                let outcome = self.outcome("read source offsets", |world| {
                    let commit = |offset| SourceCommit {
                        offset: SourceOffset(offset),
                        metadata: world.source_metadata.clone(),
                    };
                    let others = world.other_commits.clone().into_iter();
                    let all = others.chain(world.source.map(|offset| (source(), offset)));
                    let commits = all.map(|(at, offset)| (at, commit(offset))).collect();
                    SourceOffsets { commits, answered_by: world.answered_by }
                });
                ReadDone::SourceOffsets { request, outcome }
            }
            Read::TargetOffsets { request, scope, stable, .. } => {
                let name = if stable { "read target offsets" } else { "verify target offsets" };
                let outcome = self.outcome(name, |world| {
                    let (named, mut read) = match scope {
                        ReadScope::Only(named) => (named, BTreeMap::new()),
                        ReadScope::AllAnd(named) => (named, world.target.clone()),
                    };
                    let mut all: BTreeMap<_, _> = read
                        .iter_mut()
                        .map(|(at, it)| (at.clone(), Ok(Some(it.clone()))))
                        .collect();
                    for at in named {
                        all.insert(at.clone(), Ok(world.target.get(&at).cloned()));
                    }
                    if stable && world.unstable {
                        all.insert(target(), Err(failure(FailureClass::Unstable)));
                    }
                    all
                });
                ReadDone::TargetOffsets { request, outcome }
            }
            Read::Topics { request, source, target, source_ends } => {
                let outcome = self.outcome("read topics", |world| Topics {
                    source: source
                        .into_iter()
                        .map(|name| match world.undescribed.contains(&name) {
                            true => (name, Err(failure(FailureClass::HoldGroup))),
                            false => (name, Ok(TopicId(world.source_topic))),
                        })
                        .collect(),
                    target: target
                        .iter()
                        .map(|at| (TopicName::clone(&at.topic), Ok(TopicId([2; 16]))))
                        .collect(),
                    ranges: target.into_iter().map(|at| (at, Ok(world.log))).collect(),
                    source_ends: source_ends
                        .into_iter()
                        .map(|at| (at, Ok(SourceOffset(world.source_end))))
                        .collect(),
                });
                ReadDone::Topics { request, outcome }
            }
        }
    }

    fn commit(&mut self, commit: Commit) -> CommitDone {
        match commit {
            Commit::WriteHalf { request, offsets, .. } => {
                self.refuse_what_is_too_large("write half", &offsets);
                let outcome = self.outcome("write half", |world| {
                    world.pending = Some(offsets.as_ref().clone());
                });
                CommitDone::HalfWritten { request, outcome }
            }
            Commit::End { request, end, .. } => {
                let name = match end {
                    TransactionEnd::Commit => "commit transaction",
                    TransactionEnd::Abort => "abort transaction",
                };
                let outcome = self.outcome(name, |world| {
                    let pending = world.pending.take().unwrap_or_default();
                    if end == TransactionEnd::Commit {
                        world.target.extend(pending);
                    }
                    std::mem::replace(&mut world.aftermath, Aftermath::Settled)
                });
                CommitDone::Ended { request, outcome }
            }
            Commit::Plain { request, offsets, .. } => {
                self.refuse_what_is_too_large("commit plainly", &offsets);
                let outcome = self.outcome("commit plainly", |world| {
                    world.target.extend(offsets.as_ref().clone());
                    offsets.keys().map(|at| (at.clone(), Ok(()))).collect()
                });
                CommitDone::Plain { request, outcome }
            }
        }
    }

    fn refuse_what_is_too_large(
        &mut self,
        order: &'static str,
        offsets: &BTreeMap<TargetPartition, TargetCommit>,
    ) {
        let longest = offsets.values().map(|commit| commit.metadata.len()).max().unwrap_or(0);
        if self.metadata_max.is_some_and(|most| longest > most) {
            self.fail(order, FailureClass::MetadataTooLarge);
        } else if self.partitions_max.is_some_and(|most| offsets.len() > most) {
            self.fail(order, FailureClass::CommitTooLarge);
        }
    }
}
