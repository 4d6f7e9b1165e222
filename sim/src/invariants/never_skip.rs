//! NeverSkip: every replicated record at or after the source position is at or after the committed target
//! offset. If a record was copied more than once, one copy there is enough. Copies of a zombie do not
//! count: nobody can know of them until their mappings are published, and the replicator copies the same
//! records itself. Records that the replicator has yet to copy, or to copy again, do not count either.

use std::collections::BTreeMap;

use sprag_core::ids::Incarnation;

use super::{Invariant, Violation};
use crate::cluster::Cluster;
use crate::hosts::clients::zombie::ZOMBIE;
use crate::hosts::replicator::records::origin;
use crate::scenario::{Publisher, Scenario, Work};
use crate::truth::Ours;
use crate::wire::Isolation;

/// Whether this scenario makes the promise (`docs/protocol.md`, "Translation": sessions without gaps, each
/// from at or below the frontier). Sparse syncs of a replicator that restarts do not keep to that. Neither
/// do the mappings that a zombie publishes to a recreated mapping topic before everything is published
/// there again.
#[must_use]
pub fn is_promised(scenario: &Scenario) -> bool {
    let has = |kind: fn(&Work) -> bool| scenario.work.iter().any(|work| kind(&work.what));
    let zombie = has(|work| matches!(work, Work::ZombieCopies { .. }));
    let recreated = has(|work| matches!(work, Work::RecreateMappings));
    scenario.shape.publisher == Publisher::Dense && !(zombie && recreated)
}

/// Checks one commit against the current log of the target.
#[must_use]
pub fn check(target: &Cluster, ours: &Ours) -> Option<Violation> {
    let position = ours.stamp.source.get();
    let log = target.topics().log(&ours.at)?;
    let (copies, ..) = log.read(log.start(), Isolation::ReadCommitted, usize::MAX).ok()?;
    let target_id = target.topics().id(&ours.at.topic)?;
    // By source offset, the offset of its last copy; and the record that the replicator copies next.
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
        "{} for source offset {position} skips the record of source offset {} at {}",
        ours.after.offset, skipped.0, skipped.1
    );
    Some(Violation::of(Invariant::NeverSkip, ours, detail))
}

#[cfg(test)]
mod tests {
    use super::super::made_up::{MadeUp, Says, settled};

    #[test]
    fn a_replay_may_be_read_from_either_copy_that_leaves_nothing_out() {
        let mut made = MadeUp::new(false);
        made.copied(0, 10, true);
        made.copied(0, 10, true);
        made.group_is_at(0, 4);
        let (producer, fence) = made.takes_over("sprag-0");
        made.looks("sprag-0");
        made.commits("sprag-0", &producer, Says { fence, as_of: 2, source: 4 }, 4);
        made.commits("sprag-0", &producer, Says { fence, as_of: 2, source: 4 }, 14);
        let skips = made.broken().into_iter().filter(|it| it.contains("NeverSkip")).count();
        assert_eq!(skips, 0, "the second copy has all from 4 on: {:?}", made.broken());
    }

    #[test]
    fn one_record_too_far_is_a_record_left_out() {
        let (mut made, producer, fence) = settled(false);
        made.commits("sprag-0", &producer, Says { fence, as_of: 1, source: 5 }, 6);
        let broken = made.broken();
        let skipped = "skips the record of source offset 5 at 5";
        assert!(broken.iter().any(|it| it.contains(skipped)), "{broken:?}");
    }

    #[test]
    fn what_is_yet_to_be_copied_is_not_left_out() {
        let mut made = MadeUp::new(false);
        made.copied(0, 10, true);
        made.group_is_at(0, 10);
        let (producer, fence) = made.takes_over("sprag-0");
        made.looks("sprag-0");
        made.commits("sprag-0", &producer, Says { fence, as_of: 1, source: 10 }, 10);
        assert_eq!(made.broken(), Vec::<String>::new());
    }
}
