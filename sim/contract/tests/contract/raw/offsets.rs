//! Plain commits, deletions and reads of offsets, and deletion of groups.

use std::collections::BTreeMap;

use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_delete_request::{
    OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use kafka_protocol::messages::{
    DeleteGroupsRequest, OffsetCommitRequest, OffsetDeleteRequest, OffsetFetchRequest, TopicName,
};

use super::{RawRequests, text};
use crate::operation::{Code, Commits, Parts, Spot};

const COMMIT: i16 = 9;
const FETCH: i16 = 8;
const DELETE: i16 = 0;
const DELETE_GROUPS: i16 = 2;

impl RawRequests {
    pub(super) fn offset_commit(
        &mut self,
        member: &str,
        generation: i32,
        commits: &Commits,
    ) -> Parts {
        let topics = by_topic(commits.iter(), |partition, commit| {
            OffsetCommitRequestPartition::default()
                .with_partition_index(partition)
                .with_committed_offset(commit.offset)
                .with_committed_leader_epoch(commit.leader_epoch())
                .with_committed_metadata(Some(text(&commit.metadata)))
        });
        let topic = |(name, partitions)| {
            OffsetCommitRequestTopic::default().with_name(name).with_partitions(partitions)
        };
        let request = OffsetCommitRequest::default()
            .with_group_id(self.group.clone())
            .with_generation_id_or_member_epoch(generation)
            .with_member_id(text(member))
            .with_topics(topics.into_iter().map(topic).collect());
        let answer = self.client.ask(&request, COMMIT);
        let parts = answer.topics.iter().flat_map(|topic| {
            let outcome = |at: i32, code| (spot(&topic.name, at), Code::check(code));
            topic.partitions.iter().map(move |part| outcome(part.partition_index, part.error_code))
        });
        Ok(parts.collect())
    }

    pub(super) fn offset_delete(&mut self, spots: &[Spot]) -> Parts {
        let each = spots.iter().map(|spot| (spot, &()));
        let topics = by_topic(each, |partition, ()| {
            OffsetDeleteRequestPartition::default().with_partition_index(partition)
        });
        let topic = |(name, partitions)| {
            OffsetDeleteRequestTopic::default().with_name(name).with_partitions(partitions)
        };
        let request = OffsetDeleteRequest::default()
            .with_group_id(self.group.clone())
            .with_topics(topics.into_iter().map(topic).collect());
        let answer = self.client.ask(&request, DELETE);
        Code::check(answer.error_code)?;
        let parts = answer.topics.iter().flat_map(|topic| {
            let outcome = |at: i32, code| (spot(&topic.name, at), Code::check(code));
            topic.partitions.iter().map(move |part| outcome(part.partition_index, part.error_code))
        });
        Ok(parts.collect())
    }

    pub(super) fn delete_groups(&mut self) -> Result<(), Code> {
        let request = DeleteGroupsRequest::default().with_groups_names(vec![self.group.clone()]);
        let answer = self.client.ask(&request, DELETE_GROUPS);
        Code::check(answer.results.first().expect("the group's result").error_code)
    }

    pub(super) fn fetched_leader_epochs(&mut self) -> BTreeMap<Spot, i32> {
        let each = Spot::ALL.iter().map(|spot| (spot, &()));
        let topics = by_topic(each, |partition, ()| partition);
        let topic = |(name, partitions)| {
            OffsetFetchRequestTopics::default().with_name(name).with_partition_indexes(partitions)
        };
        let group = OffsetFetchRequestGroup::default()
            .with_group_id(self.group.clone())
            .with_topics(Some(topics.into_iter().map(topic).collect()));
        let request = OffsetFetchRequest::default().with_groups(vec![group]);
        let answer = self.client.ask(&request, FETCH);
        let group = answer.groups.into_iter().next().expect("the group's offsets");
        let parts = group.topics.iter().flat_map(|topic| {
            let some = topic.partitions.iter().filter(|part| part.committed_offset >= 0);
            some.map(|part| (spot(&topic.name, part.partition_index), part.committed_leader_epoch))
        });
        parts.collect()
    }
}

/// Groups the parts of a request by topic.
pub(super) fn by_topic<'a, T: 'a, P>(
    spots: impl Iterator<Item = (&'a Spot, &'a T)>,
    say: impl Fn(i32, &T) -> P,
) -> BTreeMap<TopicName, Vec<P>> {
    let mut topics: BTreeMap<TopicName, Vec<P>> = BTreeMap::new();
    for (spot, what) in spots {
        let (topic, partition) = spot.place();
        topics.entry(TopicName(text(topic))).or_default().push(say(partition, what));
    }
    topics
}

pub(super) fn spot(topic: &TopicName, partition: i32) -> Spot {
    Spot::at(topic, partition).expect("a partition that was asked about")
}
