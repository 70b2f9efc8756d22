//! The clients.

use std::sync::OnceLock;

use crate::librdkafka::Librdkafka;
use crate::messages::{FetchedRecord, Range, ReadJob, WriteJob};
use crate::prepare;

/// A Kafka client that is not this library.
pub(crate) trait Client: Send + Sync {
    /// Returns the name and the version.
    fn name(&self) -> &str;

    /// Returns what its producer accepts.
    fn accepts(&self) -> Accepts;

    /// Writes the records to each partition. `paused` is called where the job pauses.
    fn write(&self, servers: &str, job: &WriteJob, paused: &mut dyn FnMut()) -> Offsets;

    /// Reads the partitions. `paused` is called where the job pauses.
    fn read(&self, servers: &str, job: &ReadJob, paused: &mut dyn FnMut()) -> Read;
}

/// What a producer accepts of what the format can represent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Accepts {
    pub(crate) records_without_key_and_value: bool,
    pub(crate) null_header_values: bool,
}

impl Accepts {
    pub(crate) const EVERYTHING: Self = Self { records_without_key_and_value: true, null_header_values: true };
}

/// The offsets of acknowledged records, in no order: partition, position among the records, offset.
#[derive(Debug, Default)]
pub(crate) struct Offsets(pub(crate) Vec<(i32, usize, i64)>);

impl Offsets {
    /// Returns position and offset of each record in a partition, in the order of the positions.
    pub(crate) fn of(&self, partition: i32) -> Vec<(usize, i64)> {
        let in_partition = self.0.iter().filter(|(in_partition, ..)| *in_partition == partition);
        let mut offsets: Vec<_> = in_partition.map(|(_, position, offset)| (*position, *offset)).collect();
        offsets.sort_unstable();
        offsets
    }
}

/// What a client has read.
#[derive(Debug, Default)]
pub(crate) struct Read {
    pub(crate) ranges: Vec<Range>,
    /// In the order in which they were read.
    pub(crate) records: Vec<FetchedRecord>,
}

/// What a job without a pause calls.
pub(crate) fn never_paused() -> impl FnMut() {
    || panic!("a pause, although none was requested")
}

/// Returns all clients, which are installed and built by the first call.
pub(crate) fn all() -> &'static [Box<dyn Client>] {
    static ALL: OnceLock<Vec<Box<dyn Client>>> = OnceLock::new();
    ALL.get_or_init(|| {
        let mut all: Vec<Box<dyn Client>> = vec![Box::new(Librdkafka::new())];
        all.extend(prepare::programs().into_iter().map(|program| Box::new(program) as Box<dyn Client>));
        all
    })
}
