//! The contents of simulated batches, by which each batch can be identified wherever it appears.

use bytes::Bytes;
use kafka_batch_core::compression::{Codec, GzipLevel};
use kafka_batch_core::decode::{RecordBatches, RecordView};
use kafka_batch_core::{BatchOptions, BrokerVersion, Compression, Header, KafkaBatch, Magic, Record, Timestamp};
pub use kafka_batch_testing::ProducerStamp;

/// The number that the world assigns to a batch. Each of its records contains it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Serial(pub u64);

/// The parameters of a batch.
#[derive(Clone, Copy, Debug, Default)]
pub struct BatchSpec {
    /// The number of records.
    pub records: u32,
    /// The number of bytes that each value has beyond its number.
    pub padding: usize,
    /// The compression.
    pub compression: CompressionKind,
    /// True if each record has a header, which formats before magic 2 cannot carry.
    pub headers: bool,
    /// The format that it is pinned to, if any.
    pub magic: Option<Magic>,
}

/// The compression of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CompressionKind {
    /// None.
    #[default]
    Plain,
    /// A codec that all formats support.
    Gzip,
    /// A codec that only Produce v7 and newer supports. Needs the feature `zstd`.
    Zstd,
}

/// What a broker can see of a received batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The number of the batch.
    pub serial: Serial,
    /// The position of its first record in the batch that was sent: not 0 for the later parts of a split batch.
    pub first: u32,
    /// The number of records.
    pub records: u32,
    /// Its format.
    pub magic: Magic,
    /// Its codec on the wire.
    pub codec: Codec,
    /// The producer's stamp, if there is one.
    pub stamp: Option<ProducerStamp>,
}

/// The maximum decompressed size of a batch of the simulation, in bytes.
const CEILING: usize = 1 << 22;

/// Creates a batch.
///
/// # Panics
/// The spec does not fit into a batch.
#[must_use]
pub fn fill(serial: Serial, spec: BatchSpec) -> KafkaBatch {
    let compression = match spec.compression {
        CompressionKind::Plain => Compression::None,
        CompressionKind::Gzip => Compression::Gzip(GzipLevel::default()),
        CompressionKind::Zstd => Compression::with_default_level(Codec::Zstd).expect("the feature zstd"),
    };
    let mut options = BatchOptions::default().batch_size(1 << 20).compression(compression);
    if let Some(magic) = spec.magic {
        let version = match magic {
            Magic::V0 => "0.9",
            Magic::V1 => "0.10",
            Magic::V2 => "0.11",
        };
        options = options.magic(version.parse::<BrokerVersion>().expect("a version"));
    }
    let mut batch = options.build(Timestamp::from_millis(1_000)).expect("valid options");
    for position in 0..spec.records {
        let mut value = vec![0x2e; 13 + spec.padding];
        value[..8].copy_from_slice(&serial.0.to_be_bytes());
        value[8..12].copy_from_slice(&position.to_be_bytes());
        let headers = &[Header::new("h", "v")][..usize::from(spec.headers)];
        value[12] = headers.len() as u8;
        let _ = batch.append(Record::new(&value).headers(headers)).expect("valid in every format");
    }
    assert_eq!(batch.record_count(), spec.records as usize, "the spec fits into a batch");
    batch
}

/// Identifies an open batch, and checks that its records are complete and in order.
pub fn recognise(batch: &KafkaBatch) -> Result<Identity, String> {
    let mut reading = Reading::default();
    for record in batch.records() {
        reading.record(&record)?;
    }
    reading.end(batch.magic(), Codec::None, None)
}

/// Identifies the batch in a record set; an error if it is not exactly one valid batch.
pub fn identify(records: &Bytes) -> Result<Identity, String> {
    let mut batches = RecordBatches::new(records);
    let batch = batches.next().ok_or("an empty record set")?.map_err(|error| error.to_string())?;
    let mut reading = Reading::default();
    let records = batch.records(CEILING).map_err(|error| error.to_string())?;
    records.validate().map_err(|error| error.to_string())?;
    for record in &records {
        reading.record(&record.map_err(|error| error.to_string())?)?;
    }
    if batches.next().is_some() || batches.tail().is_some() {
        return Err("more than one batch in a record set".into());
    }
    let stamp = batch.header().filter(|header| header.producer_id >= 0).map(|header| ProducerStamp {
        producer: header.producer_id,
        epoch: header.producer_epoch,
        sequence: header.base_sequence,
    });
    reading.end(batch.magic(), batch.codec(), stamp)
}

/// Reads records one by one.
#[derive(Default)]
struct Reading {
    serial: Option<u64>,
    records: u32,
    first: u32,
}

impl Reading {
    fn record(&mut self, record: &RecordView<'_>) -> Result<(), String> {
        let value = record.value.ok_or("a null value")?;
        let (serial, rest) = value.split_first_chunk().ok_or("a short value")?;
        let (position, rest) = rest.split_first_chunk().ok_or("a short value")?;
        if rest.first().map(|&headers| usize::from(headers)) != Some(record.headers.len()) {
            return Err(format!("{} headers", record.headers.len()));
        }
        let (serial, position) = (u64::from_be_bytes(*serial), u32::from_be_bytes(*position));
        if self.records == 0 {
            self.first = position;
        }
        if *self.serial.get_or_insert(serial) != serial || position != self.first + self.records {
            return Err(format!("record {position} of batch {serial} is at the position of another"));
        }
        self.records += 1;
        Ok(())
    }

    fn end(self, magic: Magic, codec: Codec, stamp: Option<ProducerStamp>) -> Result<Identity, String> {
        let serial = Serial(self.serial.ok_or("a batch without records")?);
        Ok(Identity { serial, first: self.first, records: self.records, magic, codec, stamp })
    }
}
