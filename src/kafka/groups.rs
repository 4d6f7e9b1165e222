//! Reads and commits the offsets of consumer groups on both clusters, by admin requests.

mod others;
mod waiting;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use rdkafka::{Offset, TopicPartitionList};

use super::client::{AdminClient, REQUEST_TIMEOUT};
use super::clock::ProcessClock;
use super::errors::{Doing, failure};
use super::ffi::admin::{GroupListing, PartitionOffset};
use super::lookups::Lookups;
use super::topics::describe_one;
use crate::failpoint::{self, Point};
use crate::ports::{Clock, SourceGroups, TargetGroups};
use others::Others;
use sprag_core::action::ReadScope;
use sprag_core::coordinators::Coordinators;
use sprag_core::event::{
    Answerer, GroupActivity, SourceCommit, SourceListing, SourceOffsets, TargetCommit,
    TargetListing, TargetOffsets,
};
use sprag_core::failure::{Failure, FailureClass};
use sprag_core::ids::{
    BrokerId, GroupId, SourceOffset, SourcePartition, TargetOffset, TargetPartition, TopicName,
};
use sprag_core::time::Instant;
use waiting::Waiting;

/// The time limit for listing groups. Brokers that take longer are left out of the list.
const LIST_PATIENCE: Duration = Duration::from_secs(5);
/// The time limit of a read inside a transaction. No other group of the shard can commit meanwhile.
const IN_TRANSACTION: Duration = Duration::from_secs(5);

/// The groups of the source cluster.
pub struct KafkaSourceGroups {
    admin: Rc<AdminClient>,
    lookups: Lookups,
    clock: ProcessClock,
    others: RefCell<Others>,
}

/// The groups of the target cluster.
pub struct KafkaTargetGroups {
    admin: Rc<AdminClient>,
    lookups: Lookups,
    /// For reads of stable offsets.
    waiting: Waiting,
    clock: ProcessClock,
}

impl KafkaSourceGroups {
    /// Groups of the cluster that `admin` is connected to.
    #[must_use]
    pub fn new(admin: Rc<AdminClient>, clock: ProcessClock) -> Self {
        let lookups = Lookups::new(Rc::clone(&admin));
        Self { admin, lookups, clock, others: RefCell::default() }
    }

    /// Lists the groups of all protocols, if that is due. It is done only now and then, because the call
    /// occupies a thread and waits for every broker. A group that is not in the list may exist all the same.
    async fn list_others(&self) {
        if !self.others.borrow_mut().due(self.clock.now()) {
            return;
        }
        let Ok(admin) = self.admin.present() else {
            return;
        };
        match admin.list_all_groups(LIST_PATIENCE).await {
            Ok(groups) => {
                let groups = groups.into_iter();
                let groups = groups
                    .map(|any| (GroupId::from(any.group.as_str()), any.protocol_type))
                    .collect();
                self.others.borrow_mut().listed(groups);
            }
            Err(error) => tracing::debug!(%error, "could not list the groups of all protocols"),
        }
    }
}

impl KafkaTargetGroups {
    /// Groups of the cluster that `admin` is connected to.
    #[must_use]
    pub fn new(admin: Rc<AdminClient>, clock: ProcessClock) -> Self {
        let (lookups, waiting) = (Lookups::new(Rc::clone(&admin)), Waiting::of(&admin));
        Self { admin, lookups, waiting, clock }
    }

    async fn read(
        &self,
        group: &GroupId,
        named: Option<&BTreeSet<TargetPartition>>,
        stable: bool,
        coordinator_since: Option<Instant>,
    ) -> Result<TargetOffsets, Failure> {
        let list = named.map(|named| {
            let mut list = TopicPartitionList::new();
            for at in named {
                list.add_partition(at.topic.as_str(), at.partition);
            }
            list
        });
        let what = format!("reading the committed offsets of group {group}");
        let (live, at) = self.lookups.coordinator(group, coordinator_since).await?;
        let live = match self.lookups.partition(group) {
            Some(partition) if stable && at.is_some() => {
                self.waiting.lane(partition).since(None)?
            }
            Some(_) | None => live,
        };
        let patience = if stable { REQUEST_TIMEOUT } else { IN_TRANSACTION };
        let read = live
            .admin
            .group_offsets(group.as_str(), at.map(BrokerId::get), list.as_ref(), stable, patience)
            .await;
        self.lookups.answered(at, group, read.as_ref().err());
        let read = read.map_err(|error| self.admin.failed(&error, Doing::Reading, &what))?;
        Ok(read
            .into_iter()
            .map(|part| {
                let at = TargetPartition::new(part.topic.as_str(), part.partition);
                let stored = part
                    .outcome
                    .map(|found| {
                        found.map(|(offset, metadata)| TargetCommit {
                            offset: TargetOffset(offset),
                            metadata,
                        })
                    })
                    .map_err(|error| {
                        self.admin.failed(&error, Doing::Reading, &format!("{what} ({at})"))
                    });
                (at, stored)
            })
            .collect())
    }

