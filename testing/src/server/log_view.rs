//! What is stored in a partition.

use std::collections::BTreeMap;

use bytes::Bytes;
use kafka_batch_core::decode::{DEFAULT_MAX_DECOMPRESSED, DecodeError, RecordBatches};

use crate::cluster::log::{Log, StoredBatch};

/// The log of a partition at some time.
#[derive(Clone, Debug)]
pub struct PartitionLog {
    batches: Vec<StoredBatch>,
    start: i64,
    high_watermark: i64,
    last_stable_offset: i64,
    end: i64,
}

/// The outcome of a batch that is part of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BatchOutcome {
    /// The transaction has no marker here.
    Open,
    /// The transaction is committed here.
    Committed,
    /// The transaction is aborted here.
    Aborted,
}

/// A record in a log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoredRecord {
    /// Its offset.
    pub offset: i64,
    /// Its timestamp in milliseconds since the epoch, or −1.
    pub timestamp_ms: i64,
    /// The key, or null.
    pub key: Option<Bytes>,
    /// The value, or null.
    pub value: Option<Bytes>,
    /// The headers, in their order.
    pub headers: Vec<(String, Option<Bytes>)>,
}

impl From<&Log> for PartitionLog {
    fn from(log: &Log) -> Self {
        Self {
            batches: log.readable().to_vec(),
            start: log.start(),
            high_watermark: log.high_watermark(),
            last_stable_offset: log.last_stable_offset(),
            end: log.end(),
        }
    }
}

impl PartitionLog {
    /// Returns the batches, in order.
    #[must_use]
    pub fn batches(&self) -> &[StoredBatch] {
        &self.batches
    }

    /// Returns the offset of the first record.
    #[must_use]
    pub const fn start(&self) -> i64 {
        self.start
    }

    /// Returns the offset up to which the log is replicated, and can be consumed.
    #[must_use]
    pub const fn high_watermark(&self) -> i64 {
        self.high_watermark
    }

    /// Returns the offset up to which consumers of committed records can read.
    #[must_use]
    pub const fn last_stable_offset(&self) -> i64 {
        self.last_stable_offset
    }

    /// Returns the offset of the next record.
    #[must_use]
    pub const fn end(&self) -> i64 {
        self.end
    }

    /// Returns the bytes of the log segment: all batches, one after the other, as in a file of Kafka. Written to a file, they
    /// can be read with Kafka's `kafka-dump-log.sh`, and with the program `kafka-batch-inspect`.
    #[must_use]
    pub fn segment(&self) -> Bytes {
        self.batches.iter().map(|batch| &batch.bytes[..]).collect::<Vec<_>>().concat().into()
    }

    /// Returns the batches of records, in order, with the outcomes of those that are part of a transaction.
    #[must_use]
    pub fn outcomes(&self) -> Vec<(&StoredBatch, Option<BatchOutcome>)> {
        // From the end, so that the next marker of each producer is known.
        let mut markers = BTreeMap::new();
        let mut all = Vec::new();
        for stored in self.batches.iter().rev() {
            let producer = stored.info.stamp.map(|stamp| stamp.producer);
            let is_transactional = stored.info.is_transactional && producer.is_some();
            match stored.info.control {
                Some(control) => {
                    let outcome = if control.commits() { BatchOutcome::Committed } else { BatchOutcome::Aborted };
                    markers.insert(producer, outcome);
                }
                None => {
                    let outcome = || markers.get(&producer).copied().unwrap_or(BatchOutcome::Open);
                    all.push((stored, is_transactional.then(outcome)));
                }
            }
        }
        all.reverse();
        all
    }

    /// Returns the records, in order, whatever the outcomes of their transactions.
    ///
    /// # Errors
    /// Returns an error if a batch is compressed with a codec that is not built in.
    pub fn records(&self) -> Result<Vec<StoredRecord>, DecodeError> {
        records_of(self.batches.iter().filter(|stored| stored.info.control.is_none()))
    }

    /// Returns the records that consumers of committed records can read (`isolation.level=read_committed`), in order.
    ///
    /// # Errors
    /// As [`records`](Self::records).
    pub fn committed_records(&self) -> Result<Vec<StoredRecord>, DecodeError> {
        let is_committed = |outcome| matches!(outcome, None | Some(BatchOutcome::Committed));
        let readable = |stored: &StoredBatch| stored.base_offset < self.last_stable_offset;
        let batches = self.outcomes().into_iter();
        records_of(
            batches.filter(|(stored, outcome)| is_committed(*outcome) && readable(stored)).map(|(stored, _)| stored),
        )
    }

    /// Returns the values of the records that consumers of committed records can read, as [`values`](Self::values) does.
    ///
    /// # Errors
    /// As [`records`](Self::records).
    pub fn committed_values(&self) -> Result<Vec<String>, DecodeError> {
        Ok(self.committed_records()?.into_iter().map(text).collect())
    }

    /// Returns the values of the records as text, in order: `null` for none, and U+FFFD for what is not UTF-8.
    ///
    /// # Errors
    /// As [`records`](Self::records).
    pub fn values(&self) -> Result<Vec<String>, DecodeError> {
        Ok(self.records()?.into_iter().map(text).collect())
    }
}

fn text(record: StoredRecord) -> String {
    match record.value {
        Some(value) => String::from_utf8_lossy(&value).into_owned(),
        None => "null".to_owned(),
    }
}

fn records_of<'a>(batches: impl Iterator<Item = &'a StoredBatch>) -> Result<Vec<StoredRecord>, DecodeError> {
    let mut all = Vec::new();
    for stored in batches {
        for batch in RecordBatches::new(&stored.bytes) {
            for record in &batch?.records(DEFAULT_MAX_DECOMPRESSED)? {
                let record = record?;
                let copied = |bytes: Option<&[u8]>| bytes.map(Bytes::copy_from_slice);
                all.push(StoredRecord {
                    offset: record.offset,
                    timestamp_ms: record.timestamp.millis(),
                    key: copied(record.key),
                    value: copied(record.value),
                    headers: record
                        .headers
                        .iter()
                        .map(|header| (header.name.to_owned(), copied(header.value)))
                        .collect(),
                });
            }
        }
    }
    Ok(all)
}
