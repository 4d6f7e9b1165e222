//! What every order must obey, whatever the core decides: the contract of `core/machine.rs` and the
//! fence. Nothing here predicts an order.

use std::collections::BTreeMap;

use sprag_core::action::{Action, Commit, Read, TransactionEnd};
use sprag_core::ids::{
    Fence, GroupId, MappingOffset, MappingPartition, Shard, SourcePartition, TopicId,
};
use sprag_core::machine::Setup;
use sprag_core::note::Note;
use sprag_core::policy::CommitMode;
use sprag_core::request::RequestId;
use sprag_core::verdict::{KeepReason, Verdict};

use super::known::Known;
use super::seen::{Seen, Write};
use super::world::{SHARDS, World};

pub(super) type Ends = BTreeMap<MappingPartition, MappingOffset>;

/// What orders and answers so far allow.
pub(super) struct Rules {
    pub(super) setup: Setup,
    pub(super) owners: BTreeMap<Shard, Owner>,
    pub(super) groups: BTreeMap<GroupId, Seen>,
    pub(super) known: Known,
    /// The mapping topic that is read.
    pub(super) reading: Option<TopicId>,
    /// Steps of take-overs that were not answered: they may still fence every other owner.
    pub(super) taking_over: BTreeMap<RequestId, Shard>,
    /// Which fences were held when the ends of the mapping partitions were asked for.
    pub(super) ends_asked: BTreeMap<RequestId, BTreeMap<Shard, Fence>>,
    /// Why a group does not stand where its source offset says.
    reasons: BTreeMap<(GroupId, SourcePartition), Verdict>,
}

/// What a shard's producer may do.
#[derive(Default)]
pub(super) struct Owner {
    /// The step whose answer counts.
    pub(super) step: Option<RequestId>,
    pub(super) initialised: bool,
    pub(super) fence: Option<Fence>,
    /// The lowest end of each mapping partition read under this fence.
    pub(super) ends: Option<Ends>,
    pub(super) open: Option<Open>,
    /// A request of its producer may be carried out late: inside whatever the producer does next.
    pub(super) late: bool,
}

/// A transaction that is open.
pub(super) struct Open {
    pub(super) group: GroupId,
    pub(super) written: bool,
    /// Its commit was refused: it must be aborted.
    pub(super) refused: bool,
}

impl Rules {
    pub(super) fn new(setup: Setup) -> Self {
        let (owners, groups, ends_asked) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self {
            setup,
            owners,
            groups,
            known: Known::default(),
            reading: None,
            taking_over: BTreeMap::new(),
            ends_asked,
            reasons: BTreeMap::new(),
        }
    }

    /// The core orders this.
    pub(super) fn order(&mut self, now: u64, world: &World, action: &Action) {
        match action {
            Action::CheckAssignment { shard, .. } | Action::ReadFenceLog { shard, .. } => {
                self.owner(world, *shard);
            }
            Action::InitTransactions { request, shard } => {
                self.begins(world, *shard);
                *self.owner(world, *shard) = Owner { step: Some(*request), ..Owner::default() };
                self.taking_over.insert(*request, *shard);
            }
            Action::WriteTakeOver { request, shard, .. } => {
                let guarded = self.setup.policy.commit_mode == CommitMode::Guarded;
                self.begins(world, *shard);
                self.taking_over.insert(*request, *shard);
                let owner = self.owner(world, *shard);
                assert!(!owner.late, "shard {shard}: a late request may be in the take-over");
                assert!(owner.initialised || guarded, "shard {shard}: earlier owners still write");
                assert!(owner.fence.is_none(), "shard {shard} is taken over already");
                owner.step = Some(*request);
            }
            Action::WriteFenceRecords { request, shard, fence, .. } => {
                self.free(world, *shard, *fence).step = Some(*request);
            }
            Action::DestroyProducer { shard } => self.forget(*shard),
            Action::ReleaseShard { shard } => {
                let owner = self.owners.remove(shard).unwrap_or_default();
                assert!(owner.fence.is_none(), "shard {shard} is released before its producer");
                let takes_over = self.taking_over.values().any(|of| of == shard);
                let in_turn = world.asked_for.contains(shard);
                assert!(!in_turn || !takes_over, "shard {shard} is released, and taken over still");
            }
            Action::ReadMappings { topic, .. } => {
                self.reading = Some(*topic);
                self.known.restart();
                self.owners.values_mut().for_each(|owner| owner.ends = None);
                self.groups.values_mut().for_each(Seen::forget);
            }
            Action::Read(read) => self.read(read),
            Action::Commit(commit) => self.commit(now, world, commit),
            Action::Report { note } => self.note(note),
            Action::Stop { .. } => {}
        }
    }

    fn owner(&mut self, world: &World, shard: Shard) -> &mut Owner {
        assert!(world.assigned.contains(&shard), "shard {shard} is not assigned");
        self.owners.entry(shard).or_default()
    }

    /// Something that changes the target begins for the shard.
    fn begins(&self, world: &World, shard: Shard) {
        assert!(!world.asked_for.contains(&shard), "shard {shard} is to be given back");
    }

