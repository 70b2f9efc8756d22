//! rskafka, a batch a call: its fastest way. Calls run beside one another, as many as a connection has requests.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use rskafka::client::ClientBuilder;
use rskafka::client::partition::{Compression, UnknownTopicHandling};
use rskafka::record::Record;
use tokio::task::JoinSet;

use super::Outcome;
use crate::job::Job;
use crate::meter::Meter;

pub fn run(job: &Job) -> Outcome {
    super::on_one_thread(async {
        let client = ClientBuilder::new(vec![job.brokers.clone()]).build().await?;
        let compression = if job.lz4 { Compression::Lz4 } else { Compression::NoCompression };
        let mut partitions = Vec::new();
        for partition in 0..job.partitions {
            let client = client.partition_client(&job.topic, partition, UnknownTopicHandling::Retry).await?;
            partitions.push(Arc::new(client));
        }
        let value = job.value();
        let record = |timestamp| Record { key: None, value: Some(value.clone()), headers: BTreeMap::new(), timestamp };
        for partition in &partitions {
            partition.produce(vec![record(chrono::Utc::now())], compression).await?;
        }
        let (records, window) = (job.batch()?.record_count(), job.window());
        let mut meter = Meter::start(job, job.partitions as u64);
        let (mut acknowledged, mut on_their_way) = (0, JoinSet::new());
        for partition in partitions.iter().cycle() {
            let goes_on = meter.goes_on();
            if goes_on {
                let begun = Instant::now();
                let timestamp = chrono::Utc::now();
                let batch = (0..records).map(|_| record(timestamp)).collect();
                let partition = Arc::clone(partition);
                on_their_way.spawn(async move { (begun, partition.produce(batch, compression).await) });
            }
            while on_their_way.len() >= if goes_on { window } else { 1 } {
                let (begun, outcome) = on_their_way.join_next().await.expect("one is on its way")?;
                acknowledged += outcome?.len() as u64;
                meter.trip(begun);
            }
            if !goes_on {
                break;
            }
        }
        Ok(meter.stop(acknowledged))
    })
}
