//! The control topics and the groups that there are, by `docs/protocol.md`, "Following the world".

use std::collections::{BTreeMap, BTreeSet};

use crate::core::event::{ControlTopics, GroupActivity, MappingTopic};
use crate::core::failure::{Failure, FailureClass};
use crate::core::ids::{GroupId, MappingOffset, MappingPartition, Shard};
use crate::core::machine::view::LifeView;

use super::super::known_copies::Reference;
use super::answers::FENCE_TOPIC;
use super::groups::Group;
use super::mapping_ends::Ends;
use super::model::Model;

impl Model {
    pub(super) fn control(&mut self, outcome: &Result<ControlTopics, Failure>) {
        let topics = match outcome {
            Ok(topics) => topics,
            Err(failure) => {
                self.fails_by(failure);
                return;
            }
        };
        match &topics.fence {
            Ok(found) if *found == FENCE_TOPIC => {}
            Err(failure) if failure.class != FailureClass::Missing => {
                self.fails_by(failure);
            }
            Ok(_) | Err(_) => self.fail(),
        }
        match (&topics.mapping, self.mapping_topic) {
            (Ok(found), Some(known)) if *found == known => {}
            (Ok(found), None) => self.read_mappings(*found),
            (Ok(found), Some(_)) => {
                self.read_mappings(*found);
                self.all_anew();
            }
            (Err(failure), known) if failure.class == FailureClass::Missing => {
                self.mapping_topic = None;
                self.known = Reference::default();
                self.log_ends.clear();
                if known.is_some() {
                    self.all_anew();
                }
            }
            (Err(failure), _) => {
                self.fails_by(failure);
            }
        }
    }

    /// The mapping topic is read from its start.
    pub(super) fn read_mappings(&mut self, topic: MappingTopic) {
        self.mapping_topic = Some(topic);
        self.known = Reference::default();
        self.log_ends.clear();
        let partitions = (0..topic.partitions).map(MappingPartition);
        self.known.as_of = partitions.map(|at| (at, MappingOffset(0))).collect();
        self.owed.mappings += 1;
        for state in self.shards.values_mut() {
            state.ends = Ends::Due(self.now);
        }
    }

    pub(super) fn source_listed(&mut self, outcome: &Result<Vec<GroupId>, Failure>) {
        match outcome {
            Ok(groups) => {
                self.listed_source = groups.iter().cloned().collect();
                self.listed(|source, _| *source = true);
            }
            Err(failure) => {
                self.fails_by(failure);
            }
        }
    }

    pub(super) fn target_listed(
        &mut self,
        outcome: &Result<BTreeMap<GroupId, GroupActivity>, Failure>,
    ) {
        match outcome {
            Ok(groups) => {
                self.listed_target = groups.clone();
                self.target_listed_at = self.now;
                self.listed(|_, target| *target = true);
            }
            Err(failure) => {
                self.fails_by(failure);
            }
        }
    }

    fn listed(&mut self, mark: impl Fn(&mut bool, &mut bool)) {
        for state in self.shards.values_mut() {
            if let LifeView::Loading { source_listed, target_listed, .. } = &mut state.view.life {
                mark(source_listed, target_listed);
            }
        }
        let active = self.shards.iter().filter(|(_, state)| state.fence().is_some());
        for shard in active.map(|(shard, _)| *shard).collect::<Vec<_>>() {
            self.adopt(shard);
        }
    }

    /// Looks after what was listed and belongs to the shard, and no longer after what is gone.
    pub(super) fn adopt(&mut self, shard: Shard) {
        let listed: BTreeSet<GroupId> =
            self.listed_source.iter().chain(self.listed_target.keys()).cloned().collect();
        let here = |name: &&GroupId| Shard::of(name, FENCE_TOPIC.shards) == shard;
        let confirm = u64::try_from(self.policy.confirm_after.as_millis()).unwrap_or(u64::MAX);
        let disturbed = self.disturbed_at.is_some_and(|at| self.now - at < confirm);
        for name in listed.iter().filter(here) {
            let new = || Group::new(shard, disturbed);
            self.groups.entry(name.clone()).or_insert_with(new);
        }
        self.groups
            .retain(|name, group| group.shard != shard || !group.rests() || listed.contains(name));
    }
}
