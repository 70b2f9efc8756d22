//! Which APIs there are, in which versions, and which version to speak.

use core::fmt;

/// An API that this client speaks, by its name and key in the protocol guide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ApiKey {
    /// Hands record batches to partition leaders. Key 0.
    Produce,
    /// Asks for brokers, topics and partition leaders. Key 3.
    Metadata,
    /// Agrees on a SASL mechanism (KIP-43). Key 17.
    SaslHandshake,
    /// Asks which APIs the broker speaks, in which versions (KIP-35). Key 18.
    ApiVersions,
    /// Asks for a producer id and epoch, for idempotence (KIP-98). Key 22.
    InitProducerId,
    /// Carries SASL tokens inside Kafka requests (KIP-152). Key 36.
    SaslAuthenticate,
}

/// What the protocol guide fixes about one API.
struct Facts {
    code: i16,
    name: &'static str,
    newest: i16,
    /// First version with compact lengths and tagged fields (KIP-482), if any has them.
    flexible_from: Option<i16>,
    /// First version in which the broker leaves the throttling to the client (KIP-219), if any does.
    throttle_from: Option<i16>,
}

impl ApiKey {
    /// Every API that this client speaks, by ascending key.
    pub const ALL: [Self; 6] = [
        Self::Produce,
        Self::Metadata,
        Self::SaslHandshake,
        Self::ApiVersions,
        Self::InitProducerId,
        Self::SaslAuthenticate,
    ];

    /// The number that stands for this API on the wire.
    #[must_use]
    pub const fn code(self) -> i16 {
        self.facts().code
    }

    /// The name in the protocol guide.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.facts().name
    }

    /// The versions that this client can encode and decode.
    #[must_use]
    pub const fn versions(self) -> VersionRange {
        VersionRange { min: 0, max: self.facts().newest }
    }

    /// Whether this version has compact lengths and tagged fields (KIP-482).
    #[must_use]
    pub const fn is_flexible(self, version: i16) -> bool {
        matches!(self.facts().flexible_from, Some(first) if version >= first)
    }

    /// Whether a response of this version leaves it to the client to stay silent for its throttle time
    /// (KIP-219). In older versions the broker has already held the response back for that long.
    #[must_use]
    pub const fn client_throttles(self, version: i16) -> bool {
        matches!(self.facts().throttle_from, Some(first) if version >= first)
    }

    /// Whether a response of this version has response header v1, which ends in tagged fields.
    ///
    /// ApiVersions keeps header v0 in every version, so that a client can read the answer of a broker that
    /// does not know the version it was asked in (KIP-511).
    pub(super) const fn has_tagged_response_header(self, version: i16) -> bool {
        self.is_flexible(version) && !matches!(self, Self::ApiVersions)
    }

    const fn facts(self) -> Facts {
        // SaslHandshake can never become flexible: clients up to 2.4 would negotiate such a version although
        // they cannot speak it (KAFKA-9577).
        let (code, name, newest, flexible_from, throttle_from) = match self {
            Self::Produce => (0, "Produce", 13, Some(9), Some(6)),
            Self::Metadata => (3, "Metadata", 13, Some(9), Some(6)),
            Self::SaslHandshake => (17, "SaslHandshake", 1, None, None),
            Self::ApiVersions => (18, "ApiVersions", 5, Some(3), Some(2)),
            Self::InitProducerId => (22, "InitProducerId", 5, Some(2), Some(1)),
            Self::SaslAuthenticate => (36, "SaslAuthenticate", 2, Some(2), None),
        };
        Facts { code, name, newest, flexible_from, throttle_from }
    }
}

impl fmt::Display for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A range of versions, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct VersionRange {
    /// The oldest version.
    pub min: i16,
    /// The newest version.
    pub max: i16,
}

impl VersionRange {
    /// Whether this version lies in the range.
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

/// The highest version that both sides know, or `None` if they share none (KIP-35).
///
/// Only the newest end of what a broker advertises can be trusted: Kafka 4 lists Produce from v0, for the
/// sake of old librdkafka, and refuses everything below v3 (KAFKA-18659). So never fall back towards `min`
/// of a broker that has answered.
#[must_use]
pub const fn choose_version(ours: VersionRange, theirs: VersionRange) -> Option<i16> {
    let highest = if ours.max < theirs.max { ours.max } else { theirs.max };
    if ours.contains(highest) && theirs.contains(highest) { Some(highest) } else { None }
}
