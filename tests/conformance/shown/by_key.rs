use std::time::SystemTime;

use kafka_batch::partitioner::partition_for_key;
use kafka_batch::stream::RollingBatch;
use kafka_batch::{Record, SendErrorReason, TopicPartition, Transport};
use tokio::sync::mpsc::Receiver;

/// Publishes readings by sensor: those of one sensor to one partition, in their order.
async fn pump_by_key(
    mut outbox: Outbox,
    topic: &str,
    mut readings: Receiver<(String, String)>,
) -> Result<(), SendErrorReason> {
    let partitions = outbox.producer.partition_count(topic).await?;
    let mut open: Vec<_> = (0..partitions.get()).map(|_| RollingBatch::new(outbox.producer.batch())).collect();
    while let Some((sensor, reading)) = readings.recv().await {
        let partition = partition_for_key(sensor.as_bytes(), partitions);
        match open[partition as usize].append(Record::new(&reading).key(&sensor), SystemTime::now()) {
            Ok(placed) => {
                if let Some(full) = placed.full {
                    outbox.send(full.batch, TopicPartition::new(topic, partition)).await;
                }
            }
            Err(error) => eprintln!("left out: {reading} of {sensor} ({error})"),
        }
    }
    for (partition, rolling) in (0..).zip(&mut open) {
        if let Some(rest) = rolling.take() {
            outbox.send(rest.batch, TopicPartition::new(topic, partition)).await;
        }
    }
    outbox.finish().await;
    Ok(())
}
