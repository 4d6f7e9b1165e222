//! The rows of the error table. They leave out codes that none of our requests is known to cause.

use rdkafka::error::RDKafkaErrorCode as Code;

use FailureClass::{
    CommitTooLarge, Fenced, GroupActive, HoldGroup, MetadataTooLarge, Missing, OutcomeUnknown,
    Retry, Stop, Unstable,
};
use sprag_core::failure::FailureClass;

/// The consequences of a set of codes.
pub(super) struct Row {
    pub(super) codes: &'static [Code],
    /// The class for each operation: reading, committing, ending, fencing.
    pub(super) classes: [FailureClass; 4],
    /// Whether leaders and coordinators must be looked up again.
    pub(super) moved: bool,
    /// What the error means, and what an operator can do about it.
    pub(super) advice: &'static str,
}

/// The row that contains `code`.
pub(super) fn row(code: Code) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.codes.contains(&code))
}

const fn same(class: FailureClass) -> [FailureClass; 4] {
    [class; 4]
}

/// Codes by which a broker refuses the credentials. librdkafka's own `Authentication` is not among them: it
/// also means that a handshake broke off, or that a token could not be fetched.
pub(super) const CREDENTIALS_REFUSED: &[Code] = &[Code::SaslAuthenticationFailed];

/// No code is in two rows; a test checks this.
pub(super) const ROWS: &[Row] = &[
    // Another producer owns the shard's transactional.id.
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
        advice: "the producer's transaction is in an unexpected state; a new producer replaces it",
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
        advice: "the group has members or is rebalancing; it is left alone",
    },
    Row {
        codes: &[Code::GroupIdNotFound, Code::UnknownGroup],
        classes: same(Retry),
        moved: false,
        advice: "the coordinator does not know the group; Sprag concludes nothing from that",
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
        advice: "the topic or partition does not exist, or Sprag is not allowed to describe it",
    },
    // Missing rights and failed logins can heal on their own: an ACL cache is reloaded, a KDC or a token
    // endpoint comes back. None of them ends a running process.
    Row {
        codes: &[Code::TopicAuthorizationFailed],
        classes: same(HoldGroup),
        moved: false,
        advice: "grant Read and Describe on the topic, and Write if it is the fence topic; \
                 `sprag check` names the missing ACL",
    },
    Row {
        codes: &[Code::GroupAuthorizationFailed],
        classes: same(HoldGroup),
        moved: false,
        advice: "grant Read and Describe on the group; `sprag check` names the missing ACL",
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
    // librdkafka closes a connection when its login, or a later re-authentication, fails. A request in flight
    // on that connection may have taken effect.
    Row {
        codes: &[Code::Authentication, Code::SaslAuthenticationFailed],
        classes: [Retry, OutcomeUnknown, OutcomeUnknown, OutcomeUnknown],
        moved: false,
        advice: "the login failed; if this persists, check the credentials, their issuer and sasl.mechanism",
    },
    Row {
        codes: &[Code::UnsupportedSASLMechanism, Code::IllegalSASLState, Code::SecurityDisabled],
        classes: same(Stop),
        moved: false,
        advice: "check that security.protocol and sasl.mechanism match the broker's listener",
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
        advice: "the broker is too old; Sprag needs Kafka 2.8 or newer",
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
        advice: "the broker does not accept this group",
    },
    Row {
        codes: &[Code::InvalidTopic],
        classes: [HoldGroup, HoldGroup, HoldGroup, Stop],
        moved: false,
        advice: "the broker does not accept this topic name",
    },
    Row {
        codes: &[Code::InvalidArgument, Code::InvalidRequest],
        classes: [HoldGroup, HoldGroup, HoldGroup, Stop],
        moved: false,
        advice: "the request is not valid; trying again will not help",
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
        advice: "the brokers refuse to create the topic with these settings; create it by hand",
    },
    Row {
        codes: &[Code::InvalidSessionTimeout],
        classes: same(Retry),
        moved: false,
        advice: "coordination.sessionTimeout must be between the target's group.min.session.timeout.ms \
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
        advice: "another client has created the topic in the meantime",
    },
    Row {
        codes: &[Code::UnstableOffsetCommit],
        classes: [Unstable, Retry, Retry, Retry],
        moved: false,
        advice: "a transaction with offsets of the group is pending; the committed offset is not known yet",
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
        advice: "the log no longer contains the offset",
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
        advice: "the coordinator moved or is not ready; it is looked up again",
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
        advice: "a leader moved or is not ready; it is looked up again",
    },
    Row {
        codes: &[Code::NoEnt],
        classes: same(Retry),
        moved: true,
        advice: "none of the partitions exists or has a leader; leaders are looked up again",
    },
    // The request may have taken effect before the connection broke.
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
        advice: "no connection; check that the address that the broker advertises (advertised.listeners) is \
                 reachable from here, and that security.protocol and the TLS settings match that listener",
    },
    // The request may still take effect.
    Row {
        codes: &[
            Code::OperationTimedOut,
            Code::RequestTimedOut,
            Code::TimedOutQueue,
            Code::MessageTimedOut,
        ],
        classes: [Retry, OutcomeUnknown, OutcomeUnknown, OutcomeUnknown],
        moved: true,
        advice: "no answer in time; check that each address that the brokers advertise \
                 (advertised.listeners) is reachable from here",
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
        advice: "the request cannot be carried out at the moment",
    },
    // Brokers of Apache Kafka 4 answer a commit with this code when it is too large for `__consumer_offsets`
    // (`CoordinatorOperationExceptionHelper`), and when they hit an unexpected exception.
    Row {
        codes: &[Code::Unknown],
        classes: [Retry, CommitTooLarge, OutcomeUnknown, OutcomeUnknown],
        moved: false,
        advice: "the broker failed, and its log says why; a commit may be larger than max.message.bytes of \
                 __consumer_offsets",
    },
    // These errors do not say whether the request took effect.
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
        advice: "the broker failed, or its answer could not be read; its log may say more",
    },
    Row {
        codes: &[Code::BrokerDestroy],
        classes: [Retry, OutcomeUnknown, OutcomeUnknown, OutcomeUnknown],
        moved: false,
        advice: "the client was closed in the meantime",
    },
];
