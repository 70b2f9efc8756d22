//! Transactions over librdkafka, with the cluster for tests, whose coordinators and faults are those of Kafka. librdkafka uses the
//! protocol of level 0 with every release.

use std::pin::pin;
use std::time::Duration;

use kafka_batch::transaction::{
    BeginError, CommitError, GroupMetadata, InitTransactionsError, OffsetAndMetadata, SendOffsetsError,
    TransactionCause,
};
use kafka_batch::transports::rdkafka::{
    BuildTransactionalError, ConfigError, LibrdkafkaError, ProducerBuilder, Transaction, TransactionalProducer,
    UnsendableOffsets,
};
use kafka_batch::{
    FailureReason, Fate, Header, Publish, RdkafkaProducer, Record, SendErrorReason, TopicPartition,
    TransactionGuarantee,
};
use kafka_batch_testing::{ApiKey, CoordinatorKind, Fault, FaultKind, ReceivedRequest, Release, TestCluster, Topic};

use crate::futures::{block_on, poll_once};
use crate::log::batch;

pub(crate) const ID: &str = "shop-1";
pub(crate) const RELEASES: [Release; 4] = [Release::V0_11, Release::V2_8, Release::V3_9, Release::NEWEST];

/// The time after which a test fails that would hang.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn cluster(release: Release) -> TestCluster {
    TestCluster::builder()
        .brokers(3)
        .release(release)
        .topic(Topic::new("orders").partitions(2))
        .topic("in")
        .start()
        .unwrap()
}

pub(crate) fn builder(cluster: &TestCluster) -> ProducerBuilder {
    RdkafkaProducer::builder()
        .set("bootstrap.servers", cluster.bootstrap_servers())
        .set("linger.ms", "1")
        .set("topic.metadata.refresh.fast.interval.ms", "10") // how soon a leader is found
        .transactional_id(ID)
}

pub(crate) fn producer(cluster: &TestCluster) -> TransactionalProducer {
    block_on(builder(cluster).build_transactional()).unwrap()
}

pub(crate) fn orders(partition: i32) -> TopicPartition {
    TopicPartition::new("orders", partition)
}

pub(crate) fn send(transaction: &Transaction<'_>, partition: i32, values: &[&str]) {
    drop(block_on(transaction.send_batch(batch(values), orders(partition))).unwrap());
}

/// Sends a batch, and waits until it is in the log.
pub(crate) fn write(transaction: &Transaction<'_>, partition: i32, value: &str) {
    block_on(block_on(transaction.send_batch(batch([value]), orders(partition))).unwrap()).unwrap();
}

/// Waits until the coordinator has written the markers of the last transaction.
fn settle(cluster: &TestCluster) {
    let is_settled = |state: &str| !state.contains("Prepare") && !state.contains("Ongoing");
    let settled =
        cluster.wait_for_transaction(ID, PATIENCE, |transaction| is_settled(&format!("{:?}", transaction.state)));
    assert!(settled.is_some(), "{:?}", cluster.transaction(ID));
}

pub(crate) fn committed(cluster: &TestCluster, partition: i32) -> Vec<String> {
    settle(cluster);
    cluster.log("orders", partition).map_or(Vec::new(), |log| log.committed_values().unwrap())
}

fn committed_offset(cluster: &TestCluster, group: &str) -> Option<i64> {
    settle(cluster);
    cluster.committed_offsets(group).first().map(|(_, offset)| offset.offset)
}

fn code(cause: &TransactionCause) -> i32 {
    if let Some(error) = cause.broker_error() {
        return error.code.0.into();
    }
    let TransactionCause::Transport(error) = cause else { panic!("{cause:?}") };
    error.downcast_ref::<LibrdkafkaError>().unwrap_or_else(|| panic!("{error}")).code
}

