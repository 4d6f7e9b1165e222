//! Bugs that can be planted in a world, to see that it bites: in what stands around the core, and in the
//! core itself.

use sprag::core::planted::Bug;
use sprag::core::policy::CommitMode;

use crate::budget::Budget;
use crate::model::World;
use crate::properties::{NEVER_REWOUND, NEVER_STALE, NEVER_TRAMPLE};

/// One planted bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Plant {
    /// The broker takes an older producer's commits.
    NoFence,
    /// Commits name no member, so that the broker does not look for members.
    EmptyMember,
    /// Nothing is read between the two halves of a commit: the second read finds what the first did.
    NoVerification,
    /// The judge compares nothing (`features.applyMappingsGuard: disabled`).
    GuardOff,
    /// A target read that failed is taken for "no offset".
    FailedFetchIsNone,
    /// The read that is to confirm a doubtful source read may come from the former coordinator too.
    UnconfirmedFollowed,
    /// A decision is carried out by the producer that the shard has now, whatever fence it was made under.
    RetriedAfterTakeOver,
    /// The later fence wins, whatever its owner has read of the mappings.
    LexicographicOrder,
    /// What the target had under an earlier ownership counts under a new one.
    TargetKeptAcrossTakeOver,
}

impl Plant {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::NoFence,
        Self::EmptyMember,
        Self::NoVerification,
        Self::GuardOff,
        Self::FailedFetchIsNone,
        Self::UnconfirmedFollowed,
        Self::RetriedAfterTakeOver,
        Self::LexicographicOrder,
        Self::TargetKeptAcrossTakeOver,
    ];

    /// The bug that is planted in the core, if it is one.
    #[must_use]
    pub fn in_core(self) -> Option<Bug> {
        match self {
            Self::NoFence
            | Self::EmptyMember
            | Self::NoVerification
            | Self::GuardOff
            | Self::FailedFetchIsNone
            | Self::UnconfirmedFollowed
            | Self::RetriedAfterTakeOver => None,
            Self::LexicographicOrder => Some(Bug::LexicographicOrder),
            Self::TargetKeptAcrossTakeOver => Some(Bug::TargetKeptAcrossTakeOver),
        }
    }

    /// The smallest world in which it shows.
    #[must_use]
    pub fn world(self) -> World {
        const NOTHING: Budget = Budget::nothing();
        let budget = match self {
            Self::NoFence | Self::RetriedAfterTakeOver => Budget { losses_of_shard: 1, ..NOTHING },
            Self::EmptyMember => Budget { joins: 1, ..NOTHING },
            Self::NoVerification => Budget { foreign_commits: 1, ..NOTHING },
            Self::GuardOff | Self::LexicographicOrder => {
                Budget { crashes: 1, publications: 1, source_commits: 1, stale_ends: 1, ..NOTHING }
            }
            Self::FailedFetchIsNone => Budget { foreign_commits: 1, lost: 2, ..NOTHING },
            Self::UnconfirmedFollowed => {
                Budget { source_commits: 1, stale_source_reads: 2, ticks: 2, ..NOTHING }
            }
            Self::TargetKeptAcrossTakeOver => {
                Budget { losses_of_shard: 2, foreign_commits: 1, ..NOTHING }
            }
        };
        let instances = if budget.losses_of_shard > 0 { 2 } else { 1 };
        World { instances, ..World::new(CommitMode::Fenced, budget).planted(self) }
    }

    /// The promises of which it breaks one there.
    #[must_use]
    pub fn breaks(self) -> &'static [&'static str] {
        match self {
            Self::NoFence | Self::RetriedAfterTakeOver | Self::LexicographicOrder => &[NEVER_STALE],
            Self::GuardOff => &[NEVER_STALE, NEVER_REWOUND],
            Self::UnconfirmedFollowed => &[NEVER_REWOUND],
            Self::EmptyMember
            | Self::NoVerification
            | Self::FailedFetchIsNone
            | Self::TargetKeptAcrossTakeOver => &[NEVER_TRAMPLE],
        }
    }
}
