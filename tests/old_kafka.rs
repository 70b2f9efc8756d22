//! Against old releases of Apache Kafka: the machine detects the format that the broker accepts, and the tools of that
//! release read what it sends.
//!
//! Run with `cargo with-kafka --kafka 0.9 -- cargo witnesses --test old_kafka -- --ignored`, and with `--kafka 0.10`, `0.11`,
//! `1.1` and `2.8`.

#[allow(dead_code, reason = "its transactions are used by the example")]
#[path = "../docs/blocking_driver.rs"]
mod driver;
#[path = "kafka/environment.rs"]
mod environment;
#[path = "old_kafka/release.rs"]
mod release;
#[path = "kafka/run.rs"]
mod run;
#[path = "old_kafka/tools.rs"]
mod tools;

use std::fs;
use std::time::Duration;

use driver::BlockingProducer;
use kafka_batch::decode::{DEFAULT_MAX_DECOMPRESSED, RecordBatches};
use kafka_batch::machine::{BatchId, CloseMode, ConnectionErrorKind, Event, MachineConfig, Versions};
use kafka_batch::protocol::{Acks, ErrorCode};
use kafka_batch::{
    BatchOptions, Compression, Delivery, DeliveryError, Fate, Header, KafkaBatch, Magic, Publish, Record,
    TokioProducer, TopicPartition, Transport,
};
use release::OldKafka;
use tools::Seen;

/// 2023-11-14.
const NOON: i64 = 1_700_000_000_000;

/// A producer, and the versions that it negotiated.
struct Driven {
    producer: BlockingProducer,
    versions: Vec<Versions>,
    errors: Vec<ConnectionErrorKind>,
}

impl Driven {
    fn new(kafka: &OldKafka, change: impl FnOnce(&mut MachineConfig)) -> Self {
        let (host, port) = kafka.address.rsplit_once(':').unwrap();
        let mut config = MachineConfig::new([(host, port.parse().unwrap())]);
        config.broker_version_fallback = kafka.fallback();
        config.socket_connection_setup_timeout = Duration::from_secs(1); // the time that 0.9 has for its response
        change(&mut config);
        Self { producer: BlockingProducer::new(config), versions: Vec::new(), errors: Vec::new() }
    }

    /// Looks up a topic, which the broker creates at the first request.
    fn lookup_topic(&mut self, topic: &str) {
        self.producer.lookup_topic(topic);
        loop {
            if let Event::Topic { partitions, .. } = self.handle_event() {
                return assert_eq!(partitions.unwrap().get(), 1);
            }
        }
    }

    fn send(&mut self, topic: &str, batch: KafkaBatch) -> BatchId {
        self.producer.send(batch.seal().unwrap(), TopicPartition::new(topic, 0)).unwrap()
    }

    fn handle_event(&mut self) -> Event {
        let event = self.producer.next_event(Duration::from_secs(100)).expect("something happens");
        match &event {
            Event::Ready { versions, .. } => self.versions.push(*versions),
            Event::ConnectionError(found) => self.errors.push(found.kind.clone()),
            _ => {}
        }
        event
    }

    /// Returns the outcome of this batch, which is the next outcome.
    fn end(&mut self, id: BatchId) -> Result<Delivery, DeliveryError> {
        loop {
            match self.handle_event() {
                Event::Delivered { id: ended, delivery } if ended == id => return Ok(delivery),
                Event::Failed { id: ended, error } if ended == id => return Err(error),
                Event::Delivered { id: ended, .. } | Event::Failed { id: ended, .. } => panic!("{ended} is not {id}"),
                _ => {}
            }
        }
    }

    fn close(mut self) {
        self.producer.close(CloseMode::Graceful);
        while !matches!(self.handle_event(), Event::Closed) {}
    }
}

/// Returns distinct records that every format can carry, also with null and empty keys and values.
fn records(numbers: std::ops::Range<i64>) -> Vec<Seen> {
    let text = |kind: &str, n: i64| Some(format!("{kind} {n} of a sensor that sends the same again and again"));
    let record = |n: i64| Seen {
        offset: n,
        timestamp: Some(NOON + n % 7 * 1_000),
        key: if n % 5 == 1 { None } else { text("key", n) },
        value: if n % 11 == 3 { None } else { text("value", n) },
    };
    numbers.map(record).collect()
}

