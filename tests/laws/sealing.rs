//! Sealing a batch, and the resulting bytes.

use super::*;

proptest! {
    #![proptest_config(config(8))]

    #[test]
    fn every_format_with_every_codec_is_read_back_unchanged(records in strategy::records(1..8)) {
        for options in formats() {
            let batch = batch_of(options, &records);
            laws::decoding_round_trips(&batch)?;
            let expected = records.iter().map(|record| {
                record.clone().for_magic(batch.magic()).stored(batch.magic(), batch.now())
            });
            prop_assert!(batch.records().map(OwnedRecord::from).eq(expected));
        }
    }
}

proptest! {
    #![proptest_config(config(2))]

    #[test]
    fn laws_that_need_only_a_batch_hold_for_any(spec in strategy::batches()) {
        laws::all(&spec.batch())?;
    }

    #[test]
    fn stamped_batches_are_read_and_reopened(spec in strategy::limited_batches(), stamp in strategy::stamps()) {
        laws::stamped_batches_round_trip(&spec.batch(), stamp)?;
    }

    #[test]
    fn laws_that_need_only_a_batch_hold_with_any_limits(spec in strategy::limited_batches()) {
        laws::all(&spec.batch())?;
    }

    #[test]
    fn the_hard_limit_is_exact(
        options in strategy::roomy_options(),
        policy in prop::sample::select(vec![
            SizePolicy::Uncompressed, SizePolicy::Estimated(CompressionRatio::default()),
        ]),
        records in strategy::records(1..8),
        below in 0..3_usize,
    ) {
        let options = options.size_policy(policy);
        let size = batch_of(options.clone(), &records).seal()?.size();
        let mut batch = batch(options.max_message_bytes(size + 1 - below));
        for record in records {
            let record = record.for_magic(batch.magic());
            if batch.append(record.borrowed()).is_err() {
                break;
            }
        }
        laws::hard_limit_holds(&batch)?;
        prop_assert_eq!(batch.seal().is_ok_and(|sealed| sealed.size() == size), below < 2);
    }

    #[test]
    fn magic_0_and_1_have_the_checksums_that_append_returned(
        magic in prop::sample::select(vec![Magic::V0, Magic::V1]),
        records in strategy::records(1..6),
    ) {
        let mut batch = batch(BatchOptions::default().batch_size(1 << 20).magic(MagicChoice::Pinned(magic)));
        let mut returned = Vec::new();
        for record in records {
            let appended = batch.append(record.for_magic(magic).borrowed())?.appended().expect("accepted");
            returned.push((appended.size, appended.crc.expect("every message has a checksum")));
        }
        let stamped = batch.seal()?.without_producer_id();
        let mut bytes = &stamped.bytes()[..];
        for (size, crc) in returned {
            let (message, rest) = bytes.split_at(size);
            prop_assert_eq!(&message[12..16], &crc.to_be_bytes()[..]);
            prop_assert_eq!(crc32(&message[16..]), crc);
            bytes = rest;
        }
        prop_assert!(bytes.is_empty());
    }
}

/// The offset is that of the last record in it, the timestamp the latest (`MemoryRecordsBuilder` of the Java client).
#[test]
fn a_wrapper_equals_that_of_the_java_client() {
    for magic in [Magic::V0, Magic::V1] {
        let options = BatchOptions::default().magic(MagicChoice::Pinned(magic)).compression(Compression::gzip());
        let mut batch = batch(options);
        for millis in [5, 9, 7, 7] {
            let _ = batch.append(Record::new(&[b'x'; 100]).timestamp(at(millis))).unwrap();
        }
        let stamped = batch.seal().unwrap().without_producer_id();
        let wrapper = stamped.bytes();
        assert_eq!(wrapper[..8], 3_i64.to_be_bytes());
        assert_eq!(wrapper[16..18], [magic.id() as u8, Codec::Gzip.id()]);
        if magic == Magic::V1 {
            assert_eq!(wrapper[18..26], 9_i64.to_be_bytes());
        }
    }
}

#[test]
fn a_batch_that_compression_does_not_make_smaller_is_not_compressed() {
    for options in formats() {
        let mut batch = batch(options);
        let _ = batch.append(Record::new("x")).unwrap();
        let size = batch.size();
        let sealed = batch.seal().unwrap();
        assert_eq!(sealed.codec(), Codec::None);
        assert!(sealed.size() <= size);
    }
}

/// CRC-32 of IEEE 802.3.
pub(super) fn crc32(bytes: &[u8]) -> u32 {
    crc(0xedb8_8320, bytes)
}

/// CRC-32C (RFC 3720).
pub(super) fn crc32c(bytes: &[u8]) -> u32 {
    crc(0x82f6_3b78, bytes)
}

/// The CRC with this polynomial, reflected, bit by bit.
fn crc(polynomial: u32, bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = crc >> 1 ^ if crc & 1 == 1 { polynomial } else { 0 };
        }
    }
    !crc
}
