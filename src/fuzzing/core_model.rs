//! The whole core beside a reference model, for legal events that bytes choose: every order must have
//! its reason, and after each event all states must be the same. Time jumps to the deadline that the
//! core asked for, and nothing may be due any more when all was done at that time.

mod about;
mod answers;
mod belief;
mod commits;
mod decisions;
mod events;
mod groups;
mod listings;
mod mapping_ends;
mod model;
mod shards;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;
use std::time::Duration;

use super::Situations;
use super::choices::Choices;
use crate::core::action::{Action, StopReason};
use crate::core::event::{Event, GroupActivity};
use crate::core::ids::{PipelineId, Shard};
use crate::core::machine::view::{LifeView, StageView, View};
use crate::core::machine::{Core, Setup, Why};
use crate::core::policy::{
    CommitMode, OnActiveGroup, OnBelowFirstMapping, OnCorrection, OnForeignCommit, OnSourceRewind,
    Policy,
};
use crate::core::request::RequestId;
use crate::core::time::Instant;
use answers::{FENCE_TOPIC, Fault, answer};
use events::Next;
use model::Model;
use world::World;

/// The states of a shard and of a group, and how a run ends; beside the rows of the judge.
pub(super) const SITUATIONS: &[&str] = &[
    "backing off",
    "checking assignment",
    "reading log",
    "reading first log",
    "initialising",
    "rereading log",
    "taking over",
    "catching up",
    "loading",
    "active",
    "revoked",
    "resting",
    "reading source",
    "reading target",
    "reading topics",
    "queued",
    "writing",
    "verifying",
    "ending",
    "committing",
    "refresh alone",
    "stopped as asked",
    "stopped for good",
    "came to rest",
];

const MOST_EVENTS: usize = 400;
/// The most that one event may lead to.
const MOST_ACTIONS: usize = 300;
/// For how long nothing goes wrong any more, in the end: a back-off of a minute, and what follows it.
const CALM: u64 = 120_000;
const MOST_CALM_EVENTS: usize = 4_000;

struct Bench<'a> {
    core: Core,
    model: Model,
    world: World,
    now: u64,
    /// What was ordered and not answered, oldest first.
    asked: Vec<(RequestId, Action)>,
    stopped: Option<StopReason>,
    situations: &'a mut Situations,
}

pub(super) fn run(bytes: &[u8], situations: &mut Situations) {
    let choices = &mut Choices::new(bytes);
    let setup = setup(choices);
    let calm = choices.rarely(4);
    let world = World::new(choices);
    let mut bench = Bench {
        core: Core::new(setup.clone(), Instant::from_millis(0)),
        model: Model::new(&setup),
        world,
        now: 0,
        asked: Vec::new(),
        stopped: None,
        situations,
    };
    bench.drain();
    for shard in (0..FENCE_TOPIC.shards.get()).map(Shard) {
        bench.world.assigned.insert(shard);
        bench.tell(Event::ShardAssigned { shard });
    }
    let pipeline = bench.model.pipeline;
    for _ in 0..MOST_EVENTS {
        if choices.is_over() || bench.stopped.is_some() {
            break;
        }
        bench.step(choices, pipeline);
    }
    if calm && bench.stopped.is_none() && bench.model.stopping.is_none() {
        bench.come_to_rest();
    }
}

/// Made once: it holds a regular expression.
static DEFAULTS: LazyLock<Policy> = LazyLock::new(|| Policy::for_pipeline("dr"));

fn setup(choices: &mut Choices<'_>) -> Setup {
    let active = if choices.rarely(8) { OnActiveGroup::Fail } else { OnActiveGroup::Ignore };
    let policy = Policy {
        apply_mappings_guard: !choices.rarely(16),
        commit_mode: choices.of(&[CommitMode::Fenced, CommitMode::Fenced, CommitMode::Guarded]),
        on_foreign_commit: choices.of(&[
            OnForeignCommit::Hold,
            OnForeignCommit::ForwardOnly,
            OnForeignCommit::Overwrite,
        ]),
        on_source_rewind: choices.of(&[OnSourceRewind::Follow, OnSourceRewind::Hold]),
        on_correction: choices.of(&[OnCorrection::Follow, OnCorrection::Hold]),
        on_below_first_mapping: choices
            .of(&[OnBelowFirstMapping::Hold, OnBelowFirstMapping::LogStart]),
        on_active_group: active,
        refresh_interval: Duration::from_secs(choices.of(&[3600, 60, 10])),
        ..DEFAULTS.clone()
    };
    Setup {
        policy,
        source_cluster: "s".into(),
        target_cluster: "t".into(),
        fence_topic: FENCE_TOPIC,
        mapping_topic: "m".into(),
        jitter_seed: u64::from(choices.byte()),
    }
}

