//! The supported APIs, their versions, and version negotiation.

use core::fmt;

/// An API that this client supports, with its name and key in the protocol guide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ApiKey {
    /// Sends record batches to partition leaders. Key 0.
    Produce,
    /// Requests brokers, topics and partition leaders. Key 3.
    Metadata,
    /// Requests the coordinator of a group or of a transactional id (KIP-98). Key 10.
    FindCoordinator,
    /// Negotiates a SASL mechanism (KIP-43). Key 17.
    SaslHandshake,
    /// Requests the APIs and versions that the broker supports (KIP-35). Key 18.
    ApiVersions,
    /// Requests a producer id and epoch, for idempotence and transactions (KIP-98). Key 22.
    InitProducerId,
    /// Adds partitions to a transaction (KIP-98). Key 24.
    AddPartitionsToTxn,
    /// Adds the offsets of a group to a transaction (KIP-98). Key 25.
    AddOffsetsToTxn,
    /// Commits or aborts a transaction (KIP-98). Key 26.
    EndTxn,
    /// Commits offsets of a group in a transaction (KIP-98). Key 28.
    TxnOffsetCommit,
    /// Carries SASL tokens inside Kafka requests (KIP-152). Key 36.
    SaslAuthenticate,
    /// Requests the state of transactions (KIP-664). Key 65.
    DescribeTransactions,
    /// Requests which metrics to push (KIP-714). Key 71.
    GetTelemetrySubscriptions,
    /// Pushes metrics (KIP-714). Key 72.
    PushTelemetry,
}

/// The properties of one API in the protocol guide.
struct Properties {
    code: i16,
    name: &'static str,
    newest: i16,
    /// The first version with compact lengths and tagged fields (KIP-482); `None` if no version has them.
    flexible_from: Option<i16>,
    /// The first version in which throttling is left to the client (KIP-219); `None` if there is none.
    throttle_from: Option<i16>,
}

impl ApiKey {
    /// Every API that this client supports, by ascending key.
    pub const ALL: &'static [Self] = &[
        Self::Produce,
        Self::Metadata,
        Self::FindCoordinator,
        Self::SaslHandshake,
        Self::ApiVersions,
        Self::InitProducerId,
        Self::AddPartitionsToTxn,
        Self::AddOffsetsToTxn,
        Self::EndTxn,
        Self::TxnOffsetCommit,
        Self::SaslAuthenticate,
        Self::DescribeTransactions,
        Self::GetTelemetrySubscriptions,
        Self::PushTelemetry,
    ];

    /// Returns the API's key on the wire.
    #[must_use]
    pub const fn code(self) -> i16 {
        self.properties().code
    }

    /// Returns the name in the protocol guide.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.properties().name
    }

    /// Returns the versions that this client can encode and decode.
    #[must_use]
    pub const fn versions(self) -> VersionRange {
        VersionRange { min: 0, max: self.properties().newest }
    }

    /// Returns `true` if this version has compact lengths and tagged fields (KIP-482).
    #[must_use]
    pub const fn is_flexible(self, version: i16) -> bool {
        matches!(self.properties().flexible_from, Some(first) if version >= first)
    }

    /// Returns `true` if the client must send nothing for the throttle time in a response of this version
    /// (KIP-219). In older versions the broker has already delayed the response by that time.
    #[must_use]
    pub const fn client_throttles(self, version: i16) -> bool {
        matches!(self.properties().throttle_from, Some(first) if version >= first)
    }

    /// Returns `true` if a response of this version has response header v1, which ends in tagged fields.
    ///
    /// ApiVersions keeps header v0 in every version, so that a client can decode the response of a broker
    /// that does not support the requested version (KIP-511).
    pub(super) const fn has_tagged_response_header(self, version: i16) -> bool {
        self.is_flexible(version) && !matches!(self, Self::ApiVersions)
    }

    const fn properties(self) -> Properties {
        // SaslHandshake can never become flexible: clients up to 2.4 would negotiate such a version without
        // supporting it (KAFKA-9577).
        let (code, name, newest, flexible_from, throttle_from) = match self {
            Self::Produce => (0, "Produce", 13, Some(9), Some(6)),
            Self::Metadata => (3, "Metadata", 13, Some(9), Some(6)),
            Self::FindCoordinator => (10, "FindCoordinator", 6, Some(3), Some(2)),
            Self::SaslHandshake => (17, "SaslHandshake", 1, None, None),
            Self::ApiVersions => (18, "ApiVersions", 5, Some(3), Some(2)),
            Self::InitProducerId => (22, "InitProducerId", 5, Some(2), Some(1)),
            // Later versions have several transactions, and are for brokers (KIP-890).
            Self::AddPartitionsToTxn => (24, "AddPartitionsToTxn", 3, Some(3), Some(1)),
            Self::AddOffsetsToTxn => (25, "AddOffsetsToTxn", 4, Some(3), Some(1)),
            Self::EndTxn => (26, "EndTxn", 5, Some(3), Some(1)),
            Self::TxnOffsetCommit => (28, "TxnOffsetCommit", 5, Some(3), Some(1)),
            Self::SaslAuthenticate => (36, "SaslAuthenticate", 2, Some(2), None),
            Self::DescribeTransactions => (65, "DescribeTransactions", 0, Some(0), Some(0)),
            Self::GetTelemetrySubscriptions => (71, "GetTelemetrySubscriptions", 0, Some(0), Some(0)),
            Self::PushTelemetry => (72, "PushTelemetry", 0, Some(0), Some(0)),
        };
        Properties { code, name, newest, flexible_from, throttle_from }
    }
}

impl fmt::Display for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A range of versions, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
// Exhaustive on purpose: a range has two ends.
pub struct VersionRange {
    /// The oldest version.
    pub min: i16,
    /// The newest version.
    pub max: i16,
}

impl VersionRange {
    /// Returns `true` if this version is in the range.
    #[must_use]
    pub const fn contains(self, version: i16) -> bool {
        self.min <= version && version <= self.max
    }
}

impl fmt::Display for VersionRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.min, self.max)
    }
}

/// Returns the highest version that both sides support, or `None` if there is none (KIP-35).
///
/// Only the upper end of the range that a broker advertises is reliable: Kafka 4 lists Produce from v0, for
/// compatibility with old librdkafka, but rejects versions below v3 (KAFKA-18659). Never fall back towards the
/// advertised `min`.
#[must_use]
pub const fn choose_version(ours: VersionRange, theirs: VersionRange) -> Option<i16> {
    let highest = if ours.max < theirs.max { ours.max } else { theirs.max };
    if ours.contains(highest) && theirs.contains(highest) { Some(highest) } else { None }
}
