//! The APIs that the brokers know.

/// An API of Kafka's protocol, with its name in the protocol guide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ApiKey {
    /// Key 0.
    Produce,
    /// Key 1.
    Fetch,
    /// Key 2.
    ListOffsets,
    /// Key 3.
    Metadata,
    /// Key 17.
    SaslHandshake,
    /// Key 18.
    ApiVersions,
    /// Key 19.
    CreateTopics,
    /// Key 22.
    InitProducerId,
    /// Key 36.
    SaslAuthenticate,
}

impl ApiKey {
    /// All of them, by ascending key.
    pub const ALL: &'static [Self] = &[
        Self::Produce,
        Self::Fetch,
        Self::ListOffsets,
        Self::Metadata,
        Self::SaslHandshake,
        Self::ApiVersions,
        Self::CreateTopics,
        Self::InitProducerId,
        Self::SaslAuthenticate,
    ];

    /// Returns the key on the wire.
    #[must_use]
    pub const fn code(self) -> i16 {
        self.properties().0
    }

    /// Returns the newest version that [`wire`](crate::wire) can read and write.
    #[must_use]
    pub const fn newest(self) -> i16 {
        self.properties().1
    }

    /// Returns the API with this key.
    #[must_use]
    pub fn from_code(code: i16) -> Option<Self> {
        Self::ALL.iter().copied().find(|api| api.code() == code)
    }

    /// Returns true if this version has compact lengths and tagged fields (KIP-482).
    #[must_use]
    pub const fn is_flexible(self, version: i16) -> bool {
        version >= self.properties().2
    }

    /// Returns the key, the newest version, and the first flexible one.
    const fn properties(self) -> (i16, i16, i16) {
        match self {
            Self::Produce => (0, 13, 9),
            Self::Fetch => (1, 18, 12),
            Self::ListOffsets => (2, 11, 6),
            Self::Metadata => (3, 13, 9),
            Self::SaslHandshake => (17, 1, i16::MAX),
            Self::ApiVersions => (18, 5, 3),
            Self::CreateTopics => (19, 7, 5),
            Self::InitProducerId => (22, 6, 2),
            Self::SaslAuthenticate => (36, 2, 2),
        }
    }
}
