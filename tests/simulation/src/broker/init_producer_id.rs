//! The broker's InitProducerId responses: without a transactional id, always a new producer id.

use kafka_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse};

use super::{AssignedIdentity, Broker, ExecuteResult, Intercept};
use crate::cluster::Cluster;
use crate::wire::{self, Request};

impl Broker {
    /// Responds to an InitProducerId request.
    pub(super) fn init_producer_id(
        &mut self,
        request: &Request,
        intercept: Option<&Intercept>,
        cluster: &mut Cluster,
    ) -> ExecuteResult {
        match wire::body::<InitProducerIdRequest>(request) {
            Ok(decoded) if decoded.transactional_id.is_some() => {
                self.report_violation("a transactional id, where there is no transaction".into());
            }
            Ok(_) => {}
            Err(error) => {
                self.report_violation(format!("an InitProducerId request that cannot be read: {error}"));
                return ExecuteResult::CloseConnection;
            }
        }
        let body = InitProducerIdResponse::default().with_throttle_time_ms(self.throttle.take().unwrap_or(0));
        let body = match intercept {
            Some(Intercept::Refuse { code, .. } | Intercept::DoAndRefuse { code }) => {
                body.with_error_code(*code).with_producer_id((-1).into()).with_producer_epoch(-1)
            }
            intercept => {
                let how = if let Some(Intercept::AssignedIdentity(how)) = intercept { Some(*how) } else { None };
                let (id, epoch) = assign(how, cluster);
                body.with_producer_id(id.into()).with_producer_epoch(epoch)
            }
        };
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
