//! The demo's ports. They use the real adapter wherever a mock cluster supports it, and stand-ins
//! elsewhere: a mock cluster does not list groups or describe topics, and the demo needs no
//! coordination. They also inject the demo's faults.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::clusters::{FENCES, MAPPINGS, SOURCE_ID, SOURCE_TOPIC, TARGET_ID};
use crate::kafka::client::{AdminClient, Properties};
use crate::kafka::clock::ProcessClock;
use crate::kafka::fence_reader::KafkaFenceReader;
use crate::kafka::groups::KafkaTargetGroups;
use crate::kafka::mapping_reader::KafkaMappings;
use crate::kafka::topics::log_ranges;
use crate::kafka::transactions::KafkaTransactions;
use crate::ports::{Mappings, Membership, Ports, SourceGroups, TargetGroups, TopicReader};
use sprag_core::action::ReadScope;
use sprag_core::coordinators::Coordinators;
use sprag_core::event::{
    Answerer, ControlTopics, Event, FenceTopic, GroupActivity, MappingEnds, MappingTopic,
    SourceCommit, SourceListing, SourceOffsets, TargetCommit, TargetListing, TargetOffsets, Topics,
};
use sprag_core::failure::Failure;
use sprag_core::ids::{
    BrokerId, GroupId, MappingOffset, MappingPartition, Shard, ShardCount, SourceOffset,
    SourcePartition, TargetPartition, TopicId, TopicName,
};
use sprag_core::policy::CommitMode;
use sprag_core::time::Instant;
use sprag_mapping::Format;

/// The demo's fence topic.
pub(super) const FENCE_TOPIC: FenceTopic =
    FenceTopic { id: TopicId([3; 16]), shards: ShardCount(1) };
const MAPPING_TOPIC: MappingTopic = MappingTopic { id: TopicId([4; 16]), partitions: 1 };

/// The fault of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// No fault.
    None,
    /// The instance reads mappings up to this offset and believes that it has read them all.
    HalfRead(i64),
    /// The source repeats its first answer for each group forever.
    OldSource,
}

/// The ports of one instance.
pub(super) struct DemoPorts {
    pub(super) clock: ProcessClock,
    source: Source,
    pub(super) target: Target,
    topics: TopicStandIn,
    mappings: PartialMappings,
    pub(super) membership: AllAtOnce,
    fence_reader: KafkaFenceReader,
    transactions: KafkaTransactions,
}

impl DemoPorts {
    pub(super) fn new(
        source: Properties,
        target: Properties,
        groups: &[GroupId],
        fault: Fault,
    ) -> Self {
        let clock = ProcessClock::start();
        let source_admin = Rc::new(AdminClient::new(source, "source", clock));
        let target_admin = Rc::new(AdminClient::new(target.clone(), "target", clock));
        let mappings = KafkaMappings::new(
            Rc::clone(&target_admin),
            target.clone(),
            TopicName::from(MAPPINGS),
            Format::Native,
        );
        let fence_topic = TopicName::from(FENCES);
        let fence_reader = KafkaFenceReader::new(target.clone(), fence_topic.clone());
        let prefix = "sprag.demo".to_owned();
        let transactions = KafkaTransactions::new(target, fence_topic, prefix, CommitMode::Guarded);
        Self {
            clock,
            source: Source {
                inner: KafkaTargetGroups::new(source_admin, clock),
                groups: groups.to_vec(),
                remembered: (fault == Fault::OldSource).then(RefCell::default),
            },
            target: Target {
                inner: KafkaTargetGroups::new(Rc::clone(&target_admin), clock),
                looks: RefCell::new(groups.iter().map(|group| (group.clone(), 0)).collect()),
            },
            topics: TopicStandIn { target: target_admin },
            mappings: PartialMappings {
                inner: mappings,
                until: match fault {
                    Fault::HalfRead(until) => Some(MappingOffset(until)),
                    Fault::None | Fault::OldSource => None,
                },
            },
            membership: AllAtOnce { assigned: Cell::new(false), stood_down: Cell::new(false) },
            fence_reader,
            transactions,
        }
    }
}

