//! The brokers, behind proxies, and what another client (librdkafka) sees of them, directly from the nodes.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use kafka_batch::protocol::{CoordinatorType, FindCoordinatorRequest, FindCoordinatorResponse, RequestHeader};
use kafka_batch::{Record, TokioProducer, TopicPartition};
use kafka_batch_brokers::{Cluster, ClusterOptions, Release};
use kafka_batch_witnesses::rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use kafka_batch_witnesses::rdkafka::client::DefaultClientContext;
use kafka_batch_witnesses::rdkafka::consumer::{BaseConsumer, Consumer as _};
use kafka_batch_witnesses::rdkafka::error::KafkaError;
use kafka_batch_witnesses::rdkafka::{ClientConfig, Message as _, Offset, TopicPartitionList};

use crate::plan::Plan;
use crate::proxy::Proxy;
use crate::{GROUP, INPUT, OUTPUT, PARTITIONS};

/// Turns a test that would hang into one that fails.
const PATIENCE: Duration = Duration::from_secs(240);
/// The time for one request.
const STEP: Duration = Duration::from_secs(5);
/// The interval between two polls.
const LOOK: Duration = Duration::from_millis(100);
/// The number of records of an input batch.
const INPUT_BATCH: u64 = 1_000;

/// A running cluster behind proxies.
pub(crate) struct Stage {
    proxies: Vec<Proxy>,
    cluster: Cluster,
    nodes: Vec<SocketAddr>,
    consumer: BaseConsumer,
}

impl Stage {
    pub(crate) fn start(plan: &Plan) -> Self {
        let proxies: Vec<Proxy> = (0..3).map(|node| Proxy::start(plan.seed, node)).collect();
        let cluster = Cluster::start(Release::find("4").unwrap(), &options(&proxies)).unwrap();
        for (node, proxy) in proxies.iter().enumerate() {
            proxy.leads_to(cluster.address(node));
        }
        let nodes = cluster.internal_addresses();
        let consumer = consumer(&nodes, "viewer", "read_committed");
        let stage = Self { proxies, cluster, nodes, consumer };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(stage.create_topics());
        stage.wait_until_whole();
        stage
    }

    async fn create_topics(&self) {
        let admin: AdminClient<DefaultClientContext> =
            ClientConfig::new().set("bootstrap.servers", list_of(&self.nodes)).create().unwrap();
        let new = |name| {
            let new = NewTopic::new(name, PARTITIONS, TopicReplication::Fixed(3));
            new.set("min.insync.replicas", "2").set("retention.ms", "-1").set("retention.bytes", "-1")
        };
        let all = [new(INPUT), new(OUTPUT)];
        let made = admin.create_topics(&all, &AdminOptions::new().operation_timeout(Some(PATIENCE))).await;
        assert_eq!(made.unwrap(), [Ok(INPUT.to_owned()), Ok(OUTPUT.to_owned())]);
    }

    pub(crate) fn proxies(&self) -> &[Proxy] {
        &self.proxies
    }

    /// Returns the proxies' addresses.
    pub(crate) fn servers(&self) -> String {
        list_of(&self.proxies.iter().map(Proxy::address).collect::<Vec<_>>())
    }

