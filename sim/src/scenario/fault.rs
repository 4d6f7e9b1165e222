//! What breaks in a run.

use serde::{Deserialize, Serialize};

use super::Side;
use super::brokers::BrokerFault;

/// A fault. It ends after `lasts` milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fault {
    /// An instance is stopped and resumes later: a zombie.
    Freeze {
        /// Which instance.
        instance: usize,
        /// How long, in milliseconds.
        lasts: u64,
        /// What its clock does meanwhile.
        clock: FrozenClock,
    },
    /// An instance is frozen before the next step of a commit.
    FreezeAtCommit {
        /// Which instance.
        instance: usize,
        /// The step.
        step: CommitStep,
        /// How long, in milliseconds.
        lasts: u64,
        /// A consumer of the group joins on the target while the instance is frozen.
        visited: bool,
    },
    /// An instance is killed and restarted.
    Crash {
        /// Which instance.
        instance: usize,
        /// How long it is down, in milliseconds.
        lasts: u64,
    },
    /// An instance and a cluster cannot reach each other.
    Cut {
        /// Which instance.
        instance: usize,
        /// Which cluster.
        cluster: Side,
        /// How long, in milliseconds.
        lasts: u64,
    },
    /// A cluster answers late.
    Slow {
        /// Which cluster.
        cluster: Side,
        /// By how much, in milliseconds.
        by: u64,
        /// How long, in milliseconds.
        lasts: u64,
    },
    /// A cluster carries out requests, but its answers are lost.
    LoseAnswers {
        /// Which cluster.
        cluster: Side,
        /// How long, in milliseconds.
        lasts: u64,
    },
    /// Some requests of Sprag's transactions are delayed: the connection breaks, the client retries, and
    /// the target carries out the first attempt late.
    LateRequests {
        /// By how much, in milliseconds.
        by: u64,
        /// How long, in milliseconds.
        lasts: u64,
    },
    /// The group coordinators of the source move. The former ones keep answering with their old state.
    FormerCoordinator {
        /// They answer look-ups too, and half-way through all connections to them break.
        misleads: bool,
        /// How long, in milliseconds.
        lasts: u64,
    },
    /// A broker has a fault.
    Broker(BrokerFault),
    /// A lagging replica of the mapping topic answers for its log end offsets.
    StaleEnds {
        /// How long, in milliseconds.
        lasts: u64,
    },
    /// The leaders of the target's replicated topics were just elected and are behind: they answer with log
    /// end offsets of before.
    LaggingLeaders {
        /// How long, in milliseconds.
        lasts: u64,
    },
    /// A cluster does not describe its replicated topics, so their ids are unknown.
    TopicsUnread {
        /// Which cluster.
        cluster: Side,
        /// How long, in milliseconds.
        lasts: u64,
    },
    /// A partition of the mapping topic cannot be read.
    MappingPartitionFails {
        /// Which partition.
        partition: i32,
        /// Its log end offset cannot be read either.
        ends_too: bool,
        /// How long, in milliseconds.
        lasts: u64,
    },
}

impl Fault {
    /// How long it lasts, in milliseconds.
    #[must_use]
    pub fn lasts(&self) -> u64 {
        match self {
            Self::Freeze { lasts, .. }
            | Self::FreezeAtCommit { lasts, .. }
            | Self::Crash { lasts, .. }
            | Self::Cut { lasts, .. }
            | Self::Slow { lasts, .. }
            | Self::LoseAnswers { lasts, .. }
            | Self::LateRequests { lasts, .. }
            | Self::FormerCoordinator { lasts, .. }
            | Self::StaleEnds { lasts }
            | Self::LaggingLeaders { lasts }
            | Self::TopicsUnread { lasts, .. }
            | Self::Broker(BrokerFault { lasts, .. })
            | Self::MappingPartitionFails { lasts, .. } => *lasts,
        }
    }
}

/// What the clock of a frozen process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FrozenClock {
    /// It keeps running, as when a process is stopped.
    Moves,
    /// It stops, as when a machine is suspended.
    Stands,
}

/// A step of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CommitStep {
    /// The first half; in `guarded` mode, the plain commit.
    Write,
    /// The second half.
    End,
}
