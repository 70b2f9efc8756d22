//! kafka-batch: a `TokioProducer` on one thread. Batches are filled record by record; the oldest is awaited when the window is
//! full.

use std::collections::VecDeque;
use std::error::Error;

use kafka_batch::{Append, BatchOptions, Record, TokioProducer, TopicPartition};
use kafka_batch_bench_shared::meter::Report;

use crate::job::{Job, TOPIC};
use crate::security;

/// The bytes of the batches in flight, for which there are at least six.
const WINDOW: usize = 2 << 20;

pub fn run(job: &Job) -> Result<Report, Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(publish(job))
}

async fn publish(job: &Job) -> Result<Report, Box<dyn Error>> {
    let options = BatchOptions::default().batch_size(job.batch_size);
    let mut builder = TokioProducer::builder()
        .set("bootstrap.servers", &job.address)
        .set("security.protocol", job.security.name())
        .batch_options(options);
    if job.security == security::Security::Tls {
        builder = builder.set("ssl.ca.location", security::certificate_path().to_string_lossy());
    }
    let producer = builder.build()?;
    let value = job.value();
    let window = (WINDOW / job.batch_size).max(6);
    let mut meter = job.meter();
    let mut in_flight = VecDeque::new();
    while meter.goes_on() {
        let mut batch = producer.batch();
        while matches!(batch.append(Record::new(&value))?, Append::Appended(_)) {}
        let records = batch.record_count() as u64;
        in_flight.push_back((records, producer.send_batch(batch, TopicPartition::new(TOPIC.name, 0)).await?));
        if in_flight.len() == window
            && let Some((records, pending)) = in_flight.pop_front()
        {
            pending.await?;
            meter.acknowledged(records);
        }
    }
    for (records, pending) in in_flight {
        pending.await?;
        meter.acknowledged(records);
    }
    let report = meter.stop();
    producer.close().await?;
    report
}
