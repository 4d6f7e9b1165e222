//! One instance: the real core, its clock and its requests in flight.

use std::collections::BTreeMap;
use std::time::Duration;

use sprag_core::action::{Action, Commit, Read};
use sprag_core::event::{Aftermath, CommitDone, Event, ReadDone, TargetCommit};
use sprag_core::failure::{Failure, FailureClass};
use sprag_core::fence_log::FenceLog;
use sprag_core::ids::{Fence, MappingOffset};
use sprag_core::machine::{Core, Why};
use sprag_core::policy::CommitMode;
use sprag_core::request::RequestId;
use sprag_core::time::Instant;

use crate::brokers::{Age, Brokers, Late, MAPPING_PARTITION, Request};
use crate::plant::Plant;
use crate::requests::{failed, fixed, unanswered};
use crate::script;

/// How many of its core's deadlines a clock may pass in one tick until the core sends a request.
const DEADLINES: usize = 6;

/// What all instances of a world share and what never changes.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// How offsets are committed.
    pub mode: CommitMode,
    /// A planted bug.
    pub plant: Option<Plant>,
}

/// One instance of Sprag. It is frozen while it is not stepped.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Instance {
    /// The core.
    pub core: Core,
    /// Its clock.
    pub now: Instant,
    /// How often the clock may still jump.
    pub ticks: u8,
    /// The shard's producer.
    pub producer: Option<Producer>,
    /// How many mapping records it has read; `None` before the core orders it to read.
    pub reader: Option<u8>,
    /// The requests in flight.
    pub requests: BTreeMap<RequestId, InFlight>,
    /// A notice of the coordination group that it has not received yet.
    pub notice: Option<Notice>,
    /// What its last stable read of the target found (`guarded`), or its last first half (planted).
    pub checked: Option<TargetCommit>,
    /// It has ended its process.
    pub stopped: bool,
}

/// The client's handle for the shard's transactional.id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Producer {
    /// The `init_transactions` request whose answer it awaits.
    pub awaits: Option<RequestId>,
    /// Its epoch; `None` before `init_transactions`, and always in `guarded` mode.
    pub epoch: Option<u8>,
    /// The fence of its ownership, once the take-over record is written.
    pub fence: Option<Fence>,
    /// One of its requests was sent and never answered.
    pub unanswered: bool,
}

/// A request, and its answer once it has been carried out.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct InFlight {
    /// The request.
    pub sent: Request,
    /// The answer that is in flight.
    pub answer: Option<Event>,
}

/// A notice of the coordination group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Notice {
    /// The shard was taken away.
    Lost,
    /// The shard must be released.
    Revoked,
}

impl Instance {
    /// A started instance that is connected to everything.
    #[must_use]
    pub fn start(terms: Terms, now: Instant, ticks: u8, id: usize, brokers: &mut Brokers) -> Self {
        let mut instance = Self {
            core: script::core(terms.mode, terms.plant, now),
            now,
            ticks,
            producer: None,
            reader: None,
            requests: BTreeMap::new(),
            notice: None,
            checked: None,
            stopped: false,
        };
        instance.obey(terms, id, brokers);
        instance
    }

    /// Passes an event to the core and sends what the core orders.
    pub fn handle(&mut self, terms: Terms, id: usize, brokers: &mut Brokers, event: Event) {
        self.core.handle(self.now, event);
        self.core.validate();
        self.obey(terms, id, brokers);
    }

    /// The coordination group assigns the shard. An earlier notice is received first.
    pub fn assign(&mut self, terms: Terms, id: usize, brokers: &mut Brokers) {
        if let Some(notice) = self.notice.take() {
            self.handle(terms, id, brokers, notice.event());
        }
        brokers.owner = Some(id);
        self.handle(terms, id, brokers, Event::ShardAssigned { shard: script::SHARD });
    }

    /// Reads the next mapping record.
    pub fn read_mapping(&mut self, terms: Terms, id: usize, brokers: &mut Brokers) -> Option<()> {
        let nth = self.reader.filter(|nth| *nth < brokers.mappings)?;
        self.reader = Some(nth + 1);
        let offset = MappingOffset(i64::from(nth));
        let event = Event::MappingsRead {
            topic: script::MAPPING_TOPIC.id,
            partition: MAPPING_PARTITION,
            records: vec![(offset, script::mapping(nth))],
            position: MappingOffset(offset.get() + 1),
        };
        self.handle(terms, id, brokers, event);
        Some(())
    }

