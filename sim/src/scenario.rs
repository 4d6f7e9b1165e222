//! What happens in one run, in full, before it begins: a seed becomes a scenario, and a scenario can
//! be printed, cut down and run again.

pub mod brokers;
mod generate;
pub(crate) mod half_read;

use serde::{Deserialize, Serialize};

use self::brokers::BrokerFault;

/// A whole run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scenario {
    /// Where it comes from; the network's draws and the instances' jitter go on from it.
    pub seed: u64,
    /// What there is.
    pub shape: Shape,
    /// How Sprag is configured.
    pub rules: Rules,
    /// How the network behaves.
    pub network: Network,
    /// What clients and operators do, by time.
    pub work: Vec<Timed<Work>>,
    /// What breaks, by time.
    pub faults: Vec<Timed<Fault>>,
    /// When all faults have ended and nothing new happens, in milliseconds.
    pub calm_from: u64,
}

/// Something at a time, in milliseconds of the simulation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timed<T> {
    /// When.
    pub at: u64,
    /// What.
    pub what: T,
}

/// How many of what there are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// Instances of Sprag.
    pub instances: usize,
    /// Partitions of the fence topic.
    pub shards: i32,
    /// Consumer groups.
    pub groups: usize,
    /// Brokers of the source and of the target.
    pub brokers: (usize, usize),
    /// Replicated topics, each of [`Self::partitions`].
    pub topics: usize,
    /// Partitions of each topic.
    pub partitions: i32,
    /// Partitions of the mapping topic.
    pub mapping_partitions: i32,
    /// Who publishes mappings.
    pub publisher: Publisher,
    /// The clusters answer as Kafka 3.9's classic group coordinator does, else as 4.3's.
    pub classic: bool,
}

/// Who publishes mappings, and how densely.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Publisher {
    /// Native chunks, in the transaction of the data: every record is mapped.
    Dense,
    /// Offset syncs like MirrorMaker 2's: one in so many records, after the data.
    Sparse {
        /// Records between two syncs.
        every: i64,
    },
}

/// Sprag's configuration, as far as a run varies it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    /// `groups.commitMode: guarded`.
    pub guarded: bool,
    /// `features.applyMappingsGuard: disabled`: no scenario of a seed has it; tests see it caught.
    pub guard_off: bool,
    /// `groups.onSourceRewind: follow`.
    pub follow_rewinds: bool,
    /// `groups.onCorrection: follow`.
    pub follow_corrections: bool,
    /// `groups.onForeignCommit`.
    pub on_foreign: OnForeign,
    /// `groups.pollInterval`, in milliseconds.
    pub poll_millis: u64,
    /// `groups.confirmAfter`, in milliseconds.
    pub confirm_millis: u64,
    /// `coordination.sessionTimeout`, in milliseconds.
    pub session_millis: u64,
    /// `groups.refreshInterval`, in milliseconds.
    pub refresh_millis: u64,
    /// For how long the target keeps the offsets of groups without members, in milliseconds, if not
    /// for ever.
    pub retention_millis: Option<u64>,
}

/// `groups.onForeignCommit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnForeign {
    /// `hold`.
    Hold,
    /// `forwardOnly`.
    ForwardOnly,
    /// `overwrite`.
    Overwrite,
}

/// How messages travel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// The longest latency, in milliseconds.
    pub latency_millis: u64,
    /// Messages lost, of ten thousand, while faults last.
    pub lost: u32,
}

