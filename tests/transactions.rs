//! Transactions of the producer over tokio, with a real Kafka of each release that has them, and at each level of
//! `transaction.version` that it supports. What is committed is read back by librdkafka's consumer.
//!
//! Run with `cargo with-kafka --kafka 4 -- cargo witnesses --test transactions -- --ignored`, and with 4.0, 3.9, 2.8, 1.1, 0.11;
//! with 0.10 and 0.9, which have no transactions, it checks that an application is told so.

#[path = "transactions/broker.rs"]
mod broker;
#[path = "kafka/environment.rs"]
mod environment;
#[path = "transactions/reader.rs"]
mod reader;

use std::collections::BTreeMap;

use broker::Kafka;
use kafka_batch::transaction::{BeginError, CommitError, GroupMetadata, SendOffsetsError};
use kafka_batch::{Record, TokioProducer, TopicPartition};
use kafka_batch_transport::{BuildTransactionalError, Transaction, TransactionalProducer};
use reader::{committed_offset, read, wait_for};

const PARTITIONS: i32 = 3;

async fn build(kafka: &Kafka, id: &str) -> Result<TransactionalProducer, BuildTransactionalError> {
    let mut builder = TokioProducer::builder()
        .set("bootstrap.servers", &kafka.address)
        .set("socket.connection.setup.timeout.ms", "1000")
        .set("transaction.timeout.ms", "60000")
        .transactional_id(id);
    if let Some(version) = kafka.fallback() {
        builder = builder.set("broker.version.fallback", version);
    }
    builder.build_transactional().await
}

async fn producer(kafka: &Kafka, id: &str) -> TransactionalProducer {
    build(kafka, id).await.unwrap_or_else(|error| panic!("{error}"))
}

/// Sends a batch with this value to each partition.
async fn send_everywhere(transaction: &Transaction<'_>, topic: &str, value: &str) {
    for partition in 0..PARTITIONS {
        let mut batch = transaction.batch();
        assert!(!batch.append(Record::new(value)).unwrap().is_full());
        drop(transaction.send_batch(batch, TopicPartition::new(topic, partition)).await.unwrap());
    }
}

/// Returns what is to be read from each partition.
fn everywhere(values: &[&str]) -> BTreeMap<i32, Vec<String>> {
    (0..PARTITIONS).map(|partition| (partition, values.iter().map(|&value| value.to_owned()).collect())).collect()
}

async fn are_committed_or_aborted_as_a_whole(kafka: &Kafka, level: i16) {
    let topic = kafka.topic(&format!("whole-{level}"), PARTITIONS).await;
    let mut producer = producer(kafka, &format!("whole-{level}")).await;
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
        let mut batch = transaction.batch();
        assert!(!batch.append(Record::new(&name("dropped"))).unwrap().is_full());
        // It is in the log when the transaction is dropped.
        let pending = transaction.send_batch(batch, TopicPartition::new(&topic, 0)).await.unwrap();
        pending.await.unwrap();
        drop(transaction);
    }
    let transaction = producer.begin().await.unwrap();
    for partition in 0..PARTITIONS {
        transaction.send(&TopicPartition::new(&topic, partition), Record::new("the last")).await.unwrap();
    }
    transaction.commit().await.unwrap();
    producer.close().await.unwrap();

    let committed = everywhere(&["committed 0", "committed 1", "committed 2", "the last"]);
    wait_for(kafka, &topic, PARTITIONS, &committed);
    let everything = read(kafka, &topic, PARTITIONS, "read_uncommitted");
    for values in everything.values() {
        for kind in ["committed 0", "aborted 0", "committed 1", "aborted 1", "committed 2", "aborted 2", "the last"] {
            let count = values.iter().filter(|value| *value == kind).count();
            // A transaction whose batch was not sent yet when it was aborted has nothing in the log.
            assert!(count == 1 || count == 0 && kind.starts_with("aborted"), "{kind}: {values:?}");
        }
    }
    assert_eq!(everything[&0].iter().filter(|value| value.starts_with("dropped")).count(), 3, "{everything:?}");
}

