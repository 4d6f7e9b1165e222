//! The core: one event in, any number of actions out.

mod agenda;
mod catching_up;
mod commits;
mod control;
mod coordination;
mod fence_records;
mod fencing;
mod incarnations;
mod listings;
mod planted;
mod refresh;
mod refusals;
mod round_ends;
mod rounds;
mod standing_down;
mod timing;
mod validate;

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;

use super::action::{Action, StopReason};
use super::coordinators::Side;
use super::event::{CommitDone, Event, FenceTopic, ReadDone};
use super::failure::{Failure, FailureClass};
use super::fence_log::TakeOver;
use super::group::Group;
use super::ids::{ClusterId, FenceTopicTag, GroupId, PipelineId, Shard, TopicName};
use super::index::Index;
use super::limits::CommitLimits;
use super::note::Note;
use super::policy::Policy;
use super::request::Requests;
use super::shard::ShardState;
use super::time::Instant;

pub use timing::Why;

/// What the core needs to know once, when it is created.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Setup {
    /// The policy keys of the configuration.
    pub policy: Policy,
    /// The source cluster's id.
    pub source_cluster: ClusterId,
    /// The target cluster's id.
    pub target_cluster: ClusterId,
    /// The fence topic, as the broker described it.
    pub fence_topic: FenceTopic,
    /// The mapping topic's name. Only messages use it.
    pub mapping_topic: TopicName,
    /// Seeds the jitter of back-offs, so that instances do not retry in step. No decision depends on it.
    pub jitter_seed: u64,
}

/// The state machine of one Sprag instance.
///
/// It reads no clock, does no I/O and draws no randomness: equal events at equal times give equal actions.
/// This is the contract with its driver:
///
/// 1. [`handle`](Self::handle) takes one event and the time at which it is handled. That time never goes
///    backwards. A call with [`Event::TimePassed`] before anything is due does nothing.
/// 2. After each `handle`, the driver calls [`poll_action`](Self::poll_action) until it returns `None`, and
///    carries the actions out in this order. Actions with a `request` may then run concurrently. The driver
///    answers each request exactly once, with an event that carries its number, even if the request failed
///    or timed out.
/// 3. [`poll_timeout`](Self::poll_timeout) returns the time until which nothing happens without another
///    event, and the reason for that deadline. While an action is queued, that time is now.
///
/// ```
/// use sprag_core::{action::Action, event::Event, machine::Core, time::Instant};
/// # use sprag_core::{event::FenceTopic, ids::*, machine::Setup, policy::Policy};
/// # let setup = Setup {
/// #     policy: Policy::for_pipeline("dr"),
/// #     source_cluster: "s".into(),
/// #     target_cluster: "t".into(),
/// #     fence_topic: FenceTopic { id: TopicId([1; 16]), shards: ShardCount(8) },
/// #     mapping_topic: "m".into(),
/// #     jitter_seed: 0,
/// # };
/// let mut now = Instant::from_millis(0);
/// let mut core = Core::new(setup, now);
/// for _ in 0..3 {
///     while let Some(action) = core.poll_action() {
///         if let Action::Stop { .. } = action {
///             break;
///         }
///         // Carry it out. Its answer comes back as an event.
///     }
///     let (deadline, _why) = core.poll_timeout();
///     now = deadline; // or earlier, with the first event that arrives
///     core.handle(now, Event::TimePassed);
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Core {
    setup: Arc<Setup>,
    pipeline: PipelineId,
    terms: TakeOver,
    now: Instant,
    jitter: u64,
    actions: VecDeque<Action>,
    requests: Requests<Waiter>,
    index: Index,
    control: control::Control,
    listings: listings::Listings,
    coordination: coordination::Coordination,
    shards: BTreeMap<Shard, ShardState>,
    groups: BTreeMap<GroupId, Group>,
    agenda: agenda::Agenda,
    /// For each pair of topics, the incarnation that its offset syncs belong to.
    floors: BTreeMap<(TopicName, TopicName), incarnations::Floors>,
    limits: CommitLimits,
    stopping: Option<Instant>,
    stopped: bool,
    planted: planted::Memory,
}

/// Who waits for the answer to a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Waiter {
    Control,
    SourceList,
    TargetList,
    Coordinators(Side),
    Shard(Shard),
    Group(GroupId),
}

impl Core {
    /// Creates a core that owns no shard yet.
    #[must_use]
    pub fn new(setup: Setup, now: Instant) -> Self {
        let name = setup.policy.pipeline.clone();
        let (source, target) = (&setup.source_cluster, &setup.target_cluster);
        let pipeline = PipelineId::of(&name, source, target);
        let shards = setup.fence_topic.shards;
        let mode = setup.policy.commit_mode;
        let terms = TakeOver::terms(pipeline, &name, source, target, shards, mode);
        let mut core = Self {
            pipeline,
            terms,
            now,
            jitter: setup.jitter_seed,
            setup: Arc::new(setup),
            actions: VecDeque::new(),
            requests: Requests::default(),
            index: Index::default(),
            control: control::Control::new(now),
            listings: listings::Listings::default(),
            coordination: coordination::Coordination::new(now),
            shards: BTreeMap::new(),
            groups: BTreeMap::new(),
            agenda: agenda::Agenda::default(),
            floors: BTreeMap::new(),
            limits: CommitLimits::new(),
            stopping: None,
            stopped: false,
            planted: planted::Memory::default(),
        };
        if !core.setup.policy.apply_mappings_guard {
            core.report(Note::GuardDisabled);
        }
        core.advance();
        core
    }

