//! What was measured on, with what, and how: it stands in the results.

use kafka_batch_bench_shared::Environment;

/// How, in a sentence.
pub const METHOD: &str = "each figure is the median of interleaved samples of at least half a millisecond, all contenders \
     in turns on one pinned core; each ratio is the median of the ratios within a turn; every build begins with no memory \
     and ends with the bytes to send, checksum included";

/// The crates whose version decides what comes out.
const CRATES: [&str; 14] = [
    "bytes",
    "crc-fast",
    "crc32fast",
    "flate2",
    "kafka-batch-core",
    "kafka-protocol",
    "krafka",
    "lz4_flex",
    "rskafka",
    "snap",
    "tansu-sans-io",
    "zlib-rs",
    "zstd",
    "zstd-sys",
];

pub fn look() -> Environment {
    Environment::look(env!("CARGO_PKG_NAME"), &CRATES)
}
