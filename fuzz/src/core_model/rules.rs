//! The reason that each order must have, whatever the core decides, and what must hold at rest. Nothing here
//! predicts an order.

use std::collections::{BTreeMap, BTreeSet};

use sprag_core::action::{Action, Commit, Read, TransactionEnd};
use sprag_core::coordinators::Side;
use sprag_core::event::{Aftermath, CommitDone, Event, ReadDone, TargetCommit, TargetOffsets};
use sprag_core::failure::{Failure, FailureClass};
use sprag_core::ids::{
    Fence, GroupId, PipelineId, Shard, SourceOffset, SourcePartition, TargetPartition,
};
use sprag_core::machine::Setup;
use sprag_core::note::Note;
use sprag_core::policy::CommitMode;
use sprag_core::stamp::Metadata;
use sprag_core::verdict::{KeepReason, Verdict};

use super::world::{SHARDS, World};

/// At rest, each group was read within this time, and nothing was committed: in milliseconds.
const LATELY: u64 = 60_000;

type Stored = BTreeMap<TargetPartition, Option<TargetCommit>>;

/// What orders and answers so far allow.
pub(super) struct Rules {
    setup: Setup,
    pub(super) pipeline: PipelineId,
    /// The unanswered requests, oldest first.
    pub(super) asked: Vec<Asked>,
    owners: BTreeMap<Shard, Owner>,
    groups: BTreeMap<GroupId, Seen>,
    /// The last verdict on each position that was not a commit.
    verdicts: BTreeMap<(GroupId, SourcePartition), Verdict>,
    last_written: u64,
}

/// A request.
pub(super) struct Asked {
    pub(super) action: Action,
    /// The decisions of its shard were dropped since, and its answer with them.
    dropped: bool,
}

/// What a shard's producer may do.
#[derive(Default)]
struct Owner {
    initialised: bool,
    /// The latest fence, while nothing shows that the producer cannot be used any more.
    fence: Option<Fence>,
    /// The group whose transaction is open, and whether its offsets were written.
    open: Option<(GroupId, bool)>,
}

/// What was read of a group under this ownership.
#[derive(Default)]
struct Seen {
    at: u64,
    source: BTreeSet<SourceOffset>,
    /// What this round read on the target, if it was all read.
    target: Option<Stored>,
    /// A second read in this round found the same.
    verified: bool,
}

/// Who waits for an answer. Nobody asks twice.
#[derive(Debug, PartialEq, Eq)]
enum Asker {
    Control,
    Coordinators(Side),
    Listing(Side),
    Shard(Shard),
    Group(GroupId),
}

/// `None` where the request does not name its shard or group.
fn asker(action: &Action) -> Option<Asker> {
    Some(match action {
        Action::CheckAssignment { shard, .. }
        | Action::ReadFenceLog { shard, .. }
        | Action::InitTransactions { shard, .. }
        | Action::WriteTakeOver { shard, .. }
        | Action::WriteFenceRecords { shard, .. } => Asker::Shard(*shard),
        Action::Read(read) => match read {
            Read::ControlTopics { .. } => Asker::Control,
            Read::Coordinators { side, .. } => Asker::Coordinators(*side),
            Read::SourceGroups { .. } => Asker::Listing(Side::Source),
            Read::TargetGroups { .. } => Asker::Listing(Side::Target),
            Read::SourceOffsets { group, .. } | Read::TargetOffsets { group, .. } => {
                Asker::Group(group.clone())
            }
            Read::MappingEnds { .. } | Read::Topics { .. } => return None,
        },
        Action::Commit(
            Commit::WriteHalf { group, .. }
            | Commit::End { group, .. }
            | Commit::Plain { group, .. },
        ) => Asker::Group(group.clone()),
        Action::DestroyProducer { .. }
        | Action::ReleaseShard { .. }
        | Action::ReadMappings { .. }
        | Action::Report { .. }
        | Action::Stop { .. } => return None,
    })
}

