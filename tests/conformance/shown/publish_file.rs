use kafka_batch::{Delivery, Record, TokioProducer, TopicPartition};

/// Publishes the lines of a file, as many in each batch as fit. Returns the deliveries, in order.
async fn publish_file(
    producer: &TokioProducer,
    path: &std::path::Path,
    to: TopicPartition,
) -> Result<Vec<Delivery>, Box<dyn std::error::Error>> {
    let text = std::fs::read_to_string(path)?;
    let mut records = text.lines().map(Record::new).peekable();
    let mut in_flight = Vec::new();
    while records.peek().is_some() {
        let mut batch = producer.batch();
        let filled = batch.fill_from(&mut records)?; // an error is a line that fits into no batch
        println!("{} lines", filled.appended.len());
        in_flight.push(producer.send_batch(batch, to.clone()).await?); // waits while buffer.memory is full
    }
    let mut deliveries = Vec::new();
    for pending in in_flight {
        deliveries.push(pending.await?);
    }
    Ok(deliveries)
}
