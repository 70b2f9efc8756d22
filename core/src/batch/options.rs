//! The settings of a batch: its limits, how its size is counted, its format and its compression.

use alloc::vec::Vec;
use core::fmt;
use core::num::NonZeroU32;

use crate::batch::KafkaBatch;
use crate::compression::{Codec, Compression};
use crate::magic::{Magic, MagicChoice};
use crate::time::Timestamp;

/// The default of [`BatchOptions::batch_size`] in bytes: that of Kafka's producer setting `batch.size`.
pub const DEFAULT_BATCH_SIZE: usize = 16_384;

/// The default of [`BatchOptions::max_message_bytes`] in bytes: that of the broker setting `message.max.bytes`.
pub const DEFAULT_MAX_MESSAGE_BYTES: usize = 1_048_588;

/// The settings of a batch. [`BatchOptions::default`] has Kafka's defaults.
///
/// # Examples
///
/// ```
/// use kafka_batch_core::{BatchOptions, Timestamp};
///
/// let now = Timestamp::from_millis(1_700_000_000_000);
/// let batch = BatchOptions::default().batch_size(1_000_000).max_records(500).build(now)?;
/// assert_eq!(batch.room(), 1_000_000 - 61);
/// # Ok::<(), kafka_batch_core::batch::OptionsError>(())
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

/// The largest batch in bytes: lengths are signed 32-bit numbers in every format.
pub(crate) const MAX_BATCH_LEN: usize = i32::MAX as usize;

/// The largest number of records in a batch: offsets within a batch are signed 32-bit numbers.
pub(crate) const MAX_RECORDS: u32 = i32::MAX as u32;

impl BatchOptions {
    /// Sets the soft limit in bytes before compression, header included: Kafka's `batch.size`. Default: 16 384.
    ///
    /// A batch may reach it exactly. The first record is taken even if it exceeds this limit.
    #[must_use]
    pub const fn batch_size(mut self, bytes: usize) -> Self {
        self.batch_size = bytes;
        self
    }

    /// Sets the hard limit in bytes: the broker's `message.max.bytes`, the topic's `max.message.bytes`. Default: 1 048 588.
    ///
    /// The sealed batch (compressed, with its 12 bytes of offset and length) never exceeds it. Without compression this is
    /// checked at each append, with compression when the batch is sealed.
    #[must_use]
    pub const fn max_message_bytes(mut self, bytes: usize) -> Self {
        self.max_message_bytes = bytes;
        self
    }

    /// Sets the largest number of records: 1 to 2³¹ − 1; other values are clamped. Default: 2³¹ − 1.
    #[must_use]
    pub const fn max_records(mut self, records: u32) -> Self {
        self.max_records = match records {
            0 => 1,
            1..=MAX_RECORDS => records,
            _ => MAX_RECORDS,
        };
        self
    }

    /// Sets how the size that is compared with [`batch_size`](Self::batch_size) is counted. Default:
    /// [`SizePolicy::Uncompressed`].
    #[must_use]
    pub const fn size_policy(mut self, policy: SizePolicy) -> Self {
        self.size_policy = policy;
        self
    }

    /// Sets whether a batch may reach its soft limit exactly. Default: [`Boundary::Inclusive`].
    #[must_use]
    pub const fn boundary(mut self, boundary: Boundary) -> Self {
        self.boundary = boundary;
        self
    }

    /// Sets the codec and its level: Kafka's `compression.type`. Default: [`Compression::None`].
    #[must_use]
    pub const fn compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// Sets the message format: a [`Magic`], which pins it, a [`BrokerVersion`](crate::BrokerVersion), which pins the newest
    /// one of such brokers, or a [`MagicChoice`]. Default: [`MagicChoice::Auto`].
    #[must_use]
    pub fn magic(mut self, choice: impl Into<MagicChoice>) -> Self {
        self.magic = choice.into();
        self
    }

    /// Sets the number of bytes that the first append allocates; at most 2³¹ − 1. A larger batch reallocates as it grows.
    ///
    /// Default: a batch takes memory as it fills. It begins with memory for a few records, or for as many bytes as the batch
    /// before it had ([`KafkaBatch::next_batch`]), then grows by a factor of four, and once it has 8 KiB, to its limit or
    /// 1 MiB. All copies on the way are together shorter than the batch.
    #[must_use]
    pub const fn capacity(mut self, bytes: usize) -> Self {
        self.capacity = Some(if bytes < MAX_BATCH_LEN { bytes } else { MAX_BATCH_LEN });
        self
    }

    /// Routes the batch to one of `partitions` by the keys of its records, as the Java client does (murmur2).
    ///
    /// The first record with a key determines the partition; appending a key that routes to another one is an
    /// [error](crate::AppendError::RoutesElsewhere). Records without a key fit any partition.
    #[must_use]
    pub const fn route_by_key(mut self, partitions: NonZeroU32) -> Self {
        self.partitions = Some(partitions);
        self
    }

