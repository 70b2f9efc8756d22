//! The broker's InitProducerId responses: without a transactional id, always a new producer id.

use super::{AssignedIdentity, Broker, Call, ExecuteResult, FaultKind};
use crate::cluster::Cluster;
use crate::wire;
use crate::wire::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};

const INVALID_REQUEST: i16 = 42;
const TRANSACTIONAL_ID_AUTHORIZATION_FAILED: i16 = 53;

impl Broker {
    /// Responds to an InitProducerId request.
    pub(super) fn init_producer_id(&mut self, call: &Call<'_>, cluster: &mut Cluster) -> ExecuteResult {
        let request = call.request;
        let decoded: InitProducerIdRequest = match self.body(request) {
            Ok(decoded) => decoded,
            Err(error) => return self.unreadable(request, error),
        };
        let mut body = InitProducerIdResponse {
            throttle_time_ms: self.throttle.take().unwrap_or(0),
            producer_epoch: -1,
            ..Default::default()
        };
        let is_half = (decoded.producer_id == -1) != (decoded.producer_epoch == -1);
        if is_half || decoded.transactional_id.as_deref() == Some("") {
            body.error_code = INVALID_REQUEST;
            return ExecuteResult::Answer(wire::answer(request, request.version, &body));
        }
        if decoded.transactional_id.is_some() {
            self.report_violation("a transactional id, where there are no transactions".into());
            body.error_code = TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
            return ExecuteResult::Answer(wire::answer(request, request.version, &body));
        }
        match call.fault {
            Some(FaultKind::Refuse { code, .. } | FaultKind::DoAndRefuse { code }) => body.error_code = *code,
            fault => {
                let how = if let Some(FaultKind::AssignedIdentity(how)) = fault { Some(*how) } else { None };
                (body.producer_id, body.producer_epoch) = assign(how, cluster);
            }
        }
        ExecuteResult::Answer(wire::answer(request, request.version, &body))
    }
}

/// Returns the identity to assign.
fn assign(how: Option<AssignedIdentity>, cluster: &mut Cluster) -> (i64, i16) {
    let last = cluster.assigned.last().copied();
    match (how, last) {
        (Some(AssignedIdentity::Again), Some(last)) => last,
        (Some(AssignedIdentity::First), Some(_)) => cluster.assigned[0],
        (Some(AssignedIdentity::LaterEpoch), Some((id, epoch))) if epoch < i16::MAX - 3 => {
            cluster.assign(id, epoch + 3)
        }
        (Some(AssignedIdentity::LateEpoch), _) => cluster.new_producer(i16::MAX - 1),
        (Some(AssignedIdentity::Invalid), _) => (-1, 0),
        _ => cluster.new_producer(0),
    }
}