#[test]
fn what_is_committed_is_visible_and_what_is_aborted_or_dropped_is_not() {
    for release in RELEASES {
        let cluster = cluster(release);
        let mut producer = producer(&cluster);
        assert_eq!(producer.capabilities().transactions, TransactionGuarantee::LateRequestsAccepted);
        for round in 0..3 {
            let transaction = block_on(producer.begin()).unwrap();
            send(&transaction, 0, &[&format!("a{round}")]);
            send(&transaction, 1, &[&format!("b{round}")]);
            let to = |partition| ("orders", partition);
            let delivery = block_on(transaction.send(to(0), &format!("c{round}"))).unwrap();
            assert_eq!((delivery.partition, delivery.offset.is_some()), (0, true));
            let messages = [format!("d{round}")];
            block_on(transaction.publish_batch(Publish::to("orders").partition(1).messages(&messages))).unwrap();
            block_on(transaction.commit()).unwrap();

            let transaction = block_on(producer.begin()).unwrap();
            send(&transaction, 0, &["aborted"]);
            block_on(transaction.abort()).unwrap();

            let transaction = block_on(producer.begin()).unwrap();
            write(&transaction, 1, "dropped");
            drop(transaction);
        }
        block_on(block_on(producer.begin()).unwrap().commit()).unwrap(); // nothing
        block_on(producer.close()).unwrap();
        let expected = |names: &[&str]| -> Vec<String> {
            (0..3).flat_map(|round| names.iter().map(move |name| format!("{name}{round}"))).collect()
        };
        assert_eq!(committed(&cluster, 0), expected(&["a", "c"]), "{release:?}");
        assert_eq!(committed(&cluster, 1), expected(&["b", "d"]), "{release:?}");
    }
}

#[test]
fn a_message_goes_to_the_partition_of_its_key_with_the_headers_of_the_producer() {
    let cluster = cluster(Release::NEWEST);
    let builder =
        builder(&cluster).inject_headers(|topic, headers| headers.push(Header::new("sent-to", topic)).unwrap());
    let mut producer = block_on(builder.build_transactional()).unwrap();
    let transaction = block_on(producer.begin()).unwrap();
    for key in ["a", "b", "c", "d"] {
        let record = Record::new(key).key(key);
        let expected = {
            let mut keyed = block_on(transaction.keyed_batch("orders")).unwrap();
            assert!(!keyed.append(record).unwrap().is_full());
            keyed.routed_partition()
        };
        let delivery = block_on(transaction.send("orders", record)).unwrap();
        assert_eq!(Some(delivery.partition), expected);
    }
    let without_key = block_on(transaction.send("orders", "no key")).unwrap();
    assert!((0..2).contains(&without_key.partition));
    let error = block_on(transaction.send(("orders", 7), "no such partition")).unwrap_err();
    assert_eq!(error.fate(), Fate::NotWritten);
    block_on(transaction.commit()).unwrap();
    let count: usize = (0..2).map(|partition| committed(&cluster, partition).len()).sum();
    assert_eq!(count, 5, "a message that was not accepted was never part of the transaction");
    for partition in 0..2 {
        for record in cluster.log("orders", partition).unwrap().committed_records().unwrap() {
            assert!(format!("{record:?}").contains("sent-to"), "{record:?}");
        }
    }
}

#[test]
fn offsets_are_committed_with_the_transaction_or_not_at_all() {
    for release in RELEASES {
        let cluster = cluster(release);
        cluster.set_group_members("g", 3, [("m", None)]);
        let mut producer = producer(&cluster);
        let group = GroupMetadata::member("g", 3, "m");
        for (offset, commits, expected) in [(5_i64, true, 5), (7, false, 5), (9, true, 9)] {
            let transaction = block_on(producer.begin()).unwrap();
            send(&transaction, 0, &["out"]);
            let offset = OffsetAndMetadata::from(offset).metadata("from a test").leader_epoch(4);
            block_on(transaction.send_offsets(&group, [(TopicPartition::new("in", 0), offset)])).unwrap();
            if commits {
                block_on(transaction.commit()).unwrap();
            } else {
                block_on(transaction.abort()).unwrap();
            }
            assert_eq!(committed_offset(&cluster, "g"), Some(expected), "{release:?}");
        }
        let (_, offset) = cluster.committed_offsets("g").remove(0);
        assert!(format!("{offset:?}").contains("from a test"), "{offset:?}");
        assert_eq!(committed(&cluster, 0).len(), 2);
    }
}

