//! The world as a model to explore: its states, and the steps that are possible in each.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use sprag_core::action::{Action, Read};
use sprag_core::planted::Planting;
use sprag_core::policy::CommitMode;
use sprag_core::request::RequestId;
use sprag_core::time::Instant;
use stateright::{Model, Property};

use crate::brokers::{Age, Brokers};
use crate::budget::Budget;
use crate::instance::{Instance, Notice, Terms};
use crate::plant::Plant;
use crate::properties;
use crate::requests::{is_of_transaction, writes};

/// When every clock starts.
const START: Instant = Instant::from_millis(1000);

/// A small world.
#[derive(Clone, Debug)]
pub struct World {
    /// Number of instances.
    pub instances: usize,
    /// How offsets are committed, and the planted bug.
    pub terms: Terms,
    /// What may happen.
    pub budget: Budget,
    /// The discoveries made so far, by name.
    pub found: Arc<Mutex<BTreeSet<&'static str>>>,
}

/// A state of a world.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// The brokers of both clusters.
    pub brokers: Brokers,
    /// The instances.
    pub instances: Vec<Hashed>,
    /// What may still happen.
    pub left: Budget,
}

/// An instance whose hash is computed once, not once for each state that contains it.
#[derive(Clone, Debug)]
pub struct Hashed {
    hash: u64,
    instance: Arc<Instance>,
}

/// A step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// The coordination group assigns the shard.
    Assign(usize),
    /// The coordination group takes the shard away from a member that it no longer hears from.
    TakeAway,
    /// The coordination group revokes the shard.
    AskBack,
    /// An instance receives the notice of the coordination group.
    Hears(usize),
    /// An instance reads the next mapping record.
    ReadsMapping(usize),
    /// A request is carried out.
    CarryOut(usize, RequestId),
    /// A request is carried out by a former coordinator or a lagging replica.
    CarryOutStale(usize, RequestId),
    /// An answer arrives.
    Deliver(usize, RequestId),
    /// A request or its answer is lost.
    Lose(usize, RequestId),
    /// A request of a transaction is delayed, and its client sends it again.
    Delay(usize, RequestId),
    /// A delayed request arrives.
    LateRequest(usize),
    /// An instance's clock jumps to its core's next deadline.
    Tick(usize),
    /// An instance is killed and restarted.
    Crash(usize),
    /// The replicator publishes a mapping record.
    Publish,
    /// The group commits on the source.
    SourceCommit,
    /// A consumer without membership commits on the target.
    ForeignCommit,
    /// A consumer joins the group on the target.
    Join,
    /// That consumer commits.
    MemberCommit,
    /// That consumer leaves.
    LeaveGroup,
    /// The broker aborts the open transaction because it took too long.
    TimeOut,
}

impl World {
    /// A world of two instances, without a planted bug.
    #[must_use]
    pub fn new(mode: CommitMode, budget: Budget) -> Self {
        Self { instances: 2, terms: Terms { mode, plant: None }, budget, found: Arc::default() }
    }

    /// The same world with a planted bug.
    #[must_use]
    pub fn planted(mut self, plant: Plant) -> Self {
        self.terms.plant = Some(plant);
        self
    }

    /// Whether this is the first discovery with this name.
    pub(crate) fn is_first(&self, name: &'static str) -> bool {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).insert(name)
    }

