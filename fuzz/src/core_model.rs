//! The whole core, for legal events that bytes choose, in a small world of two clusters. No order is
//! predicted: each must have a reason (`core_model/rules.rs`), time must move, and without faults everything
//! must come to rest.

mod answers;
mod events;
mod rules;
mod world;

use std::sync::LazyLock;
use std::time::Duration;

use super::Situations;
use super::choices::Choices;
use answers::{Fault, answer};
use events::Next;
use rules::Rules;
use sprag_core::action::{Action, StopReason};
use sprag_core::event::{Event, GroupActivity};
use sprag_core::ids::Shard;
use sprag_core::machine::{Core, Setup};
use sprag_core::policy::{
    CommitMode, OnActiveGroup, OnBelowFirstMapping, OnCorrection, OnForeignCommit, OnSourceRewind,
    Policy,
};
use sprag_core::time::Instant;
use world::{FENCE_TOPIC, SHARDS, World};

/// What was reported, by its name and the judge's word for it, and how a run ended.
#[rustfmt::skip]
pub(super) const SITUATIONS: &[&str] = &[
    "fence_acquired", "fencing_failed", "shard_active", "shard_left", "stood_down",
    "committed", "refreshed", "overtaken", "group_failed", "listing_failed", "source_disturbed",
    "lowered", "no_mappings", "mappings_restarted", "mapping_read_failed",
    "producer_replaced",
    "First", "Advance", "FollowRewind", "Correct", "Reincarnate", "Override", "GuardOff",
    "Same", "StoredIsSharper", "NotForward", "Stale", "Refence", "Behind",
    "NoMapping", "NoSourceOffset", "BelowFirst", "BeyondEnd", "Replay", "Merged", "Foreign",
    "ForeignSibling", "FenceRegressed", "Recreated", "Unconfirmed", "Active", "TargetMissing",
    "stopped as asked", "stopped for good", "came to rest",
];

const MOST_EVENTS: usize = 400;
/// The most that one event may lead to.
const MOST_ACTIONS: usize = 300;
/// For how long nothing goes wrong any more, in the end: a back-off of a minute, and what follows it.
const CALM: u64 = 120_000;
const MOST_CALM_EVENTS: usize = 4_000;

struct Bench<'a> {
    core: Core,
    rules: Rules,
    world: World,
    now: u64,
    stopping: bool,
    stopped: bool,
    situations: &'a mut Situations,
}

pub(super) fn run(bytes: &[u8], situations: &mut Situations) {
    let choices = &mut Choices::new(bytes);
    let setup = setup(choices);
    let calm = choices.rarely(4);
    let world = World::new(choices);
    let mut bench = Bench {
        core: Core::new(setup.clone(), Instant::from_millis(0)),
        rules: Rules::new(setup.clone()),
        world,
        now: 0,
        stopping: false,
        stopped: false,
        situations,
    };
    bench.drain();
    for shard in (0..SHARDS.get()).map(Shard) {
        bench.world.assigned.insert(shard);
        bench.tell(Event::ShardAssigned { shard });
    }
    for _ in 0..MOST_EVENTS {
        if choices.is_over() || bench.stopped {
            break;
        }
        bench.step(choices);
    }
    if calm && !bench.stopped && !bench.stopping {
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
    fn step(&mut self, choices: &mut Choices<'_>) {
        let asked = self.rules.asked.len();
        match events::next(&mut self.world, choices, self.rules.pipeline) {
            Next::Answer(_, _) if asked == 0 => self.pass(0),
            Next::Answer(nth, fault) => self.answer(nth % asked, fault),
            Next::Pass(more) => self.pass(more),
            Next::Tell(event) => self.tell(event),
            Next::Unnoticed => {}
        }
    }

    fn answer(&mut self, nth: usize, fault: Fault) {
        let asked = self.rules.asked.remove(nth);
        self.world.now = self.now;
        if let Some(event) = answer(&mut self.world, &asked.action, fault) {
            self.rules.answered(self.now, &asked, &event);
            self.tell(event);
        }
    }

    /// Time jumps to the core's deadline, or beyond it.
    fn pass(&mut self, more: u64) {
        let (deadline, _) = self.core.poll_timeout();
        self.now = self.now.max(deadline.as_millis()) + more;
        self.tell(Event::TimePassed);
        let (deadline, why) = self.core.poll_timeout();
        let idle = deadline.as_millis() > self.now || self.stopped;
        assert!(idle, "{why:?} is due at {deadline:?}, and nothing is done about it");
    }

    fn tell(&mut self, event: Event) {
        if self.stopped {
            return;
        }
        trace(|| format!("+{}ms {event:?}", self.now));
        self.stopping |= event == Event::StopRequested;
        if let Event::ShardLost { shard } = &event {
            self.rules.drop_decisions(*shard);
        }
        self.core.handle(Instant::from_millis(self.now), event);
        self.core.validate();
        self.drain();
    }

    fn drain(&mut self) {
        for _ in 0..MOST_ACTIONS {
            let Some(action) = self.core.poll_action() else {
                return;
            };
            trace(|| format!("    {action:?}"));
            self.rules.order(self.now, &self.world, &action);
            self.obey(action);
            if self.stopped {
                return;
            }
        }
        panic!("one event led to more than {MOST_ACTIONS} actions");
    }

    fn obey(&mut self, action: Action) {
        if action.request().is_some() {
            return;
        }
        if let Action::Report { note } = &action {
            self.situations.reach(note.name());
            note.reason().into_iter().for_each(|reason| self.situations.reach(reason));
        }
        let carried_out = self.world.carry_out(&action);
        assert!(carried_out.is_ok(), "{action:?} is not answered");
        if let Action::Stop { reason } = action {
            let asked = reason == StopReason::Asked;
            self.situations.reach(if asked { "stopped as asked" } else { "stopped for good" });
            self.stopped = true;
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
            if self.now >= until || self.stopped {
                break;
            }
            if !self.rules.asked.is_empty() {
                self.answer(0, Fault::None);
            } else if let Some(event) = self.world.read_mappings(usize::MAX) {
                self.tell(event);
            } else {
                self.pass(0);
            }
        }
        if self.stopped {
            return;
        }
        assert!(self.now >= until, "it does not come to rest");
        self.rules.at_rest(self.now, &self.world);
        self.situations.reach("came to rest");
    }
}

/// With `SPRAG_FUZZ_TRACE` set, what happens is printed to standard error.
fn trace(line: impl Fn() -> String) {
    static WANTED: LazyLock<bool> =
        LazyLock::new(|| std::env::var_os("SPRAG_FUZZ_TRACE").is_some());
    #[expect(clippy::print_stderr, reason = "for whoever looks into one input")]
    if *WANTED {
        eprintln!("{}", line());
    }
}
