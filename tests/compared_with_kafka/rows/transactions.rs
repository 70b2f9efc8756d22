//! Coordinators and transactions: what is refused, and the beginning of a transaction. What follows one another is compared by
//! the suite `same_as_kafka` of `testing`, in random dialogues.

use kafka_batch_witnesses::kafka_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use kafka_batch_witnesses::kafka_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use kafka_batch_witnesses::kafka_protocol::messages::{
    AddOffsetsToTxnRequest, AddPartitionsToTxnRequest, DescribeTransactionsRequest, EndTxnRequest,
    FindCoordinatorRequest, GroupId, InitProducerIdRequest, ProducerId, TransactionalId, TxnOffsetCommitRequest,
};

use super::produce::send;
use crate::batch::Batch;
use crate::requests::{fetch, fetch_topic, fetched, list_offsets, name, offset_at, produce, sets, text};
use crate::setup::{PLAIN, TRANSACTIONAL_ID};
use crate::table::Table;
use crate::target::Target;

fn id(id: &str) -> TransactionalId {
    TransactionalId(text(id))
}

/// Adds partitions of a topic, as a producer that no coordinator knows if there is no target.
fn add_partitions(target: Option<&Target>, topic: &str, partitions: Vec<i32>) -> AddPartitionsToTxnRequest {
    let (producer, epoch) = target.map_or((5, 0), |target| target.producer);
    let known = if target.is_some() { TRANSACTIONAL_ID } else { "unknown" };
    AddPartitionsToTxnRequest::default()
        .with_v3_and_below_transactional_id(id(known))
        .with_v3_and_below_producer_id(ProducerId(producer))
        .with_v3_and_below_producer_epoch(epoch)
        .with_v3_and_below_topics(vec![
            AddPartitionsToTxnTopic::default().with_name(name(topic)).with_partitions(partitions),
        ])
}

fn transactional(producer: (i64, i16), sequence: i32) -> Batch {
    Batch { attributes: 0x10, ..Batch::stamped(producer.0, producer.1, sequence, 1) }
}

pub(crate) fn add(table: &mut Table) {
    coordinators(table);
    unknown(table);
    for version in [3, 9, 11, 12] {
        let row = format!("a transactional batch without a transactional id, in v{version}");
        send(table, row, version, transactional((900, 0), 0).bytes());
    }
    let control = Batch { attributes: 0x30, ..Batch::stamped(901, 0, 0, 1) };
    send(table, "a transactional control batch without a transactional id", 12, control.bytes());
    for timeout in [0, -1, 900_001, i32::MAX] {
        let request = InitProducerIdRequest::default()
            .with_transactional_id(Some(id("timed")))
            .with_transaction_timeout_ms(timeout);
        table.ask(format!("a transactional id with a time-out of {timeout} ms"), 4, request);
    }
    begun(table);
}

fn coordinators(table: &mut Table) {
    let of = |version, key: &str, key_type: i8| {
        let request = FindCoordinatorRequest::default();
        let request = if version >= 1 { request.with_key_type(key_type) } else { request };
        if version >= 4 { request.with_coordinator_keys(vec![text(key)]) } else { request.with_key(text(key)) }
    };
    for version in 0..=6 {
        table.ask(format!("the coordinator of a group, in v{version}"), version, of(version, "group", 0));
        if version > 0 {
            let request = of(version, TRANSACTIONAL_ID, 1);
            table.ask(format!("the coordinator of a transactional id, in v{version}"), version, request);
        }
    }
    for version in [1, 4] {
        table.ask(format!("the coordinator of an unknown kind, in v{version}"), version, of(version, "key", 9));
    }
    table.ask("the coordinator of no key", 4, FindCoordinatorRequest::default());
    let two = FindCoordinatorRequest::default().with_coordinator_keys(vec![text("a"), text("b")]);
    table.ask("the coordinators of two groups", 4, two);
}

