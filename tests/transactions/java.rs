//! What Java's consumer reads, of the broker's release.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use super::broker::Kafka;
use super::environment::variable;

/// The values in each partition.
pub(crate) type Values = BTreeMap<i32, Vec<String>>;

/// What librdkafka's consumer has read of a topic.
#[derive(Debug)]
pub(crate) struct Topic {
    pub(crate) name: String,
    pub(crate) committed: Values,
    pub(crate) everything: Values,
}

/// Checks that Java's consumer reads the same of all these topics, with both isolation levels, in one JVM.
pub(crate) fn reads_the_same(kafka: &Kafka, topics: &[Topic]) {
    let output = Command::new(variable("KAFKA_BATCH_JAVA"))
        .args(["-Xmx256m", "-XX:TieredStopAtLevel=1", "-cp", &variable("KAFKA_BATCH_KAFKA_CLASSPATH")])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/transactions/ReadTransactions.java"))
        .arg(&kafka.address)
        .args(topics.iter().map(|topic| &topic.name))
        .stderr(Stdio::inherit())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let mut read: BTreeMap<(&str, &str), Values> = BTreeMap::new();
    let text = String::from_utf8(output.stdout).unwrap();
    for line in text.lines() {
        let &[marker, isolation, topic, partition, ref value @ ..] = &*line.split('\t').collect::<Vec<_>>() else {
            continue; // not ours
        };
        if marker == "read" {
            let values = read.entry((isolation, topic)).or_default().entry(partition.parse().unwrap()).or_default();
            values.extend(value.iter().map(|&value| value.to_owned()));
        }
    }
    for topic in topics {
        for (isolation, expected) in [("read_committed", &topic.committed), ("read_uncommitted", &topic.everything)] {
            let found = read.get(&(isolation, topic.name.as_str()));
            assert_eq!(
                found,
                Some(expected),
                "Java's consumer of Kafka {}, {isolation}: {}",
                kafka.version,
                topic.name
            );
        }
    }
    println!("Kafka {}: its consumer reads the same of {} topics", kafka.version, topics.len());
}
