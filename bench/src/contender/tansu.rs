//! tansu-sans-io: a builder of records, inflated to a batch and deflated to its bytes.

use bytes::Bytes;
use tansu_sans_io::record::{Header, Record, deflated, inflated};
use tansu_sans_io::{BatchAttribute, Compression};

use super::{Build, Contender, Fold, Read, Wire};
use crate::workload::{BASE_TIMESTAMP, Codec, Workload};

pub struct Tansu;

impl Contender for Tansu {
    fn name(&self) -> &'static str {
        "tansu-sans-io 0.6.0"
    }

    fn builder<'w>(&self, workload: &'w Workload) -> Option<Build<'w>> {
        let compression = match workload.codec {
            _ if workload.magic != 2 => return None,
            Codec::None => Compression::None,
            Codec::Gzip => Compression::Gzip,
            Codec::Snappy => return None, // it reads Snappy and does not write it
            Codec::Lz4 => Compression::Lz4,
            Codec::Zstd => Compression::Zstd,
        };
        let attributes: i16 = BatchAttribute::default().compression(compression).into();
        Some(Box::new(move || {
            let mut batch = inflated::Batch::builder()
                .attributes(attributes)
                .last_offset_delta(workload.records.len() as i32 - 1)
                .base_timestamp(BASE_TIMESTAMP)
                .max_timestamp(workload.records.last().map_or(0, |record| record.timestamp))
                .producer_id(-1)
                .producer_epoch(-1)
                .base_sequence(-1);
            for (offset, input) in workload.records.iter().enumerate() {
                let mut record = Record::builder()
                    .timestamp_delta(input.timestamp - BASE_TIMESTAMP)
                    .offset_delta(offset as i32)
                    .key(input.key.clone())
                    .value(Some(input.value.clone()));
                for (name, value) in &input.headers {
                    let header = Header::builder().key(Bytes::from_static(name.as_bytes())).value(value.clone());
                    record = record.header(header);
                }
                batch = batch.record(record);
            }
            let deflated = batch.build().and_then(deflated::Batch::try_from).expect("valid records");
            Wire::Bytes(deflated.into())
        }))
    }

    fn reader<'w>(&self, batch: &'w Bytes, workload: &Workload) -> Option<Read<'w>> {
        // Of Snappy it reads the raw form alone, and not the framing of Java's, which we write.
        if workload.magic != 2 || workload.codec == Codec::Snappy {
            return None;
        }
        let each_header = workload.each_header;
        Some(Box::new(move || {
            let mut fold = Fold::default();
            let deflated = deflated::Batch::try_from(batch.clone()).expect("a valid batch");
            let batch = inflated::Batch::try_from(deflated).expect("valid records");
            for record in &batch.records {
                fold.number(batch.base_offset + i64::from(record.offset_delta));
                fold.number(batch.base_timestamp + record.timestamp_delta);
                fold.bytes(record.key.as_deref());
                fold.bytes(record.value.as_deref());
                fold.number(record.headers.len() as i64);
                if each_header {
                    for header in &record.headers {
                        fold.number(header.key.as_ref().map_or(-1, |key| key.len() as i64));
                        fold.bytes(header.value.as_deref());
                    }
                }
            }
            fold.finish()
        }))
    }
}