async fn of_another_instance_fence_the_first_one(kafka: &Kafka, level: i16) {
    let topic = kafka.topic(&format!("fenced-{level}"), PARTITIONS).await;
    let id = format!("fenced-{level}");
    let mut first = producer(kafka, &id).await;
    let transaction = first.begin().await.unwrap();
    send_everywhere(&transaction, &topic, "before").await;
    transaction.commit().await.unwrap();

    let transaction = first.begin().await.unwrap();
    let mut batch = transaction.batch();
    assert!(!batch.append(Record::new("zombie")).unwrap().is_full());
    let pending = transaction.send_batch(batch, TopicPartition::new(&topic, 0)).await.unwrap();
    pending.await.unwrap();
    let mut second = producer(kafka, &id).await;
    let fenced = transaction.commit().await.unwrap_err();
    assert!(matches!(fenced, CommitError::Fenced(_)), "level {level}: {fenced:?}");
    let fenced = first.begin().await.err();
    assert!(matches!(fenced, Some(BeginError::Fenced(_))), "level {level}: {fenced:?}");

    let transaction = second.begin().await.unwrap();
    send_everywhere(&transaction, &topic, "after").await;
    transaction.commit().await.unwrap();
    second.close().await.unwrap();
    wait_for(kafka, &topic, PARTITIONS, &everywhere(&["before", "after"]));
}

async fn commit_offsets(kafka: &Kafka, level: i16) {
    let topic = kafka.topic(&format!("offsets-{level}"), PARTITIONS).await;
    let group = format!("group-of-{topic}");
    let mut producer = producer(kafka, &format!("offsets-{level}")).await;
    let unfenced = GroupMetadata::unfenced(&group);
    let at = |partition, offset: i64| (TopicPartition::new(&topic, partition), offset);
    for (offset, commits) in [(5, true), (7, false), (9, true)] {
        let transaction = producer.begin().await.unwrap();
        send_everywhere(&transaction, &topic, &format!("{offset} {commits}")).await;
        transaction.send_offsets(&unfenced, [at(0, offset), at(2, offset + 1)]).await.unwrap();
        if commits { transaction.commit().await.unwrap() } else { transaction.abort().await.unwrap() }
    }
    wait_for(kafka, &topic, PARTITIONS, &everywhere(&["5 true", "9 true"]));
    let committed = [0, 1, 2].map(|partition| committed_offset(kafka, &group, &topic, partition));
    assert_eq!(committed, [Some(9), None, Some(10)], "level {level}");

    if kafka.checks_members() {
        let transaction = producer.begin().await.unwrap();
        send_everywhere(&transaction, &topic, "of no member").await;
        let nobody = GroupMetadata::member(&group, 99, "nobody");
        let refused = transaction.send_offsets(&nobody, [at(0, 11)]).await.unwrap_err();
        assert!(matches!(refused, SendOffsetsError::Aborted(_)), "level {level}: {refused:?}");
        let aborted = transaction.commit().await.unwrap_err();
        assert!(matches!(aborted, CommitError::Aborted(_)), "level {level}: {aborted:?}");
        let transaction = producer.begin().await.unwrap();
        send_everywhere(&transaction, &topic, "goes on").await;
        transaction.commit().await.unwrap();
        wait_for(kafka, &topic, PARTITIONS, &everywhere(&["5 true", "9 true", "goes on"]));
        assert_eq!(committed_offset(kafka, &group, &topic, 0), Some(9), "level {level}");
    }
    producer.close().await.unwrap();
}

/// One test, because the level is the cluster's.
#[tokio::test]
#[ignore = "needs a real broker: cargo with-kafka --kafka 4 -- cargo witnesses --test transactions -- --ignored"]
async fn tokio_transactions_at_each_level() {
    let kafka = Kafka::here();
    for &level in kafka.levels() {
        kafka.set_level(level);
        println!("Kafka {}, level {level}", kafka.version);
        are_committed_or_aborted_as_a_whole(&kafka, level).await;
        of_another_instance_fence_the_first_one(&kafka, level).await;
        commit_offsets(&kafka, level).await;
    }
}

#[tokio::test]
#[ignore = "needs a real broker: cargo with-kafka --kafka 4 -- cargo witnesses --test transactions -- --ignored"]
async fn tokio_a_broker_without_transactions_is_reported() {
    let kafka = Kafka::here();
    if !kafka.levels().is_empty() {
        return; // it has them
    }
    let Err(error) = build(&kafka, "unsupported").await else { panic!("there are no transactions") };
    assert!(matches!(error, BuildTransactionalError::Init(_)), "{error:?}");
    println!("Kafka {}: {error}", kafka.version);
}
