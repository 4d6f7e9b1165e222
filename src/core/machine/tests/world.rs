//! A small world that answers the core's actions at once, with everything the tests may change in
//! it, and a transcript of what the core ordered and told.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::super::super::action::{Action, Commit, Read, ReadScope, StopReason, TransactionEnd};
use super::super::super::coordinators::{Coordinators, Side};
use super::super::super::event::{
    Aftermath, Answerer, CommitDone, ControlTopics, Event, FenceTopic, GroupActivity, LogRange,
    MappingEnds, MappingTopic, ReadDone, SourceCommit, SourceListing, SourceOffsets, TargetCommit,
    Topics,
};
use super::super::super::failure::{Failure, FailureClass};
use super::super::super::fence_log::FenceLog;
use super::super::super::ids::{
    Fence, GroupId, MappingOffset, MappingPartition, Shard, ShardCount, SourceOffset,
    SourcePartition, TargetOffset, TargetPartition, TopicId, TopicName,
};
use super::super::super::mapping::{MappingRecord, OffsetSync};
use super::super::super::policy::Policy;
use super::super::super::time::Instant;
use super::super::{Core, Setup};

pub(super) const GROUP: &str = "billing";
/// The most answers and jumps of the clock in one test: what never ends fails.
const MOST_STEPS: u32 = 500_000;

/// Both clusters, as far as one group and one topic of one partition go.
pub(super) struct World {
    pub(super) now: Instant,
    pub(super) source: Option<i64>,
    pub(super) target: BTreeMap<TargetPartition, TargetCommit>,
    pub(super) activity: GroupActivity,
    pub(super) log: LogRange,
    pub(super) mappings: Vec<(i64, i64)>,
    pub(super) mapping_end: i64,
    /// Whether the coordination group knows the instance as the owner.
    pub(super) assigned: bool,
    pub(super) fences: FenceLog,
    pub(super) next_fence: i64,
    pub(super) source_topic: [u8; 16],
    pub(super) mapping_topic: Option<[u8; 16]>,
    pub(super) groups: Vec<GroupId>,
    pub(super) shards: u32,
    /// What the group has committed on the source beside `source`.
    pub(super) beside: BTreeMap<SourcePartition, i64>,
    /// Source topics whose description fails.
    pub(super) undescribed: BTreeSet<TopicName>,
    pub(super) source_end: i64,
    /// Who answers for the groups of the source.
    pub(super) answered_by: Option<Answerer>,
    pub(super) coordinators: Coordinators,
    pub(super) without_offsets: BTreeMap<GroupId, String>,
    /// What the next end of a transaction leaves behind.
    pub(super) aftermath: Aftermath,
    pending: Option<BTreeMap<TargetPartition, TargetCommit>>,
    /// Answers to give instead of the usual ones, by the name of the action.
    pub(super) instead: BTreeMap<&'static str, VecDeque<Failure>>,
    /// What happens right before the answer to an action of this name.
    pub(super) before: BTreeMap<&'static str, fn(&mut World)>,
    pub(super) transcript: Vec<String>,
    pub(super) stopped: Option<StopReason>,
    steps: u32,
}

pub(super) fn source() -> SourcePartition {
    SourcePartition::new("orders", 0)
}

pub(super) fn target() -> TargetPartition {
    TargetPartition::new("dr.orders", 0)
}

pub(super) fn failure(class: FailureClass) -> Failure {
    Failure::new(class, format!("{class:?}"))
}