impl Rules {
    pub(super) fn new(setup: Setup) -> Self {
        let (name, source, target) =
            (&setup.policy.pipeline, &setup.source_cluster, &setup.target_cluster);
        let pipeline = PipelineId::of(name, source, target);
        let (asked, owners, groups, verdicts) = Default::default();
        Self { setup, pipeline, asked, owners, groups, verdicts, last_written: 0 }
    }

    /// The core orders this.
    pub(super) fn order(&mut self, now: u64, world: &World, action: &Action) {
        let by = asker(action);
        if let Some(Asker::Shard(shard)) = by {
            assert!(world.assigned.contains(&shard), "shard {shard} is not assigned");
        }
        match action {
            Action::InitTransactions { shard, .. } => {
                self.begins(world, *shard);
                self.owners.insert(*shard, Owner::default());
            }
            Action::WriteTakeOver { shard, .. } => {
                self.begins(world, *shard);
                let guarded = self.setup.policy.commit_mode == CommitMode::Guarded;
                let owner = self.owners.entry(*shard).or_default();
                assert!(owner.initialised || guarded, "shard {shard}: earlier owners still write");
                assert!(owner.fence.is_none(), "shard {shard} is taken over already");
            }
            Action::WriteFenceRecords { shard, fence, .. } => _ = self.free(world, *shard, *fence),
            Action::DestroyProducer { shard } => self.drop_decisions(*shard),
            Action::ReleaseShard { shard } => {
                assert!(self.fence(*shard).is_none(), "shard {shard} is released and still writes");
            }
            Action::Read(Read::SourceOffsets { group, .. }) => {
                let seen = self.seen(group);
                (seen.target, seen.verified) = (None, false);
            }
            Action::Read(Read::TargetOffsets { group, .. }) => {
                self.seen(group).verified = false;
                let owner = self.owners.get(&Shard::of(group, SHARDS));
                let unwritten = Some(&(group.clone(), false));
                let early = owner.is_some_and(|owner| owner.open.as_ref() == unwritten);
                assert!(!early, "{group} is read again before its offsets are written");
            }
            Action::Commit(commit) => self.commit(now, world, commit),
            Action::Report { note: Note::Judged { group, source, verdict, .. } } => {
                self.verdicts.insert((group.clone(), source.clone()), verdict.clone());
            }
            Action::CheckAssignment { .. }
            | Action::ReadFenceLog { .. }
            | Action::ReadMappings { .. }
            | Action::Read(_)
            | Action::Report { .. }
            | Action::Stop { .. } => {}
        }
        let Some(request) = action.request() else {
            return;
        };
        for asked in &self.asked {
            let taken = asked.action.request() == Some(request);
            assert!(!taken, "request {request} is not answered yet");
            let twice = by.is_some() && !asked.dropped && asker(&asked.action) == by;
            assert!(!twice, "{by:?} waits for {:?}", asked.action);
        }
        self.asked.push(Asked { action: action.clone(), dropped: false });
    }

    /// A shard that is to be given back begins nothing.
    fn begins(&self, world: &World, shard: Shard) {
        assert!(!world.asked_for.contains(&shard), "shard {shard} is to be given back");
    }

    fn fence(&self, shard: Shard) -> Option<Fence> {
        self.owners.get(&shard).and_then(|owner| owner.fence)
    }

    /// The owner of a shard whose producer may begin something under this fence.
    fn free(&mut self, world: &World, shard: Shard, fence: Fence) -> &mut Owner {
        self.begins(world, shard);
        let by = Some(Asker::Shard(shard));
        let busy = self.asked.iter().any(|asked| !asked.dropped && asker(&asked.action) == by);
        let owner = self.owners.entry(shard).or_default();
        assert!(!busy && owner.open.is_none(), "shard {shard} is busy");
        assert_eq!(owner.fence, Some(fence), "shard {shard}; left: its latest fence");
        owner
    }

