//! The clients: one producer on one thread over each runtime. Batches are filled record by record; the oldest is awaited when the
//! window is full.

use std::collections::VecDeque;
use std::error::Error;

use kafka_batch::{Append, BatchOptions, Record, TokioProducer, TopicPartition};
use kafka_batch_bench_shared::meter::{Meter, Report, noise};
use kafka_batch_transport::{LocalProducerTask, LocalRuntime, Producer, ProducerBuilder};

use crate::compio_driver::{self, Compio};
use crate::job::{Job, TOPIC};
use crate::monoio_driver::{self, Monoio};

type Outcome = Result<Report, Box<dyn Error>>;

type Run = fn(&Job) -> Outcome;

/// The clients; ratios are to the first.
pub const CLIENTS: [(&str, Run); 3] = [("tokio", tokio), ("compio", compio), ("monoio", monoio)];

/// The bytes of the batches in flight, for which there are at least six.
const WINDOW: usize = 2 << 20;

fn tokio(job: &Job) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let builder = TokioProducer::builder().set("bootstrap.servers", &job.address).batch_options(options(job));
        publish(&*builder.build()?, job).await
    })
}

fn compio(job: &Job) -> Outcome {
    compio_driver::runtime()?.block_on(publish_local::<Compio>(job, |task| compio::runtime::spawn(task).detach()))
}

fn monoio(job: &Job) -> Outcome {
    monoio_driver::runtime()?.block_on(publish_local::<Monoio>(job, |task| drop(monoio::spawn(task))))
}

fn options(job: &Job) -> BatchOptions {
    BatchOptions::default().batch_size(job.batch_size)
}

async fn publish_local<R: LocalRuntime>(job: &Job, spawn: impl FnOnce(LocalProducerTask)) -> Outcome {
    let builder = ProducerBuilder::<R>::new().set("bootstrap.servers", &job.address).batch_options(options(job));
    let (producer, task) = builder.build_local()?;
    spawn(task);
    publish(&producer, job).await
}

async fn publish(producer: &Producer, job: &Job) -> Outcome {
    let value = noise(job.value_len);
    let window = (WINDOW / job.batch_size).max(6);
    let mut meter = Meter::start(job.seconds);
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