#[test]
fn a_member_that_has_lost_its_partitions_aborts_the_whole_transaction() {
    for release in [Release::V2_8, Release::NEWEST] {
        let cluster = cluster(release);
        cluster.set_group_members("g", 4, [("m", None)]);
        let mut producer = producer(&cluster);
        let transaction = block_on(producer.begin()).unwrap();
        send(&transaction, 0, &["out"]);
        let stale = GroupMetadata::member("g", 3, "m");
        let sent = block_on(transaction.send_offsets(&stale, [(TopicPartition::new("in", 0), 5)]));
        let Err(SendOffsetsError::Aborted(cause)) = sent else { panic!("{sent:?}") };
        assert_eq!(code(&cause), 22, "ILLEGAL_GENERATION");
        let refused = block_on(block_on(transaction.send_batch(batch(["late"]), orders(0))).unwrap()).unwrap_err();
        assert!(matches!(refused.reason, FailureReason::TransactionAborted), "{refused}");
        let error = block_on(transaction.commit()).unwrap_err();
        assert!(matches!(error, CommitError::Aborted(_)), "{error}");
        let transaction = block_on(producer.begin()).unwrap();
        send(&transaction, 0, &["again"]);
        block_on(transaction.commit()).unwrap();
        assert_eq!(committed(&cluster, 0), ["again"], "{release:?}");
        assert_eq!(committed_offset(&cluster, "g"), None);
    }
}

/// librdkafka would omit it without an error, and the group would read its records again.
#[test]
fn an_offset_that_librdkafka_would_omit_aborts_the_transaction() {
    let cluster = cluster(Release::NEWEST);
    let mut producer = producer(&cluster);
    let transaction = block_on(producer.begin()).unwrap();
    send(&transaction, 0, &["out"]);
    let group = GroupMetadata::unfenced("g");
    let sent = block_on(transaction.send_offsets(&group, [(TopicPartition::new("in", 0), -1)]));
    let Err(SendOffsetsError::Aborted(TransactionCause::Transport(error))) = sent else { panic!("{sent:?}") };
    assert!(matches!(error.downcast_ref(), Some(UnsendableOffsets::Negative { offset: -1, .. })), "{error}");
    assert!(matches!(block_on(transaction.commit()), Err(CommitError::Aborted(_))));
    assert_eq!(committed(&cluster, 0), [""; 0]);
}

#[test]
fn a_batch_that_is_refused_aborts_the_transaction_and_the_producer_goes_on() {
    for release in RELEASES {
        let cluster = cluster(release);
        let mut producer = producer(&cluster);
        let transaction = block_on(producer.begin()).unwrap();
        write(&transaction, 0, "in the log");
        cluster.inject(Fault::new(FaultKind::Refuse { code: 10, all: true }).api(ApiKey::Produce));
        let pending = block_on(transaction.send_batch(batch(["refused"]), orders(0))).unwrap();
        let error = block_on(pending).unwrap_err();
        assert!(error.to_string().contains("MESSAGE_TOO_LARGE"), "{error}");
        let late = block_on(block_on(transaction.send_batch(batch(["late"]), orders(1))).unwrap()).unwrap_err();
        assert!(matches!(late.reason, FailureReason::TransactionAborted), "{late}");
        assert_eq!(late.fate(), Some(Fate::NotWritten));
        let Err(CommitError::Aborted(cause)) = block_on(transaction.commit()) else { panic!("it is committed") };
        assert_eq!(cause.broker_error().unwrap_or_else(|| panic!("{cause:?}")).code.0, 10);
        if release == Release::V0_11 {
            continue; // before 2.5, brokers cannot bump the epoch, which librdkafka may need then
        }
        // The sequence numbers of the refused batch are missing: librdkafka has the epoch bumped only when that is refused, too.
        for attempt in 0.. {
            let transaction = block_on(producer.begin()).unwrap();
            send(&transaction, 0, &["again"]);
            match block_on(transaction.commit()) {
                Ok(()) => break,
                Err(CommitError::Aborted(cause)) if attempt < 2 => assert_eq!(code(&cause), 45, "{cause}"),
                Err(error) => panic!("{release:?}: {error}"),
            }
        }
        assert_eq!(committed(&cluster, 0), ["again"], "{release:?}");
    }
}

/// librdkafka itself has delivered all that it has taken, so it would commit a part of the batch.
#[test]
fn a_batch_of_which_librdkafka_takes_a_part_is_not_committed() {
    let cluster = cluster(Release::NEWEST);
    let builder = builder(&cluster).set("message.max.bytes", "1000");
    let mut producer = block_on(builder.build_transactional()).unwrap();
    let transaction = block_on(producer.begin()).unwrap();
    let records = batch(["small".to_owned(), "x".repeat(2_000)]);
    let error = block_on(block_on(transaction.send_batch(records, orders(0))).unwrap()).unwrap_err();
    assert_eq!((error.fate_of(0), error.fate_of(1)), (Some(Fate::Written), Some(Fate::NotWritten)));
    let committed_ = block_on(transaction.commit());
    assert!(matches!(committed_, Err(CommitError::Aborted(TransactionCause::Batch { .. }))), "{committed_:?}");
    assert_eq!(committed(&cluster, 0), [""; 0]);
}

