//! Transactions over tokio, with the cluster for tests at each level of `transaction.version`.

use std::future::Future;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use kafka_batch_core::transaction::{
    AbortError, BeginError, CommitError, GroupMetadata, InitTransactionsError, SendOffsetsError, TransactionCause,
};
use kafka_batch_core::{BatchOptions, Compression, FailureReason, Publish, Record, TopicPartition};
use kafka_batch_testing::{ApiKey, CoordinatorKind, Fault, FaultKind, ReceivedRequest, TestCluster, Topic};
use kafka_batch_tokio::{BuildTransactionalError, ConfigError, TokioProducer, Transaction, TransactionalProducer};

const LEVELS: [i16; 3] = [0, 1, 2];
const ID: &str = "shop-1";

fn cluster(level: i16) -> TestCluster {
    let cluster =
        TestCluster::builder().brokers(3).topic(Topic::new("orders").partitions(2)).topic("in").start().unwrap();
    cluster.set_transaction_version(level);
    cluster
}

async fn producer(cluster: &TestCluster) -> TransactionalProducer {
    let builder = TokioProducer::builder().set("bootstrap.servers", cluster.bootstrap_servers());
    builder.transactional_id(ID).build_transactional().await.unwrap()
}

async fn send(transaction: &Transaction<'_>, partition: i32, values: &[&str]) {
    let mut batch = transaction.batch();
    batch.extend(values.iter().map(Record::new)).unwrap();
    drop(transaction.send_batch(batch, TopicPartition::new("orders", partition)).await.unwrap());
}

/// Waits until the coordinator has written the markers of the last transaction.
fn settle(cluster: &TestCluster) {
    let is_settled = |state: &str| !state.contains("Prepare") && !state.contains("Ongoing");
    let limit = Duration::from_secs(20);
    let settled =
        cluster.wait_for_transaction(ID, limit, |transaction| is_settled(&format!("{:?}", transaction.state)));
    assert!(settled.is_some(), "{:?}", cluster.transaction(ID));
}

fn committed(cluster: &TestCluster, partition: i32) -> Vec<String> {
    settle(cluster);
    cluster.log("orders", partition).map_or(Vec::new(), |log| log.committed_values().unwrap())
}

fn committed_offset(cluster: &TestCluster, group: &str) -> Option<i64> {
    settle(cluster);
    cluster.committed_offsets(group).first().map(|(_, offset)| offset.offset)
}

#[tokio::test]
async fn what_is_committed_is_visible_and_what_is_aborted_or_dropped_is_not() {
    for level in LEVELS {
        let cluster = cluster(level);
        let mut producer = producer(&cluster).await;
        for round in 0..3 {
            let transaction = producer.begin().await.unwrap();
            send(&transaction, 0, &[&format!("a{round}")]).await;
            send(&transaction, 1, &[&format!("b{round}")]).await;
            transaction.send(("orders", 0), &format!("c{round}")).await.unwrap();
            transaction
                .publish_batch(Publish::to("orders").partition(1).messages(&[format!("d{round}")]))
                .await
                .unwrap();
            drop(transaction.enqueue(("orders", 0), &format!("e{round}")).await.unwrap());
            transaction.commit().await.unwrap();

            let transaction = producer.begin().await.unwrap();
            send(&transaction, 0, &["aborted"]).await;
            transaction.abort().await.unwrap();

            let transaction = producer.begin().await.unwrap();
            send(&transaction, 1, &["dropped"]).await;
            drop(transaction.enqueue(("orders", 0), "dropped, too").await.unwrap());
            drop(transaction);
        }
        let transaction = producer.begin().await.unwrap();
        transaction.commit().await.unwrap();
        producer.close().await.unwrap();
        let expected = |names: &[&str]| -> Vec<String> {
            (0..3).flat_map(|round| names.iter().map(move |name| format!("{name}{round}"))).collect()
        };
        assert_eq!(committed(&cluster, 0), expected(&["a", "c", "e"]), "level {level}");
        assert_eq!(committed(&cluster, 1), expected(&["b", "d"]), "level {level}");
        let is_adding = |request: &ReceivedRequest| request.api == ApiKey::AddPartitionsToTxn;
        assert_eq!(cluster.requests().iter().any(is_adding), level < 2, "the level decides how partitions are added");
    }
}

