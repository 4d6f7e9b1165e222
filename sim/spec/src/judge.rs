//! The table of `docs/protocol.md`, "The judge", row by row, and the conditions that the same section names
//! for a refresh.

use sprag_core::ids::{SourceOffset, TargetOffset};
use sprag_core::judge::{Candidate, Findings, Knowledge, Ownership, Stored};
use sprag_core::policy::{OnCorrection, OnForeignCommit, OnSourceRewind, Policy};
use sprag_core::stamp::{Metadata, Stamp};
use sprag_core::verdict::{BlockReason, CommitReason, HoldReason, KeepReason, Verdict};

/// All that a row may look at.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    /// What is stored.
    pub stored: &'a Stored,
    /// What would be committed, or why nothing can be.
    pub candidate: &'a Result<Candidate, HoldReason>,
    /// Who would commit.
    pub own: &'a Ownership,
    /// What is known of the mappings.
    pub knowledge: &'a dyn Knowledge,
    /// What was read of the group and the partition.
    pub findings: Findings,
    /// The policies.
    pub policy: &'a Policy,
}

/// The document's names. What does not exist compares with nothing.
impl Facts<'_> {
    fn s(&self) -> Option<TargetOffset> {
        match self.stored {
            Stored::Nothing => None,
            Stored::Commit { offset, .. } => Some(*offset),
        }
    }

    fn stamp(&self) -> Option<&Stamp> {
        stamp(self.stored)
    }

    fn candidate(&self) -> Option<&Candidate> {
        self.candidate.as_ref().ok()
    }

    fn t(&self) -> Option<TargetOffset> {
        self.candidate().map(|candidate| candidate.target)
    }

    fn n(&self) -> Option<SourceOffset> {
        self.candidate().map(|candidate| candidate.source)
    }

    fn same_mapping_topic(&self) -> Option<bool> {
        self.stamp().map(|stamp| stamp.mapping_topic == self.own.mapping_topic)
    }

    fn corrected(&self) -> Verdict {
        match self.policy.on_correction {
            OnCorrection::Follow => Verdict::Commit(CommitReason::Correct),
            OnCorrection::Hold => Verdict::Hold(HoldReason::Correction),
        }
    }
}

/// A row: its number, and its verdict if it matches.
pub type Row = (&'static str, fn(&Facts<'_>) -> Option<Verdict>);

/// The rows. The first one that matches decides. "off" replaces the rest of the table if the guard is
/// disabled.
pub const TABLE: &[Row] = &[
    ("0", |it| it.candidate.as_ref().err().cloned().map(Verdict::Hold)),
    ("1", |it| match it.stored {
        Stored::Commit { metadata: Metadata::NewerVersion { version }, .. } => {
            Some(Verdict::Hold(HoldReason::NewerVersion { version: *version }))
        }
        Stored::Commit { .. } | Stored::Nothing => None,
    }),
    ("2", |it| it.findings.active.then_some(Verdict::Hold(HoldReason::Active))),
    ("3", |it| {
        let end = it.findings.log_end;
        (it.t()? > end).then_some(Verdict::Hold(HoldReason::BeyondEnd { end }))
    }),
    ("off", |it| {
        let verdict = match it.t() == it.s() {
            true => Verdict::Keep(KeepReason::Same),
            false => Verdict::Commit(CommitReason::GuardOff),
        };
        (!it.policy.apply_mappings_guard).then_some(verdict)
    }),
    ("4a", |it| {
        let verdict = match it.policy.on_foreign_commit {
            OnForeignCommit::Hold => Verdict::Hold(HoldReason::Foreign),
            OnForeignCommit::ForwardOnly if it.t()? <= it.s()? => {
                Verdict::Keep(KeepReason::NotForward)
            }
            OnForeignCommit::ForwardOnly | OnForeignCommit::Overwrite => {
                Verdict::Commit(CommitReason::Override)
            }
        };
        is_foreign(it.stored).then_some(verdict)
    }),
    ("4b", |it| {
        let holds = it.policy.on_foreign_commit == OnForeignCommit::Hold;
        let sibling = it.findings.foreign_sibling;
        (sibling && holds).then_some(Verdict::Hold(HoldReason::ForeignSibling))
    }),
    ("5", |it| {
        let nothing = *it.stored == Stored::Nothing;
        nothing.then_some(Verdict::Commit(CommitReason::First))
    }),
    ("6", |it| {
        let other = it.stamp()?.pipeline != it.own.pipeline;
        other.then_some(Verdict::Hold(HoldReason::OtherPipeline))
    }),
    ("7", |it| {
        let other = !is_of_fence_log(it.stamp()?, it.own);
        other.then_some(Verdict::Hold(HoldReason::FenceChanged))
    }),
    ("8", |it| {
        let (stored, own) = (it.stamp()?.fence, it.own.fence);
        let verdict = match it.own.loading {
            true => Verdict::Hold(HoldReason::FenceRegressed { stored }),
            false => Verdict::Block(BlockReason::Stale { stored, own }),
        };
        (stored > own).then_some(verdict)
    }),
    ("9", |it| {
        let refence = !it.same_mapping_topic()? && it.stamp()?.fence == it.own.fence;
        refence.then_some(Verdict::Block(BlockReason::Refence))
    }),
    ("10", |it| {
        let (partition, stored) = (it.stamp()?.mapping_partition, it.stamp()?.as_of);
        let own = it.knowledge.as_of(partition);
        let truncated = it.knowledge.log_end(partition).is_some_and(|end| end < stored);
        let behind = it.same_mapping_topic()? && own.is_none_or(|own| own < stored);
        let reason = BlockReason::Behind { partition, stored, own, truncated };
        behind.then_some(Verdict::Block(reason))
    }),
    ("11", |it| {
        let verdict = match it.n()? == it.stamp()?.source {
            true => Verdict::Hold(HoldReason::Recreated),
            false => Verdict::Commit(CommitReason::Reincarnate),
        };
        (it.candidate()?.incarnation != it.stamp()?.incarnation).then_some(verdict)
    }),
    ("12", |it| {
        let cut_off = it.s()? > it.findings.log_end && it.t()? < it.s()?;
        cut_off.then(|| it.corrected())
    }),
    ("13", |it| {
        let lowered = it.knowledge.lowered_after(it.stamp()?.as_of) || !it.same_mapping_topic()?;
        let skips = it.candidate()?.first_copy.is_some_and(|copy| Some(copy) < it.s());
        let back = it.t()? < it.s()? && it.n()? >= it.stamp()?.source;
        (back && (lowered || skips)).then(|| it.corrected())
    }),
    ("14", |it| {
        let verdict = match it.policy.on_source_rewind {
            OnSourceRewind::Follow => Verdict::Commit(CommitReason::FollowRewind),
            OnSourceRewind::Hold => Verdict::Hold(HoldReason::Rewind),
        };
        (it.t()? < it.s()? && it.n()? < it.stamp()?.source).then_some(verdict)
    }),
    ("15", |it| (it.t()? == it.s()?).then_some(Verdict::Keep(KeepReason::Same))),
    ("16", |it| (it.t()? > it.s()?).then_some(Verdict::Commit(CommitReason::Advance))),
    ("17", |_| Some(Verdict::Keep(KeepReason::StoredIsSharper))),
];