impl World {
    pub(super) fn new() -> Self {
        Self {
            now: Instant::from_millis(1000),
            source: Some(150),
            target: BTreeMap::new(),
            activity: GroupActivity::Empty,
            log: LogRange { start: TargetOffset(0), end: TargetOffset(10_000) },
            mappings: vec![(100, 1100), (149, 1149), (150, 1150), (200, 1250)],
            mapping_end: 4,
            assigned: true,
            fences: FenceLog { newest: BTreeMap::new(), members: Some(1) },
            next_fence: 10,
            source_topic: [1; 16],
            mapping_topic: Some([8; 16]),
            groups: vec![GroupId::from(GROUP)],
            shards: 1,
            beside: BTreeMap::new(),
            undescribed: BTreeSet::new(),
            source_end: 300,
            answered_by: Some(Answerer::default()),
            coordinators: Coordinators::default(),
            without_offsets: BTreeMap::new(),
            aftermath: Aftermath::Settled,
            pending: None,
            instead: BTreeMap::new(),
            before: BTreeMap::new(),
            transcript: Vec::new(),
            stopped: None,
            steps: 0,
        }
    }

    pub(super) fn core(&self, policy: Policy) -> Core {
        let setup = Setup {
            policy,
            source_cluster: "source".into(),
            target_cluster: "target".into(),
            fence_topic: self.fence_topic(),
            mapping_topic: "syncs".into(),
            jitter_seed: 7,
        };
        Core::new(setup, self.now)
    }

    fn fence_topic(&self) -> FenceTopic {
        FenceTopic { id: TopicId([9; 16]), shards: ShardCount(self.shards) }
    }

    /// An instance that owns the one shard and has come to rest.
    pub(super) fn settled(&mut self, policy: Policy) -> Core {
        let mut core = self.core(policy);
        core.handle(self.now, Event::ShardAssigned { shard: Shard(0) });
        self.settle(&mut core);
        core
    }

    /// Answers everything that the core orders, until it orders nothing more.
    pub(super) fn settle(&mut self, core: &mut Core) {
        for _ in 0..1000 {
            let Some(action) = core.poll_action() else {
                return;
            };
            self.answer(core, action);
        }
        panic!("the core never comes to rest:\n{}", self.transcript.join("\n"));
    }

    /// Answers one action.
    pub(super) fn answer(&mut self, core: &mut Core, action: Action) {
        self.step();
        for event in self.carry_out(action) {
            core.handle(self.now, event);
        }
    }

    /// Lets time pass up to each deadline of the core's in turn, for `duration` in all.
    pub(super) fn pass(&mut self, core: &mut Core, duration: Duration) {
        let end = self.now + duration;
        loop {
            self.settle(core);
            if core.poll_timeout().0 > end {
                break;
            }
            self.jump(core);
        }
        self.now = end;
        core.handle(end, Event::TimePassed);
        self.settle(core);
    }

    /// Lets time pass to the core's next deadline.
    pub(super) fn jump(&mut self, core: &mut Core) {
        self.step();
        self.now = core.poll_timeout().0.max(self.now);
        core.handle(self.now, Event::TimePassed);
    }

    fn step(&mut self) {
        self.steps += 1;
        assert!(self.steps <= MOST_STEPS, "this never ends");
    }

    pub(super) fn stored(&self) -> Option<i64> {
        self.target.get(&target()).map(|commit| commit.offset.get())
    }

    pub(super) fn store(&mut self, offset: i64, metadata: &str) {
        let commit = TargetCommit { offset: TargetOffset(offset), metadata: metadata.to_owned() };
        self.target.insert(target(), commit);
    }

    /// The connection to the coordinator on the source ends; another one answers next.
    pub(super) fn connection_breaks(&mut self) {
        let answerer = self.answered_by.get_or_insert_default();
        answerer.connection += 1;
    }

    pub(super) fn fail(&mut self, action: &'static str, class: FailureClass) {
        self.instead.entry(action).or_default().push_back(failure(class));
    }

    pub(super) fn told(&self, part: &str) -> bool {
        self.transcript.iter().any(|line| line.contains(part))
    }

    fn outcome<T>(
        &mut self,
        action: &'static str,
        usual: impl FnOnce(&mut Self) -> T,
    ) -> Result<T, Failure> {
        if let Some(happens) = self.before.get(action).copied() {
            happens(self);
        }
        match self.instead.get_mut(action).and_then(VecDeque::pop_front) {
            Some(failure) => {
                self.transcript.push(format!("{action}: fails ({failure})"));
                Err(failure)
            }
            None => {
                self.transcript.push(action.to_owned());
                Ok(usual(self))
            }
        }
    }

