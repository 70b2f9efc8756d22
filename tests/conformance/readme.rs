//! The code blocks of the README and the guide, compiled and run. Each block is a file in `shown/`, and a page must
//! contain the whole file.

use kafka_batch::protocol::ErrorCode;
use kafka_batch::{DeliveryError, FailureReason, Fate, Record, RecordError, TopicPartition};
#[cfg(feature = "__witnesses")]
use kafka_batch_witnesses::smol;

use crate::cluster::Cluster;
use crate::log::{batch, counted, values};
use crate::setup::Answer;
#[cfg(feature = "__witnesses")]
use crate::subject::{AsyncStd, Rdkafka};
use crate::subject::{Subject, Tokio};

const README: &str = include_str!("../../README.md");
const GUIDE: &str = include_str!("../../docs/guide.md");
const EXACTLY_ONCE: &str = include_str!("../../docs/exactly_once.md");

/// The README's example over each transport: only the line that names the producer differs.
macro_rules! over_each_producer {
    ($($place:ident $producer:ident $block_on:expr;)*) => {$(
        mod $place {
            use super::*;
            use kafka_batch::$producer as Producer;

            include!("shown/publish.rs");

            #[test]
            fn the_readme_s_example() {
                let cluster = Cluster::new();
                let servers = cluster.wanted().servers;
                $block_on(publish(&servers)).unwrap();
                assert_eq!(values(cluster.log_of_topic("readings", 0)), ["21.5", "21.7"]);
            }
        }
    )*};
}

over_each_producer! {
    over_tokio TokioProducer Tokio::block_on;
}

#[cfg(feature = "__witnesses")]
over_each_producer! {
    over_async_std AsyncStdProducer AsyncStd::block_on;
    over_smol SmolProducer smol::block_on;
    over_rdkafka RdkafkaProducer Rdkafka::block_on;
}

mod guide {
    mod failed {
        include!("shown/left_to_send.rs");

        pub(in super::super) fn left(error: &DeliveryError) -> Result<Option<KafkaBatch>, BatchLost> {
            left_to_send(error)
        }
    }

    pub(super) use failed::left;
    use failed::left as left_to_send;

    use kafka_batch::TokioProducer;

    include!("shown/outbox.rs");

    fn outbox(producer: TokioProducer) -> (Outbox, tokio::sync::mpsc::Receiver<KafkaBatch>) {
        let (undelivered, dead) = tokio::sync::mpsc::channel(1_000);
        (Outbox { producer: producer.boxed(), undelivered, outcomes: JoinSet::new() }, dead)
    }

    /// Returns the batches that could not be delivered.
    async fn all(mut dead: tokio::sync::mpsc::Receiver<KafkaBatch>) -> Vec<KafkaBatch> {
        let mut batches = Vec::new();
        while let Some(batch) = dead.recv().await {
            batches.push(batch);
        }
        batches
    }

    pub(super) mod stream {
        use super::{KafkaBatch, Outbox, TokioProducer, all, outbox};

        include!("shown/pump.rs");

        pub(in super::super) async fn run(
            producer: TokioProducer,
            to: TopicPartition,
            readings: Receiver<String>,
        ) -> Vec<KafkaBatch> {
            let (outbox, dead) = outbox(producer);
            pump(outbox, to, readings).await;
            all(dead).await
        }
    }

    pub(super) mod file {
        include!("shown/publish_file.rs");

        pub(in super::super) async fn run(
            producer: &TokioProducer,
            path: &std::path::Path,
            to: TopicPartition,
        ) -> Vec<Delivery> {
            publish_file(producer, path, to).await.unwrap()
        }
    }

    pub(super) mod keyed {
        include!("shown/by_key.rs");

        pub(in super::super) async fn run(
            producer: &TokioProducer,
            topic: &str,
            readings: Receiver<Reading>,
        ) -> Result<(Vec<Reading>, Vec<Reading>), SendErrorReason> {
            publish_by_key(producer, topic, readings).await
        }
    }
}

