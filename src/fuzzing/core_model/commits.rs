//! Compare-and-swap, by `docs/protocol.md`, "Compare-and-swap" and "Modes".

use std::collections::{BTreeMap, BTreeSet};

use crate::core::action::{Action, TransactionEnd};
use crate::core::event::{TargetCommit, TargetOffsets};
use crate::core::failure::{Failure, FailureClass};
use crate::core::ids::{Fence, GroupId, Shard, TargetPartition};
use crate::core::machine::view::{LaneView, StageView};

use super::decisions::{Decided, Target};
use super::groups::{Group, all_read};
use super::model::Model;

/// What a group is about to commit, and how far that is.
#[derive(Clone, Debug, Default)]
pub(super) struct Planned {
    pub(super) commits: BTreeMap<TargetPartition, TargetCommit>,
    pub(super) judged: Target,
    /// When what was judged was asked for once more.
    pub(super) checked: u64,
    end: Option<TransactionEnd>,
    /// How often the end was asked for.
    attempts: u32,
    /// Why it is aborted, where something failed.
    failed: Option<FailureClass>,
}

impl Model {
    pub(super) fn plan(&mut self, name: &GroupId, decided: Decided, judged: Target) {
        let guarded = self.is_guarded();
        let leaving = |shard: Shard| {
            let revoked = self.shards.get(&shard).is_none_or(|state| state.view.revoked);
            self.stopping.is_some() || revoked
        };
        let leaving = self.groups.get(name).is_some_and(|group| leaving(group.shard));
        let Some(group) = self.groups.get_mut(name) else {
            return;
        };
        group.planned = Planned { commits: decided.commits, judged, ..Planned::default() };
        match (guarded, leaving) {
            (false, _) => group.stage = StageView::Queued,
            (true, false) => group.stage = StageView::Verifying,
            (true, true) => self.round_ended(name),
        }
    }

    pub(super) fn half_ordered(
        &mut self,
        shard: Shard,
        fence: Fence,
        name: &GroupId,
        offsets: &BTreeMap<TargetPartition, TargetCommit>,
    ) {
        let (guarded, stopping) = (self.is_guarded(), self.stopping.is_some());
        let (Some(state), Some(group)) = (self.shards.get_mut(&shard), self.groups.get_mut(name))
        else {
            panic!("a commit of {name}, for shard {shard} that is not ours");
        };
        assert_eq!((state.fence(), group.shard), (Some(fence), shard), "{name}");
        assert!(state.is_free() && !state.view.revoked && !stopping && !guarded, "{name}");
        assert_eq!(group.stage, StageView::Queued, "{name}");
        assert_eq!(*offsets, group.planned.commits, "{name}; left: ordered, right: decided");
        state.view.lane = LaneView::Group;
        group.stage = StageView::Writing;
    }

    pub(super) fn half_written(&mut self, action: &Action, outcome: &Result<(), Failure>) {
        let Some((name, group)) = self.group_mut(action) else {
            return;
        };
        let shard = group.shard;
        match outcome {
            Ok(()) => group.stage = StageView::Verifying,
            Err(failure) if failure.class == FailureClass::Fenced => self.back_off(shard, true),
            Err(failure) if failure.class == FailureClass::Stop => self.fail(),
            Err(failure) => self.end(&name, TransactionEnd::Abort, Some(failure.class)),
        }
    }

    /// All that was judged was read once more, or was not.
    pub(super) fn verified(&mut self, name: &GroupId, outcome: &Result<TargetOffsets, Failure>) {
        let guarded = self.is_guarded();
        let Some(group) = self.groups.get_mut(name) else {
            return;
        };
        let read = match outcome {
            Ok(read) => all_read(read),
            Err(failure) => Err(failure.class),
        };
        let stands = |target: &Target| -> Target {
            target.iter().filter(|(_, stands)| stands.is_some()).map(owned).collect()
        };
        let same = read.as_ref().is_ok_and(|read| {
            let named = group.planned.judged.keys().all(|at| read.contains_key(at));
            named && stands(read) == stands(&group.planned.judged)
        });
        match (guarded, same, read) {
            (true, true, _) => group.stage = StageView::Committing,
            (true, false, Ok(_)) => self.round_ended(name),
            (true, false, Err(class)) => self.round_failed(name, class),
            (false, true, _) => self.end(name, TransactionEnd::Commit, None),
            (false, false, read) => self.end(name, TransactionEnd::Abort, read.err()),
        }
    }