#[tokio::test]
async fn offsets_are_committed_with_the_transaction_or_not_at_all() {
    for level in LEVELS {
        let cluster = cluster(level);
        cluster.set_group_members("g", 3, [("m", None)]);
        let mut producer = producer(&cluster).await;
        let group = GroupMetadata::member("g", 3, "m");
        for (offset, commits, expected) in [(5, true, 5), (7, false, 5), (9, true, 9)] {
            let transaction = producer.begin().await.unwrap();
            send(&transaction, 0, &["out"]).await;
            transaction.send_offsets(&group, [(TopicPartition::new("in", 0), offset)]).await.unwrap();
            if commits {
                transaction.commit().await.unwrap();
            } else {
                transaction.abort().await.unwrap();
            }
            assert_eq!(committed_offset(&cluster, "g"), Some(expected), "level {level}");
        }
        assert_eq!(committed(&cluster, 0).len(), 2);
    }
}

#[tokio::test]
async fn a_member_that_has_lost_its_partitions_aborts_the_whole_transaction() {
    for level in LEVELS {
        let cluster = cluster(level);
        cluster.set_group_members("g", 4, [("m", None)]);
        let mut producer = producer(&cluster).await;
        let transaction = producer.begin().await.unwrap();
        send(&transaction, 0, &["out"]).await;
        let stale = GroupMetadata::member("g", 3, "m");
        let error = transaction.send_offsets(&stale, [(TopicPartition::new("in", 0), 5)]).await.unwrap_err();
        assert!(matches!(error, SendOffsetsError::Aborted(TransactionCause::Broker(_))), "{error}");
        let error = transaction.commit().await.unwrap_err();
        assert!(matches!(error, CommitError::Aborted(_)), "{error}");
        let transaction = producer.begin().await.unwrap();
        send(&transaction, 0, &["again"]).await;
        transaction.commit().await.unwrap();
        assert_eq!(committed(&cluster, 0), ["again"], "level {level}");
        assert_eq!(committed_offset(&cluster, "g"), None);
    }
}

#[tokio::test]
async fn a_batch_that_is_refused_aborts_the_transaction_and_the_producer_goes_on() {
    for level in LEVELS {
        let cluster = cluster(level);
        let mut producer = producer(&cluster).await;
        let transaction = producer.begin().await.unwrap();
        send(&transaction, 0, &["first"]).await;
        transaction.send(("orders", 0), "in the log").await.unwrap();
        cluster.inject(Fault::new(FaultKind::Refuse { code: 87, all: true }).api(ApiKey::Produce));
        let error = transaction.send(("orders", 0), "refused").await.unwrap_err();
        assert!(error.to_string().contains("INVALID_RECORD"), "{error}");
        let late = transaction.send(("orders", 1), "late").await.unwrap_err();
        assert!(late.to_string().contains("aborted"), "{late}");
        let Err(CommitError::Aborted(cause)) = transaction.commit().await else { panic!("it is committed") };
        assert_eq!(cause.broker_error().unwrap().code.0, 87);
        let transaction = producer.begin().await.unwrap();
        send(&transaction, 0, &["again"]).await;
        transaction.commit().await.unwrap();
        assert_eq!(committed(&cluster, 0), ["again"], "level {level}");
    }
}

#[tokio::test]
async fn messages_whose_batch_cannot_be_sealed_abort_the_transaction() {
    let cluster = cluster(2);
    let options = BatchOptions::default().compression(Compression::gzip());
    let builder = TokioProducer::builder().set("bootstrap.servers", cluster.bootstrap_servers()).batch_options(options);
    let mut producer = builder.transactional_id(ID).build_transactional().await.unwrap();
    // Incompressible, and larger than a batch may be: that is known only when it is compressed.
    let mut random = 1_u64;
    let message: Vec<u8> = std::iter::repeat_with(|| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 56) as u8
    })
    .take(2 << 20)
    .collect();
    let transaction = producer.begin().await.unwrap();
    drop(transaction.enqueue(("orders", 0), &message).await.unwrap());
    send(&transaction, 1, &["one"]).await;
    let Err(CommitError::Aborted(TransactionCause::Batch { to, .. })) = transaction.commit().await else {
        panic!("it was committed without the message");
    };
    assert_eq!(to, TopicPartition::new("orders", 0));
    assert_eq!(committed(&cluster, 1), [""; 0]);
    let transaction = producer.begin().await.unwrap();
    send(&transaction, 1, &["two"]).await;
    transaction.commit().await.unwrap();
    assert_eq!(committed(&cluster, 1), ["two"]);
}

#[tokio::test]
async fn a_second_producer_with_the_id_fences_the_first() {
    for level in LEVELS {
        let cluster = cluster(level);
        let mut first = producer(&cluster).await;
        let transaction = first.begin().await.unwrap();
        send(&transaction, 0, &["of the first"]).await;
        transaction.send(("orders", 0), "also").await.unwrap();
        let mut second = producer(&cluster).await;
        let error = transaction.commit().await.unwrap_err();
        assert!(matches!(error, CommitError::Fenced(_)), "level {level}: {error}");
        assert!(matches!(first.begin().await.unwrap_err(), BeginError::Fenced(_)));
        let transaction = second.begin().await.unwrap();
        send(&transaction, 0, &["of the second"]).await;
        transaction.commit().await.unwrap();
        assert_eq!(committed(&cluster, 0), ["of the second"], "level {level}");
    }
}