#[test]
fn a_commit_whose_response_is_lost_is_repeated() {
    for release in RELEASES {
        let cluster = cluster(release);
        let mut producer = producer(&cluster);
        for value in ["one", "two"] {
            let transaction = block_on(producer.begin()).unwrap();
            send(&transaction, 0, &[value]);
            let lost = FaultKind::CloseConnection { executed: true };
            cluster.inject(Fault::new(lost).api(ApiKey::EndTxn).transactional_id(ID));
            block_on(transaction.commit()).unwrap();
        }
        assert_eq!(committed(&cluster, 0), ["one", "two"], "{release:?}");
    }
}

#[test]
fn coordinators_move_and_are_found_again() {
    let cluster = cluster(Release::NEWEST);
    let mut producer = producer(&cluster);
    let group = GroupMetadata::unfenced("g");
    for (offset, broker) in (0..).zip([1, 2, 3]) {
        let transaction = block_on(producer.begin()).unwrap();
        send(&transaction, 0, &[&offset.to_string()]);
        cluster.move_coordinator(CoordinatorKind::Transaction, ID, broker);
        send(&transaction, 1, &[&offset.to_string()]);
        cluster.move_coordinator(CoordinatorKind::Group, "g", broker);
        block_on(transaction.send_offsets(&group, [(TopicPartition::new("in", 0), offset)])).unwrap();
        block_on(transaction.commit()).unwrap();
        assert_eq!(committed_offset(&cluster, "g"), Some(offset));
    }
    let all = ["0", "1", "2"];
    assert_eq!(
        (committed(&cluster, 0), committed(&cluster, 1)),
        (all.map(str::to_owned).into(), all.map(str::to_owned).into())
    );
}

#[test]
fn the_outcome_of_a_commit_whose_future_was_dropped_is_returned_once() {
    let cluster = cluster(Release::NEWEST);
    let mut producer = producer(&cluster);
    let transaction = block_on(producer.begin()).unwrap();
    send(&transaction, 0, &["a"]);
    cluster.inject(Fault::new(FaultKind::DelayResponse(Duration::MAX)).api(ApiKey::EndTxn).transactional_id(ID));
    assert!(poll_once(pin!(transaction.commit())).is_pending());
    let is_end = |request: &ReceivedRequest| request.api == ApiKey::EndTxn;
    assert!(cluster.wait_for_request(PATIENCE, is_end).is_some());
    cluster.release_held();
    let Err(BeginError::InterruptedCommit(outcome)) = block_on(producer.begin()) else { panic!("it is not reported") };
    outcome.unwrap();
    let transaction = block_on(producer.begin()).unwrap();
    write(&transaction, 0, "not committed");
    drop(transaction.commit()); // it was not polled, so the transaction is aborted
    block_on(producer.begin()).map(drop).unwrap();
    assert_eq!(committed(&cluster, 0), ["a"]);
}

#[test]
fn a_begin_whose_future_was_dropped_begins_nothing() {
    let cluster = cluster(Release::NEWEST);
    let mut producer = producer(&cluster);
    for _ in 0..3 {
        drop(poll_once(pin!(producer.begin()))); // it may have begun already, and is aborted then
    }
    let transaction = block_on(producer.begin()).unwrap();
    send(&transaction, 0, &["a"]);
    block_on(transaction.commit()).unwrap();
    assert_eq!(committed(&cluster, 0), ["a"]);
}

#[test]
fn batches_of_an_aborted_transaction_fail() {
    let cluster = cluster(Release::NEWEST);
    let mut producer = producer(&cluster);
    cluster.remove_leader("orders", 0);
    let transaction = block_on(producer.begin()).unwrap();
    let pending = block_on(transaction.send_batch(batch(["a"]), orders(0))).unwrap();
    block_on(transaction.abort()).unwrap();
    let error = block_on(pending).unwrap_err();
    assert!(matches!(error.reason, FailureReason::TransactionAborted), "{error}");
    assert_eq!(error.fate(), Some(Fate::NotWritten));
    block_on(block_on(producer.begin()).unwrap().abort()).unwrap();
}