fn batch(records: &[Seen], compression: Compression) -> KafkaBatch {
    let mut batch = BatchOptions::default().compression(compression).build(NOON).unwrap();
    for seen in records {
        let mut record = Record::default().timestamp(seen.timestamp.unwrap());
        record.key = seen.key.as_ref().map(String::as_bytes);
        record.value = seen.value.as_ref().map(String::as_bytes);
        assert!(!batch.append(record).unwrap().is_full());
    }
    batch
}

/// Returns the records as stored in this format. Magic 0 has no timestamps.
fn as_stored(records: &[Seen], magic: Magic) -> Vec<Seen> {
    let timestamp = |seen: &Seen| seen.timestamp.filter(|_| magic.has_timestamps());
    records.iter().map(|seen| Seen { timestamp: timestamp(seen), ..seen.clone() }).collect()
}

/// Reads a segment with this library, and checks the format of its batches.
fn read(segment: &[u8], magic: Magic, compression: Compression) -> Vec<Seen> {
    let mut found = Vec::new();
    for batch in RecordBatches::new(segment).map(Result::unwrap) {
        assert_eq!((batch.magic(), batch.codec()), (magic, compression.codec()));
        for record in &batch.records(DEFAULT_MAX_DECOMPRESSED).unwrap() {
            let record = record.unwrap();
            let text = |bytes: Option<&[u8]>| bytes.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap());
            found.push(Seen {
                offset: record.offset,
                timestamp: Some(record.timestamp.millis()).filter(|_| magic.has_timestamps()),
                key: text(record.key),
                value: text(record.value),
            });
        }
    }
    found
}

#[test]
#[ignore = "needs an old broker: cargo with-kafka --kafka 0.9 -- cargo witnesses --test old_kafka -- --ignored"]
fn the_format_is_the_broker_s_and_the_records_are_read_back_in_every_codec() {
    let kafka = OldKafka::here();
    let magic = kafka.magic();
    let codecs = ["none", "gzip", "snappy", "lz4", "zstd"].map(|codec| codec.parse::<Compression>().unwrap());
    for compression in codecs.into_iter().filter(|compression| kafka.supports(*compression)) {
        let topic = format!("codec-{}", compression.codec());
        let mut driven = Driven::new(&kafka, |_| {});
        driven.lookup_topic(&topic);
        // Several batches in flight, filled before the format was known.
        let parts: Vec<_> = (0..20).map(|n| records(n * 40..n * 40 + 40)).collect();
        let sent: Vec<_> = parts.iter().map(|part| driven.send(&topic, batch(part, compression))).collect();
        for (id, part) in sent.into_iter().zip(&parts) {
            let delivery = driven.end(id).unwrap();
            assert_eq!(delivery.base_offset(), Some(part[0].offset), "{compression}");
            assert_eq!(delivery.batch().magic(), magic, "{compression}");
        }
        for versions in &driven.versions {
            assert_eq!((versions.produce, versions.init_producer_id), kafka.newest_versions(), "{versions:?}");
            assert_eq!(versions.magic(), magic);
        }
        println!("Kafka {}, {compression}: {:?}", kafka.version, driven.versions[0]);
        driven.close();

        let expected = as_stored(&parts.concat(), magic);
        let segment = kafka.segment(&topic);
        assert_eq!(read(&fs::read(&segment).unwrap(), magic, compression), expected, "{compression}");
        let dump = tools::dump(&kafka, &segment);
        let no_key = |seen: &Seen| seen.value.is_none() && kafka.line() != "2.8";
        let as_shown = |seen: &Seen| Seen { key: seen.key.clone().filter(|_| !no_key(seen)), ..seen.clone() };
        assert_eq!(dump.records, expected.iter().map(as_shown).collect::<Vec<_>>(), "{compression}");
        assert_eq!(dump.magics, [magic.id()], "{compression}");
        let idempotent = kafka.newest_versions().1.is_some();
        assert_eq!(dump.producers.len(), usize::from(idempotent), "{:?}", dump.producers);
        assert!(!idempotent || dump.producers[0] >= 0);
        assert_eq!(tools::consume(&kafka, &topic, expected.len()), expected, "{compression}");
    }
}

