//! A producer over plain sockets, with the driver of `examples/blocking`, and what its tests share.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use kafka_batch::machine::{BatchId, CloseMode, Event, MachineConfig, TopicLookupError, Versions};
use kafka_batch::protocol::{ApiKey, ErrorCode};
use kafka_batch::{Compression, Delivery, DeliveryError, Fate, KafkaBatch, Magic, Timestamp, TopicPartition};
use kafka_batch_witnesses::rdkafka;
use kafka_batch_witnesses::rdkafka::config::ClientConfig;
use kafka_batch_witnesses::rdkafka::consumer::{BaseConsumer, Consumer as _};
use kafka_batch_witnesses::rdkafka::message::{Headers as _, Message as _};
use kafka_batch_witnesses::rdkafka::{Offset, TopicPartitionList};

use super::broker::Kafka;
use super::driver::BlockingProducer;
use super::rows::{Row, batch, batches, options};

/// A producer with a [`BlockingProducer`], and its events so far.
pub(crate) struct Driven {
    pub(crate) producer: BlockingProducer,
    pub(crate) versions: Vec<Versions>,
    pub(crate) ends: BTreeMap<BatchId, Result<Delivery, DeliveryError>>,
    topics: BTreeMap<String, Result<NonZeroU32, TopicLookupError>>,
    closed: bool,
}

impl Driven {
    pub(crate) fn new(address: &str, change: impl FnOnce(&mut MachineConfig)) -> Self {
        let (host, port) = address.rsplit_once(':').unwrap();
        let mut config = MachineConfig::new([(host, port.parse().unwrap())]);
        change(&mut config);
        let producer = BlockingProducer::new(config);
        Self { producer, versions: Vec::new(), ends: BTreeMap::new(), topics: BTreeMap::new(), closed: false }
    }

    pub(crate) fn idempotent(kafka: &Kafka) -> Self {
        Self::new(&kafka.address, |_| {})
    }

    pub(crate) fn send(&mut self, topic: &str, partition: i32, batch: KafkaBatch) -> BatchId {
        self.producer.send(batch.seal().unwrap(), TopicPartition::new(topic, partition)).unwrap()
    }

    pub(crate) fn send_rows(&mut self, topic: &str, partition: i32, rows: &[Row], compression: Compression) -> BatchId {
        self.send(topic, partition, batch(rows, options(Magic::V2, compression)))
    }

    pub(crate) fn handle_event(&mut self) {
        match self.producer.next_event(Duration::from_secs(100)).expect("an event") {
            Event::Delivered { id, delivery } => assert!(self.ends.insert(id, Ok(delivery)).is_none()),
            Event::Failed { id, error } => assert!(self.ends.insert(id, Err(error)).is_none()),
            Event::Ready { versions, .. } => self.versions.push(versions),
            Event::Topic { topic, partitions } => drop(self.topics.insert(topic, partitions)),
            Event::Closed => self.closed = true,
            _ => {}
        }
    }

    pub(crate) fn lookup_topic(&mut self, topic: &str) -> Result<u32, TopicLookupError> {
        self.producer.lookup_topic(topic);
        loop {
            match self.topics.remove(topic) {
                Some(partitions) => return partitions.map(NonZeroU32::get),
                None => self.handle_event(),
            }
        }
    }

    /// Returns the outcome of a batch.
    pub(crate) fn end(&mut self, batch: BatchId) -> Result<Delivery, DeliveryError> {
        loop {
            if let Some(end) = self.ends.remove(&batch) {
                return end;
            }
            assert!(!self.closed, "closed without an outcome of the batch");
            self.handle_event();
        }
    }

    pub(crate) fn delivered(&mut self, batch: BatchId) -> Delivery {
        self.end(batch).unwrap()
    }

    /// Returns the broker's error for a batch that failed and was not written.
    pub(crate) fn rejected(&mut self, batch: BatchId) -> (ErrorCode, DeliveryError) {
        let failed = self.end(batch).unwrap_err();
        assert_eq!(failed.fate(), Some(Fate::NotWritten), "{failed}");
        let error = failed.reason.broker_error().unwrap_or_else(|| panic!("{failed}"));
        assert!(error.api != ApiKey::Produce || error.broker == Some(1), "{failed}");
        (error.code, failed)
    }

    pub(crate) fn close(mut self, mode: CloseMode) -> BTreeMap<BatchId, Result<Delivery, DeliveryError>> {
        self.producer.close(mode);
        while !self.closed {
            self.handle_event();
        }
        self.ends
    }
}

/// Returns the offset and timestamp of each record of a delivery.
pub(crate) fn places(delivery: &Delivery) -> Vec<(i64, i64)> {
    delivery.records().map(|record| (record.offset.unwrap(), record.timestamp.millis())).collect()
}

pub(crate) fn places_of(rows: &[Row]) -> Vec<(i64, i64)> {
    rows.iter().map(|row| (row.offset, row.timestamp)).collect()
}

/// Returns rows with the current time: a broker deletes old records and forgets their producer.
pub(crate) fn numbered(numbers: std::ops::Range<i32>) -> Vec<Row> {
    static PRESENT: LazyLock<i64> = LazyLock::new(|| Timestamp::from(SystemTime::now()).millis());
    let row = |n: i32| Row {
        timestamp: *PRESENT,
        ..Row::new(Some(&n.to_be_bytes()), Some(format!("number {n}").as_bytes()))
    };
    numbers.map(row).collect()
}

/// Reads a partition from its beginning with librdkafka.
pub(crate) fn read_by_librdkafka(kafka: &Kafka, topic: &str, partition: i32, count: usize) -> Vec<Row> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &kafka.address)
        .set("group.id", "kafka-batch-tests")
        .set("check.crcs", "true")
        .create()
        .unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
    consumer.assign(&list).unwrap();
    let mut read = Vec::new();
    while read.len() < count {
        let message = consumer.poll(Duration::from_secs(60)).expect("a record").unwrap();
        let header =
            |header: rdkafka::message::Header<'_, &[u8]>| (header.key.to_owned(), header.value.map(<[u8]>::to_vec));
        read.push(Row {
            offset: message.offset(),
            timestamp: message.timestamp().to_millis().unwrap_or(-1),
            headers: message.headers().into_iter().flat_map(|headers| headers.iter()).map(header).collect(),
            ..Row::new(message.key(), message.payload())
        });
    }
    read
}

/// Asserts that all batches of a log have one producer id, and that their sequences are consecutive.
pub(crate) fn assert_consecutive_sequences(log: &[u8]) {
    let stored = batches(log);
    let first = stored[0].header().unwrap();
    assert!(first.producer_id >= 0 && first.producer_epoch >= 0, "{first:?}");
    let mut next = 0;
    for batch in &stored {
        let header = batch.header().unwrap();
        assert_eq!((header.producer_id, header.producer_epoch), (first.producer_id, first.producer_epoch));
        assert_eq!(header.base_sequence, next);
        next += batch.record_count().unwrap() as i32;
    }
}
