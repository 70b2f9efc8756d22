//! What a batch is told before it is filled: how large it may get, how that is counted, how it is compressed.

use core::fmt;
use core::num::NonZeroU32;

use crate::batch::KafkaBatch;
use crate::compression::{Codec, Compression};
use crate::magic::{Magic, MagicChoice};
use crate::time::Timestamp;

/// Bytes that a batch may have before compression by default: the default of Kafka's `batch.size`.
pub const DEFAULT_BATCH_SIZE: usize = 16_384;

/// Bytes that a batch may have when it is sent by default: the default of the broker's `message.max.bytes`.
pub const DEFAULT_MAX_MESSAGE_BYTES: usize = 1_048_588;

/// The settings of a batch. [`BatchOptions::default`] has Kafka's own defaults.
///
/// ```
/// use kafka_batch_core::{BatchOptions, Timestamp};
///
/// let now = Timestamp::from_millis(1_700_000_000_000);
/// let batch = BatchOptions::default().batch_size(1_000_000).max_records(500).build(now)?;
/// assert_eq!(batch.room(), 1_000_000 - 61);
/// # Ok::<(), kafka_batch_core::OptionsError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct BatchOptions {
    pub(crate) batch_size: usize,
    pub(crate) max_message_bytes: usize,
    pub(crate) max_records: u32,
    pub(crate) size_policy: SizePolicy,
    pub(crate) boundary: Boundary,
    pub(crate) compression: Compression,
    pub(crate) magic: MagicChoice,
    pub(crate) capacity: Option<usize>,
    pub(crate) partitions: Option<NonZeroU32>,
    pub(crate) delete_horizon: Option<Timestamp>,
}

impl Default for BatchOptions {
    fn default() -> Self {
        Self {
            batch_size: DEFAULT_BATCH_SIZE,
            max_message_bytes: DEFAULT_MAX_MESSAGE_BYTES,
            max_records: MAX_RECORDS,
            size_policy: SizePolicy::Uncompressed,
            boundary: Boundary::Inclusive,
            compression: Compression::None,
            magic: MagicChoice::Auto,
            capacity: None,
            partitions: None,
            delete_horizon: None,
        }
    }
}

/// The longest batch that the formats can say: their lengths are 32-bit and signed.
pub(crate) const MAX_BATCH_LEN: usize = i32::MAX as usize;

/// Offsets within a batch are 32-bit and signed on the wire.
pub(crate) const MAX_RECORDS: u32 = i32::MAX as u32;

impl BatchOptions {
    /// The soft limit in bytes, counted before compression, header included; a batch may reach it exactly. The first
    /// record of an empty batch goes in whatever its size. Kafka's `batch.size`; default 16 384.
    #[must_use]
    pub const fn batch_size(mut self, bytes: usize) -> Self {
        self.batch_size = bytes;
        self
    }

    /// The hard limit in bytes: what is sent (compressed, with its 12-byte offset-and-length prefix) never exceeds it.
    /// The broker's `message.max.bytes`, the topic's `max.message.bytes`; default 1 048 588.
    ///
    /// Without compression it is seen to at every append; with compression when the batch is sealed.
    #[must_use]
    pub const fn max_message_bytes(mut self, bytes: usize) -> Self {
        self.max_message_bytes = bytes;
        self
    }

    /// How many records a batch may have: 1 to 2³¹ − 1 (values outside are brought to the nearer end). Default 2³¹ − 1.
    #[must_use]
    pub const fn max_records(mut self, records: u32) -> Self {
        self.max_records = match records {
            0 => 1,
            1..=MAX_RECORDS => records,
            _ => MAX_RECORDS,
        };
        self
    }

    /// How the size that is compared with [`batch_size`](Self::batch_size) is counted. Default: uncompressed.
    #[must_use]
    pub const fn size_policy(mut self, policy: SizePolicy) -> Self {
        self.size_policy = policy;
        self
    }

    /// Whether a batch may reach its soft limit exactly. Default: it may.
    #[must_use]
    pub const fn boundary(mut self, boundary: Boundary) -> Self {
        self.boundary = boundary;
        self
    }

    /// The codec, and its level. Kafka's `compression.type`; default none.
    #[must_use]
    pub const fn compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// The message format: a [`Magic`] by way of [`MagicChoice::Pinned`], or a
    /// [`BrokerVersion`](crate::BrokerVersion). Default [`MagicChoice::Auto`].
    #[must_use]
    pub fn magic(mut self, choice: impl Into<MagicChoice>) -> Self {
        self.magic = choice.into();
        self
    }

    /// How many bytes of memory to take at the first append. Default: as many as [`batch_size`](Self::batch_size),
    /// up to about a mebibyte; beyond that the memory grows as the batch does. More than 2³¹ − 1 bytes count as that.
    #[must_use]
    pub const fn capacity(mut self, bytes: usize) -> Self {
        self.capacity = Some(if bytes < MAX_BATCH_LEN { bytes } else { MAX_BATCH_LEN });
        self
    }

    /// Ties the batch to one partition out of `partitions` by the keys of its records, as the Java client routes them
    /// (murmur2): the first keyed record chooses, and appending a key that routes elsewhere is an
    /// [error](crate::AppendError::RoutesElsewhere). Records without a key go anywhere.
    #[must_use]
    pub const fn route_by_key(mut self, partitions: NonZeroU32) -> Self {
        self.partitions = Some(partitions);
        self
    }

    /// Marks the batch as one whose tombstones and transaction markers may go after this time (KIP-534). Log cleaners
    /// write it: for those who write logs. Needs magic 2.
    #[must_use]
    pub fn delete_horizon(mut self, horizon: impl Into<Timestamp>) -> Self {
        self.delete_horizon = Some(horizon.into());
        self
    }

