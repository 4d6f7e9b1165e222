//! The rows of the error table. A code that no request of ours is known to bring is in none.

use rdkafka::error::RDKafkaErrorCode as Code;

use FailureClass::{
    CommitTooLarge, Fenced, GroupActive, HoldGroup, MetadataTooLarge, Missing, OutcomeUnknown,
    Retry, Stop, Unstable,
};
use sprag_core::failure::FailureClass;

/// What follows from some codes.
pub(super) struct Row {
    pub(super) codes: &'static [Code],
    /// By what was being done: reading, committing, ending, fencing.
    pub(super) classes: [FailureClass; 4],
    /// Whether leaders and coordinators are to be looked up anew.
    pub(super) moved: bool,
    /// For people: what it means, what to do.
    pub(super) advice: &'static str,
}

/// The row of `code`.
pub(super) fn row(code: Code) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.codes.contains(&code))
}

const fn same(class: FailureClass) -> [FailureClass; 4] {
    [class; 4]
}

/// Where a broker answers one of these, it refused the credentials. librdkafka's own
/// `Authentication` also stands for a handshake that broke off and for a token that could not be
/// fetched.
pub(super) const CREDENTIALS_REFUSED: &[Code] = &[Code::SaslAuthenticationFailed];

/// No code is in two rows (a test sees to that).
pub(super) const ROWS: &[Row] = &[
    // Somebody else is the shard's producer.
    Row {
        codes: &[
            Code::Fenced,
            Code::ProducerFenced,
            Code::InvalidProducerEpoch,
            Code::InvalidProducerIdMapping,
            Code::UnknownProducerId,
            Code::TransactionCoordinatorFenced,
        ],
        classes: same(Fenced),
        moved: false,
        advice: "another instance took the shard over, or the transactional.id expired",
    },
    // The producer, or its transaction, is not in the state that the call needs.
    Row {
        codes: &[
            Code::State,
            Code::InvalidTransactionalState,
            Code::Inconsistent,
            Code::Conflict,
            Code::PreviousInProgress,
            Code::NotConfigured,
            Code::OutOfOrderSequenceNumber,
            Code::DuplicateSequenceNumber,
            Code::GaplessGuarantee,
            Code::PurgeQueue,
            Code::PurgeInflight,
            Code::Fatal,
        ],
        classes: [Retry, Fenced, Fenced, Fenced],
        moved: false,
        advice: "the producer's transaction is in another state than it should be; the producer is made anew",
    },
    // The broker's member check.
    Row {
        codes: &[
            Code::UnknownMemberId,
            Code::IllegalGeneration,
            Code::FencedInstanceId,
            Code::UnreleasedInstanceId,
            Code::FencedMemberEpoch,
            Code::StaleMemberEpoch,
            Code::MemberIdRequired,
            Code::RebalanceInProgress,
            Code::NonEmptyGroup,
            Code::GroupSubscribedToTopic,
            Code::AssignmentLost,
        ],
        classes: [Retry, GroupActive, Retry, Retry],
        moved: false,
        advice: "the group has members, or is between two generations; it is left alone",
    },
    Row {
        codes: &[Code::GroupIdNotFound, Code::UnknownGroup],
        classes: same(Retry),
        moved: false,
        advice: "the coordinator does not know the group; nothing is concluded from that",
    },
    Row {
        codes: &[
            Code::UnknownTopicOrPartition,
            Code::UnknownTopic,
            Code::UnknownPartition,
            Code::UnknownTopicId,
        ],
        classes: same(Missing),
        moved: false,
        advice: "the topic or partition does not exist, or we may not describe it",
    },
    // Rights and logins heal without us: an ACL cache is reloaded, a KDC or a token endpoint comes
    // back. None of them ends a running process.
    Row {
        codes: &[Code::TopicAuthorizationFailed],
        classes: same(HoldGroup),
        moved: false,
        advice: "grant Read and Describe on the topic, on the fence topic also Write; `sprag check` names the ACL",
    },
    Row {
        codes: &[Code::GroupAuthorizationFailed],
        classes: same(HoldGroup),
        moved: false,
        advice: "grant Read and Describe on the group; `sprag check` names the ACL",
    },
    Row {
        codes: &[Code::TransactionalIdAuthorizationFailed],
        classes: same(HoldGroup),
        moved: false,
        advice: "grant Write and Describe on transactional ids with the prefix `sprag.`, or set groups.commitMode: guarded",
    },
    Row {
        codes: &[Code::ClusterAuthorizationFailed],
        classes: same(HoldGroup),
        moved: false,
        advice: "grant Describe (and IdempotentWrite) on the cluster",
    },
    // librdkafka closes a connection whose login, or renewed login, fails. A request that was under
    // way on it may have taken effect.
    Row {
        codes: &[Code::Authentication, Code::SaslAuthenticationFailed],
        classes: [Retry, OutcomeUnknown, OutcomeUnknown, OutcomeUnknown],
        moved: false,
        advice: "the login failed; if that lasts, check the credentials, sasl.mechanism and what issues them",
    },
    Row {
        codes: &[Code::UnsupportedSASLMechanism, Code::IllegalSASLState, Code::SecurityDisabled],
        classes: same(Stop),
        moved: false,
        advice: "check security.protocol and sasl.mechanism against the listener's",
    },
    Row {
        codes: &[
            Code::UnsupportedVersion,
            Code::UnsupportedFeature,
            Code::UnsupportedForMessageFormat,
            Code::NotImplemented,
        ],
        classes: same(Stop),
        moved: false,
        advice: "the broker is too old for this; Kafka 2.8 is the oldest that will do",
    },
    Row {
        codes: &[Code::OffsetMetadataTooLarge],
        classes: [HoldGroup, MetadataTooLarge, HoldGroup, HoldGroup],
        moved: false,
        advice: "raise offset.metadata.max.bytes on the target's brokers",
    },
    Row {
        codes: &[Code::InvalidCommitOffsetSize],
        classes: [HoldGroup, CommitTooLarge, HoldGroup, HoldGroup],
        moved: false,
        advice: "the commit is too large for the target's brokers: raise max.message.bytes of __consumer_offsets",
    },
    Row {
        codes: &[Code::InvalidGroupId, Code::InconsistentGroupProtocol],
        classes: [HoldGroup, HoldGroup, HoldGroup, Stop],
        moved: false,
        advice: "the broker takes no such group",
    },
    Row {
        codes: &[Code::InvalidTopic],
        classes: [HoldGroup, HoldGroup, HoldGroup, Stop],
        moved: false,
        advice: "the broker takes no such topic name",
    },
    Row {
        codes: &[Code::InvalidArgument, Code::InvalidRequest],
        classes: [HoldGroup, HoldGroup, HoldGroup, Stop],
        moved: false,
        advice: "the request cannot be made like this; trying again will not help",
    },
    Row {
        codes: &[
            Code::InvalidPartitions,
            Code::InvalidReplicationFactor,
            Code::InvalidReplicaAssignment,
            Code::InvalidConfig,
            Code::PolicyViolation,
        ],
        classes: [Retry, Retry, Retry, Stop],
        moved: false,
        advice: "the brokers refuse to create the topic like this; create it by hand",
    },
    Row {
        codes: &[Code::InvalidSessionTimeout],
        classes: same(Retry),
        moved: false,
        advice: "coordination.sessionTimeout must lie between the target's group.min.session.timeout.ms \
                 (6 seconds by default) and group.max.session.timeout.ms",
    },
    Row {
        codes: &[Code::InvalidTransactionTimeout],
        classes: same(Stop),
        moved: false,
        advice: "raise transaction.max.timeout.ms on the target's brokers to 10000 or more",
    },
    Row {
        codes: &[Code::TopicAlreadyExists],
        classes: same(Retry),
        moved: false,
        advice: "somebody else created the topic meanwhile",
    },
    Row {
        codes: &[Code::UnstableOffsetCommit],
        classes: [Unstable, Retry, Retry, Retry],
        moved: false,
        advice: "a transaction with offsets of the group is pending; unknown for now",
    },
    Row {
        codes: &[
            Code::OffsetOutOfRange,
            Code::AutoOffsetReset,
            Code::LogTruncation,
            Code::NoOffset,
        ],
        classes: same(Retry),
        moved: false,
        advice: "the log does not hold the offset any more",
    },
    Row {
        codes: &[Code::MessageSizeTooLarge, Code::MessageBatchTooLarge],
        classes: [Retry, CommitTooLarge, Retry, Retry],
        moved: false,
        advice: "raise max.message.bytes of the topic (for a commit: of __consumer_offsets)",
    },
    Row {
        codes: &[
            Code::NotCoordinator,
            Code::CoordinatorNotAvailable,
            Code::CoordinatorLoadInProgress,
            Code::WaitingForCoordinator,
        ],
        classes: same(Retry),
        moved: true,
        advice: "the coordinator moved or is not ready; it is looked up anew",
    },
    Row {
        codes: &[
            Code::LeaderNotAvailable,
            Code::NotLeaderForPartition,
            Code::ReplicaNotAvailable,
            Code::BrokerNotAvailable,
            Code::PreferredLeaderNotAvailable,
            Code::EligibleLeadersNotAvailable,
            Code::FencedLeaderEpoch,
            Code::UnknownLeaderEpoch,
            Code::OffsetNotAvailable,
            Code::NotController,
            Code::StaleControllerEpoch,
            Code::StaleBrokerEpoch,
            Code::ListenerNotFound,
            Code::UnknownBroker,
            Code::KafkaStorageError,
            Code::LogDirNotFound,
        ],
        classes: same(Retry),
        moved: true,
        advice: "a leader moved or is not ready; it is looked up anew",
    },
    Row {
        codes: &[Code::NoEnt],
        classes: same(Retry),
        moved: true,
        advice: "none of the partitions exists or has a leader; leaders are looked up anew",
    },
    // What was asked may have taken effect before the connection broke.
    Row {
        codes: &[
            Code::BrokerTransportFailure,
            Code::NetworkException,
            Code::AllBrokersDown,
            Code::Resolve,
            Code::SSL,
            Code::DestroyBroker,
            Code::RebootstrapRequired,
        ],
        classes: [Retry, OutcomeUnknown, OutcomeUnknown, OutcomeUnknown],
        moved: true,
        advice: "no connection; is the address that the broker advertises (advertised.listeners) reachable \
                 from here, and are security.protocol and the TLS settings right for it?",
    },
    // What was asked may yet take effect.
    Row {
        codes: &[
            Code::OperationTimedOut,
            Code::RequestTimedOut,
            Code::TimedOutQueue,
            Code::MessageTimedOut,
        ],
        classes: [Retry, OutcomeUnknown, OutcomeUnknown, OutcomeUnknown],
        moved: true,
        advice: "no answer in time; is each address that the brokers advertise (advertised.listeners) \
                 reachable from here?",
    },
    Row {
        codes: &[
            Code::ConcurrentTransactions,
            Code::ThrottlingQuotaExceeded,
            Code::NotEnoughReplicas,
            Code::NotEnoughReplicasAfterAppend,
            Code::ISRInsufficient,
            Code::OperationNotAttempted,
            Code::ReassignmentInProgress,
            Code::GroupMaxSizeReached,
            Code::FetchSessionIdNotFound,
            Code::InvalidFetchSessionEpoch,
            Code::QueueFull,
            Code::InProgress,
            Code::WaitCache,
            Code::Retry,
            Code::Interrupted,
            Code::Outdated,
            Code::PollExceeded,
        ],
        classes: same(Retry),
        moved: false,
        advice: "the broker cannot do it just now",
    },
    // Brokers of Apache Kafka 4 answer a commit with this where it is larger than `__consumer_offsets`
    // takes (`CoordinatorOperationExceptionHelper`), and anything that they did not foresee.
    Row {
        codes: &[Code::Unknown],
        classes: [Retry, CommitTooLarge, OutcomeUnknown, OutcomeUnknown],
        moved: false,
        advice: "the broker failed, and its log tells why; a commit may be larger than max.message.bytes of \
                 __consumer_offsets",
    },
    // An error that does not say what took effect before it.
    Row {
        codes: &[
            Code::Fail,
            Code::BadMessage,
            Code::BadCompression,
            Code::Underflow,
            Code::Partial,
            Code::InvalidMessage,
            Code::InvalidMessageSize,
            Code::InvalidRecord,
            Code::InvalidDifferentRecord,
            Code::CriticalSystemResource,
        ],
        classes: [Retry, OutcomeUnknown, OutcomeUnknown, OutcomeUnknown],
        moved: false,
        advice: "the broker failed, or its answer could not be read; its log may tell more",
    },
    Row {
        codes: &[Code::BrokerDestroy],
        classes: [Retry, OutcomeUnknown, OutcomeUnknown, OutcomeUnknown],
        moved: false,
        advice: "the client was closed meanwhile",
    },
];
