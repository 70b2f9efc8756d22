//! The cause of a timeout of a batch or a lookup: what it was waiting for, and the last error that delayed it.

use super::Machine;
use super::responses::InFlightRequest;
use crate::cause::{ConnectionError, ConnectionErrorKind, LastError, LastErrorKind, TimeoutCause, WaitingFor};
use crate::machine::connection::Connection;
use crate::machine::entry::{Entry, Payload};
use crate::machine::index::PartitionIndex;
use crate::machine::io::ConnectionId;
use crate::machine::network::{Network, NodeError};
use crate::machine::node::Node;
use crate::machine::partition::BlockedOn;
use crate::time::Instant;

/// An error and when it occurred.
type Dated = (Instant, LastErrorKind);

impl Machine {
    /// Returns why this entry of a partition is not acknowledged yet.
    pub(super) fn delivery_timeout_cause(&self, index: PartitionIndex, entry: &Entry) -> Option<TimeoutCause> {
        let last = self.last_error_of(index, entry, entry.accepted);
        let without_producer_id = self.config.is_idempotent() && matches!(entry.payload, Payload::Stamped(_, None));
        let cause = TimeoutCause::new(self.waiting_for(index, entry), last.map(|last| self.dated(last)));
        cause.map(|cause| cause.sent_without_producer_id(without_producer_id))
    }

    /// Returns why a lookup whose deadline is `until` has no result yet.
    pub(super) fn lookup_timeout_cause(&self, until: Instant) -> Option<TimeoutCause> {
        let begun = Instant::from_start(until.since_start().saturating_sub(self.config.request_timeout));
        let last = self.network.last_error(None, begun).map(from_node_error);
        TimeoutCause::new(Some(self.metadata_wait()), last.map(|last| self.dated(last)))
    }

    fn dated(&self, (at, error): Dated) -> LastError {
        LastError { error, age: self.now.since(at) }
    }

    fn last_error_of(&self, index: PartitionIndex, entry: &Entry, accepted: Instant) -> Option<Dated> {
        let partition = self.accumulator.partition(index);
        let (topic, number) = (partition.topic(), partition.number());
        let leader = self.cluster.leader(topic, number).map(Node::Broker);
        let own = entry.last_error.as_deref().map(|error| (entry.last_error_at, error.clone().into()));
        let last_of = |node: Option<Node>| self.network.last_error(node, accepted).map(from_node_error);
        let unanswered = entry.unanswered_by.and_then(|node| last_of(Some(node)));
        let leaderless = self.cluster.leaderless(topic, number).filter(|_| leader.is_none());
        let leaderless = self.cluster.error(topic).or(leaderless);
        let is_deleted = self.cluster.is_deleted(topic);
        let kind = |error| if is_deleted { LastErrorKind::TopicDeleted(error) } else { error.into() };
        let at = self.refresh.last_response().unwrap_or_default();
        let leaderless = leaderless.map(|error| (at, kind(error.clone())));
        let identity = self
            .identity_error
            .as_ref()
            .filter(|(at, _)| *at >= accepted && partition.waits_for_identity(&self.identities));
        let identity = identity.map(|(at, error)| (*at, error.clone().into()));
        let all = [last_of(leader), unanswered, leaderless, identity, own];
        // Of several at the same instant, the last in this order: from the general to the specific.
        all.into_iter().flatten().max_by_key(|(at, _)| *at)
    }