    fn of_instance(&self, state: &State, id: usize, steps: &mut Vec<Step>) {
        let Some(instance) = state.instances.get(id).filter(|instance| !instance.stopped) else {
            return;
        };
        if instance.notice.is_some() {
            steps.push(Step::Hears(id));
        }
        if instance.reader.is_some_and(|nth| nth < state.brokers.mappings) {
            steps.push(Step::ReadsMapping(id));
        }
        for (request, flight) in &instance.requests {
            match &flight.answer {
                Some(_) => steps.push(Step::Deliver(id, *request)),
                None => {
                    steps.push(Step::CarryOut(id, *request));
                    if self.may_be_stale(state, &flight.sent.action) {
                        steps.push(Step::CarryOutStale(id, *request));
                    }
                    if state.left.late > 0 && is_of_transaction(&flight.sent.action) {
                        steps.push(Step::Delay(id, *request));
                    }
                }
            }
            // For a read it makes no difference whether the request or the answer is lost.
            if state.left.lost > 0 && (flight.answer.is_none() || writes(&flight.sent.action)) {
                steps.push(Step::Lose(id, *request));
            }
        }
        if instance.ticks > 0 {
            steps.push(Step::Tick(id));
        }
        if state.left.crashes > 0 && instance.reader.is_some() {
            steps.push(Step::Crash(id));
        }
        if state.brokers.owner.is_none() && (id == 0 || state.brokers.fence_end > 0) {
            steps.push(Step::Assign(id));
        }
    }

    fn may_be_stale(&self, state: &State, action: &Action) -> bool {
        let unconfirmed = self.terms.plant == Some(Plant::UnconfirmedFollowed);
        if let Action::Read(Read::SourceOffsets { coordinator_since, .. }) = action {
            return state.left.stale_source_reads > 0
                && state.brokers.source > 0
                && (coordinator_since.is_none() || unconfirmed);
        }
        matches!(action, Action::Read(Read::MappingEnds { .. })) && state.left.stale_ends > 0
    }

    fn of_others(&self, state: &State, steps: &mut Vec<Step>) {
        let State { brokers, left, .. } = state;
        let silent =
            |owner: usize| state.instances.get(owner).is_some_and(|it| it.notice.is_none());
        let owned = brokers.owner.is_some_and(silent);
        let possible = [
            (owned && left.losses_of_shard > 0, Step::TakeAway),
            (owned && left.revocations > 0, Step::AskBack),
            (left.publications > 0, Step::Publish),
            (left.source_commits > 0, Step::SourceCommit),
            (left.foreign_commits > 0, Step::ForeignCommit),
            (left.joins > 0 && !brokers.member, Step::Join),
            (
                brokers.member && (brokers.stored.is_none() || brokers.holds_ours()),
                Step::MemberCommit,
            ),
            (brokers.member, Step::LeaveGroup),
            (left.timeouts > 0 && !brokers.pending.is_empty(), Step::TimeOut),
        ];
        steps.extend(possible.into_iter().filter(|(may, _)| *may).map(|(_, step)| step));
        steps.extend((0..brokers.late.len()).map(Step::LateRequest));
    }

    fn step_instance(&self, next: &mut State, id: usize, step: Step) -> Option<()> {
        let State { brokers, instances, left } = next;
        let slot = instances.get_mut(id)?;
        let mut instance = Instance::clone(slot);
        let terms = self.terms;
        match step {
            Step::Assign(_) => instance.assign(terms, id, brokers),
            Step::Hears(_) => {
                let notice = instance.notice.take()?;
                instance.handle(terms, id, brokers, notice.event());
            }
            Step::ReadsMapping(_) => instance.read_mapping(terms, id, brokers)?,
            Step::CarryOut(_, request) => {
                instance.carry_out(terms, brokers, request, Age::Present)?;
            }
            Step::CarryOutStale(_, request) => {
                let source = matches!(
                    instance.requests.get(&request)?.sent.action,
                    Action::Read(Read::SourceOffsets { .. })
                );
                let budget =
                    if source { &mut left.stale_source_reads } else { &mut left.stale_ends };
                *budget = budget.checked_sub(1)?;
                instance.carry_out(terms, brokers, request, Age::Stale)?;
            }
            Step::Deliver(_, request) => instance.deliver(terms, id, brokers, request)?,
            Step::Lose(_, request) => {
                left.lost = left.lost.checked_sub(1)?;
                instance.give_up(terms, id, brokers, request)?;
            }
            Step::Delay(_, request) => {
                left.late = left.late.checked_sub(1)?;
                instance.delay(brokers, request)?;
            }
            Step::Tick(_) => instance.tick(terms, id, brokers)?,
            Step::Crash(_) => {
                left.crashes = left.crashes.checked_sub(1)?;
                if brokers.owner == Some(id) {
                    brokers.owner = None;
                }
                instance = Instance::start(terms, instance.now, instance.ticks, id, brokers);
            }
            Step::TakeAway | Step::AskBack => {
                let notice = if step == Step::TakeAway { Notice::Lost } else { Notice::Revoked };
                instance.notice = Some(notice);
            }
            Step::Publish
            | Step::SourceCommit
            | Step::ForeignCommit
            | Step::Join
            | Step::MemberCommit
            | Step::LeaveGroup
            | Step::LateRequest(_)
            | Step::TimeOut => return None,
        }
        *slot = Hashed::new(instance);
        Some(())
    }

