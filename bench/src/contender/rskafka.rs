//! rskafka: its record batch, reached by the feature that its own fuzzers use.

use std::io::Cursor;

use bytes::Bytes;
use rskafka::protocol::record::{
    ControlBatchOrRecords, Record, RecordBatch, RecordBatchCompression, RecordBatchTimestampType, RecordHeader,
};
use rskafka::protocol::traits::{ReadType, WriteType};

use super::{Build, Contender, Fold, Read, Wire};
use crate::workload::{BASE_TIMESTAMP, Codec, Workload};

pub struct Rskafka;

impl Contender for Rskafka {
    fn name(&self) -> &'static str {
        "rskafka 0.6.0"
    }

    fn builder<'w>(&self, workload: &'w Workload) -> Option<Build<'w>> {
        if workload.magic != 2 {
            return None;
        }
        let compression = match workload.codec {
            Codec::None => RecordBatchCompression::NoCompression,
            Codec::Gzip => RecordBatchCompression::Gzip,
            Codec::Snappy => RecordBatchCompression::Snappy,
            Codec::Lz4 => RecordBatchCompression::Lz4,
            Codec::Zstd => RecordBatchCompression::Zstd,
        };
        Some(Box::new(move || {
            let records = workload.records.iter().enumerate().map(|(offset, input)| Record {
                timestamp_delta: input.timestamp - BASE_TIMESTAMP,
                offset_delta: offset as i32,
                key: input.key.as_ref().map(|key| key.to_vec()),
                value: Some(input.value.to_vec()),
                headers: input
                    .headers
                    .iter()
                    .map(|(name, value)| RecordHeader { key: (*name).into(), value: value.to_vec() })
                    .collect(),
            });
            let batch = RecordBatch {
                base_offset: 0,
                partition_leader_epoch: -1,
                last_offset_delta: workload.records.len() as i32 - 1,
                first_timestamp: BASE_TIMESTAMP,
                max_timestamp: workload.records.last().map_or(0, |record| record.timestamp),
                producer_id: -1,
                producer_epoch: -1,
                base_sequence: -1,
                records: ControlBatchOrRecords::Records(records.collect()),
                compression,
                is_transactional: false,
                timestamp_type: RecordBatchTimestampType::CreateTime,
            };
            let mut out = Vec::with_capacity(workload.limit);
            batch.write(&mut out).expect("valid records");
            Wire::Vec(out)
        }))
    }

    fn reader<'w>(&self, batch: &'w Bytes, workload: &Workload) -> Option<Read<'w>> {
        if workload.magic != 2 {
            return None;
        }
        let each_header = workload.each_header;
        Some(Box::new(move || {
            let mut fold = Fold::default();
            let batch = RecordBatch::read(&mut Cursor::new(&batch[..])).expect("a valid batch");
            let ControlBatchOrRecords::Records(records) = &batch.records else { panic!("no control batch") };
            for record in records {
                fold.number(batch.base_offset + i64::from(record.offset_delta));
                fold.number(batch.first_timestamp + record.timestamp_delta);
                fold.bytes(record.key.as_deref());
                fold.bytes(record.value.as_deref());
                fold.number(record.headers.len() as i64);
                if each_header {
                    for header in &record.headers {
                        fold.number(header.key.len() as i64);
                        fold.number(header.value.len() as i64);
                    }
                }
            }
            fold.finish()
        }))
    }
}
