#!/usr/bin/env bash
# Decodes a batch of aiokafka, whose only record has two headers of the same name, with the crate kafka-protocol. Needs
# Python and a Rust toolchain; half a minute.
source "$(dirname "$0")/lib.sh"
crate=0.18.0 aiokafka=0.14.0
python_with "aiokafka==$aiokafka"
python - >"$work/batch" <<'PY'
import sys
from aiokafka.record.default_records import DefaultRecordBatch, DefaultRecordBatchBuilder

builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 10000)
builder.append(0, 1000, None, b"v", [("via", b"first"), ("via", b"second")])
data = bytes(builder.build())
assert len(next(iter(DefaultRecordBatch(data))).headers) == 2
sys.stdout.buffer.write(data)
PY
rust_program "kafka-protocol = { version = \"=$crate\", default-features = false }" 'bytes = "1"' <<'RUST'
use bytes::Bytes;
use kafka_protocol::records::RecordBatchDecoder;

fn main() {
    let mut bytes = Bytes::from(std::fs::read(std::env::args().nth(1).unwrap()).unwrap());
    let set = RecordBatchDecoder::decode(&mut bytes).unwrap();
    for (name, value) in &set.records[0].headers {
        println!("{}={}", name.as_str(), String::from_utf8_lossy(value.as_ref().unwrap()));
    }
}
RUST
seen=$("$work/rust/program" "$work/batch")
judge "kafka-protocol: of headers with one name, only the last is decoded" \
    "kafka-protocol $crate, aiokafka $aiokafka" \
    "via=first, via=second: Kafka's headers are a list" \
    "$seen" \
    "via=second"