#[tokio::test]
async fn after_the_coordinators_time_out_a_producer_goes_on_with_level_2_and_ends_below() {
    for level in LEVELS {
        let cluster = cluster(level);
        let mut producer = producer(&cluster).await;
        let transaction = producer.begin().await.unwrap();
        transaction.send(("orders", 0), "too late").await.unwrap();
        assert!(cluster.time_out_transaction(ID));
        let error = transaction.commit().await.unwrap_err();
        if level < 2 {
            assert!(matches!(error, CommitError::Fenced(_)), "{error}");
            continue;
        }
        assert!(matches!(error, CommitError::Aborted(_)), "{error}");
        let transaction = producer.begin().await.unwrap();
        send(&transaction, 0, &["again"]).await;
        transaction.commit().await.unwrap();
        assert_eq!(committed(&cluster, 0), ["again"]);
    }
}

#[tokio::test]
async fn a_commit_whose_response_is_lost_is_repeated() {
    for level in LEVELS {
        let cluster = cluster(level);
        let mut producer = producer(&cluster).await;
        for value in ["one", "two"] {
            let transaction = producer.begin().await.unwrap();
            send(&transaction, 0, &[value]).await;
            cluster.inject(
                Fault::new(FaultKind::CloseConnection { executed: true }).api(ApiKey::EndTxn).transactional_id(ID),
            );
            transaction.commit().await.unwrap();
        }
        assert_eq!(committed(&cluster, 0), ["one", "two"], "level {level}");
    }
}

#[tokio::test]
async fn whether_a_commit_without_response_succeeded_is_unknown_once_another_has_taken_over() {
    for level in LEVELS {
        let cluster = Arc::new(cluster(level));
        let mut first = producer(&cluster).await;
        let transaction = first.begin().await.unwrap();
        transaction.send(("orders", 0), "committed").await.unwrap();
        let coordinator = cluster.coordinator(CoordinatorKind::Transaction, ID).unwrap();
        let withheld = FaultKind::DelayResponse(Duration::MAX);
        cluster.inject(Fault::new(withheld).api(ApiKey::EndTxn).transactional_id(ID));
        let another = async {
            let shared = Arc::clone(&cluster);
            let is_end = |request: &ReceivedRequest| request.api == ApiKey::EndTxn;
            let wait = move || shared.wait_for_request(Duration::from_secs(20), is_end);
            assert!(tokio::task::spawn_blocking(wait).await.unwrap().is_some());
            let second = producer(&cluster).await;
            cluster.cut(coordinator);
            second
        };
        let (outcome, second) = tokio::join!(transaction.commit(), another);
        let error = outcome.unwrap_err();
        assert!(matches!(error, CommitError::Unknown(_)), "level {level}: {error}");
        drop(second);
        assert_eq!(committed(&cluster, 0), ["committed"]);
    }
}

#[tokio::test]
async fn coordinators_move_and_fail_and_are_found_again() {
    for level in LEVELS {
        let cluster = cluster(level);
        let mut producer = producer(&cluster).await;
        let group = GroupMetadata::unfenced("g");
        for (round, broker) in [1, 2, 3, 1].into_iter().enumerate() {
            let transaction = producer.begin().await.unwrap();
            send(&transaction, 0, &[&round.to_string()]).await;
            cluster.move_coordinator(CoordinatorKind::Transaction, ID, broker);
            send(&transaction, 1, &[&round.to_string()]).await;
            cluster.move_coordinator(CoordinatorKind::Group, "g", broker);
            let offset = i64::try_from(round).unwrap();
            transaction.send_offsets(&group, [(TopicPartition::new("in", 0), offset)]).await.unwrap();
            cluster.move_coordinator(CoordinatorKind::Transaction, ID, broker % 3 + 1);
            transaction.commit().await.unwrap();
            assert_eq!(committed_offset(&cluster, "g"), Some(offset));
        }
        assert_eq!((committed(&cluster, 0), committed(&cluster, 1)), (texts(4), texts(4)), "level {level}");
    }
}

fn texts(count: usize) -> Vec<String> {
    (0..count).map(|number| number.to_string()).collect()
}

