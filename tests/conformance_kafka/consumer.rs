//! Reads a log with `rdkafka`'s consumer.

use std::time::{Duration, Instant};

use kafka_batch::Timestamp;
use kafka_batch::proptest::{OwnedHeader, OwnedRecord};
use kafka_batch_witnesses::rdkafka;
use kafka_batch_witnesses::rdkafka::consumer::{BaseConsumer, Consumer};
use kafka_batch_witnesses::rdkafka::message::{BorrowedMessage, Headers};
use kafka_batch_witnesses::rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};

/// Turns a case that would hang into one that fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Returns each record of a partition and its offset.
pub(crate) fn log_of(servers: &str, topic: &str, partition: i32) -> Vec<(i64, OwnedRecord)> {
    let consumer: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", servers).set("group.id", "tests").create().unwrap();
    let (low, high) = consumer.fetch_watermarks(topic, partition, PATIENCE).unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
    consumer.assign(&list).unwrap();
    let start = Instant::now();
    let mut log = Vec::new();
    while (log.len() as i64) < high - low {
        assert!(start.elapsed() < PATIENCE, "{} of {low}..{high} could be read", log.len());
        if let Some(message) = consumer.poll(Duration::from_millis(100)) {
            let message = message.unwrap();
            log.push((message.offset(), owned(&message)));
        }
    }
    log
}

fn owned(message: &BorrowedMessage<'_>) -> OwnedRecord {
    let headers = message.headers().map(|headers| {
        let owned = |header: rdkafka::message::Header<'_, &[u8]>| OwnedHeader {
            name: header.key.to_owned(),
            value: header.value.map(Vec::from),
        };
        headers.iter().map(owned).collect()
    });
    OwnedRecord {
        key: message.key().map(Vec::from),
        value: message.payload().map(Vec::from),
        headers: headers.unwrap_or_default(),
        timestamp: Some(match message.timestamp() {
            rdkafka::Timestamp::CreateTime(time) | rdkafka::Timestamp::LogAppendTime(time) => {
                Timestamp::from_millis(time)
            }
            rdkafka::Timestamp::NotAvailable => Timestamp::NO_TIMESTAMP,
        }),
    }
}
