//! The producer machine over plain sockets, by the driver of `examples/blocking`: what it says of each batch is so.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use kafka_batch::machine::{BatchId, CloseMode, Event, ProducerConfig, TopicLookupError, Versions};
use kafka_batch::protocol::{Acks, ApiKey, ErrorCode};
use kafka_batch::{
    Compression, Delivery, DeliveryError, FailureReason, Fate, KafkaBatch, Magic, Stamp, Timestamp, TimestampType,
    TopicPartition,
};
use kafka_batch_brokers::{Broker, Options, Release};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{Headers as _, Message as _};
use rdkafka::{Offset, TopicPartitionList};

use super::broker::{Kafka, unique, until};
use super::driver::BlockingProducer;
use super::producers::stamped;
use super::rows::{self, NOON, Row, at_offsets, batch, batches, bulk, options, rows, rows_of_another_decoder, sample};
use super::transaction::idempotent_producer;
use super::wire::{Topic, Wire};
use super::{codecs, segments, tools};

/// A producer, and what it has said so far.
struct Driven {
    producer: BlockingProducer,
    versions: Vec<Versions>,
    ends: BTreeMap<BatchId, Result<Delivery, DeliveryError>>,
    topics: BTreeMap<String, Result<NonZeroU32, TopicLookupError>>,
    closed: bool,
}

impl Driven {
    fn new(address: &str, change: impl FnOnce(&mut ProducerConfig)) -> Self {
        let (host, port) = address.rsplit_once(':').unwrap();
        let mut config = ProducerConfig::new([(host, port.parse().unwrap())]);
        change(&mut config);
        let producer = BlockingProducer::new(config);
        Self { producer, versions: Vec::new(), ends: BTreeMap::new(), topics: BTreeMap::new(), closed: false }
    }

    fn idempotent(kafka: &Kafka) -> Self {
        Self::new(&kafka.address, |_| {})
    }

    fn send(&mut self, topic: &str, partition: i32, batch: KafkaBatch) -> BatchId {
        self.producer.send(batch.seal().unwrap(), TopicPartition::new(topic, partition)).unwrap()
    }

    fn send_rows(&mut self, topic: &str, partition: i32, rows: &[Row], compression: Compression) -> BatchId {
        self.send(topic, partition, batch(rows, options(Magic::V2, compression)))
    }

    fn hear(&mut self) {
        match self.producer.next_event(Duration::from_secs(100)).expect("something happens") {
            Event::Delivered { batch, delivery } => assert!(self.ends.insert(batch, Ok(delivery)).is_none()),
            Event::Failed { batch, error } => assert!(self.ends.insert(batch, Err(error)).is_none()),
            Event::Ready { versions, .. } => self.versions.push(versions),
            Event::Topic { topic, partitions } => drop(self.topics.insert(topic, partitions)),
            Event::Closed => self.closed = true,
            _ => {}
        }
    }

    fn lookup_topic(&mut self, topic: &str) -> Result<u32, TopicLookupError> {
        self.producer.lookup_topic(topic);
        loop {
            match self.topics.remove(topic) {
                Some(partitions) => return partitions.map(NonZeroU32::get),
                None => self.hear(),
            }
        }
    }

    /// What became of a batch.
    fn end(&mut self, batch: BatchId) -> Result<Delivery, DeliveryError> {
        loop {
            if let Some(end) = self.ends.remove(&batch) {
                return end;
            }
            assert!(!self.closed, "each batch has an end");
            self.hear();
        }
    }

    fn delivered(&mut self, batch: BatchId) -> Delivery {
        self.end(batch).unwrap()
    }

    /// Why a batch failed, none of which was written.
    fn refused(&mut self, batch: BatchId) -> (ErrorCode, DeliveryError) {
        let failed = self.end(batch).unwrap_err();
        assert_eq!(failed.fate(), Some(Fate::NotWritten), "{failed}");
        let FailureReason::Broker(error) = &failed.reason else { panic!("{failed}") };
        assert!(error.api != ApiKey::Produce || error.broker == Some(1), "{failed}");
        (error.code, failed)
    }

