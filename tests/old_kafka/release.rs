//! The broker that the tests were given, and what is known of its release.

use std::path::PathBuf;

use kafka_batch::{BrokerVersion, Codec, Compression, Magic};

use super::environment::variable;

/// Apache Kafka, as the environment describes it. A test without one has failed, not been skipped.
#[derive(Clone, Debug)]
pub(crate) struct OldKafka {
    pub(crate) address: String,
    pub(crate) version: String,
}

impl OldKafka {
    pub(crate) fn here() -> Self {
        Self { address: variable("KAFKA_BATCH_BROKERS"), version: variable("KAFKA_BATCH_KAFKA_VERSION") }
    }

    /// The newest Produce version that the release knows, and the newest of InitProducerId: from the protocol's history.
    pub(crate) fn speaks(&self) -> (i16, Option<i16>) {
        match self.line() {
            "0.9" => (1, None),
            "0.10" => (2, None),
            "0.11" => (3, Some(0)),
            "1.1" => (5, Some(0)),
            "2.8" => (9, Some(4)),
            other => panic!("nothing is known here of Kafka {other}"),
        }
    }

    /// The format in which it keeps its log, and so the one to send.
    pub(crate) fn magic(&self) -> Magic {
        match self.line() {
            "0.9" => Magic::V0,
            "0.10" => Magic::V1,
            _ => Magic::V2,
        }
    }

    pub(crate) fn takes(&self, compression: Compression) -> bool {
        compression.codec() != Codec::Zstd || self.line() == "2.8"
    }

    /// What has to be told of a broker that cannot be asked.
    pub(crate) fn fallback(&self) -> Option<BrokerVersion> {
        (self.line() == "0.9").then(|| self.version.parse::<BrokerVersion>().unwrap())
    }

    /// The first two numbers of its version.
    pub(crate) fn line(&self) -> &str {
        let end = self.version.match_indices('.').nth(1).map_or(self.version.len(), |(at, _)| at);
        &self.version[..end]
    }

    /// The segment with which a topic's only partition begins.
    pub(crate) fn segment(&self, topic: &str) -> PathBuf {
        let data = PathBuf::from(variable("KAFKA_BATCH_KAFKA_DATA"));
        data.join(format!("{topic}-0")).join("00000000000000000000.log")
    }
}
