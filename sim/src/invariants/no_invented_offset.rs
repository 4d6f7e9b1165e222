//! NoInventedOffset: a commit comes from a position that the group had on the source, with the metadata
//! that stood beside it; it is what the mapping records below its as-of make of that position, and lies
//! within the target's log.

use sprag::core::ids::{Incarnation, MappingTopicTag};

use super::copies::told_copies;
use super::{Invariant, Violation};
use crate::scenario::Scenario;
use crate::truth::{Ours, Truth};
use crate::wire::Isolation;
use crate::world::World;

/// Checks one commit. A refresh decides nothing: it keeps what stands from expiring.
#[must_use]
pub fn check(scenario: &Scenario, truth: &Truth, world: &World, ours: &Ours) -> Option<Violation> {
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
    let end = world.target.look(|cluster| {
        cluster.topics().log(&ours.at).map(|log| log.end_for(Isolation::ReadUncommitted))
    });
    match end {
        Some(end) if ours.after.offset > end && !truth.is_made_since_look(ours) => {
            violation(format!("{} is beyond the log end {end}", ours.after.offset))
        }
        Some(_) | None => mistranslated(scenario, truth, world, ours),
    }
}

/// Whether the mapping records that the stamp says it knew make another offset of the source position.
fn mistranslated(
    scenario: &Scenario,
    truth: &Truth,
    world: &World,
    ours: &Ours,
) -> Option<Violation> {
    let stamp = &ours.stamp;
    let source = truth.source_of(&ours.at)?;
    let source_id = world.source.look(|cluster| cluster.topics().id(&source.topic))?;
    let (copies, ids, start) = world.target.look(|cluster| {
        let topics = cluster.topics();
        let mapping_topic = topics.id(&truth.names.mapping_topic).map(MappingTopicTag::of);
        let known = |partition, offset| {
            partition == stamp.mapping_partition.get() && offset < stamp.as_of.get()
        };
        let ids = (source_id, topics.id(&ours.at.topic)?);
        let same = mapping_topic == Some(stamp.mapping_topic)
            && Incarnation::of(ids.0, ids.1) == stamp.incarnation;
        let start = topics.log(&ours.at)?.start();
        same.then(|| (told_copies(scenario, &truth.names, cluster, known), ids, start))
    })?;
    let known = copies.get(&(source, ours.at.clone()))?;
    let right = known.translate(stamp.source.get(), ids)?;
    let committed = ours.after.offset;
    // Below the log's start an offset is moved up to it, which may have moved on itself since.
    let clamped = (right..=start).contains(&committed);
    (committed != right && !clamped).then(|| {
        let detail = format!(
            "the mappings below as-of {} put source offset {} at {right}, not at {committed}",
            stamp.as_of, stamp.source
        );
        Violation::of(Invariant::NoInventedOffset, ours, detail)
    })
}
