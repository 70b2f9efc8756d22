//! Sealing: when compression is used, which memory is kept, what a stamp may contain.
#![cfg(feature = "lz4")]

use alloc::vec;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::Record;
use crate::batch::OptionsError;
use crate::batch::options::BatchOptions;
use crate::magic::MagicChoice;

/// The capacity of what it got.
#[derive(Default)]
struct Pool(AtomicUsize);

impl BufferPool for Pool {
    fn put(&self, buffer: Vec<u8>) {
        self.0.fetch_add(buffer.capacity(), Ordering::Relaxed);
    }
}

#[test]
fn the_pool_gets_the_memory_of_a_batch_that_compression_makes_smaller() {
    for (value, expected) in [("a".repeat(4_000), 10_000), ("a".into(), 0)] {
        let options = BatchOptions::default().compression(Compression::Lz4);
        let mut batch = options.build_with_buffer(Timestamp::from_millis(0), Vec::with_capacity(10_000)).unwrap();
        batch.extend([Record::new(&value)]).unwrap();
        let wire = batch.clone().seal().unwrap().wire;
        let pool = Pool::default();
        assert_eq!(batch.seal_with_pool(&pool).unwrap().wire, wire);
        assert_eq!(pool.0.into_inner(), expected);
    }
}

fn sealed(options: BatchOptions, value: &[u8]) -> SealedBatch {
    let mut batch = options.build(Timestamp::from_millis(0)).unwrap();
    batch.extend([Record::new(value)]).unwrap();
    batch.seal().unwrap()
}

#[test]
fn a_batch_is_compressed_only_if_that_makes_it_smaller() {
    let options = BatchOptions::default().compression(Compression::Lz4);
    let noise: Vec<u8> = (0..60_u64).map(|n| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect();
    let mut equal = 0;
    for repeated in 0..200 {
        let value = [&noise[..], &vec![b'a'; repeated]].concat();
        let mut batch = options.clone().build(Timestamp::from_millis(0)).unwrap();
        batch.extend([Record::new(&value)]).unwrap();
        let (compressed, raw) = (batch.compress().unwrap().unwrap().len(), batch.size());
        let (codec, size) = if compressed < raw { (Codec::Lz4, compressed) } else { (Codec::None, raw) };
        equal += usize::from(compressed == raw);
        let sealed = batch.seal().unwrap();
        assert_eq!((sealed.codec(), sealed.size()), (codec, size), "{repeated}");
    }
    assert!(equal > 0, "a size at which it makes no difference is among them");
}

#[test]
fn unused_memory_of_more_than_a_quarter_is_freed() {
    // 61 bytes of header, 7 of the record, and the value.
    let value = [7; 32];
    for (capacity, kept) in [(125, 125), (126, 100), (10_000, 100)] {
        let options = BatchOptions::default();
        let mut batch = options.build_with_buffer(Timestamp::from_millis(0), Vec::with_capacity(capacity)).unwrap();
        batch.extend([Record::new(value)]).unwrap();
        let sealed = batch.seal().unwrap();
        assert_eq!((sealed.wire.len(), sealed.wire.capacity()), (100, kept));
    }
}

#[test]
fn a_batch_that_follows_another_keeps_unused_memory_of_up_to_half() {
    let template = BatchOptions::default().build(Timestamp::from_millis(0)).unwrap();
    for (capacity, kept) in [(150, 150), (151, 100)] {
        let mut batch = template.next_batch_with(Timestamp::from_millis(0), 30, Vec::with_capacity(capacity));
        batch.extend([Record::new([7; 32])]).unwrap();
        let sealed = batch.seal().unwrap();
        assert_eq!((sealed.wire.len(), sealed.wire.capacity()), (100, kept));
    }
}

#[test]
fn an_older_format_carries_no_producer_id() {
    for magic in [Magic::V0, Magic::V1] {
        let batch = || sealed(BatchOptions::default().magic(MagicChoice::Pinned(magic)), b"value");
        let bytes = batch().without_producer_id().bytes().clone();
        assert_eq!(*batch().stamp(Stamp::NONE).unwrap().bytes(), bytes);
        let error = batch().stamp(Stamp::default().producer(7, 0, 0)).unwrap_err();
        assert_eq!(error.magic, magic);
        assert_eq!(*error.batch.without_producer_id().bytes(), bytes, "the error has the batch");
    }
}

#[test]
fn the_compression_ratio_is_that_of_the_records_without_header() {
    let value = [7; 1_000];
    for (magic, header) in [(Magic::V1, 34), (Magic::V2, 61)] {
        let options = BatchOptions::default().magic(MagicChoice::Pinned(magic));
        let plain = sealed(options.clone(), &value);
        assert_eq!(plain.compression_ratio(), 1.0);
        let records = plain.uncompressed_size() - if magic == Magic::V2 { header } else { 0 };
        let compressed = sealed(options.compression(Compression::Lz4), &value);
        let ratio = (compressed.size() - header) as f32 / records as f32;
        assert_eq!(compressed.compression_ratio(), ratio);
        assert!(ratio < 0.2);
    }
}

#[test]
fn settings_that_the_pinned_format_cannot_carry_are_refused() {
    let options = BatchOptions::default().magic(MagicChoice::Pinned(Magic::V1));
    let error = options.clone().delete_horizon(7).build(0).unwrap_err();
    assert_eq!(error, OptionsError::DeleteHorizonNeedsMagic2 { magic: Magic::V1 });
    assert!(options.clone().compression(Compression::Lz4).build(0).is_ok());
    #[cfg(feature = "zstd")]
    {
        let error = options.compression(Compression::zstd()).build(0).unwrap_err();
        assert_eq!(error, OptionsError::CodecNeedsNewerMagic { codec: Codec::Zstd, magic: Magic::V1 });
    }
}
