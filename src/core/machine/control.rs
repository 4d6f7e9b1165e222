//! Watches the control topics (the fence topic and the mapping topic), and applies mappings that were read.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use super::super::action::{Action, Read};
use super::super::event::{ControlTopics, FenceTopic, MappingTopic};
use super::super::failure::{Failure, FailureClass};
use super::super::ids::{MappingOffset, MappingPartition, SourcePartition, TopicId};
use super::super::mapping::MappingRecord;
use super::super::note::Note;
use super::super::planted::{Bug, has};
use super::super::policy::OnMultipleMappings;
use super::super::time::Instant;
use super::{Core, Waiter};

/// How soon a missing mapping topic is looked for again.
const RETRY: Duration = Duration::from_secs(1);

/// When the control topics are described next, and what was reported about them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Control {
    /// When to describe them; `None` while a description is under way.
    due: Option<Instant>,
    /// Why nothing can be translated, as last reported, so that it is reported once.
    no_mappings_reported: Option<Arc<str>>,
    twice_published_reported: bool,
    /// Source partitions reported to have mappings in another mapping partition than their own.
    misplaced: BTreeSet<SourcePartition>,
    /// The failed listings and descriptions that were reported since both control topics were last described.
    failing: BTreeSet<Arc<str>>,
}

impl Control {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            due: Some(now),
            no_mappings_reported: None,
            twice_published_reported: false,
            misplaced: BTreeSet::new(),
            failing: BTreeSet::new(),
        }
    }
}

impl Core {
    pub(super) fn control_due(&self) -> Option<Instant> {
        self.control.due
    }

    /// Describes the control topics again at once, unless a description is under way.
    pub(super) fn describe_control_topics_now(&mut self) {
        if let Some(due) = &mut self.control.due {
            *due = self.now;
        }
    }

    pub(super) fn advance_control(&mut self) {
        if self.stopping.is_none() && self.control.due.is_some_and(|due| due <= self.now) {
            self.control.due = None;
            let request = self.requests.ask(Waiter::Control);
            self.act(Action::Read(Read::ControlTopics { request }));
        }
    }

    pub(super) fn control_topics_described(&mut self, outcome: Result<ControlTopics, Failure>) {
        self.control.due = Some(self.now + self.policy().poll_interval);
        match outcome {
            Ok(topics) => {
                if topics.fence.is_ok() && topics.mapping.is_ok() {
                    self.control.failing.clear();
                }
                self.fence_topic_described(topics.fence);
                self.mapping_topic_described(topics.mapping);
            }
            Err(failure) => self.listing_failed(failure),
        }
    }

    fn fence_topic_described(&mut self, described: Result<FenceTopic, Failure>) {
        let expected = self.setup.fence_topic;
        match described {
            Ok(found) if found == expected || has(Bug::TwoShardCounts) => {}
            Ok(found) => self.fail(format!(
                "the fence topic changed while this instance was running: expected id {} with {} \
                 partitions, found id {} with {}. All commits are stopped. Stop all instances. To \
                 change the number of shards, set coordination.fenceTopic to a new topic",
                expected.id, expected.shards, found.id, found.shards
            )),
            Err(failure) if failure.class == FailureClass::Missing => self.fail(format!(
                "the fence topic was deleted while this instance was running ({failure}). All \
                 commits are stopped. Stop all instances before the topic is created again"
            )),
            Err(failure) => self.listing_failed(failure),
        }
    }

