//! Incarnation records at full size: how many transactions they take, and how long they block the core's
//! event loop, with 5,000 pairs of topics and 8 shards. Each partition is copied twice, so that the
//! fence logs also record that its replay is over.
//!
//! `cargo bench --no-default-features --bench incarnations`; `-- 20000` measures another number of
//! pairs. Without `--bench`, as `cargo test --all-targets` starts it, it only runs through with a few.

// A bench reads the clock and prints.
#![allow(clippy::print_stdout, clippy::disallowed_methods)]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use sprag_core::action::{Action, Commit, Read, TransactionEnd};
use sprag_core::coordinators::Coordinators;
use sprag_core::event::{
    Aftermath, Answerer, CommitDone, ControlTopics, Event, FenceTopic, GroupActivity, LogRange,
    MappingEnds, MappingTopic, ReadDone, SourceCommit, SourceListing, SourceOffsets, TargetCommit,
    TargetListing, Topics,
};
use sprag_core::failure::{Failure, FailureClass};
use sprag_core::fence_log::{FenceLog, FenceRecord};
use sprag_core::ids::{
    Fence, GroupId, MappingOffset, MappingPartition, Shard, ShardCount, SourceOffset,
    SourcePartition, TargetOffset, TargetPartition, TopicId,
};
use sprag_core::machine::{Core, Setup};
use sprag_core::mapping::{MappingRecord, OffsetSync};
use sprag_core::policy::Policy;
use sprag_core::time::Instant as Time;

const SHARDS: u32 = 8;
const TOPICS_PER_GROUP: usize = 10;
const MAPPING_TOPIC: TopicId = TopicId([8; 16]);
/// Copied up to 199, then again from 120 to the source's end.
const SYNCS: [(i64, i64); 4] = [(100, 100), (199, 199), (120, 200), (199, 279)];

fn main() {
    let wanted = std::env::args().skip(1).find_map(|arg| arg.parse().ok());
    let is_bench = std::env::args().any(|arg| arg == "--bench");
    let pairs: usize = wanted.unwrap_or(if is_bench { 5_000 } else { 100 });
    println!("{pairs} pairs of topics, {SHARDS} shards");
    println!("{:<34}{:>14}{:>12}{:>15}", "", "transactions", "total, ms", "longest, ms");
    let mut world = World::new(pairs);
    world.start("the first start");
    world.start("the next start");
    world.unknown = true;
    world.logs.clear();
    world.start("no target topic can be described");
}

struct World {
    groups: BTreeMap<GroupId, Vec<String>>,
    topics: usize,
    logs: BTreeMap<Shard, BTreeMap<String, (Fence, String)>>,
    stored: BTreeMap<GroupId, BTreeMap<TargetPartition, TargetCommit>>,
    pending: BTreeMap<GroupId, BTreeMap<TargetPartition, TargetCommit>>,
    next: i64,
    transactions: usize,
    unknown: bool,
}

impl World {
    fn new(topics: usize) -> Self {
        let names: Vec<_> = (0..topics).map(|nth| format!("orders-of-region-{nth:05}")).collect();
        let groups = names.chunks(TOPICS_PER_GROUP).enumerate();
        let group = |nth: usize| GroupId::from(format!("group-{nth}").as_str());
        Self {
            groups: groups.map(|(nth, topics)| (group(nth), topics.to_vec())).collect(),
            topics,
            logs: BTreeMap::new(),
            stored: BTreeMap::new(),
            pending: BTreeMap::new(),
            next: 0,
            transactions: 0,
            unknown: false,
        }
    }