impl Bench<'_> {
    fn step(&mut self, choices: &mut Choices<'_>, pipeline: PipelineId) {
        match events::next(&mut self.world, choices, pipeline) {
            Next::Answer(_, _) if self.asked.is_empty() => self.pass(0),
            Next::Answer(nth, fault) => self.answer(nth % self.asked.len(), fault),
            Next::Pass(more) => self.pass(more),
            Next::Tell(event) => self.tell(event),
            Next::Unnoticed => {}
        }
    }

    fn answer(&mut self, nth: usize, fault: Fault) {
        let (_, action) = self.asked.remove(nth);
        if let Some(event) = answer(&mut self.world, &action, fault) {
            self.tell(event);
        }
    }

    /// Time jumps to the core's deadline, or beyond it.
    fn pass(&mut self, more: u64) {
        let (deadline, _) = self.core.poll_timeout();
        self.now = self.now.max(deadline.as_millis()) + more;
        self.tell(Event::TimePassed);
    }

    fn tell(&mut self, event: Event) {
        if self.stopped.is_some() {
            return;
        }
        trace(|| format!("+{}ms {event:?}", self.now));
        self.model.event(self.now, &event, self.situations);
        self.core.handle(Instant::from_millis(self.now), event);
        self.core.validate();
        self.drain();
        let view = self.core.view();
        self.model.compare(&view);
        note(&view, self.situations);
        let (deadline, why) = self.core.poll_timeout();
        assert_ne!(why, Why::ActionQueued, "nothing is queued any more");
        let idle = deadline.as_millis() > self.now || self.stopped.is_some();
        assert!(idle, "{why:?} is due at {deadline:?}, and nothing is done about it");
    }

    fn drain(&mut self) {
        for _ in 0..MOST_ACTIONS {
            let Some(action) = self.core.poll_action() else {
                return;
            };
            let (deadline, why) = self.core.poll_timeout();
            assert!(why != Why::ActionQueued || deadline.as_millis() == self.now, "{deadline:?}");
            trace(|| format!("    {action:?}"));
            self.model.action(&action);
            self.obey(action);
        }
        panic!("one event led to more than {MOST_ACTIONS} actions");
    }

    fn obey(&mut self, action: Action) {
        if let Some(request) = action.request() {
            return self.asked.push((request, action));
        }
        match action {
            Action::ReleaseShard { shard } => {
                self.world.assigned.remove(&shard);
                self.world.asked_for.remove(&shard);
            }
            Action::DestroyProducer { shard } => {
                self.world.pending.remove(&shard);
            }
            Action::ReadMappings { topic, .. } => {
                self.world.reader = Some((topic, BTreeMap::new()));
            }
            Action::Stop { reason } => {
                self.situations.reach(match &reason {
                    StopReason::Asked => "stopped as asked",
                    StopReason::Fatal { .. } => "stopped for good",
                });
                self.stopped = Some(reason);
            }
            Action::CheckAssignment { .. }
            | Action::ReadFenceLog { .. }
            | Action::InitTransactions { .. }
            | Action::WriteTakeOver { .. }
            | Action::WriteFenceRecord { .. }
            | Action::Read(_)
            | Action::Commit(_)
            | Action::Report { .. } => {}
        }
    }

    /// Nothing goes wrong any more, and nothing changes: each shard becomes active, and what can be
    /// committed is.
    fn come_to_rest(&mut self) {
        if self.world.mapping_topic.is_none() {
            self.world.make_mapping_topic(2);
        }
        self.world.activity.values_mut().for_each(|activity| *activity = GroupActivity::Empty);
        let until = self.now + CALM;
        for _ in 0..MOST_CALM_EVENTS {
            if self.now >= until || self.stopped.is_some() {
                break;
            }
            if !self.asked.is_empty() {
                self.answer(0, Fault::None);
            } else if let Some(event) = self.world.read_mappings(usize::MAX) {
                self.tell(event);
            } else {
                self.pass(0);
            }
        }
        if self.stopped.is_some() {
            return;
        }
        assert!(self.now >= until, "it does not come to rest");
        for shard in self.world.assigned.difference(&self.world.asked_for) {
            let state = self.model.shards.get(shard);
            let active = state.is_some_and(|state| state.fence().is_some());
            assert!(active, "shard {shard} is not active after {CALM} ms without a fault");
        }
        self.model.nothing_is_left(&self.world);
        self.situations.reach("came to rest");
    }
}

fn note(view: &View, situations: &mut Situations) {
    for shard in view.shards.values() {
        situations.reach(match shard.life {
            LifeView::BackingOff { .. } => "backing off",
            LifeView::CheckingAssignment => "checking assignment",
            LifeView::ReadingLog => "reading log",
            LifeView::ReadingFirstLog => "reading first log",
            LifeView::Initialising => "initialising",
            LifeView::RereadingLog => "rereading log",
            LifeView::TakingOver => "taking over",
            LifeView::CatchingUp { .. } => "catching up",
            LifeView::Loading { .. } => "loading",
            LifeView::Active { .. } => "active",
        });
        if shard.revoked {
            situations.reach("revoked");
        }
    }
    let stages: BTreeSet<&'static str> = view.groups.values().map(|stage| named(*stage)).collect();
    stages.into_iter().for_each(|stage| situations.reach(stage));
}

fn named(stage: StageView) -> &'static str {
    match stage {
        StageView::Resting => "resting",
        StageView::ReadingSource => "reading source",
        StageView::ReadingTarget => "reading target",
        StageView::ReadingTopics => "reading topics",
        StageView::Queued => "queued",
        StageView::Writing => "writing",
        StageView::Verifying => "verifying",
        StageView::Ending => "ending",
        StageView::Committing => "committing",
    }
}

/// With `SPRAG_FUZZ_TRACE` set, what happens is told on standard error.
fn trace(line: impl Fn() -> String) {
    static WANTED: LazyLock<bool> =
        LazyLock::new(|| std::env::var_os("SPRAG_FUZZ_TRACE").is_some());
    #[expect(clippy::print_stderr, reason = "for whoever looks into one input")]
    if *WANTED {
        eprintln!("{}", line());
    }
}
