//! The cluster as another client (librdkafka) sees it, directly from the nodes: leaders, in-sync replicas, and the
//! log.

use std::net::SocketAddr;

use kafka_batch_witnesses::rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use kafka_batch_witnesses::rdkafka::consumer::{BaseConsumer, Consumer};
use kafka_batch_witnesses::rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};
use std::time::Duration;

use crate::progress::{PATIENCE, look_until};
use crate::{PARTITIONS, TOPIC};

/// The time for one request.
const STEP: Duration = Duration::from_secs(5);

pub(crate) struct View {
    servers: String,
    consumer: BaseConsumer,
}

/// A partition in the metadata.
#[derive(Clone, Debug)]
pub(crate) struct Partition {
    /// Negative if there is none.
    pub(crate) leader: i32,
    pub(crate) in_sync: Vec<i32>,
}

impl View {
    pub(crate) fn new(nodes: &[SocketAddr]) -> Self {
        let servers: Vec<String> = nodes.iter().map(ToString::to_string).collect();
        let servers = servers.join(",");
        let consumer = consumer(&servers);
        Self { servers, consumer }
    }

    /// Creates the topic on all nodes, with a majority required for each record.
    pub(crate) async fn create_topic(&self, nodes: usize) {
        let admin: AdminClient<_> = ClientConfig::new().set("bootstrap.servers", &self.servers).create().unwrap();
        let new = NewTopic::new(TOPIC, PARTITIONS, TopicReplication::Fixed(nodes as i32));
        let new = new.set("min.insync.replicas", "2").set("retention.ms", "-1").set("retention.bytes", "-1");
        let made = admin.create_topics([&new], &AdminOptions::new().operation_timeout(Some(PATIENCE))).await;
        assert_eq!(made.unwrap(), [Ok(TOPIC.to_owned())]);
        self.wait_until_whole();
    }

    /// Returns the partitions, by number.
    pub(crate) fn look(&self) -> Result<Vec<Partition>, String> {
        let metadata = self.consumer.fetch_metadata(Some(TOPIC), STEP).map_err(|error| error.to_string())?;
        let topic = metadata.topics().iter().find(|topic| topic.name() == TOPIC).ok_or("no such topic")?;
        let partition = |number| {
            let found = topic.partitions().iter().find(|partition| partition.id() == number);
            let found = found.ok_or_else(|| format!("no partition {number}"))?;
            Ok(Partition { leader: found.leader(), in_sync: found.isr().to_vec() })
        };
        (0..PARTITIONS).map(partition).collect()
    }

    /// Waits until every partition satisfies a condition.
    fn wait(&self, what: &str, is_fine: impl Fn(&Partition) -> bool) -> Vec<Partition> {
        look_until(what, || {
            let partitions = self.look()?;
            if partitions.iter().all(&is_fine) { Ok(partitions) } else { Err(format!("{partitions:?}")) }
        })
    }

    /// Waits until every partition has a leader and all three nodes are in sync.
    pub(crate) fn wait_until_whole(&self) -> Vec<Partition> {
        self.wait("leaders and three in-sync replicas", |partition| {
            partition.leader >= 0 && partition.in_sync.len() == 3
        })
    }

    /// Waits until other nodes lead the partitions of this node.
    pub(crate) fn wait_until_without(&self, node: i32) -> Vec<Partition> {
        self.wait("leaders other than the node that is down", |partition| {
            partition.leader >= 0 && partition.leader != node && !partition.in_sync.contains(&node)
        })
    }

    /// Returns every record of the topic, those of each partition in the order of offsets.
    pub(crate) fn read_all(&self, mut record: impl FnMut(i32, i64, &[u8])) {
        let mut list = TopicPartitionList::new();
        let mut ends = Vec::new();
        for partition in 0..PARTITIONS {
            let (low, high) = look_until("the ends of the log", || {
                self.consumer.fetch_watermarks(TOPIC, partition, STEP).map_err(|error| error.to_string())
            });
            assert_eq!(low, 0, "records were deleted");
            list.add_partition_offset(TOPIC, partition, Offset::Offset(0)).unwrap();
            ends.push(high);
        }
        // A new consumer, without old errors from nodes that were down.
        let consumer = consumer(&self.servers);
        consumer.assign(&list).unwrap();
        let mut next = vec![0; ends.len()];
        while next != ends {
            let message = consumer.poll(PATIENCE).unwrap_or_else(|| panic!("read up to {next:?} of {ends:?}"));
            let message = message.unwrap_or_else(|error| panic!("read up to {next:?} of {ends:?}: {error}"));
            let (partition, offset) = (message.partition() as usize, message.offset());
            if offset >= ends[partition] {
                continue;
            }
            assert_eq!(offset, next[partition], "offsets are not consecutive");
            record(message.partition(), offset, message.payload().unwrap_or_default());
            next[partition] += 1;
        }
    }
}

fn consumer(servers: &str) -> BaseConsumer {
    ClientConfig::new()
        .set("bootstrap.servers", servers)
        .set("group.id", "chaos")
        .set("enable.auto.commit", "false")
        .set("auto.offset.reset", "error")
        .set("check.crcs", "true")
        .create()
        .unwrap()
}
