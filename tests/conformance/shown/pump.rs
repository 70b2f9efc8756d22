use std::time::{Duration, SystemTime};

use kafka_batch::transports::tokio::Pending;
use kafka_batch::{BatchStream, TokioProducer, TopicPartition, Transport};
use tokio::sync::mpsc::Receiver;
use tokio::task::JoinSet;

type Failure = Box<dyn std::error::Error + Send + Sync>;

async fn pump(producer: TokioProducer, to: TopicPartition, mut readings: Receiver<String>) -> Result<(), Failure> {
    let mut answers = JoinSet::new();
    let mut batches = BatchStream::polling(|context| readings.poll_recv(context), producer.batch(), SystemTime::now)
        .linger(Duration::from_millis(5), tokio::time::sleep);
    while let Some(rolled) = batches.next().await {
        match rolled {
            Ok(rolled) => {
                let accepted = producer.send_batch(rolled.batch, to.clone()).await?; // waits while there is no room
                answers.spawn(settle(producer.clone(), accepted));
            }
            Err(misfit) => eprintln!("left out: {} ({})", misfit.message, misfit.error), // the others go on
        }
        while let Some(answer) = answers.try_join_next() {
            answer??;
        }
    }
    while let Some(answer) = answers.join_next().await {
        answer??;
    }
    Ok(())
}

/// Waits for an answer. What failed is sent once more, if that can help.
async fn settle(producer: TokioProducer, accepted: Pending) -> Result<(), Failure> {
    let Err(error) = accepted.await else { return Ok(()) };
    for rejected in &error.record_errors {
        eprintln!("rejected: record {} of the batch for {}", rejected.position, error.to);
    }
    match left_to_send(&error) {
        Some(rest) if error.is_retriable() || !error.record_errors.is_empty() => {
            producer.send_batch(rest, error.to).await?.await?;
            Ok(())
        }
        Some(_) => Err(error.into()), // the batch is in it
        None => Ok(()),
    }
}
