//! Passes the records of a batch to librdkafka.

use kafka_batch_core::{KafkaBatch, SendErrorReason, Timestamp, TopicPartition};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, Producer};

use crate::context::Context;
use crate::error::{LibrdkafkaError, Unsendable};
use crate::ffi::Topic;
use crate::verdict::Refusal;

/// Rejects a batch that librdkafka would silently change.
pub(crate) fn check(batch: &KafkaBatch) -> Result<(), Unsendable> {
    let zero = Timestamp::from_millis(0);
    if batch.timestamps().is_none_or(|timestamps| !timestamps.contains(&zero)) {
        return Ok(()); // the common case needs no scan
    }
    match batch.records().position(|record| record.timestamp == zero) {
        Some(position) => Err(Unsendable::TimestampZero { position }),
        None => Ok(()),
    }
}

/// Rejects an invalid topic name, which librdkafka's functions would misinterpret or fail on.
pub(crate) fn check_topic(topic: &str) -> Result<(), SendErrorReason> {
    const LONGEST: usize = 249; // Topic.MAX_NAME_LENGTH of Apache Kafka
    if (1..=LONGEST).contains(&topic.len()) && !topic.contains('\0') {
        Ok(())
    } else {
        Err(SendErrorReason::InvalidTopic { topic: topic.to_owned() })
    }
}

/// Produces the records in order, with opaque ids from `first` on. Stops at the first record that librdkafka refuses, so that
/// no later record is written without it. Returns that refusal.
pub(crate) fn produce(
    client: &BaseProducer<Context>,
    to: &TopicPartition,
    first: usize,
    batch: &KafkaBatch,
) -> Option<Refusal> {
    let refused = |position, error| Some(Refusal { position, error: explain(client, &error) });
    let topic = match Topic::find(client, &to.topic) {
        Ok(topic) => topic,
        Err(error) => return refused(0, error),
    };
    for (position, record) in batch.records().enumerate() {
        if let Err(error) = topic.produce(to.partition, &record, first + position) {
            return refused(position, error);
        }
    }
    None
}

fn explain(client: &BaseProducer<Context>, error: &KafkaError) -> LibrdkafkaError {
    match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::Fatal) => {
            let first_cause = client.client().fatal_error().map(|(_, reason)| reason);
            LibrdkafkaError::new(RDKafkaErrorCode::Fatal, first_cause.as_deref())
        }
        Some(code) => LibrdkafkaError::new(code, None),
        None => LibrdkafkaError::new(RDKafkaErrorCode::Fail, Some(&error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kafka_batch_core::Record;

    #[test]
    fn the_timestamp_zero_is_found_wherever_it_stands() {
        let mut batch = KafkaBatch::new(Timestamp::from_millis(1));
        for timestamp in [-1, 1, i64::MIN] {
            let _ = batch.append(Record::new("v").timestamp(timestamp)).unwrap();
        }
        assert_eq!(check(&batch), Ok(()));
        let _ = batch.append(Record::new("v").timestamp(0)).unwrap();
        assert_eq!(check(&batch), Err(Unsendable::TimestampZero { position: 3 }));
    }

    #[test]
    fn names_that_no_topic_can_have_are_refused() {
        for topic in ["", "a\0b", &"x".repeat(250)] {
            assert!(check_topic(topic).is_err(), "{topic:?}");
        }
        for topic in ["a", "orders.v1_x-y", &"x".repeat(249)] {
            assert!(check_topic(topic).is_ok(), "{topic:?}");
        }
    }
}
