//! Batches whose records are in snappy: damaged, of other writers, and beyond the ceiling.
#![no_main]

use kafka_batch_core::compression::Codec;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| kafka_batch_fuzz::decode(Codec::Snappy, data));
