//! kafka-batch, over each of its transports: batch by batch, the oldest awaited when the window is full.

use std::collections::VecDeque;
use std::error::Error;
use std::time::Instant;

use kafka_batch::{
    Append, AsyncStdProducer, BatchOptions, RdkafkaProducer, Record, TokioProducer, TopicPartition, Transport,
};

use super::Outcome;
use crate::job::{Job, Work};
use crate::meter::Meter;

pub fn tokio(job: &Job) -> Outcome {
    super::on_one_thread(async {
        let producer = TokioProducer::builder().set("bootstrap.servers", &job.brokers).set("acks", job.acks.setting());
        publish(producer.batch_options(options(job)?).build()?, job).await
    })
}

pub fn async_std(job: &Job) -> Outcome {
    async_std::task::block_on(async {
        let producer = AsyncStdProducer::builder().set("bootstrap.servers", &job.brokers);
        let producer = producer.set("acks", job.acks.setting());
        publish(producer.batch_options(options(job)?).build()?, job).await
    })
}

pub fn rdkafka(job: &Job) -> Outcome {
    super::on_one_thread(async {
        let settings = super::librdkafka::settings(job);
        let builder = RdkafkaProducer::builder().batch_options(options(job)?);
        let builder = settings.into_iter().fold(builder, |builder, (name, value)| builder.set(name, value));
        publish(builder.build()?, job).await
    })
}

fn options(job: &Job) -> Result<BatchOptions, Box<dyn Error>> {
    Ok(BatchOptions::default().batch_size(job.batch_size).compression(job.compression().parse()?))
}

async fn publish<T: Transport>(producer: T, job: &Job) -> Outcome
where
    T::Pending: Unpin,
{
    let (value, most) = (job.value(), job.most_records());
    for partition in 0..job.partitions {
        let mut batch = producer.batch();
        batch.extend([Record::new(&value)])?;
        producer.send_batch(batch, TopicPartition::new(&job.topic, partition)).await?.await?;
    }
    let mut meter = Meter::start(job, job.partitions as u64);
    let (mut acknowledged, mut on_their_way) = (0, VecDeque::new());
    let mut partitions = (0..job.partitions).cycle();
    while meter.goes_on() {
        let begun = Instant::now();
        let mut batch = producer.batch();
        while batch.record_count() < most && matches!(batch.append(Record::new(&value))?, Append::Appended(_)) {}
        let to = TopicPartition::new(&job.topic, partitions.next().expect("endless"));
        let records = batch.record_count() as u64;
        on_their_way.push_back((begun, records, producer.send_batch(batch, to).await?));
        if job.work == Work::Flush {
            producer.flush().await?;
        }
        if on_their_way.len() == job.window() {
            let (begun, records, pending) = on_their_way.pop_front().expect("it was sent");
            pending.await?;
            acknowledged += records;
            meter.trip(begun);
        }
    }
    for (begun, records, pending) in on_their_way {
        pending.await?;
        acknowledged += records;
        meter.trip(begun);
    }
    Ok(meter.stop(acknowledged))
}
