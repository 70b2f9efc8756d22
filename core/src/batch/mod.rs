//! Marks, splitting, bulk appends and stamping of batches.
//!
//! These are the types that methods of [`KafkaBatch`], [`SealedBatch`] and [`BatchOptions`] take and return, besides those in
//! the crate's root.
//!
//! | to … | call | types |
//! |---|---|---|
//! | append values whose records are alike | [`KafkaBatch::bulk`] | [`BulkWriter`], [`AsValue`], [`ContiguousValues`], [`OffsetsError`] |
//! | remove the last records again | [`KafkaBatch::mark`], [`KafkaBatch::rollback`] | [`Mark`], [`RollbackError`] |
//! | divide a batch that is too large | [`KafkaBatch::split`] | [`Split`], [`RecordTooLarge`], [`SplitError`] |
//! | write the bytes of a batch without a producer, such as a log segment for a test | [`SealedBatch::stamp`] | [`Stamp`], [`StampedBatch`], [`StampError`] |
//! | limit a batch by its estimated size after compression | [`SizePolicy::Estimated`] | [`CompressionRatio`] |
//! | fill a batch exactly as aiokafka does | [`BatchOptions::boundary`] | [`Boundary`] |
//! | use the memory of earlier batches again, in a transport | [`KafkaBatch::seal_with_pool`], [`Delivery::with_buffer_pool`](crate::Delivery::with_buffer_pool) | [`BufferPool`] |
//! | handle settings that contradict each other | [`BatchOptions::build`] | [`OptionsError`] |
//!
//! # Examples
//!
//! ```
//! use kafka_batch_core::batch::Stamp;
//! use kafka_batch_core::{KafkaBatch, Record, Timestamp};
//!
//! let mut batch = KafkaBatch::new(Timestamp::from_millis(0));
//! batch.extend([Record::new("order 1")])?;
//! let mark = batch.mark();
//! batch.extend([Record::new("order 2, item 1"), Record::new("order 2, item 2")])?;
//! batch.rollback(&mark)?; // order 2 was cancelled
//! assert_eq!(batch.record_count(), 1);
//!
//! let stamped = batch.seal()?.stamp(Stamp::default().base_offset(7))?;
//! assert_eq!(stamped.bytes()[..8], 7_i64.to_be_bytes());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod append;
mod buffer_pool;
mod bulk;
pub(crate) mod convert;
pub(crate) mod decode;
mod encode;
mod growth;
pub(crate) mod kafka_batch;
mod mark;
pub(crate) mod messages;
pub(crate) mod options;
pub(crate) mod outcome;
pub(crate) mod seal;
mod split;
mod timestamp_range;
mod usual;

pub use buffer_pool::BufferPool;
pub use bulk::{AsValue, BulkWriter, ContiguousIter, ContiguousValues, OffsetsError};
pub use mark::{Mark, RollbackError};
pub use options::{Boundary, CompressionRatio, OptionsError};
pub use seal::{Stamp, StampError, StampedBatch};
pub use split::{RecordTooLarge, Split, SplitError};

// The root exports these.
pub(crate) use kafka_batch::{KafkaBatch, RecordStats};
pub(crate) use messages::RecordComposer;
pub(crate) use options::{BatchOptions, SizePolicy};
pub(crate) use outcome::{
    Append, AppendError, Appended, AppendedRecord, BatchOverflow, ExtendError, FillOutcome, Full, FullReason,
};
pub(crate) use seal::{SealErrorReason, SealedBatch};
