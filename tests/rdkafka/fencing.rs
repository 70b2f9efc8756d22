//! Producers over librdkafka that are fenced, and what is certain then.

use std::thread;
use std::time::Duration;

use kafka_batch::TopicPartition;
use kafka_batch::transaction::{AbortError, BeginError, CommitError, GroupMetadata};
use kafka_batch::transports::rdkafka::TransactionalProducer;
use kafka_batch_testing::{ApiKey, CoordinatorKind, Fault, FaultKind, ReceivedRequest, Release, TestCluster};

use crate::futures::block_on;
use crate::log::batch;
use crate::transactions::{ID, PATIENCE, RELEASES, builder, cluster, committed, orders, producer, send, write};

/// A producer whose librdkafka repeats requests late, so that its errors of the coordinator answer the first request for certain.
fn patient_producer(cluster: &TestCluster) -> TransactionalProducer {
    let builder = builder(cluster).set("retry.backoff.ms", "5000").set("retry.backoff.max.ms", "5000");
    block_on(builder.build_transactional()).unwrap()
}

#[test]
fn a_second_producer_with_the_id_fences_the_first() {
    for release in RELEASES {
        let cluster = cluster(release);
        let mut first = patient_producer(&cluster);
        let transaction = block_on(first.begin()).unwrap();
        write(&transaction, 0, "of the first");
        let mut second = producer(&cluster);
        let error = block_on(transaction.commit()).unwrap_err();
        assert!(matches!(error, CommitError::Fenced(_)), "{release:?}: {error}");
        assert!(matches!(block_on(first.begin()).unwrap_err(), BeginError::Fenced(_)));
        let transaction = block_on(second.begin()).unwrap();
        send(&transaction, 0, &["of the second"]);
        block_on(transaction.commit()).unwrap();
        assert_eq!(committed(&cluster, 0), ["of the second"], "{release:?}");
    }
}

#[test]
fn a_fenced_producer_learns_of_it_by_what_it_sends_first() {
    let cluster = cluster(Release::NEWEST);
    let mut first = patient_producer(&cluster);
    let transaction = block_on(first.begin()).unwrap();
    write(&transaction, 0, "before");
    let _second = producer(&cluster);
    block_on(block_on(transaction.send_batch(batch(["after"]), orders(0))).unwrap()).unwrap_err();
    let sent = block_on(transaction.send_offsets(&GroupMetadata::unfenced("g"), [(TopicPartition::new("in", 0), 5)]));
    assert!(sent.is_err());
    let error = block_on(transaction.commit()).unwrap_err();
    assert!(matches!(error, CommitError::Fenced(_)), "{error}");
    assert_eq!(committed(&cluster, 0), [""; 0]);

    let mut third = patient_producer(&cluster);
    let transaction = block_on(third.begin()).unwrap();
    write(&transaction, 0, "before");
    let _fourth = producer(&cluster);
    let error = block_on(transaction.abort()).unwrap_err();
    assert!(matches!(error, AbortError::Fenced(_)), "{error}");
}

#[test]
fn a_producer_whose_transaction_timed_out_cannot_be_told_from_a_fenced_one() {
    let cluster = cluster(Release::NEWEST);
    let mut producer = patient_producer(&cluster);
    let transaction = block_on(producer.begin()).unwrap();
    write(&transaction, 0, "too late");
    assert!(cluster.time_out_transaction(ID));
    let error = block_on(transaction.commit()).unwrap_err();
    assert!(matches!(error, CommitError::Fenced(_)), "{error}");
    assert_eq!(committed(&cluster, 0), [""; 0]);
}

#[test]
fn whether_a_commit_without_response_succeeded_is_unknown_once_another_has_taken_over() {
    for release in [Release::V3_9, Release::NEWEST] {
        let cluster = cluster(release);
        let mut first = producer(&cluster);
        let transaction = block_on(first.begin()).unwrap();
        write(&transaction, 0, "committed");
        let coordinator = cluster.coordinator(CoordinatorKind::Transaction, ID).unwrap();
        let withheld = FaultKind::DelayResponse(Duration::MAX);
        cluster.inject(Fault::new(withheld).api(ApiKey::EndTxn).transactional_id(ID));
        let outcome = thread::scope(|scope| {
            let outcome = scope.spawn(|| block_on(transaction.commit()));
            let is_end = |request: &ReceivedRequest| request.api == ApiKey::EndTxn;
            assert!(cluster.wait_for_request(PATIENCE, is_end).is_some());
            let second = producer(&cluster);
            cluster.cut(coordinator);
            let outcome = outcome.join().unwrap();
            drop(second);
            outcome
        });
        let error = outcome.unwrap_err();
        assert!(matches!(error, CommitError::Unknown(_)), "{release:?}: {error}");
        let error = block_on(first.begin()).unwrap_err();
        assert!(matches!(error, BeginError::Fenced(_)), "{error}");
        assert_eq!(committed(&cluster, 0), ["committed"]);
    }
}
