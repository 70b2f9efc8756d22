//! krafka: its batch builder, reached by the feature that its own benches use.

use bytes::Bytes;
use krafka::__private::protocol::{Compression, Record, RecordBatch, RecordHeader};

use super::{Build, Contender, Fold, Read, Wire};
use crate::workload::{BASE_TIMESTAMP, Codec, Workload};

pub struct Krafka;

impl Contender for Krafka {
    fn name(&self) -> &'static str {
        "krafka 0.28.1"
    }

    fn builder<'w>(&self, workload: &'w Workload) -> Option<Build<'w>> {
        if workload.magic != 2 {
            return None;
        }
        let compression = match workload.codec {
            Codec::None => Compression::None,
            Codec::Gzip => Compression::Gzip,
            Codec::Snappy => Compression::Snappy,
            Codec::Lz4 => Compression::Lz4,
            Codec::Zstd => Compression::Zstd,
        };
        Some(Box::new(move || {
            let mut batch = RecordBatch::new().with_compression(compression);
            batch.partition_leader_epoch = -1;
            batch.base_timestamp = BASE_TIMESTAMP;
            batch.max_timestamp = workload.records.last().map_or(0, |record| record.timestamp);
            batch.last_offset_delta = workload.records.len() as i32 - 1;
            for (offset, input) in workload.records.iter().enumerate() {
                let mut record = Record::new(input.key.clone(), Some(input.value.clone()))
                    .with_timestamp_delta(input.timestamp - BASE_TIMESTAMP)
                    .with_offset_delta(offset as i32);
                record.headers = input
                    .headers
                    .iter()
                    .map(|(name, value)| RecordHeader::new(Bytes::from_static(name.as_bytes()), value.clone()))
                    .collect();
                batch.add_record(record);
            }
            Wire::Bytes(batch.encode().expect("valid records"))
        }))
    }

    fn reader<'w>(&self, batch: &'w Bytes, workload: &Workload) -> Option<Read<'w>> {
        if workload.magic != 2 {
            return None;
        }
        let each_header = workload.each_header;
        Some(Box::new(move || {
            let mut fold = Fold::default();
            let batch = RecordBatch::decode(&mut batch.clone()).expect("a valid batch");
            for record in &batch.records {
                fold.number(batch.base_offset + i64::from(record.offset_delta));
                fold.number(batch.base_timestamp + record.timestamp_delta);
                fold.bytes(record.key.as_deref());
                fold.bytes(record.value.as_deref());
                fold.number(record.headers.len() as i64);
                if each_header {
                    for header in &record.headers {
                        fold.number(header.key.len() as i64);
                        fold.bytes(header.value.as_deref());
                    }
                }
            }
            fold.finish()
        }))
    }
}