fn tokio_producer(kafka: &OldKafka, compression: Compression) -> TokioProducer {
    let mut builder = TokioProducer::builder()
        .set("bootstrap.servers", &kafka.address)
        .set("socket.connection.setup.timeout.ms", "1000")
        .set("compression.type", compression.codec().to_string());
    if let Some(version) = kafka.fallback() {
        builder = builder.set("broker.version.fallback", version.to_string());
    }
    builder.build().unwrap()
}

#[tokio::test]
#[ignore = "needs an old broker: cargo with-kafka --kafka 0.9 -- cargo witnesses --test old_kafka -- --ignored"]
async fn batches_of_a_producer_fit_its_brokers() {
    let kafka = OldKafka::here();
    let producer = tokio_producer(&kafka, Compression::zstd());
    let unknown = producer.batch();
    assert_eq!(
        (unknown.magic(), unknown.options()),
        (Magic::V2, &BatchOptions::default().compression(Compression::zstd()))
    );
    producer.partition_count("fitting").await.unwrap();
    let mut known = producer.batch();
    assert_eq!(known.magic(), kafka.magic());
    let is_compressed = known.options() == unknown.options();
    assert_eq!(is_compressed, kafka.supports(Compression::zstd()), "{:?}", known.options());
    known.extend([Record::new("fits")]).unwrap();
    let delivery = producer.publish_batch(Publish::to("fitting").partition(0).batch(known)).await.unwrap();
    assert_eq!(delivery.base_offset(), Some(0));
    producer.close().await.unwrap();
}

#[tokio::test]
#[ignore = "needs an old broker: cargo with-kafka --kafka 0.9 -- cargo witnesses --test old_kafka -- --ignored"]
async fn the_tokio_transport_delivers_the_same_in_every_codec() {
    let kafka = OldKafka::here();
    let magic = kafka.magic();
    let codecs = ["none", "gzip", "snappy", "lz4", "zstd"].map(|codec| codec.parse::<Compression>().unwrap());
    for compression in codecs.into_iter().filter(|compression| kafka.supports(*compression)) {
        let topic = format!("tokio-{}", compression.codec());
        let producer = tokio_producer(&kafka, compression);
        let parts: Vec<_> = (0..20).map(|n| records(n * 40..n * 40 + 40)).collect();
        let mut pending = Vec::new();
        for part in &parts {
            let to = TopicPartition::new(&topic, 0);
            pending.push(producer.send_batch(batch(part, compression), to).await.unwrap());
        }
        for (pending, part) in pending.into_iter().zip(&parts) {
            let delivery = pending.await.unwrap();
            assert_eq!(delivery.base_offset(), Some(part[0].offset), "{compression}");
            assert_eq!(delivery.batch().magic(), magic, "{compression}");
        }
        producer.close().await.unwrap();
        let expected = as_stored(&parts.concat(), magic);
        assert_eq!(read(&fs::read(kafka.segment(&topic)).unwrap(), magic, compression), expected, "{compression}");
        assert_eq!(tools::consume(&kafka, &topic, expected.len()), expected, "{compression}");
    }
}

#[test]
#[ignore = "needs an old broker: cargo with-kafka --kafka 0.9 -- cargo witnesses --test old_kafka -- --ignored"]
fn headers_are_stored_or_rejected_and_never_dropped() {
    let kafka = OldKafka::here();
    let headers = [Header::new("trace", "1"), Header::new("unit", "°C"), Header::new("trace", "2")];
    let mut with_headers = KafkaBatch::new(kafka_batch::Timestamp::from_millis(NOON));
    with_headers.extend([Record::new("plain"), Record::new("second").headers(&headers)]).unwrap();
    let mut driven = Driven::new(&kafka, |_| {});
    driven.lookup_topic("headers");
    let id = driven.send("headers", with_headers);
    match driven.end(id) {
        Ok(delivery) => {
            assert!(kafka.magic() == Magic::V2 && delivery.base_offset() == Some(0));
            let segment = fs::read(kafka.segment("headers")).unwrap();
            let stored = RecordBatches::new(&segment).next().unwrap().unwrap();
            let records = stored.records(DEFAULT_MAX_DECOMPRESSED).unwrap();
            let second = records.iter().nth(1).unwrap().unwrap();
            let read: Vec<_> = second.headers.iter().map(|header| (header.name, header.value.unwrap())).collect();
            assert_eq!(read, [("trace", &b"1"[..]), ("unit", "°C".as_bytes()), ("trace", b"2")]);
            assert!(tools::dump(&kafka, &kafka.segment("headers")).text.contains("headerKeys: [trace,unit,trace]"));
        }
        Err(failed) => {
            assert!(kafka.magic() < Magic::V2);
            assert_eq!(failed.fate(), Some(Fate::NotWritten));
            let message = failed.to_string();
            assert!(message.contains("cannot carry the 3 headers of record 1"), "{message}");
            assert!(fs::read(kafka.segment("headers")).unwrap().is_empty());
        }
    }
}