    /// The clock jumps to the core's next deadlines until the core sends a request.
    pub fn tick(&mut self, terms: Terms, id: usize, brokers: &mut Brokers) -> Option<()> {
        self.ticks = self.ticks.checked_sub(1)?;
        let before = self.requests.len();
        for _ in 0..DEADLINES {
            let (deadline, why) = self.core.poll_timeout();
            match why {
                Why::ActionQueued
                | Why::ControlTopics
                | Why::Listings
                | Why::Coordinators
                | Why::FencingBackOff
                | Why::MappingEnds
                | Why::GroupRound => {}
                Why::KeepAlive | Why::FenceRecord | Why::StopPatience | Why::Nothing => {
                    return None;
                }
            }
            self.now = deadline.max(self.now + Duration::from_millis(1));
            self.handle(terms, id, brokers, Event::TimePassed);
            if self.requests.len() > before {
                return Some(());
            }
        }
        None
    }

    /// The brokers carry out a request.
    pub fn carry_out(
        &mut self,
        terms: Terms,
        brokers: &mut Brokers,
        request: RequestId,
        age: Age,
    ) -> Option<()> {
        let flight = self.requests.get_mut(&request).filter(|flight| flight.answer.is_none())?;
        flight.answer = brokers.carry_out(&flight.sent, age, (terms.mode, terms.plant));
        match (&flight.sent.action, &flight.answer) {
            (Action::InitTransactions { .. }, _) => flight.sent.epoch = Some(brokers.epoch),
            (Action::Read(Read::TargetOffsets { stable: false, request, .. }), _)
                if terms.plant == Some(Plant::NoVerification) =>
            {
                let read = BTreeMap::from([(script::target(), Ok(self.checked.clone()))]);
                let done = ReadDone::TargetOffsets { request: *request, outcome: Ok(read) };
                flight.answer = Some(Event::Read(done));
            }
            (Action::Commit(Commit::WriteHalf { offsets, .. }), _)
                if terms.plant == Some(Plant::RetriedAfterTakeOver) =>
            {
                self.checked = offsets.get(&script::target()).cloned();
            }
            (_, _) => {}
        }
        Some(())
    }

    /// The answer to a request arrives.
    pub fn deliver(
        &mut self,
        terms: Terms,
        id: usize,
        brokers: &mut Brokers,
        request: RequestId,
    ) -> Option<()> {
        let answer = self.requests.get(&request)?.answer.clone()?;
        let flight = self.requests.remove(&request)?;
        let answer = self.with_late_requests(&flight.sent, answer);
        self.producer_learns(request, &flight.sent, &answer);
        if let Action::Read(Read::TargetOffsets { stable: true, .. }) = &flight.sent.action
            && let Event::Read(ReadDone::TargetOffsets { outcome: Ok(read), .. }) = &answer
            && (terms.mode == CommitMode::Guarded || terms.plant == Some(Plant::NoVerification))
        {
            let found = read.get(&script::target()).cloned();
            self.checked = found.and_then(Result::ok).flatten();
        }
        self.handle(terms, id, brokers, answer);
        Some(())
    }

    /// What a call returns if its producer has a request that was never answered.
    fn with_late_requests(&self, sent: &Request, answer: Event) -> Event {
        let unanswered = self.producer.is_some_and(|it| it.unanswered && it.epoch == sent.epoch);
        let late = || Failure::new(FailureClass::LateRequest, "LateRequest");
        let Event::Commit(done) = answer else {
            return answer;
        };
        let done = match done {
            CommitDone::HalfWritten { request, outcome: Ok(()) } if unanswered => {
                CommitDone::HalfWritten { request, outcome: Err(late()) }
            }
            CommitDone::Ended { request, outcome: Ok(_) } if unanswered => {
                CommitDone::Ended { request, outcome: Ok(Aftermath::LateRequest) }
            }
            CommitDone::HalfWritten { .. }
            | CommitDone::Ended { .. }
            | CommitDone::Plain { .. } => done,
        };
        Event::Commit(done)
    }

    /// A request of a transaction is delayed: its connection breaks, and the client sends it again.
    pub fn delay(&mut self, brokers: &mut Brokers, request: RequestId) -> Option<()> {
        let flight = self.requests.get(&request).filter(|flight| flight.answer.is_none())?;
        brokers.late.push(Late { sent: flight.sent.clone(), outlived: false });
        self.producer.as_mut()?.unanswered = true;
        Some(())
    }

