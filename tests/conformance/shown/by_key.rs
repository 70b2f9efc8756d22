use std::time::{Duration, SystemTime};

use kafka_batch::publisher::{PartitionedPublisher, UndeliveredReason};
use kafka_batch::{Record, SendErrorReason, TokioProducer};
use tokio::sync::mpsc::Receiver;

type Reading = Record<'static, String, String>; // its key is the sensor

/// Publishes readings, those of one sensor to one partition and in order. Returns those that were not written, and those
/// that may have been.
async fn publish_by_key(
    producer: &TokioProducer,
    topic: &str,
    mut readings: Receiver<Reading>,
) -> Result<(Vec<Reading>, Vec<Reading>), SendErrorReason> {
    let publisher =
        PartitionedPublisher::from_poll_fn(producer, topic, |context| readings.poll_recv(context), SystemTime::now);
    let mut publisher = publisher.await?.linger(Duration::from_millis(5), tokio::time::sleep);
    let (mut not_written, mut unknown) = (Vec::new(), Vec::new());
    while let Some(outcome) = publisher.next().await {
        let Err(failed) = outcome else { continue };
        eprintln!("{failed}");
        match &failed.reason {
            UndeliveredReason::Delivery(error) if error.may_have_been_written() => unknown.extend(failed.messages),
            _ => not_written.extend(failed.messages), // never accepted, or certainly in no log
        }
    }
    Ok((not_written, unknown))
}
