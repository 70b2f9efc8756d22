//! The brokers: those that were named, or a cluster inside this program.

use kafka_batch::rdkafka::{ConfigError, RdkafkaProducer};
use kafka_batch::{BatchOptions, SendErrorReason, Transport};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;

use crate::args::Args;
use crate::failure::Failure;

pub(crate) enum Cluster {
    Named(String),
    /// librdkafka's mock cluster: real sockets, and brokers enough for a client. It ends when it is dropped.
    Embedded(MockCluster<'static, DefaultProducerContext>),
}

impl Cluster {
    const PARTITIONS: i32 = 3;

    pub(crate) fn find(args: &Args) -> Result<Self, Failure> {
        if let Some(brokers) = &args.brokers {
            return Ok(Self::Named(brokers.clone()));
        }
        let cluster = MockCluster::new(1).and_then(|cluster| {
            cluster.create_topic(&args.topic, Self::PARTITIONS, 1)?;
            Ok(cluster)
        });
        cluster.map(Self::Embedded).map_err(|error| {
            Failure::new(format!("the cluster inside this program did not start: {error}"), "name one with --brokers")
        })
    }

    pub(crate) fn addresses(&self) -> String {
        match self {
            Self::Named(brokers) => brokers.clone(),
            Self::Embedded(cluster) => cluster.bootstrap_servers(),
        }
    }

    /// A producer for this cluster. That there is somebody to send to is seen to before anything is sent.
    pub(crate) async fn connect(&self, args: &Args) -> Result<RdkafkaProducer, Failure> {
        // librdkafka compresses by itself, so it is told what our batches are told.
        let compression = args.compression.to_string();
        let (codec, level) = compression.split_once(':').unwrap_or((&compression, "-1"));
        let options = BatchOptions::default().batch_size(args.batch_size).compression(args.compression);
        let producer = RdkafkaProducer::builder()
            .set("bootstrap.servers", self.addresses())
            .set("compression.type", codec)
            .set("compression.level", level)
            .set("message.timeout.ms", args.timeout.as_millis().to_string())
            .metadata_timeout(args.timeout)
            .batch_options(options)
            .create()
            .map_err(|error| misconfigured(args, &error))?;
        match producer.partition_count(&args.topic).await {
            Ok(partitions) => match args.partition {
                Some(asked) if asked.unsigned_abs() >= partitions.get() => {
                    let what = format!("--partition {asked}: topic {} has {partitions} of them", args.topic);
                    Err(Failure::new(what, format!("name one from 0 to {}", partitions.get() - 1)))
                }
                _ => Ok(producer),
            },
            Err(error @ SendErrorReason::UnknownTopic { .. }) => {
                Err(Failure::new(error, "create that topic, or name another with --topic"))
            }
            Err(error) => Err(Failure::new(error, "see that the brokers run, and name them with --brokers HOST:PORT")),
        }
    }
}

/// What this program was told, and librdkafka does not take.
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
