//! What was read of one group, and what may be written by that.

use std::collections::BTreeMap;
use std::time::Duration;

use sprag_core::event::{SourceOffsets, TargetCommit, TargetOffsets};
use sprag_core::failure::Failure;
use sprag_core::ids::{Fence, FenceTopicTag, GroupId, PipelineId, Shard, TargetPartition};
use sprag_core::machine::Setup;
use sprag_core::policy::OnForeignCommit;
use sprag_core::request::RequestId;
use sprag_core::stamp::{Metadata, Stamp};
use sprag_core::time::Instant;

use super::known::Known;
use super::source::SourceSeen;

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
    source: SourceSeen,
    /// Whether the source was read in this round.
    source_read: bool,
    target: Option<BTreeMap<TargetPartition, Option<TargetCommit>>>,
    /// Whether the target is read a second time, and whether the two reads agree.
    second_look: bool,
    same: bool,
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

    /// No read of this round counts any more.
    pub(super) fn forget(&mut self) {
        (self.asked, self.source_read, self.target) = (None, false, None);
    }

    /// The shard was given up: no read counts any more.
    pub(super) fn forget_source(&mut self) {
        self.forget();
        self.source = SourceSeen::default();
    }

    pub(super) fn ask_source(&mut self, request: RequestId, coordinator_since: Option<Instant>) {
        self.forget();
        self.asked = Some(request);
        self.source.ask(coordinator_since);
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
        now: Instant,
        confirm_after: Duration,
        outcome: &Result<SourceOffsets, Failure>,
    ) {
        self.source_read = outcome.is_ok();
        match outcome {
            Ok(read) => self.source.read(now, confirm_after, read),
            Err(_) => self.source.failed(),
        }
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
                let stamp = stamp_of(setup, commit).filter(|_| !is_foreign(setup, commit));
                let ours = stamp.is_some_and(|stamp| is_ours(setup, write, &stamp));
                assert!(ours, "{} {at}: not ours to write again: {commit:?}", write.group);
                continue;
            }
            let stamp = self.truth(setup, known, write, (at, commit));
            if !setup.policy.apply_mappings_guard {
                continue;
            }
            if let Some(stored) = stored {
                gives_way(setup, known, write, (stored, &stamp));
            }
            let foreign = target.iter().find(|(at, stored)| {
                let stored = stored.as_ref().filter(|_| known.is_target(at));
                stored.is_some_and(|stored| is_foreign(setup, stored))
            });
            let held = setup.policy.on_foreign_commit == OnForeignCommit::Hold;
            assert!(!held || foreign.is_none(), "{}: {foreign:?} is foreign", write.group);
        }
        self.written = write.offsets.keys().cloned().collect();
    }

    /// The stamp, which must be true: what was read, under which fence, and where that leads by exactly
    /// the mappings that it names.
    fn truth(
        &self,
        setup: &Setup,
        known: &Known,
        write: &Write<'_>,
        (at, commit): (&TargetPartition, &TargetCommit),
    ) -> Stamp {
        let Some(stamp) = stamp_of(setup, commit) else {
            panic!("{} {at}: not a stamp: {commit:?}", write.group);
        };
        let of = (is_ours(setup, write, &stamp), stamp.fence, stamp.target);
        assert_eq!(of, (true, write.fence, commit.offset), "{} {at}: {commit:?}", write.group);
        let as_of = (stamp.mapping_partition, stamp.as_of);
        assert!(stamp.as_of <= known.as_of(as_of.0), "more than is known: {commit:?}");
        assert!(self.source_read, "{} {at}: the source was not read", write.group);
        let mut sources = self.source.at(stamp.source).filter(|source| {
            let (way, of) = ((*source, at), Some(stamp.incarnation));
            known.leads(way, of, as_of, stamp.source, stamp.target)
        });
        let Some(source) = sources.next() else {
            panic!("{} {at}: {:?} does not lead to {commit:?}", write.group, self.source);
        };
        let stored = self.target.as_ref().and_then(|target| target[at].as_ref());
        let rewound = stored.and_then(|stored| stamp_of(setup, stored)).is_some_and(|stored| {
            stored.incarnation == stamp.incarnation && stamp.source < stored.source
        });
        let confirmed = !rewound || self.source.is_confirmed(source);
        assert!(confirmed, "{} {at}: set back by one doubtful read", write.group);
        stamp
    }
}

/// `stored` gives way to a translation: it is ours, and no owner that knew more decided it.
fn gives_way(
    setup: &Setup,
    known: &Known,
    write: &Write<'_>,
    (stored, new): (&TargetCommit, &Stamp),
) {
    if is_foreign(setup, stored) {
        let forward = new.target > stored.offset;
        let allowed = match setup.policy.on_foreign_commit {
            OnForeignCommit::Hold => false,
            OnForeignCommit::ForwardOnly => forward,
            OnForeignCommit::Overwrite => true,
        };
        return assert!(allowed, "{}: {new} over a foreign {stored:?}", write.group);
    }
    let Some(old) = stamp_of(setup, stored) else {
        panic!("{}: {new} over one of a newer version, {stored:?}", write.group);
    };
    assert!(is_ours(setup, write, &old), "{}: {new} over {old}, not ours", write.group);
    let same_log = old.mapping_topic == new.mapping_topic;
    let knew_more = same_log && old.as_of > known.as_of(old.mapping_partition);
    assert!(!knew_more, "{}: {new} over {old}, which knew more", write.group);
    let moves = (old.target, old.incarnation) != (new.target, new.incarnation);
    assert!(moves, "{}: no reason to write {new} over {old}", write.group);
}

/// Of this pipeline and fence log, and under no later fence.
fn is_ours(setup: &Setup, write: &Write<'_>, stamp: &Stamp) -> bool {
    let (name, topic) = (&setup.policy.pipeline, setup.fence_topic);
    let pipeline = PipelineId::of(name, &setup.source_cluster, &setup.target_cluster);
    let of = (stamp.pipeline, stamp.fence_topic, stamp.shard, stamp.shards);
    let ours = (pipeline, FenceTopicTag::of(topic.id), write.shard, topic.shards);
    of == ours && stamp.fence <= write.fence
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
