//! What was read of one group, and what may be written by that.

use std::collections::BTreeMap;

use crate::core::event::{SourceCommit, TargetCommit, TargetOffsets};
use crate::core::failure::Failure;
use crate::core::ids::{
    Fence, FenceTopicTag, GroupId, PipelineId, Shard, SourceOffset, SourcePartition,
    TargetPartition,
};
use crate::core::machine::Setup;
use crate::core::policy::OnForeignCommit;
use crate::core::request::RequestId;
use crate::core::stamp::{Metadata, Stamp};

use super::known::Known;

/// An order to write.
pub(super) struct Write<'a> {
    pub(super) group: &'a GroupId,
    pub(super) offsets: &'a BTreeMap<TargetPartition, TargetCommit>,
    pub(super) shard: Shard,
    pub(super) fence: Fence,
}

#[derive(Default)]
pub(super) struct Seen {
    /// The request whose answer counts.
    asked: Option<RequestId>,
    source: Option<BTreeMap<SourcePartition, SourceCommit>>,
    target: Option<BTreeMap<TargetPartition, Option<TargetCommit>>>,
    /// Whether the target is read a second time, and whether the two reads agree.
    second_look: bool,
    same: bool,
    rediscovered: bool,
    disturbed: bool,
    /// Source offsets since a new coordinator answered last, for as long as they only rise.
    confirmed: BTreeMap<SourcePartition, SourceOffset>,
    /// Since when something is known to stand on a target partition.
    standing: BTreeMap<TargetPartition, u64>,
    written: Vec<TargetPartition>,
}

impl Seen {
    pub(super) fn ask(&mut self, request: RequestId) {
        self.asked = Some(request);
    }

    pub(super) fn answered(&mut self, request: RequestId) -> bool {
        self.asked.take_if(|asked| *asked == request).is_some()
    }

    /// The shard was given up: no read counts any more.
    pub(super) fn forget(&mut self) {
        (self.asked, self.source, self.target) = (None, None, None);
    }

    pub(super) fn disturb(&mut self) {
        self.disturbed = true;
    }

    pub(super) fn ask_source(&mut self, request: RequestId, rediscovered: bool) {
        self.forget();
        (self.asked, self.rediscovered) = (Some(request), rediscovered);
    }

    pub(super) fn ask_target(&mut self, request: RequestId) {
        self.asked = Some(request);
        self.second_look = self.target.is_some();
        self.same = false;
    }

    pub(super) fn is_verified(&self) -> bool {
        self.second_look && self.same
    }

    pub(super) fn source_read(
        &mut self,
        outcome: &Result<BTreeMap<SourcePartition, SourceCommit>, Failure>,
    ) {
        let Ok(offsets) = outcome else {
            return;
        };
        let (rediscovered, disturbed) = (self.rediscovered, std::mem::take(&mut self.disturbed));
        for (at, commit) in offsets {
            let before = self.confirmed.remove(at).filter(|before| *before <= commit.offset);
            if rediscovered || (before.is_some() && !disturbed) {
                self.confirmed.insert(at.clone(), commit.offset);
            }
        }
        self.source = Some(offsets.clone());
    }

    pub(super) fn target_read(&mut self, now: u64, outcome: &Result<TargetOffsets, Failure>) {
        let read = outcome.iter().flatten();
        let read = read.map(|(at, read)| Some((at.clone(), read.as_ref().ok()?.clone())));
        let read = read.collect::<Option<BTreeMap<_, _>>>().filter(|_| outcome.is_ok());
        if let (true, Some(first)) = (self.second_look, &self.target) {
            let stands = |read: &BTreeMap<TargetPartition, Option<TargetCommit>>| {
                let stands = read.iter().filter_map(|(at, read)| Some((at.clone(), read.clone()?)));
                stands.collect::<Vec<_>>()
            };
            self.same = read.is_some_and(|read| stands(&read) == stands(first));
            return;
        }
        for (at, stored) in read.iter().flatten() {
            match stored {
                Some(_) => _ = self.standing.entry(at.clone()).or_insert(now),
                None => _ = self.standing.remove(at),
            }
        }
        self.target = read;
    }

    /// A commit came to its end, and some of it is known to stand.
    pub(super) fn committed(&mut self, now: u64, stands: impl Fn(&TargetPartition) -> bool) {
        self.forget();
        let written = std::mem::take(&mut self.written).into_iter().filter(|at| stands(at));
        self.standing.extend(written.map(|at| (at, now)));
    }

    /// Every offset was decided from reads that succeeded, by what is known, and for a reason.
    pub(super) fn may_write(&mut self, now: u64, setup: &Setup, known: &Known, write: &Write<'_>) {
        let Some(target) = &self.target else {
            panic!("{}: what stands on the target was not read", write.group);
        };
        assert!(!write.offsets.is_empty(), "{}: nothing to write", write.group);
        for (at, commit) in write.offsets {
            let stored = target.get(at).unwrap_or_else(|| panic!("{at} was not read"));
            if stored.as_ref() == Some(commit) {
                let since = self.standing.get(at).map_or(0, |since| now - since);
                let due = u128::from(since) >= setup.policy.refresh_interval.as_millis();
                assert!(due, "{} {at}: written again, {since} ms after it", write.group);
            } else {
                self.may_translate(setup, known, write, (at, commit));
            }
            if let Some(stored) = stored {
                may_replace(setup, known, write, (commit, stored));
            }
        }
        let foreign = |(at, stored): (&TargetPartition, &Option<TargetCommit>)| {
            let stored = stored.as_ref().filter(|_| known.is_target(at));
            stored.is_some_and(|stored| is_foreign(setup, stored))
        };
        let hold = setup.policy.on_foreign_commit == OnForeignCommit::Hold;
        let translates =
            write.offsets.iter().any(|(at, commit)| target[at].as_ref() != Some(commit));
        let foreign =
            hold && translates && setup.policy.apply_mappings_guard && target.iter().any(foreign);
        assert!(!foreign, "{}: somebody else committed", write.group);
        self.written = write.offsets.keys().cloned().collect();
    }

