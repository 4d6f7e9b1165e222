//! For each planted bug: the smallest world in which it shows, and the promises that it breaks there.

use sprag_core::policy::CommitMode;

use crate::budget::Budget;
use crate::model::World;
use crate::plant::Plant;
use crate::properties::{NEVER_REWOUND, NEVER_STALE, NEVER_TRAMPLE, VERIFIED};

/// The smallest world in which the bug shows.
#[must_use]
pub fn smallest(plant: Plant) -> World {
    const NOTHING: Budget = Budget::nothing();
    let budget = match plant {
        Plant::NoFence | Plant::RetriedAfterTakeOver => Budget { losses_of_shard: 1, ..NOTHING },
        Plant::EmptyMember => Budget { joins: 1, ..NOTHING },
        Plant::NoVerification => Budget { foreign_commits: 1, ..NOTHING },
        Plant::GuardOff | Plant::LexicographicOrder => {
            Budget { crashes: 1, publications: 1, source_commits: 1, stale_ends: 1, ..NOTHING }
        }
        Plant::LateRequestIgnored => Budget { source_commits: 1, ticks: 1, late: 1, ..NOTHING },
        Plant::FailedFetchIsNone => Budget { foreign_commits: 1, lost: 2, ..NOTHING },
        Plant::UnconfirmedFollowed => {
            Budget { source_commits: 1, stale_source_reads: 2, ticks: 2, ..NOTHING }
        }
        Plant::TargetKeptAcrossTakeOver => {
            Budget { losses_of_shard: 2, foreign_commits: 1, ..NOTHING }
        }
    };
    let instances = if budget.losses_of_shard > 0 { 2 } else { 1 };
    World { instances, ..World::new(CommitMode::Fenced, budget).planted(plant) }
}

/// The bug breaks at least one of these promises there.
#[must_use]
pub fn broken_by(plant: Plant) -> &'static [&'static str] {
    match plant {
        Plant::NoFence | Plant::RetriedAfterTakeOver | Plant::LexicographicOrder => &[NEVER_STALE],
        Plant::LateRequestIgnored => &[VERIFIED],
        Plant::GuardOff => &[NEVER_STALE, NEVER_REWOUND],
        Plant::UnconfirmedFollowed => &[NEVER_REWOUND],
        Plant::EmptyMember | Plant::TargetKeptAcrossTakeOver => &[NEVER_TRAMPLE],
        // A check that is skipped, or that failed, verifies nothing.
        Plant::NoVerification | Plant::FailedFetchIsNone => &[NEVER_TRAMPLE, VERIFIED],
    }
}
