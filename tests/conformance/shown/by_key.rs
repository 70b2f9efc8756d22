use std::time::{Duration, SystemTime};

use kafka_batch::publisher::PartitionedPublisher;
use kafka_batch::{Record, SendErrorReason, TokioProducer};
use tokio::sync::mpsc::Receiver;

type Reading = Record<'static, String, String>; // its key is the sensor

/// Publishes readings, those of one sensor to one partition and in order. Returns those that could not be delivered.
async fn publish_by_key(
    producer: &TokioProducer,
    topic: &str,
    mut readings: Receiver<Reading>,
) -> Result<Vec<Reading>, SendErrorReason> {
    let publisher =
        PartitionedPublisher::from_poll_fn(producer, topic, |context| readings.poll_recv(context), SystemTime::now);
    let mut publisher = publisher.await?.linger(Duration::from_millis(5), tokio::time::sleep);
    let mut undelivered = Vec::new();
    while let Some(outcome) = publisher.next().await {
        if let Err(failed) = outcome {
            eprintln!("{failed}");
            undelivered.extend(failed.messages);
        }
    }
    Ok(undelivered)
}