    fn close(mut self, mode: CloseMode) -> BTreeMap<BatchId, Result<Delivery, DeliveryError>> {
        self.producer.close(mode);
        while !self.closed {
            self.hear();
        }
        self.ends
    }
}

/// Where a delivery says that the records are, and when they happened.
fn places(delivery: &Delivery) -> Vec<(i64, i64)> {
    delivery.records().map(|record| (record.offset.unwrap(), record.timestamp.millis())).collect()
}

fn places_of(rows: &[Row]) -> Vec<(i64, i64)> {
    rows.iter().map(|row| (row.offset, row.timestamp)).collect()
}

/// Some rows that nobody else has, of the present: of old ones a broker deletes the records and forgets the producer.
fn numbered(numbers: std::ops::Range<i32>) -> Vec<Row> {
    static PRESENT: LazyLock<i64> = LazyLock::new(|| Timestamp::from(SystemTime::now()).millis());
    let row = |n: i32| Row {
        timestamp: *PRESENT,
        ..Row::new(Some(&n.to_be_bytes()), Some(format!("number {n}").as_bytes()))
    };
    numbers.map(row).collect()
}

/// What librdkafka reads from the beginning of a partition.
fn read_by_librdkafka(kafka: &Kafka, topic: &str, partition: i32, count: usize) -> Vec<Row> {
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

/// The stamps in the log: one producer, and each batch counts on where the one before it ended.
fn assert_counted(log: &[u8]) {
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

#[test]
#[ignore = "needs a real broker: cargo run -p kafka-batch-brokers -- --kafka 4 -- cargo test --test kafka -- --ignored"]
fn many_batches_in_flight_arrive_once_and_in_order_in_every_codec() {
    let kafka = Kafka::here();
    let mut wire = Wire::connect(&kafka);
    let topic = wire.topic("machine", codecs().len() as i32, &[]);
    let mut driven = Driven::idempotent(&kafka);
    let parts: Vec<_> = (0..10).flat_map(|_| [sample(), bulk(), sample()]).collect();
    let mut sent = Vec::new();
    for part in &parts {
        for (partition, compression) in (0..).zip(codecs()) {
            sent.push((partition, driven.send_rows(&topic.name, partition, part, compression)));
        }
    }
    let mut expected = vec![Vec::new(); codecs().len()];
    for ((partition, id), part) in sent.into_iter().zip(parts.iter().flat_map(|part| vec![part; codecs().len()])) {
        let delivery = driven.delivered(id);
        let stored: &mut Vec<Row> = &mut expected[partition as usize];
        let rows = at_offsets(part, stored.len() as i64);
        assert_eq!(places(&delivery), places_of(&rows));
        assert_eq!((delivery.log_append_time(), delivery.log_start_offset()), (None, Some(0)));
        assert_eq!(delivery.topic_partition(), &TopicPartition::new(&topic.name, partition));
        stored.extend(rows);
    }

    // The bootstrap server and the leader are one broker, and what is spoken with it is the newest.
    for versions in &driven.versions {
        assert_eq!(versions.produce, wire.newest(ApiKey::Produce));
        assert_eq!(versions.metadata, wire.newest(ApiKey::Metadata));
        assert_eq!(versions.init_producer_id, Some(wire.newest(ApiKey::InitProducerId)));
        assert_eq!(versions.magic(), Magic::V2);
    }
    println!("negotiated: {:?}", driven.versions[0]);
    assert_eq!(driven.versions.len(), 2);
    assert!(driven.close(CloseMode::Graceful).is_empty());

    for ((partition, expected), compression) in (0..).zip(&expected).zip(codecs()) {
        let log = wire.log(&topic, partition);
        assert_counted(&log);
        assert!(batches(&log).iter().all(|batch| batch.codec() == compression.codec()));
        assert_eq!(batches(&log).len(), parts.len(), "the batch that was filled is the batch that landed");
        assert_eq!(&rows(&log), expected, "{compression}");
        assert_eq!(rows_of_another_decoder(&log), rows::without_repeated_headers(expected), "{compression}");
        assert_eq!(&read_by_librdkafka(&kafka, &topic.name, partition, expected.len()), expected, "{compression}");
    }
    let segments: Vec<_> = (0..).zip(&expected).map(|(partition, _)| kafka.segment(&topic.name, partition)).collect();
    let count = segments::compare_with_dump(&segments);
    assert_eq!(count, expected.iter().map(Vec::len).sum::<usize>());
    let consumed = tools::consume(&kafka, &topic.name, count, false);
    for (partition, expected) in (0..).zip(&expected) {
        assert_eq!(&tools::of_partition(&consumed, partition), expected);
    }
}

#[test]
#[ignore = "needs a real broker: cargo run -p kafka-batch-brokers -- --kafka 4 -- cargo test --test kafka -- --ignored"]
fn with_fewer_acks_batches_arrive_in_order_too() {
    let kafka = Kafka::here();
    let mut wire = Wire::connect(&kafka);
    for acks in [Acks::None, Acks::Leader] {
        let topic = wire.topic("machine-acks", 1, &[]);
        let mut driven = Driven::new(&kafka.address, |config| config.acks = acks);
        let sent: Vec<_> = (0..200)
            .map(|n| driven.send_rows(&topic.name, 0, &numbered(n * 10..n * 10 + 10), Compression::Lz4))
            .collect();
        for (n, id) in (0..).zip(sent) {
            let delivery = driven.delivered(id);
            assert_eq!(delivery.base_offset(), (acks == Acks::Leader).then_some(n * 10), "{acks:?}");
        }
        driven.close(CloseMode::Graceful);
        // Without acks, written to the connection is all that delivered means.
        let log = until("the records of the last request", || {
            let log = wire.log(&topic, 0);
            (rows(&log).len() >= 2_000).then_some(log)
        });
        assert_eq!(rows(&log), at_offsets(&numbered(0..2_000), 0), "{acks:?}");
        assert!(batches(&log).iter().all(|batch| batch.header().unwrap().producer_id == -1), "{acks:?}");
    }
}

#[test]
#[ignore = "needs a real broker: cargo run -p kafka-batch-brokers -- --kafka 4 -- cargo test --test kafka -- --ignored"]
fn a_batch_that_is_too_large_comes_back_and_those_around_it_arrive_in_order() {
    let kafka = Kafka::here();
    let mut wire = Wire::connect(&kafka);
    let topic = wire.topic("machine-large", 1, &[("max.message.bytes", "1000")]);
    let mut driven = Driven::idempotent(&kafka);
    let (mut sent, mut expected) = (Vec::new(), Vec::new());
    for n in 0..20 {
        let (from, large) = (n * 100, n % 5 == 2);
        let part = numbered(from..from + if large { 100 } else { 10 });
        sent.push((large, driven.send_rows(&topic.name, 0, &part, Compression::None)));
        expected.extend(if large { Vec::new() } else { part });
    }
    for (large, id) in sent {
        if large {
            let (code, failed) = driven.refused(id);
            assert_eq!((code, failed.record_count()), (ErrorCode::MESSAGE_TOO_LARGE, 100));
        } else {
            driven.delivered(id);
        }
    }
    assert_eq!(rows(&wire.log(&topic, 0)), at_offsets(&expected, 0));
}

#[test]
#[ignore = "needs a real broker: cargo run -p kafka-batch-brokers -- --kafka 4 -- cargo test --test kafka -- --ignored"]
fn a_batch_that_is_too_large_is_split_if_wished() {
    let kafka = Kafka::here();
    let mut wire = Wire::connect(&kafka);
    for compression in codecs() {
        let topic = wire.topic("machine-split", 1, &[("max.message.bytes", "600")]);
        let mut driven = Driven::new(&kafka.address, |config| config.split_too_large = true);
        let (mut sent, mut expected) = (Vec::new(), Vec::new());
        for n in 0..12 {
            let count = if n % 4 == 1 { 200 } else { 5 };
            let part = numbered(n * 1_000..n * 1_000 + count);
            sent.push((driven.send_rows(&topic.name, 0, &part, compression), expected.len(), part.len()));
            expected.extend(part);
        }
        let expected = at_offsets(&expected, 0);
        for (id, from, count) in sent {
            assert_eq!(places(&driven.delivered(id)), places_of(&expected[from..from + count]), "{compression}");
        }
        let log = wire.log(&topic, 0);
        assert!(batches(&log).len() > 12, "{compression}");
        assert_eq!(rows(&log), expected, "{compression}");

        let huge = Row::new(Some(b"huge"), Some(&bulk()[100].value.clone().unwrap()));
        let mixed = [&numbered(0..3)[..], &[huge], &numbered(4..6)].concat();
        let id = driven.send_rows(&topic.name, 0, &mixed, compression);
        let failed = driven.end(id).unwrap_err();
        assert_eq!(failed.record_errors.iter().map(|error| error.position).collect::<Vec<_>>(), [3], "{failed}");
        assert_eq!(failed.positions(Fate::NotWritten).collect::<Vec<_>>(), [3], "{failed}");
        assert_eq!(failed.positions(Fate::Written).collect::<Vec<_>>(), [0, 1, 2, 4, 5], "{failed}");
        let kept = [numbered(0..3), numbered(4..6)].concat();
        assert_eq!(rows(&wire.log(&topic, 0))[expected.len()..], at_offsets(&kept, expected.len() as i64));
    }
}

#[test]
#[ignore = "needs a real broker: cargo run -p kafka-batch-brokers -- --kafka 4 -- cargo test --test kafka -- --ignored"]
fn log_append_time_is_in_the_delivery() {
    let kafka = Kafka::here();
    let mut wire = Wire::connect(&kafka);
    let topic = wire.topic("machine-time", 1, &[("message.timestamp.type", "LogAppendTime")]);
    let mut driven = Driven::idempotent(&kafka);
    let sent: Vec<_> = codecs().map(|codec| driven.send_rows(&topic.name, 0, &sample(), codec)).into();
    let told: Vec<_> = sent.into_iter().flat_map(|id| places(&driven.delivered(id))).collect();
    let log = wire.log(&topic, 0);
    assert!(batches(&log).iter().all(|batch| batch.timestamp_type() == Some(TimestampType::LogAppendTime)));
    assert!(rows(&log).iter().all(|row| row.timestamp > NOON + 86_400_000));
    assert_eq!(told, places_of(&rows(&log)));
    assert_eq!(told, places_of(&read_by_librdkafka(&kafka, &topic.name, 0, told.len())));
}

#[test]
#[ignore = "needs a real broker: cargo run -p kafka-batch-brokers -- --kafka 4 -- cargo test --test kafka -- --ignored"]
fn a_compacted_topic_names_the_records_that_it_refuses() {
    let kafka = Kafka::here();
    let mut wire = Wire::connect(&kafka);
    let topic = wire.topic("machine-compacted", 1, &[("cleanup.policy", "compact")]);
    let mut driven = Driven::idempotent(&kafka);
    let keyless = Row::new(None, Some(b"value"));
    let mut mixed = numbered(10..12);
    mixed.insert(1, keyless.clone());
    mixed.extend([keyless.clone(), keyless]);
    let before = driven.send_rows(&topic.name, 0, &numbered(0..10), Compression::Lz4);
    let disliked = driven.send_rows(&topic.name, 0, &mixed, Compression::Lz4);
    let behind: Vec<_> =
        (2..8).map(|n| driven.send_rows(&topic.name, 0, &numbered(n * 10..n * 10 + 10), Compression::Lz4)).collect();

    assert_eq!(driven.delivered(before).base_offset(), Some(0));
    let (code, failed) = driven.refused(disliked);
    assert_eq!(code, ErrorCode::INVALID_RECORD);
    assert_eq!(failed.record_errors.iter().map(|error| error.position).collect::<Vec<_>>(), [1, 3, 4]);
    assert!(failed.record_errors.iter().all(|error| error.message.is_some()), "{failed}");
    for (n, id) in (1..).zip(behind) {
        assert_eq!(driven.delivered(id).base_offset(), Some(n * 10), "the gap is closed");
    }
    let id = driven.send(&topic.name, 0, failed.good_remainder().unwrap());
    assert_eq!(driven.delivered(id).base_offset(), Some(70));
    let expected = [numbered(0..10), numbered(20..80), numbered(10..12)].concat();
    assert_eq!(rows(&wire.log(&topic, 0)), at_offsets(&expected, 0));
}

#[test]
#[ignore = "needs a real broker: cargo run -p kafka-batch-brokers -- --kafka 4 -- cargo test --test kafka -- --ignored"]
fn topics_are_made_where_the_broker_makes_them_and_partitions_are_not() {
    let kafka = Kafka::here();
    let mut driven = Driven::new(&kafka.address, |config| {
        config.request_timeout = Duration::from_secs(5);
        config.delivery_timeout = Duration::from_secs(5);
    });
    let name = unique("machine-made");
    let sent: Vec<_> =
        (0..3).map(|n| driven.send_rows(&name, 0, &numbered(n * 10..n * 10 + 10), Compression::Snappy)).collect();
    let bad = driven.send_rows("no such name", 0, &numbered(0..1), Compression::None);
    let beyond = driven.send_rows(&name, 7, &numbered(0..1), Compression::None);
    for (n, id) in (0..).zip(sent) {
        assert_eq!(driven.delivered(id).base_offset(), Some(n * 10));
    }
    assert_eq!(driven.refused(bad).0, ErrorCode::INVALID_TOPIC_EXCEPTION);
    let (code, failed) = driven.refused(beyond);
    assert_eq!(code, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    assert!(failed.to_string().contains("has partitions 0 to 0"), "{failed}");
    assert_eq!(driven.lookup_topic(&name), Ok(1));
    let refused = driven.lookup_topic("no such name").unwrap_err();
    let TopicLookupError::Broker(error) = &refused else { panic!("{refused}") };
    assert_eq!((error.api, error.code), (ApiKey::Metadata, ErrorCode::INVALID_TOPIC_EXCEPTION), "{refused}");
    assert_eq!(read_by_librdkafka(&kafka, &name, 0, 30), at_offsets(&numbered(0..30), 0));
}

#[test]
#[ignore = "needs a real broker: cargo run -p kafka-batch-brokers -- --kafka 4 -- cargo test --test kafka -- --ignored"]
fn what_is_said_of_batches_when_the_producer_closes_at_once_is_so() {
    let kafka = Kafka::here();
    let mut wire = Wire::connect(&kafka);
    let topic = wire.topic("machine-closed", 1, &[]);
    let mut driven = Driven::idempotent(&kafka);
    let sent: Vec<_> =
        (0..300).map(|n| driven.send_rows(&topic.name, 0, &numbered(n * 10..n * 10 + 10), Compression::None)).collect();
    // By then those behind it are in flight.
    assert_eq!(driven.delivered(sent[100]).base_offset(), Some(1_000));
    let ends = driven.close(CloseMode::Immediate);
    assert_eq!(ends.len(), sent.len() - 1, "each batch ends once");

    let log = rows(&wire.log(&topic, 0));
    assert_eq!(log, at_offsets(&numbered(0..log.len() as i32), 0), "what is there is there once and in order");
    let mut fates = BTreeMap::<_, usize>::new();
    for (n, id) in (0..).zip(&sent).filter(|(n, _)| *n != 100) {
        let is_there = log.len() > n * 10;
        let fate = match &ends[id] {
            Ok(delivery) => {
                assert_eq!(delivery.base_offset(), Some(n as i64 * 10));
                Fate::Written
            }
            Err(failed) => {
                assert!(matches!(failed.reason, FailureReason::Closed), "{failed}");
                failed.fate().unwrap()
            }
        };
        assert!(
            fate == Fate::Unknown || is_there == (fate == Fate::Written),
            "batch {n}: {fate}, in the log: {is_there}"
        );
        *fates.entry(fate.to_string()).or_default() += 1;
    }
    println!("{fates:?}");
    let seen = |fate: Fate| fates.contains_key(&fate.to_string());
    assert!(seen(Fate::Written) && seen(Fate::NotWritten), "{fates:?}");
}

/// A broker of its own, which makes no topics by itself, and dies in the middle.
#[test]
#[ignore = "needs a real broker: cargo run -p kafka-batch-brokers -- --kafka 4 -- cargo test --test kafka -- --ignored"]
fn a_broker_that_dies_and_returns_has_each_batch_once() {
    let kafka = Kafka::here();
    let settings = [("auto.create.topics.enable", "false"), ("broker.session.timeout.ms", "3000")];
    let config = settings.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    let mut broker =
        Broker::start(Release::find(&kafka.version).unwrap(), &Options { config, ..Options::default() }).unwrap();
    let kafka = Kafka { address: broker.address().to_string(), version: kafka.version };

    let mut impatient = Driven::new(&kafka.address, |config| {
        config.request_timeout = Duration::from_secs(2);
        config.delivery_timeout = Duration::from_secs(2);
    });
    let missing = impatient.send_rows("missing", 0, &numbered(0..1), Compression::None);
    assert_eq!(impatient.refused(missing).0, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);

    let topic = Wire::connect(&kafka).topic("dying", 1, &[]);
    let mut driven = Driven::idempotent(&kafka);
    let part = |n: i32| numbered(n * 10..n * 10 + 10);
    let mut sent = Vec::new();
    for round in 0..3 {
        sent.extend(
            (round * 100..round * 100 + 100).map(|n| driven.send_rows(&topic.name, 0, &part(n), Compression::Lz4)),
        );
        // Some are through, some in flight, some wait.
        while driven.ends.len() < (round as usize) * 100 + 10 {
            driven.hear();
        }
        broker.kill();
        broker.restart().unwrap();
    }
    for (n, id) in (0..).zip(sent) {
        assert_eq!(driven.delivered(id).base_offset(), Some(n * 10));
    }
    let log = wire_log(&kafka, &topic);
    assert_counted(&log);
    assert_eq!(rows(&log), at_offsets(&numbered(0..3_000), 0));
}

fn wire_log(kafka: &Kafka, topic: &Topic) -> Vec<u8> {
    Wire::connect(kafka).log(topic, 0)
}

/// What no producer can help: after a broker was killed it knows duplicates only of producers that it has not forgotten, and
/// it forgets by the timestamps of records. A day (`producer.id.expiration.ms`) is little where the past is published.
#[test]
#[ignore = "needs a real broker: cargo run -p kafka-batch-brokers -- --kafka 4 -- cargo test --test kafka -- --ignored"]
fn a_killed_broker_forgets_a_producer_whose_records_are_old() {
    let kafka = Kafka::here();
    let config = vec![("broker.session.timeout.ms".to_owned(), "3000".to_owned())];
    let release = Release::find(&kafka.version).unwrap();
    let mut broker = Broker::start(release, &Options { config, ..Options::default() }).unwrap();
    let kafka = Kafka { address: broker.address().to_string(), version: kafka.version };
    let mut wire = Wire::connect(&kafka);
    let (id, epoch) = idempotent_producer(&mut wire);
    let present = numbered(0..10);
    let old: Vec<Row> = present.iter().map(|row| Row { timestamp: NOON, ..row.clone() }).collect();
    let mut sent = Vec::new();
    for (rows, again_at) in [(present, 0), (old, 10)] {
        let topic = wire.topic("forgotten", 1, &[]);
        let batch = stamped(&rows, Compression::None, Stamp::default().producer(id, epoch, 0));
        assert_eq!(wire.append((&topic, 0), &batch), 0);
        assert_eq!(wire.append((&topic, 0), &batch), 0, "a duplicate, and known as one");
        sent.push((topic, batch, again_at));
    }
    broker.kill();
    broker.restart().unwrap();
    let mut wire = Wire::connect(&kafka);
    for (topic, batch, again_at) in sent {
        let answer = until("the leader's return", || {
            let answer = wire.produce(wire.newest(ApiKey::Produce), None, (&topic, 0), &batch).unwrap();
            (!answer.error_code.is_retriable()).then_some(answer)
        });
        assert_eq!((answer.error_code, answer.base_offset), (ErrorCode::NONE, again_at));
    }
}
