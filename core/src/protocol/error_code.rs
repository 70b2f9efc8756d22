//! The error codes of brokers, with the names that Kafka gives them.

use core::fmt;

/// An error code as it is on the wire, also one that this version of the crate has no name for.
///
/// The names, numbers and whether a retry can help are those of Apache Kafka 4.4 ("Error codes" in the
/// protocol guide). What a producer makes of a code in a given situation is another matter and decided
/// elsewhere.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ErrorCode(pub i16);

impl ErrorCode {
    /// Whether this is anything but [`ErrorCode::NONE`].
    #[must_use]
    pub const fn is_error(self) -> bool {
        self.0 != 0
    }

    /// Kafka's name, such as `NOT_LEADER_OR_FOLLOWER`, or `None` for a code of the future.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        match self.known() {
            Some((name, _)) => Some(name),
            None => None,
        }
    }

    /// Whether Kafka documents the error as one that may be gone at the next try. Unknown codes are not.
    #[must_use]
    pub const fn is_retriable(self) -> bool {
        matches!(self.known(), Some((_, Retry::Helps | Retry::HelpsAfterMetadata)))
    }

    /// Whether the error says that the client's metadata is stale, and should be fetched anew before the next
    /// try. (These are the subclasses of `InvalidMetadataException` in the Java client; all are retriable.)
    #[must_use]
    pub const fn invalidates_metadata(self) -> bool {
        matches!(self.known(), Some((_, Retry::HelpsAfterMetadata)))
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

/// So that a code can be the source of another error.
impl core::error::Error for ErrorCode {}

enum Retry {
    IsUseless,
    Helps,
    HelpsAfterMetadata,
}

/// One line for each code: number, name, what a retry is worth, meaning.
macro_rules! error_codes {
    ($($code:literal $name:ident $retry:ident $meaning:literal)*) => {
        impl ErrorCode {
            $(
                #[doc = $meaning]
                pub const $name: Self = Self($code);
            )*

            const fn known(self) -> Option<(&'static str, Retry)> {
                match self.0 {
                    $($code => Some((stringify!($name), Retry::$retry)),)*
                    _ => None,
                }
            }
        }
    };
}

error_codes! {
    -1 UNKNOWN_SERVER_ERROR IsUseless "The broker failed, and has no code that says how."
    0 NONE IsUseless "No error."
    1 OFFSET_OUT_OF_RANGE IsUseless "The log does not have the offset."
    2 CORRUPT_MESSAGE Helps "A checksum does not match, or a compacted topic got a record without a key."
    3 UNKNOWN_TOPIC_OR_PARTITION HelpsAfterMetadata "The broker has no such partition, or not yet, or may not say."
    4 INVALID_FETCH_SIZE IsUseless "A fetch asks for an impossible size."
    5 LEADER_NOT_AVAILABLE HelpsAfterMetadata "The partition has no leader at the moment."
    6 NOT_LEADER_OR_FOLLOWER HelpsAfterMetadata "The broker does not lead the partition (any more)."
    7 REQUEST_TIMED_OUT Helps "The time in the request has passed. The records may be in the log of the leader."
    8 BROKER_NOT_AVAILABLE IsUseless "The broker is not there."
    9 REPLICA_NOT_AVAILABLE HelpsAfterMetadata "The broker of a replica is not there."
    10 MESSAGE_TOO_LARGE IsUseless "The batch is over the topic's `max.message.bytes`."
    11 STALE_CONTROLLER_EPOCH IsUseless "The controller has moved to another broker."
    12 OFFSET_METADATA_TOO_LARGE IsUseless "The text beside a committed offset is too long."
    13 NETWORK_EXCEPTION HelpsAfterMetadata "The connection broke before the answer."
    14 COORDINATOR_LOAD_IN_PROGRESS Helps "The coordinator is still loading its state."
    15 COORDINATOR_NOT_AVAILABLE Helps "There is no coordinator at the moment."
    16 NOT_COORDINATOR Helps "Another broker is the coordinator."
    17 INVALID_TOPIC_EXCEPTION IsUseless "A topic cannot have this name, or clients may not write to it."
    18 RECORD_LIST_TOO_LARGE IsUseless "The batch is larger than a log segment."
    19 NOT_ENOUGH_REPLICAS Helps "Too few replicas are in sync (`min.insync.replicas`). Nothing was written."
    20 NOT_ENOUGH_REPLICAS_AFTER_APPEND Helps "Too few replicas are in sync, as was seen only after the leader had written."
    21 INVALID_REQUIRED_ACKS IsUseless "`acks` is none of 0, 1 and -1."
    22 ILLEGAL_GENERATION IsUseless "The group has moved on to another generation."
    23 INCONSISTENT_GROUP_PROTOCOL IsUseless "The member's protocols do not match those of the group."
    24 INVALID_GROUP_ID IsUseless "A group cannot have this id."
    25 UNKNOWN_MEMBER_ID IsUseless "The group does not know this member."
    26 INVALID_SESSION_TIMEOUT IsUseless "The broker does not allow this session timeout."
    27 REBALANCE_IN_PROGRESS IsUseless "The group is rebalancing."
    28 INVALID_COMMIT_OFFSET_SIZE IsUseless "The offsets to commit are too much data."
    29 TOPIC_AUTHORIZATION_FAILED IsUseless "The client may not do this with the topic."
    30 GROUP_AUTHORIZATION_FAILED IsUseless "The client may not do this with the group."
    31 CLUSTER_AUTHORIZATION_FAILED IsUseless "The client may not do this with the cluster; or, without KIP-679, may not be idempotent."
    32 INVALID_TIMESTAMP IsUseless "A timestamp is too far from the broker's clock."
    33 UNSUPPORTED_SASL_MECHANISM IsUseless "The broker does not have this SASL mechanism."
    34 ILLEGAL_SASL_STATE IsUseless "The request does not belong to this point of the SASL exchange."
    35 UNSUPPORTED_VERSION IsUseless "The broker does not speak this version of the API."
    36 TOPIC_ALREADY_EXISTS IsUseless "There is a topic of this name."
    37 INVALID_PARTITIONS IsUseless "A topic cannot have this number of partitions."
    38 INVALID_REPLICATION_FACTOR IsUseless "There cannot be this number of replicas."
    39 INVALID_REPLICA_ASSIGNMENT IsUseless "The replicas cannot be placed so."
    40 INVALID_CONFIG IsUseless "A setting is not valid."
    41 NOT_CONTROLLER Helps "Another broker is the controller."
    42 INVALID_REQUEST IsUseless "The broker cannot make sense of the request."
    43 UNSUPPORTED_FOR_MESSAGE_FORMAT IsUseless "The topic's message format (magic) is too old for this."
    44 POLICY_VIOLATION IsUseless "A policy of the cluster forbids it."
    45 OUT_OF_ORDER_SEQUENCE_NUMBER IsUseless "The batch does not follow on the last one of its producer (KIP-98)."
    46 DUPLICATE_SEQUENCE_NUMBER IsUseless "The batch is in the log already, too far back to say at which offset (KIP-98)."
    47 INVALID_PRODUCER_EPOCH IsUseless "A newer epoch of the producer id is known (KIP-98)."
    48 INVALID_TXN_STATE IsUseless "The transaction is not in a state for this (KIP-98)."
    49 INVALID_PRODUCER_ID_MAPPING IsUseless "The producer id does not belong to the transactional id (KIP-98)."
    50 INVALID_TRANSACTION_TIMEOUT IsUseless "The transaction timeout is over `transaction.max.timeout.ms` (KIP-98)."
    51 CONCURRENT_TRANSACTIONS Helps "The transactional id is still busy with another operation (KIP-98)."
    52 TRANSACTION_COORDINATOR_FENCED IsUseless "The transaction has another coordinator now (KIP-98)."
    53 TRANSACTIONAL_ID_AUTHORIZATION_FAILED IsUseless "The client may not use the transactional id (KIP-98)."
    54 SECURITY_DISABLED IsUseless "The cluster has no authorizer."
    55 OPERATION_NOT_ATTEMPTED IsUseless "Others of the same request failed, and this was not tried."
    56 KAFKA_STORAGE_ERROR HelpsAfterMetadata "The disk of the partition has failed (KIP-112)."
    57 LOG_DIR_NOT_FOUND IsUseless "The broker has no such log directory (KIP-113)."
    58 SASL_AUTHENTICATION_FAILED IsUseless "The credentials are wrong (KIP-152)."
    59 UNKNOWN_PRODUCER_ID IsUseless "The partition knows nothing of the producer id (any more), but the batch is not its first (KIP-98)."
    60 REASSIGNMENT_IN_PROGRESS IsUseless "A reassignment of partitions is under way."
    61 DELEGATION_TOKEN_AUTH_DISABLED IsUseless "Delegation tokens are switched off (KIP-48)."
    62 DELEGATION_TOKEN_NOT_FOUND IsUseless "The broker does not know the delegation token (KIP-48)."
    63 DELEGATION_TOKEN_OWNER_MISMATCH IsUseless "The delegation token belongs to somebody else (KIP-48)."
    64 DELEGATION_TOKEN_REQUEST_NOT_ALLOWED IsUseless "Delegation tokens are not for such a connection (KIP-48)."
    65 DELEGATION_TOKEN_AUTHORIZATION_FAILED IsUseless "The client may not do this with the delegation token (KIP-48)."
    66 DELEGATION_TOKEN_EXPIRED IsUseless "The delegation token has expired (KIP-48)."
    67 INVALID_PRINCIPAL_TYPE IsUseless "There is no such kind of principal (KIP-48)."
    68 NON_EMPTY_GROUP IsUseless "The group still has members (KIP-229)."
    69 GROUP_ID_NOT_FOUND IsUseless "There is no such group (KIP-229)."
    70 FETCH_SESSION_ID_NOT_FOUND Helps "There is no such fetch session (KIP-227)."
    71 INVALID_FETCH_SESSION_EPOCH Helps "The fetch session is at another point (KIP-227)."
    72 LISTENER_NOT_FOUND HelpsAfterMetadata "The leader does not have the listener over which the client asked."
    73 TOPIC_DELETION_DISABLED IsUseless "Topics cannot be deleted here."
    74 FENCED_LEADER_EPOCH HelpsAfterMetadata "The client knows an older leader epoch than the broker (KIP-320)."
    75 UNKNOWN_LEADER_EPOCH Helps "The client knows a newer leader epoch than the broker (KIP-320)."
    76 UNSUPPORTED_COMPRESSION_TYPE IsUseless "This version of the API does not have the codec: zstd needs Produce v7 (KIP-110)."
    77 STALE_BROKER_EPOCH IsUseless "The broker has registered anew since (KIP-380)."
    78 OFFSET_NOT_AVAILABLE Helps "A new leader does not know yet how far its followers are (KIP-207)."
    79 MEMBER_ID_REQUIRED IsUseless "A member must join again with the id it was given (KIP-394)."
    80 PREFERRED_LEADER_NOT_AVAILABLE HelpsAfterMetadata "The preferred leader is not there (KIP-460)."
    81 GROUP_MAX_SIZE_REACHED IsUseless "The group is full (KIP-389)."
    82 FENCED_INSTANCE_ID IsUseless "Another member has the same `group.instance.id` (KIP-345)."
    83 ELIGIBLE_LEADERS_NOT_AVAILABLE HelpsAfterMetadata "No replica may become leader (KIP-460)."
    84 ELECTION_NOT_NEEDED HelpsAfterMetadata "The partition has the right leader (KIP-460)."
    85 NO_REASSIGNMENT_IN_PROGRESS IsUseless "No reassignment of the partition is under way (KIP-455)."
    86 GROUP_SUBSCRIBED_TO_TOPIC IsUseless "The group still reads the topic (KIP-496)."
    87 INVALID_RECORD IsUseless "The broker dislikes a record: see the errors of the records (KIP-467)."
    88 UNSTABLE_OFFSET_COMMIT Helps "An offset waits for the end of a transaction (KIP-447)."
    89 THROTTLING_QUOTA_EXCEEDED Helps "A quota is used up (KIP-599)."
    90 PRODUCER_FENCED IsUseless "A newer producer uses the transactional id (KIP-588)."
    91 RESOURCE_NOT_FOUND IsUseless "The request names something that is not there."
    92 DUPLICATE_RESOURCE IsUseless "The request names something twice."
    93 UNACCEPTABLE_CREDENTIAL IsUseless "The credential is not good enough (KIP-554)."
    94 INCONSISTENT_VOTER_SET IsUseless "Sender and recipient do not agree who votes (KIP-595)."
    95 INVALID_UPDATE_VERSION IsUseless "The update has a wrong version."
    96 FEATURE_UPDATE_FAILED IsUseless "The features could not be changed (KIP-584)."
    97 PRINCIPAL_DESERIALIZATION_FAILURE IsUseless "A forwarded principal cannot be read (KIP-590)."
    98 SNAPSHOT_NOT_FOUND IsUseless "There is no such snapshot (KIP-630)."
    99 POSITION_OUT_OF_RANGE IsUseless "The snapshot does not reach so far (KIP-630)."
    100 UNKNOWN_TOPIC_ID HelpsAfterMetadata "The broker has no topic of this id, or not yet (KIP-516)."
    101 DUPLICATE_BROKER_REGISTRATION IsUseless "The broker id is in use (KIP-631)."
    102 BROKER_ID_NOT_REGISTERED IsUseless "The broker id is not registered (KIP-631)."
    103 INCONSISTENT_TOPIC_ID HelpsAfterMetadata "The topic has another id than the request says (KIP-516)."
    104 INCONSISTENT_CLUSTER_ID IsUseless "This is another cluster than the request says."
    105 TRANSACTIONAL_ID_NOT_FOUND IsUseless "The broker does not know the transactional id (KIP-664)."
    106 FETCH_SESSION_TOPIC_ID_ERROR Helps "A fetch session mixes topic names and ids (KIP-516)."
    107 INELIGIBLE_REPLICA IsUseless "A replica cannot be in sync now (KIP-841)."
    108 NEW_LEADER_ELECTED IsUseless "The change went through, and the partition has another leader (KIP-841)."
    109 OFFSET_MOVED_TO_TIERED_STORAGE IsUseless "The offset is in remote storage (KIP-405)."
    110 FENCED_MEMBER_EPOCH IsUseless "The group has fenced the member's epoch (KIP-848)."
    111 UNRELEASED_INSTANCE_ID IsUseless "Another member has not left its instance id (KIP-848)."
    112 UNSUPPORTED_ASSIGNOR IsUseless "The group does not support the assignor (KIP-848)."
    113 STALE_MEMBER_EPOCH IsUseless "The member must learn its new epoch first (KIP-848)."
    114 MISMATCHED_ENDPOINT_TYPE IsUseless "A broker was asked as a controller, or the other way round (KIP-919)."
    115 UNSUPPORTED_ENDPOINT_TYPE IsUseless "There is no such kind of endpoint (KIP-919)."
    116 UNKNOWN_CONTROLLER_ID IsUseless "There is no such controller (KIP-919)."
    117 UNKNOWN_SUBSCRIPTION_ID IsUseless "The telemetry subscription has changed (KIP-714)."
    118 TELEMETRY_TOO_LARGE IsUseless "The telemetry is too much data (KIP-714)."
    119 INVALID_REGISTRATION IsUseless "The broker's registration is not valid."
    120 TRANSACTION_ABORTABLE IsUseless "The transaction cannot go on, but its abortion sets everything right (KIP-890)."
    121 INVALID_RECORD_STATE IsUseless "The record cannot be acknowledged any more (KIP-932)."
    122 SHARE_SESSION_NOT_FOUND Helps "There is no such share session (KIP-932)."
    123 INVALID_SHARE_SESSION_EPOCH Helps "The share session is at another point (KIP-932)."
    124 FENCED_STATE_EPOCH IsUseless "The share group's state has a newer epoch (KIP-932)."
    125 INVALID_VOTER_KEY IsUseless "The voter's key is not that of the replica (KIP-853)."
    126 DUPLICATE_VOTER IsUseless "The voter is one already (KIP-853)."
    127 VOTER_NOT_FOUND IsUseless "There is no such voter (KIP-853)."
    128 INVALID_REGULAR_EXPRESSION IsUseless "The regular expression is not valid (KIP-848)."
    129 REBOOTSTRAP_REQUIRED IsUseless "The client must begin anew with its bootstrap addresses (KIP-1102)."
    130 STREAMS_INVALID_TOPOLOGY IsUseless "The topology is not valid (KIP-1071)."
    131 STREAMS_INVALID_TOPOLOGY_EPOCH IsUseless "The topology's epoch is not valid (KIP-1071)."
    132 STREAMS_TOPOLOGY_FENCED IsUseless "The topology's epoch is outdated (KIP-1071)."
    133 SHARE_SESSION_LIMIT_REACHED Helps "There are too many share sessions (KIP-932)."
    134 GROUP_DELETION_FAILED IsUseless "The group could not be deleted."
    135 STREAMS_TOPOLOGY_DESCRIPTION_UPDATE_FAILED IsUseless "The description of the topology could not be stored."
    136 CONTROLLER_ID_NOT_REGISTERED IsUseless "The controller id is not registered."
}
