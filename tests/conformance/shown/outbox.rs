use kafka_batch::{BoxPending, BoxTransport, KafkaBatch, TopicPartition};
use tokio::sync::mpsc::Sender;
use tokio::task::JoinSet;

/// Sends batches, and awaits their outcomes in the background.
struct Outbox {
    producer: BoxTransport,
    undelivered: Sender<KafkaBatch>, // what could not be delivered: a dead-letter queue, for example
    outcomes: JoinSet<()>,
}

impl Outbox {
    /// Waits while there is no room for the batch, and not for its outcome.
    async fn send(&mut self, batch: KafkaBatch, to: TopicPartition) {
        while self.outcomes.try_join_next().is_some() {} // removes completed tasks
        let undelivered = self.undelivered.clone();
        match self.producer.send_batch(batch, to).await {
            Ok(accepted) => drop(self.outcomes.spawn(complete(self.producer.clone(), accepted, undelivered))),
            Err(refused) => drop(undelivered.send(*refused.batch).await),
        }
    }

    /// Waits for all outcomes.
    async fn finish(mut self) {
        while self.outcomes.join_next().await.is_some() {}
    }
}

/// Waits for an outcome. Sends what failed once more, if that can help: records of unknown fate may be written twice.
async fn complete(producer: BoxTransport, accepted: BoxPending, undelivered: Sender<KafkaBatch>) {
    let Err(error) = accepted.await else { return };
    let can_help = error.is_retriable() || !error.record_errors.is_empty();
    let left = match left_to_send(&error) {
        Ok(Some(rest)) if can_help => match producer.send_batch(rest, error.to).await {
            Ok(accepted) => accepted.await.err().map_or(Ok(None), |error| left_to_send(&error)),
            Err(refused) => Ok(Some(*refused.batch)),
        },
        left => left,
    };
    match left {
        Ok(Some(batch)) => drop(undelivered.send(batch).await),
        Ok(None) => {} // everything is written, or was rejected by the broker
        Err(lost) => eprintln!("{lost}"), // the producer's task panicked
    }
}