    /// No answer to a request ever arrives.
    pub fn give_up(
        &mut self,
        terms: Terms,
        id: usize,
        brokers: &mut Brokers,
        request: RequestId,
    ) -> Option<()> {
        let flight = self.requests.remove(&request)?;
        let event = match (&flight.sent.action, terms.plant) {
            (Action::Read(Read::TargetOffsets { request, .. }), Some(Plant::FailedFetchIsNone)) => {
                let outcome = Ok(BTreeMap::from([(script::target(), Ok(None))]));
                Event::Read(ReadDone::TargetOffsets { request: *request, outcome })
            }
            (action, _) => unanswered(action)?,
        };
        self.handle(terms, id, brokers, event);
        Some(())
    }

    fn producer_learns(&mut self, request: RequestId, sent: &Request, answer: &Event) {
        let Some(producer) = &mut self.producer else {
            return;
        };
        if let Event::TransactionsInitialised { outcome: Ok(()), .. } = answer
            && producer.awaits == Some(request)
        {
            *producer =
                Producer { awaits: None, epoch: sent.epoch, fence: None, unanswered: false };
        }
        if let Event::TakeOverWritten { outcome: Ok(fence), .. } = answer
            && producer.epoch == sent.epoch
        {
            producer.fence = Some(*fence);
        }
    }

    /// Carries out what the core ordered. Requests whose answer never varies are answered at once, because
    /// the time of their answer makes no difference.
    fn obey(&mut self, terms: Terms, id: usize, brokers: &mut Brokers) {
        while let Some(action) = self.core.poll_action() {
            if let Some(event) = self.at_once(&action, id, brokers) {
                self.core.handle(self.now, event);
            } else {
                self.send(terms, action);
            }
        }
    }

    fn at_once(&mut self, action: &Action, id: usize, brokers: &mut Brokers) -> Option<Event> {
        match action {
            Action::CheckAssignment { request, .. } => {
                let ours = brokers.owner == Some(id) && self.notice != Some(Notice::Lost);
                Some(Event::AssignmentChecked { request: *request, outcome: Ok(ours) })
            }
            Action::ReadFenceLog { request, .. } => {
                let newest = brokers.take_over.iter();
                let newest = newest.map(|record| ("takeover".to_owned(), record.clone())).collect();
                let outcome = Ok(FenceLog { newest, members: Some(1) });
                Some(Event::FenceLogRead { request: *request, outcome })
            }
            Action::DestroyProducer { .. } => {
                self.producer = None;
                None
            }
            Action::ReleaseShard { .. } => {
                if brokers.owner == Some(id) {
                    brokers.owner = None;
                }
                None
            }
            Action::ReadMappings { .. } => {
                self.reader = Some(0);
                None
            }
            Action::Stop { .. } => {
                self.stopped = true;
                None
            }
            Action::Read(read) => fixed(read),
            Action::InitTransactions { .. }
            | Action::WriteTakeOver { .. }
            | Action::WriteFenceRecords { .. }
            | Action::Report { .. }
            | Action::Commit(_) => None,
        }
    }

    fn send(&mut self, terms: Terms, action: Action) {
        let Some(request) = action.request() else {
            return;
        };
        let mut flight = InFlight {
            sent: Request { action, epoch: self.producer.and_then(|it| it.epoch), checked: None },
            answer: None,
        };
        if let Action::InitTransactions { .. } = &flight.sent.action {
            let awaits = Some(request);
            self.producer = Some(Producer { awaits, epoch: None, fence: None, unanswered: false });
        }
        if let Action::Commit(Commit::WriteHalf { fence, .. } | Commit::End { fence, .. }) =
            &flight.sent.action
            && self.producer.is_none_or(|producer| producer.fence != Some(*fence))
        {
            flight.answer = failed(&flight.sent.action, FailureClass::Fenced);
        }
        let plain = matches!(flight.sent.action, Action::Commit(Commit::Plain { .. }));
        let end = matches!(flight.sent.action, Action::Commit(Commit::End { .. }));
        if plain || (end && terms.plant == Some(Plant::RetriedAfterTakeOver)) {
            flight.sent.checked = self.checked.take();
        }
        self.requests.insert(request, flight);
    }
}

impl Notice {
    /// The notice as an event for the core.
    #[must_use]
    pub fn event(self) -> Event {
        let shard = script::SHARD;
        match self {
            Self::Lost => Event::ShardLost { shard },
            Self::Revoked => Event::ShardRevoked { shard },
        }
    }
}
