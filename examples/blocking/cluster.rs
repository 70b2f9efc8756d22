//! The brokers: those given with `--brokers`, or a cluster inside this program.

use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;

use crate::args::{self, Args};
use crate::failure::Failure;

pub(crate) struct Cluster {
    pub(crate) addresses: Vec<(String, u16)>,
    /// librdkafka's mock cluster, which uses real sockets. Dropping it stops it.
    _embedded: Option<MockCluster<'static, DefaultProducerContext>>,
}

impl Cluster {
    const BROKERS: i32 = 3;
    const PARTITIONS: i32 = 3;

    pub(crate) fn find(args: &Args) -> Result<Self, Failure> {
        if !args.brokers.is_empty() {
            return Ok(Self { addresses: args.brokers.clone(), _embedded: None });
        }
        let started = MockCluster::new(Self::BROKERS).and_then(|cluster| {
            cluster.create_topic(&args.topic, Self::PARTITIONS, 1)?;
            Ok(cluster)
        });
        let cluster = started.map_err(|error| {
            Failure::new(format!("the cluster inside this program did not start: {error}"), "name one with --brokers")
        })?;
        let addresses = cluster.bootstrap_servers();
        let addresses = addresses.split(',').filter_map(|address| args::address(address).ok()).collect();
        Ok(Self { addresses, _embedded: Some(cluster) })
    }

    /// Returns the addresses in the format of librdkafka, which reads the records back.
    pub(crate) fn bootstrap_servers(&self) -> String {
        let named = |(host, port): &(String, u16)| match host.contains(':') {
            true => format!("[{host}]:{port}"),
            false => format!("{host}:{port}"),
        };
        self.addresses.iter().map(named).collect::<Vec<_>>().join(",")
    }
}
