#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fmt::Write;

use super::table::ROWS;
use super::*;

const RUNNING: [Doing; 4] = [Doing::Reading, Doing::Committing, Doing::Ending, Doing::Fencing];
const ALL: [Doing; 5] =
    [Doing::Reading, Doing::Committing, Doing::Ending, Doing::Fencing, Doing::Connecting];

fn class_of(error: &NativeError, doing: Doing) -> FailureClass {
    failure(error, doing, "test").class
}

fn every_code() -> impl Iterator<Item = NativeError> {
    (-200..200)
        .filter_map(NativeError::of_number)
        .filter(|error| error.number == error.code as i32)
        .filter(|error| !matches!(error.code, Code::Begin | Code::End | Code::EndAll))
}

#[test]
fn the_whole_table() {
    let mut listing = String::new();
    for row in ROWS {
        writeln!(listing, "{}", row.advice).unwrap();
        for code in row.codes {
            let error = NativeError::of(*code);
            let classes = ALL.map(|doing| class_of(&error, doing));
            writeln!(listing, "  {:>5} {code:?}: {classes:?}", error.number).unwrap();
        }
    }
    let unlisted = every_code().filter(|error| table::row(error.code).is_none());
    let unlisted: Vec<_> = unlisted.map(|error| error.code).collect();
    writeln!(listing, "{UNLISTED}\n  {unlisted:?}").unwrap();
    insta::assert_snapshot!(listing);
}

#[test]
fn no_code_is_in_two_rows() {
    let listed: Vec<Code> = ROWS.iter().flat_map(|row| row.codes).copied().collect();
    for (i, code) in listed.iter().enumerate() {
        assert!(!listed[..i].contains(code), "{code:?} is listed twice");
    }
}

#[test]
fn fenced_is_fenced_whatever_was_done_and_whatever_the_flags_say() {
    for code in [
        Code::Fenced,
        Code::ProducerFenced,
        Code::InvalidProducerEpoch,
        Code::InvalidProducerIdMapping,
    ] {
        for (doing, abortable) in ALL.into_iter().flat_map(|d| [(d, false), (d, true)]) {
            let error = NativeError { abortable, ..NativeError::of(code) };
            assert_eq!(class_of(&error, doing), FailureClass::Fenced, "{code:?}");
        }
    }
}

#[test]
fn a_fatal_error_ends_the_producer() {
    for error in every_code() {
        let fatal = NativeError { fatal: true, ..error };
        assert_eq!(class_of(&fatal, Doing::Committing), FailureClass::Fenced);
    }
}

#[test]
fn an_abortable_error_aborts_unless_more_is_known() {
    for (code, doing, class) in [
        (Code::BrokerTransportFailure, Doing::Ending, FailureClass::Abort),
        (Code::OperationTimedOut, Doing::Committing, FailureClass::Abort),
        (Code::UnsupportedCompressionType, Doing::Fencing, FailureClass::Abort),
        (Code::UnknownMemberId, Doing::Committing, FailureClass::GroupActive),
        (Code::GroupAuthorizationFailed, Doing::Committing, FailureClass::HoldGroup),
        (Code::OffsetMetadataTooLarge, Doing::Committing, FailureClass::MetadataTooLarge),
        (Code::InvalidCommitOffsetSize, Doing::Committing, FailureClass::CommitTooLarge),
        (Code::Unknown, Doing::Committing, FailureClass::CommitTooLarge),
        (Code::MessageSizeTooLarge, Doing::Committing, FailureClass::CommitTooLarge),
        (Code::MessageBatchTooLarge, Doing::Committing, FailureClass::CommitTooLarge),
        (Code::UnstableOffsetCommit, Doing::Reading, FailureClass::Unstable),
    ] {
        let error = NativeError { abortable: true, ..NativeError::of(code) };
        assert_eq!(class_of(&error, doing), class, "{code:?}");
    }
}

