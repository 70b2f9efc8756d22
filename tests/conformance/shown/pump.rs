use std::time::{Duration, SystemTime};

use kafka_batch::stream::BatchStream;
use kafka_batch::TopicPartition;
use tokio::sync::mpsc::Receiver;

/// Publishes readings as they come.
async fn pump(mut outbox: Outbox, to: TopicPartition, mut readings: Receiver<String>) {
    let first = outbox.producer.batch();
    let mut batches = BatchStream::from_poll_fn(|context| readings.poll_recv(context), first, SystemTime::now)
        .linger(Duration::from_millis(5), tokio::time::sleep);
    while let Some(next) = batches.next().await {
        match next {
            Ok(full) => outbox.send(full.batch, to.clone()).await,
            Err(rejected) => eprintln!("left out: {} ({})", rejected.message, rejected.error), // the stream continues
        }
    }
    outbox.finish().await;
}
