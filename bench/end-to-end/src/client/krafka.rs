//! krafka: a call a record, which buffers it, and a handle a record, which is awaited later.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use krafka::Compression;
use krafka::producer::Acks;
use krafka::{Kafka, Record};

use super::Outcome;
use crate::job::{Job, Work};
use crate::meter::Meter;

pub fn run(job: &Job) -> Outcome {
    super::on_one_thread(async {
        let kafka = Kafka::builder(&job.brokers).connect().await?;
        let (linger, window) = match job.work {
            Work::RoundTrip => (Duration::ZERO, 1),
            Work::Throughput => (Duration::from_millis(20), job.window() * job.records_of_a_batch()),
        };
        let producer = kafka
            .producer()
            .acks(Acks::All)
            .compression(if job.lz4 { Compression::Lz4 } else { Compression::None })
            .batch_size(job.batch_size)
            .linger(linger)
            .buffer_memory(256 << 20)
            .max_request_size(8 << 20)
            .build()
            .await?;
        producer.partitions_for(&job.topic).await?;
        let value = Bytes::from(job.value()); // counted, so that a record costs no copy
        let mut meter = Meter::start(job);
        let (mut acknowledged, mut on_their_way) = (0, VecDeque::new());
        for (sent, partition) in (0..job.partitions).cycle().enumerate() {
            if (job.work == Work::RoundTrip || sent % 256 == 0) && !meter.goes_on() {
                break;
            }
            let begun = Instant::now();
            let record = Record::new(&*job.topic, value.clone()).partition(partition);
            on_their_way.push_back((begun, producer.enqueue(record).await?));
            if on_their_way.len() >= window {
                let (begun, handle) = on_their_way.pop_front().expect("it was sent");
                acknowledged += u64::from(handle.await?.is_persisted());
                if job.work == Work::RoundTrip {
                    meter.trip(begun);
                }
            }
        }
        for (_, handle) in on_their_way {
            acknowledged += u64::from(handle.await?.is_persisted());
        }
        Ok(meter.stop(acknowledged))
    })
}
