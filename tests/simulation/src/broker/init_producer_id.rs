//! InitProducerId, as a broker answers it: without a transactional id, there is always a new producer id.

use kafka_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse};

use super::{Broker, Done, Intercept};
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
            _ => body.with_producer_id(cluster.new_producer().into()).with_producer_epoch(0),
        };
        Done::Answer(wire::answer(request, request.version, &body))
    }
}
