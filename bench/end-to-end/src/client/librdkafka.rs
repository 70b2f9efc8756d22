//! rdkafka, with the settings that serve it best.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, BaseRecord, FutureProducer, FutureRecord, Producer, ProducerContext};
use rdkafka::{ClientConfig, ClientContext};

use super::Outcome;
use crate::job::{Acks, Job, Work};
use crate::meter::Meter;

/// What serves this job best: full batches where it is throughput, no waiting where it is one after the other.
pub fn settings(job: &Job) -> Vec<(&'static str, String)> {
    let linger = if job.is_one_by_one() { "0" } else { "5" };
    vec![
        ("bootstrap.servers", job.brokers.clone()),
        ("acks", job.acks.setting().into()),
        ("enable.idempotence", (job.acks == Acks::All).to_string()),
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
        Work::RoundTrip(_) => round_trips(job),
        Work::Flush => flushes(job),
    }
}

fn config(job: &Job) -> ClientConfig {
    let mut config = ClientConfig::new();
    for (name, value) in settings(job) {
        config.set(name, value);
    }
    config
}

fn base(job: &Job) -> Result<BaseProducer<Count>, KafkaError> {
    let producer: BaseProducer<Count> = config(job).create_with_context(Count::default())?;
    let value = job.value();
    for partition in 0..job.partitions {
        let record = BaseRecord::<(), [u8]>::to(&job.topic).payload(&value[..]).partition(partition);
        producer.send(record).map_err(|(error, _)| error)?;
    }
    producer.flush(Duration::from_secs(60))?;
    Ok(producer)
}

/// How many were delivered after the warm-up, if none failed.
fn delivered(count: &Count, job: &Job) -> Result<u64, String> {
    match count.failed.load(Ordering::Relaxed) {
        0 => Ok(count.delivered.load(Ordering::Relaxed) - job.partitions as u64),
        failed => Err(format!("{failed} records failed")),
    }
}

/// `BaseProducer`, its cheapest one: a call a record, and a callback a record that counts.
fn publish(job: &Job) -> Outcome {
    let producer = base(job)?;
    let value = job.value();
    let meter = Meter::start(job, job.partitions as u64);
    for (sent, partition) in (0..job.partitions).cycle().enumerate() {
        if sent % 1024 == 0 {
            if !meter.goes_on() {
                break;
            }
            producer.poll(Duration::ZERO);
        }
        let mut record = BaseRecord::<(), [u8]>::to(&job.topic).payload(&value[..]).partition(partition);
        while let Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), refused)) = producer.send(record) {
            producer.poll(Duration::from_millis(10)); // the last millisecond of which it spins, so not less
            record = refused;
        }
    }
    producer.flush(Duration::from_secs(60))?;
    Ok(meter.stop(delivered(producer.context(), job)?))
}

/// `FutureProducer`, which answers at once; `BaseProducer` would be polled, and polling waits out its time.
fn round_trips(job: &Job) -> Outcome {
    let producer: FutureProducer = config(job).create()?;
    let (value, records) = (job.value(), job.batch()?.record_count());
    let record = || FutureRecord::<(), [u8]>::to(&job.topic).payload(&value[..]).partition(0);
    super::on_one_thread(async {
        producer.send(record(), Duration::from_secs(60)).await.map_err(|(error, _)| error)?;
        let mut meter = Meter::start(job, 1);
        let (mut acknowledged, mut futures) = (0, Vec::new());
        while meter.goes_on() {
            let begun = Instant::now();
            for _ in 0..records {
                futures.push(producer.send_result(record()).map_err(|(error, _)| error)?);
            }
            for future in futures.drain(..) {
                future.await?.map_err(|(error, _)| error)?;
                acknowledged += 1;
            }
            meter.trip(begun);
        }
        Ok(meter.stop(acknowledged))
    })
}

fn flushes(job: &Job) -> Outcome {
    let producer = base(job)?;
    let value = job.value();
    let mut meter = Meter::start(job, job.partitions as u64);
    while meter.goes_on() {
        let begun = Instant::now();
        producer
            .send(BaseRecord::<(), [u8]>::to(&job.topic).payload(&value[..]).partition(0))
            .map_err(|(error, _)| error)?;
        producer.flush(Duration::from_secs(60))?;
        meter.trip(begun);
    }
    Ok(meter.stop(delivered(producer.context(), job)?))
}