    fn step(&self, next: &mut State, step: Step) -> Option<()> {
        let spend = |budget: &mut u8| budget.checked_sub(1).map(|left| *budget = left);
        match step {
            Step::Assign(id)
            | Step::Hears(id)
            | Step::ReadsMapping(id)
            | Step::CarryOut(id, _)
            | Step::CarryOutStale(id, _)
            | Step::Deliver(id, _)
            | Step::Lose(id, _)
            | Step::Delay(id, _)
            | Step::Tick(id)
            | Step::Crash(id) => self.step_instance(next, id, step)?,
            Step::TakeAway => {
                spend(&mut next.left.losses_of_shard)?;
                let owner = next.brokers.owner.take()?;
                self.step_instance(next, owner, step)?;
            }
            Step::AskBack => {
                spend(&mut next.left.revocations)?;
                self.step_instance(next, next.brokers.owner?, step)?;
            }
            Step::Publish => {
                spend(&mut next.left.publications)?;
                next.brokers.mappings += 1;
            }
            Step::SourceCommit => {
                spend(&mut next.left.source_commits)?;
                next.brokers.source += 1;
            }
            Step::ForeignCommit => {
                spend(&mut next.left.foreign_commits)?;
                next.brokers.foreign_commit();
            }
            Step::Join => {
                spend(&mut next.left.joins)?;
                next.brokers.member = true;
            }
            Step::LateRequest(nth) => next.brokers.late_request(nth, self.terms.plant)?,
            Step::MemberCommit => next.brokers.foreign_commit(),
            Step::LeaveGroup => next.brokers.member = false,
            Step::TimeOut => {
                spend(&mut next.left.timeouts)?;
                next.brokers.time_out();
            }
        }
        Some(())
    }
}

impl Model for World {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        let mut brokers = Brokers::new();
        let start = |id| {
            let instance = Instance::start(self.terms, START, self.budget.ticks, id, &mut brokers);
            Hashed::new(instance)
        };
        let instances = (0..self.instances).map(start).collect();
        vec![State { brokers, instances, left: self.budget }]
    }

    fn actions(&self, state: &State, steps: &mut Vec<Step>) {
        if state.brokers.violation.is_some() {
            return;
        }
        for id in 0..state.instances.len() {
            self.of_instance(state, id, steps);
        }
        self.of_others(state, steps);
    }

    fn next_state(&self, state: &State, step: Step) -> Option<State> {
        let _planted = Planting::of(self.terms.plant.and_then(Plant::in_core));
        let mut next = state.clone();
        self.step(&mut next, step)?;
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::of(self)
    }
}

impl Hashed {
    fn new(instance: Instance) -> Self {
        let mut hasher = DefaultHasher::new();
        instance.hash(&mut hasher);
        Self { hash: hasher.finish(), instance: Arc::new(instance) }
    }
}

impl Deref for Hashed {
    type Target = Instance;

    fn deref(&self) -> &Instance {
        &self.instance
    }
}

impl Hash for Hashed {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl PartialEq for Hashed {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash && self.instance == other.instance
    }
}

impl Eq for Hashed {}
