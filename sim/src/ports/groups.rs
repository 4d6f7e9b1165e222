//! The groups of both clusters.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use sprag::core::action::ReadScope;
use sprag::core::coordinators::Coordinators;
use sprag::core::event::{
    Answerer, GroupActivity, SourceCommit, SourceListing, SourceOffsets, TargetCommit,
    TargetListing, TargetOffsets,
};
use sprag::core::failure::{Failure, FailureClass};
use sprag::core::ids::{
    BrokerId, GroupId, SourceOffset, SourcePartition, TargetOffset, TargetPartition,
};
use sprag::core::time::Instant;
use sprag::ports::{Clock, SourceGroups, TargetGroups};

use super::classify::{Doing, failure};
use super::link::{Link, strange};
use crate::gate::Gate;
use crate::scenario::CommitStep;
use crate::wire::{Committed, Error, GroupState, NO_GENERATION, Partition, Request, Response};

type Fetches = BTreeMap<Partition, Result<Option<Committed>, Error>>;

/// The source's groups.
pub struct SimSourceGroups {
    link: Link,
    /// After which time each group's coordinator had to be looked up for its last read that came back.
    proven: RefCell<BTreeMap<GroupId, Instant>>,
}

/// The target's groups.
pub struct SimTargetGroups {
    link: Link,
    gate: Gate,
}

impl SimSourceGroups {
    pub(super) fn new(link: Link) -> Self {
        Self { link, proven: RefCell::default() }
    }

    /// A read that is to prove something asks a coordinator that was looked up for it. (Where each
    /// look-up may mislead, nothing proves anything.)
    fn look_up(&self, group: &GroupId, since: Option<Instant>) {
        if since.is_some() && self.proven.borrow().get(group).copied() != since {
            self.link.look_up_for_proof();
        }
    }
}

impl SimTargetGroups {
    pub(super) fn new(link: Link, gate: Gate) -> Self {
        Self { link, gate }
    }

    async fn read(
        &self,
        group: &GroupId,
        named: Option<&BTreeSet<TargetPartition>>,
        stable: bool,
    ) -> Result<TargetOffsets, Failure> {
        let at = named.map(|named| named.iter().map(Partition::from).collect());
        let fetched = fetch(&self.link, group, at, stable).await?;
        let what = format!("reading the committed offsets of group {group}");
        Ok(fetched
            .into_iter()
            .map(|(at, found)| {
                let stored = found
                    .map(|found| {
                        found.map(|Committed { offset, metadata }| TargetCommit {
                            offset: TargetOffset(offset),
                            metadata,
                        })
                    })
                    .map_err(|error| failure(error, Doing::Reading, &what));
                (TargetPartition { topic: at.topic, partition: at.partition }, stored)
            })
            .collect())
    }
}

impl SourceGroups for SimSourceGroups {
    async fn list(&self) -> Result<SourceListing, Failure> {
        let groups = list(&self.link).await?.into_keys().collect();
        Ok(SourceListing { groups, ..SourceListing::default() })
    }

    async fn coordinators(&self) -> Result<Coordinators, Failure> {
        Ok(Coordinators::default())
    }

    async fn offsets(
        &self,
        group: &GroupId,
        coordinator: Option<BrokerId>,
        coordinator_since: Option<Instant>,
    ) -> Result<SourceOffsets, Failure> {
        self.look_up(group, coordinator_since);
        let before = self.link.connection();
        let fetched = fetch(&self.link, group, None, false).await?;
        if let Some(since) = coordinator_since {
            self.proven.borrow_mut().insert(group.clone(), since);
        }
        let what = format!("reading the committed offsets of group {group}");
        let mut offsets = BTreeMap::new();
        for (at, found) in fetched {
            let found = found.map_err(|error| failure(error, Doing::Reading, &what))?;
            if let Some(Committed { offset, metadata }) = found {
                let at = SourcePartition { topic: at.topic, partition: at.partition };
                offsets.insert(at, SourceCommit { offset: SourceOffset(offset), metadata });
            }
        }
        let (client, connection) = before;
        let answered_by = (before == self.link.connection()).then_some(Answerer {
            client,
            coordinator,
            connection,
        });
        Ok(SourceOffsets { commits: offsets, answered_by })
    }
}

