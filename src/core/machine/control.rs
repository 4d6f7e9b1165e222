//! The control topics, and the mappings that are read from one of them.

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

/// How soon a description that failed, or a mapping topic that is missing, is looked for again.
const RETRY: Duration = Duration::from_secs(1);

/// What is known of the control topics.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Control {
    /// When to describe them; `None` while that is under way.
    due: Option<Instant>,
    /// The last complaint told, so that each is told once.
    told: Option<Arc<str>>,
    twice_published_told: bool,
    /// Source partitions with mappings in another mapping partition than theirs, once reported.
    misplaced: BTreeSet<SourcePartition>,
    /// The failed listings and descriptions that were told; none since one succeeded.
    failing: BTreeSet<Arc<str>>,
}

impl Control {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            due: Some(now),
            told: None,
            twice_published_told: false,
            misplaced: BTreeSet::new(),
            failing: BTreeSet::new(),
        }
    }
}

impl Core {
    pub(super) fn control_due(&self) -> Option<Instant> {
        self.control.due
    }

    /// The control topics are described again at once, unless they are being described.
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
                "the fence topic was changed while this instance ran: expected id {} with {} \
                 partitions, found id {} with {}. All commits are stopped; stop all instances, \
                 and name a new coordination.fenceTopic if the number of shards is to change",
                expected.id, expected.shards, found.id, found.shards
            )),
            Err(failure) if failure.class == FailureClass::Missing => self.fail(format!(
                "the fence topic was deleted while this instance ran ({failure}). All commits are \
                 stopped; stop all instances before the next one creates it anew"
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
                self.fence_anew();
            }
            (Err(failure), known) if failure.class == FailureClass::Missing => {
                self.control.due = Some(self.now + RETRY);
                if known.is_some() {
                    self.index.forget();
                    self.fence_anew();
                }
                self.no_mappings(format!(
                    "the mapping topic {} does not exist ({failure}); is a replicator running \
                     that publishes offset mappings, and is offsetMapping right?",
                    self.setup.mapping_topic
                ));
            }
            (Err(failure), _) => self.listing_failed(failure),
        }
    }

    fn start_mappings(&mut self, topic: MappingTopic) {
        self.control.told = None;
        self.index.restart(topic);
        self.keep_floors();
        self.act(Action::ReadMappings { topic: topic.id, partitions: topic.partitions });
        self.report(Note::ReadingMappings { partitions: topic.partitions });
    }

    /// Reads the mapping topic from its start once more: what was applied does not hold.
    pub(super) fn restart_mappings(&mut self, detail: String) {
        if let Some(topic) = self.index.topic() {
            self.report(Note::MappingsRestarted { detail: detail.into() });
            self.start_mappings(topic);
            self.fence_anew();
        }
    }

    /// Says that nothing can be translated, once per reason.
    pub(super) fn no_mappings(&mut self, detail: String) {
        let detail: Arc<str> = detail.into();
        if self.control.told.as_ref() != Some(&detail) {
            self.control.told = Some(Arc::clone(&detail));
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
                 errorHandling.onMultipleTargetCommittedOffsets is fail; stop one of the replicators"
            )),
            OnMultipleMappings::Ignore if self.control.twice_published_told => {}
            OnMultipleMappings::Ignore => {
                self.control.twice_published_told = true;
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

    /// A listing or description failed: what was known stands, and it is asked again. Each failure is
    /// told once, until something succeeded.
    pub(super) fn listing_failed(&mut self, failure: Failure) {
        if !self.fail_if_stop(&failure) && self.control.failing.insert(Arc::clone(&failure.detail))
        {
            self.report(Note::ListingFailed { failure });
        }
    }
}
