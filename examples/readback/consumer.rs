//! Reads from any brokers with librdkafka's consumer.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use kafka_batch::{Delivery, TopicPartition};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::{Offset, TopicPartitionList};

use super::{Stored, check, unread};
use crate::failure::Failure;

pub(crate) struct Consumer {
    consumer: BaseConsumer,
    following: BTreeSet<i32>,
    timeout: Duration,
}

impl Consumer {
    pub(super) fn new(brokers: &str, timeout: Duration) -> Result<Self, Failure> {
        let consumer = ClientConfig::new()
            .set("bootstrap.servers", brokers)
            .set("group.id", "kafka-batch-example")
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "error")
            .set("check.crcs", "true")
            .set("fetch.wait.max.ms", "10") // the records to be read exist, so the broker need not wait for more
            .create()
            .map_err(|error| Failure::new(format!("no consumer for {brokers}: {error}"), "see to --brokers"))?;
        Ok(Self { consumer, following: BTreeSet::new(), timeout })
    }

    pub(super) fn compare(&mut self, delivery: Delivery) -> Result<(), Failure> {
        let to = delivery.topic_partition().clone();
        let offsets: Vec<_> = delivery.records().map(|record| record.offset).collect();
        self.follow(&to, offsets.first().copied().flatten()).map_err(|error| unread(&to, &error))?;
        let batch = delivery.into_batch();
        for (record, offset) in batch.records().zip(offsets) {
            let Some(offset) = offset else {
                return Err(unread(&to, &"the broker did not say at which offsets its records are"));
            };
            let message = self.at(&to, offset)?;
            check(&to, offset, &record, &stored(&message))?;
        }
        Ok(())
    }

    /// Starts consuming a partition at this offset, unless it is consumed already.
    fn follow(&mut self, to: &TopicPartition, offset: Option<i64>) -> Result<(), KafkaError> {
        if self.following.insert(to.partition) {
            let mut list = TopicPartitionList::new();
            list.add_partition_offset(&to.topic, to.partition, Offset::Offset(offset.unwrap_or(0)))?;
            self.consumer.incremental_assign(&list)?;
        }
        Ok(())
    }

    fn at(&self, to: &TopicPartition, offset: i64) -> Result<BorrowedMessage<'_>, Failure> {
        let deadline = Instant::now() + self.timeout;
        let mut kind = None;
        while Instant::now() < deadline {
            match self.consumer.poll(Duration::from_millis(100)) {
                Some(Ok(message)) if (message.partition(), message.offset()) == (to.partition, offset) => {
                    return Ok(message);
                }
                Some(Ok(_)) | None => {}
                Some(Err(error)) => kind = Some(error), // librdkafka retries
            }
        }
        let kind = kind.map_or("nothing came".into(), |error| error.to_string());
        Err(unread(to, &format!("offset {offset} was not there within {} s: {kind}", self.timeout.as_secs())))
    }
}

fn stored<'m>(message: &'m BorrowedMessage<'_>) -> Stored<'m> {
    let headers = message.headers().into_iter().flat_map(Headers::iter);
    Stored {
        key: message.key(),
        value: message.payload(),
        headers: headers.map(|header| (header.key, header.value)).collect(),
        timestamp_ms: message.timestamp().to_millis(),
    }
}
