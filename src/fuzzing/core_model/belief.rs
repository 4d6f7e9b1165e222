//! How far a group's source offsets are to be believed: `docs/protocol.md`, "Source reads", once more.

use std::collections::BTreeMap;

use crate::core::event::SourceCommit;
use crate::core::ids::{SourceOffset, SourcePartition};

/// What the source said of one group.
#[derive(Clone, Debug, Default)]
pub(super) struct Memory {
    pub(super) partitions: BTreeMap<SourcePartition, Belief>,
    /// Something happened since the last read that makes the next one doubtful.
    pub(super) disturbed: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Belief {
    pub(super) current: Option<SourceCommit>,
    /// The last offset that was believed, or is doubted.
    last: SourceOffset,
    /// Since when it is in doubt.
    doubted: Option<u64>,
    /// It came out of a doubt: what the target says does not bring it into another.
    reread: bool,
}

impl Memory {
    /// All of the group's offsets were read.
    pub(super) fn read(
        &mut self,
        now: u64,
        offsets: &BTreeMap<SourcePartition, SourceCommit>,
        rediscovered: bool,
        confirm_after: u64,
    ) {
        for (at, belief) in &mut self.partitions {
            belief.current = offsets.get(at).cloned();
            let Some(offset) = belief.current.as_ref().map(|commit| commit.offset) else {
                continue;
            };
            let lower = offset < belief.last;
            match belief.doubted {
                Some(_) if lower => belief.doubted = Some(now),
                Some(since) if rediscovered && now >= since + confirm_after => {
                    (belief.doubted, belief.reread) = (None, true);
                }
                Some(_) => {}
                None if lower || self.disturbed => {
                    (belief.doubted, belief.reread) = (Some(now), false);
                }
                None => {}
            }
            belief.last = offset;
        }
        for (at, commit) in offsets {
            let doubted = self.disturbed.then_some(now);
            let current = Some(commit.clone());
            let new = Belief { current, last: commit.offset, doubted, reread: false };
            self.partitions.entry(at.clone()).or_insert(new);
        }
        self.disturbed = false;
    }

    /// Whether a commit may be made for this partition.
    pub(super) fn confirm(
        &mut self,
        now: u64,
        at: &SourcePartition,
        stamped: Option<SourceOffset>,
    ) -> bool {
        let Some(belief) = self.partitions.get_mut(at) else {
            return false;
        };
        let below = stamped.is_some_and(|stamped| belief.last < stamped);
        if belief.doubted.is_none() && !belief.reread && below {
            belief.doubted = Some(now);
        }
        belief.doubted.is_none()
    }

    /// The latest doubt about an offset that there is.
    pub(super) fn doubted(&self) -> Option<u64> {
        let present = self.partitions.values().filter(|belief| belief.current.is_some());
        present.filter_map(|belief| belief.doubted).max()
    }

    pub(super) fn commits(&self) -> Vec<(SourcePartition, SourceCommit)> {
        let present = self.partitions.iter();
        present.filter_map(|(at, belief)| Some((at.clone(), belief.current.clone()?))).collect()
    }
}
