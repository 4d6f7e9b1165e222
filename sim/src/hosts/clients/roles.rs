//! The roles of clients. Each role has its own client.

use crate::scenario::Work;

/// A kind of client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Applications that produce and commit on the source.
    Applications,
    /// Consumers that fail over to the target, or try to.
    Consumers,
    /// Operators and their tools.
    Operators,
    /// A replicator that was believed dead.
    ZombieReplicator,
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 4] =
        [Self::Applications, Self::Consumers, Self::Operators, Self::ZombieReplicator];

    /// The name of the role's client.
    #[must_use]
    pub fn host(self) -> &'static str {
        match self {
            Self::Applications => "applications",
            Self::Consumers => "consumers",
            Self::Operators => "operators",
            Self::ZombieReplicator => "zombie-replicator",
        }
    }

    /// The role that does this work.
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
