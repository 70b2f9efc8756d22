//! Publishes batches under smol, with several on their way at a time. Nothing of async-std is used.
//!
//! `cargo run --example smol` publishes to a cluster inside this program; `cargo run --example smol -- localhost:9092`
//! publishes to a real one, to the topic "readings".

use std::collections::VecDeque;
use std::env;
use std::error::Error;

use kafka_batch::{Append, Delivery, DeliveryError, Record, SmolProducer, TopicPartition, Transport};
use rdkafka::mocking::MockCluster;

/// Batches without an answer.
const MOST_ON_THEIR_WAY: usize = 3;

fn main() -> Result<(), Box<dyn Error>> {
    match env::args().nth(1) {
        Some(brokers) => smol::block_on(publish(&brokers)),
        None => {
            let cluster = MockCluster::new(1)?;
            cluster.create_topic("readings", 3, 1)?;
            smol::block_on(publish(&cluster.bootstrap_servers()))
        }
    }
}

async fn publish(brokers: &str) -> Result<(), Box<dyn Error>> {
    let producer = SmolProducer::builder()
        .set("bootstrap.servers", brokers)
        .set("compression.type", "lz4")
        .set("batch.size", "1000")
        .create()?;

    // The program decides what happens when a batch is full: it sends the batch, and begins the next one. An answer that
    // is not taken keeps its batch in memory, so the oldest are taken while the program goes on.
    let to = TopicPartition::new("readings", 0);
    let mut on_their_way = VecDeque::new();
    let mut batch = producer.batch();
    for number in 0..100 {
        let reading = format!("{{\"reading\": {number}}}");
        let record = Record::new(&reading).key("sensor-7");
        if let Append::Full(_) = batch.append(record)? {
            on_their_way.push_back(producer.send_batch(batch, to.clone()).await?);
            if on_their_way.len() > MOST_ON_THEIR_WAY
                && let Some(oldest) = on_their_way.pop_front()
            {
                report(oldest.await)?;
            }
            batch = producer.batch();
            batch.extend([record])?;
        }
    }
    on_their_way.push_back(producer.send_batch(batch, to).await?);

    for pending in on_their_way {
        report(pending.await)?;
    }
    producer.close().await?;
    Ok(())
}

fn report(answer: Result<Delivery, DeliveryError>) -> Result<(), DeliveryError> {
    let delivery = answer?;
    let (first, count) = (delivery.base_offset().unwrap_or(-1), delivery.record_count());
    println!("{}: {count} records from offset {first} on", delivery.topic_partition());
    Ok(())
}
