//! The ports for the groups of both clusters.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use sprag::ports::{Clock, SourceGroups, TargetGroups};
use sprag_core::action::ReadScope;
use sprag_core::coordinators::Coordinators;
use sprag_core::event::{
    Answerer, GroupActivity, SourceCommit, SourceListing, SourceOffsets, TargetCommit,
    TargetListing, TargetOffsets,
};
use sprag_core::failure::{Failure, FailureClass};
use sprag_core::ids::{
    BrokerId, GroupId, SourceOffset, SourcePartition, TargetOffset, TargetPartition,
};
use sprag_core::time::Instant;

use super::classify::{Doing, failure};
use super::link::{Link, Live, strange};
use crate::gate::Gate;
use crate::scenario::CommitStep;
use crate::wire::{Committed, Error, GroupState, NO_GENERATION, Partition, Request, Response};

type Fetches = BTreeMap<Partition, Result<Option<Committed>, Error>>;

/// The source's groups.
pub struct SimSourceGroups {
    link: Link,
    /// For each group, the newest look-up that has proved a read.
    proven: RefCell<BTreeMap<GroupId, Proven>>,
}

/// A look-up that was made for a read that must prove something.
#[derive(Clone, Copy)]
struct Proven {
    /// The look-up had to be made after this.
    since: Instant,
    /// The client that made it.
    client: u64,
    /// When it was first used.
    at: Instant,
}

/// After this time, every read that confirms another has been made or needs a newer look-up.
const SETTLED: Duration = Duration::from_secs(4);

/// The target's groups.
pub struct SimTargetGroups {
    link: Link,
    gate: Gate,
}

impl SimSourceGroups {
    pub(super) fn new(link: Link) -> Self {
        Self { link, proven: RefCell::default() }
    }

    /// The client for a read. A read that must prove something asks a coordinator that was looked up for
    /// it. (If every look-up may mislead, nothing proves anything.) While the last proof is young, a read
    /// that requires no newer look-up may use that proof again.
    fn client(&self, group: &GroupId, since: Option<Instant>) -> Live {
        let Some(since) = since else {
            return self.link.since(None);
        };
        let now = self.link.clock().now();
        match self.proven.borrow().get(group) {
            Some(proven) if since < proven.since => self.link.since(Some(since)),
            Some(proven) if since == proven.since => match self.link.client(proven.client) {
                Some(live) => live,
                None if now.since(proven.at) >= SETTLED => self.link.since(Some(since)),
                None => self.link.proven_since(since),
            },
            Some(_) | None => self.link.proven_since(since),
        }
    }

    fn proved(&self, group: &GroupId, since: Option<Instant>, client: u64) {
        let (mut all, at) = (self.proven.borrow_mut(), self.link.clock().now());
        if let Some(since) = since
            && all.get(group).is_none_or(|known| known.since < since)
        {
            all.insert(group.clone(), Proven { since, client, at });
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
        coordinator_since: Option<Instant>,
    ) -> Result<TargetOffsets, Failure> {
        let at = named.map(|named| named.iter().map(Partition::from).collect());
        // No other group of the shard can commit during an unstable read, so it gets less time.
        let patience = if stable { self.link.patience() } else { self.link.patience() / 2 };
        let live = self.link.since(coordinator_since);
        let request = Request::OffsetFetch { group: group.clone(), at, stable };
        let fetched = fetch(&self.link, &live, None, request, patience).await?;
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
        let (groups, missing) = list(&self.link).await?;
        let groups = groups.into_keys().collect();
        Ok(SourceListing { groups, missing, ..SourceListing::default() })
    }

    async fn coordinators(&self) -> Result<Coordinators, Failure> {
        coordinators(&self.link).await
    }

    async fn offsets(
        &self,
        group: &GroupId,
        coordinator: Option<BrokerId>,
        coordinator_since: Option<Instant>,
    ) -> Result<SourceOffsets, Failure> {
        let live = self.client(group, coordinator_since);
        let before = self.link.ended(coordinator);
        let request = Request::OffsetFetch { group: group.clone(), at: None, stable: false };
        let patience = self.link.patience();
        let fetched = fetch(&self.link, &live, coordinator, request, patience).await?;
        self.proved(group, coordinator_since, live.number);
        let what = format!("reading the committed offsets of group {group}");
        let mut offsets = BTreeMap::new();
        for (at, found) in fetched {
            let found = found.map_err(|error| failure(error, Doing::Reading, &what))?;
            if let Some(Committed { offset, metadata }) = found {
                let at = SourcePartition { topic: at.topic, partition: at.partition };
                offsets.insert(at, SourceCommit { offset: SourceOffset(offset), metadata });
            }
        }
        let connection = self.link.ended(coordinator);
        let client = live.number;
        let answered_by =
            (before == connection).then_some(Answerer { client, coordinator, connection });
        Ok(SourceOffsets { commits: offsets, answered_by })
    }
}

impl TargetGroups for SimTargetGroups {
    async fn list(&self) -> Result<TargetListing, Failure> {
        let activity = |state| match state {
            GroupState::Empty => GroupActivity::Empty,
            GroupState::Active => GroupActivity::Active,
        };
        let (listed, missing) = list(&self.link).await?;
        let listed = listed.into_iter();
        let groups = listed.map(|(group, state)| (group, activity(state))).collect();
        Ok(TargetListing { groups, missing })
    }

