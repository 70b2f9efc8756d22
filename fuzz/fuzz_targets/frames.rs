//! Bytes from a broker: cut into frames, however they come, and read as the response of each API in each version.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| kafka_batch_fuzz::frames::read(data));
