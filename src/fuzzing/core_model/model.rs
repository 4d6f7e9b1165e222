//! The reference model: what the machine may order, and where it must stand, after each event. It is
//! told the same events, sees the orders, and knows nothing else of the machine.

use std::collections::{BTreeMap, BTreeSet};

use crate::core::action::{Action, Commit, Read};
use crate::core::event::{CommitDone, Event, GroupActivity, MappingTopic, ReadDone};
use crate::core::failure::{Failure, FailureClass};
use crate::core::fence_log::TakeOver;
use crate::core::ids::{
    FenceTopicTag, GroupId, MappingOffset, MappingPartition, PipelineId, Shard, TargetOffset,
    TargetPartition,
};
use crate::core::machine::Setup;
use crate::core::machine::view::{LifeView, ShardView, StageView, View};
use crate::core::note::Note;
use crate::core::policy::{CommitMode, Policy};
use crate::core::request::RequestId;

use super::super::Situations;
use super::super::known_copies::Reference;
use super::groups::Group;
use super::shards::ShardModel;

/// What the model knows.
pub(super) struct Model {
    pub(super) policy: Policy,
    pub(super) pipeline: PipelineId,
    pub(super) terms: TakeOver,
    pub(super) fence_topic: FenceTopicTag,
    pub(super) now: u64,
    /// What was asked and not answered; `false` where nobody waits for it any more.
    pub(super) asked: BTreeMap<RequestId, (Action, bool)>,
    /// For which shard the ends of the mapping partitions were asked.
    pub(super) asked_ends: BTreeMap<RequestId, Shard>,
    pub(super) shards: BTreeMap<Shard, ShardModel>,
    pub(super) groups: BTreeMap<GroupId, Group>,
    pub(super) known: Reference,
    pub(super) mapping_topic: Option<MappingTopic>,
    pub(super) log_ends: BTreeMap<MappingPartition, MappingOffset>,
    pub(super) listed_source: BTreeSet<GroupId>,
    pub(super) listed_target: BTreeMap<GroupId, GroupActivity>,
    pub(super) target_listed_at: u64,
    pub(super) disturbed_at: Option<u64>,
    /// Groups that wait for a description of topics that is not asked for yet, and those that one
    /// under way is for.
    pub(super) topics_wanted: BTreeSet<GroupId>,
    pub(super) topics_asked: Option<BTreeSet<GroupId>>,
    pub(super) stopping: Option<u64>,
    pub(super) stopped: bool,
    pub(super) owed: Owed,
    /// Shards that were left in this event, and may have been asked something for before.
    pub(super) left: BTreeSet<Shard>,
    /// Groups that were forgotten in this event, likewise: others stood their shard down.
    pub(super) forgotten: BTreeSet<GroupId>,
}

/// What must be ordered or told before the next event.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Owed {
    pub(super) releases: Vec<Shard>,
    pub(super) destroyed: Vec<Shard>,
    pub(super) mappings: usize,
    pub(super) told: BTreeSet<(GroupId, TargetPartition, TargetOffset)>,
    pub(super) stop: bool,
}

impl Model {
    pub(super) fn new(setup: &Setup) -> Self {
        let (source, target) = (&setup.source_cluster, &setup.target_cluster);
        let policy = setup.policy.clone();
        let pipeline = PipelineId::of(&policy.pipeline, source, target);
        let (name, mode) = (&policy.pipeline, policy.commit_mode);
        let shards = setup.fence_topic.shards;
        Self {
            terms: TakeOver::terms(pipeline, name, source, target, shards, mode),
            fence_topic: FenceTopicTag::of(setup.fence_topic.id),
            policy,
            pipeline,
            now: 0,
            asked: BTreeMap::new(),
            asked_ends: BTreeMap::new(),
            shards: BTreeMap::new(),
            groups: BTreeMap::new(),
            known: Reference::default(),
            mapping_topic: None,
            log_ends: BTreeMap::new(),
            listed_source: BTreeSet::new(),
            listed_target: BTreeMap::new(),
            target_listed_at: 0,
            disturbed_at: None,
            topics_wanted: BTreeSet::new(),
            topics_asked: None,
            stopping: None,
            stopped: false,
            owed: Owed::default(),
            left: BTreeSet::new(),
            forgotten: BTreeSet::new(),
        }
    }

    pub(super) fn is_guarded(&self) -> bool {
        self.policy.commit_mode == CommitMode::Guarded
    }

    /// Going on is useless.
    pub(super) fn fail(&mut self) {
        self.stopped = true;
        self.owed.stop = true;
    }

    pub(super) fn fails_by(&mut self, failure: &Failure) -> bool {
        let stop = failure.class == FailureClass::Stop;
        if stop {
            self.fail();
        }
        stop
    }

