//! Lists the groups of both clusters.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use super::super::action::{Action, Read};
use super::super::coordinators::Side;
use super::super::event::{GroupActivity, SourceListing, TargetListing};
use super::super::failure::Failure;
use super::super::group::{Group, Stage};
use super::super::ids::{Fence, GroupId, Shard};
use super::super::note::Note;
use super::super::planted::{Bug, has};
use super::super::shard::Life;
use super::super::time::Instant;
use super::{Core, Waiter};

const RETRY: Duration = Duration::from_secs(1);
/// For at least this long, a list of the target's groups says which of them have members.
const ACTIVITY_KNOWN: Duration = Duration::from_secs(60);

/// The groups as last listed. If some broker did not contribute to a list, the groups known before are
/// kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Listings {
    source: BTreeSet<GroupId>,
    target: BTreeMap<GroupId, GroupActivity>,
    /// Whether the last list of the target was complete, so that a group it lacks does not exist there.
    target_complete: bool,
    /// Why the last lists lack the groups of some broker, as reported.
    gaps: BTreeMap<Side, Arc<str>>,
    /// Selected groups whose protocol commits no offsets, and their protocol types.
    left_out: BTreeMap<GroupId, String>,
    /// When the target was last listed.
    target_at: Instant,
    /// When to list again; `None` while a listing is under way or not needed.
    source_due: Option<Instant>,
    target_due: Option<Instant>,
}

impl Core {
    pub(super) fn listings_due(&self) -> Option<Instant> {
        self.listings.source_due.into_iter().chain(self.listings.target_due).min()
    }

    /// Whether the group has members on the target, as last listed. If the list could not be renewed for
    /// long, this is unknown, and the broker's own check decides.
    pub(super) fn activity(&self, group: &GroupId) -> GroupActivity {
        let known_for = self.policy().poll_interval.saturating_mul(2).max(ACTIVITY_KNOWN);
        if self.now.since(self.listings.target_at) > known_for {
            return GroupActivity::Unknown;
        }
        let unlisted = match self.listings.target_complete {
            true => GroupActivity::Empty,
            false => GroupActivity::Unknown,
        };
        self.listings.target.get(group).copied().unwrap_or(unlisted)
    }

    /// Starts *Loading*. Lists that were requested before do not count.
    pub(super) fn start_loading(&mut self, shard: Shard, fence: Fence) {
        if let Some(state) = self.shards.get_mut(&shard) {
            state.life = Life::Loading { fence, source_listed: false, target_listed: false };
        }
        self.requests.abandon(|waiter| matches!(waiter, Waiter::SourceList | Waiter::TargetList));
        self.listings.source_due = Some(self.now);
        self.listings.target_due = Some(self.now);
    }

    pub(super) fn advance_listings(&mut self) {
        if self.stopping.is_some() {
            return;
        }
        let wanted = self.shards.values().any(|state| match &state.life {
            Life::Loading { .. } | Life::Active { .. } => true,
            Life::Fencing(_) | Life::CatchingUp { .. } => false,
        });
        if !wanted {
            self.listings.source_due = None;
            self.listings.target_due = None;
            return;
        }
        if self.listings.source_due.is_some_and(|due| due <= self.now) {
            self.listings.source_due = None;
            let request = self.requests.ask(Waiter::SourceList);
            self.act(Action::Read(Read::SourceGroups { request }));
        }
        if self.listings.target_due.is_some_and(|due| due <= self.now) {
            self.listings.target_due = None;
            let request = self.requests.ask(Waiter::TargetList);
            self.act(Action::Read(Read::TargetGroups { request }));
        }
    }

    pub(super) fn source_groups_listed(&mut self, outcome: Result<SourceListing, Failure>) {
        let named = self.named_groups();
        match outcome {
            Ok(listing) => {
                let SourceListing { groups, without_offsets, missing } = listing;
                let mut listed = self.admitted(groups.into_iter().chain(named));
                if missing.is_some() {
                    listed.append(&mut self.listings.source);
                }
                self.listings.source = listed;
                self.left_out(without_offsets, missing.is_none());
                self.listings.source_due = Some(self.next_list(Side::Source, missing));
                self.mark_listed(|source_listed, _| *source_listed = true);
                self.adopt_all();
            }
            Err(failure) => {
                self.listings.source_due = Some(self.now + RETRY);
                self.listing_failed(failure);
                // Groups with exact names need no list.
                if !named.is_empty() {
                    self.listings.source = self.admitted(named.into_iter());
                    self.mark_listed(|source_listed, _| *source_listed = true);
                    self.adopt_all();
                }
            }
        }
    }

    fn named_groups(&self) -> Vec<GroupId> {
        self.policy().groups.names().into_iter().flatten().cloned().collect()
    }