/// The row that decides, and its verdict. "unconfirmed" holds a commit that another source read must
/// confirm.
///
/// # Panics
///
/// Never: the last row matches everything.
#[must_use]
pub fn verdict(facts: Facts<'_>) -> (&'static str, Verdict) {
    let confirmed = facts.candidate().is_some_and(|candidate| candidate.confirmed);
    match TABLE.iter().find_map(|(row, verdict)| Some((*row, verdict(&facts)?))) {
        Some((_, Verdict::Commit(_))) if !confirmed => {
            ("unconfirmed", Verdict::Hold(HoldReason::Unconfirmed))
        }
        Some(decided) => decided,
        None => panic!("the last row matches everything"),
    }
}

/// *Foreign, malformed, or S is not its stamp's offset.*
#[must_use]
pub fn is_foreign(stored: &Stored) -> bool {
    match stored {
        Stored::Nothing => false,
        Stored::Commit { metadata: Metadata::Foreign | Metadata::Malformed, .. } => true,
        Stored::Commit { offset, .. } => stamp(stored).is_some_and(|stamp| stamp.target != *offset),
    }
}

/// Whether the stored commit has our stamp, of our pipeline and fence log, under a fence above ours.
#[must_use]
pub fn is_of_later_fence(stored: &Stored, own: &Ownership) -> bool {
    is_of_our_log(stored, own) && stamp(stored).is_some_and(|stamp| stamp.fence > own.fence)
}

/// *No members, our stamp, our pipeline, our fence log, and no higher fence.*
#[must_use]
pub fn may_refresh(stored: &Stored, own: &Ownership, active: bool) -> bool {
    !active && is_of_our_log(stored, own) && !is_of_later_fence(stored, own)
}

fn is_of_our_log(stored: &Stored, own: &Ownership) -> bool {
    let ours = |stamp: &Stamp| stamp.pipeline == own.pipeline && is_of_fence_log(stamp, own);
    !is_foreign(stored) && stamp(stored).is_some_and(ours)
}

fn is_of_fence_log(stamp: &Stamp, own: &Ownership) -> bool {
    (stamp.fence_topic, stamp.shard, stamp.shards) == (own.fence_topic, own.shard, own.shards)
}

fn stamp(stored: &Stored) -> Option<&Stamp> {
    match stored {
        Stored::Commit { metadata: Metadata::Stamped { stamp, .. }, .. } => Some(stamp),
        Stored::Commit { .. } | Stored::Nothing => None,
    }
}
