//! Hand-made histories on two clusters without a network, for the unit tests of the invariants. There is
//! one group, one topic with two partitions, one shard and one mapping partition.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use sprag_core::ids::{
    Fence, FenceTopicTag, GroupId, Incarnation, MappingOffset, MappingPartition, MappingTopicTag,
    PublisherId, Shard, ShardCount, SourceOffset, TargetOffset, TopicId, TopicName,
};
use sprag_core::mapping::{Chunk, Run};
use sprag_core::stamp::Stamp;
use sprag_core::time::Instant;
use sprag_mapping::native::{ChunkPlace, encode};

use super::sparing::Sparing;
use super::{
    Violation, fenced_means_fenced, never_skip, never_stale, never_trample, no_invented_offset,
    no_needless_rewind, replays, verified,
};
use crate::cluster::Cluster;
use crate::names::Names;
use crate::scenario::{Publisher, Scenario};
use crate::truth::{Clusters, PREFIX, Truth};
use crate::wire::{
    Committed, NO_GENERATION, NewRecord, Partition, Producer, Protocol, Request, Response,
};

/// Two clusters, what is true of them, and the violations so far.
pub(crate) struct MadeUp {
    pub(crate) scenario: Scenario,
    pub(crate) truth: Truth,
    source: Cluster,
    target: Cluster,
    now: u64,
    broken: Vec<Violation>,
    sparing: Sparing,
}

/// The contents of a stamp that a test chooses.
#[derive(Clone, Copy)]
pub(crate) struct Says {
    pub(crate) fence: Fence,
    pub(crate) as_of: i64,
    pub(crate) source: i64,
}

impl MadeUp {
    /// Creates the topics and nothing else, for `guarded` or fenced mode.
    pub(crate) fn new(guarded: bool) -> Self {
        let mut scenario = Scenario::of(1);
        (scenario.work, scenario.faults) = (Vec::new(), Vec::new());
        scenario.shape.publisher = Publisher::Dense;
        (scenario.shape.topics, scenario.shape.partitions, scenario.shape.shards) = (1, 2, 1);
        (scenario.shape.groups, scenario.shape.mapping_partitions) = (1, 1);
        scenario.rules.guarded = guarded;
        scenario.rules.on_foreign = crate::scenario::OnForeign::Hold;
        scenario.rules.refresh_millis = 86_400_000;
        let names = Names::of(&scenario);
        let truth = Truth::new(&scenario, &names);
        let (source, target) = (Cluster::new(&"s".into()), Cluster::new(&"t".into()));
        let (broken, sparing) = Default::default();
        let mut made = Self { scenario, truth, source, target, now: 0, broken, sparing };
        let (from, to) = names.topics[0].clone();
        made.on_source(Request::CreateTopic { topic: from, partitions: 2 });
        made.on_target("", Request::CreateTopic { topic: to, partitions: 2 });
        for topic in [names.mapping_topic, names.fence_topic] {
            made.on_target("", Request::CreateTopic { topic, partitions: 1 });
        }
        made
    }

    /// The violations so far, as text.
    pub(crate) fn broken(&self) -> Vec<String> {
        self.broken.iter().map(ToString::to_string).collect()
    }