/// What a client or an operator does. Topics, partitions, groups and instances are named by their
/// number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Work {
    /// Records are produced on the source.
    Produce {
        /// Which topic.
        topic: usize,
        /// Which partition.
        partition: i32,
        /// How many.
        count: i64,
        /// In a transaction, whose marker takes an offset.
        transactional: bool,
    },
    /// A group commits on the source, so far behind the log end.
    SourceCommit {
        /// Which group.
        group: usize,
        /// Which topic.
        topic: usize,
        /// Which partition.
        partition: i32,
        /// Its lag.
        lag: i64,
    },
    /// An operator sets a group back on the source.
    SourceReset {
        /// Which group.
        group: usize,
        /// Which topic.
        topic: usize,
        /// Which partition.
        partition: i32,
        /// By how much.
        by: i64,
    },
    /// A consumer of the group runs on the target: it joins, commits, and leaves.
    TargetConsumer {
        /// Which group.
        group: usize,
        /// Which topic.
        topic: usize,
        /// Which partition.
        partition: i32,
        /// By the KIP-848 protocol.
        new_protocol: bool,
        /// How long it stays, in milliseconds.
        stays: u64,
    },
    /// A consumer without membership commits on the target.
    TargetCommit {
        /// Which group.
        group: usize,
        /// Which topic.
        topic: usize,
        /// Which partition.
        partition: i32,
    },
    /// An application on the target commits in a transaction, without membership.
    TargetTransaction {
        /// Which group.
        group: usize,
        /// Which topic.
        topic: usize,
        /// Which partition.
        partition: i32,
        /// How long the transaction stays open, in milliseconds.
        stays: u64,
    },
    /// Somebody commits on the target with metadata that looks like a stamp of ours.
    Disguised {
        /// Which group.
        group: usize,
        /// Which topic.
        topic: usize,
        /// Which partition.
        partition: i32,
        /// What it looks like.
        disguise: Disguise,
    },
    /// A replicator that everybody took for dead copies old records again, and tells so later.
    ZombieCopies {
        /// Which topic.
        topic: usize,
        /// Which partition.
        partition: i32,
        /// How many records before the source's log end it begins.
        back: i64,
        /// How many it copies.
        count: usize,
        /// Between copying and telling, in milliseconds.
        delay: u64,
    },
    /// The replicator is restarted and copies the last records once more.
    ReplicatorRestart {
        /// How many records it copies again.
        again: i64,
    },
    /// The mapping topic is compacted.
    CompactMappings,
    /// A source topic is deleted and made again.
    RecreateSource {
        /// Which topic.
        topic: usize,
    },
    /// A target topic is deleted and made again.
    RecreateTarget {
        /// Which topic.
        topic: usize,
    },
    /// The mapping topic is deleted, made again, and published anew.
    RecreateMappings,
    /// The oldest records of a target partition are deleted.
    TrimTarget {
        /// Which topic.
        topic: usize,
        /// Which partition.
        partition: i32,
        /// How many eighths of the log are left.
        left: i64,
    },
}

/// What a commit that is not ours looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Disguise {
    /// A stamp of a later version.
    NewerVersion,
    /// Our prefix with something else behind it.
    Malformed,
    /// A stamp of another pipeline.
    OtherPipeline,
    /// A stamp of another shard count.
    OtherShards,
    /// A stamp of a fence that is still to come: the fence topic lost records.
    LaterFence,
}

/// What breaks. Each ends by itself after `lasts` milliseconds where it has them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fault {
    /// An instance is stopped and goes on later: a zombie.
    Freeze {
        /// Which instance.
        instance: usize,
        /// How long.
        lasts: u64,
        /// What its clock does meanwhile.
        clock: FrozenClock,
    },
    /// An instance is frozen at the next step of a commit.
    FreezeAtCommit {
        /// Which instance.
        instance: usize,
        /// Before which step.
        step: CommitStep,
        /// How long.
        lasts: u64,
        /// Meanwhile a consumer of the group joins on the target.
        visited: bool,
    },
    /// An instance is killed and started again.
    Crash {
        /// Which instance.
        instance: usize,
        /// How long it is down.
        lasts: u64,
    },
    /// Nothing passes between an instance and a cluster.
    Cut {
        /// Which instance.
        instance: usize,
        /// Which cluster.
        cluster: Side,
        /// How long.
        lasts: u64,
    },
    /// A cluster answers late.
    Slow {
        /// Which cluster.
        cluster: Side,
        /// By how much, in milliseconds.
        by: u64,
        /// How long.
        lasts: u64,
    },
    /// A cluster carries requests out, and its answers are lost.
    LoseAnswers {
        /// Which cluster.
        cluster: Side,
        /// How long.
        lasts: u64,
    },
    /// Some requests of Sprag's transactions hang on their way: the connection breaks, the client tries
    /// again, and the target carries the first try out late.
    LateRequests {
        /// By how much, in milliseconds.
        by: u64,
        /// How long.
        lasts: u64,
    },
    /// The group coordinators of the source move; the former ones go on answering what they knew.
    FormerCoordinator {
        /// They answer look-ups too, and half-way all connections to them break.
        misleads: bool,
        /// How long.
        lasts: u64,
    },
    /// Something is wrong with one broker.
    Broker(BrokerFault),
    /// A replica of the mapping topic that lags behind answers for its ends.
    StaleEnds {
        /// How long.
        lasts: u64,
    },
    /// A partition of the mapping topic cannot be read.
    MappingPartitionFails {
        /// Which.
        partition: i32,
        /// Nor can its end.
        ends_too: bool,
        /// How long.
        lasts: u64,
    },
}

impl Fault {
    /// For how long it is in force, in milliseconds.
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
            | Self::Broker(BrokerFault { lasts, .. })
            | Self::MappingPartitionFails { lasts, .. } => *lasts,
        }
    }
}

/// What the clock of a frozen process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FrozenClock {
    /// It goes on, as when a process is stopped.
    Moves,
    /// It stands, as when a machine is suspended.
    Stands,
}

/// A step of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CommitStep {
    /// The first half, or in `guarded` mode the whole.
    Write,
    /// The second half.
    End,
}

/// One of the two clusters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Side {
    /// The source.
    Source,
    /// The target.
    Target,
}
