//! Bugs that can be planted in a world to show that its properties catch them: in what surrounds the core,
//! and in the core itself.

use sprag_core::planted::Bug;

/// One planted bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Plant {
    /// The broker accepts commits of an older producer.
    NoFence,
    /// Commits name no member, so the broker does not check for members.
    EmptyMember,
    /// Nothing is read between the two halves of a commit: the second read returns what the first one
    /// found.
    NoVerification,
    /// The judge makes no comparison (`features.applyMappingsGuard: disabled`).
    GuardOff,
    /// A failed read of the target is taken for "no offset".
    FailedFetchIsNone,
    /// A former coordinator may also answer the read that must confirm a doubtful source read.
    UnconfirmedFollowed,
    /// The shard's current producer carries out every decision, whatever fence it was made under.
    RetriedAfterTakeOver,
    /// The later fence wins, however few mappings its owner has read.
    LexicographicOrder,
    /// What an earlier ownership knew of the target still counts under a new one.
    TargetKeptAcrossTakeOver,
    /// A producer stays in use although one of its requests was never answered.
    LateRequestIgnored,
}

impl Plant {
    /// All plants.
    pub const ALL: [Self; 10] = [
        Self::NoFence,
        Self::EmptyMember,
        Self::NoVerification,
        Self::GuardOff,
        Self::FailedFetchIsNone,
        Self::UnconfirmedFollowed,
        Self::RetriedAfterTakeOver,
        Self::LexicographicOrder,
        Self::TargetKeptAcrossTakeOver,
        Self::LateRequestIgnored,
    ];

    /// The bug to plant in the core; `None` if it is planted outside it.
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
            Self::LateRequestIgnored => Some(Bug::LateRequestIgnored),
        }
    }
}
