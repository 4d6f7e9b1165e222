//! What follows from a broker's error, as in the real adapter's table. The comparison of the model with
//! real brokers covers both.

use sprag_core::failure::{Failure, FailureClass};

use crate::wire::Error;

/// What the request was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// Reading something.
    Reading,
    /// Committing offsets, or producing.
    Committing,
    /// Ending a transaction.
    Ending,
    /// Taking over a shard.
    Fencing,
}

/// The failure that follows from `error`.
pub(crate) fn failure(error: Error, doing: Doing, what: &str) -> Failure {
    Failure::new(class(error, doing), format!("{what}: {error:?}"))
}

/// The failure that follows from a missing answer.
pub(crate) fn no_answer(doing: Doing, what: &str) -> Failure {
    let class = match doing {
        Doing::Reading => FailureClass::Retry,
        Doing::Committing | Doing::Ending | Doing::Fencing => FailureClass::OutcomeUnknown,
    };
    Failure::new(class, format!("{what}: no answer"))
}

fn class(error: Error, doing: Doing) -> FailureClass {
    let retry = match doing {
        // A transaction that cannot be ended yet may still be ended later.
        Doing::Ending => FailureClass::OutcomeUnknown,
        Doing::Reading | Doing::Committing | Doing::Fencing => FailureClass::Retry,
    };
    match error {
        Error::InvalidProducerEpoch | Error::InvalidProducerIdMapping | Error::ProducerFenced => {
            FailureClass::Fenced
        }
        Error::InvalidTxnState => match doing {
            Doing::Reading => FailureClass::Retry,
            Doing::Committing | Doing::Ending | Doing::Fencing => FailureClass::Fenced,
        },
        Error::UnknownMemberId
        | Error::IllegalGeneration
        | Error::FencedMemberEpoch
        | Error::StaleMemberEpoch
        | Error::RebalanceInProgress
        | Error::NonEmptyGroup
        | Error::GroupSubscribedToTopic => match doing {
            Doing::Committing => FailureClass::GroupActive,
            Doing::Ending => FailureClass::OutcomeUnknown,
            Doing::Reading | Doing::Fencing => FailureClass::Retry,
        },
        Error::UnknownTopicOrPartition => FailureClass::Missing,
        Error::OffsetMetadataTooLarge => match doing {
            Doing::Committing => FailureClass::MetadataTooLarge,
            Doing::Reading | Doing::Ending | Doing::Fencing => FailureClass::HoldGroup,
        },
        Error::UnstableOffsetCommit => match doing {
            Doing::Reading => FailureClass::Unstable,
            Doing::Committing | Doing::Ending | Doing::Fencing => retry,
        },
        Error::InconsistentGroupProtocol => match doing {
            Doing::Fencing => FailureClass::Stop,
            Doing::Reading | Doing::Committing | Doing::Ending => FailureClass::HoldGroup,
        },
        Error::RequestTimedOut => match doing {
            Doing::Reading => FailureClass::Retry,
            Doing::Committing | Doing::Ending | Doing::Fencing => FailureClass::OutcomeUnknown,
        },
        Error::OffsetOutOfRange
        | Error::CoordinatorLoadInProgress
        | Error::NotCoordinator
        | Error::TopicAlreadyExists
        | Error::ConcurrentTransactions
        | Error::GroupIdNotFound => retry,
    }
}