    /// The same settings, as far as a broker can take them whose **highest** Produce version this is: with an older format,
    /// unless one is pinned, so that what it cannot carry is refused when it is appended; and without a codec that is too
    /// new for it. For producers, which make batches once they have met their brokers.
    ///
    /// ```
    /// use kafka_batch_core::{BatchOptions, Magic, MagicChoice};
    ///
    /// let options = BatchOptions::default();
    /// assert_eq!(options.clone().for_produce_version(11), options);
    /// assert_eq!(options.clone().for_produce_version(2), options.magic(MagicChoice::Pinned(Magic::V1)));
    /// ```
    #[must_use]
    pub fn for_produce_version(mut self, max_version: i16) -> Self {
        if !self.compression.codec().fits_produce_version(max_version) {
            self.compression = Compression::None;
        }
        match (self.magic, Magic::for_produce_version(max_version)) {
            (MagicChoice::Auto, older @ (Magic::V0 | Magic::V1)) => self.magic(MagicChoice::Pinned(older)),
            _ => self,
        }
    }

    /// An empty batch with these settings, at the time `now`: what records without a timestamp of their own get.
    ///
    /// # Errors
    /// The codec or the delete horizon cannot be written in the pinned format: zstd (KIP-110) and delete horizons need
    /// magic 2.
    pub fn build(self, now: impl Into<Timestamp>) -> Result<KafkaBatch, OptionsError> {
        KafkaBatch::with_options(self, now)
    }

    pub(crate) fn check(&self, magic: Magic) -> Result<(), OptionsError> {
        let codec = self.compression.codec();
        if !codec.fits_magic(magic) {
            return Err(OptionsError::CodecNeedsNewerMagic { codec, magic });
        }
        if self.delete_horizon.is_some() && magic != Magic::V2 {
            return Err(OptionsError::DeleteHorizonNeedsMagic2 { magic });
        }
        Ok(())
    }
}

/// Settings that contradict each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OptionsError {
    /// The codec came after this format.
    #[error("{codec} cannot be written in {magic}: choose another codec, or do not pin the format")]
    CodecNeedsNewerMagic {
        /// The codec asked for.
        codec: Codec,
        /// The format asked for.
        magic: Magic,
    },
    /// A delete horizon came with magic 2.
    #[error("{magic} has no delete horizon: leave it out, or do not pin the format")]
    DeleteHorizonNeedsMagic2 {
        /// The format asked for.
        magic: Magic,
    },
}

/// What is compared with the soft limit.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum SizePolicy {
    /// The exact encoded size before compression.
    #[default]
    Uncompressed,
    /// Java's estimate of the compressed size: header + bytes so far × ratio × 1.05, and the next record uncompressed
    /// (`MemoryRecordsBuilder.estimatedBytesWritten`). The ratio is the caller's: feed back what
    /// [`SealedBatch::compression_ratio`](crate::SealedBatch::compression_ratio) says. Without a codec it counts as
    /// [`Uncompressed`](Self::Uncompressed).
    Estimated(CompressionRatio),
}

/// How much smaller compression makes batches, learnt from batch to batch: compressed size ÷ uncompressed size.
///
/// Starts at 1. A worse batch raises it at once, by 0.05 at least; a better one lowers it by 0.005 at most
/// (`CompressionRatioEstimator` of the Java client). A plain value: keep one for each topic and codec.
///
/// ```
/// use kafka_batch_core::CompressionRatio;
///
/// let mut ratio = CompressionRatio::default();
/// ratio.observe(0.4);
/// assert_eq!(ratio.get(), 0.995);
/// ratio.observe(1.2);
/// assert_eq!(ratio.get(), 1.2);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct CompressionRatio(f32);

impl CompressionRatio {
    const DETERIORATES_BY_AT_LEAST: f32 = 0.05;
    const IMPROVES_BY_AT_MOST: f32 = 0.005;
    /// What Java allows for a batch that compresses a little worse than the ones before.
    const SAFETY: f32 = 1.05;

    /// A ratio known from elsewhere. Not a number, or below 0, counts as 1.
    #[must_use]
    pub fn new(ratio: f32) -> Self {
        if ratio >= 0.0 { Self(ratio) } else { Self(1.0) }
    }

    /// The ratio.
    #[must_use]
    pub const fn get(self) -> f32 {
        self.0
    }

    /// Takes in the ratio of a batch just sealed.
    pub fn observe(&mut self, seen: f32) {
        if seen > self.0 {
            self.0 = (self.0 + Self::DETERIORATES_BY_AT_LEAST).max(seen);
        } else if seen < self.0 {
            self.0 = (self.0 - Self::IMPROVES_BY_AT_MOST).max(seen);
        }
    }

    pub(crate) fn estimate(self, bytes: usize) -> usize {
        (bytes as f32 * self.0 * Self::SAFETY) as usize
    }
}

impl Default for CompressionRatio {
    fn default() -> Self {
        Self(1.0)
    }
}

impl fmt::Display for CompressionRatio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Whether an exact fit is a fit, and what of a compressed magic 0 or 1 counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Boundary {
    /// The rule of the Java client: the limit may be reached, and the wrapper of a compressed magic 0 or 1 counts.
    #[default]
    Inclusive,
    /// The rule of aiokafka's compiled builders: a batch stays below the limit, no wrapper counts, and what goes in
    /// whatever its size is the record at offset 0. For programs that come from aiokafka and depend on where its batches
    /// end.
    Aiokafka,
}
