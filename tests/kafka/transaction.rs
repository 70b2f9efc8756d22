//! Producer ids, and a transactional producer, request by request (KIP-98, KIP-890).

use kafka_batch::KafkaBatch;
use kafka_batch::batch::Stamp;
use kafka_batch::protocol::{ErrorCode, InitProducerIdResponse};
use kafka_batch_witnesses::kafka_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use kafka_batch_witnesses::kafka_protocol::messages::{
    AddPartitionsToTxnRequest, EndTxnRequest, FindCoordinatorRequest, ProducerId, TopicName, TransactionalId,
};

use super::broker::{unique, until};
use super::wire::{Topic, Wire, text};

/// Whether the partitions of a transaction are added before they are written to, or by writing to them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Protocol {
    /// AddPartitionsToTxn, Produce up to v11, EndTxn up to v4; the epoch stays.
    Classic,
    /// Produce v12 and newer, EndTxn v5; each transaction has another epoch (`transaction.version` 2).
    Implicit,
}

#[derive(Debug)]
pub(crate) struct Producer<'w> {
    wire: &'w mut Wire,
    protocol: Protocol,
    pub(crate) transactional_id: String,
    pub(crate) id: i64,
    pub(crate) epoch: i16,
    next_sequence: i32,
}

impl<'w> Producer<'w> {
    pub(crate) fn new(wire: &'w mut Wire, protocol: Protocol) -> Self {
        let transactional_id = unique("transactional");
        let request = FindCoordinatorRequest::default().with_key(text(&transactional_id)).with_key_type(1);
        done("FindCoordinator", || ErrorCode(wire.ask(3, &request).error_code));
        let (id, epoch) = new_producer(wire, Some(&transactional_id));
        Self { wire, protocol, transactional_id, id, epoch, next_sequence: 0 }
    }

    /// Appends a batch to the current transaction, or starts one with it. Returns its first sequence number.
    pub(crate) fn append(&mut self, version: i16, to: (&Topic, i32), batch: KafkaBatch) -> i32 {
        if self.protocol == Protocol::Classic {
            self.add(to);
        }
        let sequence = self.next_sequence;
        self.next_sequence += batch.record_count() as i32;
        let stamp = Stamp::default().producer(self.id, self.epoch, sequence).transactional(true);
        let batch = batch.seal().unwrap().stamp(stamp).unwrap();
        done("Produce", || {
            let answer = self.wire.produce(version, Some(&self.transactional_id), to, &batch);
            answer.unwrap().error_code
        });
        sequence
    }

    fn add(&mut self, (topic, partition): (&Topic, i32)) {
        let partitions =
            AddPartitionsToTxnTopic::default().with_name(TopicName(text(&topic.name))).with_partitions(vec![partition]);
        let request = AddPartitionsToTxnRequest::default()
            .with_v3_and_below_transactional_id(TransactionalId(text(&self.transactional_id)))
            .with_v3_and_below_producer_id(ProducerId(self.id))
            .with_v3_and_below_producer_epoch(self.epoch)
            .with_v3_and_below_topics(vec![partitions]);
        done("AddPartitionsToTxn", || {
            let answer = self.wire.ask(3, &request);
            let topic = &answer.results_by_topic_v3_and_below[0];
            ErrorCode(topic.results_by_partition[0].partition_error_code)
        });
    }

    /// Commits or aborts, and waits until the marker is in the partition.
    pub(crate) fn end(&mut self, committed: bool, (topic, partition): (&Topic, i32)) {
        let request = EndTxnRequest::default()
            .with_transactional_id(TransactionalId(text(&self.transactional_id)))
            .with_producer_id(ProducerId(self.id))
            .with_producer_epoch(self.epoch)
            .with_committed(committed);
        let version = if self.protocol == Protocol::Classic { 4 } else { 5 };
        let answer = self.wire.ask(version, &request);
        assert_eq!(ErrorCode(answer.error_code), ErrorCode::NONE, "EndTxn v{version}");
        if self.protocol == Protocol::Implicit {
            assert_eq!((answer.producer_id.0, answer.producer_epoch), (self.id, self.epoch + 1));
            self.epoch = answer.producer_epoch;
            self.next_sequence = 0;
        }
        until("the transaction's marker", || {
            let answer = self.wire.fetch((topic, partition), 0, true);
            (answer.last_stable_offset == answer.high_watermark).then_some(())
        });
    }
}

/// Returns the id and epoch of a new producer without transactions.
pub(crate) fn idempotent_producer(wire: &mut Wire) -> (i64, i16) {
    new_producer(wire, None)
}

fn new_producer(wire: &mut Wire, transactional_id: Option<&str>) -> (i64, i16) {
    let mut answer: Option<InitProducerIdResponse> = None;
    done("InitProducerId", || answer.insert(wire.init_producer_id(transactional_id)).error_code);
    let InitProducerIdResponse { producer_id, producer_epoch, .. } = answer.unwrap();
    (producer_id, producer_epoch)
}

/// Repeats a request until the coordinator is available and has finished earlier work. Retriable errors mean that
/// nothing was done.
fn done(what: &str, mut ask: impl FnMut() -> ErrorCode) {
    until(what, || {
        let code = ask();
        assert!(!code.is_error() || code.is_retriable(), "{what}: {code}");
        (!code.is_error()).then_some(())
    });
}