    /// What is known of a group, which is looked at only under a fence.
    fn seen(&mut self, group: &GroupId) -> &mut Seen {
        let shard = Shard::of(group, SHARDS);
        assert!(self.fence(shard).is_some(), "{group} is read, and shard {shard} is not ours");
        self.groups.entry(group.clone()).or_default()
    }

    fn commit(&mut self, now: u64, world: &World, commit: &Commit) {
        match commit {
            Commit::WriteHalf { shard, fence, group, offsets, .. } => {
                assert_eq!(*shard, Shard::of(group, SHARDS), "{group}");
                self.free(world, *shard, *fence).open = Some((group.clone(), false));
                self.may_write(now, *fence, group, offsets);
            }
            Commit::End { shard, fence, group, end, .. } => {
                assert_eq!(self.fence(*shard), Some(*fence), "{group}; left: the latest fence");
                let owner = self.owners.entry(*shard).or_default();
                let open = owner.open.as_ref().filter(|(of, _)| of == group);
                let Some((_, written)) = open else {
                    panic!("{group} has no open transaction");
                };
                let complete = *written && self.groups[group].verified;
                let allowed = *end == TransactionEnd::Abort || complete;
                assert!(allowed, "{group} is committed without a second look");
            }
            Commit::Plain { group, offsets, .. } => {
                assert!(self.seen(group).verified, "{group} is committed without a second look");
                let fence = self.fence(Shard::of(group, SHARDS)).unwrap_or_default();
                self.may_write(now, fence, group, offsets);
            }
        }
    }

    /// Each offset has a true stamp and replaces something that was read, or is written again as it stands.
    fn may_write(
        &mut self,
        now: u64,
        fence: Fence,
        group: &GroupId,
        offsets: &BTreeMap<TargetPartition, TargetCommit>,
    ) {
        let seen = self.groups.get(group);
        let Some(target) = seen.and_then(|seen| seen.target.as_ref()) else {
            panic!("{group}: what is stored on the target was not read");
        };
        assert!(!offsets.is_empty(), "{group}: nothing to write");
        for (at, commit) in offsets {
            let stored = target.get(at).unwrap_or_else(|| panic!("{group} {at} was not read"));
            let prefix = self.setup.policy.guard_prefix.as_str();
            let Metadata::Stamped { stamp, .. } = Metadata::parse(&commit.metadata, [prefix])
            else {
                panic!("{group} {at}: no stamp: {commit:?}");
            };
            let of = (stamp.pipeline, stamp.shard, stamp.target);
            assert_eq!(
                of,
                (self.pipeline, Shard::of(group, SHARDS), commit.offset),
                "{group} {at}"
            );
            if stored.as_ref() == Some(commit) {
                assert!(stamp.fence <= fence, "{group} {at}: {commit:?} is not ours to refresh");
                continue;
            }
            assert_eq!(stamp.fence, fence, "{group} {at}; right: the latest fence");
            let read = seen.is_some_and(|seen| seen.source.contains(&stamp.source));
            assert!(read, "{group} {at}: source offset {} was never read", stamp.source);
            self.last_written = now;
        }
    }

    /// What was ordered for this shard counts no more.
    pub(super) fn drop_decisions(&mut self, shard: Shard) {
        self.owners.remove(&shard);
        self.groups.retain(|group, _| Shard::of(group, SHARDS) != shard);
        for asked in &mut self.asked {
            asked.dropped |= match asker(&asked.action) {
                Some(Asker::Shard(of)) => of == shard,
                Some(Asker::Group(group)) => Shard::of(&group, SHARDS) == shard,
                Some(Asker::Control | Asker::Coordinators(_) | Asker::Listing(_)) | None => false,
            };
        }
    }

