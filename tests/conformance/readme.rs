//! What the README and the guide show, compiled and run. The code is in `shown/`, a file a code block; a page must have the
//! whole block as the file has it.

use kafka_batch::{DeliveryError, FailureReason, Fate, RecordError, TopicPartition};

use crate::cluster::Cluster;
use crate::log::{batch, counted, of, values};
use crate::subject::{AsyncStd, Rdkafka, Subject, Tokio};

const README: &str = include_str!("../../README.md");
const GUIDE: &str = include_str!("../../docs/guide.md");

/// The README's example over each transport: only the line changes that names the producer.
macro_rules! over_each_producer {
    ($($place:ident $producer:ident $block_on:expr;)*) => {$(
        mod $place {
            use super::*;
            use kafka_batch::$producer as Producer;

            include!("shown/publish.rs");

            #[test]
            fn what_the_readme_shows() {
                let cluster = Cluster::new();
                let servers = cluster.wanted().servers;
                $block_on(publish(&servers)).unwrap();
                assert_eq!(values(of(&servers, "readings", 0)), ["21.5", "21.7"]);
            }
        }
    )*};
}

over_each_producer! {
    over_tokio TokioProducer Tokio::block_on;
    over_async_std AsyncStdProducer AsyncStd::block_on;
    over_smol SmolProducer smol::block_on;
    over_rdkafka RdkafkaProducer Rdkafka::block_on;
}

mod guide {
    include!("shown/left_to_send.rs");

    pub(super) mod pump {
        use super::left_to_send;
        include!("shown/pump.rs");

        pub(in super::super) async fn run(
            producer: TokioProducer,
            to: TopicPartition,
            readings: Receiver<String>,
        ) -> Result<(), Failure> {
            pump(producer, to, readings).await
        }
    }

    pub(super) mod by_key {
        include!("shown/by_key.rs");

        pub(in super::super) async fn run<P: Transport>(producer: &P, topic: &str, readings: Vec<(String, String)>) {
            publish_by_key(producer, topic, readings).await.unwrap();
        }
    }

    pub(super) fn left(error: &DeliveryError) -> Option<KafkaBatch> {
        left_to_send(error)
    }
}

#[test]
fn the_pages_show_what_runs_here() {
    let producer = "use kafka_batch::TokioProducer as Producer; \
                    // or AsyncStdProducer, SmolProducer, RdkafkaProducer: only this line changes\n";
    let blocks = [
        (README, format!("```rust\n{producer}{}```\n", include_str!("shown/publish.rs"))),
        (GUIDE, format!("```rust\n{}```\n", include_str!("shown/left_to_send.rs"))),
        (GUIDE, format!("```rust,ignore\n{}```\n", include_str!("shown/pump.rs"))),
        (GUIDE, format!("```rust\n{}```\n", include_str!("shown/by_key.rs"))),
    ];
    for (page, block) in blocks {
        assert!(page.contains(&block), "a page does not have this block:\n{block}");
    }
}

#[test]
fn the_pages_hide_no_line() {
    for (name, page) in [("README.md", README), ("docs/guide.md", GUIDE)] {
        let mut is_code = false;
        for line in page.lines() {
            if line.starts_with("```") {
                is_code = !is_code;
            }
            assert!(!is_code || line != "#" && !line.starts_with("# "), "{name} is read elsewhere too: {line}");
        }
    }
}

#[test]
fn a_stream_goes_out_in_order_and_a_message_that_fits_nowhere_does_not_end_it() {
    let cluster = Cluster::new();
    let readings = counted(5_000);
    Tokio::block_on(async {
        let (sender, receiver) = tokio::sync::mpsc::channel(10);
        let pumped = tokio::spawn(guide::pump::run(cluster.producer::<Tokio>(), cluster.partition(0), receiver));
        for (position, reading) in readings.iter().enumerate() {
            if position == 2_500 {
                sender.send("x".repeat(2 << 20)).await.unwrap(); // larger than any batch may be
            }
            sender.send(reading.clone()).await.unwrap();
        }
        drop(sender);
        pumped.await.unwrap().unwrap();
    });
    assert_eq!(cluster.values(), readings);
}

#[test]
fn a_keyed_stream_goes_to_all_partitions_and_each_key_to_one() {
    let cluster = Cluster::new();
    let readings: Vec<_> = (0..6_000).map(|n| (format!("sensor-{}", n % 10), n.to_string())).collect();
    Tokio::block_on(async {
        guide::by_key::run(&cluster.producer::<Tokio>(), cluster.topic(), readings.clone()).await;
    });
    let logs = [0, 1, 2].map(|partition| cluster.log_of(partition));
    assert!(logs.iter().all(|log| !log.is_empty()));
    for sensor in 0..10 {
        let key = format!("sensor-{sensor}").into_bytes();
        let holds = logs.iter().filter(|log| log.iter().any(|(_, record)| record.key.as_ref() == Some(&key)));
        let [log] = holds.collect::<Vec<_>>()[..] else { panic!("{sensor} is in several partitions") };
        let of_sensor = log.iter().filter(|(_, record)| record.key.as_ref() == Some(&key)).cloned().collect();
        let sent: Vec<_> = (sensor..6_000).step_by(10).map(|n: usize| n.to_string()).collect();
        assert_eq!(values(of_sensor), sent);
    }
}

#[test]
fn what_is_left_to_send_is_neither_what_is_written_nor_what_was_rejected() {
    use Fate::{NotWritten, Unknown, Written};
    let left = |fates: &[Fate], rejected: &[usize]| {
        let to = TopicPartition::new("t", 0);
        let errors = rejected.iter().map(|&position| RecordError::new(position, None)).collect();
        let error = DeliveryError::one_by_one(to, FailureReason::Closed, fates.to_vec(), batch(counted(fates.len())));
        let rest = guide::left(&error.with_record_errors(errors))?;
        Some(rest.records().map(|record| String::from_utf8_lossy(record.value.unwrap()).into_owned()).collect())
    };
    assert_eq!(left(&[NotWritten; 3], &[]), Some(counted(3)));
    assert_eq!(left(&[NotWritten; 3], &[1]), Some(vec!["0".into(), "2".into()]));
    assert_eq!(left(&[Written, Unknown, NotWritten, Written], &[]), Some(vec!["1".into(), "2".into()]));
    assert_eq!(left(&[Written, NotWritten], &[1]), None);
    assert_eq!(left(&[Written; 2], &[]), None);
}
