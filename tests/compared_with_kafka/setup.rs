//! The topics of the rows, created in the same way on both sides.

use std::io::Write as _;
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use kafka_batch_witnesses::kafka_protocol::messages::{
    FindCoordinatorRequest, InitProducerIdRequest, InitProducerIdResponse, ResponseHeader, TransactionalId,
};
use kafka_batch_witnesses::kafka_protocol::protocol::{Decodable as _, HeaderVersion as _};

use crate::exchange::frame;
use crate::requests::{create, fetch, fetch_topic, fetched, metadata, new_topic, text};
use crate::table::{Asked, encoded, framed};
use crate::target::Target;

/// Most rows have a partition of it of their own.
pub(crate) const PLAIN: &str = "plain";
/// Its records are read: partition 0 has some, partition 1 has none, partition 2 has compressed ones.
pub(crate) const READ: &str = "read";
/// Nothing is written to it. It has three partitions.
pub(crate) const EMPTY: &str = "empty";
/// Only records with keys are accepted.
pub(crate) const COMPACTED: &str = "compacted";
/// The broker assigns timestamps.
pub(crate) const APPEND_TIME: &str = "append-time";
/// Timestamps must not differ from the time by more than [`NARROW_MS`].
pub(crate) const NARROW: &str = "narrow";
pub(crate) const NARROW_MS: &str = "3600000";
/// A batch must not have more than [`SMALL_BYTES`].
pub(crate) const SMALL: &str = "small";
pub(crate) const SMALL_BYTES: usize = 200;

/// Its producer has the epoch 1, and no transaction.
pub(crate) const TRANSACTIONAL_ID: &str = "transactional";

/// A topic: its name, the number of its partitions, and its settings.
type Topic = (&'static str, i32, &'static [(&'static str, &'static str)]);

const TOPICS: [Topic; 6] = [
    (READ, 3, &[]),
    (EMPTY, 3, &[]),
    (COMPACTED, 20, &[("cleanup.policy", "compact")]),
    (APPEND_TIME, 10, &[("message.timestamp.type", "LogAppendTime")]),
    (NARROW, 20, &[("message.timestamp.before.max.ms", NARROW_MS), ("message.timestamp.after.max.ms", NARROW_MS)]),
    (SMALL, 10, &[("max.message.bytes", "200")]),
];

/// Creates the topics, and waits until their partitions have leaders that accept requests, and producer ids are assigned.
pub(crate) fn create_topics(target: &mut Target, plain_partitions: i32) {
    let mut wire = Wire(TcpStream::connect(&target.address).unwrap());
    wire.0.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let all: Vec<_> = [(PLAIN, plain_partitions, &[][..])].into_iter().chain(TOPICS).collect();
    let topics = all.iter().map(|(name, partitions, configs)| new_topic(name, *partitions, configs)).collect();
    let created = wire.ask(7, &create(topics));
    for topic in &created.topics {
        assert_eq!(topic.error_code, 0, "{} cannot create {topic:?}", target.name);
        target.topic_ids.insert(topic.name.to_string(), *topic.topic_id.as_bytes());
    }
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let topics = all.iter().map(|(name, partitions, _)| {
            fetch_topic(12, target, name, (0..*partitions).map(|partition| fetched(partition, 0)).collect())
        });
        let response = wire.ask(12, &fetch(topics.collect()).with_min_bytes(0));
        if response.responses.iter().flat_map(|topic| &topic.partitions).all(|partition| partition.error_code == 0) {
            break;
        }
        assert!(Instant::now() < deadline, "{} has no leaders for all partitions", target.name);
        thread::sleep(Duration::from_millis(20));
    }
    // Kafka has to get its first block of producer ids, and to create the topics of its coordinators. The second time the epoch
    // is 1, so that there is an older one.
    let of_group = FindCoordinatorRequest::default().with_key(text("group"));
    let transactional = InitProducerIdRequest::default()
        .with_transactional_id(Some(TransactionalId(text(TRANSACTIONAL_ID))))
        .with_transaction_timeout_ms(600_000);
    while target.producer.1 != 1 {
        let group = wire.ask(3, &of_group);
        let of_id = of_group.clone().with_key(text(TRANSACTIONAL_ID)).with_key_type(1);
        let producer = if group.error_code == 0 && wire.ask(3, &of_id).error_code == 0 {
            wire.ask(4, &transactional)
        } else {
            InitProducerIdResponse::default().with_error_code(group.error_code)
        };
        target.producer = (*producer.producer_id, producer.producer_epoch);
        assert!(Instant::now() < deadline, "{} assigns no producer ids: {producer:?}", target.name);
        thread::sleep(Duration::from_millis(20));
    }
    let described = wire.ask(12, &metadata(12, Some(&[]), false));
    target.cluster_id = described.cluster_id.expect("a cluster id").to_string();
}

struct Wire(TcpStream);

impl Wire {
    fn ask<R: Asked>(&mut self, version: i16, body: &R) -> R::Response {
        self.0.write_all(&framed::<R>(version, &encoded(body, version))).unwrap();
        let mut frame = frame(&mut self.0).unwrap();
        ResponseHeader::decode(&mut frame, R::Response::header_version(version)).unwrap();
        R::Response::decode(&mut frame, version).unwrap()
    }
}
