//! The brokers: those given with `--brokers`, or a cluster inside this program.

use kafka_batch_testing::{TestCluster, Topic};

use crate::args::Args;
use crate::failure::Failure;

pub(crate) enum Cluster {
    Named(String),
    /// Dropping it stops it.
    Embedded(TestCluster),
}

impl Cluster {
    const PARTITIONS: usize = 3;

    pub(crate) fn find(args: &Args) -> Result<Self, Failure> {
        if let Some(brokers) = &args.brokers {
            return Ok(Self::Named(brokers.clone()));
        }
        let brokers = if args.watch { 3 } else { 1 };
        let topic = Topic::new(&args.topic).partitions(Self::PARTITIONS);
        let cluster = TestCluster::builder().brokers(brokers).topic(topic).start();
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

    pub(crate) const fn embedded(&self) -> Option<&TestCluster> {
        match self {
            Self::Named(_) => None,
            Self::Embedded(cluster) => Some(cluster),
        }
    }
}