    fn end(&mut self, name: &GroupId, end: TransactionEnd, failed: Option<FailureClass>) {
        if let Some(group) = self.groups.get_mut(name) {
            group.stage = StageView::Ending;
            group.planned.attempts = 1;
            (group.planned.end, group.planned.failed) = (Some(end), failed);
        }
    }

    pub(super) fn end_ordered(
        &mut self,
        shard: Shard,
        fence: Fence,
        name: &GroupId,
        end: TransactionEnd,
    ) {
        let (Some(state), Some(group)) = (self.shards.get(&shard), self.groups.get(name)) else {
            panic!("the end of a transaction of {name}, for shard {shard} that is not ours");
        };
        let stands = (state.fence(), state.view.lane, group.stage);
        assert_eq!(stands, (Some(fence), LaneView::Group, StageView::Ending), "{name}");
        assert_eq!(group.planned.end, Some(end), "{name}; left: what must follow");
    }

    pub(super) fn ended(&mut self, action: &Action, outcome: &Result<(), Failure>) {
        let Some((name, group)) = self.group_mut(action) else {
            return;
        };
        let shard = group.shard;
        let Planned { end, attempts, failed, .. } = group.planned;
        let class = outcome.as_ref().err().map(|failure| failure.class);
        match (class, end) {
            (None, end) => {
                if let Some(state) = self.shards.get_mut(&shard) {
                    state.view.lane = LaneView::Free;
                }
                if end == Some(TransactionEnd::Commit) {
                    self.stands(&name, |_| true);
                }
                match failed {
                    Some(class) => self.round_failed(&name, class),
                    None => self.round_ended(&name),
                }
            }
            (Some(FailureClass::Stop), _) => self.fail(),
            (Some(class @ FailureClass::Abort), Some(TransactionEnd::Commit)) => {
                self.end(&name, TransactionEnd::Abort, Some(class));
            }
            (Some(FailureClass::OutcomeUnknown | FailureClass::Retry), _) if attempts < 5 => {
                group.planned.attempts += 1;
            }
            (Some(_), _) => self.back_off(shard, true),
        }
    }

    pub(super) fn plain_ordered(
        &mut self,
        name: &GroupId,
        offsets: &BTreeMap<TargetPartition, TargetCommit>,
        not_after: u64,
    ) {
        let guarded = self.is_guarded();
        let Some(group) = self.groups.get(name) else {
            panic!("a commit of {name}, which is not looked after");
        };
        assert!(guarded && group.stage == StageView::Committing, "{name} at {:?}", group.stage);
        assert_eq!(*offsets, group.planned.commits, "{name}; left: ordered, right: decided");
        let checked = group.planned.checked;
        let fresh = checked..=checked + 2_000;
        assert!(fresh.contains(&not_after), "{name}: the check grows too old");
    }

    pub(super) fn committed_plainly(
        &mut self,
        action: &Action,
        outcome: &Result<BTreeMap<TargetPartition, Result<(), Failure>>, Failure>,
    ) {
        let Some((name, _)) = self.group_mut(action) else {
            return;
        };
        let results = match outcome {
            Ok(results) => results,
            Err(failure) => return self.round_failed(&name, failure.class),
        };
        let failed = results.values().find_map(|result| result.as_ref().err());
        let fine: BTreeSet<_> =
            results.iter().filter(|(_, result)| result.is_ok()).map(|(at, _)| at).collect();
        self.stands(&name, |at| fine.contains(at));
        match failed {
            Some(failure) => self.round_failed(&name, failure.class),
            None => self.round_ended(&name),
        }
    }

    /// What is committed is told, and known to stand.
    fn stands(&mut self, name: &GroupId, fine: impl Fn(&TargetPartition) -> bool) {
        let now = self.now;
        let Some(Group { planned, written, .. }) = self.groups.get_mut(name) else {
            return;
        };
        for (at, commit) in planned.commits.iter().filter(|(at, _)| fine(at)) {
            written.insert(at.clone(), now);
            self.owed.told.insert((name.clone(), at.clone(), commit.offset));
        }
    }
}

fn owned(
    (at, commit): (&TargetPartition, &Option<TargetCommit>),
) -> (TargetPartition, Option<TargetCommit>) {
    (at.clone(), commit.clone())
}