    /// The core is about to get this answer.
    pub(super) fn answered(&mut self, now: u64, asked: &Asked, answer: &Event) {
        match asker(&asked.action).filter(|_| !asked.dropped) {
            Some(Asker::Shard(shard)) => self.owners.entry(shard).or_default().learns(answer),
            Some(Asker::Group(group)) => {
                let owner = self.owners.entry(Shard::of(&group, SHARDS)).or_default();
                owner.learns(answer);
                self.groups.entry(group).or_default().learns(now, answer);
            }
            Some(Asker::Control | Asker::Coordinators(_) | Asker::Listing(_)) | None => {}
        }
    }

    /// Nothing went wrong for long, and nothing changed.
    pub(super) fn at_rest(&self, now: u64, world: &World) {
        assert!(world.asked_for.is_empty(), "not given back: {:?}", world.asked_for);
        assert!(now - self.last_written >= LATELY, "it does not stop to commit");
        for shard in &world.assigned {
            assert!(self.fence(*shard).is_some(), "shard {shard} is not taken over");
        }
        let ours = |group: &GroupId| world.assigned.contains(&Shard::of(group, SHARDS));
        for (group, commits) in world.source.iter().filter(|(group, _)| ours(group)) {
            let read = self.groups.get(group).map(|seen| seen.at);
            assert!(read.is_some_and(|at| now - at < LATELY), "{group} was read last at {read:?}");
            for (source, commit) in commits {
                let verdict = self.verdicts.get(&(group.clone(), source.clone()));
                let reason = verdict.filter(|verdict| **verdict != Verdict::Keep(KeepReason::Same));
                let settled = reason.is_some() || world.is_settled(group, source, commit.offset);
                assert!(settled, "{group} {source}: {commit:?} is left, without a reason");
            }
        }
    }
}

impl Owner {
    fn learns(&mut self, answer: &Event) {
        if let Event::TransactionsInitialised { outcome, .. } = answer {
            self.initialised = outcome.is_ok();
        }
        if let Event::TakeOverWritten { outcome, .. } = answer {
            self.fence = outcome.as_ref().ok().copied();
        }
        if let Event::FenceRecordsWritten { outcome, .. } = answer {
            self.goes_on(outcome);
        }
        if let Event::Commit(CommitDone::HalfWritten { outcome, .. }) = answer {
            self.open = self.open.take().map(|(group, _)| (group, outcome.is_ok()));
            self.goes_on(outcome);
        }
        if let Event::Commit(CommitDone::Ended { outcome, .. }) = answer {
            self.open = self.open.take().filter(|_| outcome.is_err());
            self.fence = self.fence.filter(|_| *outcome != Ok(Aftermath::LateRequest));
            self.goes_on(outcome);
        }
    }

    /// A producer that was fenced, or that may have a late request, is of no use.
    fn goes_on<T>(&mut self, outcome: &Result<T, Failure>) {
        let ended = |failure: &Failure| {
            matches!(failure.class, FailureClass::Fenced | FailureClass::LateRequest)
        };
        self.fence = self.fence.filter(|_| !outcome.as_ref().is_err_and(ended));
    }
}

impl Seen {
    fn learns(&mut self, now: u64, answer: &Event) {
        if let Event::Read(ReadDone::SourceOffsets { outcome: Ok(read), .. }) = answer {
            self.at = now;
            self.source.extend(read.commits.values().map(|commit| commit.offset));
        }
        if let Event::Read(ReadDone::TargetOffsets { outcome, .. }) = answer {
            let read = outcome.as_ref().ok().and_then(all_read);
            self.verified = self.target.is_some() && self.target == read;
            self.target = self.target.take().or(read);
        }
        if let Event::Commit(CommitDone::Ended { outcome: Ok(_), .. } | CommitDone::Plain { .. }) =
            answer
        {
            (self.target, self.verified) = (None, false);
        }
    }
}

/// What is stored, if no part of the read failed.
fn all_read(read: &TargetOffsets) -> Option<Stored> {
    read.iter().map(|(at, read)| Some((at.clone(), read.as_ref().ok()?.clone()))).collect()
}