#[test]
#[ignore = "needs an old broker: cargo with-kafka --kafka 0.9 -- cargo witnesses --test old_kafka -- --ignored"]
fn zstd_is_rejected_before_it_is_sent_if_the_broker_is_too_old() {
    let kafka = OldKafka::here();
    if kafka.supports(Compression::zstd()) {
        return; // zstd is among the codecs above
    }
    let mut driven = Driven::new(&kafka, |_| {});
    driven.lookup_topic("zstd");
    let id = driven.send("zstd", batch(&records(0..40), Compression::zstd()));
    let failed = driven.end(id).unwrap_err();
    assert_eq!(failed.fate(), Some(Fate::NotWritten), "{failed}");
    assert!(failed.to_string().contains("zstd"), "{failed}");
    assert!(fs::read(kafka.segment("zstd")).unwrap().is_empty());
}

#[test]
#[ignore = "needs an old broker: cargo with-kafka --kafka 0.9 -- cargo witnesses --test old_kafka -- --ignored"]
fn fewer_acks_and_a_batch_that_is_too_large() {
    let kafka = OldKafka::here();
    for acks in [Acks::Leader, Acks::None] {
        let topic = format!("acks-{acks:?}");
        let mut driven = Driven::new(&kafka, |config| config.acks = acks);
        driven.lookup_topic(&topic);
        let sent: Vec<_> =
            (0..20).map(|n| driven.send(&topic, batch(&records(n * 40..n * 40 + 40), Compression::Snappy))).collect();
        for (n, id) in (0..).zip(sent) {
            let delivery = driven.end(id).unwrap();
            assert_eq!(delivery.base_offset(), (acks == Acks::Leader).then_some(n * 40));
        }
        let expected = as_stored(&records(0..800), kafka.magic());
        assert_eq!(tools::consume(&kafka, &topic, expected.len()), expected, "{acks:?}");
        driven.close(); // not earlier: 0.9 discards requests that it has read when their connection ends
    }

    // The broker's limit is that of message.max.bytes, 1 000 012 before 2.4.
    let value = vec![b'x'; 1_200_000];
    let options = BatchOptions::default().max_message_bytes(2_000_000);
    let mut large = options.build(NOON).unwrap();
    large.extend([Record::new(&value)]).unwrap();
    let mut driven = Driven::new(&kafka, |_| {});
    driven.lookup_topic("large");
    let id = driven.send("large", large);
    let failed = driven.end(id).unwrap_err();
    assert_eq!(failed.reason.code(), Some(ErrorCode::MESSAGE_TOO_LARGE), "{failed}");
    assert_eq!(failed.fate(), Some(Fate::NotWritten));
}

/// A broker without ApiVersions does not respond to it, and nothing is assumed.
#[test]
#[ignore = "needs an old broker: cargo with-kafka --kafka 0.9 -- cargo witnesses --test old_kafka -- --ignored"]
fn without_a_fallback_nothing_is_sent_to_a_broker_that_does_not_report_its_versions() {
    let kafka = OldKafka::here();
    let mut driven = Driven::new(&kafka, |config| {
        config.broker_version_fallback = None;
        config.request_timeout = Duration::from_secs(2);
        config.delivery_timeout = Duration::from_secs(2);
    });
    let id = driven.send("unsupported", batch(&records(0..40), Compression::None));
    match driven.end(id) {
        Ok(_) => assert!(kafka.fallback().is_none() && driven.errors.is_empty()),
        Err(failed) => {
            assert!(kafka.fallback().is_some(), "{failed}");
            assert_eq!((failed.fate(), driven.versions.len()), (Some(Fate::NotWritten), 0), "{failed}");
            assert!(
                driven.errors.iter().all(|kind| matches!(kind, ConnectionErrorKind::RequestTimeout { .. })),
                "{:?}",
                driven.errors
            );
            assert!(!kafka.segment("unsupported").exists());
        }
    }
}