    /// The owner of a shard whose producer may begin something under this fence.
    fn free(&mut self, world: &World, shard: Shard, fence: Fence) -> &mut Owner {
        self.begins(world, shard);
        let owner = self.owner(world, shard);
        assert!(!owner.late, "shard {shard}: a late request may be in the next transaction");
        assert_eq!(owner.fence, Some(fence), "shard {shard}; left: its latest fence");
        assert!(owner.open.is_none() && owner.step.is_none(), "shard {shard} is busy");
        owner
    }

    pub(super) fn forget(&mut self, shard: Shard) {
        self.owners.remove(&shard);
        let of_it = self.groups.iter_mut().filter(|(group, _)| Shard::of(group, SHARDS) == shard);
        of_it.for_each(|(_, seen)| seen.forget_source());
    }

    fn read(&mut self, read: &Read) {
        match read {
            Read::MappingEnds { request, .. } => {
                let held = |(shard, owner): (&Shard, &Owner)| Some((*shard, owner.fence?));
                self.ends_asked.insert(*request, self.owners.iter().filter_map(held).collect());
            }
            Read::SourceOffsets { request, group, coordinator: _, coordinator_since } => {
                let seen = self.groups.entry(group.clone()).or_default();
                seen.ask_source(*request, *coordinator_since);
            }
            Read::TargetOffsets { request, group, .. } => {
                let owner = self.owners.get(&Shard::of(group, SHARDS));
                let open = owner.and_then(|owner| owner.open.as_ref());
                let unwritten = open.is_some_and(|open| open.group == *group && !open.written);
                assert!(!unwritten, "{group} is read again before its offsets are written");
                self.groups.entry(group.clone()).or_default().ask_target(*request);
            }
            Read::ControlTopics { .. }
            | Read::Coordinators { .. }
            | Read::SourceGroups { .. }
            | Read::TargetGroups { .. }
            | Read::Topics { .. } => {}
        }
    }

    fn commit(&mut self, now: u64, world: &World, commit: &Commit) {
        match commit {
            Commit::WriteHalf { request, shard, fence, group, offsets } => {
                assert_eq!(*shard, Shard::of(group, SHARDS), "{group}");
                let open = Open { group: group.clone(), written: false, refused: false };
                self.free(world, *shard, *fence).open = Some(open);
                self.may_write(now, &Write { group, offsets, shard: *shard, fence: *fence });
                self.groups.entry(group.clone()).or_default().ask(*request);
            }
            Commit::End { request, shard, fence, group, end } => {
                let seen = self.groups.entry(group.clone()).or_default();
                let same = seen.is_verified();
                seen.ask(*request);
                let owner = self.owner(world, *shard);
                assert_eq!(owner.fence, Some(*fence), "{group}; left: the latest fence");
                assert!(!owner.late, "{group}: a late request may be in its transaction");
                let Some(open) = owner.open.as_ref().filter(|open| open.group == *group) else {
                    panic!("{group} has no open transaction");
                };
                let complete = open.written && same && !open.refused;
                assert_eq!(*end == TransactionEnd::Commit, complete, "{group}; right: may commit");
            }
            Commit::Plain { request, group, offsets, .. } => {
                let shard = Shard::of(group, SHARDS);
                let Some(fence) = self.owner(world, shard).fence else {
                    panic!("{group} is committed without a fence");
                };
                self.may_write(now, &Write { group, offsets, shard, fence });
                let seen = self.groups.entry(group.clone()).or_default();
                assert!(seen.is_verified(), "{group} is committed without a second look");
                seen.ask(*request);
            }
        }
    }

    fn may_write(&mut self, now: u64, write: &Write<'_>) {
        let ends = self.owners.get(&write.shard).and_then(|owner| owner.ends.as_ref());
        let caught_up = ends.is_some_and(|ends| self.known.reaches(ends));
        assert!(caught_up, "shard {} has not read all mappings: {ends:?}", write.shard);
        let Some(seen) = self.groups.get_mut(write.group) else {
            panic!("{} was never read", write.group);
        };
        seen.may_write(now, &self.setup, &self.known, write);
    }

    fn note(&mut self, note: &Note) {
        if let Note::Judged { group, source, verdict, .. } = note {
            self.reasons.insert((group.clone(), source.clone()), verdict.clone());
        }
    }

    /// Nothing went wrong for long: every shard is held, and each group stands where a plain
    /// translation of its source offset says, or a reason was given.
    pub(super) fn at_rest(&self, world: &World) {
        assert!(world.asked_for.is_empty(), "not given back: {:?}", world.asked_for);
        for shard in &world.assigned {
            let fence = self.owners.get(shard).and_then(|owner| owner.fence);
            assert!(fence.is_some(), "shard {shard} is not taken over");
        }
        let groups = world.source.iter();
        for (group, offsets) in
            groups.filter(|(group, _)| world.assigned.contains(&Shard::of(group, SHARDS)))
        {
            for (source, commit) in offsets {
                let reason = self.reasons.get(&(group.clone(), source.clone()));
                let held = reason.is_some_and(|why| *why != Verdict::Keep(KeepReason::Same));
                let stored = world.target.get(group).into_iter().flatten();
                let stands = stored.into_iter().any(|(target, stored)| {
                    self.known.is_translation((source, target), commit.offset, stored.offset)
                });
                assert!(stands || held, "{group} {source}: {commit:?} is left, and no reason");
            }
        }
    }
}
