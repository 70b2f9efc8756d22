//! Producer ids: when one is requested, what its response changes, and what happens if a broker refuses it.

use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;

use super::Machine;
use super::responses::InFlightRequest;
use crate::cause::ConnectionErrorKind;
use crate::machine::identity::Identity;
use crate::machine::index::PartitionIndex;
use crate::machine::io::ConnectionId;
use crate::machine::partition::BlockedOn;
use crate::machine::query::QueryState;
use crate::machine::schedule::Condition;
use crate::machine::timers::Timer;
use crate::machine::verdict::{self, IdentityVerdict};
use crate::protocol::{ApiKey, BrokerError, InitProducerIdRequest, InitProducerIdResponse};

impl Machine {
    /// If a batch waits for a producer id: moves to the next epoch, if possible. Otherwise returns a request for a
    /// producer id, if one is allowed now.
    pub(super) fn request_identity(&mut self) -> Option<(ConnectionId, Vec<Bytes>)> {
        if self.transactions.is_some() {
            return None; // the transaction coordinator assigns it, before a batch is accepted
        }
        let index = self.accumulator.schedule.first_waiting_for(Condition::Identity)?;
        let Some(id) = self.connection_for_identity(index) else {
            // Its leader has changed, or takes no requests now, or it has no batch left that needs an id.
            self.accumulator.mark_for_examination(index);
            self.dirty = true;
            return None;
        };
        if self.identities.bump() {
            self.accumulator.schedule.wake(Condition::Identity);
            self.dirty = true;
            return None;
        }
        match self.identities.query.state(self.now) {
            QueryState::Due => {}
            QueryState::InFlight => return None,
            QueryState::BackingOff(moment) => {
                self.timers.set(Timer::ProducerId, moment);
                return None;
            }
        }
        let connection = self.network.connections.get(&id)?;
        let version = connection.versions()?.init_producer_id?;
        match InitProducerIdRequest::idempotent().encode(version, connection.header(&self.config)) {
            Ok(bytes) => {
                self.identities.query.sent();
                self.register(id, ApiKey::InitProducerId, version, InFlightRequest::Identity);
                Some((id, bytes))
            }
            Err(_) => {
                self.fail_connection(id, ConnectionErrorKind::Incompatible(ApiKey::InitProducerId));
                None
            }
        }
    }

    /// Returns the connection to the leader of a partition whose next batch needs a producer id or epoch, also if the connection has
    /// no room for Produce requests now: other partitions, which need none, may take that room again and again.
    fn connection_for_identity(&self, index: PartitionIndex) -> Option<ConnectionId> {
        match self.blocked_on(index)? {
            BlockedOn::Identity(id) => Some(id),
            BlockedOn::Capacity(id) => {
                let connection = self.network.connections.get(&id)?;
                let takes_it = connection.accepts_requests(self.now) && self.is_idempotent(connection.versions()?);
                let is_needed = self.accumulator.partition(index).waits_for_identity(&self.identities);
                (takes_it && is_needed).then_some(id)
            }
            _ => None,
        }
    }

    pub(super) fn on_identity(&mut self, id: ConnectionId, version: i16, frame: &[u8]) {
        let response = match InitProducerIdResponse::decode(frame, version) {
            Ok(response) => response,
            Err(error) => {
                self.record_identity_error(id, error.into());
                self.identity_failed();
                return self.fail_connection(id, error.into());
            }
        };
        if ApiKey::InitProducerId.client_throttles(version) {
            self.throttle(id, response.throttle_time_ms);
        }
        let broker = self.network.broker(id);
        let error = BrokerError::new(ApiKey::InitProducerId, response.error_code).with_version(version);
        match verdict::identity(response.error_code) {
            IdentityVerdict::Obtained => {
                let identity = Identity { id: response.producer_id, epoch: response.producer_epoch };
                match self.identities.obtain(identity) {
                    Ok(()) => self.accumulator.schedule.wake(Condition::Identity),
                    Err(error) => {
                        self.record_identity_error(id, error.into());
                        self.identity_failed();
                    }
                }
            }
            IdentityVerdict::Retry => {
                self.record_identity_error(id, error.into());
                self.identity_failed();
            }
            IdentityVerdict::Fail => {
                self.identity_failed();
                let waits =
                    |index: &PartitionIndex| self.accumulator.partition(*index).waits_for_identity(&self.identities);
                let waiting: Vec<PartitionIndex> = self.accumulator.active().filter(waits).collect();
                let message = String::from("and idempotence needs a producer id (enable.idempotence)");
                let error = error.with_broker(broker).with_message(message);
                for index in waiting {
                    self.fail_waiting(index, || error.clone().into());
                }
            }
        }
    }

    /// Handles a request for a producer id that failed: the next one waits.
    pub(super) fn identity_failed(&mut self) {
        let backoff = self.retry_backoff();
        self.identities.query.failed(self.now, backoff, &mut self.random);
    }

    /// Handles a broker that refused this identity: no partition uses it for new batches, and batches that are
    /// certainly unwritten get a new one. If no broker has ever accepted a batch under it, the next request for a
    /// producer id waits, as after any failure: otherwise, against a broker that refuses every id, they would be sent
    /// in a busy loop.
    pub(super) fn on_identity_refused(&mut self, refused: Identity, refusal: BrokerError) {
        let Some(scope) = self.identities.refused(refused, refusal) else {
            return; // done at the first refusal
        };
        if scope.was_never_confirmed {
            let backoff = self.retry_backoff();
            self.identities.query.postpone(self.now, backoff, &mut self.random);
        }
        for index in self.accumulator.stop_using(scope) {
            self.transition(index, |partition, context| partition.reseal_after_gap(context));
            self.finish_transition(index);
        }
    }
}
