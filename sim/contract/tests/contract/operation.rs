//! Operations and answers in a form that fits both the simulated cluster and a real one.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use kafka_protocol::error::ResponseError;
use sprag_core::event::GroupActivity;
use sprag_core::failure::FailureClass;
use sprag_sim::wire::Protocol;

/// Maximum number of members in a sequence.
pub(crate) const SLOTS: usize = 3;

/// One of the partitions that are used.
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

/// The member that a commit names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// The current or former member of this slot.
    Slot(usize),
    /// None: the empty member id.
    Nobody,
    /// A member id that never existed.
    Stranger,
}

/// The generation or member epoch that a request states, relative to the member of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stated {
    /// The one that it was last given.
    Own(usize),
    /// The one before.
    Old(usize),
    /// The one after.
    Future(usize),
    /// None: -1.
    Nothing,
}

/// One of the producers of a transactional.id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// The newest.
    Owner,
    /// The one before it.
    Zombie,
}

/// The metadata of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Metadata {
    /// A few characters.
    Short,
    /// More than a broker accepts.
    TooLong,
}

/// One operation. Those marked "Ports" go through Sprag's own ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// A member joins. In a classic group all others rejoin until all are in one generation.
    Join { slot: usize, protocol: Protocol },
    /// A member joins a classic group and waits, because the others have not noticed yet.
    JoinAndWait { slot: usize },
    /// All members send requests until none of them learns anything new.
    Settle,
    /// One heartbeat.
    Beat { slot: usize, stated: Stated },
    /// A member leaves; the others have not noticed yet.
    Leave { slot: usize },
    /// A LeaveGroup request for a member id that never existed.
    StrangerLeaves,
    /// OffsetCommit.
    Commit { who: Who, stated: Stated, spots: Vec<Spot>, metadata: Metadata },
    /// InitProducerId with its own transactional.id.
    InitProducer,
    /// AddOffsetsToTxn and TxnOffsetCommit.
    CommitInTransaction { which: Which, who: Who, stated: Stated, spots: Vec<Spot> },
    /// EndTxn.
    EndTransaction { which: Which, commit: bool },
    /// OffsetDelete.
    DeleteOffsets { spots: Vec<Spot> },
    /// DeleteGroups.
    DeleteGroup,
    /// Ports: another instance takes over the shard.
    TakeOver,
    /// Ports: begins a transaction and writes offsets in it.
    Write { which: Which, spots: Vec<Spot> },
    /// Ports: ends that transaction.
    End { which: Which, commit: bool },
    /// Ports: a plain commit without membership.
    PlainCommit { spots: Vec<Spot>, metadata: Metadata },
    /// Ports: reads the committed offsets.
    Read { stable: bool, all: bool },
    /// Ports: reads the fence partition, from the log start and from where the last read ended.
    FenceLog,
    /// Ports: reads log start and log end offsets.
    LogRanges,
}

/// A commit for one partition. The leader epoch follows from the offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Commit {
    pub(crate) offset: i64,
    pub(crate) metadata: String,
}

/// Marks a commit that went through a port. Such commits state no leader epoch.
pub(crate) const OF_PORT: &str = "port";

impl Commit {
    /// The commit of the `nth` operation of a sequence.
    pub(crate) fn of(nth: usize, spot: Spot, metadata: Metadata, through_port: bool) -> Self {
        let offset = i64::try_from(nth).expect("a short sequence") * 10 + i64::from(spot.place().1);
        let letters = if through_port { OF_PORT } else { "raw" };
        let metadata = match metadata {
            Metadata::Short => format!("{letters} {nth}"),
            Metadata::TooLong => "x".repeat(4097),
        };
        Self { offset, metadata }
    }

    /// The leader epoch of the commit; -1 for none.
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
    /// `Err` for an error code.
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

/// The outcome for each partition, or the error of the whole request.
pub(crate) type Parts = Result<BTreeMap<Spot, Result<(), Code>>, Code>;

/// What a read through a port returned for a partition.
pub(crate) type Seen = Result<Option<(i64, String)>, FailureClass>;

/// What a read of the fence partition found, with offsets relative to the first take-over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fences {
    /// The newest record of each key.
    pub(crate) newest: BTreeMap<String, (i64, Option<String>)>,
    /// Where the read ended.
    pub(crate) end: i64,
}

/// The answer to an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Nothing was sent: there is no such member, producer or transaction.
    Skipped,
    /// Success, or the error of the request.
    Done(Result<(), Code>),
    /// The outcome for each partition.
    Parts(Parts),
    /// Each member's generation and number of partitions.
    Members(Result<BTreeMap<usize, (i32, usize)>, Code>),
    /// The outcome of a port call.
    Port(Result<(), FailureClass>),
    /// The outcome of a port call for each partition.
    PortParts(Result<BTreeMap<Spot, Result<(), FailureClass>>, FailureClass>),
    /// Committed offsets.
    Offsets(Result<BTreeMap<Spot, Seen>, FailureClass>),
    /// The whole fence partition, what was written since the last read of it, and the number of members of
    /// the coordination group (here the group itself).
    Fences(Result<(Fences, Fences, Option<usize>), FailureClass>),
    /// The log range of each partition.
    Ranges(Result<BTreeMap<Spot, Result<(i64, i64), FailureClass>>, FailureClass>),
}

impl Operation {
    /// The operation without its arguments.
    pub(crate) fn name(&self) -> String {
        let text = format!("{self:?}");
        text.split(' ').next().unwrap_or_default().to_owned()
    }
}

impl Answer {
    /// The outcome of each part of the answer, without details.
    pub(crate) fn outcomes(&self) -> Vec<String> {
        let outcome_of = |code: &Result<(), Code>| match code {
            Ok(()) => "ok".to_owned(),
            Err(code) => format!("{code:?}"),
        };
        let classed = |class: &Result<(), FailureClass>| match class {
            Ok(()) => "ok".to_owned(),
            Err(class) => format!("{class:?}"),
        };
        match self {
            Self::Skipped => vec!["skipped".to_owned()],
            Self::Done(outcome) => vec![outcome_of(outcome)],
            Self::Parts(Ok(parts)) => parts.values().map(outcome_of).collect(),
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

/// The state after an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct State {
    /// Through the port: the group's activity in the list of groups; `None` if it is not listed.
    pub(crate) listed: Option<GroupActivity>,
    /// The number of members; 0 if the group is not known.
    pub(crate) members: usize,
    /// Through the port: a stable read that names all partitions.
    pub(crate) stable: BTreeMap<Spot, Seen>,
    /// Through the port: a read of the same partitions that is not stable.
    pub(crate) unstable: BTreeMap<Spot, Seen>,
    /// Through the port: the partitions that a stable read returns without naming any.
    pub(crate) unnamed: BTreeSet<Spot>,
    /// The committed leader epochs.
    pub(crate) leader_epochs: BTreeMap<Spot, i32>,
}
