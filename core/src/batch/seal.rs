//! From an open batch to the bytes that are sent: sealed (compressed, of final size), then stamped (producer id, epoch and
//! sequence, and the checksum over all of it).

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::{fmt, mem};

use bytes::Bytes;

use super::encode::{legacy, v2};
use super::{BatchOptions, BufferPool, KafkaBatch, RecordStats};
use crate::compression::{Codec, CompressError, Compression};
use crate::counted::Counted;
use crate::magic::Magic;
use crate::time::Timestamp;

/// A batch with final records, from [`KafkaBatch::seal`]: compressed if that makes it smaller, and within the hard limit. Its
/// bytes are those of the [`StampedBatch`] that [`stamp`](Self::stamp) returns.
#[derive(Clone)]
pub struct SealedBatch {
    /// Magic 2: space for the header, then the records as they are sent. Magic 0 and 1: complete.
    wire: Vec<u8>,
    contents: Contents,
}

/// A batch as it is sent. Every retry sends the same bytes.
#[derive(Clone, PartialEq)]
pub struct StampedBatch {
    wire: Bytes,
    contents: Contents,
}

/// What a sealed batch keeps in addition to its bytes, so that it can be reopened.
#[derive(Clone, Debug, PartialEq)]
struct Contents {
    options: BatchOptions,
    now: Timestamp,
    magic: Magic,
    /// The codec of the sent bytes: none if compression did not make the batch smaller.
    codec: Codec,
    stats: RecordStats,
}

/// The header fields of magic 2 that are known only when a batch is sent, such as producer id and sequence.
///
/// The default, [`Stamp::NONE`], is a producer without an id.
///
/// # Examples
///
/// ```
/// use kafka_batch_core::batch::Stamp;
/// use kafka_batch_core::{KafkaBatch, Record, Timestamp};
///
/// let mut batch = KafkaBatch::new(Timestamp::from_millis(0));
/// batch.extend([Record::new("one"), Record::new("two")])?;
/// let stamped = batch.seal()?.stamp(Stamp::default().producer(4711, 0, 40))?;
/// assert_eq!(stamped.bytes().len(), 61 + 2 * 10);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    producer_id: i64,
    producer_epoch: i16,
    base_sequence: i32,
    transactional: bool,
    control: bool,
    base_offset: i64,
    partition_leader_epoch: i32,
    log_append_time: Option<Timestamp>,
}

impl Stamp {
    /// No producer id, no sequence, offset 0, no leader epoch: a producer without idempotence.
    pub const NONE: Self = Self {
        producer_id: -1,
        producer_epoch: -1,
        base_sequence: -1,
        transactional: false,
        control: false,
        base_offset: 0,
        partition_leader_epoch: -1,
        log_append_time: None,
    };

    /// Sets the producer's id and epoch, and the sequence number of the first record (KIP-98). Needs magic 2.
    #[must_use]
    pub const fn producer(mut self, id: i64, epoch: i16, base_sequence: i32) -> Self {
        self.producer_id = id;
        self.producer_epoch = epoch;
        self.base_sequence = base_sequence;
        self
    }

    /// Sets whether the batch is part of a transaction (KIP-98). Needs magic 2.
    #[must_use]
    pub const fn transactional(mut self, transactional: bool) -> Self {
        self.transactional = transactional;
        self
    }

    /// Sets whether the records are control records (KIP-98). Only brokers write them; for programs that act as one. Needs
    /// magic 2.
    #[must_use]
    pub const fn control(mut self, control: bool) -> Self {
        self.control = control;
        self
    }

    /// Sets the offset of the first record. Only brokers know it; for tools that write logs. Needs magic 2.
    #[must_use]
    pub const fn base_offset(mut self, offset: i64) -> Self {
        self.base_offset = offset;
        self
    }

    /// Sets the epoch of the partition leader. Only brokers know it; for tools that write logs. Needs magic 2.
    #[must_use]
    pub const fn partition_leader_epoch(mut self, epoch: i32) -> Self {
        self.partition_leader_epoch = epoch;
        self
    }

    /// Sets log-append-time, which is then the timestamp of every record (KIP-32). Only brokers write it; for tools that
    /// write logs. Needs magic 2.
    #[must_use]
    pub fn log_append_time(mut self, timestamp: impl Into<Timestamp>) -> Self {
        self.log_append_time = Some(timestamp.into());
        self
    }
}

