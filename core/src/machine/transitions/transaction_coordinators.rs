//! Who coordinates transactions and groups: FindCoordinator, its responses, connections to coordinators, and coordinators that have
//! moved or cannot be reached.

use super::Machine;
use super::responses::InFlightRequest;
use super::transaction_requests::{Frame, RequestError};
use crate::machine::io::ConnectionId;
use crate::machine::network::NodeStatus;
use crate::machine::node::Node;
use crate::machine::query::QueryState;
use crate::machine::schedule::Condition;
use crate::machine::transactions::Transition;
use crate::machine::transactions::coordinator::Coordinator;
use crate::machine::transactions::request::CoordinatorKey;
use crate::machine::transactions::verdict::{self, Verdict};
use crate::machine::versions::Versions;
use crate::protocol::{ApiKey, BrokerError, CoordinatorType, FindCoordinatorRequest, FindCoordinatorResponse};

impl Machine {
    /// Returns a connection to a coordinator on which a request may be sent.
    ///
    /// # Errors
    /// There is none yet. Returns FindCoordinator, if that is to be sent.
    pub(super) fn connection_to_coordinator(
        &mut self,
        key: &CoordinatorKey,
    ) -> Result<(ConnectionId, Versions), Option<Frame>> {
        let Some(broker) = self.coordinator(key).and_then(|coordinator| coordinator.broker()) else {
            return Err(self.request_coordinator(key));
        };
        let node = Node::Broker(broker);
        match self.network.status(node, self.now) {
            NodeStatus::Ready(id) => {
                let connection =
                    self.network.connections.get(&id).filter(|connection| connection.accepts_requests(self.now));
                let versions = connection.and_then(|connection| connection.versions()).ok_or(None)?;
                Ok((id, versions))
            }
            NodeStatus::Connecting => Err(None),
            NodeStatus::Disconnected => {
                self.connect(node);
                if self.network.connection_to(node).is_none() {
                    self.forget_coordinator_at(node); // metadata does not list it any more
                    return Err(self.request_coordinator(key));
                }
                Err(None)
            }
            NodeStatus::BackingOff(_) => {
                // It cannot be reached, so another one may be elected.
                self.forget_coordinator_at(node);
                Err(self.request_coordinator(key))
            }
        }
    }

    /// Returns FindCoordinator, if it is allowed now. If there is no connection, connects first.
    fn request_coordinator(&mut self, key: &CoordinatorKey) -> Option<Frame> {
        let now = self.now;
        match self.coordinator(key)?.query.state(now) {
            QueryState::Due => {}
            QueryState::InFlight => return None,
            QueryState::BackingOff(moment) => {
                self.set_transaction_timer(moment);
                return None;
            }
        }
        let Some(id) = self.network.least_loaded(self.now) else {
            self.connect_any();
            return None;
        };
        let connection = self.network.connections.get(&id)?;
        let (key_type, name) = match key {
            CoordinatorKey::Transaction => (CoordinatorType::Transaction, self.config.transactional_id.as_deref()?),
            CoordinatorKey::Group(group) => (CoordinatorType::Group, group.as_str()),
        };
        let api = ApiKey::FindCoordinator;
        let encoded = connection.versions()?.transactions.find_coordinator.ok_or(RequestError::Unsupported(api));
        let encoded = encoded.and_then(|version| {
            let bytes =
                FindCoordinatorRequest { key_type, key: name }.encode(version, connection.header(&self.config))?;
            Ok((version, bytes))
        });
        match encoded {
            Ok((version, bytes)) => {
                self.coordinator(key)?.query.sent();
                self.register(id, api, version, InFlightRequest::Coordinator(key.clone()));
                Some((id, bytes))
            }
            Err(RequestError::Encode(error)) if *key != CoordinatorKey::Transaction => {
                self.require_abort(error.into());
                None
            }
            Err(error) => {
                self.fail_transactions(Transition::Fail, error.into());
                None
            }
        }
    }