#[test]
fn the_pages_contain_the_code_that_runs_here() {
    let producer = "use kafka_batch::TokioProducer as Producer; \
                    // or AsyncStdProducer, SmolProducer, RdkafkaProducer: only this line changes\n";
    let blocks = [
        (README, format!("```rust\n{producer}{}```\n", include_str!("shown/publish.rs"))),
        (GUIDE, format!("```rust\n{}```\n", include_str!("shown/publish_file.rs"))),
        (GUIDE, format!("```rust\n{}```\n", include_str!("shown/left_to_send.rs"))),
        (GUIDE, format!("```rust,ignore\n{}```\n", include_str!("shown/outbox.rs"))),
        (GUIDE, format!("```rust,ignore\n{}```\n", include_str!("shown/pump.rs"))),
        (GUIDE, format!("```rust\n{}```\n", include_str!("shown/by_key.rs"))),
    ];
    for (page, block) in blocks {
        assert!(page.contains(&block), "no page contains this block:\n{block}");
    }
}

#[test]
fn the_pages_have_no_hidden_lines() {
    for (name, page) in [("README.md", README), ("docs/guide.md", GUIDE), ("docs/exactly_once.md", EXACTLY_ONCE)] {
        let mut is_code = false;
        for line in page.lines() {
            if line.starts_with("```") {
                is_code = !is_code;
            }
            assert!(!is_code || line != "#" && !line.starts_with("# "), "{name} is shown elsewhere too: {line}");
        }
    }
}

#[test]
fn a_stream_is_sent_in_order_and_a_message_that_fits_into_no_batch_does_not_end_it() {
    let cluster = Cluster::new();
    let readings = counted(5_000);
    Tokio::block_on(async {
        let (sender, receiver) = tokio::sync::mpsc::channel(10);
        let pumped = tokio::spawn(guide::stream::run(cluster.producer::<Tokio>(), cluster.partition(0), receiver));
        for (position, reading) in readings.iter().enumerate() {
            if position == 2_500 {
                sender.send("x".repeat(2 << 20)).await.unwrap(); // larger than any batch may be
            }
            sender.send(reading.clone()).await.unwrap();
        }
        drop(sender);
        assert_eq!(pumped.await.unwrap(), []);
    });
    assert_eq!(cluster.values(), readings);
}

#[test]
fn a_file_is_sent_line_by_line_in_full_batches() {
    let cluster = Cluster::new();
    let lines = counted(5_000);
    let path = std::env::temp_dir().join(format!("kafka-batch-guide-{}", std::process::id()));
    std::fs::write(&path, lines.join("\n")).unwrap();
    let deliveries =
        Tokio::block_on(async { guide::file::run(&cluster.producer::<Tokio>(), &path, cluster.partition(0)).await });
    std::fs::remove_file(&path).unwrap();
    assert!(deliveries.len() > 1);
    assert_eq!(deliveries.iter().map(kafka_batch::Delivery::record_count).sum::<usize>(), lines.len());
    assert_eq!(cluster.values(), lines);
}

#[test]
fn failed_messages_of_a_keyed_stream_are_not_written_or_may_have_been() {
    for (code, expected) in [(ErrorCode::TOPIC_AUTHORIZATION_FAILED, (3, 0)), (ErrorCode::UNKNOWN_SERVER_ERROR, (0, 3))]
    {
        let cluster = Cluster::new();
        cluster.answer_produce(&[Answer::Error(code)]);
        let (not_written, unknown) = Tokio::block_on(async {
            let (sender, receiver) = tokio::sync::mpsc::channel(3);
            for n in 0..3 {
                sender.send(Record::new(n.to_string()).key("sensor-7".to_owned())).await.unwrap();
            }
            drop(sender);
            guide::keyed::run(&cluster.producer::<Tokio>(), cluster.topic(), receiver).await.unwrap()
        });
        assert_eq!((not_written.len(), unknown.len()), expected, "{code:?}");
    }
}