    /// Sets the time after which a log cleaner may remove the tombstones and transaction markers of the batch (KIP-534).
    ///
    /// Only log cleaners write it; for tools that write logs. Needs magic 2.
    #[must_use]
    pub fn delete_horizon(mut self, horizon: impl Into<Timestamp>) -> Self {
        self.delete_horizon = Some(horizon.into());
        self
    }

    /// Restricts the settings to what a broker supports whose **highest** Produce version is `max_version`.
    ///
    /// [`MagicChoice::Auto`] becomes the newest format of that broker, so that a record that it cannot carry is refused when
    /// it is appended. A codec that is too new becomes [`Compression::None`]. For producers, which create batches after
    /// they have connected to a broker.
    ///
    /// # Examples
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

    /// Creates an empty batch with these settings. `now` is the timestamp of records without one.
    ///
    /// # Errors
    /// The pinned format cannot carry the codec or the delete horizon: zstd (KIP-110) and delete horizons need magic 2.
    pub fn build(self, now: impl Into<Timestamp>) -> Result<KafkaBatch, OptionsError> {
        let magic = self.magic.initial();
        self.check(magic)?;
        Ok(KafkaBatch::empty(self, magic, now.into()))
    }

    /// Creates an empty batch, as [`build`](Self::build), that uses the memory of `buffer`, whose content is discarded. For
    /// buffers of earlier batches ([`KafkaBatch::into_buffer`],
    /// [`StampedBatch::into_buffer`](crate::batch::StampedBatch::into_buffer)): if they are large enough, filling the
    /// batch allocates nothing.
    ///
    /// # Errors
    /// As [`build`](Self::build). The buffer is then dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// use kafka_batch_core::{BatchOptions, Record, Timestamp};
    ///
    /// let options = BatchOptions::default();
    /// let mut batch = options.clone().build(Timestamp::from_millis(0))?;
    /// batch.extend([Record::new("one"), Record::new("two")])?;
    /// let stamped = batch.seal()?.without_producer_id(); // send it
    ///
    /// let buffer = stamped.into_buffer().expect("the bytes are not shared");
    /// let mut next = options.build_with_buffer(Timestamp::from_millis(5), buffer)?;
    /// assert!(next.is_empty());
    /// next.extend([Record::new("three")])?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn build_with_buffer(self, now: impl Into<Timestamp>, mut buffer: Vec<u8>) -> Result<KafkaBatch, OptionsError> {
        let mut batch = self.build(now)?;
        buffer.clear();
        batch.buffer = buffer;
        Ok(batch)
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

/// A setting of a batch that its pinned format cannot carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OptionsError {
    /// The codec needs a newer format.
    #[error("compression {codec} cannot be written in {magic}: choose another codec, or do not pin the format")]
    CodecNeedsNewerMagic {
        /// The codec of the settings.
        codec: Codec,
        /// The pinned format.
        magic: Magic,
    },
    /// The delete horizon needs magic 2.
    #[error("a delete horizon cannot be written in {magic}: remove it, or do not pin the format")]
    DeleteHorizonNeedsMagic2 {
        /// The pinned format.
        magic: Magic,
    },
}

/// How the size is counted that is compared with [`batch_size`](BatchOptions::batch_size), the soft limit.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum SizePolicy {
    /// The exact encoded size before compression.
    #[default]
    Uncompressed,
    /// The Java client's estimate of the compressed size: header + bytes so far × ratio × 1.05, and the next record
    /// uncompressed (`MemoryRecordsBuilder.estimatedBytesWritten`).
    ///
    /// The caller provides the ratio, from [`SealedBatch::compression_ratio`](crate::SealedBatch::compression_ratio) of
    /// earlier batches. Without a codec, the same as [`Uncompressed`](Self::Uncompressed).
    Estimated(CompressionRatio),
}

