//! Bugs that can be planted, so that a simulation shows that it would find them.
//!
//! Nothing here is in a release build: without the feature `planted-bugs`, `has` is false at compile
//! time, and what a bug would remember has no size.

mod arrivals;
mod misread;

pub(crate) use self::arrivals::Arrivals;
pub(crate) use self::misread::{into_run, misread};

/// A bug that somebody might write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Bug {
    /// The later fence wins, whatever its owner has read of the mappings.
    LexicographicOrder,
    /// A stamp says what is known when the offset is written, not when it was translated.
    AsOfAtCommit,
    /// A mapping partition whose end cannot be read counts as read to its end.
    CaughtUpDespiteError,
    /// The mapping ends known before the fence count as those after it.
    EndsBeforeFence,
    /// What the target had under an earlier ownership counts under a new one.
    TargetKeptAcrossTakeOver,
    /// A decision of an earlier ownership is carried out under a new one.
    DecisionRetried,
    /// Nothing is read between the two halves of a commit, nor before a plain one.
    NoVerification,
    /// A commit that was not answered is taken for one that was not carried out, and sent again.
    TimeOutIsNotCommitted,
    /// A partition whose fetch failed is taken for one without an offset.
    FailedFetchIsNothing,
    /// A commit names no member, so that the broker does not look for members.
    EmptyMember,
    /// A doubtful source read is followed, and the first one asks for no new coordinator.
    UnconfirmedFollowed,
    /// Between two runs, source and target are taken to go on side by side.
    Interpolation,
    /// Of two copies of a record, the one told last is used.
    LatestWins,
    /// Of two copies, the first is used until the position has passed the other, which is used then.
    UntilPassed,
    /// A change of the shard count goes unnoticed.
    TwoShardCounts,
    /// A foreign commit holds its own partition alone, not its group.
    ForeignSiblingIgnored,
    /// Whoever is fenced goes on.
    StandDownIgnored,
    /// An offset that vanished on the source is taken for 0.
    VanishedIsZero,
    /// A mapped position is translated to the start of its run.
    StartOfRun,
    /// A group whose round failed is not looked at again.
    FailedRoundForgotten,
    /// Nothing that happens between two reads of the source puts the second one in doubt.
    DisturbanceIgnored,
    /// An offset below the target's log start is committed as it is.
    BelowLogStart,
    /// A transaction that was aborted is reported as committed.
    AbortReported,
    /// A position is translated while the replicator copies records below it again.
    ReplayIgnored,
    /// A request that found no answer makes every group wait.
    OneOutageForAll,
    /// A producer one of whose requests was never answered goes on.
    LateRequestIgnored,
    /// The mapping ends of another topic count as those of the one that is being read.
    EndsOfAnotherTopic,
    /// What fails is tried again at once.
    NoBackOff,
    /// A commit is written again in each round.
    RefreshedAtOnce,
}

/// Whether a bug is planted: never, in a build without the feature.
#[cfg(not(feature = "planted-bugs"))]
#[must_use]
pub const fn has(_: Bug) -> bool {
    false
}

#[cfg(feature = "planted-bugs")]
pub use self::planting::{Planting, has};

#[cfg(feature = "planted-bugs")]
mod planting {
    use core::cell::Cell;

    use super::Bug;

    thread_local! {
        static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
    }

    /// Whether `bug` is planted in this thread.
    #[must_use]
    pub fn has(bug: Bug) -> bool {
        PLANTED.get() == Some(bug)
    }

    /// A bug is planted in this thread until this is dropped; then what was planted before is again.
    #[derive(Debug)]
    pub struct Planting(Option<Bug>);

    impl Planting {
        /// Plants `bug`; `None` plants nothing.
        #[must_use = "the bug is gone when this is dropped"]
        pub fn of(bug: Option<Bug>) -> Self {
            Self(PLANTED.replace(bug))
        }
    }

    impl Drop for Planting {
        fn drop(&mut self) {
            PLANTED.set(self.0);
        }
    }
}
