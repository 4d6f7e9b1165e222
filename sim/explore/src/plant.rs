//! Bugs that can be planted in a world, to see that it bites: in what stands around the core, and in the
//! core itself.

use sprag_core::planted::Bug;

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
    /// A producer one of whose requests was never answered goes on.
    LateRequestIgnored,
}

impl Plant {
    /// All of them.
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
            Self::LateRequestIgnored => Some(Bug::LateRequestIgnored),
        }
    }
}
