#!/usr/bin/env bash
# Sends two records with their own timestamps to a topic with message.timestamp.type=LogAppendTime. Then decodes the log
# with the crate kafka-protocol and with aiokafka. Needs Java 17, Maven, Python and a Rust toolchain; a minute.
source "$(dirname "$0")/lib.sh"
crate=0.18.0 kafka=4.4.0 aiokafka=0.14.0
python_with "aiokafka==$aiokafka"
kafka "$kafka"
rust_program "kafka-protocol = { version = \"=$crate\", default-features = false }" 'bytes = "1"' <<'RUST'
use bytes::Bytes;
use kafka_protocol::records::RecordBatchDecoder;

fn main() {
    let mut bytes = Bytes::from(std::fs::read(std::env::args().nth(1).unwrap()).unwrap());
    for record in RecordBatchDecoder::decode(&mut bytes).unwrap().records {
        println!("kafka-protocol: {:?} {}", record.timestamp_type, record.timestamp);
    }
}
RUST
python - <<'PY'
import os
from raw import Broker, batch

broker = Broker(os.environ["broker"])
broker.create_topic("topic", message_timestamp_type="LogAppendTime")
assert broker.produce("topic", batch([(b"k", b"v")] * 2, timestamps=[1000, 2000]))[0][0] == 0
PY
stop_broker TERM
log=$work/kafka/topic-0/00000000000000000000.log
seen=$("$work/rust/program" "$log"
    python - "$log" <<'PY'
import sys, time
from aiokafka.record.memory_records import MemoryRecords

for record in MemoryRecords(open(sys.argv[1], "rb").read()).next_batch():
    time_of = "now" if abs(time.time() * 1000 - record.timestamp) < 60000 else record.timestamp
    print("aiokafka:", ("Creation", "LogAppend")[record.timestamp_type], time_of)
PY
)
judge "kafka-protocol: records with log append time are decoded with the producer's time, called LogAppend" \
    "kafka-protocol $crate, aiokafka $aiokafka, Apache Kafka $kafka" \
    "LogAppend with the time of the append, as other clients have it" \
    "$seen" \
    "kafka-protocol: LogAppend 1000
kafka-protocol: LogAppend 2000
aiokafka: LogAppend now
aiokafka: LogAppend now"
