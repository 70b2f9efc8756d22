//! The error codes of brokers, with Kafka's names.

use core::fmt;

/// An error code as on the wire, including codes that this version of the crate does not know.
///
/// Names, numbers and retriability are those of Apache Kafka 4.4 ("Error codes" in the protocol guide). How the
/// producer reacts to a code also depends on the request; [`machine`](crate::machine) decides that.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ErrorCode(pub i16);

impl ErrorCode {
    /// Returns `true` if this is not [`ErrorCode::NONE`].
    #[must_use]
    pub const fn is_error(self) -> bool {
        self.0 != 0
    }

    /// Returns Kafka's name, such as `NOT_LEADER_OR_FOLLOWER`, or `None` for an unknown code.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        match self.known() {
            Some((name, _)) => Some(name),
            None => None,
        }
    }

    /// Returns `true` if Kafka documents the error as retriable. Unknown codes are not retriable.
    #[must_use]
    pub const fn is_retriable(self) -> bool {
        matches!(self.known(), Some((_, Retriability::Retriable | Retriability::RetriableAfterRefresh)))
    }

    /// Returns `true` if the error indicates stale metadata, which should be refreshed before a retry. (These are
    /// the subclasses of `InvalidMetadataException` in the Java client; all are retriable.)
    #[must_use]
    pub const fn invalidates_metadata(self) -> bool {
        matches!(self.known(), Some((_, Retriability::RetriableAfterRefresh)))
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{name} ({})", self.0),
            None => write!(f, "unknown error code {}", self.0),
        }
    }
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ErrorCode({self})")
    }
}

/// Allows a code to be the source of another error.
impl core::error::Error for ErrorCode {}

enum Retriability {
    Fatal,
    Retriable,
    RetriableAfterRefresh,
}

/// One line for each code: number, name, retriability, meaning.
macro_rules! error_codes {
    ($($code:literal $name:ident $retry:ident $meaning:literal)*) => {
        impl ErrorCode {
            $(
                #[doc = $meaning]
                pub const $name: Self = Self($code);
            )*

            const fn known(self) -> Option<(&'static str, Retriability)> {
                match self.0 {
                    $($code => Some((stringify!($name), Retriability::$retry)),)*
                    _ => None,
                }
            }
        }
    };
}

