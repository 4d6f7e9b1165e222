//! Who does what: each role is a client of its own.

use crate::scenario::Work;

/// A kind of client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Applications that produce on the source, and commit there.
    Applications,
    /// Consumers that failed over to the target, or that try to.
    Consumers,
    /// People, and their tools.
    Operators,
    /// A replicator that was taken for dead.
    ZombieReplicator,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::Applications, Self::Consumers, Self::Operators, Self::ZombieReplicator];

    /// Its name.
    #[must_use]
    pub fn host(self) -> &'static str {
        match self {
            Self::Applications => "applications",
            Self::Consumers => "consumers",
            Self::Operators => "operators",
            Self::ZombieReplicator => "zombie-replicator",
        }
    }

    /// Whose work it is.
    #[must_use]
    pub fn of(work: &Work) -> Self {
        match work {
            Work::Produce { .. } | Work::SourceCommit { .. } => Self::Applications,
            Work::TargetConsumer { .. }
            | Work::TargetCommit { .. }
            | Work::TargetTransaction { .. }
            | Work::Disguised { .. } => Self::Consumers,
            Work::SourceReset { .. }
            | Work::ReplicatorRestart { .. }
            | Work::CompactMappings
            | Work::RecreateSource { .. }
            | Work::RecreateTarget { .. }
            | Work::RecreateMappings
            | Work::TrimTarget { .. } => Self::Operators,
            Work::ZombieCopies { .. } => Self::ZombieReplicator,
        }
    }
}
