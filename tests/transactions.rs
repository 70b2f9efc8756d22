//! Transactions of the producers over tokio and over librdkafka, with a real Kafka of each release that has them, and at each level
//! of `transaction.version` that it supports. What is committed is read back by librdkafka's consumer, and by that of Java.
//!
//! Run with `cargo with-kafka --kafka 4 -- cargo witnesses --test transactions -- --ignored`, and with 4.0, 3.9, 2.8, 1.1, 0.11;
//! with 0.10 and 0.9, which have no transactions, it checks that an application is told so.

#[path = "transactions/broker.rs"]
mod broker;
#[path = "kafka/environment.rs"]
mod environment;
#[path = "transactions/java.rs"]
mod java;
#[path = "transactions/reader.rs"]
mod reader;
#[path = "transactions/subject.rs"]
mod subject;

use broker::Kafka;
use java::{Topic, Values};
use kafka_batch::TopicPartition;
use kafka_batch::transaction::{BeginError, CommitError, GroupMetadata, InitTransactionsError, SendOffsetsError};
use kafka_batch::transports::{common, rdkafka};
use reader::{Member, committed_offset, read, wait_for};
use subject::{Open, Subject};

const PARTITIONS: i32 = 3;

/// Sends a batch with this value to each partition.
async fn send_everywhere(transaction: &impl Open, topic: &str, value: &str) {
    for partition in 0..PARTITIONS {
        transaction.send(value, TopicPartition::new(topic, partition)).await;
    }
}

/// Returns what is to be read from each partition.
fn everywhere(values: &[&str]) -> Values {
    (0..PARTITIONS).map(|partition| (partition, values.iter().map(|&value| value.to_owned()).collect())).collect()
}

/// Waits until these values are committed, and reads what is in the topic besides.
fn wait_for_all(kafka: &Kafka, name: &str, values: &[&str]) -> Topic {
    let committed = everywhere(values);
    wait_for(kafka, name, PARTITIONS, &committed);
    Topic { name: name.to_owned(), committed, everything: read(kafka, name, PARTITIONS, "read_uncommitted") }
}

async fn are_committed_or_aborted_as_a_whole<S: Subject>(kafka: &Kafka, name: &str) -> Topic {
    let topic = kafka.topic(&format!("whole-{name}"), PARTITIONS).await;
    let mut producer = S::producer(kafka, &format!("whole-{name}")).await;
    for round in 0..3 {
        let name = |what: &str| format!("{what} {round}");
        let transaction = producer.begin().await.unwrap();
        send_everywhere(&transaction, &topic, &name("committed")).await;
        transaction.commit().await.unwrap();

        let transaction = producer.begin().await.unwrap();
        send_everywhere(&transaction, &topic, &name("aborted")).await;
        transaction.abort().await.unwrap();

        producer.begin().await.unwrap().commit().await.unwrap(); // nothing

        let transaction = producer.begin().await.unwrap();
        // It is in the log when the transaction is dropped.
        transaction.write(&name("dropped"), TopicPartition::new(&topic, 0)).await;
        drop(transaction);
    }
    let transaction = producer.begin().await.unwrap();
    for partition in 0..PARTITIONS {
        transaction.message("the last", &TopicPartition::new(&topic, partition)).await;
    }
    transaction.commit().await.unwrap();
    producer.close().await;

    let topic = wait_for_all(kafka, &topic, &["committed 0", "committed 1", "committed 2", "the last"]);
    for values in topic.everything.values() {
        for kind in ["committed 0", "aborted 0", "committed 1", "aborted 1", "committed 2", "aborted 2", "the last"] {
            let count = values.iter().filter(|value| *value == kind).count();
            // A transaction whose batch was not sent yet when it was aborted has nothing in the log.
            assert!(count == 1 || count == 0 && kind.starts_with("aborted"), "{kind}: {values:?}");
        }
    }
    let dropped = topic.everything[&0].iter().filter(|value| value.starts_with("dropped")).count();
    assert_eq!(dropped, 3, "{topic:?}");
    topic
}

async fn of_another_instance_fence_the_first_one<S: Subject>(kafka: &Kafka, name: &str) -> Topic {
    let topic = kafka.topic(&format!("fenced-{name}"), PARTITIONS).await;
    let id = format!("fenced-{name}");
    let mut first = S::producer(kafka, &id).await;
    let transaction = first.begin().await.unwrap();
    send_everywhere(&transaction, &topic, "before").await;
    transaction.commit().await.unwrap();

    let transaction = first.begin().await.unwrap();
    transaction.write("zombie", TopicPartition::new(&topic, 0)).await;
    let mut second = S::producer(kafka, &id).await;
    let fenced = transaction.commit().await.unwrap_err();
    assert!(matches!(fenced, CommitError::Fenced(_)), "{name}: {fenced:?}");
    let fenced = first.begin().await.err();
    assert!(matches!(fenced, Some(BeginError::Fenced(_))), "{name}: {fenced:?}");

    let transaction = second.begin().await.unwrap();
    send_everywhere(&transaction, &topic, "after").await;
    transaction.commit().await.unwrap();
    second.close().await;
    wait_for_all(kafka, &topic, &["before", "after"])
}