impl Default for Stamp {
    fn default() -> Self {
        Self::NONE
    }
}

/// Why a batch could not be sealed. The error has the batch, unchanged.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
#[non_exhaustive]
pub struct SealError {
    /// The reason.
    pub reason: SealErrorReason,
    /// The batch, to be filled, [split](KafkaBatch::split), or compressed by another codec.
    pub batch: Box<KafkaBatch>,
}

/// Why a batch could not be sealed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealErrorReason {
    /// The batch has no records.
    #[error("the batch has no records: append one before sending it")]
    Empty,
    /// The batch exceeds the hard limit even after compression.
    #[error(
        "the batch of {} has {sealed} bytes ({uncompressed} before compression), and max_message_bytes is {limit}: {}",
        Counted(*records, "record"),
        if *records > 1 { "split it" } else { "shorten the record, or raise the limit and the broker's message.max.bytes" }
    )]
    TooLarge {
        /// The number of records. A batch of one record cannot be split.
        records: usize,
        /// The size in bytes as it would be sent.
        sealed: usize,
        /// The size in bytes before compression.
        uncompressed: usize,
        /// The hard limit in bytes.
        limit: usize,
    },
    /// The codec failed.
    #[error(transparent)]
    Compression(#[from] CompressError),
}

/// Why a batch could not be stamped: its format cannot carry the stamp. The error has the batch.
#[derive(Debug, thiserror::Error)]
#[error(
    "{magic} cannot carry a stamp (producer id, transaction, control, offset, leader epoch, log-append-time): use magic 2, \
     or send without a producer id"
)]
#[non_exhaustive]
pub struct StampError {
    /// The batch's format.
    pub magic: Magic,
    /// The batch.
    pub batch: Box<SealedBatch>,
}

impl KafkaBatch {
    /// Compresses the batch, and checks the hard limit. The records are then final.
    ///
    /// If compression does not make the batch smaller, it is sent uncompressed.
    ///
    /// # Errors
    /// The batch is empty, exceeds [`BatchOptions::max_message_bytes`], or the codec failed. The error has the batch.
    pub fn seal(self) -> Result<SealedBatch, SealError> {
        let limit = self.options.max_message_bytes;
        match self.try_seal(limit) {
            Ok((wire, codec)) => Ok(self.sealed_as(wire, codec)),
            Err(reason) => Err(SealError { reason, batch: Box::new(self) }),
        }
    }

    /// As [`seal`](Self::seal). If compression makes the batch smaller, its own memory is not needed any more, and goes to
    /// the pool. For authors of transports.
    ///
    /// # Errors
    /// As [`seal`](Self::seal).
    pub fn seal_with_pool(mut self, pool: &dyn BufferPool) -> Result<SealedBatch, SealError> {
        match self.try_seal(self.options.max_message_bytes) {
            Ok((wire, codec)) => {
                if wire.is_some() {
                    pool.put(mem::take(&mut self.buffer));
                }
                Ok(self.sealed_as(wire, codec))
            }
            Err(reason) => Err(SealError { reason, batch: Box::new(self) }),
        }
    }

    /// Returns the compressed bytes, or `None` to send the buffer as it is, and the codec of what is sent.
    pub(super) fn try_seal(&self, limit: usize) -> Result<(Option<Vec<u8>>, Codec), SealErrorReason> {
        if self.is_empty() {
            return Err(SealErrorReason::Empty);
        }
        let compressed = self.compress()?.filter(|wire| wire.len() < self.buffer.len());
        let sealed = compressed.as_ref().map_or(self.buffer.len(), Vec::len);
        if sealed > limit {
            let (records, uncompressed) = (self.record_count(), self.buffer.len());
            return Err(SealErrorReason::TooLarge { records, sealed, uncompressed, limit });
        }
        let codec = compressed.as_ref().map_or(Codec::None, |_| self.options.compression.codec());
        Ok((compressed, codec))
    }

