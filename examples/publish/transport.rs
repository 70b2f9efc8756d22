//! Creates the transports; the rest of the program is the same for all.

use clap::ValueEnum;
#[cfg(feature = "async-std")]
use kafka_batch::AsyncStdProducer;
use kafka_batch::{BatchOptions, SendErrorReason, TokioProducer, Transport};
#[cfg(feature = "rdkafka")]
use kafka_batch::{RdkafkaProducer, transports::rdkafka::ConfigError};

use crate::args::Args;
use crate::failure::Failure;

/// The transport.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum TransportName {
    /// sends the filled batches as they are, on tokio
    Tokio,
    /// sends the filled batches as they are, on async-std (needs --features async-std)
    AsyncStd,
    /// librdkafka, which builds its own batches (needs --features rdkafka)
    Rdkafka,
}

/// Returns the failure for a transport whose feature is not enabled.
#[cfg(not(all(feature = "async-std", feature = "rdkafka")))]
pub(crate) fn not_built_in(transport: TransportName) -> Failure {
    let name = transport.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
    let remedy = format!("cargo run --example publish --features {name} -- --transport {name}");
    Failure::new(format!("this program was built without the transport {name}"), remedy)
}

pub(crate) fn over_tokio(args: &Args, brokers: &str) -> Result<TokioProducer, Failure> {
    let builder = TokioProducer::builder().batch_options(options(args));
    let builder = settings(args, brokers).into_iter().fold(builder, |builder, (name, value)| builder.set(name, value));
    builder.build().map_err(|error| Failure::new(error, "see to --brokers"))
}

/// Creates the producer of `--watch`, which gathers single messages.
#[cfg(feature = "watch")]
pub(crate) fn over_tokio_observed(
    args: &Args,
    brokers: &str,
    observer: impl kafka_batch::observer::Observer,
) -> Result<TokioProducer, Failure> {
    let builder = TokioProducer::builder().batch_options(options(args)).observer(observer).set("linger.ms", "50");
    let builder = settings(args, brokers).into_iter().fold(builder, |builder, (name, value)| builder.set(name, value));
    builder.build().map_err(|error| Failure::new(error, "see to --brokers"))
}

#[cfg(feature = "async-std")]
pub(crate) fn over_async_std(args: &Args, brokers: &str) -> Result<AsyncStdProducer, Failure> {
    let builder = AsyncStdProducer::builder().batch_options(options(args));
    let builder = settings(args, brokers).into_iter().fold(builder, |builder, (name, value)| builder.set(name, value));
    builder.build().map_err(|error| Failure::new(error, "see to --brokers"))
}

fn settings(args: &Args, brokers: &str) -> [(&'static str, String); 3] {
    let timeout = args.timeout.as_millis().to_string();
    [
        ("bootstrap.servers", brokers.to_owned()),
        ("request.timeout.ms", timeout.clone()),
        ("delivery.timeout.ms", timeout),
    ]
}

#[cfg(feature = "rdkafka")]
pub(crate) fn over_rdkafka(args: &Args, brokers: &str) -> Result<RdkafkaProducer, Failure> {
    // librdkafka compresses its own batches, so it gets the same compression settings as ours.
    let compression = args.compression.to_string();
    let (codec, level) = compression.split_once(':').unwrap_or((&compression, "-1"));
    let builder = RdkafkaProducer::builder()
        .set("bootstrap.servers", brokers)
        .set("compression.type", codec)
        .set("compression.level", level)
        .set("message.timeout.ms", args.timeout.as_millis().to_string())
        .metadata_timeout(args.timeout)
        .batch_options(options(args));
    builder.build().map_err(|error| misconfigured(args, &error))
}

fn options(args: &Args) -> BatchOptions {
    BatchOptions::default().batch_size(args.batch_size).compression(args.compression)
}

/// Returns the failure for an argument that librdkafka rejects.
#[cfg(feature = "rdkafka")]
fn misconfigured(args: &Args, error: &ConfigError) -> Failure {
    let compression = args.compression;
    let (option, remedy) = match error {
        ConfigError::Setting { setting, .. } if setting == "compression.type" => {
            (format!("--compression {}: ", compression.codec()), "choose none, gzip, snappy or lz4")
        }
        ConfigError::Setting { setting, .. } if setting == "compression.level" => {
            (format!("--compression {compression}: "), "choose another level, or leave it out")
        }
        _ => (String::new(), "see to --brokers"),
    };
    Failure::new(format!("{option}{error}"), remedy)
}

/// Looks up the topic, so that errors occur before anything is sent.
pub(crate) async fn greet(producer: &impl Transport, args: &Args) -> Result<(), Failure> {
    match producer.partition_count(&args.topic).await {
        Ok(partitions) => match args.partition {
            Some(asked) if asked.unsigned_abs() >= partitions.get() => {
                let what = format!("--partition {asked}: topic {} has {partitions} of them", args.topic);
                Err(Failure::new(what, format!("name one from 0 to {}", partitions.get() - 1)))
            }
            _ => Ok(()),
        },
        Err(error @ SendErrorReason::UnknownTopic { .. }) => {
            Err(Failure::new(error, "create that topic, or name another with --topic"))
        }
        Err(error) => Err(Failure::new(error, "check that the brokers run, and name them with --brokers HOST:PORT")),
    }
}
