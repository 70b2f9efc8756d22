//! The broker's AddOffsetsToTxn responses.

use std::collections::BTreeSet;

use super::transactional::{code_for, outcome};
use super::{Broker, Call, ExecuteResult};
use crate::cluster::Cluster;
use crate::cluster::transactions::state::Participant;
use crate::cluster::transactions::transition::Protocol;
use crate::wire;
use crate::wire::add_offsets_to_txn::{AddOffsetsToTxnRequest, AddOffsetsToTxnResponse};

const INVALID_REQUEST: i16 = 42;

/// The first version that knows PRODUCER_FENCED.
const FENCED_SINCE: i16 = 2;

impl Broker {
    /// Responds to an AddOffsetsToTxn request.
    pub(super) fn add_offsets_to_txn(&mut self, call: &Call<'_>, cluster: &mut Cluster) -> ExecuteResult {
        let request = call.request;
        let body: AddOffsetsToTxnRequest = match self.body(request) {
            Ok(body) => body,
            Err(error) => return self.unreadable(request, error),
        };
        let added = outcome(call.fault, || {
            if body.transactional_id.is_empty() {
                return Err(INVALID_REQUEST);
            }
            let identity = (body.producer_id, body.producer_epoch);
            let participants = BTreeSet::from([Participant::Group(body.group_id)]);
            let (id, protocol) = (&body.transactional_id, Protocol::Classic);
            cluster.add_to_transaction(Some(self.id), id, identity, &participants, protocol, call.now)
        });
        let error_code = added.err().map_or(0, |code| code_for(request.version, FENCED_SINCE, code));
        let response = AddOffsetsToTxnResponse { throttle_time_ms: self.throttle.take().unwrap_or(0), error_code };
        ExecuteResult::Answer(wire::answer(request, request.version, &response))
    }
}
