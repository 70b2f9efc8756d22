//! Control batches: the markers with which a transaction ends in a partition, as Apache Kafka writes them
//! (`MemoryRecords.withEndTransactionMarker`).

use bytes::{BufMut as _, Bytes, BytesMut};

use crate::validate::{at, attribute};

/// What a control batch says of the transaction of its producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ControlKind {
    /// It is aborted.
    Abort,
    /// It is committed.
    Commit,
}

impl ControlKind {
    /// Returns true if it is committed.
    #[must_use]
    pub const fn commits(self) -> bool {
        matches!(self, Self::Commit)
    }

    const fn code(self) -> i16 {
        match self {
            Self::Abort => 0,
            Self::Commit => 1,
        }
    }
}

/// Returns a batch with one control record, at offset 0 and without a checksum: the log assigns both.
pub(crate) fn batch(kind: ControlKind, producer: i64, epoch: i16, coordinator_epoch: i32, timestamp_ms: i64) -> Bytes {
    /// The record after its length: attributes, two deltas, key, value and no headers.
    const RECORD: usize = 16;
    let mut batch = BytesMut::with_capacity(at::RECORDS + 1 + RECORD);
    batch.put_i64(0);
    batch.put_i32((at::RECORDS - 12 + 1 + RECORD) as i32);
    batch.put_i32(-1); // the leader epoch
    batch.put_u8(2);
    batch.put_u32(0); // the checksum
    batch.put_i16(attribute::TRANSACTIONAL | attribute::CONTROL);
    batch.put_i32(0); // the last offset delta
    batch.put_i64(timestamp_ms);
    batch.put_i64(timestamp_ms);
    batch.put_i64(producer);
    batch.put_i16(epoch);
    batch.put_i32(-1); // the sequence number
    batch.put_i32(1);
    // Lengths and deltas are zigzag varints.
    batch.put_slice(&[RECORD as u8 * 2, 0, 0, 0]);
    batch.put_u8(4 * 2);
    batch.put_i16(0); // the version of the key
    batch.put_i16(kind.code());
    batch.put_u8(6 * 2);
    batch.put_i16(0); // the version of the value
    batch.put_i32(coordinator_epoch);
    batch.put_u8(0); // no headers
    batch.freeze()
}