    /// The machine is about to be told this.
    pub(super) fn event(&mut self, now: u64, event: &Event, situations: &mut Situations) {
        self.now = now;
        self.left.clear();
        self.forgotten.clear();
        if self.stopped {
            return;
        }
        match event {
            Event::TimePassed => {}
            Event::StopRequested => {
                self.stopping = self.stopping.or(Some(now + 15_000));
            }
            Event::ShardAssigned { shard } => self.assigned(*shard),
            Event::ShardRevoked { shard } => self.revoked(*shard),
            Event::ShardLost { shard } => self.leave(*shard),
            Event::AssignmentChecked { request, .. }
            | Event::FenceLogRead { request, .. }
            | Event::TransactionsInitialised { request, .. }
            | Event::TakeOverWritten { request, .. }
            | Event::FenceRecordWritten { request, .. } => {
                if let Some(action) = self.answered(*request) {
                    self.shard_answered(&action, event);
                }
            }
            Event::MappingsRead { topic, partition, records, position } => {
                if self.mapping_topic.is_some_and(|known| known.id == *topic) {
                    self.known.apply(*partition, records.clone(), *position, situations);
                }
            }
            Event::MappingReadFailed { topic, out_of_range, failure, .. } => {
                let known = self.mapping_topic.filter(|known| known.id == *topic);
                if let Some(known) = known
                    && !self.fails_by(failure)
                    && *out_of_range
                {
                    self.read_mappings(known);
                    self.all_anew();
                }
            }
            Event::Read(done) => self.read_done(done, situations),
            Event::Commit(done) => self.commit_done(done),
            Event::SourceDisturbed => self.disturbed(),
        }
        self.settle();
    }

    pub(super) fn answered(&mut self, request: RequestId) -> Option<Action> {
        let (action, wanted) = self.asked.remove(&request)?;
        wanted.then_some(action)
    }

    fn read_done(&mut self, done: &ReadDone, situations: &mut Situations) {
        let (ReadDone::ControlTopics { request, .. }
        | ReadDone::MappingEnds { request, .. }
        | ReadDone::SourceGroups { request, .. }
        | ReadDone::TargetGroups { request, .. }
        | ReadDone::SourceOffsets { request, .. }
        | ReadDone::TargetOffsets { request, .. }
        | ReadDone::Topics { request, .. }) = done;
        let shard = self.asked_ends.remove(request);
        let Some(action) = self.answered(*request) else {
            return;
        };
        match done {
            ReadDone::ControlTopics { outcome, .. } => self.control(outcome),
            ReadDone::MappingEnds { outcome, .. } => self.ends_read(shard, outcome),
            ReadDone::SourceGroups { outcome, .. } => self.source_listed(outcome),
            ReadDone::TargetGroups { outcome, .. } => self.target_listed(outcome),
            ReadDone::SourceOffsets { outcome, .. } => self.source_read(&action, outcome),
            ReadDone::TargetOffsets { outcome, .. } => {
                self.target_read(&action, outcome, situations);
            }
            ReadDone::Topics { outcome, .. } => self.topics_read(outcome, situations),
        }
    }

    fn commit_done(&mut self, done: &CommitDone) {
        let (CommitDone::HalfWritten { request, .. }
        | CommitDone::Ended { request, .. }
        | CommitDone::Plain { request, .. }) = done;
        let Some(action) = self.answered(*request) else {
            return;
        };
        match done {
            CommitDone::HalfWritten { outcome, .. } => self.half_written(&action, outcome),
            CommitDone::Ended { outcome, .. } => self.ended(&action, outcome),
            CommitDone::Plain { outcome, .. } => self.committed_plainly(&action, outcome),
        }
    }

    /// The machine ordered this.
    pub(super) fn action(&mut self, action: &Action) {
        if let Some(request) = action.request() {
            let other = self.asked.insert(request, (action.clone(), true));
            assert!(other.is_none(), "request {request} is on its way already: {other:?}");
        }
        match action {
            Action::CheckAssignment { shard, .. }
            | Action::ReadFenceLog { shard, .. }
            | Action::InitTransactions { shard, .. }
            | Action::WriteTakeOver { shard, .. }
            | Action::WriteFenceRecord { shard, .. } => self.shard_ordered(*shard, action),
            Action::DestroyProducer { shard } => owed(&mut self.owed.destroyed, *shard, action),
            Action::ReleaseShard { shard } => owed(&mut self.owed.releases, *shard, action),
            Action::ReadMappings { topic, partitions } => {
                let read = MappingTopic { id: *topic, partitions: *partitions };
                assert_eq!(self.mapping_topic, Some(read), "{action:?}");
                assert!(self.owed.mappings > 0, "there is no reason for {action:?}");
                self.owed.mappings -= 1;
            }
            Action::Read(read) => self.read_ordered(read),
            Action::Commit(commit) => self.commit_ordered(commit),
            Action::Report { note } => self.told(note),
            Action::Stop { .. } => {
                assert!(self.owed.stop, "there is no reason for {action:?}");
                self.owed.stop = false;
            }
        }
    }

