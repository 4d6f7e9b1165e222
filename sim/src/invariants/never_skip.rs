//! NeverSkip: every record at or after the source position that was replicated is at or after the
//! committed target offset. Where a record was copied more than once, one copy there is enough. What a
//! zombie copied does not count: until its mappings tell of it nobody can know, and the replicator
//! copies the same records itself. Nor does what the replicator has yet to copy, or to copy again.

use std::collections::BTreeMap;

use sprag::core::ids::Incarnation;

use super::{Invariant, Violation};
use crate::hosts::clients::zombie::ZOMBIE;
use crate::hosts::replicator::origin;
use crate::scenario::{Publisher, Scenario, Work};
use crate::truth::Ours;
use crate::wire::Isolation;
use crate::world::World;

/// Whether the promise is made in this scenario. Sparse syncs of a replicator that restarts do not carry
/// it, nor what a zombie tells of a mapping topic that was made again and has not everything once more
/// (`docs/protocol.md`, "Translation": sessions without gaps, each from at or below the frontier).
#[must_use]
pub fn is_promised(scenario: &Scenario) -> bool {
    let has = |kind: fn(&Work) -> bool| scenario.work.iter().any(|work| kind(&work.what));
    let zombie = has(|work| matches!(work, Work::ZombieCopies { .. }));
    let recreated = has(|work| matches!(work, Work::RecreateMappings));
    scenario.shape.publisher == Publisher::Dense && !(zombie && recreated)
}

/// Checks one commit against the target's log as it is now.
#[must_use]
pub fn check(world: &World, ours: &Ours) -> Option<Violation> {
    let position = ours.stamp.source.get();
    let (copies, target_id) = world.target.look(|cluster| {
        let log = cluster.topics().log(&ours.at)?;
        let all = log.read(log.start(), Isolation::ReadCommitted, usize::MAX);
        Some((all.ok()?.0, cluster.topics().id(&ours.at.topic)?))
    })?;
    // By source offset: where its last copy is; and what the replicator copies next.
    let mut last: BTreeMap<i64, i64> = BTreeMap::new();
    let mut frontier = position;
    for record in copies {
        if record.key != ZOMBIE
            && let Some((source_id, source)) = record.value.as_deref().and_then(origin)
            && Incarnation::of(source_id, target_id) == ours.stamp.incarnation
        {
            last.insert(source, record.offset);
            frontier = source + 1;
        }
    }
    let skipped =
        last.range(position..frontier.max(position)).find(|(_, at)| **at < ours.after.offset)?;
    let detail = format!(
        "at {} for source offset {position}, the record of source offset {} at {} is skipped",
        ours.after.offset, skipped.0, skipped.1
    );
    Some(Violation::of(Invariant::NeverSkip, ours, detail))
}
