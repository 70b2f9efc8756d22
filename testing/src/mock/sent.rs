//! What was sent, readable.

use bytes::Bytes;
use kafka_batch_core::{KafkaBatch, TopicPartition};

use crate::StoredRecord;

/// A batch that a [`MockTransport`](super::MockTransport) has accepted.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SentBatch {
    /// Its topic and partition.
    pub to: TopicPartition,
    /// The batch.
    pub batch: KafkaBatch,
}

/// Returns copies of the records, with offsets from `base_offset` on.
pub(super) fn records(batch: &KafkaBatch, base_offset: i64) -> impl Iterator<Item = StoredRecord> + '_ {
    (base_offset..).zip(batch.records()).map(|(offset, record)| StoredRecord {
        offset,
        timestamp_ms: record.timestamp.millis(),
        key: record.key.map(Bytes::copy_from_slice),
        value: record.value.map(Bytes::copy_from_slice),
        headers: record
            .headers
            .iter()
            .map(|header| (header.name.to_owned(), header.value.map(Bytes::copy_from_slice)))
            .collect(),
    })
}

/// Returns values as text, to be shown.
pub(super) fn shown(values: &[Option<&[u8]>]) -> String {
    let each = values.iter().map(|value| match value {
        Some(value) => format!("{:?}", String::from_utf8_lossy(value)),
        None => "null".to_owned(),
    });
    format!("[{}]", each.collect::<Vec<_>>().join(", "))
}