#[test]
fn undeliverable_batches_of_a_stream_are_kept() {
    let cluster = Cluster::new();
    let nowhere = TopicPartition::new(cluster.topic(), 3); // the topic has three partitions
    let kept = Tokio::block_on(async {
        let (sender, receiver) = tokio::sync::mpsc::channel(10);
        let pumped = tokio::spawn(guide::stream::run(cluster.producer::<Tokio>(), nowhere, receiver));
        for reading in counted(5_000) {
            sender.send(reading).await.unwrap();
        }
        drop(sender);
        pumped.await.unwrap()
    });
    assert_eq!(kept.iter().map(kafka_batch::KafkaBatch::record_count).sum::<usize>(), 5_000);
}

#[test]
fn a_batch_that_cannot_succeed_is_kept() {
    for (errors, written, kept) in [
        (vec![Answer::Error(ErrorCode::MESSAGE_TOO_LARGE)], 0, 3), // sending the same again is useless
        (vec![], 3, 0),
    ] {
        let cluster = Cluster::new();
        cluster.answer_produce(&errors);
        let left = Tokio::block_on(async {
            let (sender, receiver) = tokio::sync::mpsc::channel(10);
            for reading in counted(3) {
                sender.send(reading).await.unwrap();
            }
            drop(sender);
            guide::stream::run(cluster.producer::<Tokio>(), cluster.partition(0), receiver).await
        });
        assert_eq!(cluster.log().len(), written);
        assert_eq!(left.iter().map(kafka_batch::KafkaBatch::record_count).sum::<usize>(), kept);
    }
}

#[test]
fn a_keyed_stream_is_sent_to_all_partitions_and_each_key_to_one() {
    let cluster = Cluster::new();
    let reading = |n: usize| Record::new(n.to_string()).key(format!("sensor-{}", n % 10));
    let readings: Vec<_> = (0..6_000).map(reading).collect();
    Tokio::block_on(async {
        let (sender, receiver) = tokio::sync::mpsc::channel(readings.len());
        for reading in readings {
            sender.send(reading).await.unwrap();
        }
        drop(sender);
        let undelivered = guide::keyed::run(&cluster.producer::<Tokio>(), cluster.topic(), receiver).await.unwrap();
        assert!(undelivered.0.is_empty() && undelivered.1.is_empty(), "{undelivered:?}");
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
fn what_is_left_to_send_is_neither_written_nor_rejected() {
    use Fate::{NotWritten, Unknown, Written};
    let left = |fates: &[Fate], rejected: &[usize]| {
        let to = TopicPartition::new("t", 0);
        let errors = rejected.iter().map(|&position| RecordError::new(position, None)).collect();
        let error = DeliveryError::from_fates(to, FailureReason::Closed, fates.to_vec(), batch(counted(fates.len())));
        let rest = guide::left(&error.with_record_errors(errors)).unwrap()?;
        Some(rest.records().map(|record| String::from_utf8_lossy(record.value.unwrap()).into_owned()).collect())
    };
    assert_eq!(left(&[NotWritten; 3], &[]), Some(counted(3)));
    assert_eq!(left(&[NotWritten; 3], &[1]), Some(vec!["0".into(), "2".into()]));
    assert_eq!(left(&[Written, Unknown, NotWritten, Written], &[]), Some(vec!["1".into(), "2".into()]));
    assert_eq!(left(&[Written, NotWritten], &[1]), None);
    assert_eq!(left(&[Written; 2], &[]), None);
    // A batch that is lost is not left to send.
    let to = TopicPartition::new("t", 0);
    assert!(guide::left(&DeliveryError::without_batch(to, FailureReason::Closed, Unknown, 3)).is_err());
}
