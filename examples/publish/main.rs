//! Fills batches, shows their fill level, publishes them, reads them back, and compares them.
//!
//! ```text
//! cargo run --example publish
//! cargo run --example publish -- --brokers localhost:9092 --topic orders --compression gzip orders.jsonl
//! cargo run --example publish --features rdkafka -- --transport rdkafka
//! cargo run --example publish --features watch -- --watch
//! ```
//!
//! The central function is [`fill`]: a full batch is a return value and not an error, and the program decides what to do.
//! This one publishes the batch, and continues with the record that did not fit.

mod args;
mod cluster;
mod failure;
#[path = "../readback/mod.rs"]
mod readback;
mod readings;
mod screen;
mod summary;
mod transport;
#[cfg(feature = "watch")]
mod watch;

use std::fmt;
use std::io::{self, Write};
use std::iter::Peekable;
use std::ops::RangeInclusive;
use std::process::ExitCode;

use clap::Parser;
use kafka_batch::message::Defaults;
use kafka_batch::{
    Append, Delivery, Full, FullReason, Header, KafkaBatch, Publish, PublishError, SealErrorReason, Transport,
};

use args::Args;
use cluster::Cluster;
use failure::Failure;
use readback::ReadBack;
use readings::Readings;
use screen::Screen;
use summary::Summary;
use transport::TransportName;

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    if args.watch {
        let mut published = "nothing".to_owned();
        // Errors of writing are ignored, as by `Screen`.
        return match watch(&args, &mut published).await {
            Ok(()) => {
                let _ = writeln!(io::stdout(), "published {published}");
                ExitCode::SUCCESS
            }
            Err(failure) => {
                let _ = writeln!(io::stderr(), "{}", failure.message(&published));
                ExitCode::FAILURE
            }
        };
    }
    let screen = Screen::new(args.batch_size);
    let mut summary = Summary::default();
    match run(&args, &screen, &mut summary).await {
        Ok(()) => {
            screen.line(&summary.message(&args));
            ExitCode::SUCCESS
        }
        Err(failure) => {
            screen.error(&failure.message(&summary.so_far()));
            ExitCode::FAILURE
        }
    }
}

#[cfg(feature = "watch")]
async fn watch(args: &Args, published: &mut String) -> Result<(), Failure> {
    watch::run(args, published).await
}

#[cfg(not(feature = "watch"))]
async fn watch(_: &Args, _: &mut String) -> Result<(), Failure> {
    let remedy = "cargo run --example publish --features watch -- --watch";
    Err(Failure::new("this program was built without --watch", remedy))
}

/// Finds the brokers and creates the transport.
async fn run(args: &Args, screen: &Screen, summary: &mut Summary) -> Result<(), Failure> {
    let readings = Readings::open(args)?.peekable();
    let cluster = Cluster::find(args)?;
    let brokers = cluster.addresses();
    let mut readback = ReadBack::new(cluster.embedded(), &brokers, args.timeout)?;
    match args.transport {
        TransportName::Tokio => {
            publish(transport::over_tokio(args, &brokers)?, readings, &mut readback, args, screen, summary).await?;
        }
        #[cfg(feature = "async-std")]
        TransportName::AsyncStd => {
            publish(transport::over_async_std(args, &brokers)?, readings, &mut readback, args, screen, summary).await?;
        }
        #[cfg(feature = "rdkafka")]
        TransportName::Rdkafka => {
            publish(transport::over_rdkafka(args, &brokers)?, readings, &mut readback, args, screen, summary).await?;
        }
        #[cfg(not(all(feature = "async-std", feature = "rdkafka")))]
        missing => return Err(transport::not_built_in(missing)),
    }
    summary.read_back = readback.result(&brokers, &args.topic);
    Ok(())
}

