//! Against a real Apache Kafka.
#[path = "kafka/broker.rs"]
mod broker;
#[path = "kafka/rows.rs"]
mod rows;
#[path = "kafka/tools.rs"]
mod tools;
#[path = "kafka/wire.rs"]
mod wire;

use broker::Kafka;
use kafka_batch::{Compression, Magic};
use rows::*;
use wire::Wire;

#[test]
#[ignore]
fn smoke() {
    let kafka = Kafka::here();
    let mut wire = Wire::connect(&kafka);
    println!("{:?}", wire.listed);
    let topic = wire.topic("smoke", 2, &[]);
    for (p, c) in [(0, Compression::None), (1, Compression::gzip())] {
        let b = batch(&sample(), options(Magic::V2, c)).seal().unwrap().without_producer_id();
        println!("{}", wire.append((&topic, p), &b));
        let b = batch(&bulk(), options(Magic::V2, c)).seal().unwrap().without_producer_id();
        println!("{}", wire.append((&topic, p), &b));
        let log = wire.log(&topic, p);
        let mut expected = at_offsets(&sample(), 0);
        expected.extend(at_offsets(&bulk(), expected.len() as i64));
        assert_eq!(rows(&log), expected);
        assert_eq!(rows_of_another_decoder(&log), without_repeated_headers(&expected));
    }
    let files = [kafka.segment(&topic.name, 0), kafka.segment(&topic.name, 1)];
    for d in tools::dump(&files) { for b in d { println!("{:?}", b.fields); for r in &b.records[..8] { println!("  {:?}", r); } } }
    let n = (sample().len() + bulk().len()) * 2;
    for (p, k, r) in tools::consume(&kafka, &topic.name, n, false).iter().take(10) { println!("{p} {k} {r:?}"); }
}
