//! kafka-batch: records appended one by one from borrowed slices, sealed, stamped.

use bytes::Bytes;
use kafka_batch::decode::{DEFAULT_MAX_DECOMPRESSED, RecordBatches};
use kafka_batch::{Append, BatchOptions, Compression, Header, Magic, MagicChoice, Record, Timestamp};

use super::{Build, Contender, Fold, Read, Wire};
use crate::workload::{Codec, Workload};

pub struct Ours;

impl Contender for Ours {
    fn name(&self) -> &'static str {
        "kafka-batch"
    }

    fn builder<'w>(&self, workload: &'w Workload) -> Option<Build<'w>> {
        let compression = match workload.codec {
            Codec::None => Compression::None,
            Codec::Gzip => Compression::gzip(),
            Codec::Snappy => Compression::Snappy,
            Codec::Lz4 => Compression::Lz4,
            Codec::Zstd => Compression::zstd(),
        };
        let options = BatchOptions::default()
            .batch_size(workload.limit)
            .capacity(workload.limit)
            .max_message_bytes(workload.limit)
            .magic(MagicChoice::Pinned(Magic::from_id(workload.magic).expect("a format")))
            .compression(compression);
        let headers: Vec<Vec<Header<'w>>> = workload
            .records
            .iter()
            .map(|input| input.headers.iter().map(|(name, value)| Header::new(name, value)).collect())
            .collect();
        Some(Box::new(move || {
            let mut batch = options.clone().build(Timestamp::from_millis(0)).expect("no contradiction");
            for (input, headers) in workload.records.iter().zip(&headers) {
                let record = Record {
                    key: input.key.as_deref(),
                    value: Some(&input.value[..]),
                    headers: headers.into(),
                    timestamp: Some(Timestamp::from_millis(input.timestamp)),
                };
                match batch.append(record).expect("a record that any batch takes") {
                    Append::Appended(_) => {}
                    Append::Full(full) => panic!("the workload fits: {full}"),
                }
            }
            Wire::Bytes(batch.seal().expect("within the limit").without_producer_id().bytes().clone())
        }))
    }

    fn reader<'w>(&self, batch: &'w Bytes, workload: &Workload) -> Option<Read<'w>> {
        let each_header = workload.each_header;
        Some(Box::new(move || {
            let mut fold = Fold::default();
            for batch in RecordBatches::new(batch) {
                let records = batch.and_then(|batch| batch.records(DEFAULT_MAX_DECOMPRESSED)).expect("a valid batch");
                for record in &records {
                    let record = record.expect("a valid record");
                    fold.number(record.offset);
                    fold.number(record.timestamp.millis());
                    fold.bytes(record.key);
                    fold.bytes(record.value);
                    fold.number(record.headers.len() as i64);
                    if each_header {
                        for header in record.headers {
                            fold.number(header.name.len() as i64);
                            fold.bytes(header.value);
                        }
                    }
                }
            }
            fold.finish()
        }))
    }
}

/// One record of a batch, whole.
#[derive(PartialEq)]
pub struct Content {
    offset: i64,
    timestamp: i64,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(String, Option<Vec<u8>>)>,
}

/// All that stands in a batch, to see whether two contenders wrote the same records. Measured by nobody.
pub fn contents(bytes: &[u8]) -> Vec<Content> {
    let mut contents = Vec::new();
    for batch in RecordBatches::new(bytes) {
        let records = batch.and_then(|batch| batch.records(DEFAULT_MAX_DECOMPRESSED)).expect("a valid batch");
        contents.extend(records.iter().map(|record| {
            let record = record.expect("a valid record");
            Content {
                offset: record.offset,
                timestamp: record.timestamp.millis(),
                key: record.key.map(Vec::from),
                value: record.value.map(Vec::from),
                headers: record
                    .headers
                    .iter()
                    .map(|header| (header.name.into(), header.value.map(Vec::from)))
                    .collect(),
            }
        }));
    }
    contents
}
