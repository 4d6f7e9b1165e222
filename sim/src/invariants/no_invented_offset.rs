//! NoInventedOffset: a commit comes from a position that the group had on the source, with the metadata
//! that stood beside it, and lies within the target's log.

use super::{Invariant, Violation};
use crate::truth::{Ours, Truth};
use crate::wire::Isolation;
use crate::world::World;

/// Checks one commit. A refresh decides nothing: it keeps what stands from expiring.
#[must_use]
pub fn check(truth: &Truth, world: &World, ours: &Ours) -> Option<Violation> {
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
        Some(_) | None => None,
    }
}