    async fn coordinators(&self) -> Result<Coordinators, Failure> {
        coordinators(&self.link).await
    }

    async fn offsets(
        &self,
        group: &GroupId,
        coordinator_since: Option<Instant>,
        scope: &ReadScope,
        stable: bool,
    ) -> Result<TargetOffsets, Failure> {
        match scope {
            ReadScope::Only(named) => {
                self.read(group, Some(named), stable, coordinator_since).await
            }
            ReadScope::AllAnd(named) => {
                let mut read = self.read(group, None, stable, coordinator_since).await?;
                let missing: BTreeSet<_> =
                    named.iter().filter(|at| !read.contains_key(*at)).cloned().collect();
                if !missing.is_empty() {
                    let named = Some(&missing);
                    read.extend(self.read(group, named, stable, coordinator_since).await?);
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
            let detail = format!("{what}: not sent, because the check before it is too old");
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

/// Offsets in the form that a request carries.
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
    live: &Live,
    coordinator: Option<BrokerId>,
    request: Request,
    patience: Duration,
) -> Result<Fetches, Failure> {
    let what = "reading the committed offsets of a group";
    let answer = link.ask_coordinator(live, coordinator, request, patience, what).await?;
    let Response::Fetches(fetched) = answer else {
        return Err(strange(what, &answer));
    };
    Ok(fetched)
}

/// The groups, and why some broker did not contribute, if one did not.
async fn list(link: &Link) -> Result<(BTreeMap<GroupId, GroupState>, Option<Failure>), Failure> {
    let what = "listing the consumer groups";
    let answer = link.ask(Request::ListGroups, Doing::Reading, what).await?;
    if let Response::Groups(groups) = answer {
        return Ok((groups, None));
    }
    let missing = failure(Error::RequestTimedOut, Doing::Reading, what);
    let Response::SomeGroups(groups) = answer else {
        return Err(strange(what, &answer));
    };
    // The adapter cannot distinguish a list without groups from no list.
    if groups.is_empty() { Err(missing) } else { Ok((groups, Some(missing))) }
}

/// The leaders of the partitions of `__consumer_offsets`.
async fn coordinators(link: &Link) -> Result<Coordinators, Failure> {
    // A single broker coordinates everything.
    if let Some(sole) = link.sole() {
        return Ok(Coordinators::new(vec![Some(sole)]));
    }
    let what = "reading the group coordinators";
    let answer = link.ask(Request::DescribeCoordinators, Doing::Reading, what).await?;
    let Response::Coordinators(leaders) = answer else {
        return Err(strange(what, &answer));
    };
    Ok(Coordinators::new(leaders.into_iter().map(Some).collect()))
}