    pub(super) fn sealed_as(self, compressed: Option<Vec<u8>>, codec: Codec) -> SealedBatch {
        let Self { options, magic, now, buffer, stats, expected_len, .. } = self;
        let mut wire = compressed.unwrap_or(buffer);
        // A sealed batch may wait for long, and `buffer.memory` counts only its size, so unused capacity is freed: more than a
        // quarter, or more than half if it is in a row of batches. There the next one would get it again, and that takes longer
        // than to fill it.
        let kept = wire.len() / if expected_len > 0 { 2 } else { 4 };
        if wire.capacity() - wire.len() > kept {
            wire.shrink_to_fit();
        }
        SealedBatch { wire, contents: Contents { options, now, magic, codec, stats } }
    }

    fn compress(&self) -> Result<Option<Vec<u8>>, CompressError> {
        let compression = self.options.compression;
        if compression == Compression::None {
            return Ok(None);
        }
        let mut wire = Vec::new();
        match self.magic {
            Magic::V2 => wire.resize(v2::HEADER_LEN, 0),
            Magic::V0 | Magic::V1 => legacy::reserve_wrapper(&mut wire, self.magic),
        }
        compression.compress(self.magic, self.payload(), &mut wire)?;
        wire.shrink_to_fit(); // codecs reserve memory for the worst case
        if self.magic != Magic::V2 {
            let timestamp = self.stats.timestamps.latest().unwrap_or(Timestamp::NO_TIMESTAMP);
            let offset = i64::from(self.stats.next_offset_delta) - 1;
            let codec_id = compression.codec().id();
            legacy::write_wrapper(&mut wire, legacy::MessagePrefix { magic: self.magic, offset, codec_id, timestamp });
        }
        Ok(Some(wire))
    }
}

impl SealedBatch {
    /// Returns the size in bytes as it is sent, which the broker compares with `message.max.bytes`.
    #[must_use]
    pub fn size(&self) -> usize {
        self.wire.len()
    }

    /// Returns the soft limit in bytes that the batch was filled to: [`BatchOptions::batch_size`].
    pub(crate) const fn size_limit(&self) -> usize {
        self.contents.options.batch_size
    }

    /// Writes the header, which takes one pass over the bytes for the checksum.
    ///
    /// # Errors
    /// The format is magic 0 or 1, which can carry only [`Stamp::NONE`]. The error has the batch.
    pub fn stamp(mut self, stamp: Stamp) -> Result<StampedBatch, StampError> {
        match self.contents.magic {
            Magic::V2 => v2::write_header(&mut self.wire, &self.contents.header(stamp)),
            Magic::V0 | Magic::V1 if stamp == Stamp::NONE => {}
            magic @ (Magic::V0 | Magic::V1) => return Err(StampError { magic, batch: Box::new(self) }),
        }
        Ok(StampedBatch { wire: Bytes::from(self.wire), contents: self.contents })
    }

    /// Writes the header of a producer without an id, which every format can carry. The same as stamping with
    /// [`Stamp::NONE`].
    #[must_use]
    pub fn without_producer_id(mut self) -> StampedBatch {
        if self.contents.magic == Magic::V2 {
            v2::write_header(&mut self.wire, &self.contents.header(Stamp::NONE));
        }
        StampedBatch { wire: Bytes::from(self.wire), contents: self.contents }
    }

    /// Reopens the batch, to [`split`](KafkaBatch::split) it or use another codec. Decompresses it, if it is compressed.
    #[must_use]
    pub fn into_batch(self) -> KafkaBatch {
        self.contents.reopen(self.wire)
    }
}

impl StampedBatch {
    /// Returns the bytes to send: the `records` field of a Produce request.
    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        &self.wire
    }

    /// Returns the size in bytes as it is sent, which the broker compares with `message.max.bytes`.
    #[must_use]
    pub const fn size(&self) -> usize {
        self.wire.len()
    }

    /// Returns the memory of the batch, for another one: see [`BatchOptions::build_with_buffer`]. Returns `None` if the bytes
    /// are shared, such as with a request that is being written.
    #[must_use]
    pub fn into_buffer(self) -> Option<Vec<u8>> {
        self.wire.is_unique().then(|| Vec::from(self.wire))
    }

    /// Reopens the batch as it was before it was sealed. Copies nothing if the bytes are neither shared nor compressed.
    #[must_use]
    pub fn into_batch(self) -> KafkaBatch {
        self.contents.reopen(Vec::from(self.wire))
    }
}

