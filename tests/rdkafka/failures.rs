//! Accepted batches that fail: the reported fate of each record is correct.

use kafka_batch::protocol::ErrorCode;
use kafka_batch::transports::rdkafka::LibrdkafkaError;
use kafka_batch::{DeliveryError, FailureReason, Fate, KafkaBatch, Transport};
use kafka_batch_witnesses::rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use crate::cluster::{Cluster, t0};
use crate::futures::block_on;
use crate::log::{batch, counted};

const OK: RDKafkaRespErr = RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR;
const TOO_LARGE: RDKafkaRespErr = RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE;

#[track_caller]
fn failed(producer: &impl Transport, batch: &KafkaBatch) -> DeliveryError {
    let pending = block_on(producer.send_batch(batch.clone(), t0())).unwrap_or_else(|error| panic!("{error}"));
    let error = block_on(pending).unwrap_err();
    assert_eq!((error.batch.as_deref().unwrap(), &error.to), (batch, &t0()));
    error
}

#[test]
fn a_partial_failure_reports_the_written_records() {
    let cluster = Cluster::new();
    // Sets of two records, one request at a time, of which the second is rejected.
    let producer = cluster
        .builder()
        .set("batch.num.messages", "2")
        .set("max.in.flight", "1")
        .set("enable.idempotence", "false")
        .build()
        .unwrap();
    cluster.mock.request_errors(RDKafkaApiKey::Produce, &[OK, TOO_LARGE]);
    let values = counted(9);
    let error = failed(&producer, &batch(&values));
    assert_eq!(error.fate(), None, "{error}");
    let with = |fate| error.positions(fate).map(|position| values[position].clone()).collect::<Vec<_>>();
    assert_eq!(cluster.values(), with(Fate::Written));
    assert!(!with(Fate::NotWritten).is_empty() && with(Fate::Unknown).is_empty(), "{error}");
    assert!(error.may_have_been_written());
    assert_eq!(error.reason.code(), Some(ErrorCode(10)), "{error}");
}

#[test]
fn records_after_one_that_librdkafka_rejects_are_not_written() {
    let cluster = Cluster::new();
    let producer = cluster.builder().set("message.max.bytes", "1000").build().unwrap();
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
