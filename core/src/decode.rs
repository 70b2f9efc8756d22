//! Decodes batches of any writer and any format: from a log segment, the records of a Fetch response, or a batch of this
//! process.
//!
//! [`RecordBatches`] iterates over the batches in a buffer, [`RecordBatch::records`] decompresses one, and [`Records`]
//! iterates over its records as [`RecordView`]s, which borrow from the buffer or from the decompressed bytes. Everything is
//! decoded on demand.
//!
//! Input is treated as hostile: any bytes yield records or typed errors, and memory is allocated up to the limit that the
//! caller passes to [`RecordBatch::records`]. Each [`DecodeError`] has a [scope](DecodeError::scope), after which the
//! iteration continues, so damage costs no more records than those it affects.
//!
//! | to … | see |
//! |---|---|
//! | iterate over batches | [`RecordBatches`]; a batch that is cut off at the end is its [`tail`](RecordBatches::tail) |
//! | iterate over records | [`RecordBatch::records`], [`Records::iter`] |
//! | read what Java's client reads and the format forbids | [`Records::iter_lenient`], which returns [`RawRecordView`]s |
//! | read the fields of a batch header of magic 2 | [`BatchHeader`] |
//! | read the markers of transactions | [`ControlRecord`] |
//! | skip damage, and count what was lost | [`DecodeErrorScope`]; [`RecordBatches`] has an example |
//!
//! # Examples
//!
//! ```
//! use kafka_batch_core::decode::{DEFAULT_MAX_DECOMPRESSED, RecordBatches};
//! use kafka_batch_core::{KafkaBatch, Record, Timestamp};
//!
//! let mut batch = KafkaBatch::new(Timestamp::from_millis(7));
//! batch.extend([Record::new("one").key("a"), Record::new("two").key("b")])?;
//! let segment = batch.seal()?.without_producer_id();
//!
//! for batch in RecordBatches::new(segment.bytes()) {
//!     let records = batch?.records(DEFAULT_MAX_DECOMPRESSED)?;
//!     let keys: Result<Vec<_>, _> = records.iter().map(|record| record.map(|record| record.key)).collect();
//!     assert_eq!(keys?, [Some(&b"a"[..]), Some(b"b")]);
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub use crate::batch::decode::{
    BatchHeader, ControlRecord, ControlRecordError, ControlType, DEFAULT_MAX_DECOMPRESSED, DecodeError,
    DecodeErrorKind, DecodeErrorScope, Field, IncompleteTail, LenientRecordIter, RecordBatch, RecordBatches,
    RecordIter, Records, Region, TimestampType,
};
pub use crate::headers::{RawHeader, RawHeaderIter, RawHeaderList};
pub use crate::record::view::{RawRecordView, RecordView};
