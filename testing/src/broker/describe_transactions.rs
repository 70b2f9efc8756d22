//! The broker's DescribeTransactions responses.

use super::transactional::Refusal;
use super::{Broker, Call, ExecuteResult};
use crate::cluster::Cluster;
use crate::cluster::transactions::Transaction;
use crate::wire;
use crate::wire::describe_transactions::{
    DescribeTransactionsRequest, DescribeTransactionsResponse, DescribedTopic, TransactionDescription,
};

const INVALID_REQUEST: i16 = 42;
const TRANSACTIONAL_ID_NOT_FOUND: i16 = 105;

impl Broker {
    /// Responds to a DescribeTransactions request.
    pub(super) fn describe_transactions(&mut self, call: &Call<'_>, cluster: &Cluster) -> ExecuteResult {
        let request = call.request;
        let body: DescribeTransactionsRequest = match self.body(request) {
            Ok(body) => body,
            Err(error) => return self.unreadable(request, error),
        };
        let refusal = Refusal::of(call.fault);
        let described = body.transactional_ids.into_iter().enumerate().map(|(position, id)| {
            let found = match refusal.and_then(|refusal| refusal.at(position)) {
                Some(code) => Err(code),
                None if id.is_empty() => Err(INVALID_REQUEST),
                None => cluster.describe_transaction(self.id, &id, call.now),
            };
            match found.and_then(|found| found.ok_or(TRANSACTIONAL_ID_NOT_FOUND)) {
                Ok(found) => {
                    let started = found.started.map_or(-1, |started| cluster.wall_clock(started));
                    description(found, started)
                }
                Err(error_code) => TransactionDescription { error_code, transactional_id: id, ..Default::default() },
            }
        });
        let transaction_states = described.collect();
        let throttle_time_ms = self.throttle.take().unwrap_or(0);
        let response = DescribeTransactionsResponse { throttle_time_ms, transaction_states };
        ExecuteResult::Answer(wire::answer(request, request.version, &response))
    }
}

/// Describes a transaction. Its groups, which are partitions of `__consumer_offsets` in Kafka, are left out.
fn description(found: Transaction, started: i64) -> TransactionDescription {
    let partitions = if found.pending_partitions.is_empty() { found.partitions } else { found.pending_partitions };
    let mut topics: Vec<DescribedTopic> = Vec::new();
    for (topic, partition) in partitions {
        match topics.last_mut().filter(|last| last.topic == topic) {
            Some(last) => last.partitions.push(partition),
            None => topics.push(DescribedTopic { topic, partitions: vec![partition] }),
        }
    }
    TransactionDescription {
        error_code: 0,
        transactional_id: found.transactional_id,
        transaction_state: format!("{:?}", found.state),
        transaction_timeout_ms: i32::try_from(found.timeout.as_millis()).unwrap_or(i32::MAX),
        transaction_start_time_ms: started,
        producer_id: found.producer_id,
        producer_epoch: found.producer_epoch,
        topics,
    }
}