    fn carry_out(&mut self, action: Action) -> Vec<Event> {
        match action {
            Action::Report { note } => {
                self.transcript.push(format!("{:?}: {note}", note.level()));
                vec![]
            }
            Action::Stop { reason } => {
                self.transcript.push(format!("stop: {reason:?}"));
                self.stopped = Some(reason);
                vec![]
            }
            Action::DestroyProducer { .. } => {
                self.pending = None;
                self.transcript.push("destroy producer".to_owned());
                vec![]
            }
            Action::ReleaseShard { .. } => {
                self.transcript.push("release shard".to_owned());
                vec![]
            }
            Action::ReadMappings { topic, .. } => {
                self.transcript.push("read mappings".to_owned());
                vec![self.mappings_read(topic)]
            }
            Action::CheckAssignment { request, .. } => {
                let outcome = self.outcome("check assignment", |world| world.assigned);
                vec![Event::AssignmentChecked { request, outcome }]
            }
            Action::ReadFenceLog { request, .. } => {
                let outcome = self.outcome("read fence log", |world| world.fences.clone());
                vec![Event::FenceLogRead { request, outcome }]
            }
            Action::InitTransactions { request, .. } => {
                let outcome = self.outcome("init transactions", |world| world.pending = None);
                vec![Event::TransactionsInitialised { request, outcome }]
            }
            Action::WriteTakeOver { request, record, .. } => {
                let outcome = self.outcome("write take-over", |world| {
                    let fence = Fence(world.next_fence);
                    world.next_fence += 2;
                    world.fences.newest.insert(record.key, (fence, record.value));
                    fence
                });
                vec![Event::TakeOverWritten { request, outcome }]
            }
            Action::WriteFenceRecord { request, record, .. } => {
                let outcome = self.outcome("write fence record", |world| {
                    let fence = Fence(world.next_fence);
                    world.fences.newest.insert(record.key, (fence, record.value));
                });
                vec![Event::FenceRecordWritten { request, outcome }]
            }
            Action::Read(read) => vec![Event::Read(self.read(read))],
            Action::Commit(commit) => vec![Event::Commit(self.commit(commit))],
        }
    }

    pub(super) fn mappings_read(&self, topic: TopicId) -> Event {
        let records = self.mappings.iter().enumerate().map(|(nth, (from, to))| {
            let sync = OffsetSync {
                source: source(),
                target: target(),
                source_offset: SourceOffset(*from),
                target_offset: TargetOffset(*to),
            };
            (MappingOffset(nth as i64), MappingRecord::Sync(sync))
        });
        Event::MappingsRead {
            topic,
            partition: MappingPartition(0),
            records: records.collect(),
            position: MappingOffset(self.mappings.len() as i64),
        }
    }

