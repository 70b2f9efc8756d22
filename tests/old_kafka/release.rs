//! The broker that the tests use, and the properties of its release.

use std::path::PathBuf;

use kafka_batch::compression::Codec;
use kafka_batch::{BrokerVersion, Compression, Magic};

use super::environment::variable;

/// Apache Kafka, as described by the environment. A test without it fails; it is not skipped.
#[derive(Clone, Debug)]
pub(crate) struct OldKafka {
    pub(crate) address: String,
    pub(crate) version: String,
}

impl OldKafka {
    pub(crate) fn here() -> Self {
        Self { address: variable("KAFKA_BATCH_BROKERS"), version: variable("KAFKA_BATCH_KAFKA_VERSION") }
    }

    /// Returns the newest versions of Produce and InitProducerId of the release, from the protocol's history.
    pub(crate) fn newest_versions(&self) -> (i16, Option<i16>) {
        match self.line() {
            "0.9" => (1, None),
            "0.10" => (2, None),
            "0.11" => (3, Some(0)),
            "1.1" => (5, Some(0)),
            "2.8" => (9, Some(4)),
            other => panic!("Kafka {other} is not in this table"),
        }
    }

    /// Returns the format of its log, which is the one to send.
    pub(crate) fn magic(&self) -> Magic {
        match self.line() {
            "0.9" => Magic::V0,
            "0.10" => Magic::V1,
            _ => Magic::V2,
        }
    }

    pub(crate) fn supports(&self, compression: Compression) -> bool {
        compression.codec() != Codec::Zstd || self.line() == "2.8"
    }

    /// Returns the setting for a broker that does not support ApiVersions.
    pub(crate) fn fallback(&self) -> Option<BrokerVersion> {
        (self.line() == "0.9").then(|| self.version.parse::<BrokerVersion>().unwrap())
    }

    /// Returns the first two numbers of its version.
    pub(crate) fn line(&self) -> &str {
        let end = self.version.match_indices('.').nth(1).map_or(self.version.len(), |(at, _)| at);
        &self.version[..end]
    }

    /// Returns the first segment of a topic's only partition.
    pub(crate) fn segment(&self, topic: &str) -> PathBuf {
        let data = PathBuf::from(variable("KAFKA_BATCH_KAFKA_DATA"));
        data.join(format!("{topic}-0")).join("00000000000000000000.log")
    }
}