error_codes! {
    -1 UNKNOWN_SERVER_ERROR Fatal "An unexpected error on the broker, without a specific code."
    0 NONE Fatal "No error."
    1 OFFSET_OUT_OF_RANGE Fatal "The log does not have the offset."
    2 CORRUPT_MESSAGE Retriable "A checksum does not match, or a compacted topic got a record without a key."
    3 UNKNOWN_TOPIC_OR_PARTITION RetriableAfterRefresh "The broker does not host the partition (yet), or the client may not describe the topic."
    4 INVALID_FETCH_SIZE Fatal "A fetch asks for an impossible size."
    5 LEADER_NOT_AVAILABLE RetriableAfterRefresh "The partition has no leader at the moment."
    6 NOT_LEADER_OR_FOLLOWER RetriableAfterRefresh "The broker is not the leader of the partition (any more)."
    7 REQUEST_TIMED_OUT Retriable "The request's timeout expired. The records may be in the leader's log."
    8 BROKER_NOT_AVAILABLE Fatal "The broker is not available."
    9 REPLICA_NOT_AVAILABLE RetriableAfterRefresh "The broker of a replica is not available."
    10 MESSAGE_TOO_LARGE Fatal "The batch exceeds the topic's `max.message.bytes`."
    11 STALE_CONTROLLER_EPOCH Fatal "The controller has moved to another broker."
    12 OFFSET_METADATA_TOO_LARGE Fatal "The metadata of a committed offset is too long."
    13 NETWORK_EXCEPTION RetriableAfterRefresh "The connection was closed before the response."
    14 COORDINATOR_LOAD_IN_PROGRESS Retriable "The coordinator is still loading its state."
    15 COORDINATOR_NOT_AVAILABLE Retriable "There is no coordinator at the moment."
    16 NOT_COORDINATOR Retriable "Another broker is the coordinator."
    17 INVALID_TOPIC_EXCEPTION Fatal "The topic name is invalid, or clients may not write to the topic."
    18 RECORD_LIST_TOO_LARGE Fatal "The batch is larger than a log segment."
    19 NOT_ENOUGH_REPLICAS Retriable "Too few replicas are in sync (`min.insync.replicas`). Nothing was written."
    20 NOT_ENOUGH_REPLICAS_AFTER_APPEND Retriable "Too few replicas are in sync, which was detected only after the leader had appended the records."
    21 INVALID_REQUIRED_ACKS Fatal "`acks` is none of 0, 1 and -1."
    22 ILLEGAL_GENERATION Fatal "The group has moved on to another generation."
    23 INCONSISTENT_GROUP_PROTOCOL Fatal "The member's protocols do not match those of the group."
    24 INVALID_GROUP_ID Fatal "A group cannot have this id."
    25 UNKNOWN_MEMBER_ID Fatal "The group does not know this member."
    26 INVALID_SESSION_TIMEOUT Fatal "The broker does not allow this session timeout."
    27 REBALANCE_IN_PROGRESS Fatal "The group is rebalancing."
    28 INVALID_COMMIT_OFFSET_SIZE Fatal "The offsets to commit are too much data."
    29 TOPIC_AUTHORIZATION_FAILED Fatal "The client may not do this with the topic."
    30 GROUP_AUTHORIZATION_FAILED Fatal "The client may not do this with the group."
    31 CLUSTER_AUTHORIZATION_FAILED Fatal "The client may not do this with the cluster, or (without KIP-679) may not use idempotence."
    32 INVALID_TIMESTAMP Fatal "A timestamp is too far from the broker's clock."
    33 UNSUPPORTED_SASL_MECHANISM Fatal "The broker does not have this SASL mechanism."
    34 ILLEGAL_SASL_STATE Fatal "The request is invalid in this state of the SASL exchange."
    35 UNSUPPORTED_VERSION Fatal "The broker does not support this version of the API."
    36 TOPIC_ALREADY_EXISTS Fatal "A topic with this name exists."
    37 INVALID_PARTITIONS Fatal "A topic cannot have this number of partitions."
    38 INVALID_REPLICATION_FACTOR Fatal "There cannot be this number of replicas."
    39 INVALID_REPLICA_ASSIGNMENT Fatal "The replica assignment is invalid."
    40 INVALID_CONFIG Fatal "A setting is not valid."
    41 NOT_CONTROLLER Retriable "Another broker is the controller."
    42 INVALID_REQUEST Fatal "The request is invalid."
    43 UNSUPPORTED_FOR_MESSAGE_FORMAT Fatal "The topic's message format (magic) is too old for this."
    44 POLICY_VIOLATION Fatal "A policy of the cluster forbids it."
    45 OUT_OF_ORDER_SEQUENCE_NUMBER Fatal "The sequence number does not follow that of the producer's last batch (KIP-98)."
    46 DUPLICATE_SEQUENCE_NUMBER Fatal "The batch is already in the log, too long ago for the broker to know its offset (KIP-98)."
    47 INVALID_PRODUCER_EPOCH Fatal "A newer epoch of the producer id is known (KIP-98)."
    48 INVALID_TXN_STATE Fatal "The transaction is not in a state for this (KIP-98)."
    49 INVALID_PRODUCER_ID_MAPPING Fatal "The producer id does not belong to the transactional id (KIP-98)."
    50 INVALID_TRANSACTION_TIMEOUT Fatal "The transaction timeout exceeds `transaction.max.timeout.ms` (KIP-98)."
    51 CONCURRENT_TRANSACTIONS Retriable "Another operation of the transactional id is in progress (KIP-98)."
    52 TRANSACTION_COORDINATOR_FENCED Fatal "The transaction has another coordinator now (KIP-98)."
    53 TRANSACTIONAL_ID_AUTHORIZATION_FAILED Fatal "The client may not use the transactional id (KIP-98)."
    54 SECURITY_DISABLED Fatal "The cluster has no authorizer."
    55 OPERATION_NOT_ATTEMPTED Fatal "Not attempted, because another operation of the request failed."
    56 KAFKA_STORAGE_ERROR RetriableAfterRefresh "The disk of the partition has failed (KIP-112)."
    57 LOG_DIR_NOT_FOUND Fatal "The broker has no such log directory (KIP-113)."
    58 SASL_AUTHENTICATION_FAILED Fatal "The credentials are wrong (KIP-152)."
    59 UNKNOWN_PRODUCER_ID Fatal "The partition has no state of the producer id (any more), but the batch is not its first (KIP-98)."
    60 REASSIGNMENT_IN_PROGRESS Fatal "A reassignment of partitions is in progress."
    61 DELEGATION_TOKEN_AUTH_DISABLED Fatal "Delegation tokens are disabled (KIP-48)."
    62 DELEGATION_TOKEN_NOT_FOUND Fatal "The broker does not know the delegation token (KIP-48)."
    63 DELEGATION_TOKEN_OWNER_MISMATCH Fatal "The delegation token belongs to another principal (KIP-48)."
    64 DELEGATION_TOKEN_REQUEST_NOT_ALLOWED Fatal "Delegation token requests are not allowed on this connection (KIP-48)."
    65 DELEGATION_TOKEN_AUTHORIZATION_FAILED Fatal "The client may not do this with the delegation token (KIP-48)."
    66 DELEGATION_TOKEN_EXPIRED Fatal "The delegation token has expired (KIP-48)."
    67 INVALID_PRINCIPAL_TYPE Fatal "The type of principal is unknown (KIP-48)."
    68 NON_EMPTY_GROUP Fatal "The group still has members (KIP-229)."
    69 GROUP_ID_NOT_FOUND Fatal "There is no such group (KIP-229)."
    70 FETCH_SESSION_ID_NOT_FOUND Retriable "There is no such fetch session (KIP-227)."
    71 INVALID_FETCH_SESSION_EPOCH Retriable "The epoch of the fetch session does not match (KIP-227)."
    72 LISTENER_NOT_FOUND RetriableAfterRefresh "The leader does not have the listener on which the request arrived."
    73 TOPIC_DELETION_DISABLED Fatal "Deleting topics is disabled."
    74 FENCED_LEADER_EPOCH RetriableAfterRefresh "The client knows an older leader epoch than the broker (KIP-320)."
    75 UNKNOWN_LEADER_EPOCH Retriable "The client knows a newer leader epoch than the broker (KIP-320)."
    76 UNSUPPORTED_COMPRESSION_TYPE Fatal "This version of the API does not have the codec: zstd needs Produce v7 (KIP-110)."
    77 STALE_BROKER_EPOCH Fatal "The broker has registered again since (KIP-380)."
    78 OFFSET_NOT_AVAILABLE Retriable "A new leader does not know its followers' positions yet (KIP-207)."
    79 MEMBER_ID_REQUIRED Fatal "A member must join again with the id it was given (KIP-394)."
    80 PREFERRED_LEADER_NOT_AVAILABLE RetriableAfterRefresh "The preferred leader is not available (KIP-460)."
    81 GROUP_MAX_SIZE_REACHED Fatal "The group is full (KIP-389)."
    82 FENCED_INSTANCE_ID Fatal "Another member has the same `group.instance.id` (KIP-345)."
    83 ELIGIBLE_LEADERS_NOT_AVAILABLE RetriableAfterRefresh "No replica may become leader (KIP-460)."
    84 ELECTION_NOT_NEEDED RetriableAfterRefresh "The partition has the right leader (KIP-460)."
    85 NO_REASSIGNMENT_IN_PROGRESS Fatal "No reassignment of the partition is in progress (KIP-455)."
    86 GROUP_SUBSCRIBED_TO_TOPIC Fatal "The group still reads the topic (KIP-496)."
    87 INVALID_RECORD Fatal "The broker rejected a record: see the record errors (KIP-467)."
    88 UNSTABLE_OFFSET_COMMIT Retriable "An offset waits for the end of a transaction (KIP-447)."
    89 THROTTLING_QUOTA_EXCEEDED Retriable "A quota is used up (KIP-599)."
    90 PRODUCER_FENCED Fatal "A newer producer uses the transactional id (KIP-588)."
    91 RESOURCE_NOT_FOUND Fatal "The request names a resource that does not exist."
    92 DUPLICATE_RESOURCE Fatal "The request names a resource twice."
    93 UNACCEPTABLE_CREDENTIAL Fatal "The credential does not meet the requirements (KIP-554)."
    94 INCONSISTENT_VOTER_SET Fatal "Sender and recipient have different voter sets (KIP-595)."
    95 INVALID_UPDATE_VERSION Fatal "The update has a wrong version."
    96 FEATURE_UPDATE_FAILED Fatal "The features could not be changed (KIP-584)."
    97 PRINCIPAL_DESERIALIZATION_FAILURE Fatal "A forwarded principal cannot be read (KIP-590)."
    98 SNAPSHOT_NOT_FOUND Fatal "There is no such snapshot (KIP-630)."
    99 POSITION_OUT_OF_RANGE Fatal "The snapshot does not reach so far (KIP-630)."
    100 UNKNOWN_TOPIC_ID RetriableAfterRefresh "The broker does not host a topic with this id (yet) (KIP-516)."
    101 DUPLICATE_BROKER_REGISTRATION Fatal "The broker id is in use (KIP-631)."
    102 BROKER_ID_NOT_REGISTERED Fatal "The broker id is not registered (KIP-631)."
    103 INCONSISTENT_TOPIC_ID RetriableAfterRefresh "The topic's id differs from that in the request (KIP-516)."
    104 INCONSISTENT_CLUSTER_ID Fatal "The cluster id differs from that in the request."
    105 TRANSACTIONAL_ID_NOT_FOUND Fatal "The broker does not know the transactional id (KIP-664)."
    106 FETCH_SESSION_TOPIC_ID_ERROR Retriable "A fetch session mixes topic names and ids (KIP-516)."
    107 INELIGIBLE_REPLICA Fatal "A replica cannot be in sync now (KIP-841)."
    108 NEW_LEADER_ELECTED Fatal "The change succeeded, and the partition has another leader (KIP-841)."
    109 OFFSET_MOVED_TO_TIERED_STORAGE Fatal "The offset is in remote storage (KIP-405)."
    110 FENCED_MEMBER_EPOCH Fatal "The group has fenced the member's epoch (KIP-848)."
    111 UNRELEASED_INSTANCE_ID Fatal "Another member has not left its instance id (KIP-848)."
    112 UNSUPPORTED_ASSIGNOR Fatal "The group does not support the assignor (KIP-848)."
    113 STALE_MEMBER_EPOCH Fatal "The member must learn its new epoch first (KIP-848)."
    114 MISMATCHED_ENDPOINT_TYPE Fatal "A request for a controller was sent to a broker, or the reverse (KIP-919)."
    115 UNSUPPORTED_ENDPOINT_TYPE Fatal "There is no such kind of endpoint (KIP-919)."
    116 UNKNOWN_CONTROLLER_ID Fatal "There is no such controller (KIP-919)."
    117 UNKNOWN_SUBSCRIPTION_ID Fatal "The telemetry subscription has changed (KIP-714)."
    118 TELEMETRY_TOO_LARGE Fatal "The telemetry is too much data (KIP-714)."
    119 INVALID_REGISTRATION Fatal "The broker's registration is not valid."
    120 TRANSACTION_ABORTABLE Fatal "The transaction must be aborted; the producer can then continue (KIP-890)."
    121 INVALID_RECORD_STATE Fatal "The record cannot be acknowledged any more (KIP-932)."
    122 SHARE_SESSION_NOT_FOUND Retriable "There is no such share session (KIP-932)."
    123 INVALID_SHARE_SESSION_EPOCH Retriable "The epoch of the share session does not match (KIP-932)."
    124 FENCED_STATE_EPOCH Fatal "The share group's state has a newer epoch (KIP-932)."
    125 INVALID_VOTER_KEY Fatal "The voter's key is not that of the replica (KIP-853)."
    126 DUPLICATE_VOTER Fatal "The voter is one already (KIP-853)."
    127 VOTER_NOT_FOUND Fatal "There is no such voter (KIP-853)."
    128 INVALID_REGULAR_EXPRESSION Fatal "The regular expression is not valid (KIP-848)."
    129 REBOOTSTRAP_REQUIRED Fatal "The client must start again from its bootstrap addresses (KIP-1102)."
    130 STREAMS_INVALID_TOPOLOGY Fatal "The topology is not valid (KIP-1071)."
    131 STREAMS_INVALID_TOPOLOGY_EPOCH Fatal "The topology's epoch is not valid (KIP-1071)."
    132 STREAMS_TOPOLOGY_FENCED Fatal "The topology's epoch is outdated (KIP-1071)."
    133 SHARE_SESSION_LIMIT_REACHED Retriable "There are too many share sessions (KIP-932)."
    134 GROUP_DELETION_FAILED Fatal "The group could not be deleted."
    135 STREAMS_TOPOLOGY_DESCRIPTION_UPDATE_FAILED Fatal "The description of the topology could not be stored."
    136 CONTROLLER_ID_NOT_REGISTERED Fatal "The controller id is not registered."
}
