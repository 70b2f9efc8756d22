//! The broker's EndTxn responses.

use super::transactional::{code_for, outcome};
use super::{Broker, Call, ExecuteResult};
use crate::cluster::Cluster;
use crate::cluster::transactions::transition::Protocol;
use crate::wire;
use crate::wire::end_txn::{EndTxnRequest, EndTxnResponse};

const INVALID_REQUEST: i16 = 42;

/// The first version that knows PRODUCER_FENCED.
const FENCED_SINCE: i16 = 2;
/// The first version that increments the epoch (KIP-890).
const LEVEL_2_SINCE: i16 = 5;

impl Broker {
    /// Responds to an EndTxn request.
    pub(super) fn end_txn(&mut self, call: &Call<'_>, cluster: &mut Cluster) -> ExecuteResult {
        let request = call.request;
        let body: EndTxnRequest = match self.body(request) {
            Ok(body) => body,
            Err(error) => return self.unreadable(request, error),
        };
        let ended = outcome(call.fault, || {
            if body.transactional_id.is_empty() {
                return Err(INVALID_REQUEST);
            }
            let is_level_2 = request.version >= LEVEL_2_SINCE;
            let protocol = if is_level_2 { Protocol::EpochBump } else { Protocol::Classic };
            let identity = (body.producer_id, body.producer_epoch);
            cluster.end_transaction(self.id, &body.transactional_id, identity, body.committed, protocol, call.now)
        });
        let mut response = EndTxnResponse { throttle_time_ms: self.throttle.take().unwrap_or(0), ..Default::default() };
        match ended {
            Ok(identity) => (response.producer_id, response.producer_epoch) = identity,
            Err(code) => response.error_code = code_for(request.version, FENCED_SINCE, code),
        }
        ExecuteResult::Answer(wire::answer(request, request.version, &response))
    }
}