async fn commit_offsets<S: Subject>(kafka: &Kafka, name: &str) -> Topic {
    let topic = kafka.topic(&format!("offsets-{name}"), PARTITIONS).await;
    let group = format!("group-of-{topic}");
    let mut producer = S::producer(kafka, &format!("offsets-{name}")).await;
    let unfenced = GroupMetadata::unfenced(&group);
    let at = |partition, offset: i64| (TopicPartition::new(&topic, partition), offset);
    for (offset, commits) in [(5, true), (7, false), (9, true)] {
        let transaction = producer.begin().await.unwrap();
        send_everywhere(&transaction, &topic, &format!("{offset} {commits}")).await;
        transaction.send_offsets(&unfenced, vec![at(0, offset), at(2, offset + 1)]).await.unwrap();
        if commits { transaction.commit().await.unwrap() } else { transaction.abort().await.unwrap() }
    }
    let written = wait_for_all(kafka, &topic, &["5 true", "9 true"]);
    let committed = [0, 1, 2].map(|partition| committed_offset(kafka, &group, &topic, partition));
    assert_eq!(committed, [Some(9), None, Some(10)], "{name}");
    if !kafka.checks_members() {
        return written;
    }
    let transaction = producer.begin().await.unwrap();
    send_everywhere(&transaction, &topic, "of no member").await;
    let nobody = GroupMetadata::member(&group, 99, "nobody");
    let refused = transaction.send_offsets(&nobody, vec![at(0, 11)]).await.unwrap_err();
    assert!(matches!(refused, SendOffsetsError::Aborted(_)), "{name}: {refused:?}");
    let aborted = transaction.commit().await.unwrap_err();
    assert!(matches!(aborted, CommitError::Aborted(_)), "{name}: {aborted:?}");
    let transaction = producer.begin().await.unwrap();
    send_everywhere(&transaction, &topic, "goes on").await;
    transaction.commit().await.unwrap();
    producer.close().await;
    let written = wait_for_all(kafka, &topic, &["5 true", "9 true", "goes on"]);
    assert_eq!(committed_offset(kafka, &group, &topic, 0), Some(9), "{name}");
    written
}

/// librdkafka's producer takes the metadata of librdkafka's consumer as a whole.
async fn commit_offsets_of_a_consumer(kafka: &Kafka) {
    let topic = kafka.topic("consumer", 1).await;
    let group = format!("group-of-{topic}");
    let mut producer = rdkafka::TransactionalProducer::producer(kafka, "consumer").await;
    let transaction = producer.begin().await.unwrap();
    Open::write(&transaction, "a record", TopicPartition::new(&topic, 0)).await;
    transaction.commit().await.unwrap();

    let member = Member::join(kafka, &group, &topic);
    let transaction = producer.begin().await.unwrap();
    let next = (TopicPartition::new(&topic, 0), 1);
    transaction.send_offsets_of_consumer(member.metadata(), [next.clone()]).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(committed_offset(kafka, &group, &topic, 0), Some(1));

    let metadata = member.metadata();
    member.leave();
    let transaction = producer.begin().await.unwrap();
    let refused = transaction.send_offsets_of_consumer(metadata, [next]).await.unwrap_err();
    assert!(matches!(refused, SendOffsetsError::Aborted(_)), "{refused:?}");
    drop(transaction);
    Subject::close(producer).await;
}

async fn all<S: Subject>(kafka: &Kafka, level: i16, written: &mut Vec<Topic>) {
    let name = format!("{}-{level}", S::NAME);
    written.push(are_committed_or_aborted_as_a_whole::<S>(kafka, &name).await);
    written.push(of_another_instance_fence_the_first_one::<S>(kafka, &name).await);
    written.push(commit_offsets::<S>(kafka, &name).await);
}

/// One test, because the level is the cluster's.
#[tokio::test]
#[ignore = "needs a real broker: cargo with-kafka --kafka 4 -- cargo witnesses --test transactions -- --ignored"]
async fn tokio_and_rdkafka_transactions_at_each_level() {
    let kafka = Kafka::here();
    let mut written = Vec::new();
    for &level in kafka.levels() {
        kafka.set_level(level);
        println!("Kafka {}, level {level}", kafka.version);
        all::<common::TransactionalProducer>(&kafka, level, &mut written).await;
        all::<rdkafka::TransactionalProducer>(&kafka, level, &mut written).await;
    }
    if !written.is_empty() {
        // Joining a group takes seconds: `group.initial.rebalance.delay.ms`.
        if kafka.levels().len() > 1 {
            commit_offsets_of_a_consumer(&kafka).await;
        }
        java::reads_the_same(&kafka, &written);
    }
}

async fn is_reported<S: Subject>(kafka: &Kafka) {
    let Err(error) = S::build(kafka, "unsupported").await else { panic!("there are no transactions") };
    assert!(matches!(error, InitTransactionsError::Fatal(_)), "{}: {error:?}", S::NAME);
    println!("Kafka {}, {}: {error}", kafka.version, S::NAME);
}

#[tokio::test]
#[ignore = "needs a real broker: cargo with-kafka --kafka 4 -- cargo witnesses --test transactions -- --ignored"]
async fn tokio_and_rdkafka_a_broker_without_transactions_is_reported() {
    let kafka = Kafka::here();
    if kafka.levels().is_empty() {
        is_reported::<common::TransactionalProducer>(&kafka).await;
        // librdkafka asks 0.9 for its versions again and again, which ends each connection, until it gives up after a minute.
        if kafka.fallback().is_none() {
            is_reported::<rdkafka::TransactionalProducer>(&kafka).await;
        }
    }
}
