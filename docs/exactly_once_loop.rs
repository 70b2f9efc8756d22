// Reads one partition of `requests`, and writes a response for each record to `responses`, exactly once.

use std::error::Error;
use std::time::Duration;

use kafka_batch::transaction::{CommitError, GroupMetadata, TransactionalProducer};
use kafka_batch::{TokioProducer, TopicPartition};
use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};

/// Runs until an error that only a new process can repair. Restart it then: it continues where the last commit has ended.
pub async fn respond(brokers: &str, partition: i32) -> Result<(), Box<dyn Error>> {
    // One name for each input partition: one that starts for it fences the former one, and ends its transaction.
    let id = format!("responder-{partition}");
    let builder = TokioProducer::builder().set("bootstrap.servers", brokers).transactional_id(id);
    let mut producer = builder.build_transactional().await?;
    let consumer: StreamConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", "responder")
        .set("enable.auto.commit", "false") // the offsets are committed with the responses
        .set("isolation.level", "read_committed") // nothing of transactions that were aborted
        .set("auto.offset.reset", "earliest")
        .create()?;
    let mut committed = TopicPartitionList::new();
    committed.add_partition_offset("requests", partition, Offset::Stored)?;
    loop {
        consumer.assign(&committed)?;
        while transform(&consumer, &mut producer, partition).await? {}
    }
}

/// Transforms some records in one transaction. Returns `false` if it was aborted, and they must be read again.
async fn transform(
    consumer: &StreamConsumer,
    producer: &mut TransactionalProducer,
    partition: i32,
) -> Result<bool, Box<dyn Error>> {
    let mut record = consumer.recv().await?.detach(); // before the transaction begins, as its time is limited
    let transaction = producer.begin().await?;
    for position in 1.. {
        let request = record.payload().unwrap_or_default().to_ascii_uppercase();
        drop(transaction.enqueue(("responses", partition), &request).await?); // the commit waits for it
        if position == 100 {
            break;
        }
        match tokio::time::timeout(Duration::from_millis(20), consumer.recv()).await {
            Ok(next) => record = next?.detach(),
            Err(_) => break,
        }
    }
    let next = (TopicPartition::new("requests", partition), record.offset() + 1);
    let group = GroupMetadata::unfenced("responder"); // the transactional.id fences
    if transaction.send_offsets(&group, [next]).await.is_ok() {
        match transaction.commit().await {
            Ok(()) => return Ok(true),
            Err(CommitError::Aborted(_)) => return Ok(false), // begin again, from the committed offset
            Err(error) => return Err(error.into()),           // fenced, fatal, or unknown: the offset shows it after a restart
        }
    }
    transaction.abort().await?;
    Ok(false)
}
