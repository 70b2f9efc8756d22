#!/usr/bin/env bash
# Produces a record whose header has the value null with librdkafka, and reads it with rskafka from librdkafka's mock
# cluster. Needs Python, a Rust and a C toolchain; a minute or two.
source "$(dirname "$0")/lib.sh"
crate=0.6.0 confluent=2.16.1
python_with "confluent-kafka==$confluent"
rust_program "rskafka = { version = \"=$crate\", default-features = false }" \
    'tokio = { version = "1", features = ["rt", "macros"] }' <<'RUST'
use rskafka::client::{partition::UnknownTopicHandling, ClientBuilder};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let client = ClientBuilder::new(vec![std::env::args().nth(1).unwrap()]).build().await.unwrap();
    for topic in ["empty", "null"] {
        let partition = client.partition_client(topic, 0, UnknownTopicHandling::Retry).await.unwrap();
        match partition.fetch_records(0, 1..1_000_000, 10_000).await {
            Ok((records, _)) => println!("{topic}: {:?}", records[0].record.headers),
            Err(error) => println!("{topic}: {error}"),
        }
    }
}
RUST
seen=$(python - "$work/rust/program" 2>"$work/log" <<'PY'
import subprocess, sys
from confluent_kafka import Producer

mock = Producer({"test.mock.num.brokers": 1})
broker = next(iter(mock.list_topics(timeout=30).brokers.values()))
mock.produce("empty", b"v", partition=0, headers=[("header", b"")])
mock.produce("null", b"v", partition=0, headers=[("header", None)])
mock.flush(30)
subprocess.run([sys.argv[1], f"{broker.host}:{broker.port}"], check=True, timeout=120)
PY
) || { cat "$work/log" >&2; exit 2; }
judge "rskafka: a record with a null header value cannot be read" \
    "rskafka $crate, mock cluster of confluent-kafka $confluent" \
    "a header without a value: Kafka's headers may have null" \
    "$seen" \
    'empty: {"header": \[\]}
null: *rror*'
