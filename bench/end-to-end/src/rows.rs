//! What is run.

use crate::job::{Job, Work};

/// A row of the table.
pub struct Row {
    pub name: &'static str,
    pub partitions: i32,
    pub work: Work,
    pub value_len: usize,
    pub batch_size: usize,
    pub lz4: bool,
}

const fn throughput(name: &'static str, value_len: usize, batch_size: usize, partitions: i32, lz4: bool) -> Row {
    Row { name, partitions, work: Work::Throughput, value_len, batch_size, lz4 }
}

/// The partitions that topics have here.
pub const PARTITIONS: [i32; 2] = [1, 6];

const MIB: usize = 1 << 20;
const SMALL: usize = 16 << 10;

pub const ROWS: [Row; 11] = [
    throughput("100 B, 1 MiB, 1 partition", 100, MIB, 1, false),
    throughput("100 B, 1 MiB, 6 partitions", 100, MIB, 6, false),
    throughput("100 B, 16 KiB, 1 partition", 100, SMALL, 1, false),
    throughput("100 B, 16 KiB, 6 partitions", 100, SMALL, 6, false),
    throughput("1 KiB, 1 MiB, 1 partition", 1024, MIB, 1, false),
    throughput("1 KiB, 1 MiB, 6 partitions", 1024, MIB, 6, false),
    throughput("100 B, 1 MiB, 1 partition, lz4", 100, MIB, 1, true),
    throughput("100 B, 1 MiB, 6 partitions, lz4", 100, MIB, 6, true),
    throughput("1 KiB, 1 MiB, 1 partition, lz4", 1024, MIB, 1, true),
    throughput("1 KiB, 1 MiB, 6 partitions, lz4", 1024, MIB, 6, true),
    Row {
        name: "round trip of one record",
        partitions: 1,
        work: Work::RoundTrip,
        value_len: 100,
        batch_size: SMALL,
        lz4: false,
    },
];

impl Row {
    pub fn job(&self, brokers: &str, seconds: f64) -> Job {
        let Self { partitions, work, value_len, batch_size, lz4, .. } = *self;
        // The limit of a broker, headers included, is a little over 1 MiB.
        Job {
            brokers: brokers.into(),
            topic: crate::broker::topic(partitions),
            partitions,
            work,
            value_len,
            batch_size,
            lz4,
            seconds,
        }
    }
}