    pub(crate) fn clusters(&self) -> Clusters<'_> {
        Clusters { source: &self.source, target: &self.target }
    }

    pub(crate) fn now(&self) -> Instant {
        Instant::from_millis(self.now)
    }

    /// A partition of the target topic.
    pub(crate) fn at(&self, partition: i32) -> Partition {
        Partition { topic: self.truth.names.topics[0].1.clone(), partition }
    }

    /// The group commits on the source.
    pub(crate) fn group_is_at(&mut self, partition: i32, offset: i64) {
        let topic = self.truth.names.topics[0].0.clone();
        let at = Partition { topic, partition };
        let request = self.plain(at, offset, "");
        self.on_source(request);
    }

    /// Copies records with source offsets from `first` on to partition 0. Publishes their mapping if
    /// `published`.
    pub(crate) fn copied(&mut self, first: i64, count: i64, published: bool) {
        let ids = self.ids();
        let value = |offset: i64| [ids.0.0.as_slice(), &offset.to_be_bytes()].concat();
        let record = |offset| NewRecord { key: Vec::new(), value: Some(value(offset)) };
        let records = (first..first + count).map(record).collect();
        let at = self.at(0);
        let answer = self.on_target("replicator", Request::Produce { at, records, producer: None });
        let Response::Produced(target) = answer else {
            panic!("{answer:?}");
        };
        if published {
            self.publishes(first, target, count);
        }
    }

    /// Publishes a mapping record: source offsets from `source` on are at `target`.
    pub(crate) fn publishes(&mut self, source: i64, target: i64, count: i64) {
        let (from, to) = self.truth.names.topics[0].clone();
        let (source, target) = (SourceOffset(source), TargetOffset(target));
        let chunk = Chunk {
            source: sprag_core::ids::SourcePartition { topic: from, partition: 0 },
            target: sprag_core::ids::TargetPartition { topic: to, partition: 0 },
            source_topic_id: self.ids().0,
            target_topic_id: self.ids().1,
            publisher: PublisherId::from("made up"),
            runs: vec![Run { source, target, len: count.unsigned_abs() }],
        };
        let place = ChunkPlace { epoch: 0, sequence: source.get(), newest_timestamp: 0 };
        let Ok((key, value)) = encode(&chunk, place) else {
            panic!("{chunk:?} cannot be written");
        };
        let at = Partition { topic: self.truth.names.mapping_topic.clone(), partition: 0 };
        let records = vec![NewRecord { key, value: Some(value) }];
        self.on_target("replicator", Request::Produce { at, records, producer: None });
    }

    /// An instance takes over the shard.
    pub(crate) fn takes_over(&mut self, instance: &str) -> (Producer, Fence) {
        let producer = self.transactional(instance, "sprag.made-up.0");
        let at = Partition { topic: self.truth.names.fence_topic.clone(), partition: 0 };
        let record = NewRecord { key: Vec::new(), value: Some(b"{\"mode\":\"any\"}".to_vec()) };
        let produce =
            Request::Produce { at, records: vec![record], producer: Some(producer.clone()) };
        let Response::Produced(fence) = self.on_target(instance, produce) else {
            panic!("{instance} could not take over");
        };
        self.on_target(instance, Request::EndTxn { producer: producer.clone(), commit: true });
        (producer, Fence(fence))
    }

    /// Deletes the records below `before` on the target.
    pub(crate) fn trims(&mut self, before: i64) {
        let at = self.at(0);
        self.on_target("clients", Request::DeleteRecords { at, before });
    }

    /// An instance reads the group on the target, requiring stable offsets.
    pub(crate) fn looks(&mut self, instance: &str) {
        let group = self.group();
        self.on_target(instance, Request::OffsetFetch { group, at: None, stable: true });
    }

    /// The offset that an instance commits, with its stamp.
    pub(crate) fn stamped(&self, says: Says, offset: i64) -> Committed {
        let topics = self.target.topics();
        let mapping = topics.id(&self.truth.names.mapping_topic);
        let fence = topics.id(&self.truth.names.fence_topic);
        let stamp = Stamp {
            pipeline: self.truth.names.pipeline,
            fence_topic: FenceTopicTag::of(fence.unwrap_or(TopicId([0; 16]))),
            shard: Shard(0),
            shards: ShardCount(1),
            fence: says.fence,
            mapping_topic: MappingTopicTag::of(mapping.unwrap_or(TopicId([0; 16]))),
            mapping_partition: MappingPartition(0),
            as_of: MappingOffset(says.as_of),
            incarnation: Incarnation::of(self.ids().0, self.ids().1),
            source: SourceOffset(says.source),
            target: TargetOffset(offset),
        };
        Committed { offset, metadata: stamp.compose(PREFIX, &[], "").text }
    }

    /// An instance writes an offset of partition 0 without ending its transaction.
    pub(crate) fn writes(&mut self, by: &str, producer: &Producer, says: Says, offset: i64) {
        let commit = self.stamped(says, offset);
        self.pends(by, producer, commit);
    }

    /// A client writes an offset of partition 0 without ending its transaction.
    pub(crate) fn pends(&mut self, by: &str, producer: &Producer, commit: Committed) {
        let request = Request::TxnOffsetCommit {
            producer: producer.clone(),
            group: self.group(),
            member: String::new(),
            generation: NO_GENERATION,
            offsets: BTreeMap::from([(self.at(0), commit)]),
        };
        self.on_target(by, request);
    }

    /// An instance reads the group again without requiring stable offsets.
    pub(crate) fn peeks(&mut self, by: &str) {
        let group = self.group();
        self.on_target(by, Request::OffsetFetch { group, at: None, stable: false });
    }

    /// A client reads the group again and commits its transaction.
    pub(crate) fn ends(&mut self, by: &str, producer: &Producer) {
        self.peeks(by);
        self.commits_transaction(by, producer);
    }

    /// A transaction is committed.
    pub(crate) fn commits_transaction(&mut self, by: &str, producer: &Producer) {
        self.on_target(by, Request::EndTxn { producer: producer.clone(), commit: true });
    }

    /// A request to commit a transaction that was sent at `sent` arrives only now.
    pub(crate) fn ends_late(&mut self, by: &str, sent: Instant, producer: &Producer) {
        self.now += 10;
        let request = Request::EndTxn { producer: producer.clone(), commit: true };
        let now = self.now();
        self.target.handle_late(now, (&Rc::from(by), sent), request);
        self.judge();
    }

    /// An instance commits an offset of partition 0 in a transaction.
    pub(crate) fn commits(&mut self, by: &str, producer: &Producer, says: Says, offset: i64) {
        self.writes(by, producer, says, offset);
        self.ends(by, producer);
    }

    /// An instance makes a plain commit of an offset of partition 0.
    pub(crate) fn commits_plainly(&mut self, by: &str, says: Says, offset: i64) {
        let metadata = self.stamped(says, offset).metadata;
        let request = self.plain(self.at(0), offset, &metadata);
        self.on_target(by, request);
    }

    /// A foreign client commits.
    pub(crate) fn stranger_commits(&mut self, partition: i32, offset: i64, metadata: &str) {
        let request = self.plain(self.at(partition), offset, metadata);
        self.on_target("clients", request);
    }

    /// A consumer joins the group on the target.
    pub(crate) fn joins(&mut self, member: &str) {
        let request = Request::Join {
            group: self.group(),
            member: member.to_owned(),
            protocol: Protocol::Classic,
            topic: self.at(0).topic,
            session_millis: 1_000_000,
        };
        self.on_target("clients", request);
    }

    /// Initialises a transactional producer for this host.
    pub(crate) fn transactional(&mut self, by: &str, id: &str) -> Producer {
        let transactional_id = id.to_owned();
        let request = Request::InitProducer { transactional_id, timeout_millis: 1_000_000 };
        let Response::Initialised(producer) = self.on_target(by, request) else {
            panic!("{by} got no producer");
        };
        producer
    }

    /// Sends a request to the target and judges what follows from it.
    pub(crate) fn on_target(&mut self, from: &str, request: Request) -> Response {
        self.now += 10;
        let answer = self.target.handle(self.now(), &Rc::from(from), request);
        self.judge();
        answer
    }

    fn on_source(&mut self, request: Request) {
        self.now += 10;
        let now = self.now();
        self.source.handle(now, &Rc::from("clients"), request);
        self.judge();
    }

    fn judge(&mut self) {
        let Self { scenario, truth, source, target, broken, sparing, .. } = self;
        let clusters = Clusters { source, target };
        truth.learn(clusters, |truth, ours| {
            broken.extend(never_stale::check(truth, ours));
            broken.extend(no_needless_rewind::check(scenario, truth, clusters, ours));
            broken.extend(never_trample::check(truth, ours));
            broken.extend(fenced_means_fenced::check(truth, ours));
            broken.extend(verified::check(ours));
            broken.extend(no_invented_offset::check(scenario, truth, clusters, ours));
            broken.extend(replays::check(scenario, truth, clusters, ours));
            broken.extend(never_skip::check(clusters.target, ours));
            broken.extend(sparing.check(scenario, truth, ours));
        });
    }

    fn plain(&self, at: Partition, offset: i64, metadata: &str) -> Request {
        let commit = Committed { offset, metadata: metadata.to_owned() };
        Request::OffsetCommit {
            group: self.group(),
            member: String::new(),
            generation: NO_GENERATION,
            offsets: BTreeMap::from([(at, commit)]),
        }
    }

    fn group(&self) -> GroupId {
        self.truth.names.groups[0].clone()
    }

    fn ids(&self) -> (TopicId, TopicId) {
        let id = |cluster: &Cluster, topic: &TopicName| cluster.topics().id(topic);
        let (from, to) = &self.truth.names.topics[0];
        let none = TopicId([0; 16]);
        (id(&self.source, from).unwrap_or(none), id(&self.target, to).unwrap_or(none))
    }
}

/// Ten records are copied and their mapping is published; the group is at source offset 5; an owner reads
/// the group and commits 5.
pub(crate) fn settled(guarded: bool) -> (MadeUp, Producer, Fence) {
    let mut made = MadeUp::new(guarded);
    made.copied(0, 10, true);
    made.group_is_at(0, 5);
    let (producer, fence) = made.takes_over("sprag-0");
    made.looks("sprag-0");
    let says = Says { fence, as_of: 1, source: 5 };
    match guarded {
        true => made.commits_plainly("sprag-0", says, 5),
        false => made.commits("sprag-0", &producer, says, 5),
    }
    assert_eq!(made.broken(), Vec::<String>::new());
    (made, producer, fence)
}

#[test]
fn the_settled_history_is_what_happened() {
    let (made, _, fence) = settled(false);
    let stored = made.truth.stored.values().map(|stored| stored.offset).collect::<BTreeSet<_>>();
    assert_eq!((stored, fence), (BTreeSet::from([5]), Fence(0)));
}