    fn waiting_for(&self, index: PartitionIndex, entry: &Entry) -> Option<WaitingFor> {
        if let Some(id) = entry.in_flight {
            let contains_entry = |request: &InFlightRequest| match request {
                InFlightRequest::Produce { batches, .. } => batches.iter().any(|batch| batch.entry == entry.id),
                InFlightRequest::Metadata { .. }
                | InFlightRequest::Identity
                | InFlightRequest::Coordinator(_)
                | InFlightRequest::Transaction(_)
                | InFlightRequest::OffsetCommit(_)
                | InFlightRequest::Markers
                | InFlightRequest::Telemetry { .. } => false,
            };
            let (correlation, _) = self.in_flight_requests.of(id).find(|(_, request)| contains_entry(request))?;
            let connection = self.network.connections.get(&id)?;
            let request = connection.pending_request(correlation, self.now)?;
            return Some(WaitingFor::Response { broker: connection.address.clone(), request });
        }
        match self.blocked_on(index)? {
            BlockedOn::Leader => Some(self.metadata_wait()),
            BlockedOn::Node(node) => self.connection_wait(node),
            BlockedOn::Capacity(id) => {
                let connection = self.network.connections.get(&id)?;
                if self.network.rate_limited_until(connection.node, &self.config, self.now).is_some() {
                    Some(WaitingFor::RequestRate { broker: connection.address.clone() })
                } else if connection.accepts_requests(self.now) {
                    self.response_wait(connection)
                } else {
                    Some(WaitingFor::Throttle { broker: connection.address.clone() })
                }
            }
            BlockedOn::Identity(_) => {
                let pending = self.response_to(|request| matches!(request, InFlightRequest::Identity));
                Some(pending.unwrap_or(WaitingFor::ProducerId))
            }
            BlockedOn::AddPartitions => {
                let is_pending = |request: &InFlightRequest| {
                    matches!(request, InFlightRequest::Coordinator(_) | InFlightRequest::Transaction(_))
                };
                Some(self.response_to(is_pending).unwrap_or(WaitingFor::Coordinator))
            }
            BlockedOn::Markers => self.response_to(|request| matches!(request, InFlightRequest::Markers)),
            // The last error is the cause.
            BlockedOn::OwnEvent | BlockedOn::Until(_) | BlockedOn::Metadata | BlockedOn::ProduceVersion => None,
        }
    }

    fn metadata_wait(&self) -> WaitingFor {
        let pending = self.response_to(|request| matches!(request, InFlightRequest::Metadata { .. }));
        let mut connecting = self.network.connections.values().filter(|connection| connection.versions().is_none());
        pending
            .or_else(|| connecting.find_map(|connection| self.response_wait(connection)))
            .unwrap_or(WaitingFor::Metadata)
    }

    fn connection_wait(&self, node: Node) -> Option<WaitingFor> {
        match self.network.connection_to(node) {
            Some(connection) => self.response_wait(connection),
            None => {
                let broker = Network::address(node, &self.config, &self.cluster)?;
                Some(WaitingFor::Reconnect { broker })
            }
        }
    }

    /// Returns what a connection waits for: to be established, or for the oldest response.
    fn response_wait(&self, connection: &Connection) -> Option<WaitingFor> {
        let broker = connection.address.clone();
        if connection.is_connecting() {
            return Some(WaitingFor::Connection { broker, elapsed: self.now.since(connection.begun) });
        }
        Some(WaitingFor::Response { broker, request: connection.pending(self.now)? })
    }

    /// Returns the response that is pending for the first request which matches.
    fn response_to(&self, matches: impl Fn(&InFlightRequest) -> bool) -> Option<WaitingFor> {
        let (id, correlation, _) = self.in_flight_requests.iter().find(|(_, _, request)| matches(request))?;
        let connection = self.network.connections.get(&id)?;
        let request = connection.pending_request(correlation, self.now)?;
        Some(WaitingFor::Response { broker: connection.address.clone(), request })
    }

    /// Records why there is no producer id yet.
    pub(super) fn record_identity_error(&mut self, id: ConnectionId, kind: ConnectionErrorKind) {
        if let Some(connection) = self.network.connections.get(&id) {
            let error = ConnectionError::new(connection.address.clone(), kind);
            self.identity_error = Some((self.now, error));
        }
    }
}

fn from_node_error(last: &NodeError) -> Dated {
    (last.at, last.error.clone().into())
}