/// Publishes the input, one batch at a time, over any transport.
async fn publish(
    producer: impl Transport,
    mut readings: Peekable<Readings<'_>>,
    readback: &mut ReadBack<'_>,
    args: &Args,
    screen: &Screen,
    summary: &mut Summary,
) -> Result<(), Failure> {
    transport::greet(&producer, args).await?;
    summary.one_batch_on_the_wire = producer.capabilities().one_batch_on_the_wire;

    let headers: Vec<_> = args.headers.iter().map(|(name, value)| Header::new(name, value)).collect();
    let defaults = Defaults::default()
        .correlation_id(args.correlation_id.as_deref().unwrap_or_default()) // an empty one omits the header
        .reply_to(args.reply_to.as_deref().unwrap_or_default())
        .headers(&headers);

    loop {
        let mut batch = producer.batch();
        screen.begin_batch(summary.batches + 1);
        let (lines, end) = fill(&mut batch, &mut readings, &defaults, screen);
        if let Some(lines) = lines {
            let (fill, raw) = (batch.to_string(), batch.size());
            let sealed = sealed_size(&batch).map_err(|error| Failure::sealing(&lines, &error))?;
            let delivery = send(&producer, args, batch).await.map_err(|error| Failure::publishing(&lines, &error))?;
            summary.add(&delivery, raw, sealed);
            let codec = args.compression.codec();
            let place = summary::place(&delivery);
            screen.line(&format!("batch {:>3}: {fill}, {sealed} as {codec}; {end}; {place}", summary.batches));
            // Compares each batch before the next one is published.
            readback.compare(delivery).map_err(|failure| failure.left_after(&lines))?;
        }
        match end {
            End::Full(_) => {}
            End::OfInput => return Ok(()),
            End::Fault(failure) => return Err(failure),
        }
    }
}

/// Why a batch takes no further record.
enum End {
    Full(Full),
    OfInput,
    Fault(Failure),
}

/// Fills a batch with readings until it is full, the input ends, or a reading is invalid. Returns the range of lines in
/// the batch.
fn fill(
    batch: &mut KafkaBatch,
    readings: &mut Peekable<Readings<'_>>,
    defaults: &Defaults<'_>,
    screen: &Screen,
) -> (Option<RangeInclusive<u64>>, End) {
    let mut lines: Option<RangeInclusive<u64>> = None;
    let (mut records, mut bytes) = (0, batch.size());
    let mut writer = batch.messages(defaults);
    loop {
        let reading = match readings.peek() {
            Some(Ok(reading)) => reading,
            Some(Err(failure)) => return (lines, End::Fault(failure.clone())),
            None => return (lines, End::OfInput),
        };
        match writer.append(reading) {
            Ok(Append::Appended(record)) => {
                lines = Some(lines.map_or(reading.line, |lines| *lines.start())..=reading.line);
                records += 1;
                bytes += record.size;
                screen.filled(records, bytes);
                readings.next();
            }
            // The reading is not consumed: it will be the first one of the next batch.
            Ok(Append::Full(full)) => return (lines, End::Full(full)),
            Err(error) => return (lines, End::Fault(Failure::record(reading.line, &error))),
        }
    }
}

/// Writes why the batch was sealed.
impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OfInput => f.write_str("end of input"),
            Self::Fault(_) => f.write_str("the input stops here"),
            Self::Full(Full { needed, available, reason, .. }) => {
                let limit = match reason {
                    FullReason::BatchSize { .. } => "batch size",
                    FullReason::MaxMessageBytes { .. } => "broker's limit",
                    _ => "limit",
                };
                write!(f, "full ({limit}): next needs {needed}, {available} left")
            }
        }
    }
}

/// Returns the batch's size as compressed by this library. Sealing consumes a batch, so this seals a clone: the batch itself
/// is sent later.
fn sealed_size(batch: &KafkaBatch) -> Result<usize, SealErrorReason> {
    batch.clone().seal().map(|sealed| sealed.size()).map_err(|error| error.reason)
}

async fn send(producer: &impl Transport, args: &Args, batch: KafkaBatch) -> Result<Delivery, PublishError> {
    producer.publish_batch(Publish::to(&args.topic).batch(batch).partition(args.partition)).await
}
