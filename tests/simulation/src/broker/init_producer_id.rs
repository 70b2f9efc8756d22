//! The broker's InitProducerId responses: without a transactional id, always a new producer id.

use kafka_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse};

use super::{Broker, Done, HandOut, Intercept};
use crate::cluster::Cluster;
use crate::wire::{self, Request};

impl Broker {
    /// Answers an InitProducerId request.
    pub(super) fn init_producer_id(
        &mut self,
        request: &Request,
        intercept: Option<&Intercept>,
        cluster: &mut Cluster,
    ) -> Done {
        match wire::body::<InitProducerIdRequest>(request) {
            Ok(asked) if asked.transactional_id.is_some() => {
                self.complain("a transactional id, where there is no transaction".into());
            }
            Ok(_) => {}
            Err(error) => {
                self.complain(format!("an InitProducerId request that cannot be read: {error}"));
                return Done::HangUp;
            }
        }
        let body = InitProducerIdResponse::default().with_throttle_time_ms(self.throttle.take().unwrap_or(0));
        let body = match intercept {
            Some(Intercept::Refuse { code, .. } | Intercept::DoAndRefuse { code }) => {
                body.with_error_code(*code).with_producer_id((-1).into()).with_producer_epoch(-1)
            }
            intercept => {
                let how = if let Some(Intercept::HandOut(how)) = intercept { Some(*how) } else { None };
                let (id, epoch) = hand_out(how, cluster);
                body.with_producer_id(id.into()).with_producer_epoch(epoch)
            }
        };
        Done::Answer(wire::answer(request, request.version, &body))
    }
}

/// The identity that is handed out.
fn hand_out(how: Option<HandOut>, cluster: &mut Cluster) -> (i64, i16) {
    let last = cluster.handed_out.last().copied();
    match (how, last) {
        (Some(HandOut::Again), Some(last)) => last,
        (Some(HandOut::First), Some(_)) => cluster.handed_out[0],
        (Some(HandOut::LaterEpoch), Some((id, epoch))) if epoch < i16::MAX - 3 => cluster.hand_out(id, epoch + 3),
        (Some(HandOut::LateEpoch), _) => cluster.new_producer(i16::MAX - 1),
        (Some(HandOut::Invalid), _) => (-1, 0),
        _ => cluster.new_producer(0),
    }
}
