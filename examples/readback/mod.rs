//! Reads the published records back, and compares every field: from the log of the cluster inside the program, or from other
//! brokers with librdkafka's consumer, if the feature `rdkafka` is enabled.

#[cfg(feature = "rdkafka")]
mod consumer;
mod log;

use std::fmt::Display;
use std::time::Duration;

use kafka_batch::decode::RecordView;
use kafka_batch::{Delivery, TopicPartition};
use kafka_batch_testing::TestCluster;

use crate::failure::Failure;

pub(crate) enum ReadBack<'c> {
    Log(&'c TestCluster),
    #[cfg(feature = "rdkafka")]
    Consumer(consumer::Consumer),
    /// From other brokers, without a consumer.
    #[cfg(not(feature = "rdkafka"))]
    Nothing,
}

/// A field of a record, as it was read back.
struct Stored<'r> {
    key: Option<&'r [u8]>,
    value: Option<&'r [u8]>,
    headers: Vec<(&'r str, Option<&'r [u8]>)>,
    timestamp_ms: Option<i64>,
}

impl<'c> ReadBack<'c> {
    /// Reads from the cluster inside the program, or else from these brokers.
    pub(crate) fn new(embedded: Option<&'c TestCluster>, brokers: &str, timeout: Duration) -> Result<Self, Failure> {
        if let Some(cluster) = embedded {
            return Ok(Self::Log(cluster));
        }
        #[cfg(feature = "rdkafka")]
        return consumer::Consumer::new(brokers, timeout).map(Self::Consumer);
        #[cfg(not(feature = "rdkafka"))]
        {
            let _ = (brokers, timeout);
            Ok(Self::Nothing)
        }
    }

    /// Reads the records of this delivery; returns an error for the first one that differs from what was published. Skips
    /// records of other producers in between.
    pub(crate) fn compare(&mut self, delivery: Delivery) -> Result<(), Failure> {
        match self {
            Self::Log(cluster) => log::compare(cluster, delivery),
            #[cfg(feature = "rdkafka")]
            Self::Consumer(consumer) => consumer.compare(delivery),
            #[cfg(not(feature = "rdkafka"))]
            Self::Nothing => Ok(()),
        }
    }

    /// Describes what was found when all records were compared.
    pub(crate) fn result(&self, brokers: &str, topic: &str) -> String {
        let was_read = match self {
            Self::Log(_) => true,
            #[cfg(feature = "rdkafka")]
            Self::Consumer(_) => true,
            #[cfg(not(feature = "rdkafka"))]
            Self::Nothing => false,
        };
        if was_read {
            return "all read back as they were published".to_owned();
        }
        format!(
            "not read back, which needs --features rdkafka; to see them:\n\
             kafka-console-consumer.sh --bootstrap-server {brokers} --topic {topic} --from-beginning"
        )
    }
}

fn unread(to: &TopicPartition, error: &dyn Display) -> Failure {
    Failure::new(format!("{to} could not be read back: {error}"), "see to the brokers, or give a longer --timeout")
}

/// Compares a record with what is stored at its offset.
fn check(to: &TopicPartition, offset: i64, record: &RecordView<'_>, stored: &Stored<'_>) -> Result<(), Failure> {
    match difference(record, stored) {
        Some(field) => {
            let what = format!("{to}, offset {offset}: the {field} differs from what was published");
            Err(Failure::new(what, "none: this is a fault of this program or of the brokers"))
        }
        None => Ok(()),
    }
}

/// Returns the first field that differs, if any.
fn difference(record: &RecordView<'_>, stored: &Stored<'_>) -> Option<&'static str> {
    let headers = record.headers.iter().map(|header| (header.name, header.value));
    if stored.key != record.key {
        Some("key")
    } else if stored.value != record.value {
        Some("value")
    } else if !stored.headers.iter().copied().eq(headers) {
        Some("header list")
    } else if stored.timestamp_ms != Some(record.timestamp.millis()) {
        Some("timestamp")
    } else {
        None
    }
}
