//! What the answers to orders, and other events, allow from then on.

use std::collections::BTreeMap;

use super::rules::{Ends, Owner, Rules};
use super::seen::Seen;
use super::world::SHARDS;
use sprag_core::event::{Aftermath, CommitDone, Event, ReadDone};
use sprag_core::failure::{Failure, FailureClass};
use sprag_core::ids::{GroupId, Shard};
use sprag_core::request::RequestId;
use sprag_core::time::Instant;

impl Rules {
    /// The core is about to be told this.
    pub(super) fn event(&mut self, now: u64, event: &Event) {
        match event {
            Event::TransactionsInitialised { request, outcome } => {
                self.taking_over.remove(request);
                if let Some(owner) = self.stepped(*request) {
                    owner.initialised = outcome.is_ok();
                }
            }
            Event::TakeOverWritten { request, outcome } => {
                self.taking_over.remove(request);
                if let Some(owner) = self.stepped(*request) {
                    owner.fence = outcome.as_ref().ok().copied();
                    owner.late |= is(outcome, FailureClass::LateRequest);
                }
            }
            Event::FenceRecordsWritten { request, outcome } => {
                if let Some(owner) = self.stepped(*request) {
                    owner.fence = owner.fence.filter(|_| !is(outcome, FailureClass::Fenced));
                    owner.late |= is(outcome, FailureClass::LateRequest);
                }
            }
            Event::MappingsRead { topic: _, partition, records, .. } => {
                self.known.apply(*partition, records);
            }
            Event::ShardLost { shard } => self.forget(*shard),
            Event::Read(done) => self.read_done(now, done),
            Event::Commit(done) => self.commit_done(now, done),
            Event::TimePassed
            | Event::StopRequested
            | Event::ShardAssigned { .. }
            | Event::ShardRevoked { .. }
            | Event::AssignmentChecked { .. }
            | Event::FenceLogRead { .. }
            | Event::MappingReadFailed { .. } => {}
        }
    }

    /// The owner whose step this answers.
    fn stepped(&mut self, request: RequestId) -> Option<&mut Owner> {
        let owner = self.owners.values_mut().find(|owner| owner.step == Some(request))?;
        owner.step = None;
        Some(owner)
    }

    fn read_done(&mut self, now: u64, done: &ReadDone) {
        match done {
            ReadDone::MappingEnds { request, outcome } => {
                let held = self.ends_asked.remove(request).unwrap_or_default();
                let of_read = |topic| self.reading == Some(topic);
                let ends = outcome.iter().filter(|read| of_read(read.topic));
                let ends = ends.flat_map(|read| &read.ends);
                let read = ends.map(|(at, end)| Some((*at, *end.as_ref().ok()?)));
                let Some(read) = read.collect::<Option<Ends>>().filter(|ends| !ends.is_empty())
                else {
                    return;
                };
                for (shard, owner) in &mut self.owners {
                    if owner.fence.is_some() && owner.fence.as_ref() == held.get(shard) {
                        let ends = owner.ends.get_or_insert_with(|| read.clone());
                        for (at, end) in ends {
                            *end = read.get(at).copied().map_or(*end, |read| read.min(*end));
                        }
                    }
                }
            }
            ReadDone::SourceOffsets { request, outcome } => {
                if let Some((_, seen)) = answered(&mut self.groups, *request) {
                    let confirm_after = self.setup.policy.confirm_after;
                    seen.source_read(Instant::from_millis(now), confirm_after, outcome);
                }
            }
            ReadDone::TargetOffsets { request, outcome } => {
                if let Some((_, seen)) = answered(&mut self.groups, *request) {
                    seen.target_read(now, outcome);
                }
            }
            ReadDone::Topics { outcome: Ok(topics), .. } => self.known.saw_ranges(topics),
            ReadDone::ControlTopics { .. }
            | ReadDone::Coordinators { .. }
            | ReadDone::SourceGroups { .. }
            | ReadDone::TargetGroups { .. }
            | ReadDone::Topics { outcome: Err(_), .. } => {}
        }
    }

    fn commit_done(&mut self, now: u64, done: &CommitDone) {
        let (CommitDone::HalfWritten { request, .. }
        | CommitDone::Ended { request, .. }
        | CommitDone::Plain { request, .. }) = done;
        let Some((group, seen)) = answered(&mut self.groups, *request) else {
            return;
        };
        let shard = Shard::of(group, SHARDS);
        if let CommitDone::Plain { outcome, .. } = done {
            return seen.committed(now, |at| outcome.as_ref().is_ok_and(|read| read[at].is_ok()));
        }
        let Some(owner) = self.owners.get_mut(&shard) else {
            return;
        };
        match (done, &mut owner.open) {
            (CommitDone::HalfWritten { outcome, .. }, Some(open)) => {
                open.written = outcome.is_ok();
                owner.fence = owner.fence.filter(|_| !is(outcome, FailureClass::Fenced));
                owner.late |= is(outcome, FailureClass::LateRequest);
            }
            (CommitDone::Ended { outcome: Ok(aftermath), .. }, Some(open)) => {
                owner.late |= *aftermath == Aftermath::LateRequest;
                let stands = open.written && seen.is_verified() && !open.refused;
                seen.committed(now, |_| stands);
                owner.open = None;
            }
            (CommitDone::Ended { outcome: Err(failure), .. }, Some(open)) => {
                open.refused |= failure.class == FailureClass::Abort;
                owner.fence = owner.fence.filter(|_| failure.class != FailureClass::Fenced);
                owner.late |= failure.class == FailureClass::LateRequest;
            }
            (CommitDone::HalfWritten { .. } | CommitDone::Ended { .. }, None)
            | (CommitDone::Plain { .. }, _) => {}
        }
    }
}

fn is<T>(outcome: &Result<T, Failure>, class: FailureClass) -> bool {
    outcome.as_ref().is_err_and(|failure| failure.class == class)
}

/// The group whose request this answers.
fn answered(
    groups: &mut BTreeMap<GroupId, Seen>,
    request: RequestId,
) -> Option<(&GroupId, &mut Seen)> {
    groups.iter_mut().find_map(|(group, seen)| seen.answered(request).then_some((group, seen)))
}
