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
    /// Key 8.
    OffsetCommit,
    /// Key 9.
    OffsetFetch,
    /// Key 10.
    FindCoordinator,
    /// Key 17.
    SaslHandshake,
    /// Key 18.
    ApiVersions,
    /// Key 19.
    CreateTopics,
    /// Key 22.
    InitProducerId,
    /// Key 23.
    OffsetForLeaderEpoch,
    /// Key 24.
    AddPartitionsToTxn,
    /// Key 25.
    AddOffsetsToTxn,
    /// Key 26.
    EndTxn,
    /// Key 28.
    TxnOffsetCommit,
    /// Key 36.
    SaslAuthenticate,
    /// Key 65.
    DescribeTransactions,
}

impl ApiKey {
    /// All of them, by ascending key.
    pub const ALL: &'static [Self] = &[
        Self::Produce,
        Self::Fetch,
        Self::ListOffsets,
        Self::Metadata,
        Self::OffsetCommit,
        Self::OffsetFetch,
        Self::FindCoordinator,
        Self::SaslHandshake,
        Self::ApiVersions,
        Self::CreateTopics,
        Self::InitProducerId,
        Self::OffsetForLeaderEpoch,
        Self::AddPartitionsToTxn,
        Self::AddOffsetsToTxn,
        Self::EndTxn,
        Self::TxnOffsetCommit,
        Self::SaslAuthenticate,
        Self::DescribeTransactions,
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
            Self::OffsetCommit => (8, 10, 8),
            Self::OffsetFetch => (9, 10, 6),
            Self::FindCoordinator => (10, 6, 3),
            Self::SaslHandshake => (17, 1, i16::MAX),
            Self::ApiVersions => (18, 5, 3),
            Self::CreateTopics => (19, 7, 5),
            Self::InitProducerId => (22, 6, 2),
            Self::OffsetForLeaderEpoch => (23, 4, 4),
            Self::AddPartitionsToTxn => (24, 5, 3),
            Self::AddOffsetsToTxn => (25, 4, 3),
            Self::EndTxn => (26, 5, 3),
            Self::TxnOffsetCommit => (28, 6, 3),
            Self::SaslAuthenticate => (36, 2, 2),
            Self::DescribeTransactions => (65, 0, 0),
        }
    }
}
