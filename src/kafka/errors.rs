//! The one table that says what follows from a broker's or a client's error.

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

use super::ffi::NativeError;
use crate::core::failure::{Failure, FailureClass};

/// What was being done when the error came: the same code does not always mean the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// Reading something; nothing changed.
    Reading,
    /// Committing offsets of a group.
    Committing,
    /// Ending a transaction.
    Ending,
    /// Taking a shard over, or writing to its fence partition.
    Fencing,
}

/// The failure that follows from `error`; `what` says what was asked of whom.
#[must_use]
pub fn failure(error: &NativeError, doing: Doing, what: &str) -> Failure {
    let (class, advice) = classify(error, doing);
    let advice = if advice.is_empty() { String::new() } else { format!("; {advice}") };
    Failure::new(class, format!("{what}: {error}{advice}"))
}

/// An error of rdkafka's own as a native one.
#[must_use]
pub fn native(error: &KafkaError) -> NativeError {
    let code = error.rdkafka_error_code().unwrap_or(Code::Fail);
    let mut native = NativeError { message: error.to_string(), ..NativeError::of(code) };
    if let KafkaError::Transaction(error) = error {
        native.code = error.code();
        native.message = error.to_string();
        native.fatal = error.is_fatal();
        native.abortable = error.txn_requires_abort();
        native.retriable = error.is_retriable();
    }
    native
}

/// Whether the answer shows that the coordinator may have moved, so that it is looked up anew.
#[must_use]
pub fn coordinator_moved(error: &NativeError) -> bool {
    matches!(
        error.code,
        Code::NotCoordinator
            | Code::CoordinatorNotAvailable
            | Code::CoordinatorLoadInProgress
            | Code::WaitingForCoordinator
            | Code::BrokerTransportFailure
            | Code::OperationTimedOut
            | Code::RequestTimedOut
            | Code::TimedOutQueue
    )
}

#[expect(clippy::wildcard_enum_match_arm, reason = "librdkafka's codes are open-ended")]
fn classify(error: &NativeError, doing: Doing) -> (FailureClass, &'static str) {
    use FailureClass as Class;
    match error.code {
        Code::Fenced
        | Code::ProducerFenced
        | Code::InvalidProducerEpoch
        | Code::InvalidProducerIdMapping
        | Code::UnknownProducerId
        | Code::TransactionCoordinatorFenced => {
            (Class::Fenced, "another instance took the shard over")
        }
        _ if error.fatal => (Class::Fenced, "the producer is beyond use and is made anew"),
        Code::UnknownMemberId
        | Code::IllegalGeneration
        | Code::FencedInstanceId
        | Code::FencedMemberEpoch
        | Code::StaleMemberEpoch
        | Code::RebalanceInProgress
        | Code::NonEmptyGroup
            if doing == Doing::Committing =>
        {
            (Class::GroupActive, "the group has members on the target and is left alone")
        }
        Code::UnknownTopicOrPartition
        | Code::UnknownTopic
        | Code::UnknownPartition
        | Code::UnknownTopicId => (Class::Missing, ""),
        Code::TopicAuthorizationFailed => match doing {
            Doing::Fencing => (Class::Stop, "grant Read, Write and Describe on the fence topic"),
            Doing::Reading | Doing::Committing | Doing::Ending => (
                Class::HoldGroup,
                "grant Read and Describe on the topic; `sprag check` names the ACL",
            ),
        },
        Code::GroupAuthorizationFailed => {
            (Class::HoldGroup, "grant Read and Describe on the group; `sprag check` names the ACL")
        }
        Code::TransactionalIdAuthorizationFailed => (
            Class::Stop,
            "grant Write and Describe on transactional ids with the prefix `sprag.`, or set \
             groups.commitMode: guarded",
        ),
        Code::ClusterAuthorizationFailed => {
            (Class::Stop, "grant Describe (and IdempotentWrite) on the cluster")
        }
        Code::Authentication
        | Code::SaslAuthenticationFailed
        | Code::UnsupportedSASLMechanism
        | Code::IllegalSASLState => (Class::Stop, "check the credentials and the mechanism"),
        Code::UnsupportedVersion | Code::UnsupportedFeature => {
            (Class::Stop, "the broker is too old for this; Kafka 2.5 is the oldest that will do")
        }
        Code::OffsetMetadataTooLarge => {
            (Class::HoldGroup, "raise offset.metadata.max.bytes on the target's brokers")
        }
        Code::InvalidGroupId | Code::InvalidCommitOffsetSize => (Class::HoldGroup, ""),
        Code::UnstableOffsetCommit => (Class::Retry, "a transaction is pending; unknown for now"),
        Code::OperationTimedOut
        | Code::RequestTimedOut
        | Code::TimedOutQueue
        | Code::MessageTimedOut
        | Code::BrokerTransportFailure
        | Code::NetworkException
            if doing == Doing::Ending =>
        {
            (Class::OutcomeUnknown, "it may or may not have taken effect")
        }
        _ if error.abortable => (Class::Abort, "the transaction is aborted"),
        _ if doing == Doing::Ending && !error.retriable => (Class::OutcomeUnknown, ""),
        _ => (Class::Retry, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(code: Code, doing: Doing) -> FailureClass {
        failure(&NativeError::of(code), doing, "test").class
    }

    #[test]
    fn fenced_is_fenced_whatever_was_done() {
        for doing in [Doing::Reading, Doing::Committing, Doing::Ending, Doing::Fencing] {
            for code in [
                Code::Fenced,
                Code::ProducerFenced,
                Code::InvalidProducerEpoch,
                Code::InvalidProducerIdMapping,
            ] {
                assert_eq!(class(code, doing), FailureClass::Fenced, "{code:?}");
            }
        }
    }

    #[test]
    fn a_time_out_at_the_end_of_a_transaction_is_no_failure_to_commit() {
        for code in [Code::OperationTimedOut, Code::RequestTimedOut, Code::BrokerTransportFailure] {
            assert_eq!(class(code, Doing::Ending), FailureClass::OutcomeUnknown);
            assert_eq!(class(code, Doing::Reading), FailureClass::Retry);
        }
    }

    #[test]
    fn the_member_check_speaks_of_the_group_only_when_committing() {
        assert_eq!(class(Code::UnknownMemberId, Doing::Committing), FailureClass::GroupActive);
        assert_eq!(class(Code::UnknownMemberId, Doing::Reading), FailureClass::Retry);
    }

    #[test]
    fn unstable_is_unknown_and_missing_is_missing() {
        assert_eq!(class(Code::UnstableOffsetCommit, Doing::Reading), FailureClass::Retry);
        assert_eq!(class(Code::UnknownTopicOrPartition, Doing::Reading), FailureClass::Missing);
    }
}
