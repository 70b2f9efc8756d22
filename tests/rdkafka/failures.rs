//! Batches that were accepted and failed: what is said of each record is true of the log.

use std::time::Duration;

use kafka_batch::protocol::ErrorCode;
use kafka_batch::rdkafka::LibrdkafkaError;
use kafka_batch::{DeliveryError, FailureReason, Fate, KafkaBatch, Transport};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use crate::cluster::{Cluster, batch, counted, t0};
use crate::futures::block_on;

const OK: RDKafkaRespErr = RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR;
const TOO_LARGE: RDKafkaRespErr = RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE;

#[track_caller]
fn failed(producer: &impl Transport, batch: &KafkaBatch) -> DeliveryError {
    let pending = block_on(producer.send_batch(batch.clone(), t0())).unwrap_or_else(|error| panic!("{error}"));
    let error = block_on(pending).unwrap_err();
    assert_eq!((&*error.batch, &error.to), (batch, &t0()));
    error
}

#[test]
fn a_batch_that_the_broker_refuses_is_not_written() {
    let cluster = Cluster::new();
    let producer = cluster.producer();
    cluster.mock.request_errors(RDKafkaApiKey::Produce, &[TOO_LARGE]);
    let error = failed(&producer, &batch(["v"]));
    assert!(matches!(error.reason, FailureReason::Broker { code: ErrorCode(10), .. }), "{error}");
    assert_eq!(error.fate(), Some(Fate::NotWritten));
    assert_eq!(cluster.log(), []);
    let again = block_on(block_on(producer.send_batch(*error.batch, t0())).unwrap()).unwrap();
    assert_eq!(again.base_offset(), Some(0));
}

#[test]
fn a_partial_failure_says_which_records_landed() {
    let cluster = Cluster::new();
    // Sets of two records, one request at a time, of which the second is refused.
    let producer = cluster
        .builder()
        .set("batch.num.messages", "2")
        .set("max.in.flight", "1")
        .set("enable.idempotence", "false")
        .create()
        .unwrap();
    cluster.mock.request_errors(RDKafkaApiKey::Produce, &[OK, TOO_LARGE]);
    let values = counted(9);
    let error = failed(&producer, &batch(&values));
    assert_eq!(error.fate(), None, "{error}");
    let with = |fate| error.positions(fate).map(|position| values[position].clone()).collect::<Vec<_>>();
    assert_eq!(cluster.values(), with(Fate::Written));
    assert!(!with(Fate::NotWritten).is_empty() && with(Fate::Unknown).is_empty(), "{error}");
    assert!(error.may_have_been_written());
    assert!(matches!(error.reason, FailureReason::Broker { code: ErrorCode(10), .. }), "{error}");
}

#[test]
fn records_behind_one_that_librdkafka_refuses_are_not_written() {
    let cluster = Cluster::new();
    let producer = cluster.builder().set("message.max.bytes", "1000").create().unwrap();
    let values = [vec![b'a'; 10], vec![b'b'; 20], vec![b'c'; 2_000], vec![b'd'; 10]];
    let error = failed(&producer, &batch(&values));
    let fates: Vec<_> = (0..4).filter_map(|position| error.fate_of(position)).collect();
    assert_eq!(fates, [Fate::Written, Fate::Written, Fate::NotWritten, Fate::NotWritten]);
    match &error.reason {
        FailureReason::Transport(reason) => assert_eq!(reason.downcast_ref::<LibrdkafkaError>().unwrap().code, 10),
        other => panic!("{other:?}"),
    }
    assert_eq!(cluster.log().len(), 2);
}

#[test]
fn a_batch_that_waits_for_a_leader_in_vain_is_not_written() {
    let cluster = Cluster::held();
    let producer = cluster.builder().set("message.timeout.ms", "500").create().unwrap();
    let error = failed(&producer, &batch(["v", "w"]));
    assert!(matches!(error.reason, FailureReason::TimedOut), "{error}");
    assert_eq!(error.fate(), Some(Fate::NotWritten));
    assert!(error.is_retriable() && !error.may_have_been_written());
}

#[test]
fn a_batch_whose_answer_does_not_come_may_have_been_written() {
    let cluster = Cluster::new();
    let producer = cluster.builder().set("message.timeout.ms", "3000").create().unwrap();
    block_on(block_on(producer.send_batch(batch(["heard of"]), t0())).unwrap()).unwrap();
    cluster.mock.broker_round_trip_time(-1, Duration::from_secs(20)).unwrap();
    let error = failed(&producer, &batch(["not heard of"]));
    assert!(matches!(error.reason, FailureReason::TimedOut), "{error}");
    assert_eq!(error.fate(), Some(Fate::Unknown));
    assert!(error.may_have_been_written());
    cluster.mock.broker_round_trip_time(-1, Duration::ZERO).unwrap();
    assert_eq!(cluster.values().len(), 2, "and so it was");
}

#[test]
fn errors_that_pass_are_retried_without_loss_and_in_order() {
    let cluster = Cluster::new();
    let producer = cluster.builder().set("retry.backoff.ms", "1").create().unwrap();
    cluster.mock.request_errors(
        RDKafkaApiKey::Produce,
        &[
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__TRANSPORT, // the mock broker hangs up
        ],
    );
    let values = counted(100);
    let pending: Vec<_> =
        values.chunks(10).map(|values| block_on(producer.send_batch(batch(values), t0())).unwrap()).collect();
    for (number, pending) in pending.into_iter().enumerate() {
        assert_eq!(block_on(pending).unwrap().base_offset(), Some(10 * number as i64));
    }
    assert_eq!(cluster.values(), values);
}
