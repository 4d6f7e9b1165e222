//! Everything that happens in one run, known before it begins. A seed becomes a scenario; a scenario can be
//! printed, reduced and run again.

pub mod brokers;
mod fault;
mod generate;
pub(crate) mod half_read;
mod topics;

use serde::{Deserialize, Serialize};

pub use self::fault::{CommitStep, Fault, FrozenClock};

/// A complete run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scenario {
    /// The seed that it was generated from. The network and the instances' jitter draw from it too.
    pub seed: u64,
    /// What exists.
    pub shape: Shape,
    /// How Sprag is configured.
    pub rules: Rules,
    /// How the network behaves.
    pub network: Network,
    /// What clients and operators do, in order of time.
    pub work: Vec<Timed<Work>>,
    /// The faults, in order of time.
    pub faults: Vec<Timed<Fault>>,
    /// When all faults have ended and nothing new happens, in milliseconds.
    pub calm_from: u64,
}

/// Something that happens at a given time, in milliseconds of simulated time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timed<T> {
    /// When.
    pub at: u64,
    /// What.
    pub what: T,
}

/// How many of each thing there are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// Instances of Sprag.
    pub instances: usize,
    /// Partitions of the fence topic.
    pub shards: i32,
    /// Consumer groups.
    pub groups: usize,
    /// Number of brokers of the source and of the target.
    pub brokers: (usize, usize),
    /// Replicated topics, each with [`Self::partitions`] partitions.
    pub topics: usize,
    /// Partitions of each topic.
    pub partitions: i32,
    /// Partitions of the mapping topic.
    pub mapping_partitions: i32,
    /// Who publishes mappings.
    pub publisher: Publisher,
    /// The clusters answer like Kafka 3.9's classic group coordinator; otherwise like Kafka 4.3.
    pub classic: bool,
}

/// Who publishes mappings, and how densely.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Publisher {
    /// Native chunks, in the same transaction as the data. Every record is mapped.
    Dense,
    /// Offset syncs like MirrorMaker 2's: one for every so many records, after the data.
    Sparse {
        /// Records between two syncs.
        every: i64,
    },
}

/// The part of Sprag's configuration that runs vary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    /// `groups.commitMode: guarded`.
    pub guarded: bool,
    /// `features.applyMappingsGuard: disabled`. No seed has it; a test shows that an invariant catches it.
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
    /// `groups.onBelowFirstMapping: logStart`.
    pub from_log_start: bool,
    /// How long the target keeps the offsets of groups without members, in milliseconds; `None` is for
    /// ever.
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

/// How the network behaves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// The longest latency, in milliseconds.
    pub latency_millis: u64,
    /// Messages lost while faults last, per ten thousand.
    pub lost: u32,
}

/// What a client or an operator does. Topics, partitions, groups and instances are given by number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Work {
    /// Records are produced on the source.
    Produce {
        /// Which topic.
        topic: usize,
        /// Which partition.
        partition: i32,
        /// How many records.
        count: i64,
        /// In a transaction, whose marker takes an offset.
        transactional: bool,
    },
    /// A group commits on the source, behind the log end.
    SourceCommit {
        /// Which group.
        group: usize,
        /// Which topic.
        topic: usize,
        /// Which partition.
        partition: i32,
        /// How far behind, in offsets.
        lag: i64,
    },
    /// An operator resets a group to an earlier offset on the source.
    SourceReset {
        /// Which group.
        group: usize,
        /// Which topic.
        topic: usize,
        /// Which partition.
        partition: i32,
        /// How far back, in offsets.
        by: i64,
    },
    /// A consumer of the group runs on the target: it joins, commits and leaves.
    TargetConsumer {
        /// Which group.
        group: usize,
        /// Which topic.
        topic: usize,
        /// Which partition.
        partition: i32,
        /// Whether it uses the KIP-848 protocol.
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
    /// Another application commits on the target with metadata that resembles one of our stamps.
    Disguised {
        /// Which group.
        group: usize,
        /// Which topic.
        topic: usize,
        /// Which partition.
        partition: i32,
        /// What the metadata resembles.
        disguise: Disguise,
    },
    /// A replicator that was believed dead copies old records again, and publishes their mappings later.
    ZombieCopies {
        /// Which topic.
        topic: usize,
        /// Which partition.
        partition: i32,
        /// How many records before the source's log end it begins.
        back: i64,
        /// How many records it copies.
        count: usize,
        /// Delay between copying and publishing, in milliseconds.
        delay: u64,
    },
    /// The replicator is restarted and copies its last records again.
    ReplicatorRestart {
        /// How many records it copies again.
        again: i64,
    },
    /// The mapping topic is compacted.
    CompactMappings,
    /// A source topic is deleted and recreated.
    RecreateSource {
        /// Which topic.
        topic: usize,
    },
    /// A target topic is deleted and recreated.
    RecreateTarget {
        /// Which topic.
        topic: usize,
    },
    /// The mapping topic is deleted and recreated, and the mappings are published again.
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

/// What a foreign commit's metadata resembles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Disguise {
    /// A stamp of a later version.
    NewerVersion,
    /// Our prefix, followed by something that is not a stamp.
    Malformed,
    /// A stamp of another pipeline.
    OtherPipeline,
    /// A stamp of another shard count.
    OtherShards,
    /// A stamp of another fence topic, as if the fence topic had been recreated.
    OtherFenceTopic,
    /// A stamp with a fence that does not exist yet, as if the fence topic had lost records.
    LaterFence,
}

/// One of the two clusters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Side {
    /// The source.
    Source,
    /// The target.
    Target,
}
