//! Batches whose records are in gzip: damaged, of other writers, and beyond the ceiling.
#![no_main]

use kafka_batch_core::compression::Codec;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| kafka_batch_fuzz::decode(Codec::Gzip, data));