    /// Like [`Self::read`], with a failure for each named partition that the answer does not include: the
    /// broker has not said that it has no offset.
    async fn read_named(
        &self,
        group: &GroupId,
        named: &BTreeSet<TargetPartition>,
        stable: bool,
        coordinator_since: Option<Instant>,
    ) -> Result<TargetOffsets, Failure> {
        if named.is_empty() {
            return Ok(TargetOffsets::new());
        }
        let mut read = self.read(group, Some(named), stable, coordinator_since).await?;
        for at in named {
            read.entry(at.clone()).or_insert_with(|| {
                Err(Failure::new(
                    FailureClass::Retry,
                    format!("the target's answer for group {group} does not include {at}"),
                ))
            });
        }
        Ok(read)
    }
}

impl SourceGroups for KafkaSourceGroups {
    async fn list(&self) -> Result<SourceListing, Failure> {
        let (listings, ()) = futures::join!(list(&self.admin), self.list_others());
        let (listings, missing) = listings?;
        let names = listings.iter().map(|listed| GroupId::from(listed.group.as_str()));
        let consumers: BTreeSet<GroupId> = names.collect();
        let mut listing = SourceListing { missing, ..SourceListing::default() };
        for (group, protocol) in self.others.borrow().groups() {
            // A group whose protocol the broker does not report may commit offsets, such as a Kafka Streams
            // group of KIP-1071.
            match protocol {
                _ if consumers.contains(group) => {}
                "" | "consumer" | "streams" => listing.groups.push(group.clone()),
                _ => {
                    listing.without_offsets.insert(group.clone(), protocol.to_owned());
                }
            }
        }
        listing.groups.extend(consumers);
        Ok(listing)
    }

    async fn coordinators(&self) -> Result<Coordinators, Failure> {
        coordinators(&self.admin).await
    }

    async fn offsets(
        &self,
        group: &GroupId,
        coordinator: Option<BrokerId>,
        coordinator_since: Option<Instant>,
    ) -> Result<SourceOffsets, Failure> {
        let what = format!("reading the committed offsets of group {group}");
        let (live, at) = self.lookups.coordinator(group, coordinator_since).await?;
        let coordinator = at.or(coordinator);
        let connections = || live.admin.connections().ended(coordinator.map(BrokerId::get));
        let before = connections();
        let read = live
            .admin
            .group_offsets(group.as_str(), at.map(BrokerId::get), None, false, REQUEST_TIMEOUT)
            .await;
        self.lookups.answered(at, group, read.as_ref().err());
        let read = read.map_err(|error| self.admin.failed(&error, Doing::Reading, &what))?;
        let connection = connections();
        let answered_by = (connection == before).then_some(Answerer {
            client: live.number,
            coordinator,
            connection,
        });
        let mut offsets = BTreeMap::new();
        for PartitionOffset { topic, partition, outcome } in read {
            let at = SourcePartition::new(topic.as_str(), partition);
            let found = outcome.map_err(|error| {
                self.admin.failed(&error, Doing::Reading, &format!("{what} ({at})"))
            })?;
            if let Some((offset, metadata)) = found {
                offsets.insert(at, SourceCommit { offset: SourceOffset(offset), metadata });
            }
        }
        Ok(SourceOffsets { commits: offsets, answered_by })
    }
}

impl TargetGroups for KafkaTargetGroups {
    async fn list(&self) -> Result<TargetListing, Failure> {
        let (listings, missing) = list(&self.admin).await?;
        let activity = |has_members: Option<bool>| match has_members {
            Some(true) => GroupActivity::Active,
            Some(false) => GroupActivity::Empty,
            None => GroupActivity::Unknown,
        };
        let groups = listings
            .iter()
            .map(|listed| (GroupId::from(listed.group.as_str()), activity(listed.has_members)))
            .collect();
        Ok(TargetListing { groups, missing })
    }

