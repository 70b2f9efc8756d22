//! The brokers: those given with `--brokers`, or a cluster inside this program.

use kafka_batch_testing::{TestCluster, Topic};

use crate::args::{self, Args};
use crate::failure::Failure;

pub(crate) struct Cluster {
    pub(crate) addresses: Vec<(String, u16)>,
    /// Dropping it stops it.
    pub(crate) embedded: Option<TestCluster>,
}

impl Cluster {
    const BROKERS: usize = 3;
    const PARTITIONS: usize = 3;

    pub(crate) fn find(args: &Args) -> Result<Self, Failure> {
        if !args.brokers.is_empty() {
            return Ok(Self { addresses: args.brokers.clone(), embedded: None });
        }
        let topic = Topic::new(&args.topic).partitions(Self::PARTITIONS);
        let cluster = TestCluster::builder().brokers(Self::BROKERS).topic(topic).start().map_err(|error| {
            Failure::new(format!("the cluster inside this program did not start: {error}"), "name one with --brokers")
        })?;
        let addresses = cluster.bootstrap_servers();
        let addresses = addresses.split(',').filter_map(|address| args::address(address).ok()).collect();
        Ok(Self { addresses, embedded: Some(cluster) })
    }

    /// Returns the addresses in the format of `bootstrap.servers`.
    pub(crate) fn bootstrap_servers(&self) -> String {
        let named = |(host, port): &(String, u16)| match host.contains(':') {
            true => format!("[{host}]:{port}"),
            false => format!("{host}:{port}"),
        };
        self.addresses.iter().map(named).collect::<Vec<_>>().join(",")
    }
}
