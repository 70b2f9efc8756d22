//! What is run.

use crate::broker::Topic;
use crate::job::{Acks, Job, Size, Work};

/// A row of the table.
pub struct Row {
    pub name: &'static str,
    pub partitions: i32,
    pub work: Work,
    pub value_len: usize,
    pub batch_size: usize,
    pub lz4: bool,
    pub acks: Acks,
}

/// The partitions that topics have here.
pub const PARTITIONS: [i32; 2] = [1, 6];

pub const MIB: usize = 1 << 20;
const SMALL: usize = 16 << 10;

const fn plain(name: &'static str, value_len: usize, batch_size: usize, partitions: i32) -> Row {
    Row { name, partitions, work: Work::Throughput, value_len, batch_size, lz4: false, acks: Acks::All }
}

const fn lz4(name: &'static str, value_len: usize, partitions: i32) -> Row {
    Row { lz4: true, ..plain(name, value_len, MIB, partitions) }
}

const fn unacknowledged(name: &'static str, value_len: usize, partitions: i32) -> Row {
    Row { acks: Acks::None, ..plain(name, value_len, MIB, partitions) }
}

const fn one_by_one(name: &'static str, work: Work) -> Row {
    Row { work, ..plain(name, 100, SMALL, 1) }
}

pub const ROWS: [Row; 17] = [
    plain("100 B, 1 MiB, 1 partition", 100, MIB, 1),
    plain("100 B, 1 MiB, 6 partitions", 100, MIB, 6),
    plain("100 B, 16 KiB, 1 partition", 100, SMALL, 1),
    plain("100 B, 16 KiB, 6 partitions", 100, SMALL, 6),
    plain("1 KiB, 1 MiB, 1 partition", 1024, MIB, 1),
    plain("1 KiB, 1 MiB, 6 partitions", 1024, MIB, 6),
    lz4("100 B, 1 MiB, 1 partition, lz4", 100, 1),
    lz4("100 B, 1 MiB, 6 partitions, lz4", 100, 6),
    lz4("1 KiB, 1 MiB, 1 partition, lz4", 1024, 1),
    lz4("1 KiB, 1 MiB, 6 partitions, lz4", 1024, 6),
    unacknowledged("100 B, 1 MiB, 1 partition, acks 0", 100, 1),
    unacknowledged("100 B, 1 MiB, 6 partitions, acks 0", 100, 6),
    unacknowledged("1 KiB, 1 MiB, 1 partition, acks 0", 1024, 1),
    unacknowledged("1 KiB, 1 MiB, 6 partitions, acks 0", 1024, 6),
    one_by_one("round trip of one record", Work::RoundTrip(Size::OneRecord)),
    one_by_one("round trip of 16 KiB", Work::RoundTrip(Size::Full)),
    one_by_one("one record and a flush", Work::Flush),
];

impl Row {
    pub fn named(name: &str) -> Option<&'static Self> {
        ROWS.iter().find(|row| row.name == name)
    }

    /// Whether the broker allows it: the mock cluster also answers where no acknowledgement is asked for.
    pub fn can_run(&self, is_mock: bool) -> bool {
        self.acks == Acks::All || !is_mock
    }

    pub fn job(&self, brokers: &str, topic: &Topic, seconds: f64) -> Job {
        let Self { partitions, work, value_len, batch_size, lz4, acks, .. } = *self;
        let (brokers, topic) = (brokers.into(), topic.name.clone());
        Job { brokers, topic, partitions, work, value_len, batch_size, lz4, acks, seconds }
    }
}