    fn read(&mut self, read: Read) -> ReadDone {
        match read {
            Read::ControlTopics { request } => {
                let outcome = self.outcome("describe control topics", |world| ControlTopics {
                    fence: Ok(world.fence_topic()),
                    mapping: world
                        .mapping_topic
                        .map(|id| MappingTopic { id: TopicId(id), partitions: 1 })
                        .ok_or_else(|| failure(FailureClass::Missing)),
                });
                ReadDone::ControlTopics { request, outcome }
            }
            Read::MappingEnds { request, .. } => {
                let outcome = self.outcome("read mapping ends", |world| {
                    let topic = TopicId(world.mapping_topic.unwrap_or_default());
                    let end = Ok(MappingOffset(world.mapping_end));
                    MappingEnds { topic, ends: BTreeMap::from([(MappingPartition(0), end)]) }
                });
                ReadDone::MappingEnds { request, outcome }
            }
            Read::Coordinators { request, side } => {
                let name = match side {
                    Side::Source => "read source coordinators",
                    Side::Target => "read target coordinators",
                };
                let outcome = self.outcome(name, |world| world.coordinators.clone());
                ReadDone::Coordinators { request, side, outcome }
            }
            Read::SourceGroups { request } => {
                let outcome = self.outcome("list source groups", |world| SourceListing {
                    groups: world.groups.clone(),
                    without_offsets: world.without_offsets.clone(),
                });
                ReadDone::SourceGroups { request, outcome }
            }
            Read::TargetGroups { request } => {
                let outcome = self.outcome("list target groups", |world| {
                    world.groups.iter().map(|group| (group.clone(), world.activity)).collect()
                });
                ReadDone::TargetGroups { request, outcome }
            }
            Read::SourceOffsets { request, .. } => {
                let outcome = self.outcome("read source offsets", |world| {
                    let commit = |offset| SourceCommit {
                        offset: SourceOffset(offset),
                        metadata: String::new(),
                    };
                    let beside = world.beside.clone().into_iter();
                    let all = beside.chain(world.source.map(|offset| (source(), offset)));
                    let commits = all.map(|(at, offset)| (at, commit(offset))).collect();
                    SourceOffsets { commits, answered_by: world.answered_by }
                });
                ReadDone::SourceOffsets { request, outcome }
            }
            Read::TargetOffsets { request, scope, stable, .. } => {
                let name = if stable { "read target offsets" } else { "verify target offsets" };
                let outcome = self.outcome(name, |world| {
                    let (named, mut read) = match scope {
                        ReadScope::Only(named) => (named, BTreeMap::new()),
                        ReadScope::AllAnd(named) => (named, world.target.clone()),
                    };
                    let mut all: BTreeMap<_, _> = read
                        .iter_mut()
                        .map(|(at, it)| (at.clone(), Ok(Some(it.clone()))))
                        .collect();
                    for at in named {
                        all.insert(at.clone(), Ok(world.target.get(&at).cloned()));
                    }
                    all
                });
                ReadDone::TargetOffsets { request, outcome }
            }
            Read::Topics { request, source, target, source_ends } => {
                let outcome = self.outcome("read topics", |world| Topics {
                    source: source
                        .into_iter()
                        .map(|name| match world.undescribed.contains(&name) {
                            true => (name, Err(failure(FailureClass::HoldGroup))),
                            false => (name, Ok(TopicId(world.source_topic))),
                        })
                        .collect(),
                    target: target
                        .iter()
                        .map(|at| (TopicName::clone(&at.topic), Ok(TopicId([2; 16]))))
                        .collect(),
                    ranges: target.into_iter().map(|at| (at, Ok(world.log))).collect(),
                    source_ends: source_ends
                        .into_iter()
                        .map(|at| (at, Ok(SourceOffset(world.source_end))))
                        .collect(),
                });
                ReadDone::Topics { request, outcome }
            }
        }
    }

    fn commit(&mut self, commit: Commit) -> CommitDone {
        match commit {
            Commit::WriteHalf { request, offsets, .. } => {
                let outcome = self.outcome("write half", |world| {
                    world.pending = Some(offsets.as_ref().clone());
                });
                CommitDone::HalfWritten { request, outcome }
            }
            Commit::End { request, end, .. } => {
                let name = match end {
                    TransactionEnd::Commit => "commit transaction",
                    TransactionEnd::Abort => "abort transaction",
                };
                let outcome = self.outcome(name, |world| {
                    let pending = world.pending.take().unwrap_or_default();
                    if end == TransactionEnd::Commit {
                        world.target.extend(pending);
                    }
                    std::mem::replace(&mut world.aftermath, Aftermath::Settled)
                });
                CommitDone::Ended { request, outcome }
            }
            Commit::Plain { request, offsets, .. } => {
                let outcome = self.outcome("commit plainly", |world| {
                    world.target.extend(offsets.as_ref().clone());
                    offsets.keys().map(|at| (at.clone(), Ok(()))).collect()
                });
                CommitDone::Plain { request, outcome }
            }
        }
    }
}