impl Ports for DemoPorts {
    type Clock = ProcessClock;
    type SourceGroups = Source;
    type TargetGroups = Target;
    type TopicReader = TopicStandIn;
    type Mappings = PartialMappings;
    type Membership = AllAtOnce;
    type FenceReader = KafkaFenceReader;
    type Transactions = KafkaTransactions;

    fn clock(&self) -> &ProcessClock {
        &self.clock
    }

    fn source_groups(&self) -> &Source {
        &self.source
    }

    fn target_groups(&self) -> &Target {
        &self.target
    }

    fn topic_reader(&self) -> &TopicStandIn {
        &self.topics
    }

    fn mappings(&self) -> &PartialMappings {
        &self.mappings
    }

    fn membership(&self) -> &AllAtOnce {
        &self.membership
    }

    fn fence_reader(&self) -> &KafkaFenceReader {
        &self.fence_reader
    }

    fn transactions(&self) -> &KafkaTransactions {
        &self.transactions
    }
}

/// The source's groups. For a zombie, each group's first answer is repeated forever.
pub(super) struct Source {
    /// Reads named partitions only: a mock cluster cannot return all offsets of a group.
    inner: KafkaTargetGroups,
    groups: Vec<GroupId>,
    remembered: Option<RefCell<BTreeMap<GroupId, BTreeMap<SourcePartition, SourceCommit>>>>,
}

impl SourceGroups for Source {
    async fn list(&self) -> Result<SourceListing, Failure> {
        Ok(SourceListing { groups: self.groups.clone(), ..SourceListing::default() })
    }

    async fn coordinators(&self) -> Result<Coordinators, Failure> {
        Ok(Coordinators::default())
    }

    async fn offsets(
        &self,
        group: &GroupId,
        _coordinator: Option<BrokerId>,
        coordinator_since: Option<Instant>,
    ) -> Result<SourceOffsets, Failure> {
        let known = self.remembered.as_ref().and_then(|all| all.borrow().get(group).cloned());
        if let Some(known) = known {
            return Ok(answered(known));
        }
        let at = TargetPartition::new(SOURCE_TOPIC, 0);
        let named = ReadScope::Only(BTreeSet::from([at]));
        let mut read = BTreeMap::new();
        for (at, found) in self.inner.offsets(group, coordinator_since, &named, false).await? {
            if let Some(TargetCommit { offset, metadata }) = found? {
                let offset = SourceOffset(offset.get());
                let at = SourcePartition { topic: at.topic, partition: at.partition };
                read.insert(at, SourceCommit { offset, metadata });
            }
        }
        if let Some(remembered) = &self.remembered {
            remembered.borrow_mut().insert(group.clone(), read.clone());
        }
        Ok(answered(read))
    }
}

/// A mock cluster has one broker, and one connection to it.
fn answered(commits: BTreeMap<SourcePartition, SourceCommit>) -> SourceOffsets {
    SourceOffsets { commits, answered_by: Some(Answerer::default()) }
}

/// The target's groups. Counts how often each group's offsets were read.
pub(super) struct Target {
    inner: KafkaTargetGroups,
    looks: RefCell<BTreeMap<GroupId, usize>>,
}

impl Target {
    /// Resets the counts.
    pub(super) fn forget_looks(&self) {
        self.looks.borrow_mut().values_mut().for_each(|looks| *looks = 0);
    }

    /// The number of reads of the group that was read least often.
    pub(super) fn fewest_looks(&self) -> usize {
        self.looks.borrow().values().copied().min().unwrap_or(0)
    }
}

