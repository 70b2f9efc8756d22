//! What a client is asked to do, and what it reports.

use serde::{Deserialize, Serialize};

/// One run of one client.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Job {
    pub brokers: String,
    pub topic: String,
    pub partitions: i32,
    pub work: Work,
    pub value_len: usize,
    /// Bytes of a batch.
    pub batch_size: usize,
    pub lz4: bool,
    /// How long it begins new batches.
    pub seconds: f64,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Work {
    /// As many records as go through, several batches on their way.
    Throughput,
    /// One record alone, and the next one when it is acknowledged.
    RoundTrip,
}

/// What came of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    /// Records that were acknowledged.
    pub records: u64,
    /// From the first record to the last acknowledgement.
    pub seconds: f64,
    /// User and system time of the client's process in that time.
    pub cpu_seconds: f64,
    /// The most memory that it held.
    pub peak_kib: u64,
    /// Of [`Work::RoundTrip`], in microseconds.
    pub p50: Option<f64>,
    pub p99: Option<f64>,
}

impl Job {
    /// A value: noise, or where it is to be compressed, text as applications send it.
    pub fn value(&self) -> Vec<u8> {
        if self.lz4 {
            let row = "{\"sensor\":\"hall-7\",\"celsius\":21.4,\"state\":\"open\",\"at\":1734300000123},";
            return row.bytes().cycle().take(self.value_len).collect();
        }
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut noise = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        };
        (0..self.value_len).map(|_| noise()).collect()
    }

    /// Kafka's name of the codec.
    pub const fn compression(&self) -> &'static str {
        if self.lz4 { "lz4" } else { "none" }
    }

    /// Records of a batch, for clients that must be told how many: a few bytes a record for lengths and deltas.
    pub fn records_of_a_batch(&self) -> usize {
        (self.batch_size / (self.value_len + 9)).max(1)
    }

    /// How many batches are on their way at a time, for clients that are asked batch by batch: enough for five requests,
    /// and for more than one batch a partition.
    pub fn window(&self) -> usize {
        (2 * self.partitions as usize).max(6)
    }
}
