//! What is in a log, as librdkafka's consumer reads it.

use std::time::{Duration, Instant};

use kafka_batch::Timestamp;
use kafka_batch::proptest::{OwnedHeader, OwnedRecord};
use kafka_batch_witnesses::rdkafka::consumer::{BaseConsumer, Consumer as _};
use kafka_batch_witnesses::rdkafka::error::KafkaError;
use kafka_batch_witnesses::rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use kafka_batch_witnesses::rdkafka::{ClientConfig, Offset, TopicPartitionList};

/// Turns a consumer that would wait for ever into an error.
const PATIENCE: Duration = Duration::from_secs(10);

/// A record and its offset.
pub(crate) type Stored = (i64, OwnedRecord);

/// Reads partition 0 of a topic from the first record to the last. If there are fewer than `expected`, it waits for more for a while,
/// since a server may show records later than it has confirmed them.
///
/// # Errors
/// The first error of the consumer.
pub(crate) fn read(servers: &str, topic: &str, expected: usize) -> Result<Vec<Stored>, String> {
    let mut settings = ClientConfig::new();
    // A consumer needs the name of a group, although there is none.
    for (name, value) in [("group.id", "none"), ("enable.auto.commit", "false"), ("enable.partition.eof", "true")] {
        settings.set(name, value);
    }
    let consumer: BaseConsumer =
        settings.set("bootstrap.servers", servers).create().map_err(|error| error.to_string())?;
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, 0, Offset::Beginning).map_err(|error| error.to_string())?;
    consumer.assign(&list).map_err(|error| error.to_string())?;
    let (mut stored, until, mut is_at_end) = (Vec::new(), Instant::now() + PATIENCE, false);
    while Instant::now() < until && !(is_at_end && stored.len() >= expected) {
        match consumer.poll(Duration::from_millis(100)) {
            None => {}
            Some(Ok(message)) => stored.push((message.offset(), record(&message))),
            Some(Err(KafkaError::PartitionEOF(_))) => is_at_end = true,
            Some(Err(error)) => return Err(error.to_string()),
        }
    }
    if is_at_end { Ok(stored) } else { Err(format!("librdkafka does not reach the end of {topic}")) }
}

/// Reads the values of partition 0 of a topic, as text.
///
/// # Errors
/// The first error of the consumer.
pub(crate) fn values(servers: &str, topic: &str, expected: usize) -> Result<Vec<String>, String> {
    let text = |(_, record): Stored| String::from_utf8_lossy(&record.value.unwrap_or_default()).into_owned();
    Ok(read(servers, topic, expected)?.into_iter().map(text).collect())
}

fn record(message: &BorrowedMessage<'_>) -> OwnedRecord {
    let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
    let headers = headers.map(|header| OwnedHeader { name: header.key.to_owned(), value: header.value.map(Vec::from) });
    OwnedRecord {
        key: message.key().map(Vec::from),
        value: message.payload().map(Vec::from),
        headers: headers.collect(),
        timestamp: message.timestamp().to_millis().map(Timestamp::from_millis),
    }
}
