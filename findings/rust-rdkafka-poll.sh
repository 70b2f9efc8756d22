#!/usr/bin/env bash
# Produces one record with rust-rdkafka's BaseProducer to librdkafka's mock cluster, and measures poll. Needs a Rust and a C
# toolchain, and a few minutes to build librdkafka.
source "$(dirname "$0")/lib.sh"
crate=0.39.0
rust_program "rdkafka = { version = \"=$crate\", default-features = false }" <<'RUST'
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};
use rdkafka::{config::ClientConfig, mocking::MockCluster, ClientContext};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

struct Reports {
    begun: Instant,
    millis: AtomicU64,
}
impl ClientContext for Reports {}
impl ProducerContext for Reports {
    type DeliveryOpaque = ();
    fn delivery(&self, result: &DeliveryResult<'_>, _: ()) {
        result.as_ref().unwrap();
        self.millis.store(self.begun.elapsed().as_millis() as u64, SeqCst);
    }
}

fn main() {
    let mock = MockCluster::new(1).unwrap();
    let context = Reports { begun: Instant::now(), millis: AtomicU64::new(0) };
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", mock.bootstrap_servers());
    let producer: BaseProducer<Reports> = config.create_with_context(context).unwrap();
    producer.send(BaseRecord::<(), str>::to("topic").payload("v")).ok().unwrap();
    producer.poll(Duration::from_secs(8));
    let reported = producer.context().millis.load(SeqCst);
    let returned = producer.context().begun.elapsed().as_millis();
    let late = reported > 0 && reported < 4000 && returned >= 8000;
    println!("poll(8 s): {}", if late { "returned seconds after the report" } else { "returned with it" });
}
RUST
seen=$("$work/rust/program" 2>"$work/log") || { cat "$work/log" >&2; exit 2; }
judge "rust-rdkafka: poll waits out its time-out even if it has served a delivery report" \
    "rdkafka $crate" \
    "it returns once it has served what there was, as rd_kafka_poll does; the time-out is for when there is nothing" \
    "$seen" \
    "poll(8 s): returned seconds after the report"