    /// Runs an instance that reads all mappings, takes over all shards, and looks at each group
    /// several times.
    fn start(&mut self, what: &str) {
        self.transactions = 0;
        let mut now = Time::from_millis(1000);
        let setup = Setup {
            policy: Policy::for_pipeline("dr"),
            source_cluster: "source".into(),
            target_cluster: "target".into(),
            fence_topic: fence_topic(),
            mapping_topic: "syncs".into(),
            jitter_seed: 7,
        };
        let mut core = Core::new(setup, now);
        let mut took = Took::default();
        self.settle(&mut core, now, &mut took);
        for shard in 0..SHARDS {
            took.handle(&mut core, now, Event::ShardAssigned { shard: Shard(shard) });
        }
        let until = now + Duration::from_secs(20);
        while now < until {
            self.settle(&mut core, now, &mut took);
            now = core.poll_timeout().0.max(now);
            took.handle(&mut core, now, Event::TimePassed);
        }
        let millis = |took: Duration| took.as_secs_f64() * 1000.0;
        let (all, longest) = (millis(took.all), millis(took.longest));
        println!("{what:<34}{:>14}{all:>12.1}{longest:>15.1}", self.transactions);
    }

    fn settle(&mut self, core: &mut Core, now: Time, took: &mut Took) {
        while let Some(action) = core.poll_action() {
            if let Some(event) = self.answer(action) {
                took.handle(core, now, event);
            }
        }
    }

    fn answer(&mut self, action: Action) -> Option<Event> {
        Some(match action {
            Action::CheckAssignment { request, .. } => {
                Event::AssignmentChecked { request, outcome: Ok(true) }
            }
            Action::ReadFenceLog { request, of, .. } => {
                let newest = self.logs.get(&of).cloned().unwrap_or_default();
                let outcome = Ok(FenceLog { newest, members: Some(1) });
                Event::FenceLogRead { request, outcome }
            }
            Action::InitTransactions { request, .. } => {
                Event::TransactionsInitialised { request, outcome: Ok(()) }
            }
            Action::WriteTakeOver { request, shard, record } => {
                Event::TakeOverWritten { request, outcome: Ok(self.write(shard, record)) }
            }
            Action::WriteFenceRecords { request, shard, records, .. } => {
                self.transactions += 1;
                for record in records {
                    self.write(shard, record);
                }
                Event::FenceRecordsWritten { request, outcome: Ok(()) }
            }
            Action::ReadMappings { topic, .. } => self.mappings(topic),
            Action::Read(read) => Event::Read(self.read(read)),
            Action::Commit(commit) => Event::Commit(self.commit(commit)),
            Action::DestroyProducer { .. }
            | Action::ReleaseShard { .. }
            | Action::Report { .. }
            | Action::Stop { .. } => return None,
        })
    }

    fn write(&mut self, shard: Shard, record: FenceRecord) -> Fence {
        self.next += 2;
        let fence = Fence(self.next);
        self.logs.entry(shard).or_default().insert(record.key, (fence, record.value));
        fence
    }

    fn mappings(&self, topic: TopicId) -> Event {
        let all = self.groups.values().flatten();
        let syncs = all.flat_map(|topic| {
            SYNCS.map(|(from, to)| OffsetSync {
                source: SourcePartition::new(topic.as_str(), 0),
                target: TargetPartition::new(format!("dr.{topic}").as_str(), 0),
                source_offset: SourceOffset(from),
                target_offset: TargetOffset(to),
            })
        });
        let records = (0..).map(MappingOffset).zip(syncs.map(MappingRecord::Sync)).collect();
        Event::MappingsRead { topic, partition: MappingPartition(0), records, position: self.end() }
    }

    fn end(&self) -> MappingOffset {
        MappingOffset(i64::try_from(self.topics * SYNCS.len()).unwrap_or(i64::MAX))
    }

