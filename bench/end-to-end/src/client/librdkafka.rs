//! rdkafka, with the settings that serve it best.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, BaseRecord, FutureProducer, FutureRecord, Producer, ProducerContext};
use rdkafka::{ClientConfig, ClientContext};

use super::Outcome;
use crate::job::{Job, Work};
use crate::meter::Meter;

/// What serves this job best: full batches where it is throughput, no waiting where it is a round trip.
pub fn settings(job: &Job) -> Vec<(&'static str, String)> {
    let linger = match job.work {
        Work::RoundTrip => "0",
        Work::Throughput => "20",
    };
    vec![
        ("bootstrap.servers", job.brokers.clone()),
        ("acks", "all".into()),
        ("enable.idempotence", "true".into()),
        ("compression.type", job.compression().into()),
        ("batch.size", (job.batch_size + 4096).to_string()),
        ("message.max.bytes", "1048588".into()),
        ("batch.num.messages", "1000000".into()),
        ("linger.ms", linger.into()),
        ("queue.buffering.max.messages", "1000000".into()),
        ("queue.buffering.max.kbytes", "262144".into()),
        ("socket.nagle.disable", "true".into()),
    ]
}

#[derive(Default)]
struct Count {
    delivered: AtomicU64,
    failed: AtomicU64,
}

impl ClientContext for Count {}

impl ProducerContext for Count {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let counter = if result.is_ok() { &self.delivered } else { &self.failed };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

pub fn run(job: &Job) -> Outcome {
    match job.work {
        Work::Throughput => publish(job),
        Work::RoundTrip => round_trips(job),
    }
}

fn config(job: &Job) -> ClientConfig {
    let mut config = ClientConfig::new();
    for (name, value) in settings(job) {
        config.set(name, value);
    }
    config
}

/// `BaseProducer`, its cheapest one: a call a record, and a callback a record that counts.
fn publish(job: &Job) -> Outcome {
    let producer: BaseProducer<Count> = config(job).create_with_context(Count::default())?;
    producer.client().fetch_metadata(Some(&job.topic), Duration::from_secs(10))?;
    let count = producer.context();
    let value = job.value();
    let meter = Meter::start(job);
    for (sent, partition) in (0..job.partitions).cycle().enumerate() {
        if sent % 1024 == 0 {
            if !meter.goes_on() {
                break;
            }
            producer.poll(Duration::ZERO);
        }
        let mut record = BaseRecord::<(), [u8]>::to(&job.topic).payload(&value[..]).partition(partition);
        while let Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), refused)) = producer.send(record) {
            producer.poll(Duration::from_millis(1));
            record = refused;
        }
    }
    producer.flush(Duration::from_secs(60))?;
    let report = meter.stop(count.delivered.load(Ordering::Relaxed));
    match count.failed.load(Ordering::Relaxed) {
        0 => Ok(report),
        failed => Err(format!("{failed} records failed").into()),
    }
}

/// `FutureProducer`, which answers at once; `BaseProducer` would be polled, and polling waits out its time.
fn round_trips(job: &Job) -> Outcome {
    let producer: FutureProducer = config(job).create()?;
    producer.client().fetch_metadata(Some(&job.topic), Duration::from_secs(10))?;
    let value = job.value();
    super::on_one_thread(async {
        let mut meter = Meter::start(job);
        let mut acknowledged = 0;
        while meter.goes_on() {
            let begun = Instant::now();
            let record = FutureRecord::<(), [u8]>::to(&job.topic).payload(&value[..]).partition(0);
            producer.send(record, Duration::from_secs(10)).await.map_err(|(error, _)| error)?;
            meter.trip(begun);
            acknowledged += 1;
        }
        Ok(meter.stop(acknowledged))
    })
}
