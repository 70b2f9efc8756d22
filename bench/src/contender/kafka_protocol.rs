//! kafka-protocol: record structs that own their fields, encoded all at once.

use bytes::{Bytes, BytesMut};
use indexmap::IndexMap;
use kafka_protocol::protocol::StrBytes;
use kafka_protocol::records::{
    Compression, NO_PARTITION_LEADER_EPOCH, NO_PRODUCER_EPOCH, NO_PRODUCER_ID, Record, RecordBatchDecoder,
    RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};

use super::{Build, Contender, Fold, Read, Wire};
use crate::workload::{Codec, Workload};

pub struct KafkaProtocol;

impl Contender for KafkaProtocol {
    fn name(&self) -> &'static str {
        "kafka-protocol 0.18.0"
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
        let options = RecordEncodeOptions { version: 2, compression };
        Some(Box::new(move || {
            let records: Vec<Record> = workload
                .records
                .iter()
                .enumerate()
                .map(|(offset, input)| Record {
                    transactional: false,
                    control: false,
                    delete_horizon: false,
                    partition_leader_epoch: NO_PARTITION_LEADER_EPOCH,
                    producer_id: NO_PRODUCER_ID,
                    producer_epoch: NO_PRODUCER_EPOCH,
                    timestamp_type: TimestampType::Creation,
                    offset: offset as i64,
                    sequence: offset as i32 - 1,
                    timestamp: input.timestamp,
                    key: input.key.clone(),
                    value: Some(input.value.clone()),
                    headers: input
                        .headers
                        .iter()
                        .map(|(name, value)| (StrBytes::from_static_str(name), Some(value.clone())))
                        .collect::<IndexMap<_, _>>(),
                })
                .collect();
            let mut out = BytesMut::with_capacity(workload.limit);
            RecordBatchEncoder::encode(&mut out, &records, &options).expect("valid records");
            Wire::BytesMut(out)
        }))
    }

    fn reader<'w>(&self, batch: &'w Bytes, workload: &Workload) -> Option<Read<'w>> {
        if workload.magic != 2 {
            return None;
        }
        let each_header = workload.each_header;
        Some(Box::new(move || {
            let mut fold = Fold::default();
            for set in RecordBatchDecoder::decode_all(&mut batch.clone()).expect("a valid batch") {
                for record in &set.records {
                    fold.number(record.offset);
                    fold.number(record.timestamp);
                    fold.bytes(record.key.as_deref());
                    fold.bytes(record.value.as_deref());
                    fold.number(record.headers.len() as i64);
                    if each_header {
                        for (name, value) in &record.headers {
                            fold.number(name.len() as i64);
                            fold.bytes(value.as_deref());
                        }
                    }
                }
            }
            fold.finish()
        }))
    }
}
