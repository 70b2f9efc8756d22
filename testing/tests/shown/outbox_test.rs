use kafka_batch::{Record, TopicPartition, Transport};
use kafka_batch_testing::{Failure, MockTransport};

#[tokio::test]
async fn an_outbox_sends_again_or_keeps() -> Result<(), Box<dyn std::error::Error>> {
    let mock = MockTransport::new();
    let (undelivered, mut dead) = tokio::sync::mpsc::channel(10);
    let mut outbox = Outbox { producer: mock.clone().boxed(), undelivered, outcomes: JoinSet::new() };
    mock.respond(Failure::lost_response()); // to the first batch: its fate is unknown, and it is in the log
    mock.respond(Failure::too_large()); // to the second attempt
    let mut batch = mock.batch();
    batch.extend([Record::new("an order")])?;
    outbox.send(batch, TopicPartition::new("orders", 0)).await;
    outbox.finish().await;
    mock.assert_sent("orders", 0, &["an order", "an order"]); // twice
    mock.assert_log("orders", 0, &["an order"]);
    assert_eq!(dead.recv().await.map(|batch| batch.record_count()), Some(1));
    Ok(())
}
