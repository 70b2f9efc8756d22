//! The broker's AddPartitionsToTxn responses. Clients use v0 to v3, for one transaction.

use std::collections::BTreeSet;

use super::transactional::{Refusal, code_for};
use super::{Broker, Call, ExecuteResult, FaultKind};
use crate::cluster::Cluster;
use crate::cluster::transactions::state::Participant;
use crate::cluster::transactions::transition::{INVALID_TXN_STATE, Protocol, TRANSACTION_ABORTABLE};
use crate::wire;
use crate::wire::add_partitions_to_txn::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnRequest, AddPartitionsToTxnResponse, AddPartitionsToTxnResult,
    AddPartitionsToTxnTopicResult, AddPartitionsToTxnTransaction,
};

const UNKNOWN_TOPIC: i16 = 3;
const INVALID_REQUEST: i16 = 42;
const OPERATION_NOT_ATTEMPTED: i16 = 55;

/// The first version that knows PRODUCER_FENCED.
const FENCED_SINCE: i16 = 2;
/// The first version for several transactions.
const SEVERAL_SINCE: i16 = 4;
/// The first version in which brokers add partitions on behalf of clients of level 2.
const LEVEL_2_SINCE: i16 = 5;

impl Broker {
    /// Responds to an AddPartitionsToTxn request.
    pub(super) fn add_partitions_to_txn(&mut self, call: &Call<'_>, cluster: &mut Cluster) -> ExecuteResult {
        let request = call.request;
        let body: AddPartitionsToTxnRequest = match self.body(request) {
            Ok(body) => body,
            Err(error) => return self.unreadable(request, error),
        };
        let throttle_time_ms = self.throttle.take().unwrap_or(0);
        let response = if request.version >= SEVERAL_SINCE {
            let each = body.transactions.iter().map(|transaction| AddPartitionsToTxnResult {
                transactional_id: transaction.transactional_id.clone(),
                topic_results: self.added(call, transaction, cluster),
            });
            let results_by_transaction = each.collect();
            AddPartitionsToTxnResponse { throttle_time_ms, results_by_transaction, ..Default::default() }
        } else {
            let transaction = AddPartitionsToTxnTransaction {
                transactional_id: body.v3_and_below_transactional_id,
                producer_id: body.v3_and_below_producer_id,
                producer_epoch: body.v3_and_below_producer_epoch,
                verify_only: false,
                topics: body.v3_and_below_topics,
            };
            let results_by_topic_v3_and_below = self.added(call, &transaction, cluster);
            AddPartitionsToTxnResponse { throttle_time_ms, results_by_topic_v3_and_below, ..Default::default() }
        };
        ExecuteResult::Answer(wire::answer(request, request.version, &response))
    }

    /// Adds the partitions of a transaction, or verifies that they are in it. Returns the outcome of each.
    fn added(
        &self,
        call: &Call<'_>,
        transaction: &AddPartitionsToTxnTransaction,
        cluster: &mut Cluster,
    ) -> Vec<AddPartitionsToTxnTopicResult> {
        let version = call.request.version;
        let refusal = Refusal::of(call.fault);
        let wanted: Vec<(&str, i32)> = transaction
            .topics
            .iter()
            .flat_map(|topic| topic.partitions.iter().map(|partition| (topic.name.as_str(), *partition)))
            .collect();
        let exists = |(topic, partition): &(&str, i32)| cluster.partition(topic, *partition).is_some();
        let all_exist = wanted.iter().all(exists);
        let participant = |(topic, partition): &(&str, i32)| Participant::Partition((*topic).to_owned(), *partition);
        let mut codes: Vec<i16> = if refusal.is_some_and(|refusal| !refusal.done) {
            vec![OPERATION_NOT_ATTEMPTED; wanted.len()]
        } else if !all_exist {
            // One that is missing fails the request.
            wanted.iter().map(|wanted| if exists(wanted) { OPERATION_NOT_ATTEMPTED } else { UNKNOWN_TOPIC }).collect()
        } else if transaction.verify_only {
            let identity = (transaction.producer_id, transaction.producer_epoch);
            let id = &transaction.transactional_id;
            let verified = wanted.iter().map(|wanted| {
                let participant = participant(wanted);
                cluster.verify_in_transaction(Some(self.id), id, identity, &participant, call.now)
            });
            verified.map(|verified| verified.err().unwrap_or(0)).collect()
        } else {
            let participants: BTreeSet<_> = wanted.iter().map(participant).collect();
            let code = self.add(call, transaction, &participants, cluster).err().unwrap_or(0);
            vec![code; wanted.len()]
        };
        for (position, code) in codes.iter_mut().enumerate() {
            *code = match refusal.and_then(|refusal| refusal.at(position)) {
                Some(refused) => refused,
                None if *code == TRANSACTION_ABORTABLE && version < LEVEL_2_SINCE => INVALID_TXN_STATE,
                None => code_for(version, FENCED_SINCE, *code),
            };
        }
        let mut codes = codes.into_iter();
        let each = transaction.topics.iter().map(|topic| AddPartitionsToTxnTopicResult {
            name: topic.name.clone(),
            results_by_partition: topic
                .partitions
                .iter()
                .zip(&mut codes)
                .map(|(partition, code)| AddPartitionsToTxnPartitionResult {
                    partition_index: *partition,
                    partition_error_code: code,
                })
                .collect(),
        });
        let mut results: Vec<_> = each.collect();
        if call.fault == Some(&FaultKind::OmitFirst) && !results.is_empty() {
            results.remove(0);
        }
        results
    }

    fn add(
        &self,
        call: &Call<'_>,
        transaction: &AddPartitionsToTxnTransaction,
        participants: &BTreeSet<Participant>,
        cluster: &mut Cluster,
    ) -> Result<(), i16> {
        let id = &transaction.transactional_id;
        if id.is_empty() {
            return Err(INVALID_REQUEST);
        }
        let is_level_2 = call.request.version >= LEVEL_2_SINCE;
        let protocol = if is_level_2 { Protocol::EpochBump } else { Protocol::Classic };
        let identity = (transaction.producer_id, transaction.producer_epoch);
        cluster.add_to_transaction(Some(self.id), id, identity, participants, protocol, call.now)
    }
}