    /// Handles one event at the time `now`, and queues the actions that follow from it.
    ///
    /// A `now` before that of the previous event counts as the previous one. Once [`Action::Stop`] is
    /// queued, further events are ignored.
    pub fn handle(&mut self, now: Instant, event: Event) {
        self.now = self.now.max(now);
        if !self.stopped {
            self.dispatch(event);
            self.advance();
        }
        #[cfg(debug_assertions)]
        self.validate();
    }

    /// Removes and returns the oldest queued action.
    #[must_use = "an action that is not carried out is lost"]
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    fn dispatch(&mut self, event: Event) {
        match event {
            Event::TimePassed => {}
            Event::StopRequested => self.stop_requested(),
            Event::ShardAssigned { shard } => self.shard_assigned(shard),
            Event::ShardRevoked { shard } => self.shard_revoked(shard),
            Event::ShardLost { shard } => self.shard_lost(shard),
            Event::AssignmentChecked { request, outcome } => {
                self.for_shard(request, |core, shard| core.assignment_checked(shard, outcome));
            }
            Event::FenceLogRead { request, outcome } => {
                self.for_shard(request, |core, shard| core.fence_log_read(shard, outcome));
            }
            Event::TransactionsInitialised { request, outcome } => {
                self.for_shard(request, |core, shard| core.initialised(shard, outcome));
            }
            Event::TakeOverWritten { request, outcome } => {
                self.for_shard(request, |core, shard| core.taken_over(shard, outcome));
            }
            Event::FenceRecordsWritten { request, outcome } => {
                self.for_shard(request, |core, shard| core.records_written(shard, outcome));
            }
            Event::MappingsRead { topic, partition, records, position } => {
                self.mappings_read(topic, partition, records, position);
            }
            Event::MappingReadFailed { topic, partition, out_of_range, failure } => {
                self.mapping_read_failed(topic, partition, out_of_range, failure);
            }
            Event::Read(done) => self.dispatch_read(done),
            Event::Commit(done) => self.dispatch_commit(done),
        }
    }

    fn dispatch_read(&mut self, done: ReadDone) {
        match done {
            ReadDone::ControlTopics { request, outcome } => {
                if self.requests.answered(request).is_some() {
                    self.control_topics_described(outcome);
                }
            }
            ReadDone::MappingEnds { request, outcome } => {
                self.for_shard(request, |core, shard| core.mapping_ends_read(shard, outcome));
            }
            ReadDone::Coordinators { request, side, outcome } => {
                if self.requests.answered(request).is_some() {
                    self.coordinators_read(side, outcome);
                }
            }
            ReadDone::SourceGroups { request, outcome } => {
                if self.requests.answered(request).is_some() {
                    self.source_groups_listed(outcome);
                }
            }
            ReadDone::TargetGroups { request, outcome } => {
                if self.requests.answered(request).is_some() {
                    self.target_groups_listed(outcome);
                }
            }
            ReadDone::SourceOffsets { request, outcome } => {
                self.for_group(request, |core, group| core.source_offsets_read(group, outcome));
            }
            ReadDone::TargetOffsets { request, outcome } => {
                self.for_group(request, |core, group| core.target_offsets_read(group, outcome));
            }
            ReadDone::Topics { request, outcome } => {
                self.for_group(request, |core, group| core.topics_read(group, outcome));
            }
        }
    }

    fn dispatch_commit(&mut self, done: CommitDone) {
        match done {
            CommitDone::HalfWritten { request, outcome } => {
                self.for_group(request, |core, group| core.offsets_written(group, outcome));
            }
            CommitDone::Ended { request, outcome } => {
                self.for_group(request, |core, group| core.transaction_ended(group, outcome));
            }
            CommitDone::Plain { request, outcome } => {
                self.for_group(request, |core, group| core.offsets_committed(group, outcome));
            }
        }
    }

    /// Starts whatever may proceed now, because its time has come or because something else has ended.
    fn advance(&mut self) {
        if self.stopped {
            return;
        }
        self.advance_stop();
        self.advance_control();
        self.advance_coordination();
        self.advance_fencing();
        self.advance_listings();
        self.advance_rounds();
        self.advance_commits();
    }

    fn for_shard(
        &mut self,
        request: super::request::RequestId,
        then: impl FnOnce(&mut Self, Shard),
    ) {
        if let Some(Waiter::Shard(shard)) = self.requests.answered(request) {
            then(self, shard);
        }
    }

    fn for_group(
        &mut self,
        request: super::request::RequestId,
        then: impl FnOnce(&mut Self, GroupId),
    ) {
        if let Some(Waiter::Group(group)) = self.requests.answered(request) {
            then(self, group);
        }
    }

    fn policy(&self) -> &Policy {
        &self.setup.policy
    }

    fn fence_topic_tag(&self) -> FenceTopicTag {
        FenceTopicTag::of(self.setup.fence_topic.id)
    }

    fn act(&mut self, action: Action) {
        self.actions.push_back(action);
    }

    fn report(&mut self, note: Note) {
        self.act(Action::Report { note });
    }

    /// Orders the end of the process, because it cannot usefully go on.
    fn fail(&mut self, reason: impl Into<Arc<str>>) {
        if !self.stopped {
            self.stopped = true;
            self.act(Action::Stop { reason: StopReason::Fatal { reason: reason.into() } });
        }
    }

    /// Orders the end of the process if the failure is of class `Stop`, and returns whether it is.
    fn fail_if_stop(&mut self, failure: &Failure) -> bool {
        let stop = failure.class == FailureClass::Stop;
        if stop {
            self.fail(Arc::clone(&failure.detail));
        }
        stop
    }
}

#[cfg(test)]
mod tests;
