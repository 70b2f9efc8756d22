//! The batch: filled record by record, closed, sealed, stamped; and read back.

mod answer;
mod append;
mod convert;
mod decode;
mod encode;
mod mark;
mod messages;
mod options;
mod rolling;
mod seal;
mod span;
mod split;
mod stream;

use alloc::vec::Vec;
use core::fmt;
use core::num::NonZeroU32;
use core::ops::RangeInclusive;

pub use answer::{Append, AppendError, BatchOverflow, ExtendError, Filled, Full, FullReason, RecordMetadata};
pub use convert::{ConversionRefused, ConvertError, DownConversion, Loss};
pub use decode::{
    BatchHeader, ControlRecord, ControlRecordError, ControlType, DEFAULT_MAX_DECOMPRESSED, DecodeError,
    DecodeErrorKind, DecodeErrorScope, Field, IncompleteTail, LenientRecordIter, RecordBatch, RecordBatches,
    RecordIter, Records, Region, TimestampType,
};
pub use mark::{Mark, RollbackError};
pub use messages::{MessageWriter, OfMessagesError};
pub use options::{
    BatchOptions, Boundary, CompressionRatio, DEFAULT_BATCH_SIZE, DEFAULT_MAX_MESSAGE_BYTES, OptionsError, SizePolicy,
};
pub use rolling::{NumberedBatch, Placed, RollingBatch};
pub use seal::{SealError, SealErrorReason, SealedBatch, Stamp, StampError, StampedBatch};
pub use split::{RecordTooLarge, Split, SplitError};
pub use stream::{BatchStream, Misfit, Polled, RolledBatch};

use crate::magic::{Magic, MagicChoice};
use crate::record::RecordView;
use crate::time::Timestamp;
use encode::{legacy, v2};
use mark::Marks;
use span::Span;

/// A batch of records on its way to one partition.
///
/// A record is encoded when it is appended, once, into the bytes that will be sent: so the batch knows to the byte how
/// full it is ([`size`](Self::size), [`room`](Self::room)), and says *full* before anything is lost. When it is as it
/// should be, [`seal`](Self::seal) it.
///
/// ```
/// use kafka_batch_core::{Append, KafkaBatch, Record, Timestamp};
///
/// let mut batch = KafkaBatch::new(Timestamp::from_millis(1_700_000_000_000));
/// let mut readings = (0..).map(|n| format!("reading {n}"));
/// let refused = loop {
///     let reading = readings.next().expect("endless");
///     match batch.append(Record::new(&reading).key("sensor-7"))? {
///         Append::Taken(_) => {}
///         Append::Full(_) => break reading, // still ours: the first record of the next batch
///     }
/// };
/// assert!(batch.size() <= 16_384);
/// assert_eq!(refused, format!("reading {}", batch.record_count()));
/// let sealed = batch.seal()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct KafkaBatch {
    options: BatchOptions,
    magic: Magic,
    now: Timestamp,
    /// Magic 2: room for the header, then the records. Magic 0 and 1: messages. Empty until the first append.
    buffer: Vec<u8>,
    progress: Progress,
    closed: bool,
    /// Bytes of records up to which an append has nothing to look at; 0 until the first record is in.
    free_of_limits: u64,
    marks: Marks,
}

/// What a batch knows of the records that are in it: all that a rollback has to restore.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Bytes of records, before compression, without the header.
    pub(crate) len: usize,
    pub(crate) count: u32,
    pub(crate) next_offset_delta: u32,
    pub(crate) base_timestamp: Option<Timestamp>,
    pub(crate) timestamps: Span,
    /// The partition that the keys so far route to, in a batch that is routed by key.
    pub(crate) partition: Option<i32>,
}

impl KafkaBatch {
    /// An empty batch with Kafka's default limits, at the time `now`: the timestamp of records that have none of their
    /// own. With other limits: [`BatchOptions`].
    pub fn new(now: impl Into<Timestamp>) -> Self {
        Self::empty(BatchOptions::default(), MagicChoice::Auto.initial(), now.into())
    }