#[tokio::test]
async fn the_level_changes_while_a_producer_is_in_use() {
    let cluster = cluster(0);
    let mut producer = producer(&cluster).await;
    for (round, level) in [2, 1, 0, 2, 2].into_iter().enumerate() {
        let transaction = producer.begin().await.unwrap();
        transaction.send(("orders", 0), &round.to_string()).await.unwrap();
        cluster.set_transaction_version(level);
        (1..=3).for_each(|broker| cluster.cut(broker)); // clients hear of it on a new connection
        transaction.commit().await.unwrap();
    }
    assert_eq!(committed(&cluster, 0), texts(5));
}

#[tokio::test]
async fn the_outcome_of_a_commit_whose_future_was_dropped_is_returned_once() {
    let cluster = cluster(2);
    let mut producer = producer(&cluster).await;
    let transaction = producer.begin().await.unwrap();
    send(&transaction, 0, &["a"]).await;
    poll_once(transaction.commit());
    let Err(BeginError::InterruptedCommit(outcome)) = producer.begin().await else { panic!("it is not reported") };
    outcome.unwrap();
    let transaction = producer.begin().await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(committed(&cluster, 0), ["a"]);
}

/// Polls a future once and drops it.
fn poll_once<F: Future>(future: F) {
    let polled = std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(polled, Poll::Pending));
}

#[tokio::test]
async fn a_begin_whose_future_was_dropped_begins_nothing() {
    let cluster = cluster(2);
    let mut producer = producer(&cluster).await;
    for _ in 0..3 {
        poll_once(producer.begin());
    }
    tokio::task::yield_now().await;
    let transaction = producer.begin().await.unwrap();
    send(&transaction, 0, &["a"]).await;
    transaction.commit().await.unwrap();
    assert_eq!(committed(&cluster, 0), ["a"]);
}

#[tokio::test]
async fn batches_of_an_aborted_transaction_fail() {
    let cluster = cluster(2);
    let mut producer = producer(&cluster).await;
    cluster.remove_leader("orders", 0);
    let transaction = producer.begin().await.unwrap();
    let mut batch = transaction.batch();
    batch.extend([Record::new("a")]).unwrap();
    let pending = transaction.send_batch(batch, TopicPartition::new("orders", 0)).await.unwrap();
    transaction.abort().await.unwrap();
    let error = pending.await.unwrap_err();
    assert!(matches!(error.reason, FailureReason::TransactionAborted), "{error}");
}

#[tokio::test]
async fn closing_at_once_ends_everything() {
    let cluster = cluster(2);
    let mut producer = producer(&cluster).await;
    let transaction = producer.begin().await.unwrap();
    send(&transaction, 0, &["a"]).await;
    drop(transaction);
    producer.close_at_once().await.unwrap();
    let mut producer = self::producer(&cluster).await;
    let transaction = producer.begin().await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(committed(&cluster, 0), [""; 0]);
}

#[tokio::test]
async fn settings_that_exclude_transactions_are_errors() {
    let builder = || TokioProducer::builder().set("bootstrap.servers", "localhost:1");
    let error = builder().build_transactional().await.unwrap_err();
    let BuildTransactionalError::Config(ConfigError::Setting { setting, .. }) = &error else { panic!("{error}") };
    assert_eq!(setting, "transactional.id");
    let error = builder().transactional_id(ID).build().unwrap_err();
    assert!(error.to_string().contains("build_transactional"), "{error}");
}

#[tokio::test]
async fn a_transaction_timeout_that_is_too_long_is_fatal() {
    let cluster = cluster(2);
    let builder = TokioProducer::builder().set("bootstrap.servers", cluster.bootstrap_servers());
    let builder = builder.transactional_id(ID).set("transaction.timeout.ms", "900001");
    let error = builder.build_transactional().await.unwrap_err();
    let BuildTransactionalError::Init(InitTransactionsError::Fatal(cause)) = &error else { panic!("{error}") };
    assert_eq!(cause.broker_error().unwrap().code.0, 50, "INVALID_TRANSACTION_TIMEOUT");
}

#[tokio::test]
async fn without_its_runtime_a_producer_reports_what_is_known() {
    let cluster = cluster(2);
    let builder = TokioProducer::builder().set("bootstrap.servers", cluster.bootstrap_servers());
    let (initialized, task) = builder.transactional_id(ID).build_transactional_with_task().unwrap();
    let task = tokio::spawn(task);
    let mut producer = initialized.await.unwrap();
    let transaction = producer.begin().await.unwrap();
    task.abort();
    let _ = task.await;
    let error = transaction.abort().await.unwrap_err();
    assert!(matches!(error, AbortError::Fatal(TransactionCause::Stopped)), "{error}");
    assert!(matches!(producer.begin().await.unwrap_err(), BeginError::Fatal(TransactionCause::Stopped)));
}
