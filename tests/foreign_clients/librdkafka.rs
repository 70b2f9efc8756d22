//! librdkafka, through the crate `rdkafka`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use kafka_batch_witnesses::rdkafka::client::ClientContext;
use kafka_batch_witnesses::rdkafka::consumer::{BaseConsumer, Consumer};
use kafka_batch_witnesses::rdkafka::message::{
    BorrowedMessage, DeliveryResult, Header, Headers as _, Message, OwnedHeaders,
};
use kafka_batch_witnesses::rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use kafka_batch_witnesses::rdkafka::util::get_rdkafka_version;
use kafka_batch_witnesses::rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::clients::{Accepts, Client, Offsets, Read};
use crate::messages::{FetchedRecord, Place, Range, ReadJob, RecordFields, Target, WriteJob, decoded, encoded};
use crate::program::PATIENCE;

pub(crate) struct Librdkafka {
    name: String,
}

impl Librdkafka {
    pub(crate) fn new() -> Self {
        Self { name: format!("librdkafka {}", get_rdkafka_version().1) }
    }
}

/// Collects what was acknowledged.
#[derive(Clone, Default)]
struct Collecting(Arc<Mutex<Vec<(i32, usize, i64)>>>);

impl ClientContext for Collecting {}

impl ProducerContext for Collecting {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, position: usize) {
        match result {
            Ok(delivered) => self.0.lock().unwrap().push((delivered.partition(), position, delivered.offset())),
            // librdkafka calls this, so it must not panic. The test misses the offset.
            Err((error, _)) => eprintln!("librdkafka: record {position}: {error}"),
        }
    }
}

fn producer(servers: &str, target: &Target, context: Collecting) -> ThreadedProducer<Collecting> {
    ClientConfig::new()
        .set("bootstrap.servers", servers)
        .set("compression.type", target.codec)
        .set("enable.idempotence", if target.idempotent { "true" } else { "false" })
        .set("acks", "all")
        .set("linger.ms", "50")
        .create_with_context(context)
        .unwrap()
}

impl Client for Librdkafka {
    fn name(&self) -> &str {
        &self.name
    }

    fn accepts(&self) -> Accepts {
        Accepts::EVERYTHING
    }

    fn write(&self, servers: &str, job: &WriteJob, paused: &mut dyn FnMut()) -> Offsets {
        let context = Collecting::default();
        let each = job.partitions.iter();
        let producers: Vec<_> =
            each.map(|target| (target.partition, producer(servers, target, context.clone()))).collect();
        let send = |from: usize, to: usize| {
            for (partition, producer) in &producers {
                for (position, record) in job.records.iter().enumerate().take(to).skip(from) {
                    send(producer, &job.topic, *partition, position, record);
                }
            }
            for (_, producer) in &producers {
                producer.flush(PATIENCE).unwrap();
            }
        };
        let first = job.pause_after.unwrap_or(job.records.len());
        send(0, first);
        if job.pause_after.is_some() {
            paused();
            send(first, job.records.len());
        }
        drop(producers);
        Offsets(std::mem::take(&mut *context.0.lock().unwrap()))
    }

    fn read(&self, servers: &str, job: &ReadJob, paused: &mut dyn FnMut()) -> Read {
        // A consumer needs the name of a group, although there is none.
        let mut settings = ClientConfig::new();
        settings.set("bootstrap.servers", servers).set("group.id", "none").set("enable.auto.commit", "false");
        let consumer: BaseConsumer = settings.create().unwrap();
        let mut read = Read { ranges: ranges(&consumer, job), ..Read::default() };
        let mut list = TopicPartitionList::new();
        for source in &job.partitions {
            list.add_partition_offset(&source.topic, source.partition, Offset::Beginning).unwrap();
        }
        consumer.assign(&list).unwrap();
        if job.pause_after.is_some() {
            poll(&consumer, job, job.pause_after, &mut read.records);
            paused();
        }
        poll(&consumer, job, None, &mut read.records);
        read
    }
}

/// Polls until everything, or this many records of each partition, has been read.
fn poll(consumer: &BaseConsumer, job: &ReadJob, limit: Option<usize>, read: &mut Vec<FetchedRecord>) {
    let wanted = |count: usize| limit.map_or(count, |limit| limit.min(count));
    let partition = |place: &Place| (place.topic.clone(), place.partition);
    let each = job.partitions.iter().map(|source| ((source.topic.clone(), source.partition), wanted(source.count)));
    let mut left: HashMap<_, usize> = each.collect();
    let count = |left: &mut HashMap<_, usize>, place: &Place| {
        let left = left.get_mut(&partition(place)).expect("only assigned partitions are read");
        *left = left.saturating_sub(1);
    };
    read.iter().for_each(|record| count(&mut left, &record.place));
    let until = Instant::now() + PATIENCE;
    while left.values().any(|left| *left > 0) {
        assert!(Instant::now() < until, "librdkafka did not read everything: {left:?}");
        if let Some(message) = consumer.poll(Duration::from_millis(100)) {
            let record = fetched(&message.expect("a record"));
            count(&mut left, &record.place);
            read.push(record);
        }
    }
}

fn send(producer: &ThreadedProducer<Collecting>, topic: &str, partition: i32, position: usize, record: &RecordFields) {
    let (key, value) = (decoded(record.key.as_ref()), decoded(record.value.as_ref()));
    let mut message = BaseRecord::<Vec<u8>, Vec<u8>, _>::with_opaque_to(topic, position)
        .partition(partition)
        .timestamp(record.timestamp);
    if let Some(key) = &key {
        message = message.key(key);
    }
    if let Some(value) = &value {
        message = message.payload(value);
    }
    if !record.headers.is_empty() {
        let headers = record.headers.iter().fold(OwnedHeaders::new(), |headers, (name, value)| {
            headers.insert(Header { key: name, value: decoded(value.as_ref()).as_ref() })
        });
        message = message.headers(headers);
    }
    producer.send(message).map_err(|(error, _)| error).unwrap();
}

fn ranges(consumer: &BaseConsumer, job: &ReadJob) -> Vec<Range> {
    let mut times = TopicPartitionList::new();
    for source in &job.partitions {
        times.add_partition_offset(&source.topic, source.partition, Offset::Offset(job.time)).unwrap();
    }
    let times = consumer.offsets_for_times(times, PATIENCE).unwrap();
    let range = |source: &crate::messages::Source| {
        let (earliest, latest) = consumer.fetch_watermarks(&source.topic, source.partition, PATIENCE).unwrap();
        let found = times.find_partition(&source.topic, source.partition).unwrap();
        found.error().unwrap();
        let from_time = match found.offset() {
            Offset::Offset(offset) => Some((offset, None)),
            Offset::End => None,
            other => panic!("librdkafka: {other:?} for a time"),
        };
        let place = Place { topic: source.topic.clone(), partition: source.partition };
        Range { place, earliest, latest, from_time }
    };
    job.partitions.iter().map(range).collect()
}

fn fetched(message: &BorrowedMessage<'_>) -> FetchedRecord {
    let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
    FetchedRecord {
        place: Place { topic: message.topic().to_owned(), partition: message.partition() },
        offset: message.offset(),
        fields: RecordFields {
            key: encoded(message.key()),
            value: encoded(message.payload()),
            headers: headers.map(|header| (header.key.to_owned(), encoded(header.value))).collect(),
            timestamp: message.timestamp().to_millis().unwrap_or(-1),
        },
    }
}
