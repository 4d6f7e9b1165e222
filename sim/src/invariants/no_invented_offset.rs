//! NoInventedOffset: a commit comes from a position that the group committed on the source, with the
//! metadata committed there. It is the translation of that position by the mapping records below its as-of,
//! and lies within the target's log.

use sprag_core::ids::{Incarnation, MappingTopicTag};

use super::copies::published_copies;
use super::{Invariant, Violation};
use crate::scenario::Scenario;
use crate::truth::{Clusters, Ours, Truth};
use crate::wire::Isolation;

/// Checks one commit. A refresh decides nothing: it only keeps an offset from expiring.
#[must_use]
pub fn check(
    scenario: &Scenario,
    truth: &Truth,
    clusters: Clusters<'_>,
    ours: &Ours,
) -> Option<Violation> {
    if ours.refresh {
        return None;
    }
    let violation = |detail| Some(Violation::of(Invariant::NoInventedOffset, ours, detail));
    let commits = truth.source_commits(&ours.group, &ours.at);
    let source = ours.stamp.source.get();
    let committed = commits.iter().any(|it| {
        it.commit.offset == source && (ours.own.is_empty() || it.commit.metadata == ours.own)
    });
    if !committed {
        return violation(format!(
            "source offset {source} with metadata {:?} was never committed",
            ours.own
        ));
    }
    let log = clusters.target.topics().log(&ours.at);
    let end = log.map(|log| log.end_for(Isolation::ReadUncommitted));
    match end {
        Some(end) if ours.after.offset > end && !truth.is_made_since_look(ours) => {
            violation(format!("{} is beyond the log end {end}", ours.after.offset))
        }
        Some(_) | None => mistranslated(scenario, truth, clusters, ours),
    }
}

/// Whether the mapping records that the stamp claims to know give another offset for the source position.
fn mistranslated(
    scenario: &Scenario,
    truth: &Truth,
    clusters: Clusters<'_>,
    ours: &Ours,
) -> Option<Violation> {
    let stamp = &ours.stamp;
    let source = truth.source_of(&ours.at)?;
    let topics = clusters.target.topics();
    let ids = (clusters.source.topics().id(&source.topic)?, topics.id(&ours.at.topic)?);
    let mapping_topic = topics.id(&truth.names.mapping_topic).map(MappingTopicTag::of);
    if mapping_topic != Some(stamp.mapping_topic)
        || Incarnation::of(ids.0, ids.1) != stamp.incarnation
    {
        return None;
    }
    let known = |partition, offset| {
        partition == stamp.mapping_partition.get() && offset < stamp.as_of.get()
    };
    let copies = published_copies(scenario, &truth.names, clusters.target, known);
    let start = topics.log(&ours.at)?.start();
    let known = copies.get(&(source, ours.at.clone()))?;
    let right = known.translate(stamp.source.get(), ids)?;
    let committed = ours.after.offset;
    // An offset below the log start is raised to it, and the log start may have moved on since.
    let clamped = (right..=start).contains(&committed);
    (committed != right && !clamped).then(|| {
        let detail = format!(
            "the mappings below as-of {} put source offset {} at {right}, not at {committed}",
            stamp.as_of, stamp.source
        );
        Violation::of(Invariant::NoInventedOffset, ours, detail)
    })
}

#[cfg(test)]
mod tests {
    use super::super::made_up::{Says, settled};

    fn broken_by(source: i64, as_of: i64, offset: i64) -> Vec<String> {
        let (mut made, producer, fence) = settled(false);
        made.looks("sprag-0");
        made.commits("sprag-0", &producer, Says { fence, as_of, source }, offset);
        made.broken().into_iter().filter(|it| it.starts_with("NoInvented")).collect()
    }

    #[test]
    fn a_position_that_the_group_never_had_is_invented() {
        let broken = broken_by(4, 1, 4);
        assert!(broken[0].contains("source offset 4 with metadata \"\" was never committed"));
    }

    #[test]
    fn an_offset_that_no_mapping_gives_is_invented_though_it_skips_nothing() {
        let broken = broken_by(5, 1, 4);
        assert!(broken[0].contains("put source offset 5 at 5, not at 4"), "{broken:?}");
    }

    #[test]
    fn an_offset_beyond_the_log_is_invented() {
        let broken = broken_by(5, 1, 11);
        assert!(broken[0].contains("11 is beyond the log end 10"), "{broken:?}");
    }

    #[test]
    fn a_stamp_that_claims_mappings_from_after_the_translation_is_found_out() {
        let (mut made, producer, fence) = settled(false);
        made.looks("sprag-0");
        // A copy further back is published meanwhile. An owner that knew it would have committed 3.
        made.publishes(5, 3, 1);
        made.commits("sprag-0", &producer, Says { fence, as_of: 2, source: 5 }, 5);
        let broken = made.broken();
        assert!(broken.iter().any(|it| it.contains("below as-of 2 put source offset 5 at 3")));
    }
}