    /// An empty batch with these settings. See [`BatchOptions::build`], which is the same.
    ///
    /// # Errors
    /// As [`BatchOptions::build`].
    pub fn with_options(options: BatchOptions, now: impl Into<Timestamp>) -> Result<Self, OptionsError> {
        let magic = options.magic.initial();
        options.check(magic)?;
        Ok(Self::empty(options, magic, now.into()))
    }

    fn empty(options: BatchOptions, magic: Magic, now: Timestamp) -> Self {
        // Where there is a delete horizon it stands in the header's base timestamp, and deltas count from it (KIP-534).
        let progress = Progress { base_timestamp: options.delete_horizon, ..Progress::default() };
        let marks = Marks::new();
        Self { options, magic, now, buffer: Vec::new(), progress, closed: false, free_of_limits: 0, marks }
    }

    /// An empty batch with the settings and the time of this one: where the records go that this one has no room for.
    #[must_use]
    pub fn next_batch(&self) -> Self {
        Self::empty(self.options.clone(), self.options.magic.initial(), self.now)
    }

    /// The same batch, routed by key from here on; nothing is in it yet.
    pub(crate) fn routed_by_key(mut self, partitions: NonZeroU32) -> Self {
        debug_assert!(self.is_empty(), "the keys in it would have to be looked at");
        self.options.partitions = Some(partitions);
        self
    }

    /// The settings that it was made with.
    #[must_use]
    pub const fn options(&self) -> &BatchOptions {
        &self.options
    }

    /// The format that it is filled in.
    #[must_use]
    pub const fn magic(&self) -> Magic {
        self.magic
    }

    /// The timestamp that records without one get.
    #[must_use]
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// Sets the timestamp that records without one get from here on.
    pub fn set_now(&mut self, now: impl Into<Timestamp>) {
        self.now = now.into();
    }

    /// How many records are in it.
    #[must_use]
    pub const fn record_count(&self) -> usize {
        self.progress.count as usize
    }