/// librdkafka alone would abort what the coordinator does not have yet, and end for good.
#[test]
fn an_abort_waits_until_the_last_transaction_has_its_markers() {
    let cluster = cluster(Release::NEWEST);
    let mut producer = producer(&cluster);
    cluster.hold_markers("orders", 0);
    let transaction = block_on(producer.begin()).unwrap();
    write(&transaction, 0, "a");
    block_on(transaction.commit()).unwrap();
    let transaction = block_on(producer.begin()).unwrap();
    send(&transaction, 0, &["b"]);
    let mut abort = Box::pin(transaction.abort());
    assert!(poll_once(abort.as_mut()).is_pending());
    for _ in 0..3 {
        drop(cluster.take_requests());
        let is_refused = |request: &ReceivedRequest| request.api == ApiKey::AddPartitionsToTxn;
        assert!(cluster.wait_for_request(PATIENCE, is_refused).is_some(), "it is sent again while the abort waits");
    }
    cluster.release_markers();
    block_on(abort).unwrap();
    let transaction = block_on(producer.begin()).unwrap();
    send(&transaction, 0, &["c"]);
    block_on(transaction.commit()).unwrap();
    assert_eq!(committed(&cluster, 0), ["a", "c"]);
}

#[test]
fn a_batch_that_is_not_accepted_is_no_failure_of_the_transaction() {
    let cluster = cluster(Release::NEWEST);
    let mut producer = producer(&cluster);
    let transaction = block_on(producer.begin()).unwrap();
    let error = block_on(transaction.send_batch(batch(["a"]), orders(7))).unwrap_err();
    assert!(matches!(error.reason, SendErrorReason::UnknownPartition { .. }), "{error}");
    send(&transaction, 0, &["a"]);
    block_on(transaction.commit()).unwrap();
    assert_eq!(committed(&cluster, 0), ["a"]);
}

#[test]
fn closing_at_once_ends_everything() {
    let cluster = cluster(Release::NEWEST);
    let mut first = producer(&cluster);
    let transaction = block_on(first.begin()).unwrap();
    send(&transaction, 0, &["a"]);
    drop(transaction);
    block_on(first.close_at_once()).unwrap();
    let mut second = producer(&cluster);
    block_on(block_on(second.begin()).unwrap().commit()).unwrap();
    assert_eq!(committed(&cluster, 0), [""; 0]);
}

#[test]
fn a_producer_that_is_dropped_aborts_its_transaction() {
    let cluster = cluster(Release::NEWEST);
    let mut producer = producer(&cluster);
    let transaction = block_on(producer.begin()).unwrap();
    write(&transaction, 0, "a");
    drop(transaction);
    drop(producer);
    assert_eq!(committed(&cluster, 0), [""; 0]);
    let is_end = |request: &ReceivedRequest| request.api == ApiKey::EndTxn;
    assert!(cluster.requests().iter().any(is_end));
}

#[test]
fn settings_that_exclude_transactions_are_errors() {
    let builder = || RdkafkaProducer::builder().set("bootstrap.servers", "localhost:1");
    let error = block_on(builder().build_transactional()).unwrap_err();
    let BuildTransactionalError::Config(ConfigError::Setting { setting, .. }) = &error else { panic!("{error}") };
    assert_eq!(setting, "transactional.id");
    let error = builder().transactional_id(ID).build().unwrap_err();
    assert!(error.to_string().contains("build_transactional"), "{error}");
    let error = block_on(builder().transactional_id(ID).set("acks", "1").build_transactional()).unwrap_err();
    assert!(matches!(&error, BuildTransactionalError::Config(ConfigError::Conflict(_))), "{error}");
}

#[test]
fn a_transaction_timeout_that_is_too_long_is_fatal() {
    let cluster = cluster(Release::NEWEST);
    let builder = builder(&cluster).set("transaction.timeout.ms", "900001");
    let error = block_on(builder.build_transactional()).unwrap_err();
    let BuildTransactionalError::Init(InitTransactionsError::Fatal(cause)) = &error else { panic!("{error}") };
    assert_eq!(code(cause), 50, "INVALID_TRANSACTION_TIMEOUT");
}

#[test]
fn a_coordinator_that_is_not_there_is_waited_for_until_the_delivery_timeout() {
    let builder = RdkafkaProducer::builder()
        .set("bootstrap.servers", "127.0.0.1:1")
        .set("delivery.timeout.ms", "700")
        .transactional_id(ID);
    let error = block_on(builder.build_transactional()).unwrap_err();
    let BuildTransactionalError::Init(InitTransactionsError::TimedOut { limit, .. }) = &error else {
        panic!("{error}")
    };
    assert_eq!(*limit, Duration::from_millis(700));
    assert!(error.to_string().contains("try again"), "{error}");
}
