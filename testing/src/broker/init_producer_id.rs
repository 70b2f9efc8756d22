//! The broker's InitProducerId responses: without a transactional id always a new producer id, with one what its coordinator
//! says.

use super::transactional::{code_for, outcome};
use super::{AssignedProducerId, Broker, Call, ExecuteResult, FaultKind};
use crate::Moment;
use crate::cluster::Cluster;
use crate::wire;
use crate::wire::init_producer_id::{InitProducerIdRequest, InitProducerIdResponse};

const INVALID_REQUEST: i16 = 42;
const INVALID_TRANSACTION_TIMEOUT: i16 = 50;

/// The first version that knows PRODUCER_FENCED.
const FENCED_SINCE: i16 = 4;

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
        if let Some(id) = &decoded.transactional_id {
            let initialised = outcome(call.fault, || self.init_transactional_id(call, id, &decoded, cluster));
            match initialised {
                Ok(identity) => (body.producer_id, body.producer_epoch) = identity,
                Err(code) => body.error_code = code_for(request.version, FENCED_SINCE, code),
            }
            return ExecuteResult::Answer(wire::answer(request, request.version, &body));
        }
        match call.fault {
            Some(FaultKind::Refuse { code, .. } | FaultKind::ExecuteAndRefuse { code }) => body.error_code = *code,
            fault => {
                let how = if let Some(FaultKind::AssignedProducerId(how)) = fault { Some(*how) } else { None };
                (body.producer_id, body.producer_epoch) = assign(how, cluster);
            }
        }
        ExecuteResult::Answer(wire::answer(request, request.version, &body))
    }

    /// Initialises a transactional id. Returns its producer id and epoch.
    fn init_transactional_id(
        &self,
        call: &Call<'_>,
        id: &str,
        request: &InitProducerIdRequest,
        cluster: &mut Cluster,
    ) -> Result<(i64, i16), i16> {
        let expected = Some((request.producer_id, request.producer_epoch)).filter(|(producer, _)| *producer != -1);
        let timeout_ms = request.transaction_timeout_ms;
        if !(1..=cluster.settings.transaction_max_timeout_ms).contains(&timeout_ms) {
            return Err(INVALID_TRANSACTION_TIMEOUT);
        }
        let timeout = Moment::from_millis(timeout_ms.unsigned_abs().into());
        let late_epoch = call.fault == Some(&FaultKind::AssignedProducerId(AssignedProducerId::LateEpoch));
        cluster.init_transactional(self.id, id, expected, timeout, late_epoch, call.now)
    }
}

/// Returns the identity to assign.
fn assign(how: Option<AssignedProducerId>, cluster: &mut Cluster) -> (i64, i16) {
    let last = cluster.assigned.last().copied();
    match (how, last) {
        (Some(AssignedProducerId::Again), Some(last)) => last,
        (Some(AssignedProducerId::First), Some(_)) => cluster.assigned[0],
        (Some(AssignedProducerId::LaterEpoch), Some((id, epoch))) if epoch < i16::MAX - 3 => {
            cluster.assign(id, epoch + 3)
        }
        (Some(AssignedProducerId::LateEpoch), _) => cluster.new_producer(i16::MAX - 1),
        (Some(AssignedProducerId::Invalid), _) => (-1, 0),
        _ => cluster.new_producer(0),
    }
}