impl TargetGroups for Target {
    async fn list(&self) -> Result<TargetListing, Failure> {
        let looks = self.looks.borrow();
        let groups = looks.keys().map(|group| (group.clone(), GroupActivity::Empty)).collect();
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
        // A mock cluster cannot return all offsets of a group. Every partition that matters is named.
        let named = match scope {
            ReadScope::AllAnd(named) | ReadScope::Only(named) => named.clone(),
        };
        let read =
            self.inner.offsets(group, coordinator_since, &ReadScope::Only(named), stable).await;
        *self.looks.borrow_mut().entry(group.clone()).or_default() += 1;
        read
    }

    async fn commit(
        &self,
        group: &GroupId,
        offsets: &BTreeMap<TargetPartition, TargetCommit>,
        not_after: Instant,
    ) -> Result<BTreeMap<TargetPartition, Result<(), Failure>>, Failure> {
        self.inner.commit(group, offsets, not_after).await
    }
}

/// Topic ids that never change, and real log ranges.
pub(super) struct TopicStandIn {
    target: Rc<AdminClient>,
}

impl TopicReader for TopicStandIn {
    async fn control(&self) -> Result<ControlTopics, Failure> {
        Ok(ControlTopics { fence: Ok(FENCE_TOPIC), mapping: Ok(MAPPING_TOPIC) })
    }

    async fn topics(
        &self,
        source: &BTreeSet<TopicName>,
        target: &BTreeSet<TargetPartition>,
        _source_ends: &BTreeSet<SourcePartition>,
    ) -> Result<Topics, Failure> {
        Ok(Topics {
            source: source.iter().map(|name| (name.clone(), Ok(SOURCE_ID))).collect(),
            target: target.iter().map(|at| (at.topic.clone(), Ok(TARGET_ID))).collect(),
            ranges: log_ranges(&self.target, target).await?,
            source_ends: BTreeMap::new(),
        })
    }
}

/// The mapping reader. With [`Fault::HalfRead`] it stops early and reports that it has reached the end.
pub(super) struct PartialMappings {
    inner: KafkaMappings,
    until: Option<MappingOffset>,
}

impl Mappings for PartialMappings {
    fn read(&self, topic: TopicId, partitions: i32) {
        self.inner.read(topic, partitions);
    }

    async fn next(&self) -> Event {
        match (self.inner.next().await, self.until) {
            (Event::MappingsRead { topic, partition, mut records, position }, Some(until)) => {
                records.retain(|(offset, _)| *offset < until);
                let position = position.min(until);
                Event::MappingsRead { topic, partition, records, position }
            }
            (event, _) => event,
        }
    }

    async fn ends(&self, partitions: &BTreeSet<MappingPartition>) -> Result<MappingEnds, Failure> {
        let ends = match self.until {
            Some(until) => partitions.iter().map(|at| (*at, Ok(until))).collect(),
            None => self.inner.ends_by_name(partitions).await?,
        };
        Ok(MappingEnds { topic: MAPPING_TOPIC.id, ends })
    }
}

/// Assigns the only shard to every instance at once, so that an instance can be a zombie.
pub(super) struct AllAtOnce {
    assigned: Cell<bool>,
    stood_down: Cell<bool>,
}

impl AllAtOnce {
    /// Whether the instance stood down. Only an instance that stood down checks its assignment.
    pub(super) fn stood_down(&self) -> bool {
        self.stood_down.get()
    }
}

impl Membership for AllAtOnce {
    async fn next(&self) -> Event {
        if self.assigned.replace(true) {
            return std::future::pending().await;
        }
        Event::ShardAssigned { shard: Shard(0) }
    }

    async fn is_assigned(&self, _shard: Shard) -> Result<bool, Failure> {
        self.stood_down.set(true);
        Ok(false)
    }

    fn release(&self, _shard: Shard) {}

    /// Each instance assumes that it is alone.
    async fn members(&self) -> Result<usize, Failure> {
        Ok(1)
    }
}
