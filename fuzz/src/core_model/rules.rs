//! The reason that each order must have, whatever the core decides, and what must hold at rest. Nothing here
//! predicts an order.

use std::collections::{BTreeMap, BTreeSet};

use sprag_core::action::{Action, Commit, Read, TransactionEnd};
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
    /// `None` if the request names nobody, or if the decisions of its shard were dropped since.
    by: Option<Asker>,
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
    /// The source was read in this round.
    source_read: bool,
    /// What this round read on the target, if it was all read.
    target: Option<Stored>,
    /// A second read in this round found the same.
    verified: bool,
}

/// Who waits for an answer: a shard, or one of its groups. Nobody asks twice.
type Asker = (Shard, Option<GroupId>);

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
        let by = self.asker(now, world, action);
        if let Some(request) = action.request() {
            for asked in &self.asked {
                let (taken, twice) = (asked.action.request(), by.is_some() && asked.by == by);
                assert_ne!(taken, Some(request), "{:?} is not answered yet", asked.action);
                assert!(!twice, "{by:?} waits for {:?}", asked.action);
            }
            self.asked.push(Asked { action: action.clone(), by });
        }
    }

    /// Who waits for the answer to an order, which must have a reason.
    fn asker(&mut self, now: u64, world: &World, action: &Action) -> Option<Asker> {
        match action {
            Action::CheckAssignment { shard, .. } | Action::ReadFenceLog { shard, .. } => {
                self.owner(world, *shard);
                Some((*shard, None))
            }
            Action::InitTransactions { shard, .. } => {
                *self.begins(world, *shard) = Owner::default();
                Some((*shard, None))
            }
            Action::WriteTakeOver { shard, .. } => {
                let guarded = self.setup.policy.commit_mode == CommitMode::Guarded;
                let owner = self.begins(world, *shard);
                assert!(owner.initialised || guarded, "shard {shard}: earlier owners still write");
                assert!(owner.fence.is_none(), "shard {shard} is taken over already");
                Some((*shard, None))
            }
            Action::WriteFenceRecords { shard, fence, .. } => {
                self.free(world, *shard, *fence);
                Some((*shard, None))
            }
            Action::Read(read) => self.reader(read),
            Action::Commit(commit) => Some(self.commit(now, world, commit)),
            Action::DestroyProducer { shard } => {
                self.drop_decisions(*shard);
                None
            }
            Action::ReleaseShard { shard } => {
                assert!(self.fence(*shard).is_none(), "shard {shard} is released and still writes");
                None
            }
            Action::Report { note: Note::Judged { group, source, verdict, .. } } => {
                self.verdicts.insert((group.clone(), source.clone()), verdict.clone());
                None
            }
            Action::ReadMappings { .. } | Action::Report { .. } | Action::Stop { .. } => None,
        }
    }

    fn owner(&mut self, world: &World, shard: Shard) -> &mut Owner {
        assert!(world.assigned.contains(&shard), "shard {shard} is not assigned");
        self.owners.entry(shard).or_default()
    }

    /// The owner of a shard that begins something, because it is not to be given back.
    fn begins(&mut self, world: &World, shard: Shard) -> &mut Owner {
        assert!(!world.asked_for.contains(&shard), "shard {shard} is to be given back");
        self.owner(world, shard)
    }

    /// The owner of a shard whose producer may begin something under this fence.
    fn free(&mut self, world: &World, shard: Shard, fence: Fence) -> &mut Owner {
        let busy = self.asked.iter().any(|asked| asked.by == Some((shard, None)));
        let owner = self.begins(world, shard);
        assert!(!busy && owner.open.is_none(), "shard {shard} is busy");
        assert_eq!(owner.fence, Some(fence), "shard {shard}; left: its latest fence");
        owner
    }

    fn fence(&self, shard: Shard) -> Option<Fence> {
        self.owners.get(&shard).and_then(|owner| owner.fence)
    }

    /// A group is read only under a fence.
    fn reader(&mut self, read: &Read) -> Option<Asker> {
        let (group, begins) = match read {
            Read::SourceOffsets { group, .. } => (group, true),
            Read::TargetOffsets { group, .. } => (group, false),
            Read::ControlTopics { .. }
            | Read::MappingEnds { .. }
            | Read::Coordinators { .. }
            | Read::SourceGroups { .. }
            | Read::TargetGroups { .. }
            | Read::Topics { .. } => return None,
        };
        let shard = Shard::of(group, SHARDS);
        let Some(owner) = self.owners.get(&shard).filter(|owner| owner.fence.is_some()) else {
            panic!("{group} is read, and its shard is not taken over");
        };
        let early = owner.open.as_ref() == Some(&(group.clone(), false));
        assert!(!early, "{group} is read again before its offsets are written");
        let seen = self.groups.entry(group.clone()).or_default();
        seen.target = seen.target.take().filter(|_| !begins);
        seen.source_read &= !begins;
        seen.verified = false;
        Some((shard, Some(group.clone())))
    }

    fn commit(&mut self, now: u64, world: &World, commit: &Commit) -> Asker {
        let (Commit::WriteHalf { group, .. }
        | Commit::End { group, .. }
        | Commit::Plain { group, .. }) = commit;
        let shard = Shard::of(group, SHARDS);
        let verified = self.groups.get(group).is_some_and(|seen| seen.verified);
        match commit {
            Commit::WriteHalf { shard: by, fence, offsets, .. } => {
                assert_eq!(*by, shard, "{group}");
                self.free(world, shard, *fence).open = Some((group.clone(), false));
                self.may_write(now, *fence, group, offsets);
            }
            Commit::End { fence, end, .. } => {
                let owner = self.owner(world, shard);
                assert_eq!(owner.fence, Some(*fence), "{group}; left: the latest fence");
                let open = owner.open.as_ref().filter(|(of, _)| of == group);
                let Some((_, written)) = open else {
                    panic!("{group} has no open transaction");
                };
                let allowed = *end == TransactionEnd::Abort || (*written && verified);
                assert!(allowed, "{group} is committed without a second look");
            }
            Commit::Plain { offsets, .. } => {
                let Some(fence) = self.owner(world, shard).fence else {
                    panic!("{group} is committed without a fence");
                };
                assert!(verified, "{group} is committed without a second look");
                self.may_write(now, fence, group, offsets);
            }
        }
        (shard, Some(group.clone()))
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
            let ours = (self.pipeline, Shard::of(group, SHARDS), commit.offset);
            assert_eq!((stamp.pipeline, stamp.shard, stamp.target), ours, "{group} {at}");
            if stored.as_ref() == Some(commit) {
                assert!(stamp.fence <= fence, "{group} {at}: {commit:?} is not ours to refresh");
                continue;
            }
            assert_eq!(stamp.fence, fence, "{group} {at}; right: the latest fence");
            let read = seen.filter(|seen| seen.source_read);
            let read = read.is_some_and(|seen| seen.source.contains(&stamp.source));
            assert!(read, "{group} {at}: source offset {} was not read", stamp.source);
            self.last_written = now;
        }
    }

    /// What was ordered for this shard counts no more.
    pub(super) fn drop_decisions(&mut self, shard: Shard) {
        self.owners.remove(&shard);
        self.groups.retain(|group, _| Shard::of(group, SHARDS) != shard);
        for asked in &mut self.asked {
            asked.by = asked.by.take().filter(|(of, _)| *of != shard);
        }
    }

    /// The core is about to get this answer.
    pub(super) fn answered(&mut self, now: u64, asked: &Asked, answer: &Event) {
        if let Some((shard, _)) = &asked.by {
            self.owners.entry(*shard).or_default().learns(answer);
        }
        if let Some((_, Some(group))) = &asked.by {
            self.groups.entry(group.clone()).or_default().learns(now, answer);
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
            (self.at, self.source_read) = (now, true);
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
