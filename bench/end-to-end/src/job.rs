//! What a client is asked to do, and what it reports.

use std::error::Error;
use std::time::SystemTime;

use kafka_batch::{Append, BatchOptions, KafkaBatch, Record};
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
    pub acks: Acks,
    /// How long it begins new batches.
    pub seconds: f64,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Work {
    /// As many records as go through, several batches on their way.
    Throughput,
    /// A batch alone, and the next one when it is acknowledged.
    RoundTrip(Size),
    /// A record, and a call of `flush`, which returns when it is acknowledged.
    Flush,
}

/// How much goes into a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Size {
    OneRecord,
    Full,
}

/// Whose acknowledgement is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Acks {
    All,
    /// Nobody's: what was handed to the system is done with.
    None,
}

/// What came of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    /// Records that were published before the clock began, so that connections, metadata and producer id were there.
    pub warm_up: u64,
    /// Records that were acknowledged.
    pub records: u64,
    /// From the first record to the last acknowledgement.
    pub seconds: f64,
    /// User and system time of the client's process in that time.
    pub cpu_seconds: f64,
    /// The share of its core's time that went to other processes.
    pub others: f64,
    /// The most memory that it held.
    pub peak_kib: u64,
    /// From a batch's first record to its acknowledgement, in microseconds, where the client can tell.
    pub p50: Option<f64>,
    pub p99: Option<f64>,
}

impl Report {
    /// Whether others had so much of the core that the figures are no longer the client's.
    pub fn is_disturbed(&self) -> bool {
        self.others > 0.05
    }
}

impl Acks {
    /// As the setting `acks` has it.
    pub const fn setting(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::None => "0",
        }
    }
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

    /// Whether a batch is sent only when there is an answer to the one before.
    pub fn is_one_by_one(&self) -> bool {
        self.work != Work::Throughput
    }

    /// The most records of a batch, for clients that see for themselves when it is full.
    pub const fn most_records(&self) -> usize {
        match self.work {
            Work::RoundTrip(Size::OneRecord) | Work::Flush => 1,
            Work::RoundTrip(Size::Full) | Work::Throughput => usize::MAX,
        }
    }

    /// One batch of this job, full.
    pub fn batch(&self) -> Result<KafkaBatch, Box<dyn Error>> {
        let options = BatchOptions::default().batch_size(self.batch_size).compression(self.compression().parse()?);
        let mut batch = options.build(SystemTime::now())?;
        let value = self.value();
        while batch.record_count() < self.most_records()
            && matches!(batch.append(Record::new(&value))?, Append::Appended(_))
        {}
        Ok(batch)
    }

    /// How many batches are on their way at a time, for clients that are asked batch by batch: enough for five requests, for
    /// more than one batch a partition, and for 2 MiB.
    pub fn window(&self) -> usize {
        if self.is_one_by_one() { 1 } else { (2 * self.partitions as usize).max(6).max((2 << 20) / self.batch_size) }
    }
}
