//! A batch published under smol: with its sockets, its timers and its executor, and nothing of async-std.
//!
//! `cargo run --example smol` publishes to a cluster inside this program; `cargo run --example smol -- localhost:9092`
//! publishes to a real one, to the topic "readings".

use std::env;
use std::error::Error;

use kafka_batch::{Append, Record, SmolProducer, TopicPartition, Transport};
use rdkafka::mocking::MockCluster;

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

    // A full batch goes, and the next one is begun: here that is the program's business.
    let to = TopicPartition::new("readings", 0);
    let mut on_their_way = Vec::new();
    let mut batch = producer.batch();
    for number in 0..100 {
        let reading = format!("{{\"reading\": {number}}}");
        let record = Record::new(&reading).key("sensor-7");
        if let Append::Full(_) = batch.append(record)? {
            on_their_way.push(producer.send_batch(batch, to.clone()).await?);
            batch = producer.batch();
            batch.extend([record])?;
        }
    }
    on_their_way.push(producer.send_batch(batch, to).await?);

    for pending in on_their_way {
        let delivery = pending.await?;
        let (first, count) = (delivery.base_offset().unwrap_or(-1), delivery.record_count());
        println!("{}: {count} records from offset {first} on", delivery.topic_partition());
    }
    producer.close().await?;
    Ok(())
}