    /// Whether there is no record in it.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.progress.count == 0
    }

    /// From the earliest to the latest timestamp of its records; `None` while it has none. In magic 0, which carries no
    /// timestamps, each is −1.
    ///
    /// ```
    /// use kafka_batch_core::{KafkaBatch, Record, Timestamp};
    ///
    /// let mut batch = KafkaBatch::new(Timestamp::from_millis(7));
    /// batch.extend([Record::new("as late as the batch"), Record::new("earlier").timestamp(4)])?;
    /// assert_eq!(batch.timestamps(), Some(Timestamp::from_millis(4)..=Timestamp::from_millis(7)));
    /// # Ok::<(), kafka_batch_core::ExtendError>(())
    /// ```
    #[must_use]
    pub fn timestamps(&self) -> Option<RangeInclusive<Timestamp>> {
        self.progress.timestamps.range()
    }

    /// Its size in bytes before compression: exactly what it would be sealed to without a codec, except that with a
    /// codec in magic 0 or 1 the wrapper message counts too. An empty batch has the size of its header.
    #[must_use]
    pub fn size(&self) -> usize {
        self.header_len() + self.progress.len
    }

    /// Its size as the soft limit sees it: [`size`](Self::size), or the estimate that
    /// [`SizePolicy::Estimated`] asks for.
    #[must_use]
    pub fn counted_size(&self) -> usize {
        let raw = self.progress.len;
        let records = match self.options.size_policy {
            SizePolicy::Estimated(ratio) if self.is_compressed() => ratio.estimate(raw),
            _ => raw,
        };
        self.header_len().saturating_add(records) // a ratio is whatever the caller says
    }

    /// Bytes left up to the limit: a record with this [`cost`](Self::cost) or less would be taken (unless the batch has
    /// its number of records, or is closed). An empty batch takes any first record that the hard limit allows.
    #[must_use]
    pub fn room(&self) -> usize {
        let soft = self.soft_limit().saturating_sub(self.counted_size());
        if self.is_compressed() { soft } else { soft.min(self.options.max_message_bytes.saturating_sub(self.size())) }
    }

    /// Whether it was closed, by [`close`](Self::close).
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        self.closed
    }

    /// Closes the batch, for good: from here on it takes nothing. Closing twice is the same as once.
    pub fn close(&mut self) {
        self.closed = true;
    }

    /// The partition that the keys so far route to: only in a batch made with
    /// [`BatchOptions::route_by_key`], and once it has a record with a key.
    #[must_use]
    pub const fn routed_partition(&self) -> Option<i32> {
        self.progress.partition
    }

    /// A mark at the end of what is in it now, for [`rollback`](Self::rollback).
    pub fn mark(&mut self) -> Mark {
        self.marks.make(self.progress)
    }

    /// Takes out every record appended since the mark was made, in constant time: the batch is byte for byte what it
    /// was then.
    ///
    /// # Errors
    /// The mark is not one of this batch, or one that it was rolled back past, or the batch is closed. Nothing changes.
    pub fn rollback(&mut self, mark: &Mark) -> Result<(), RollbackError> {
        self.marks.check(mark)?;
        if self.closed {
            return Err(RollbackError::Closed);
        }
        self.truncate(mark.progress);
        self.marks.cut(mark.progress.len);
        Ok(())
    }

    fn truncate(&mut self, progress: Progress) {
        self.buffer.truncate(self.buffer_reserve() + progress.len);
        self.progress = progress;
        self.free_of_limits = 0; // the next record may be the first one again
    }

    /// The records in it, in order, as views into its bytes.
    pub fn records(&self) -> impl Iterator<Item = RecordView<'_>> + '_ {
        decode::own_records(self)
    }

    /// Its records as they are encoded, without a batch header.
    pub(crate) fn payload(&self) -> &[u8] {
        self.buffer.get(self.buffer_reserve()..).unwrap_or_default()
    }

    /// Bytes at the start of the buffer that belong to no record.
    const fn buffer_reserve(&self) -> usize {
        match self.magic {
            Magic::V2 => v2::HEADER_LEN,
            Magic::V0 | Magic::V1 => 0,
        }
    }

    /// Bytes that count towards the limits beside the records.
    fn header_len(&self) -> usize {
        match self.magic {
            Magic::V2 => v2::HEADER_LEN,
            Magic::V0 | Magic::V1 if self.is_compressed() && self.options.boundary == Boundary::Inclusive => {
                legacy::overhead(self.magic)
            }
            Magic::V0 | Magic::V1 => 0,
        }
    }

    fn is_compressed(&self) -> bool {
        self.options.compression != crate::compression::Compression::None
    }

    /// The largest counted size that the soft limit allows.
    const fn soft_limit(&self) -> usize {
        match self.options.boundary {
            Boundary::Inclusive => self.options.batch_size,
            Boundary::Aiokafka => self.options.batch_size.saturating_sub(1),
        }
    }
}

/// The same records and settings. Marks stay with the batch that made them.
impl Clone for KafkaBatch {
    fn clone(&self) -> Self {
        Self {
            options: self.options.clone(),
            magic: self.magic,
            now: self.now,
            buffer: self.buffer.clone(),
            progress: self.progress,
            closed: self.closed,
            free_of_limits: self.free_of_limits,
            marks: Marks::new(),
        }
    }
}

/// Equal where settings, records (byte for byte) and openness are.
impl PartialEq for KafkaBatch {
    fn eq(&self, other: &Self) -> bool {
        self.options == other.options
            && self.magic == other.magic
            && self.now == other.now
            && self.progress == other.progress
            && self.closed == other.closed
            && self.payload() == other.payload()
    }
}

/// What it is, in short; with `{:#?}` its records too.
impl fmt::Debug for KafkaBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        struct Records<'b>(&'b KafkaBatch);
        impl fmt::Debug for Records<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_list().entries(self.0.records()).finish()
            }
        }
        let at_length = f.alternate();
        let mut text = f.debug_struct("KafkaBatch");
        text.field("magic", &self.magic).field("record_count", &self.record_count()).field("size", &self.size());
        if at_length {
            text.field("records", &Records(self));
        }
        text.field("now", &self.now).field("closed", &self.closed).field("options", &self.options).finish()
    }
}

/// One line for people: records, bytes, how full.
impl fmt::Display for KafkaBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = self.counted_size() as u128 * 100 / self.options.batch_size.max(1) as u128;
        write!(f, "{} records, {} bytes, {percent} % of {}", self.record_count(), self.size(), self.options.batch_size)
    }
}
