//! The command line arguments.

use std::time::Duration;

use clap::Parser;
use clap::builder::NonEmptyStringValueParser;
use kafka_batch::protocol::Acks;
use kafka_batch::{Compression, DEFAULT_BATCH_SIZE};

/// Publishes generated records to Kafka over `std::net`, without any runtime, and reads them back.
///
/// Without arguments: to a Kafka cluster inside this program.
#[derive(Parser)]
pub(crate) struct Args {
    /// Addresses of a Kafka cluster to use instead of the one inside this program
    #[arg(long, value_name = "HOST:PORT,...", value_delimiter = ',', value_parser = address)]
    pub(crate) brokers: Vec<(String, u16)>,

    /// The topic; it must exist, unless the brokers create topics automatically
    #[arg(long, default_value = "readings", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) topic: String,

    /// The partition for all batches; by default, the partitions in turn
    #[arg(long, allow_negative_numbers = true, value_parser = clap::value_parser!(i32).range(0..))]
    pub(crate) partition: Option<i32>,

    /// The number of records to publish
    #[arg(long, value_name = "RECORDS", default_value_t = 10_000)]
    pub(crate) count: u32,

    /// The maximum size of a batch before compression, including its header
    #[arg(long, value_name = "BYTES", default_value_t = DEFAULT_BATCH_SIZE)]
    pub(crate) batch_size: usize,

    /// none, gzip, snappy, lz4 or zstd; gzip and zstd with an optional level, as in gzip:9
    #[arg(long, value_name = "CODEC", default_value = "lz4")]
    pub(crate) compression: Compression,

    /// The replicas that must have a batch before it is delivered: all (in-sync replicas), 1 (the leader) or 0 (none)
    #[arg(long, default_value = "all", value_parser = acks)]
    pub(crate) acks: Acks,

    /// Publishes in transactions, with this name, which no other producer uses at the same time
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) transactional_id: Option<String>,

    /// The number of records after which a transaction is committed, with the batch that is being filled
    #[arg(long, value_name = "RECORDS", default_value_t = 1_000, requires = "transactional_id")]
    pub(crate) transaction_records: usize,

    /// The consumer group whose offset of partition 0 is committed in each transaction: the number of records published so far
    #[arg(long, value_name = "GROUP", requires = "transactional_id", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) group: Option<String>,

    /// How long to wait for a broker's response
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    pub(crate) timeout: Duration,
}

/// Parses `HOST:PORT`; an IPv6 address is in brackets.
pub(crate) fn address(text: &str) -> Result<(String, u16), &'static str> {
    let parts = text.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
    match parts.map(|(host, port)| (host.trim_start_matches('[').trim_end_matches(']'), port)) {
        Some((host, port)) if !host.is_empty() => Ok((host.into(), port)),
        _ => Err("write HOST:PORT, as in localhost:9092"),
    }
}

fn acks(text: &str) -> Result<Acks, &'static str> {
    match text {
        "all" | "-1" => Ok(Acks::All),
        "1" => Ok(Acks::Leader),
        "0" => Ok(Acks::None),
        _ => Err("write all, 1 or 0"),
    }
}

fn seconds(text: &str) -> Result<Duration, &'static str> {
    match text.parse() {
        Ok(seconds @ 1..=3_600) => Ok(Duration::from_secs(seconds)),
        _ => Err("write a whole number of seconds from 1 to 3600"),
    }
}
