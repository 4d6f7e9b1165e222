//! Bugs that can be planted in a world, to see that it bites.

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
}

impl Plant {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::NoFence,
        Self::EmptyMember,
        Self::NoVerification,
        Self::GuardOff,
        Self::FailedFetchIsNone,
        Self::UnconfirmedFollowed,
        Self::RetriedAfterTakeOver,
    ];
}