    fn read(&self, read: Read) -> ReadDone {
        match read {
            Read::ControlTopics { request } => {
                let mapping = Ok(MappingTopic { id: MAPPING_TOPIC, partitions: 1 });
                let outcome = Ok(ControlTopics { fence: Ok(fence_topic()), mapping });
                ReadDone::ControlTopics { request, outcome }
            }
            Read::MappingEnds { request, .. } => {
                let ends = BTreeMap::from([(MappingPartition(0), Ok(self.end()))]);
                let outcome = Ok(MappingEnds { topic: MAPPING_TOPIC, ends });
                ReadDone::MappingEnds { request, outcome }
            }
            Read::Coordinators { request, side } => {
                let outcome = Ok(Coordinators::default());
                ReadDone::Coordinators { request, side, outcome }
            }
            Read::SourceGroups { request } => {
                let groups = self.groups.keys().cloned().collect();
                let outcome = Ok(SourceListing { groups, ..SourceListing::default() });
                ReadDone::SourceGroups { request, outcome }
            }
            Read::TargetGroups { request } => {
                let groups = self.groups.keys().map(|group| (group.clone(), GroupActivity::Empty));
                let outcome = Ok(TargetListing { groups: groups.collect(), missing: None });
                ReadDone::TargetGroups { request, outcome }
            }
            Read::SourceOffsets { request, group, .. } => {
                let commit = SourceCommit { offset: SourceOffset(199), metadata: String::new() };
                let topics = self.groups.get(&group).into_iter().flatten();
                let commits = topics
                    .map(|topic| (SourcePartition::new(topic.as_str(), 0), commit.clone()))
                    .collect();
                let answered_by = Some(Answerer::default());
                let outcome = Ok(SourceOffsets { commits, answered_by });
                ReadDone::SourceOffsets { request, outcome }
            }
            Read::TargetOffsets { request, group, scope, .. } => {
                let (sprag_core::action::ReadScope::AllAnd(named)
                | sprag_core::action::ReadScope::Only(named)) = scope;
                let stored = self.stored.get(&group);
                let of = |at: &TargetPartition| stored.and_then(|stored| stored.get(at)).cloned();
                let outcome = Ok(named.into_iter().map(|at| (at.clone(), Ok(of(&at)))).collect());
                ReadDone::TargetOffsets { request, outcome }
            }
            Read::Topics { request, source, target, source_ends } => {
                let log = LogRange { start: TargetOffset(0), end: TargetOffset(300) };
                let id = || match self.unknown {
                    true => Err(Failure::new(FailureClass::HoldGroup, "no right to describe it")),
                    false => Ok(TopicId([2; 16])),
                };
                let outcome = Ok(Topics {
                    source: source.into_iter().map(|name| (name, Ok(TopicId([1; 16])))).collect(),
                    target: target.iter().map(|at| (at.topic.clone(), id())).collect(),
                    ranges: target.into_iter().map(|at| (at, Ok(log))).collect(),
                    source_ends: source_ends
                        .into_iter()
                        .map(|at| (at, Ok(SourceOffset(200))))
                        .collect(),
                });
                ReadDone::Topics { request, outcome }
            }
        }
    }

    fn commit(&mut self, commit: Commit) -> CommitDone {
        match commit {
            Commit::WriteHalf { request, group, offsets, .. } => {
                self.pending.insert(group, offsets.as_ref().clone());
                CommitDone::HalfWritten { request, outcome: Ok(()) }
            }
            Commit::End { request, group, end, .. } => {
                let pending = self.pending.remove(&group).unwrap_or_default();
                if end == TransactionEnd::Commit {
                    self.stored.entry(group).or_default().extend(pending);
                }
                CommitDone::Ended { request, outcome: Ok(Aftermath::Settled) }
            }
            Commit::Plain { request, .. } => {
                CommitDone::Plain { request, outcome: Ok(BTreeMap::new()) }
            }
        }
    }
}

/// The time that the core took.
#[derive(Default)]
struct Took {
    all: Duration,
    longest: Duration,
}

impl Took {
    fn handle(&mut self, core: &mut Core, now: Time, event: Event) {
        let begun = Instant::now();
        core.handle(now, event);
        let took = begun.elapsed();
        self.all += took;
        self.longest = self.longest.max(took);
    }
}

fn fence_topic() -> FenceTopic {
    FenceTopic { id: TopicId([9; 16]), shards: ShardCount(SHARDS) }
}