    /// The stamp tells the truth: what was read, under which fence, and where that leads by exactly
    /// the mappings it names.
    fn may_translate(
        &self,
        setup: &Setup,
        known: &Known,
        write: &Write<'_>,
        (at, commit): (&TargetPartition, &TargetCommit),
    ) {
        let Some(stamp) = stamp_of(setup, commit) else {
            panic!("{} {at}: not a stamp: {commit:?}", write.group);
        };
        let stands = (stamp.fence, stamp.shard, stamp.shards, stamp.target);
        let shards = setup.fence_topic.shards;
        assert_eq!(stands, (write.fence, write.shard, shards, commit.offset), "{commit:?}");
        let as_of = (stamp.mapping_partition, stamp.as_of);
        assert!(stamp.as_of <= known.as_of(as_of.0), "more than is known: {commit:?}");
        let mut sources = self.source.iter().flatten().filter(|(source, read)| {
            let (way, of) = ((*source, at), Some(stamp.incarnation));
            read.offset == stamp.source && known.leads(way, of, as_of, stamp.source, stamp.target)
        });
        let Some((source, _)) = sources.next() else {
            panic!("{} {at}: {:?} does not lead to {commit:?}", write.group, self.source);
        };
        let stored = self.target.as_ref().and_then(|target| target[at].as_ref());
        let stored = stored.and_then(|stored| stamp_of(setup, stored));
        let rewound = stored.is_some_and(|stored| {
            stored.incarnation == stamp.incarnation && stamp.source < stored.source
        });
        let confirmed = !rewound || self.confirmed.contains_key(source);
        assert!(confirmed, "{} {at}: set back by one doubtful read", write.group);
    }
}

/// Whether `stored` gives way: it is ours, and no owner that knew more decided it.
fn may_replace(
    setup: &Setup,
    known: &Known,
    write: &Write<'_>,
    (commit, stored): (&TargetCommit, &TargetCommit),
) {
    if !setup.policy.apply_mappings_guard && commit != stored {
        return;
    }
    let Some(stamp) = stamp_of(setup, stored).filter(|_| !is_foreign(setup, stored)) else {
        let allowed = match setup.policy.on_foreign_commit {
            // A newer version's stamp is nobody's to overwrite.
            _ if !is_foreign(setup, stored) => false,
            OnForeignCommit::Hold => false,
            OnForeignCommit::ForwardOnly => commit.offset > stored.offset,
            OnForeignCommit::Overwrite => commit != stored,
        };
        return assert!(allowed, "{}: {commit:?} over a foreign {stored:?}", write.group);
    };
    let name = &setup.policy.pipeline;
    let pipeline = PipelineId::of(name, &setup.source_cluster, &setup.target_cluster);
    let tag = FenceTopicTag::of(setup.fence_topic.id);
    let own = (pipeline, tag, write.shard, setup.fence_topic.shards);
    let of = (stamp.pipeline, stamp.fence_topic, stamp.shard, stamp.shards);
    assert_eq!(of, own, "{}: {commit:?} over one of another fence log", write.group);
    assert!(stamp.fence <= write.fence, "{commit:?} over {stored:?}, of a later fence");
    let same = stamp_of(setup, commit).is_some_and(|new| new.mapping_topic == stamp.mapping_topic);
    let knew_less =
        commit == stored || !same || stamp.as_of <= known.as_of(stamp.mapping_partition);
    assert!(knew_less, "{}: {commit:?} over {stored:?}, which knew more", write.group);
    let moves = (stamp.target, Some(stamp.incarnation))
        != (commit.offset, stamp_of(setup, commit).map(|new| new.incarnation));
    assert!(commit == stored || moves, "{}: no reason to write {commit:?}", write.group);
}

fn stamp_of(setup: &Setup, commit: &TargetCommit) -> Option<Stamp> {
    match Metadata::parse(&commit.metadata, [setup.policy.guard_prefix.as_str()]) {
        Metadata::Stamped { stamp, .. } => Some(stamp),
        Metadata::Foreign | Metadata::Malformed | Metadata::NewerVersion { .. } => None,
    }
}

/// "Foreign, malformed, or S is not its stamp's offset."
fn is_foreign(setup: &Setup, commit: &TargetCommit) -> bool {
    match Metadata::parse(&commit.metadata, [setup.policy.guard_prefix.as_str()]) {
        Metadata::Stamped { stamp, .. } => stamp.target != commit.offset,
        Metadata::Foreign | Metadata::Malformed => true,
        Metadata::NewerVersion { .. } => false,
    }
}