fn unknown(table: &mut Table) {
    for version in 0..=3 {
        let request = add_partitions(None, PLAIN, vec![0]);
        table.ask(format!("partitions for an unknown transactional id, in v{version}"), version, request);
    }
    for version in 0..=5 {
        let request = EndTxnRequest::default()
            .with_transactional_id(id("unknown"))
            .with_producer_id(ProducerId(5))
            .with_committed(true);
        table.ask(format!("the end of an unknown transaction, in v{version}"), version, request);
    }
    for version in 0..=4 {
        let request = AddOffsetsToTxnRequest::default()
            .with_transactional_id(id("unknown"))
            .with_producer_id(ProducerId(5))
            .with_group_id(GroupId(text("group")));
        table.ask(format!("a group for an unknown transactional id, in v{version}"), version, request);
    }
    for (what, unknown) in [("an unknown transactional id", "unknown"), ("an empty transactional id", "")] {
        let request = DescribeTransactionsRequest::default().with_transactional_ids(vec![id(unknown)]);
        table.ask(format!("the transaction of {what}"), 0, request);
    }
    for version in 3..=5 {
        let partition = TxnOffsetCommitRequestPartition::default().with_partition_index(0).with_committed_offset(3);
        let topic = TxnOffsetCommitRequestTopic::default().with_name(name(PLAIN)).with_partitions(vec![partition]);
        let request = TxnOffsetCommitRequest::default()
            .with_transactional_id(id("unknown"))
            .with_group_id(GroupId(text("group")))
            .with_producer_id(ProducerId(5))
            .with_topics(vec![topic]);
        // Until v4 nothing asks the coordinator of the transaction, which is none.
        if version >= 5 {
            table.ask(format!("offsets for an unknown transactional id, in v{version}"), version, request);
        }
    }
}

/// The transaction of the producer that was made for these rows.
fn begun(table: &mut Table) {
    let (first, second) = (table.partition(), table.partition());
    let row = "a partition of a topic that does not exist, for a transaction";
    table.ask_with(row, 3, |target| add_partitions(Some(target), "unknown", vec![0]));
    table.ask_with("a transactional batch for a partition that was not added", 11, move |target| {
        let batch = Some(transactional(target.producer, 0).bytes());
        produce(-1, vec![sets(11, target, PLAIN, vec![(first, batch)])])
            .with_transactional_id(Some(id(TRANSACTIONAL_ID)))
    });
    table.ask_with("a partition for a transaction", 3, move |target| add_partitions(Some(target), PLAIN, vec![first]));
    table.ask_with("the same partition again", 3, move |target| add_partitions(Some(target), PLAIN, vec![first]));
    table.ask_with("a transactional batch", 11, move |target| {
        let batch = Some(transactional(target.producer, 0).bytes());
        produce(-1, vec![sets(11, target, PLAIN, vec![(first, batch)])])
            .with_transactional_id(Some(id(TRANSACTIONAL_ID)))
    });
    table.ask_with("a transactional batch, again", 11, move |target| {
        let batch = Some(transactional(target.producer, 0).bytes());
        produce(-1, vec![sets(11, target, PLAIN, vec![(first, batch)])])
            .with_transactional_id(Some(id(TRANSACTIONAL_ID)))
    });
    table.ask_with("a transactional batch that adds its partition", 12, move |target| {
        let batch = Some(transactional(target.producer, 0).bytes());
        produce(-1, vec![sets(12, target, PLAIN, vec![(second, batch)])])
            .with_transactional_id(Some(id(TRANSACTIONAL_ID)))
    });
    let request = DescribeTransactionsRequest::default().with_transactional_ids(vec![id(TRANSACTIONAL_ID)]);
    table.ask("an open transaction", 0, request);
    for level in [0, 1] {
        let request = list_offsets(PLAIN, vec![offset_at(first, -1)]).with_isolation_level(level);
        table.ask(format!("the end of an open transaction, with the isolation level {level}"), 7, request);
    }
    table.ask_with("the records of an open transaction, committed only", 12, move |target| {
        fetch(vec![fetch_topic(12, target, PLAIN, vec![fetched(first, 0)])]).with_isolation_level(1)
    });
    table.ask_with("the end of a transaction by an older epoch", 4, |target| {
        EndTxnRequest::default()
            .with_transactional_id(id(TRANSACTIONAL_ID))
            .with_producer_id(ProducerId(target.producer.0))
            .with_producer_epoch(target.producer.1 - 1)
            .with_committed(true)
    });
    table.ask_with("the end of a transaction by another producer id", 4, |target| {
        EndTxnRequest::default()
            .with_transactional_id(id(TRANSACTIONAL_ID))
            .with_producer_id(ProducerId(target.producer.0 + 1_000_000))
            .with_producer_epoch(target.producer.1)
            .with_committed(true)
    });
    table.ask_with("the abort of a transaction", 5, |target| {
        EndTxnRequest::default()
            .with_transactional_id(id(TRANSACTIONAL_ID))
            .with_producer_id(ProducerId(target.producer.0))
            .with_producer_epoch(target.producer.1)
            .with_committed(false)
    });
}