/// An estimate of the compression ratio (compressed size ÷ uncompressed size), updated from batch to batch.
///
/// It starts at 1. A higher ratio raises it at once, by at least 0.05; a lower one lowers it by at most 0.005
/// (`CompressionRatioEstimator` of the Java client). Keep one for each topic and codec.
///
/// # Examples
///
/// ```
/// use kafka_batch_core::batch::CompressionRatio;
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
    /// `COMPRESSION_RATIO_DETERIORATE_STEP` of the Java client.
    const MIN_INCREASE: f32 = 0.05;
    /// `COMPRESSION_RATIO_IMPROVING_STEP` of the Java client.
    const MAX_DECREASE: f32 = 0.005;
    /// `COMPRESSION_RATE_ESTIMATION_FACTOR` of the Java client: allows for a batch that compresses less well.
    const ESTIMATION_FACTOR: f32 = 1.05;

    /// Creates an estimate that starts at this ratio. A negative ratio or NaN becomes 1.
    #[must_use]
    pub fn new(ratio: f32) -> Self {
        if ratio >= 0.0 { Self(ratio) } else { Self(1.0) }
    }

    /// Returns the ratio.
    #[must_use]
    pub const fn get(self) -> f32 {
        self.0
    }

    /// Updates the estimate with the ratio of a sealed batch.
    pub fn observe(&mut self, seen: f32) {
        if seen > self.0 {
            self.0 = (self.0 + Self::MIN_INCREASE).max(seen);
        } else if seen < self.0 {
            self.0 = (self.0 - Self::MAX_DECREASE).max(seen);
        }
    }

    pub(crate) fn estimate(self, bytes: usize) -> usize {
        (bytes as f32 * self.0 * Self::ESTIMATION_FACTOR) as usize
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

/// Whether a batch may reach [`batch_size`](BatchOptions::batch_size), the soft limit, exactly, and whether the wrapper of a compressed magic 0 or 1 counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Boundary {
    /// As in the Java client: a batch may reach the limit, and the wrapper of a compressed magic 0 or 1 counts.
    #[default]
    Inclusive,
    /// As in aiokafka's compiled builders: a batch stays below the limit, no wrapper counts, and it is the record at offset
    /// 0 that is taken whatever its size. For programs that depend on where batches of aiokafka end.
    Aiokafka,
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn the_estimate_of_the_compressed_size_allows_for_less_compression() {
        for (ratio, bytes, expected) in [(1.0, 1_000, 1_050), (0.5, 1_000, 525), (0.5, 0, 0), (0.0, 1_000, 0)] {
            assert_eq!(CompressionRatio::new(ratio).estimate(bytes), expected, "{ratio} of {bytes}");
        }
    }

    #[test]
    fn an_older_produce_version_pins_the_format_and_keeps_the_other_settings() {
        let options = BatchOptions::default().batch_size(77);
        for (version, expected) in [
            (2, options.clone().magic(MagicChoice::Pinned(Magic::V1))),
            (1, options.clone().magic(MagicChoice::Pinned(Magic::V0))),
            (11, options.clone()),
        ] {
            assert_eq!(options.clone().for_produce_version(version), expected, "{version}");
        }
        let pinned = options.magic(MagicChoice::Pinned(Magic::V2));
        assert_eq!(pinned.clone().for_produce_version(2), pinned, "a format that is pinned stays");
    }

    #[test]
    fn a_codec_that_an_older_broker_does_not_know_becomes_none() {
        #[cfg(feature = "gzip")]
        {
            let options = BatchOptions::default().compression(Compression::gzip());
            assert_eq!(options.clone().for_produce_version(2).compression, Compression::gzip());
            assert_eq!(options.clone().for_produce_version(11), options);
        }
        #[cfg(feature = "zstd")]
        {
            let options = BatchOptions::default().compression(Compression::zstd());
            assert_eq!(options.clone().for_produce_version(6), BatchOptions::default());
            assert_eq!(options.clone().for_produce_version(7), options);
        }
    }

    #[test]
    fn numbers_beyond_the_format_are_clamped() {
        let options = BatchOptions::default();
        assert_eq!([0, 1, 2].map(|records| options.clone().max_records(records).max_records), [1, 1, 2]);
        let most = MAX_RECORDS;
        assert_eq!(
            [most, most + 1, u32::MAX].map(|records| options.clone().max_records(records).max_records),
            [most; 3]
        );
        let capacities = [0, 7, MAX_BATCH_LEN - 1, MAX_BATCH_LEN, usize::MAX];
        let clamped = [0, 7, MAX_BATCH_LEN - 1, MAX_BATCH_LEN, MAX_BATCH_LEN].map(Some);
        assert_eq!(capacities.map(|bytes| options.clone().capacity(bytes).capacity), clamped);
    }

    #[test]
    fn a_ratio_rises_at_once_and_falls_slowly() {
        let observed = |ratio, seen| {
            let mut ratio = CompressionRatio::new(ratio);
            ratio.observe(seen);
            ratio
        };
        assert_eq!(observed(0.5, 0.5).get(), 0.5);
        assert_eq!(observed(0.5, 0.51).get(), 0.55);
        assert_eq!(observed(0.5, 0.9).get(), 0.9);
        assert_eq!(observed(0.5, 0.4).get(), 0.495);
        assert_eq!(observed(0.5, 0.499).get(), 0.499);
        assert_eq!(observed(0.5, f32::NAN).get(), 0.5);
        assert_eq!(observed(0.5, 0.9).to_string(), "0.9");
    }

    #[test]
    fn a_ratio_that_is_none_counts_as_no_compression() {
        for ratio in [-0.1, f32::NAN, f32::NEG_INFINITY] {
            assert_eq!(CompressionRatio::new(ratio).get(), 1.0);
        }
    }
}
