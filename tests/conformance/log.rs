//! Creates batches, and compares logs.

use kafka_batch::proptest::OwnedRecord;
use kafka_batch::{BatchOptions, KafkaBatch, Record};

/// Returns the values in a partition's log.
pub(crate) fn values(log: Vec<(i64, OwnedRecord)>) -> Vec<String> {
    log.into_iter().map(|(_, record)| String::from_utf8(record.value.unwrap()).unwrap()).collect()
}

/// Returns a batch of these values.
pub(crate) fn batch<V: AsRef<[u8]>>(values: impl IntoIterator<Item = V>) -> KafkaBatch {
    let mut batch = BatchOptions::default().batch_size(1 << 20).build(1_700_000_000_000).unwrap();
    for value in values {
        assert!(!batch.append(Record::new(value.as_ref())).unwrap().is_full());
    }
    batch
}

/// Returns this many values: "0", "1" …
pub(crate) fn counted(count: usize) -> Vec<String> {
    (0..count).map(|number| number.to_string()).collect()
}
