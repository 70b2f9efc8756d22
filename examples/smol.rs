//! Publishes batches under smol, with several in flight at a time. Does not use async-std.
//!
//! `cargo run --example smol --features smol` publishes to a cluster inside this program; with `-- localhost:9092` after it, to
//! a real one, to the topic "readings".

use std::collections::VecDeque;
use std::env;
use std::error::Error;

use kafka_batch::{Append, Delivery, DeliveryError, Record, SmolProducer, TopicPartition, Transport};
use kafka_batch_testing::{TestCluster, Topic};

/// The maximum number of batches without an outcome.
const MAX_IN_FLIGHT: usize = 3;

fn main() -> Result<(), Box<dyn Error>> {
    match env::args().nth(1) {
        Some(brokers) => smol::block_on(publish(&brokers)),
        None => {
            let cluster = TestCluster::builder().topic(Topic::new("readings").partitions(3)).start()?;
            smol::block_on(publish(&cluster.bootstrap_servers()))
        }
    }
}

async fn publish(brokers: &str) -> Result<(), Box<dyn Error>> {
    let producer = SmolProducer::builder()
        .set("bootstrap.servers", brokers)
        .set("compression.type", "lz4")
        .set("batch.size", "1000")
        .build()?;

    // The program decides what to do when a batch is full: here it sends the batch and begins the next one. A `Pending`
    // that is not awaited keeps its batch in memory, so the oldest ones are awaited in the loop.
    let to = TopicPartition::new("readings", 0);
    let mut in_flight = VecDeque::new();
    let mut batch = producer.batch();
    for number in 0..100 {
        let reading = format!("{{\"reading\": {number}}}");
        let record = Record::new(&reading).key("sensor-7");
        if let Append::Full(_) = batch.append(record)? {
            in_flight.push_back(producer.send_batch(batch, to.clone()).await?);
            if in_flight.len() > MAX_IN_FLIGHT {
                if let Some(oldest) = in_flight.pop_front() {
                    report(oldest.await)?;
                }
            }
            batch = producer.batch();
            batch.extend([record])?;
        }
    }
    in_flight.push_back(producer.send_batch(batch, to).await?);

    for pending in in_flight {
        report(pending.await)?;
    }
    producer.close().await?;
    Ok(())
}

fn report(outcome: Result<Delivery, DeliveryError>) -> Result<(), DeliveryError> {
    let delivery = outcome?;
    let (first, count) = (delivery.base_offset().unwrap_or(-1), delivery.record_count());
    println!("{}: {count} records from offset {first} on", delivery.topic_partition());
    Ok(())
}
