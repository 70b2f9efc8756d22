//! Laws of sealing a batch and of decoding it.

use alloc::vec::Vec;

use ::proptest::test_runner::{TestCaseError, TestCaseResult};
use ::proptest::{prop_assert, prop_assert_eq};

use super::same;
use crate::batch::decode::{RecordBatches, TimestampType};
use crate::batch::{Boundary, KafkaBatch, SealErrorReason, SealedBatch, Stamp};
use crate::compression::{Codec, Compression};
use crate::magic::Magic;
use crate::proptest::{OwnedRecord, size};
use crate::time::Timestamp;

/// Checks that [`KafkaBatch::size`] is the size of the sealed batch without a codec, or of its decompressed records with one.
///
/// # Errors
/// The law is broken.
pub fn size_is_exact(batch: &KafkaBatch) -> TestCaseResult {
    let Ok(sealed) = batch.clone().seal() else { return Ok(()) };
    let wrapper = match batch.magic() {
        Magic::V2 => 0,
        _ if batch.options().compression == Compression::None || batch.options().boundary == Boundary::Aiokafka => 0,
        magic => size::message_overhead(magic) as usize, // counted, because compression may add a wrapper
    };
    prop_assert_eq!(sealed.uncompressed_size() + wrapper, batch.size());
    let header = if batch.magic() == Magic::V2 { size::BATCH_HEADER as usize } else { 0 };
    let uncompressed = sealed.uncompressed_size();
    let codec = sealed.codec();
    let stamped = sealed.without_producer_id();
    if codec == Codec::None {
        prop_assert_eq!(stamped.bytes().len(), uncompressed);
    } else {
        let read = read_one(stamped.bytes())?;
        let records = read.records(uncompressed).map_err(fail)?;
        prop_assert_eq!(header + records.size(), uncompressed);
    }
    Ok(())
}

/// Checks that a sealed batch does not exceed the hard limit and has the size that it reports. A batch that would exceed it
/// is refused with its size, and returned unchanged.
///
/// # Errors
/// The law is broken.
pub fn hard_limit_holds(batch: &KafkaBatch) -> TestCaseResult {
    let most = batch.options().max_message_bytes;
    match batch.clone().seal() {
        Ok(sealed) => {
            let size = sealed.size();
            prop_assert!(size <= most, "{size} bytes sealed, {most} allowed");
            prop_assert_eq!(sealed.without_producer_id().bytes().len(), size);
        }
        Err(error) => {
            same(&error.batch, batch, "returned by a failed seal")?;
            match error.reason {
                SealErrorReason::Empty => prop_assert!(batch.is_empty()),
                SealErrorReason::TooLarge { records, sealed, uncompressed, limit } => {
                    prop_assert_eq!((records, limit), (batch.record_count(), most));
                    prop_assert!(sealed > limit && sealed <= uncompressed, "{sealed} of {uncompressed}, limit {limit}");
                }
                reason @ SealErrorReason::Compression(_) => prop_assert!(false, "{reason}"),
            }
        }
    }
    Ok(())
}

/// Checks that a sealed batch with a codec is smaller than without one, and that a batch that compression does not make
/// smaller is sealed without a codec.
///
/// # Errors
/// The law is broken.
pub fn compression_never_enlarges(batch: &KafkaBatch) -> TestCaseResult {
    let Ok(sealed) = batch.clone().seal() else { return Ok(()) };
    if sealed.codec() == Codec::None {
        prop_assert_eq!(sealed.size(), sealed.uncompressed_size());
        prop_assert_eq!(sealed.compression_ratio(), 1.0);
    } else {
        prop_assert_eq!(sealed.codec(), batch.options().compression.codec());
        prop_assert!(sealed.size() < sealed.uncompressed_size());
    }
    Ok(())
}