    /// Writes the numbers from 0 to the input, directly to the nodes.
    pub(crate) fn fill(&self, records: u64) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let producer = TokioProducer::builder().set("bootstrap.servers", list_of(&self.nodes)).build().unwrap();
            let mut pending = Vec::new();
            for (position, first) in (0..records).step_by(INPUT_BATCH as usize).enumerate() {
                let mut batch = producer.batch();
                for number in first..records.min(first + INPUT_BATCH) {
                    assert!(!batch.append(Record::new(&number.to_be_bytes())).unwrap().is_full());
                }
                let to = TopicPartition::new(INPUT, position as i32 % PARTITIONS);
                pending.push(producer.send_batch(batch, to).await.unwrap());
            }
            for each in pending {
                each.await.unwrap();
            }
            producer.close().await.unwrap();
        });
    }

    /// Returns the leader and the in-sync replicas of each partition of the output.
    fn look(&self) -> Result<Vec<(i32, Vec<i32>)>, String> {
        let metadata = self.consumer.fetch_metadata(Some(OUTPUT), STEP).map_err(|error| error.to_string())?;
        let topic = metadata.topics().first().ok_or("no such topic")?;
        let all: Vec<_> = topic.partitions().iter().map(|found| (found.leader(), found.isr().to_vec())).collect();
        if all.len() == PARTITIONS as usize { Ok(all) } else { Err(format!("{} partitions", all.len())) }
    }

    pub(crate) fn wait_until_whole(&self) {
        until("leaders and three in-sync replicas", || {
            let all = self.look()?;
            let is_whole = all.iter().all(|(leader, in_sync)| *leader >= 0 && in_sync.len() == 3);
            if is_whole { Ok(()) } else { Err(format!("{all:?}")) }
        });
    }

    pub(crate) fn leader(&self, partition: i32) -> usize {
        self.wait_until_whole();
        until("a leader", || self.look())[partition as usize].0 as usize
    }

    pub(crate) fn partitions_of(&self, node: usize) -> usize {
        let all = until("the leaders", || self.look());
        all.iter().filter(|(leader, _)| *leader == node as i32).count()
    }

    /// Returns the node that coordinates a transactional id, as FindCoordinator 2 says.
    pub(crate) fn coordinator(&self, transactional_id: &str) -> usize {
        self.wait_until_whole();
        until("a coordinator", || {
            let request = FindCoordinatorRequest { key_type: CoordinatorType::Transaction, key: transactional_id };
            let header = RequestHeader { correlation_id: 1, client_id: None };
            let request = request.encode(2, header).map_err(|error| error.to_string())?.concat();
            let exchange = || -> std::io::Result<Vec<u8>> {
                let mut stream = TcpStream::connect(self.nodes[0])?;
                stream.set_read_timeout(Some(STEP))?;
                stream.write_all(&request)?;
                let mut length = [0; 4];
                stream.read_exact(&mut length)?;
                let mut response = vec![0; u32::from_be_bytes(length) as usize];
                stream.read_exact(&mut response)?;
                Ok(response)
            };
            let response = exchange().map_err(|error| error.to_string())?;
            let response = FindCoordinatorResponse::decode(&response, 2).map_err(|error| error.to_string())?;
            let node = response.coordinators.first().map_or(-1, |coordinator| coordinator.node_id);
            usize::try_from(node).map_err(|_| format!("{response:?}"))
        })
    }

    pub(crate) fn kill(&mut self, node: usize) {
        self.cluster.kill(node);
    }

    pub(crate) fn restart(&mut self, node: usize) {
        self.cluster.restart(node).unwrap_or_else(|error| panic!("node {node}: {error}"));
        self.wait_until_whole();
    }

    /// Waits until the group has committed the end of each input partition.
    pub(crate) fn wait_for_offsets(&self, records: u64) {
        let consumer = consumer(&self.nodes, GROUP, "read_committed");
        let mut list = TopicPartitionList::new();
        list.add_partition_range(INPUT, 0, PARTITIONS - 1);
        until("the offsets of all input records", || {
            let committed = consumer.committed_offsets(list.clone(), STEP).map_err(|error| error.to_string())?;
            let offset = |offset| if let Offset::Offset(offset) = offset { offset as u64 } else { 0 };
            let sum: u64 = committed.elements().iter().map(|element| offset(element.offset())).sum();
            if sum >= records { Ok(()) } else { Err(format!("{sum} of {records}")) }
        });
    }

    /// Waits until everything in the output is of a transaction that has ended. Returns the partitions for which it is not.
    pub(crate) fn wait_until_stable(&self) -> Vec<i32> {
        let (stable, all) = (&self.consumer, consumer(&self.nodes, "viewer", "read_uncommitted"));
        let end = |consumer: &BaseConsumer, partition| {
            until("the end of a partition", || {
                let ends = consumer.fetch_watermarks(OUTPUT, partition, STEP).map_err(|error| error.to_string());
                ends.map(|(_, end)| end)
            })
        };
        let begun = Instant::now();
        loop {
            let unstable: Vec<i32> =
                (0..PARTITIONS).filter(|partition| end(stable, *partition) != end(&all, *partition)).collect();
            if unstable.is_empty() || begun.elapsed() > Duration::from_secs(60) {
                return unstable;
            }
            std::thread::park_timeout(LOOK);
        }
    }

    /// Reads the output, from the beginning of each partition to its end.
    pub(crate) fn read_output(&self, isolation_level: &str, mut record: impl FnMut(&[u8])) {
        let consumer = consumer(&self.nodes, "viewer", isolation_level);
        let mut list = TopicPartitionList::new();
        for partition in 0..PARTITIONS {
            list.add_partition_offset(OUTPUT, partition, Offset::Beginning).unwrap();
        }
        consumer.assign(&list).unwrap();
        let mut ended = BTreeSet::new();
        while ended.len() < PARTITIONS as usize {
            match consumer.poll(PATIENCE).expect("a record, or the end of a partition") {
                Ok(message) => record(message.payload().unwrap_or_default()),
                Err(KafkaError::PartitionEOF(partition)) => {
                    ended.insert(partition);
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
}

fn list_of(addresses: &[SocketAddr]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

fn consumer(nodes: &[SocketAddr], group: &str, isolation_level: &str) -> BaseConsumer {
    ClientConfig::new()
        .set("bootstrap.servers", list_of(nodes))
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "error")
        .set("isolation.level", isolation_level)
        .set("enable.partition.eof", "true")
        .set("check.crcs", "true")
        .create()
        .unwrap()
}

/// Polls for a state, with a pause so that others make progress.
fn until<T>(what: &str, mut look: impl FnMut() -> Result<T, String>) -> T {
    let started = Instant::now();
    loop {
        match look() {
            Ok(seen) => return seen,
            Err(seen) => assert!(started.elapsed() < PATIENCE, "waited {PATIENCE:?} for {what}; last seen: {seen}"),
        }
        std::thread::park_timeout(LOOK);
    }
}

fn options(proxies: &[Proxy]) -> ClusterOptions {
    let advertised = proxies.iter().map(Proxy::address).collect();
    let mut options = ClusterOptions { advertised, ..ClusterOptions::default() };
    options.each.heap_mib = 400;
    for (name, value) in [
        // The time until another node leads.
        ("broker.session.timeout.ms", "3000"),
        ("broker.heartbeat.interval.ms", "500"),
        // The time after which a node that is down or slow is no longer in sync.
        ("replica.lag.time.max.ms", "5000"),
        ("min.insync.replicas", "2"),
        ("transaction.state.log.min.isr", "2"),
        ("group.initial.rebalance.delay.ms", "0"),
        // How soon a transaction whose time is over is aborted.
        ("transaction.abort.timed.out.transaction.cleanup.interval.ms", "1000"),
        ("auto.create.topics.enable", "false"),
    ] {
        options.each.config.push((name.to_owned(), value.to_owned()));
    }
    options
}
