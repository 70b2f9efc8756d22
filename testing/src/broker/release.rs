//! The Kafka release that a broker simulates: the versions it lists, and its rules.

use crate::api_key::ApiKey;
use crate::cluster::producers::{Rules, code};
use kafka_batch_core::Magic;

/// A release of Apache Kafka.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum Release {
    V0_8,
    V0_9,
    V0_10,
    V0_11,
    V1_1,
    V2_0,
    V2_1,
    V2_4,
    V2_8,
    V3_7,
    V3_9,
    V4_0,
    V4_1,
    V4_4,
}

impl Release {
    /// The newest release.
    pub const NEWEST: Self = Self::V4_4;

    /// All releases.
    pub const ALL: [Self; 14] = [
        Self::V0_8,
        Self::V0_9,
        Self::V0_10,
        Self::V0_11,
        Self::V1_1,
        Self::V2_0,
        Self::V2_1,
        Self::V2_4,
        Self::V2_8,
        Self::V3_7,
        Self::V3_9,
        Self::V4_0,
        Self::V4_1,
        Self::V4_4,
    ];

    /// Returns the version number.
    #[must_use]
    pub const fn version(self) -> &'static str {
        match self {
            Self::V0_8 => "0.8.2.2",
            Self::V0_9 => "0.9.0.1",
            Self::V0_10 => "0.10.2.2",
            Self::V0_11 => "0.11.0.3",
            Self::V1_1 => "1.1.1",
            Self::V2_0 => "2.0.1",
            Self::V2_1 => "2.1.1",
            Self::V2_4 => "2.4.1",
            Self::V2_8 => "2.8.2",
            Self::V3_7 => "3.7.2",
            Self::V3_9 => "3.9.1",
            Self::V4_0 => "4.0.0",
            Self::V4_1 => "4.1.0",
            Self::V4_4 => "4.4.0",
        }
    }

    /// Returns the versions of an API that it lists.
    #[must_use]
    pub const fn lists(self, api: ApiKey) -> Option<(i16, i16)> {
        // For each release, in order; −1 if there is none.
        const NONE: i16 = -1;
        let newest = match api {
            ApiKey::Produce => [0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 13],
            ApiKey::Fetch => [0, 1, 3, 5, 7, 8, 10, 11, 12, 16, 17, 17, 18, 18],
            ApiKey::ListOffsets => [0, 0, 1, 2, 2, 3, 4, 5, 6, 8, 9, 10, 10, 11],
            ApiKey::Metadata => [0, 0, 2, 4, 5, 6, 7, 9, 11, 12, 12, 13, 13, 13],
            ApiKey::ApiVersions => [NONE, NONE, 0, 1, 1, 2, 2, 3, 3, 3, 4, 4, 4, 5],
            ApiKey::CreateTopics => [NONE, NONE, 1, 2, 2, 3, 3, 5, 7, 7, 7, 7, 7, 7],
            ApiKey::InitProducerId => [NONE, NONE, NONE, 0, 0, 1, 1, 2, 4, 4, 5, 5, 5, 5],
            ApiKey::OffsetForLeaderEpoch => [NONE, NONE, NONE, 0, 0, 1, 2, 3, 4, 4, 4, 4, 4, 4],
            ApiKey::OffsetCommit => [1, 2, 2, 3, 3, 4, 6, 8, 8, 9, 9, 9, 10, 10],
            ApiKey::OffsetFetch => [1, 1, 2, 3, 3, 4, 5, 6, 7, 9, 9, 9, 10, 10],
            ApiKey::FindCoordinator => [0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 6, 6, 6, 6],
            ApiKey::AddPartitionsToTxn => [NONE, NONE, NONE, 0, 0, 1, 1, 1, 3, 4, 5, 5, 5, 5],
            ApiKey::AddOffsetsToTxn => [NONE, NONE, NONE, 0, 0, 1, 1, 1, 3, 3, 4, 4, 4, 4],
            ApiKey::EndTxn => [NONE, NONE, NONE, 0, 0, 1, 1, 1, 3, 3, 4, 5, 5, 5],
            ApiKey::TxnOffsetCommit => [NONE, NONE, NONE, 0, 0, 1, 2, 2, 3, 3, 4, 5, 5, 6],
            ApiKey::SaslHandshake => [NONE, NONE, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1],
            ApiKey::SaslAuthenticate => [NONE, NONE, NONE, NONE, 0, 0, 0, 1, 2, 2, 2, 2, 2, 2],
            ApiKey::DescribeTransactions => [NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, NONE, 0, 0, 0, 0, 0],
        };
        let newest = newest[self as usize];
        if newest == NONE {
            return None;
        }
        let is_4 = matches!(self, Self::V4_0 | Self::V4_1 | Self::V4_4);
        let oldest = match api {
            ApiKey::Fetch if is_4 => 4,
            ApiKey::ListOffsets if is_4 => 1,
            ApiKey::CreateTopics | ApiKey::OffsetForLeaderEpoch if is_4 => 2,
            ApiKey::OffsetCommit if is_4 => 2,
            ApiKey::OffsetFetch if is_4 => 1,
            _ => 0,
        };
        Some((oldest, newest))
    }

    /// Returns the versions of an API that it supports: Kafka 4 lists Produce v0 to v2, but closes the connection on
    /// them.
    #[must_use]
    pub fn supports(self, api: ApiKey, version: i16) -> bool {
        let listed = self.lists(api).is_some_and(|(first, last)| (first..=last).contains(&version));
        listed && !(api == ApiKey::Produce && self >= Self::V4_0 && version < 3)
    }

    /// Returns the newest format that it accepts.
    #[must_use]
    pub const fn magic(self) -> Magic {
        match self {
            Self::V0_8 | Self::V0_9 => Magic::V0,
            Self::V0_10 => Magic::V1,
            _ => Magic::V2,
        }
    }

    /// Returns true if it checks that a transaction contains the partition of a batch (KIP-890, from 3.6 on).
    #[must_use]
    pub(crate) fn verifies_transactions(self) -> bool {
        self >= Self::V3_7
    }

    /// Returns the highest level of the feature `transaction.version` that it supports.
    #[must_use]
    pub(crate) fn transaction_level(self) -> i16 {
        if self >= Self::V4_0 { 2 } else { 0 }
    }

    /// Returns its rules for sequence numbers.
    #[must_use]
    pub const fn rules(self) -> Rules {
        match self {
            Self::V0_8 | Self::V0_9 | Self::V0_10 | Self::V0_11 => {
                Rules { remembered: 1, unknown: Some(code::OUT_OF_ORDER), forgotten: code::DUPLICATE }
            }
            Self::V1_1 => Rules { remembered: 5, unknown: Some(code::UNKNOWN_PRODUCER), forgotten: code::DUPLICATE },
            Self::V2_0 | Self::V2_1 | Self::V2_4 => {
                Rules { remembered: 5, unknown: Some(code::UNKNOWN_PRODUCER), forgotten: code::OUT_OF_ORDER }
            }
            _ => Rules { remembered: 5, unknown: None, forgotten: code::OUT_OF_ORDER },
        }
    }
}
