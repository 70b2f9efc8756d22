//! krafka: a call a record, which buffers it, and a handle a record, which is awaited later.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use krafka::producer::{self, DeliveryHandle, Producer};
use krafka::{Compression, Kafka, Record};

use super::Outcome;
use crate::job::{Acks, Job, Work};
use crate::meter::Meter;

pub fn run(job: &Job) -> Outcome {
    super::on_one_thread(async {
        let kafka = Kafka::builder(&job.brokers).connect().await?;
        let linger = if job.is_one_by_one() { Duration::ZERO } else { Duration::from_millis(5) };
        let acks = match job.acks {
            Acks::All => producer::Acks::All,
            Acks::None => producer::Acks::None,
        };
        let producer = kafka
            .producer()
            .acks(acks)
            .idempotent(job.acks == Acks::All)
            .compression(if job.lz4 { Compression::Lz4 } else { Compression::None })
            .batch_size(job.batch_size)
            .linger(linger)
            .buffer_memory(256 << 20)
            .max_request_size(8 << 20)
            .build()
            .await?;
        for partition in 0..job.partitions {
            let record = Record::new(&*job.topic, Bytes::from(job.value())).partition(partition);
            done(producer.enqueue(record).await?, job).await?;
        }
        if job.is_one_by_one() { one_by_one(&producer, job).await } else { publish(&producer, job).await }
    })
}

async fn publish(producer: &Producer, job: &Job) -> Outcome {
    let value = Bytes::from(job.value()); // counted, so that a record costs no copy
    let window = job.window() * job.batch()?.record_count();
    let meter = Meter::start(job, job.partitions as u64);
    let (mut acknowledged, mut on_their_way) = (0, VecDeque::new());
    for (sent, partition) in (0..job.partitions).cycle().enumerate() {
        if sent % 256 == 0 && !meter.goes_on() {
            break;
        }
        let record = Record::new(&*job.topic, value.clone()).partition(partition);
        on_their_way.push_back(producer.enqueue(record).await?);
        if on_their_way.len() >= window {
            acknowledged += done(on_their_way.pop_front().expect("it was sent"), job).await?;
        }
    }
    for handle in on_their_way {
        acknowledged += done(handle, job).await?;
    }
    Ok(meter.stop(acknowledged))
}

async fn one_by_one(producer: &Producer, job: &Job) -> Outcome {
    let value = Bytes::from(job.value());
    let mut meter = Meter::start(job, job.partitions as u64);
    let (mut acknowledged, mut handles) = (0, Vec::new());
    let records = job.batch()?.record_count();
    while meter.goes_on() {
        let begun = Instant::now();
        for _ in 0..records {
            let record = Record::new(&*job.topic, value.clone()).partition(0);
            handles.push(producer.enqueue(record).await?);
        }
        if job.work == Work::Flush {
            producer.flush().await?;
        }
        for handle in handles.drain(..) {
            acknowledged += done(handle, job).await?;
        }
        meter.trip(begun);
    }
    Ok(meter.stop(acknowledged))
}

/// A record that counts as delivered.
async fn done(handle: DeliveryHandle, job: &Job) -> krafka::error::Result<u64> {
    let confirmed = handle.await?.is_persisted();
    Ok(u64::from(confirmed || job.acks == Acks::None))
}
