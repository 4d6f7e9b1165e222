//! What is asked of a cluster, and what comes back, in words that fit the simulated cluster and a
//! real one.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use kafka_protocol::error::ResponseError;
use sprag_core::event::GroupActivity;
use sprag_core::failure::FailureClass;
use sprag_sim::wire::Protocol;

/// How many members a sequence may have.
pub(crate) const SLOTS: usize = 3;

/// One of the partitions that are asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Spot {
    /// Partition 0 of the topic.
    Zero,
    /// Partition 1 of the topic.
    One,
    /// A partition that the topic does not have.
    NoPartition,
    /// A partition of a topic that does not exist.
    NoTopic,
}

/// The topic that exists, with two partitions.
pub(crate) const TOPIC: &str = "orders";

impl Spot {
    pub(crate) const ALL: [Self; 4] = [Self::Zero, Self::One, Self::NoPartition, Self::NoTopic];

    /// Its topic and partition.
    pub(crate) fn place(self) -> (&'static str, i32) {
        match self {
            Self::Zero => (TOPIC, 0),
            Self::One => (TOPIC, 1),
            Self::NoPartition => (TOPIC, 7),
            Self::NoTopic => ("nowhere", 0),
        }
    }

    /// The spot of a topic and partition.
    pub(crate) fn at(topic: &str, partition: i32) -> Option<Self> {
        Self::ALL.into_iter().find(|spot| spot.place() == (topic, partition))
    }
}

/// Whom a commit names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// The member of this slot, whether it is one at present or was one.
    Slot(usize),
    /// Nobody: the empty member id.
    Nobody,
    /// An id that no member ever had.
    Stranger,
}

/// Which generation (or member epoch) a request states, seen from the member of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stated {
    /// The one that it was told.
    Own(usize),
    /// One before.
    Old(usize),
    /// One after.
    Future(usize),
    /// None: -1.
    Nothing,
}

/// Which of the producers of one transactional.id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// The newest.
    Owner,
    /// The one before it.
    Zombie,
}

/// What metadata a commit carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Metadata {
    /// A few letters.
    Short,
    /// More than a broker takes.
    TooLong,
}

/// One operation. What goes through Sprag's own ports says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// A member joins; in a classic group all others join again, until all are in one generation.
    Join { slot: usize, protocol: Protocol },
    /// A member joins a classic group, and waits: the others have not noticed yet.
    JoinAndWait { slot: usize },
    /// All members go on until nothing is left to be told.
    Settle,
    /// One heartbeat.
    Beat { slot: usize, stated: Stated },
    /// A member leaves; the others have not noticed yet.
    Leave { slot: usize },
    /// A leave request for an id that no member ever had.
    StrangerLeaves,
    /// OffsetCommit.
    Commit { who: Who, stated: Stated, spots: Vec<Spot>, metadata: Metadata },
    /// InitProducerId with a transactional.id of its own.
    InitProducer,
    /// AddOffsetsToTxn and TxnOffsetCommit.
    CommitInTransaction { which: Which, who: Who, stated: Stated, spots: Vec<Spot> },
    /// EndTxn.
    EndTransaction { which: Which, commit: bool },
    /// OffsetDelete.
    DeleteOffsets { spots: Vec<Spot> },
    /// DeleteGroups.
    DeleteGroup,
    /// Ports: another instance takes the shard over.
    TakeOver,
    /// Ports: begins a transaction and writes offsets in it.
    Write { which: Which, spots: Vec<Spot> },
    /// Ports: ends it.
    End { which: Which, commit: bool },
    /// Ports: a plain commit without membership.
    PlainCommit { spots: Vec<Spot>, metadata: Metadata },
    /// Ports: reads the committed offsets.
    Read { stable: bool, all: bool },
    /// Ports: reads the fence partition.
    FenceLog,
    /// Ports: reads log starts and ends.
    LogRanges,
}

/// What a commit carries for one partition: the leader epoch follows from the offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Commit {
    pub(crate) offset: i64,
    pub(crate) metadata: String,
}

/// What marks a commit that went through a port: those state no leader epoch.
pub(crate) const OF_PORT: &str = "port";

impl Commit {
    /// The commit of the operation at this place of its sequence.
    pub(crate) fn of(nth: usize, spot: Spot, metadata: Metadata, through_port: bool) -> Self {
        let offset = i64::try_from(nth).expect("a short sequence") * 10 + i64::from(spot.place().1);
        let letters = if through_port { OF_PORT } else { "raw" };
        let metadata = match metadata {
            Metadata::Short => format!("{letters} {nth}"),
            Metadata::TooLong => "x".repeat(4097),
        };
        Self { offset, metadata }
    }