impl TargetGroups for SimTargetGroups {
    async fn list(&self) -> Result<TargetListing, Failure> {
        let activity = |state| match state {
            GroupState::Empty => GroupActivity::Empty,
            GroupState::Active => GroupActivity::Active,
        };
        let listed = list(&self.link).await?.into_iter();
        let groups = listed.map(|(group, state)| (group, activity(state))).collect();
        Ok(TargetListing { groups, missing: None })
    }

    async fn coordinators(&self) -> Result<Coordinators, Failure> {
        Ok(Coordinators::default())
    }

    async fn offsets(
        &self,
        group: &GroupId,
        coordinator_since: Option<Instant>,
        scope: &ReadScope,
        stable: bool,
    ) -> Result<TargetOffsets, Failure> {
        self.link.looked_up_after(coordinator_since);
        match scope {
            ReadScope::Only(named) => self.read(group, Some(named), stable).await,
            ReadScope::AllAnd(named) => {
                let mut read = self.read(group, None, stable).await?;
                let missing: BTreeSet<_> =
                    named.iter().filter(|at| !read.contains_key(*at)).cloned().collect();
                if !missing.is_empty() {
                    read.extend(self.read(group, Some(&missing), stable).await?);
                }
                Ok(read)
            }
        }
    }

    async fn commit(
        &self,
        group: &GroupId,
        offsets: &BTreeMap<TargetPartition, TargetCommit>,
        not_after: Instant,
    ) -> Result<BTreeMap<TargetPartition, Result<(), Failure>>, Failure> {
        let what = format!("committing offsets of group {group}");
        if self.link.clock().now() > not_after {
            let detail = format!("{what}: the check behind it is too old; nothing was sent");
            return Err(Failure::new(FailureClass::Retry, detail));
        }
        self.gate.reach(CommitStep::Write, group).await;
        let request = Request::OffsetCommit {
            group: group.clone(),
            member: String::new(),
            generation: NO_GENERATION,
            offsets: committed(offsets),
        };
        let answer = self.link.ask(request, Doing::Committing, &what).await?;
        let Response::Committed(results) = answer else {
            return Err(strange(&what, &answer));
        };
        let outcome = |at: &TargetPartition| match results.get(&Partition::from(at)) {
            Some(Ok(())) => Ok(()),
            Some(Err(error)) => Err(failure(*error, Doing::Committing, &what)),
            None => Err(Failure::new(FailureClass::OutcomeUnknown, what.as_str())),
        };
        Ok(offsets.keys().map(|at| (at.clone(), outcome(at))).collect())
    }
}

/// Offsets as a request carries them.
pub(super) fn committed(
    offsets: &BTreeMap<TargetPartition, TargetCommit>,
) -> BTreeMap<Partition, Committed> {
    let each = offsets.iter();
    each.map(|(at, TargetCommit { offset, metadata })| {
        let commit = Committed { offset: offset.get(), metadata: metadata.clone() };
        (Partition::from(at), commit)
    })
    .collect()
}

async fn fetch(
    link: &Link,
    group: &GroupId,
    at: Option<BTreeSet<Partition>>,
    stable: bool,
) -> Result<Fetches, Failure> {
    let what = format!("reading the committed offsets of group {group}");
    let request = Request::OffsetFetch { group: group.clone(), at, stable };
    let answer = link.ask(request, Doing::Reading, &what).await?;
    let Response::Fetches(fetched) = answer else {
        return Err(strange(&what, &answer));
    };
    Ok(fetched)
}

async fn list(link: &Link) -> Result<BTreeMap<GroupId, GroupState>, Failure> {
    let what = "listing the consumer groups";
    let answer = link.ask(Request::ListGroups, Doing::Reading, what).await?;
    let Response::Groups(groups) = answer else {
        return Err(strange(what, &answer));
    };
    Ok(groups)
}
