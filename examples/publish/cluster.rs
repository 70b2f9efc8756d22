//! The brokers: those given with `--brokers`, or a cluster inside this program.

use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;

use crate::args::Args;
use crate::failure::Failure;

pub(crate) enum Cluster {
    Named(String),
    /// librdkafka's mock cluster, which uses real sockets. Dropping it stops it.
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
}
