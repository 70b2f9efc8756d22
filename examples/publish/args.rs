//! What the program can be told.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use clap::builder::NonEmptyStringValueParser;
use kafka_batch::{Compression, DEFAULT_BATCH_SIZE};

use crate::transport::TransportName;

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/bike-stations.jsonl");

/// Publishes JSON lines to Kafka, in batches that are filled before your eyes, reads them back, and compares.
///
/// Without arguments: the sample data, to a Kafka cluster inside this program.
#[derive(Parser)]
pub(crate) struct Args {
    /// JSON lines: one value, one record; - is standard input
    #[arg(default_value = SAMPLE, hide_default_value = true)]
    pub(crate) file: PathBuf,

    /// Addresses of a Kafka cluster, instead of the one inside this program
    #[arg(long, value_name = "HOST:PORT,...", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) brokers: Option<String>,

    /// What carries the batches
    #[arg(long, value_enum, default_value_t = TransportName::Tokio)]
    pub(crate) transport: TransportName,

    /// The topic; it should exist, unless the brokers create topics by themselves
    #[arg(long, default_value = "bike-stations", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) topic: String,

    /// The partition for all the batches; without it, the producer picks one for each
    #[arg(long, allow_negative_numbers = true, value_parser = clap::value_parser!(i32).range(0..))]
    pub(crate) partition: Option<i32>,

    /// The bytes that a batch may have before compression, header included
    #[arg(long, value_name = "BYTES", default_value_t = DEFAULT_BATCH_SIZE)]
    pub(crate) batch_size: usize,

    /// none, gzip, snappy, lz4 or zstd; gzip and zstd also with a level, as in gzip:9
    #[arg(long, value_name = "CODEC", default_value = "lz4")]
    pub(crate) compression: Compression,

    /// A header for all the records; may be repeated, and so may its name
    #[arg(long = "header", value_name = "NAME=VALUE", value_parser = header)]
    pub(crate) headers: Vec<(String, String)>,

    /// The header `correlation_id` of all the records
    #[arg(long, value_name = "ID")]
    pub(crate) correlation_id: Option<String>,

    /// The header `reply_to` of all the records: the topic for answers
    #[arg(long, value_name = "TOPIC")]
    pub(crate) reply_to: Option<String>,

    /// The field whose text or number is the record's key; a line without it has none
    #[arg(long, value_name = "FIELD", default_value = "station")]
    pub(crate) key_field: String,

    /// The field with the record's time, in milliseconds since the epoch; a line without it has the present time
    #[arg(long, value_name = "FIELD", default_value = "at")]
    pub(crate) time_field: String,

    /// How long to wait for a broker's answer before giving up
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