/// Checks that a batch that is sealed, stamped and decoded has the records that were appended, and that its bytes are exactly
/// one batch, in which [`Records::validate`](crate::decode::Records::validate) finds nothing.
///
/// # Errors
/// The law is broken.
pub fn decoding_round_trips(batch: &KafkaBatch) -> TestCaseResult {
    let Ok(sealed) = batch.clone().seal() else { return Ok(()) };
    let (codec, uncompressed) = (sealed.codec(), sealed.uncompressed_size());
    let stamped = sealed.without_producer_id();
    let read = read_one(stamped.bytes())?;
    prop_assert_eq!(read.magic(), batch.magic());
    prop_assert_eq!(read.codec(), codec);
    prop_assert_eq!(read.bytes(), &stamped.bytes()[..]);
    if let Some(count) = read.record_count() {
        prop_assert_eq!(count, batch.record_count());
    }
    if let Some(header) = read.header() {
        let (last, latest) = (batch.records().last(), batch.records().map(|record| record.timestamp).max());
        prop_assert_eq!(Some(i64::from(header.last_offset_delta)), last.map(|record| record.offset));
        prop_assert_eq!(Some(header.max_timestamp), latest.map(Timestamp::millis));
    }
    let records = read.records(uncompressed).map_err(fail)?;
    records.validate().map_err(fail)?;
    let decoded: Vec<_> = records.iter().collect::<Result<_, _>>().map_err(fail)?;
    prop_assert_eq!(decoded.len(), batch.record_count());
    for (decoded, appended) in decoded.into_iter().zip(batch.records()) {
        prop_assert_eq!(decoded.offset, appended.offset);
        prop_assert_eq!(OwnedRecord::from(decoded), OwnedRecord::from(appended));
    }
    Ok(())
}

/// Checks that a batch that was sealed, or sealed and stamped, is reopened as the batch that it was (but open, even if it was
/// closed), and is sealed to the same bytes again.
///
/// # Errors
/// The law is broken.
pub fn sealed_batches_reopen(batch: &KafkaBatch) -> TestCaseResult {
    let Ok(sealed) = batch.clone().seal() else { return Ok(()) };
    let reopen = |sealed: SealedBatch| [sealed.clone().into_batch(), sealed.without_producer_id().into_batch()];
    for mut opened in reopen(sealed) {
        prop_assert!(!opened.is_closed());
        if batch.is_closed() {
            opened.close();
        }
        same(&opened, batch, "sealed and reopened")?;
    }
    Ok(())
}

/// Checks that stamping a sealed batch does not change its size; that its records are decoded with the base offset and the
/// log-append-time of its header; and that it is reopened as the batch that it was. Magic 0 and 1 refuse a stamp other than
/// [`Stamp::NONE`], and the error has the batch.
///
/// # Errors
/// The law is broken.
pub fn stamped_batches_round_trip(batch: &KafkaBatch, stamp: Stamp) -> TestCaseResult {
    let Ok(sealed) = batch.clone().seal() else { return Ok(()) };
    let (size, uncompressed) = (sealed.size(), sealed.uncompressed_size());
    let stamped = match sealed.stamp(stamp) {
        Ok(stamped) => stamped,
        Err(error) => {
            prop_assert!(error.magic == batch.magic() && error.magic != Magic::V2 && stamp != Stamp::NONE);
            error.batch.without_producer_id()
        }
    };
    prop_assert_eq!((stamped.size(), stamped.bytes().len()), (size, size));
    let read = read_one(stamped.bytes())?;
    prop_assert_eq!((read.magic(), read.codec()), (stamped.magic(), stamped.codec()));
    let base_offset = read.header().map_or(0, |header| header.base_offset);
    let by_broker = read.timestamp_type() == Some(TimestampType::LogAppendTime);
    let append_time = read.header().filter(|_| by_broker).map(|header| Timestamp::from_millis(header.max_timestamp));
    let records = read.records(uncompressed).map_err(fail)?;
    records.validate().map_err(fail)?;
    let decoded: Vec<_> = records.iter().collect::<Result<_, _>>().map_err(fail)?;
    prop_assert_eq!(decoded.len(), batch.record_count());
    for (decoded, appended) in decoded.into_iter().zip(batch.records()) {
        prop_assert_eq!(decoded.offset, base_offset + appended.offset);
        let timestamp = Some(append_time.unwrap_or(appended.timestamp));
        prop_assert_eq!(OwnedRecord::from(decoded), OwnedRecord { timestamp, ..appended.into() });
    }
    let mut opened = stamped.into_batch();
    prop_assert!(!opened.is_closed());
    if batch.is_closed() {
        opened.close();
    }
    same(&opened, batch, "stamped and reopened")
}

/// Decodes bytes that must be exactly one batch.
pub(super) fn read_one(bytes: &[u8]) -> Result<crate::batch::decode::RecordBatch<'_>, TestCaseError> {
    let mut batches = RecordBatches::new(bytes);
    let first = batches.next().ok_or_else(|| TestCaseError::fail("no batch was read"))?.map_err(fail)?;
    prop_assert!(batches.next().is_none(), "more than one batch was read");
    prop_assert_eq!(batches.tail(), None);
    Ok(first)
}

pub(super) fn fail(error: impl core::fmt::Display) -> TestCaseError {
    TestCaseError::fail(alloc::format!("{error}"))
}