    fn mapping_topic_described(&mut self, described: Result<MappingTopic, Failure>) {
        match (described, self.index.topic()) {
            (Ok(found), Some(known)) if found == known => {}
            (Ok(found), None) => self.start_mappings(found),
            (Ok(found), Some(known)) => {
                let detail = format!(
                    "the mapping topic {} changed from id {} with {} partitions to id {} with {}",
                    self.setup.mapping_topic,
                    known.id,
                    known.partitions,
                    found.id,
                    found.partitions
                );
                self.report(Note::MappingsRestarted { detail: detail.into() });
                self.start_mappings(found);
                self.retake_all_shards();
            }
            (Err(failure), known) if failure.class == FailureClass::Missing => {
                self.control.due = Some(self.now + RETRY);
                if known.is_some() {
                    self.index.forget();
                    self.retake_all_shards();
                }
                self.no_mappings(format!(
                    "the mapping topic {} does not exist ({failure}). Check that a replicator \
                     runs and publishes offset mappings, and that offsetMapping describes them \
                     correctly",
                    self.setup.mapping_topic
                ));
            }
            (Err(failure), _) => self.listing_failed(failure),
        }
    }

    fn start_mappings(&mut self, topic: MappingTopic) {
        self.control.no_mappings_reported = None;
        self.index.restart(topic);
        self.keep_floors();
        self.act(Action::ReadMappings { topic: topic.id, partitions: topic.partitions });
        self.report(Note::ReadingMappings { partitions: topic.partitions });
    }

    /// Reads the mapping topic from its start again, because what was applied is no longer valid, and takes
    /// all shards over again.
    pub(super) fn restart_mappings(&mut self, detail: String) {
        if let Some(topic) = self.index.topic() {
            self.report(Note::MappingsRestarted { detail: detail.into() });
            self.start_mappings(topic);
            self.retake_all_shards();
        }
    }

    /// Reports that nothing can be translated, unless the last report gave the same reason.
    pub(super) fn no_mappings(&mut self, detail: String) {
        let detail: Arc<str> = detail.into();
        if self.control.no_mappings_reported.as_ref() != Some(&detail) {
            self.control.no_mappings_reported = Some(Arc::clone(&detail));
            self.report(Note::NoMappings { detail });
        }
    }

    pub(super) fn mappings_read(
        &mut self,
        topic: TopicId,
        partition: MappingPartition,
        records: Vec<(MappingOffset, MappingRecord)>,
        position: MappingOffset,
    ) {
        if self.index.topic().is_none_or(|known| known.id != topic) {
            return;
        }
        let applied = self.index.apply(partition, records, position);
        self.replays_ended();
        for source in applied.lowered {
            self.report(Note::Lowered { source });
        }
        for (source, (found, expected)) in applied.misplaced {
            if self.control.misplaced.insert(source.clone()) {
                self.report(Note::Misplaced { source, found, expected });
            }
        }
        if let Some(source) = applied.twice_published.into_iter().next() {
            self.twice_published(source);
        }
    }

    fn twice_published(&mut self, source: SourcePartition) {
        match self.policy().on_multiple_mappings {
            OnMultipleMappings::Fail => self.fail(format!(
                "{source}: two publishers copied the same source offsets, and \
                 errorHandling.onMultipleTargetCommittedOffsets is fail. Stop one of the \
                 replicators"
            )),
            OnMultipleMappings::Ignore if self.control.twice_published_reported => {}
            OnMultipleMappings::Ignore => {
                self.control.twice_published_reported = true;
                self.report(Note::TwicePublished { source });
            }
        }
    }

    pub(super) fn mapping_read_failed(
        &mut self,
        topic: TopicId,
        partition: MappingPartition,
        out_of_range: bool,
        failure: Failure,
    ) {
        if self.index.topic().is_none_or(|known| known.id != topic) || self.fail_if_stop(&failure) {
            return;
        }
        if out_of_range {
            self.restart_mappings(format!(
                "mapping partition {partition} lost records that had not been read ({failure})"
            ));
        } else {
            self.report(Note::MappingReadFailed { partition, failure });
        }
    }

    /// A listing or description failed. The previous one stays in use, and a new one is requested later. Each
    /// failure is reported once, until both control topics have been described.
    pub(super) fn listing_failed(&mut self, failure: Failure) {
        if !self.fail_if_stop(&failure) && self.control.failing.insert(Arc::clone(&failure.detail))
        {
            self.report(Note::ListingFailed { failure });
        }
    }
}