    fn read_ordered(&mut self, read: &Read) {
        assert!(self.stopping.is_none() || !begins_something(read), "{read:?} after a stop");
        match read {
            Read::ControlTopics { .. } => {}
            Read::MappingEnds { request, partitions } => self.ends_ordered(*request, partitions),
            Read::SourceGroups { .. } | Read::TargetGroups { .. } => {
                let wanted = self.shards.values().any(|shard| match shard.view.life {
                    LifeView::Loading { .. } | LifeView::Active { .. } => true,
                    LifeView::BackingOff { .. }
                    | LifeView::CheckingAssignment
                    | LifeView::ReadingLog
                    | LifeView::ReadingFirstLog
                    | LifeView::Initialising
                    | LifeView::RereadingLog
                    | LifeView::TakingOver
                    | LifeView::CatchingUp { .. } => false,
                });
                assert!(wanted, "{read:?} for nobody");
            }
            Read::SourceOffsets { group, coordinator_since, .. } => {
                self.round_begun(group, coordinator_since.map(|since| since.as_millis()));
            }
            Read::TargetOffsets { request, group, .. } if self.forgotten.contains(group) => {
                self.asked.entry(*request).and_modify(|(_, wanted)| *wanted = false);
            }
            Read::TargetOffsets { group, scope, stable, .. } => {
                self.target_asked(group, scope, *stable);
            }
            Read::Topics { source, target, source_ends, .. } => {
                self.topics_asked(source, target, source_ends);
            }
        }
    }

    fn commit_ordered(&mut self, commit: &Commit) {
        match commit {
            Commit::WriteHalf { shard, fence, group, offsets, .. } => {
                self.half_ordered(*shard, *fence, group, offsets);
            }
            Commit::End { shard, fence, group, end, .. } => {
                self.end_ordered(*shard, *fence, group, *end);
            }
            Commit::Plain { group, offsets, not_after, .. } => {
                self.plain_ordered(group, offsets, not_after.as_millis());
            }
        }
    }

    fn told(&mut self, note: &Note) {
        let (Note::Committed { group, target, to: offset, .. }
        | Note::Refreshed { group, target, offset }) = note
        else {
            return;
        };
        let stands = (group.clone(), target.clone(), *offset);
        assert!(self.owed.told.remove(&stands), "told, and not known to stand: {note}");
    }

    /// All orders were seen: compares every state.
    pub(super) fn compare(&self, view: &View) {
        if self.stopped {
            assert!(view.stopped, "going on, where going on is useless");
            return assert!(!self.owed.stop, "stopped without a word");
        }
        assert!(!view.stopped, "stopped for no reason");
        assert_eq!(self.owed, Owed::default(), "owed and not done");
        let shards: BTreeMap<Shard, ShardView> =
            self.shards.iter().map(|(at, shard)| (*at, shard.view)).collect();
        assert_eq!(view.shards, shards, "shards; left: the machine's, right: the model's");
        let groups: BTreeMap<GroupId, StageView> =
            self.groups.iter().map(|(name, group)| (name.clone(), group.stage)).collect();
        assert_eq!(view.groups, groups, "groups; left: the machine's, right: the model's");
        assert_eq!(view.as_of, self.known.as_of, "as-of; left: the machine's, right: the model's");
        self.nothing_is_forgotten();
    }

    /// Whoever waits for an answer has asked, and whoever could go on does.
    fn nothing_is_forgotten(&self) {
        for (at, shard) in &self.shards {
            if shard.waits() {
                let asked = |(action, wanted): &(Action, bool)| *wanted && shard.asked(*at, action);
                let asked = self.asked.values().filter(|asked_for| asked(asked_for)).count();
                assert_eq!(asked, 1, "shard {at} at {:?} waits for one answer", shard.view);
            }
            let leaving = shard.view.revoked || self.stopping.is_some();
            let mut of_it = self.groups.values().filter(|group| group.shard == *at);
            let queued = of_it.any(|group| group.stage == StageView::Queued);
            assert!(!queued || leaving || !shard.is_free(), "shard {at} keeps a group waiting");
        }
        let waiting = !self.topics_wanted.is_empty() && self.topics_asked.is_none();
        assert!(!waiting || self.stopping.is_some(), "nobody asks for the topics");
    }
}

/// What a stop does not keep from being ordered: the rest of a commit.
fn begins_something(read: &Read) -> bool {
    match read {
        Read::ControlTopics { .. }
        | Read::MappingEnds { .. }
        | Read::SourceGroups { .. }
        | Read::TargetGroups { .. }
        | Read::SourceOffsets { .. } => true,
        Read::TargetOffsets { .. } | Read::Topics { .. } => false,
    }
}

fn owed(owed: &mut Vec<Shard>, shard: Shard, action: &Action) {
    let Some(nth) = owed.iter().position(|at| *at == shard) else {
        panic!("there is no reason for {action:?}");
    };
    owed.remove(nth);
}
