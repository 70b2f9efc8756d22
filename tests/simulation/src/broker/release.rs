//! Which release a broker pretends to be: the versions it lists, and the rules it has.

use kafka_batch_core::Magic;
use kafka_protocol::messages::ApiKey;

use crate::cluster::producers::{Rules, code};

/// A release of Apache Kafka.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum Release {
    V0_9,
    V0_10,
    V0_11,
    V1_1,
    V2_8,
    V3_9,
    V4_0,
    V4_1,
}

impl Release {
    /// All of them.
    pub const ALL: [Self; 8] =
        [Self::V0_9, Self::V0_10, Self::V0_11, Self::V1_1, Self::V2_8, Self::V3_9, Self::V4_0, Self::V4_1];

    /// How its version is written.
    #[must_use]
    pub const fn version(self) -> &'static str {
        match self {
            Self::V0_9 => "0.9.0.1",
            Self::V0_10 => "0.10.2.2",
            Self::V0_11 => "0.11.0.3",
            Self::V1_1 => "1.1.1",
            Self::V2_8 => "2.8.2",
            Self::V3_9 => "3.9.1",
            Self::V4_0 => "4.0.0",
            Self::V4_1 => "4.1.0",
        }
    }

    /// The versions of an API that it lists.
    #[must_use]
    pub const fn lists(self, api: ApiKey) -> Option<(i16, i16)> {
        let newest = match (api, self) {
            (ApiKey::Produce, Self::V0_9) => 1,
            (ApiKey::Produce, Self::V0_10) => 2,
            (ApiKey::Produce, Self::V0_11) => 3,
            (ApiKey::Produce, Self::V1_1) => 5,
            (ApiKey::Produce, Self::V2_8) => 9,
            (ApiKey::Produce, Self::V3_9) => 11,
            (ApiKey::Produce, Self::V4_0) => 12,
            (ApiKey::Produce, Self::V4_1) => 13,
            (ApiKey::Metadata, Self::V0_9) => 0,
            (ApiKey::Metadata, Self::V0_10) => 2,
            (ApiKey::Metadata, Self::V0_11) => 4,
            (ApiKey::Metadata, Self::V1_1) => 5,
            (ApiKey::Metadata, Self::V2_8) => 11,
            (ApiKey::Metadata, Self::V3_9) => 12,
            (ApiKey::Metadata, Self::V4_0 | Self::V4_1) => 13,
            (ApiKey::ApiVersions, Self::V0_10) => 0,
            (ApiKey::ApiVersions, Self::V0_11 | Self::V1_1) => 1,
            (ApiKey::ApiVersions, Self::V2_8) => 3,
            (ApiKey::ApiVersions, Self::V3_9 | Self::V4_0 | Self::V4_1) => 4,
            (ApiKey::InitProducerId, Self::V0_11 | Self::V1_1) => 0,
            (ApiKey::InitProducerId, Self::V2_8) => 4,
            (ApiKey::InitProducerId, Self::V3_9 | Self::V4_0 | Self::V4_1) => 5,
            _ => return None,
        };
        Some((0, newest))
    }

    /// The versions of an API that it speaks: Kafka 4 lists Produce v0 to v2, and hangs up on them.
    #[must_use]
    pub fn speaks(self, api: ApiKey, version: i16) -> bool {
        let first = if api == ApiKey::Produce && self >= Self::V4_0 { 3 } else { 0 };
        self.lists(api).is_some_and(|(_, last)| (first..=last).contains(&version))
    }

    /// The newest format that it takes.
    #[must_use]
    pub const fn magic(self) -> Magic {
        match self {
            Self::V0_9 => Magic::V0,
            Self::V0_10 => Magic::V1,
            _ => Magic::V2,
        }
    }

    /// Its rules for sequence numbers.
    #[must_use]
    pub const fn rules(self) -> Rules {
        match self {
            Self::V0_9 | Self::V0_10 | Self::V0_11 => {
                Rules { remembered: 1, unknown: Some(code::OUT_OF_ORDER), forgotten: code::DUPLICATE }
            }
            Self::V1_1 => Rules { remembered: 5, unknown: Some(code::UNKNOWN_PRODUCER), forgotten: code::DUPLICATE },
            _ => Rules { remembered: 5, unknown: None, forgotten: code::OUT_OF_ORDER },
        }
    }
}
