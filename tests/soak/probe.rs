//! When brokers are slow although nothing was done to them, as on a machine with other users: another client (librdkafka), which is
//! connected without TLS and beside the routes that are lost, measures how long its records take.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use kafka_batch_witnesses::rdkafka::ClientConfig;
use kafka_batch_witnesses::rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use kafka_batch_witnesses::rdkafka::client::{ClientContext, DefaultClientContext};
use kafka_batch_witnesses::rdkafka::producer::{
    BaseRecord, DeliveryResult, NoCustomPartitioner, Producer, ProducerContext, ThreadedProducer,
};
use tokio::runtime::Runtime;

use crate::attribution::{Injected, Kind};
use crate::client::now;
use crate::stage::NODES;

const TOPIC: &str = "probe";
/// The interval between records to each node.
const INTERVAL: Duration = Duration::from_millis(250);
/// In ms. Usually a record takes a few.
const SLOW: u64 = 700;
/// The time for what must succeed.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Probe {
    slow: Slow,
    end: Sender<()>,
    sender: JoinHandle<()>,
}

/// The times at which brokers were slow.
#[derive(Clone, Default)]
struct Slow(Arc<Mutex<Vec<Injected>>>);

impl ClientContext for Slow {}

impl ProducerContext for Slow {
    /// When the record was sent, in ms since 1970.
    type DeliveryOpaque = Box<u64>;

    fn delivery(&self, _: &DeliveryResult<'_>, begin: Box<u64>) {
        let end = now();
        if end.saturating_sub(*begin) >= SLOW {
            self.0.lock().unwrap().push(Injected { kind: Kind::SlowBrokers, begin: *begin, end });
        }
    }
}

impl Probe {
    /// Creates a topic with a partition for each node, and sends to them until the end.
    pub(crate) fn start(runtime: &Runtime, servers: &str) -> Self {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", servers).set("acks", "all").set("linger.ms", "0");
        let admin: AdminClient<DefaultClientContext> = config.create().unwrap();
        let new = NewTopic::new(TOPIC, NODES as i32, TopicReplication::Fixed(NODES as i32));
        let made = admin.create_topics([&new], &AdminOptions::new().operation_timeout(Some(PATIENCE)));
        assert_eq!(runtime.block_on(made).unwrap(), [Ok(TOPIC.to_owned())]);
        let slow = Slow::default();
        let producer: ThreadedProducer<Slow, NoCustomPartitioner> = config.create_with_context(slow.clone()).unwrap();
        let (end, ended) = channel();
        let sender = thread::spawn(move || {
            while ended.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
                for partition in 0..NODES as i32 {
                    let record = BaseRecord::<(), [u8], Box<u64>>::with_opaque_to(TOPIC, Box::new(now()));
                    producer.send(record.partition(partition).payload(b"probe")).map_err(|(error, _)| error).unwrap();
                }
            }
            producer.flush(PATIENCE).unwrap();
        });
        Self { slow, end, sender }
    }

    /// Returns the times at which brokers were slow.
    pub(crate) fn stop(self) -> Vec<Injected> {
        drop(self.end);
        self.sender.join().unwrap();
        std::mem::take(&mut *self.slow.0.lock().unwrap())
    }
}