/// Implements what sealed and stamped batches have in common.
macro_rules! impl_contents {
    ($batch:ty) => {
        impl $batch {
            /// Returns the format.
            #[must_use]
            pub const fn magic(&self) -> Magic {
                self.contents.magic
            }

            /// Returns the codec of the sent bytes: [`Codec::None`] if compression did not make the batch smaller.
            #[must_use]
            pub const fn codec(&self) -> Codec {
                self.contents.codec
            }

            /// Returns the number of records.
            #[must_use]
            pub const fn record_count(&self) -> usize {
                self.contents.stats.count as usize
            }

            /// Returns the largest timestamp of its records, if any has one.
            #[must_use]
            pub fn latest_timestamp(&self) -> Option<Timestamp> {
                self.contents.stats.timestamps.latest()
            }

            /// Returns the size in bytes before compression, header included.
            #[must_use]
            pub const fn uncompressed_size(&self) -> usize {
                self.contents.uncompressed_size()
            }

            /// Returns compressed size ÷ uncompressed size of the records, for
            /// [`CompressionRatio::observe`](super::CompressionRatio::observe); 1 if the batch is not compressed.
            #[must_use]
            pub fn compression_ratio(&self) -> f32 {
                self.contents.compression_ratio(self.wire.len())
            }
        }

        /// Prints a summary without the bytes: they are the application's data, and many.
        impl fmt::Debug for $batch {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut text = f.debug_struct(stringify!($batch));
                text.field("magic", &self.magic()).field("codec", &self.codec());
                text.field("record_count", &self.record_count()).field("size", &self.wire.len()).finish_non_exhaustive()
            }
        }
    };
}

impl_contents!(SealedBatch);
impl_contents!(StampedBatch);

impl Contents {
    const fn header_len(&self) -> usize {
        match (self.magic, self.codec) {
            (Magic::V2, _) => v2::HEADER_LEN,
            (Magic::V0 | Magic::V1, Codec::None) => 0,
            (magic @ (Magic::V0 | Magic::V1), _) => legacy::overhead(magic),
        }
    }

    const fn uncompressed_size(&self) -> usize {
        match self.magic {
            Magic::V2 => v2::HEADER_LEN + self.stats.len,
            Magic::V0 | Magic::V1 => self.stats.len,
        }
    }

    fn compression_ratio(&self, size: usize) -> f32 {
        (size - self.header_len()) as f32 / self.stats.len.max(1) as f32
    }

    fn header(&self, stamp: Stamp) -> v2::Header {
        let stats = &self.stats;
        let mut attributes = i16::from(self.codec.id());
        let mut set = |bit, on| attributes |= if on { bit } else { 0 };
        set(v2::attribute::TRANSACTIONAL, stamp.transactional);
        set(v2::attribute::CONTROL, stamp.control);
        set(v2::attribute::LOG_APPEND_TIME, stamp.log_append_time.is_some());
        set(v2::attribute::DELETE_HORIZON, self.options.delete_horizon.is_some());
        let millis = |timestamp: Option<Timestamp>| timestamp.unwrap_or(Timestamp::NO_TIMESTAMP).millis();
        v2::Header {
            base_offset: stamp.base_offset,
            partition_leader_epoch: stamp.partition_leader_epoch,
            attributes,
            last_offset_delta: stats.next_offset_delta as i32 - 1,
            base_timestamp: millis(stats.base_timestamp),
            max_timestamp: millis(stamp.log_append_time.or(stats.timestamps.latest())),
            producer_id: stamp.producer_id,
            producer_epoch: stamp.producer_epoch,
            base_sequence: stamp.base_sequence,
            record_count: stats.count as i32,
        }
    }

    fn reopen(self, wire: Vec<u8>) -> KafkaBatch {
        let buffer = if self.codec == Codec::None {
            wire
        } else {
            let raw = self
                .codec
                .decompress(self.magic, &wire[self.header_len()..], self.stats.len)
                .expect("`compress` made these bytes, and they are not mutable since");
            match self.magic {
                Magic::V0 | Magic::V1 => raw,
                Magic::V2 => {
                    let mut buffer = Vec::with_capacity(v2::HEADER_LEN + raw.len());
                    buffer.resize(v2::HEADER_LEN, 0);
                    buffer.extend_from_slice(&raw);
                    buffer
                }
            }
        };
        let Self { options, now, magic, stats, .. } = self;
        KafkaBatch { buffer, stats, ..KafkaBatch::empty(options, magic, now) }
    }
}

#[cfg(test)]
mod tests;