    /// Returns the coordinator of a key; `None` without a `transactional.id`.
    pub(super) fn coordinator(&mut self, key: &CoordinatorKey) -> Option<&mut Coordinator> {
        Some(self.transactions.as_deref_mut()?.coordinator_of(key))
    }

    /// Forgets the coordinators on this node: it cannot be reached.
    pub(super) fn forget_coordinator_at(&mut self, node: Node) {
        let (backoff, now) = (self.retry_backoff(), self.now);
        let Self { transactions: Some(transactions), random, .. } = self else { return };
        let all = transactions.groups.values_mut().chain([&mut transactions.coordinator]);
        for coordinator in all.filter(|coordinator| coordinator.broker().map(Node::Broker) == Some(node)) {
            coordinator.forget(now, backoff, random);
        }
    }

    pub(super) fn on_coordinator(&mut self, id: ConnectionId, version: i16, frame: &[u8], key: &CoordinatorKey) {
        let response = match FindCoordinatorResponse::decode(frame, version) {
            Ok(response) => response,
            Err(error) => {
                self.coordinator_query_failed(key);
                return self.fail_connection(id, error.into());
            }
        };
        if ApiKey::FindCoordinator.client_throttles(version) {
            self.throttle(id, response.throttle_time_ms);
        }
        let name = match key {
            CoordinatorKey::Transaction => self.config.transactional_id.as_deref().unwrap_or_default(),
            CoordinatorKey::Group(group) => group,
        };
        let mut found = response.coordinators.into_iter();
        let Some(endpoint) = found.find(|found| version < 4 || found.key == name) else {
            return self.coordinator_query_failed(key);
        };
        let error = BrokerError::new(ApiKey::FindCoordinator, endpoint.error_code).with_version(version);
        let error = error.with_broker(self.network.broker(id)).with_message(endpoint.error_message);
        match (verdict::find_coordinator(endpoint.error_code), u16::try_from(endpoint.port)) {
            (Verdict::Done, Ok(port)) if endpoint.node_id >= 0 => {
                self.cluster.add_broker(endpoint.node_id, endpoint.host, port);
                self.accumulator.schedule.wake(Condition::Leader); // the broker may lead partitions, too
                if let Some(coordinator) = self.coordinator(key) {
                    coordinator.found(endpoint.node_id);
                }
            }
            // Its offsets have failed meanwhile: the response concerns no transaction.
            (Verdict::Abort | Verdict::Fatal, _) if !self.needs_coordinator(key) => self.coordinator_query_failed(key),
            (Verdict::Abort, _) if *key != CoordinatorKey::Transaction => {
                self.coordinator_query_failed(key);
                self.require_abort(error.into());
            }
            (Verdict::Abort | Verdict::Fatal, _) => {
                self.coordinator_query_failed(key);
                self.fail_transactions(Transition::Fail, error.into());
            }
            _ => {
                self.coordinator_query_failed(key);
                if let Some(transactions) = self.transactions.as_deref_mut().filter(|_| error.code.is_error()) {
                    transactions.last_error = Some(error.into());
                }
            }
        }
    }

    /// Returns `true` if a request waits for this coordinator.
    fn needs_coordinator(&self, key: &CoordinatorKey) -> bool {
        let CoordinatorKey::Group(group) = key else { return true };
        let first = self.transactions.as_deref().and_then(|transactions| transactions.offsets.first());
        first.is_some_and(|first| first.group.group() == group)
    }

    /// Handles FindCoordinator that got no response, or no usable one.
    pub(super) fn coordinator_query_failed(&mut self, key: &CoordinatorKey) {
        let backoff = self.retry_backoff();
        let Self { transactions: Some(transactions), random, now, .. } = self else { return };
        transactions.coordinator_of(key).query.failed(*now, backoff, random);
    }

    /// Forgets a broker that is not the coordinator any more.
    pub(super) fn forget_coordinator(&mut self, key: &CoordinatorKey) {
        let backoff = self.retry_backoff();
        let Self { transactions: Some(transactions), random, now, .. } = self else { return };
        transactions.coordinator_of(key).forget(*now, backoff, random);
    }
}
