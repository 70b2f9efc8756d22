//! The command line arguments.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use clap::builder::NonEmptyStringValueParser;
use kafka_batch::{Compression, DEFAULT_BATCH_SIZE};

use crate::transport::TransportName;

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/bike-stations.jsonl");

/// Publishes JSON lines to Kafka, shows how its batches fill, reads them back, and compares them.
///
/// Without arguments: the sample data, to a Kafka cluster inside this program.
#[derive(Parser)]
pub(crate) struct Args {
    /// JSON lines: one value, one record; - is standard input
    #[arg(default_value = SAMPLE, hide_default_value = true)]
    pub(crate) file: PathBuf,

    /// Addresses of a Kafka cluster to use instead of the one inside this program
    #[arg(long, value_name = "HOST:PORT,...", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) brokers: Option<String>,

    /// The transport
    #[arg(long, value_enum, default_value_t = TransportName::Tokio)]
    pub(crate) transport: TransportName,

    /// The topic; it must exist, unless the brokers create topics automatically
    #[arg(long, default_value = "bike-stations", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) topic: String,

    /// The partition for all batches; by default, the producer chooses one for each
    #[arg(long, allow_negative_numbers = true, value_parser = clap::value_parser!(i32).range(0..))]
    pub(crate) partition: Option<i32>,

    /// The maximum size of a batch before compression, including its header
    #[arg(long, value_name = "BYTES", default_value_t = DEFAULT_BATCH_SIZE)]
    pub(crate) batch_size: usize,

    /// none, gzip, snappy, lz4 or zstd; gzip and zstd with an optional level, as in gzip:9
    #[arg(long, value_name = "CODEC", default_value = "lz4")]
    pub(crate) compression: Compression,

    /// A header of all records; may be repeated, also with the same name
    #[arg(long = "header", value_name = "NAME=VALUE", value_parser = header)]
    pub(crate) headers: Vec<(String, String)>,

    /// The header `correlation_id` of all records
    #[arg(long, value_name = "ID")]
    pub(crate) correlation_id: Option<String>,

    /// The header `reply_to` of all records: the topic for replies
    #[arg(long, value_name = "TOPIC")]
    pub(crate) reply_to: Option<String>,

    /// The JSON field with the record's key, a string or number; lines without it have no key
    #[arg(long, value_name = "FIELD", default_value = "station")]
    pub(crate) key_field: String,

    /// The JSON field with the record's timestamp, in milliseconds since the Unix epoch; lines without it have the current time
    #[arg(long, value_name = "FIELD", default_value = "at")]
    pub(crate) time_field: String,

    /// Publish the input again and again, as single messages, and draw what the producer does; q ends it. Needs --features watch
    #[arg(long, conflicts_with_all = ["headers", "correlation_id", "reply_to"])]
    pub(crate) watch: bool,

    /// With --watch: end after this time
    #[arg(long, value_name = "SECONDS", value_parser = seconds, requires = "watch")]
    #[cfg_attr(not(feature = "watch"), allow(dead_code, reason = "only --watch reads it"))]
    pub(crate) seconds: Option<Duration>,

    /// With --watch: the records a second at the peak of the load
    #[arg(long, value_name = "RECORDS", default_value_t = 20_000, value_parser = clap::value_parser!(u32).range(1..))]
    #[cfg_attr(not(feature = "watch"), allow(dead_code, reason = "only --watch reads it"))]
    pub(crate) rate: u32,

    /// With --watch: write the last pictures to this file, as an animated SVG
    #[arg(long, value_name = "FILE", requires = "watch")]
    #[cfg_attr(not(feature = "watch"), allow(dead_code, reason = "only --watch reads it"))]
    pub(crate) svg: Option<PathBuf>,

    /// How long to wait for a broker's response
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    pub(crate) timeout: Duration,
}

fn header(text: &str) -> Result<(String, String), &'static str> {
    match text.split_once('=') {
        Some(("", _)) => Err("the name is empty: write NAME=VALUE"),
        Some((name, value)) => Ok((name.into(), value.into())),
        None => Err("there is no = in it: write NAME=VALUE, with nothing after = for an empty value"),
    }
}

fn seconds(text: &str) -> Result<Duration, &'static str> {
    match text.parse() {
        Ok(seconds @ 1..=3_600) => Ok(Duration::from_secs(seconds)),
        _ => Err("write a whole number of seconds from 1 to 3600"),
    }
}
