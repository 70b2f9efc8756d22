//! The broker's FindCoordinator responses.

use super::transactional::Refusal;
use super::{Broker, Call, ExecuteResult, FaultKind};
use crate::cluster::Cluster;
use crate::cluster::transactions::CoordinatorKind;
use crate::wire;
use crate::wire::find_coordinator::{Coordinator, FindCoordinatorRequest, FindCoordinatorResponse};

const COORDINATOR_NOT_AVAILABLE: i16 = 15;
const INVALID_REQUEST: i16 = 42;

impl Broker {
    /// Responds to a FindCoordinator request.
    pub(super) fn find_coordinator(&mut self, call: &Call<'_>, cluster: &mut Cluster) -> ExecuteResult {
        let request = call.request;
        let body: FindCoordinatorRequest = match self.body(request) {
            Ok(body) => body,
            Err(error) => return self.unreadable(request, error),
        };
        let kind = match body.key_type {
            0 => Some(CoordinatorKind::Group),
            1 => Some(CoordinatorKind::Transaction),
            _ => None,
        };
        let keys = if request.version < 4 { vec![body.key] } else { body.coordinator_keys };
        let refusal = Refusal::of(call.fault);
        let mut coordinators: Vec<Coordinator> = Vec::new();
        for (position, key) in keys.into_iter().enumerate() {
            let found = match (refusal.and_then(|refusal| refusal.at(position)), kind) {
                (Some(code), _) => Err(code),
                (None, Some(kind)) => self.coordinator(call, kind, &key, cluster),
                (None, None) => Err(INVALID_REQUEST),
            };
            coordinators.push(match found {
                Ok((node_id, host, port)) => {
                    Coordinator { key, node_id, host, port: port.into(), ..Default::default() }
                }
                Err(error_code) => Coordinator { key, error_code, ..Default::default() },
            });
        }
        if call.fault == Some(&FaultKind::OmitFirst) && request.version >= 4 && !coordinators.is_empty() {
            coordinators.remove(0);
        }
        let throttle_time_ms = self.throttle.take().unwrap_or(0);
        let response = if request.version >= 4 {
            FindCoordinatorResponse { throttle_time_ms, coordinators, ..Default::default() }
        } else {
            let Coordinator { node_id, host, port, error_code, .. } = coordinators.swap_remove(0);
            let error_message =
                Some(if error_code == 0 { "NONE" } else { "The coordinator is not available." }.to_owned());
            FindCoordinatorResponse {
                throttle_time_ms,
                error_code,
                error_message,
                node_id,
                host,
                port,
                ..Default::default()
            }
        };
        ExecuteResult::Answer(wire::answer(request, request.version, &response))
    }

    /// Returns id and address of a coordinator, which is elected if nobody asked for it before.
    fn coordinator(
        &mut self,
        call: &Call<'_>,
        kind: CoordinatorKind,
        key: &str,
        cluster: &mut Cluster,
    ) -> Result<(i32, String, u16), i16> {
        if cluster.transactions.coordinators.epoch(kind, key).is_none() {
            let ready_at = call.now + self.variation.creation(&mut self.random);
            cluster.transactions.coordinators.ask_for(kind, ready_at);
            if ready_at == call.now {
                cluster.turn(call.now);
            }
        }
        let leader = cluster.coordinator(kind, key).ok_or(COORDINATOR_NOT_AVAILABLE)?;
        let (host, port) = cluster.member(leader).address(call.listener).ok_or(COORDINATOR_NOT_AVAILABLE)?;
        Ok((leader, host, port))
    }
}
