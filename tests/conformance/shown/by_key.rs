use std::collections::VecDeque;
use std::error::Error;
use std::time::SystemTime;

use kafka_batch::{Record, RollingBatch, TopicPartition, Transport, partition_for_key};

/// Publishes readings by sensor: those of one sensor to one partition, in their order.
async fn publish_by_key<P: Transport>(
    producer: &P,
    topic: &str,
    readings: impl IntoIterator<Item = (String, String)>,
) -> Result<(), Box<dyn Error>> {
    let partitions = producer.partition_count(topic).await?;
    let mut open: Vec<_> = (0..partitions.get()).map(|_| RollingBatch::new(producer.batch())).collect();
    let mut on_their_way = VecDeque::new();
    for (sensor, reading) in readings {
        let partition = partition_for_key(sensor.as_bytes(), partitions);
        let record = Record::new(&reading).key(&sensor);
        let placed = open[partition as usize].append(record, SystemTime::now())?;
        if let Some(full) = placed.full {
            let to = TopicPartition::new(topic, partition);
            on_their_way.push_back(producer.send_batch(full.batch, to).await?);
        }
        if on_their_way.len() > 2 * open.len()
            && let Some(oldest) = on_their_way.pop_front()
        {
            oldest.await?;
        }
    }
    for (partition, rolling) in (0..).zip(&mut open) {
        if let Some(rest) = rolling.take() {
            on_their_way.push_back(producer.send_batch(rest.batch, TopicPartition::new(topic, partition)).await?);
        }
    }
    for accepted in on_their_way {
        accepted.await?;
    }
    Ok(())
}