#[test]
fn a_request_that_may_have_taken_effect_is_never_reported_as_if_nothing_happened() {
    for code in [
        Code::OperationTimedOut,
        Code::RequestTimedOut,
        Code::BrokerTransportFailure,
        Code::NetworkException,
    ] {
        let error = NativeError::of(code);
        assert_eq!(class_of(&error, Doing::Reading), FailureClass::Retry);
        // A commit that may be too large is aborted, or read again, just like one of unknown outcome.
        let committing = if code == Code::Unknown {
            FailureClass::CommitTooLarge
        } else {
            FailureClass::OutcomeUnknown
        };
        assert_eq!(class_of(&error, Doing::Committing), committing);
        for doing in [Doing::Ending, Doing::Fencing] {
            assert_eq!(class_of(&error, doing), FailureClass::OutcomeUnknown);
        }
    }
    // After a commit that may have been too large, a whole round reads what is committed.
    let unforeseen = NativeError::of(Code::Unknown);
    for doing in [Doing::Ending, Doing::Fencing] {
        assert_eq!(class_of(&unforeseen, doing), FailureClass::OutcomeUnknown);
    }
}

#[test]
fn a_code_that_librdkafka_does_not_know_is_tried_again_and_keeps_its_number() {
    let error = NativeError::of_number(12_345).unwrap();
    let failure = failure(&error, Doing::Reading, "reading");
    assert_eq!(failure.class, FailureClass::Retry);
    assert!(failure.detail.contains("12345"), "{failure}");
    assert!(failure.detail.ends_with(UNLISTED), "{failure}");
}

#[test]
fn moved_coordinators_and_leaders_are_looked_up_again() {
    for (code, moved) in [
        (Code::NotCoordinator, true),
        (Code::NotLeaderForPartition, true),
        (Code::BrokerTransportFailure, true),
        (Code::OperationTimedOut, true),
        (Code::UnstableOffsetCommit, false),
        (Code::GroupAuthorizationFailed, false),
    ] {
        assert_eq!(coordinator_moved(&NativeError::of(code)), moved, "{code:?}");
    }
}

#[test]
fn a_right_or_a_login_that_is_lost_never_ends_a_running_process() {
    for code in [
        Code::TopicAuthorizationFailed,
        Code::GroupAuthorizationFailed,
        Code::TransactionalIdAuthorizationFailed,
        Code::ClusterAuthorizationFailed,
        Code::Authentication,
        Code::SaslAuthenticationFailed,
    ] {
        for (doing, abortable) in RUNNING.into_iter().flat_map(|d| [(d, false), (d, true)]) {
            let error = NativeError { abortable, ..NativeError::of(code) };
            assert_ne!(class_of(&error, doing), FailureClass::Stop, "{code:?} {doing:?}");
        }
    }
}

#[test]
fn at_start_up_only_what_cannot_heal_and_refused_credentials_end_the_process() {
    for (code, stops) in [
        (Code::SaslAuthenticationFailed, true),
        (Code::UnsupportedVersion, true),
        (Code::InvalidReplicationFactor, true),
        (Code::Authentication, false),
        (Code::TopicAuthorizationFailed, false),
        (Code::ClusterAuthorizationFailed, false),
        (Code::BrokerTransportFailure, false),
        (Code::OperationTimedOut, false),
        (Code::InvalidSessionTimeout, false),
    ] {
        let class = class_of(&NativeError::of(code), Doing::Connecting);
        assert_eq!(class == FailureClass::Stop, stops, "{code:?}: {class:?}");
    }
}

#[test]
fn a_broken_connection_points_at_the_advertised_address_and_at_no_right() {
    for code in [Code::BrokerTransportFailure, Code::AllBrokersDown, Code::OperationTimedOut] {
        let said = failure(&NativeError::of(code), Doing::Reading, "reading").detail;
        assert!(said.contains("advertised.listeners"), "{said}");
        assert!(!said.contains("grant") && !said.contains("ACL"), "{said}");
    }
}