    async fn coordinators(&self) -> Result<Coordinators, Failure> {
        coordinators(&self.admin).await
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
                self.read_named(group, named, stable, coordinator_since).await
            }
            ReadScope::AllAnd(named) => {
                // A fetch of all partitions leaves out one whose first commit is pending. So partitions that
                // are missing are fetched by name.
                let mut read = self.read(group, None, stable, coordinator_since).await?;
                let missing: BTreeSet<_> =
                    named.iter().filter(|at| !read.contains_key(*at)).cloned().collect();
                read.extend(self.read_named(group, &missing, stable, coordinator_since).await?);
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
        let (live, at) = self.lookups.coordinator(group, None).await?;
        let (list, at) = (offset_list(offsets, &what)?, at.map(BrokerId::get));
        let unsent = |why: &str| {
            let detail = format!("{what}: {why}; nothing was sent");
            Err(Failure::new(FailureClass::Retry, detail))
        };
        // librdkafka would keep the request and send it after the broker is connected again, which may be too
        // late.
        if at.is_some_and(|at| !live.admin.connections().up().contains(&at)) {
            return unsent(
                "the group's coordinator is not connected at the moment, so Sprag tries again later",
            );
        }
        if self.clock.now() > not_after {
            return unsent("the check that it relies on is too old");
        }
        failpoint::reach(Point::AgeChecked, group).await;
        let results =
            live.admin.alter_group_offsets(group.as_str(), at, &list, REQUEST_TIMEOUT).await;
        self.lookups.answered(at.map(BrokerId), group, results.as_ref().err());
        let results =
            results.map_err(|error| self.admin.failed(&error, Doing::Committing, &what))?;
        let mut committed: BTreeMap<_, _> = results
            .into_iter()
            .map(|part| {
                let at = TargetPartition::new(part.topic.as_str(), part.partition);
                let what = format!("{what} ({at})");
                let outcome = part.outcome.map(|_| ());
                (at, outcome.map_err(|error| failure(&error, Doing::Committing, &what)))
            })
            .collect();
        for at in offsets.keys() {
            committed.entry(at.clone()).or_insert_with(|| {
                let detail = format!("{what}: the answer does not include {at}");
                Err(Failure::new(FailureClass::OutcomeUnknown, detail))
            });
        }
        Ok(committed)
    }
}

/// Converts the offsets and their metadata for librdkafka. They have no leader epoch, because one cluster's
/// epochs mean nothing to another.
pub(super) fn offset_list(
    offsets: &BTreeMap<TargetPartition, TargetCommit>,
    what: &str,
) -> Result<TopicPartitionList, Failure> {
    let mut list = TopicPartitionList::new();
    for (at, commit) in offsets {
        let mut element = list.add_partition(at.topic.as_str(), at.partition);
        element.set_metadata(&commit.metadata);
        element.set_offset(Offset::Offset(commit.offset.get())).map_err(|error| {
            Failure::new(FailureClass::HoldGroup, format!("{what}: {at}: {error}"))
        })?;
    }
    Ok(list)
}

/// The groups of the brokers that answered, and the first error of those that did not. If no group was listed
/// and a broker failed, the result is a failure: it is not known whether any broker answered.
async fn list(client: &AdminClient) -> Result<(Vec<GroupListing>, Option<Failure>), Failure> {
    let what = "listing the consumer groups";
    let admin = client.present()?;
    let listings = admin
        .list_groups(LIST_PATIENCE)
        .await
        .map_err(|error| client.client_failed(&error, Doing::Reading, what))?;
    let failed = |error| client.failed(error, Doing::Reading, what);
    match listings.errors.first() {
        Some(error) if listings.groups.is_empty() => {
            Err(client.client_failed(error, Doing::Reading, what))
        }
        error => Ok((listings.groups, error.map(failed))),
    }
}

/// The group coordinators: the leaders of the partitions of `__consumer_offsets`, as one broker reports them.
async fn coordinators(client: &AdminClient) -> Result<Coordinators, Failure> {
    let described = describe_one(client, &TopicName::from("__consumer_offsets")).await?;
    let leaders = described.leaders.into_iter();
    Ok(Coordinators::new(leaders.map(|leader| leader.map(BrokerId)).collect()))
}
