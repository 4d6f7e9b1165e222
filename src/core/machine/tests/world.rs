//! A small world that answers the core's actions at once, with everything that tests may change in it,
//! and a transcript of the actions and log lines.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::super::super::action::{Action, StopReason};
use super::super::super::coordinators::Coordinators;
use super::super::super::event::{
    Aftermath, Answerer, Event, FenceTopic, GroupActivity, LogRange, TargetCommit,
};
use super::super::super::failure::{Failure, FailureClass};
use super::super::super::fence_log::{FenceLog, FenceRecord};
use super::super::super::ids::{
    GroupId, Shard, ShardCount, SourcePartition, TargetOffset, TargetPartition, TopicId, TopicName,
};
use super::super::super::policy::Policy;
use super::super::super::time::Instant;
use super::super::{Core, Setup};

mod answers;

pub(super) const GROUP: &str = "billing";
/// The maximum number of answers and clock jumps in one test, so that a test that never ends fails.
const MOST_STEPS: u32 = 500_000;

/// Both clusters, reduced to one group and one topic with one partition.
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
    /// The group's other commits on the source.
    pub(super) other_commits: BTreeMap<SourcePartition, i64>,
    /// Source topics whose description fails.
    pub(super) undescribed: BTreeSet<TopicName>,
    pub(super) source_end: i64,
    /// Who answers for the groups of the source.
    pub(super) answered_by: Option<Answerer>,
    pub(super) coordinators: Coordinators,
    pub(super) without_offsets: BTreeMap<GroupId, String>,
    /// Why lists lack the groups of some broker.
    pub(super) listing_lacks: Option<Failure>,
    /// The consumer's own metadata on the source.
    pub(super) source_metadata: String,
    /// Other partitions of the topic that are mapped like the first.
    pub(super) mirrored: Vec<i32>,
    /// The broker's limits on a commit: metadata, and partitions.
    pub(super) metadata_max: Option<usize>,
    pub(super) partitions_max: Option<usize>,
    /// A foreign transaction is pending.
    pub(super) unstable: bool,
    /// The coordination group asks for the shard back with the next answer.
    pub(super) revoke: bool,
    /// What the next end of a transaction leaves behind.
    pub(super) aftermath: Aftermath,
    /// The fence records of each transaction, including those that failed.
    pub(super) batches: Vec<Vec<FenceRecord>>,
    pending: Option<BTreeMap<TargetPartition, TargetCommit>>,
    /// Failures instead of the usual answers, by the name of the action.
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
            other_commits: BTreeMap::new(),
            undescribed: BTreeSet::new(),
            source_end: 300,
            answered_by: Some(Answerer::default()),
            coordinators: Coordinators::default(),
            without_offsets: BTreeMap::new(),
            listing_lacks: None,
            source_metadata: String::new(),
            mirrored: Vec::new(),
            metadata_max: None,
            partitions_max: None,
            unstable: false,
            revoke: false,
            aftermath: Aftermath::Settled,
            batches: Vec::new(),
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

    /// Answers the core's actions until there are none.
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
            if std::mem::take(&mut self.revoke) {
                core.handle(self.now, Event::ShardRevoked { shard: Shard(0) });
            }
            core.handle(self.now, event);
        }
    }

    /// Lets `duration` pass, from one deadline of the core to the next.
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
        assert!(self.steps <= MOST_STEPS, "the test never ends");
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

    pub(super) fn logged(&self, part: &str) -> bool {
        self.transcript.iter().any(|line| line.contains(part))
    }
}
