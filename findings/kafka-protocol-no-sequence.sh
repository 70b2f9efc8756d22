#!/usr/bin/env bash
# Encodes three records of a producer that is not idempotent with the crate kafka-protocol, as its constants suggest:
# NO_PRODUCER_ID, NO_PRODUCER_EPOCH, NO_SEQUENCE. Needs a Rust toolchain; half a minute.
source "$(dirname "$0")/lib.sh"
crate=0.18.0
rust_program "kafka-protocol = { version = \"=$crate\", default-features = false }" 'bytes = "1"' <<'RUST'
use bytes::{Buf, Bytes, BytesMut};
use kafka_protocol::records::*;

fn main() {
    let record = |offset| Record {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: NO_PARTITION_LEADER_EPOCH,
        producer_id: NO_PRODUCER_ID,
        producer_epoch: NO_PRODUCER_EPOCH,
        timestamp_type: TimestampType::Creation,
        offset,
        sequence: NO_SEQUENCE,
        timestamp: 1000,
        key: None,
        value: Some(Bytes::from_static(b"v")),
        headers: Default::default(),
    };
    let records: Vec<Record> = (0..3).map(record).collect();
    let mut bytes = BytesMut::new();
    let options = RecordEncodeOptions { version: 2, compression: Compression::None };
    RecordBatchEncoder::encode(&mut bytes, &records, &options).unwrap();
    let mut batches = 0;
    while bytes.has_remaining() {
        bytes.get_i64(); // base offset
        let length = bytes.get_i32();
        bytes.advance(length as usize);
        batches += 1;
    }
    println!("3 records in {batches} batches");
}
RUST
seen=$("$work/rust/program")
judge "kafka-protocol: with NO_SEQUENCE, each record is encoded as a batch of its own" \
    "kafka-protocol $crate" \
    "3 records in 1 batches: a broker takes only one batch for each partition of a request" \
    "$seen" \
    "3 records in 3 batches"