    /// When to list again. `missing` says why the list lacks the groups of some broker. Such a gap is
    /// reported when it opens and when its reason changes.
    fn next_list(&mut self, side: Side, missing: Option<Failure>) -> Instant {
        let Some(failure) = missing else {
            self.listings.gaps.remove(&side);
            return self.now + self.policy().poll_interval;
        };
        let reported = self.listings.gaps.insert(side, Arc::clone(&failure.detail));
        if reported.as_ref() != Some(&failure.detail) {
            self.listing_failed(failure);
        }
        self.now + RETRY
    }

    /// Remembers selected groups whose protocol commits no offsets. Each is reported once.
    fn left_out(&mut self, groups: BTreeMap<GroupId, String>, complete: bool) {
        let groups = groups.into_iter();
        let mut groups: BTreeMap<_, _> =
            groups.filter(|(group, _)| self.policy().groups.admits(group).is_ok()).collect();
        for (group, protocol) in &groups {
            if !self.listings.left_out.contains_key(group) {
                let (group, protocol) = (group.clone(), protocol.as_str().into());
                self.report(Note::GroupLeftOut { group, protocol });
            }
        }
        if !complete {
            groups.append(&mut self.listings.left_out);
        }
        self.listings.left_out = groups;
    }

    pub(super) fn target_groups_listed(&mut self, outcome: Result<TargetListing, Failure>) {
        match outcome {
            Ok(TargetListing { mut groups, missing }) => {
                if missing.is_some() {
                    for group in core::mem::take(&mut self.listings.target).into_keys() {
                        groups.entry(group).or_insert(GroupActivity::Unknown);
                    }
                }
                self.listings.target = groups;
                self.listings.target_complete = missing.is_none();
                self.listings.target_at = self.now;
                self.listings.target_due = Some(self.next_list(Side::Target, missing));
                self.mark_listed(|_, target_listed| *target_listed = true);
                self.adopt_all();
            }
            Err(failure) => {
                self.listings.target_due = Some(self.now + RETRY);
                self.listing_failed(failure);
            }
        }
    }

    fn admitted(&self, groups: impl Iterator<Item = GroupId>) -> BTreeSet<GroupId> {
        groups.filter(|group| self.policy().groups.admits(group).is_ok()).collect()
    }

    fn mark_listed(&mut self, mark: impl Fn(&mut bool, &mut bool)) {
        for state in self.shards.values_mut() {
            if let Life::Loading { source_listed, target_listed, .. } = &mut state.life {
                mark(source_listed, target_listed);
            }
        }
    }

    fn adopt_all(&mut self) {
        let active: Vec<_> = self
            .shards
            .iter()
            .filter(|(_, state)| state.active_fence().is_some())
            .map(|(shard, _)| *shard)
            .collect();
        for shard in active {
            self.adopt_listed_groups(shard);
        }
    }

    /// Starts rounds for newly listed groups of a shard, remembers which of its groups are on the source, and
    /// forgets resting groups that are in neither list.
    pub(super) fn adopt_listed_groups(&mut self, shard: Shard) {
        let shards = self.setup.fence_topic.shards;
        let here = |group: &GroupId| Shard::of(group, shards) == shard;
        let on_target = self.admitted(self.listings.target.keys().cloned());
        let on_source = &self.listings.source;
        // The last owner may have followed newer offsets than a former coordinator would report.
        let since = self.shards.get(&shard).map(|state| state.fenced_at);
        let since = since.filter(|_| !has(Bug::UnconfirmedFollowed));
        for group in on_source.union(&on_target).filter(|group| here(group)) {
            let present = on_source.contains(group);
            match self.groups.get_mut(group) {
                Some(known) if known.on_source == present => {}
                Some(known) => {
                    known.on_source = present;
                    if let Stage::Resting { .. } = known.stage {
                        known.stage = Stage::Resting { due: self.now };
                        let retry = known.failures > 0;
                        let coordinator = self.coordination.source_of(group);
                        self.agenda.plan(self.now, group.clone(), retry, coordinator);
                    }
                }
                None => {
                    let coordinator = self.coordination.source_of(group);
                    self.agenda.plan(self.now, group.clone(), false, coordinator);
                    self.groups.insert(group.clone(), Group::new(shard, present, self.now, since));
                }
            }
        }
        let gone: Vec<_> = self
            .groups
            .iter()
            .filter(|(name, group)| {
                let listed = on_source.contains(*name) || on_target.contains(*name);
                let resting = matches!(group.stage, Stage::Resting { .. });
                group.shard == shard && resting && !listed
            })
            .map(|(name, _)| name.clone())
            .collect();
        for name in gone {
            self.groups.remove(&name);
            self.agenda.forget(&name);
        }
    }
}
