//! Buffers and batches without a codec: raw bytes, headers of every format, records, messages.
#![no_main]

use kafka_batch_core::compression::Codec;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| kafka_batch_fuzz::decode(Codec::None, data));
