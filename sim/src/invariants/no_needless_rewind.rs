//! NoNeedlessRewind: a commit sets an offset back only for a reason. The group went back on the source, a
//! topic was recreated, the target's log lost records, or mappings that the commit knew show that the stored
//! offset leaves records out. That fewer mappings are known, or none, is no reason.

use sprag_core::ids::{Incarnation, MappingTopicTag};

use super::copies::described;
use super::{Invariant, Violation};
use crate::scenario::{Publisher, Scenario, Work};
use crate::truth::{Clusters, Ours, Truth, stamp_of};
use crate::wire::Isolation;

/// Checks one commit.
#[must_use]
pub fn check(
    scenario: &Scenario,
    truth: &Truth,
    clusters: Clusters<'_>,
    ours: &Ours,
) -> Option<Violation> {
    let stored = ours.before.as_ref().filter(|stored| ours.after.offset < stored.offset)?;
    let place = (ours.group.clone(), ours.at.clone());
    let (before, stamp) = (stamp_of(stored)?.0, &ours.stamp);
    let of_ours = truth.ours.get(&place) == Some(stored);
    let moved = stamp.source < before.source || stamp.incarnation != before.incarnation;
    if ours.refresh || !of_ours || moved || truth.is_guarded_race(ours) {
        return None;
    }
    let source = truth.source_of(&ours.at)?;
    let topics = clusters.target.topics();
    let ids = (clusters.source.topics().id(&source.topic)?, topics.id(&ours.at.topic)?);
    let mapping_topic = MappingTopicTag::of(topics.id(&truth.names.mapping_topic)?);
    let same = [before.mapping_topic, stamp.mapping_topic] == [mapping_topic; 2]
        && stamp.incarnation == Incarnation::of(ids.0, ids.1);
    let end = topics.log(&ours.at)?.end_for(Isolation::ReadUncommitted);
    if !same || stored.offset > end || mixes_incarnations(scenario) {
        return None;
    }
    let partition = stamp.mapping_partition.get();
    let known = truth.mappings.range((partition, 0)..(partition, stamp.as_of.get()));
    let known = described(known.map(|((_, offset), record)| (*offset, record)));
    let right = known.get(&(source, ours.at.clone()))?.translate(stamp.source.get(), ids)?;
    (right >= stored.offset).then(|| {
        let detail = format!(
            "{} overwrote {}, though all mappings ever published below as-of {} put source offset {} \
             at {right}",
            ours.after.offset, stored.offset, stamp.as_of, stamp.source
        );
        Violation::of(Invariant::NoNeedlessRewind, ours, detail)
    })
}

/// Whether mappings do not show which incarnation of a topic they belong to.
fn mixes_incarnations(scenario: &Scenario) -> bool {
    let recreates =
        |work: &Work| matches!(work, Work::RecreateSource { .. } | Work::RecreateTarget { .. });
    matches!(scenario.shape.publisher, Publisher::Sparse { .. })
        && scenario.work.iter().any(|work| recreates(&work.what))
}

#[cfg(test)]
mod tests {
    use super::super::made_up::{Says, settled};

    fn rewinds(broken: Vec<String>) -> Vec<String> {
        broken.into_iter().filter(|it| it.contains("NoNeedlessRewind")).collect()
    }

    #[test]
    fn an_offset_is_set_back_for_a_reason_or_not_at_all() {
        let (mut made, producer, fence) = settled(false);
        made.looks("sprag-0");
        made.commits("sprag-0", &producer, Says { fence, as_of: 1, source: 5 }, 3);
        let broken = rewinds(made.broken());
        assert!(broken[0].contains("3 overwrote 5"), "{broken:?}");

        let (mut made, producer, fence) = settled(false);
        made.publishes(5, 3, 1);
        made.looks("sprag-0");
        made.commits("sprag-0", &producer, Says { fence, as_of: 2, source: 5 }, 3);
        assert_eq!(
            rewinds(made.broken()),
            Vec::<String>::new(),
            "a copy further back was published"
        );

        let (mut made, producer, fence) = settled(false);
        made.group_is_at(0, 3);
        made.looks("sprag-0");
        made.commits("sprag-0", &producer, Says { fence, as_of: 1, source: 3 }, 3);
        assert_eq!(rewinds(made.broken()), Vec::<String>::new(), "the group went back");
    }
}