    /// The leader epoch that is committed with it; -1 for none.
    pub(crate) fn leader_epoch(&self) -> i32 {
        if self.metadata.starts_with(OF_PORT) {
            return -1;
        }
        i32::try_from(self.offset / 10 % 4).expect("a remainder") - 1
    }
}

pub(crate) type Commits = BTreeMap<Spot, Commit>;

/// One of Kafka's error codes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Code(pub(crate) i16);

impl Code {
    /// `Err` where it is an error.
    pub(crate) fn check(number: i16) -> Result<(), Self> {
        match number {
            0 => Ok(()),
            number => Err(Self(number)),
        }
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match ResponseError::try_from_code(self.0) {
            Some(error) => write!(f, "{error:?} ({})", self.0),
            None => f.write_str("none"),
        }
    }
}

/// The answer for each partition, or to the whole request.
pub(crate) type Parts = Result<BTreeMap<Spot, Result<(), Code>>, Code>;

/// What a read through a port says of a partition.
pub(crate) type Seen = Result<Option<(i64, String)>, FailureClass>;

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Nothing was asked: there is no such member, producer or transaction.
    Skipped,
    /// Done, or the error of the request.
    Done(Result<(), Code>),
    /// An error for each partition.
    Parts(Parts),
    /// Each member's generation, and how many partitions it has.
    Members(Result<BTreeMap<usize, (i32, usize)>, Code>),
    /// What a port says.
    Port(Result<(), FailureClass>),
    /// What a port says of each partition.
    PortParts(Result<BTreeMap<Spot, Result<(), FailureClass>>, FailureClass>),
    /// Committed offsets.
    Offsets(Result<BTreeMap<Spot, Seen>, FailureClass>),
    /// The fence records by key, their offsets counted from the first take-over, and how many
    /// members the coordination group has (here the group itself).
    Fences(Result<(BTreeMap<String, (i64, String)>, Option<usize>), FailureClass>),
    /// The range of each partition's log.
    Ranges(Result<BTreeMap<Spot, Result<(i64, i64), FailureClass>>, FailureClass>),
}

impl Operation {
    /// What it is, without its arguments.
    pub(crate) fn name(&self) -> String {
        let text = format!("{self:?}");
        text.split(' ').next().unwrap_or_default().to_owned()
    }
}

impl Answer {
    /// How it went, in general, for each of its parts.
    pub(crate) fn outcomes(&self) -> Vec<String> {
        let told = |code: &Result<(), Code>| match code {
            Ok(()) => "ok".to_owned(),
            Err(code) => format!("{code:?}"),
        };
        let classed = |class: &Result<(), FailureClass>| match class {
            Ok(()) => "ok".to_owned(),
            Err(class) => format!("{class:?}"),
        };
        match self {
            Self::Skipped => vec!["skipped".to_owned()],
            Self::Done(outcome) => vec![told(outcome)],
            Self::Parts(Ok(parts)) => parts.values().map(told).collect(),
            Self::Parts(Err(code)) | Self::Members(Err(code)) => vec![format!("{code:?}")],
            Self::Port(outcome) => vec![classed(outcome)],
            Self::PortParts(Ok(parts)) => parts.values().map(classed).collect(),
            Self::PortParts(Err(class))
            | Self::Offsets(Err(class))
            | Self::Fences(Err(class))
            | Self::Ranges(Err(class)) => vec![format!("{class:?}")],
            Self::Offsets(Ok(offsets)) => {
                let seen = |seen: &Seen| match seen {
                    Ok(found) => if found.is_some() { "an offset" } else { "none" }.to_owned(),
                    Err(class) => format!("{class:?}"),
                };
                offsets.values().map(seen).collect()
            }
            Self::Members(Ok(_)) | Self::Fences(Ok(_)) | Self::Ranges(Ok(_)) => {
                vec!["ok".to_owned()]
            }
        }
    }
}

/// What is stored after an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct State {
    /// Through the port: whether the group is listed, and as what.
    pub(crate) listed: Option<GroupActivity>,
    /// How many members it has; none where it is not known.
    pub(crate) members: usize,
    /// Through the port: a stable read that names all.
    pub(crate) stable: BTreeMap<Spot, Seen>,
    /// Through the port: one that is not stable.
    pub(crate) unstable: BTreeMap<Spot, Seen>,
    /// Through the port: a stable read that names nothing.
    pub(crate) unnamed: BTreeSet<Spot>,
    /// The leader epochs of what is committed.
    pub(crate) leader_epochs: BTreeMap<Spot, i32>,
}
