//! The lifecycle of connections: connecting, input, timeouts, and closing.

use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;

use super::Machine;
use crate::cause::{
    BrokerAddress, ConnectionError, ConnectionErrorKind, Disconnect, MismatchEvidence, OAuthError, SecurityMismatch,
};
use crate::machine::config::MachineConfig;
use crate::machine::connection::{Connection, ConnectionEvent};
use crate::machine::event::Event;
use crate::machine::io::{ConnectionId, Output};
use crate::machine::network::{Network, NodeStatus};
use crate::machine::node::Node;
use crate::machine::schedule::Condition;
use crate::machine::timers::{Timer, Timers};
use crate::machine::versions::Versions;
use crate::protocol::{ApiKey, BrokerError, ErrorCode, frame_size};
use crate::time::Instant;
use crate::transport_error::TransportError;

/// The longest throttle time that is respected. Brokers throttle for at most one quota window, which is 11 s by default
/// (`quota.window.num` × `quota.window.size.seconds`). A longer one is most likely a corrupt response, and would stop
/// the producer for days; if it is genuine, the broker enforces it by delaying its responses.
const LONGEST_THROTTLE: Duration = Duration::from_secs(60);

impl Machine {
    /// Returns `true` if this is a connection, or an attempt to connect, to one of `bootstrap.servers`, and not to a broker that
    /// metadata has named.
    #[must_use]
    pub fn is_bootstrap(&self, connection: ConnectionId) -> bool {
        self.network
            .connections
            .get(&connection)
            .is_some_and(|connection| matches!(connection.node, Node::Bootstrap(_)))
    }

    /// Connects to a node, unless there is a connection, its back-off has not elapsed, or its address is not known.
    pub(super) fn connect(&mut self, node: Node) {
        if self.network.status(node, self.now) != NodeStatus::Disconnected {
            return;
        }
        let Some(address) = Network::address(node, &self.config, &self.cluster) else { return };
        let (host, port) = (address.host.clone(), address.port);
        self.prepare_token();
        let connection = self.network.connect(node, address, &self.config, self.now);
        self.update_timers(connection);
        self.outputs.push_back(Output::Connect { connection, host, port });
    }

    pub(super) fn on_connected(&mut self, id: ConnectionId) {
        let mut events = Vec::new();
        if let Some(connection) = self.network.connections.get_mut(&id) {
            connection.on_connected(&self.config, self.now, &mut events);
        }
        self.apply_events(id, events);
    }

    pub(super) fn on_received(&mut self, id: ConnectionId, bytes: &[u8]) {
        self.expire_token();
        let mut events = core::mem::take(&mut self.events);
        if let Some(connection) = self.network.connections.get_mut(&id) {
            connection.on_received(bytes, &self.config, self.now, &mut events);
        }
        self.apply_events(id, events);
    }

    pub(super) fn on_transmitted(&mut self, id: ConnectionId) {
        let mut events = Vec::new();
        if let Some(connection) = self.network.connections.get_mut(&id) {
            connection.on_transmitted(self.now, &mut events);
        }
        self.apply_events(id, events);
    }

    pub(super) fn on_closed(&mut self, id: ConnectionId, how: Disconnect, error: Option<&TransportError>) {
        let by_peer = matches!(how, Disconnect::ByPeer | Disconnect::Broken);
        // If the machine has failed it already, the driver need not close it any more.
        self.outputs.remove_close(id);
        self.end_connection(id, ConnectionErrorKind::Disconnected { how, error: error.cloned() }, by_peer);
    }

    pub(super) fn on_overdue(&mut self, id: ConnectionId) {
        let Some(connection) = self.network.connections.get_mut(&id) else { return };
        connection.timers_set_to.0 = None;
        match connection.overdue_at() {
            Some(at) if at <= self.now => {}
            _ => return self.update_timers(id),
        }
        let kind = if connection.awaits_token() {
            OAuthError::Timeout { limit: self.config.request_timeout }.into()
        } else if connection.is_connecting() {
            ConnectionErrorKind::SetupTimeout { limit: self.config.socket_connection_setup_timeout }
        } else {
            ConnectionErrorKind::RequestTimeout { limit: connection.response_limit(&self.config) }
        };
        self.fail_connection(id, kind);
    }

    pub(super) fn on_idle(&mut self, id: ConnectionId) {
        let Some(connection) = self.network.connections.get_mut(&id) else { return };
        connection.timers_set_to.1 = None;
        if connection.needs_reauthentication(&self.config, self.now) {
            self.reauthenticate(id);
        } else if connection.idle_at(&self.config).is_some_and(|at| at <= self.now) {
            self.retire(id);
        } else {
            self.update_timers(id);
        }
    }

    /// Authenticates again on a connection whose session has ended. Meanwhile it counts as being established.
    fn reauthenticate(&mut self, id: ConnectionId) {
        self.prepare_token();
        let mut events = Vec::new();
        let Some(connection) = self.network.connections.get_mut(&id) else { return };
        let node = connection.node;
        connection.reauthenticate(&self.config, self.now, &mut events);
        self.connection_ended(node);
        self.apply_events(id, events);
    }

    /// Closes a connection that is not needed any more, or whose session has ended.
    fn retire(&mut self, id: ConnectionId) {
        if let Some(connection) = self.network.retire(id) {
            self.connection_ended(connection.node);
        }
        self.clear_timers(id);
        self.outputs.push_back(Output::Close(id));
    }

    pub(super) fn apply_events(&mut self, id: ConnectionId, mut events: Vec<ConnectionEvent>) {
        for event in events.drain(..) {
            match event {
                ConnectionEvent::Transmit(bytes) => self.transmit(id, bytes),
                ConnectionEvent::Ready(versions) => self.on_ready(id, versions),
                ConnectionEvent::TokenRequired => self.request_token(),
                ConnectionEvent::Reauthenticated => self.on_reauthenticated(id),
                ConnectionEvent::Expired => self.retire(id),
                ConnectionEvent::Response { correlation, version, frame } => {
                    self.network.is_proven = true;
                    self.capacity_changed(id);
                    self.on_response(id, correlation, version, &frame);
                }
                ConnectionEvent::Transmitted { correlation } => {
                    self.capacity_changed(id);
                    self.on_request_transmitted(id, correlation);
                }
                ConnectionEvent::Failed(kind) => self.fail_connection(id, kind),
            }
        }
        self.events = events;
        self.update_timers(id);
    }

    fn on_ready(&mut self, id: ConnectionId, versions: Versions) {
        let Some(connection) = self.network.connections.get(&id) else { return };
        let (node, BrokerAddress { host, port, .. }) = (connection.node, connection.address.clone());
        self.network.ready(node);
        self.reset_timers(id);
        if let Some(transactions) = &mut self.transactions {
            transactions.on_versions(&versions.transactions);
        }
        self.start_telemetry(versions);
        self.accumulator.schedule.node_changed(node);
        self.outputs.push_back(Output::Event(Event::Ready { host, port, versions }));
    }

    fn on_reauthenticated(&mut self, id: ConnectionId) {
        let Some(connection) = self.network.connections.get(&id) else { return };
        let (node, BrokerAddress { host, port, .. }) = (connection.node, connection.address.clone());
        self.network.ready(node);
        self.reset_timers(id);
        self.accumulator.schedule.node_changed(node);
        self.outputs.push_back(Output::Event(Event::Reauthenticated { host, port }));
    }

    /// Closes a connection that cannot be used any more.
    pub(super) fn fail_connection(&mut self, id: ConnectionId, kind: ConnectionErrorKind) {
        if self.network.connections.contains_key(&id) {
            self.outputs.push_back(Output::Close(id));
            let silent = matches!(kind, ConnectionErrorKind::RequestTimeout { .. });
            self.end_connection(id, kind, silent);
        }
    }

    /// Removes a connection that has ended; its pending requests get no response.
    fn end_connection(&mut self, id: ConnectionId, kind: ConnectionErrorKind, by_peer: bool) {
        let backoff = self.reconnect_backoff();
        let removed = self.network.remove_failed(id, by_peer, backoff, &mut self.random, self.now);
        let Some((connection, again)) = removed else { return };
        self.clear_timers(id);
        self.connection_ended(connection.node);
        self.timers.set(Timer::Reconnect(connection.node), again);
        self.outputs.remove_transmissions(id);
        let idle = connection.idle_for(&self.config, self.now).filter(|_| kind.is_by_peer());
        if let Some(idle) = idle {
            let error = ConnectionError::new(connection.address.clone(), kind);
            self.outputs.push_back(Output::Event(Event::ClosedIdle { error, idle }));
        } else {
            self.report(&connection, kind);
        }
        while let Some(request) = self.in_flight_requests.pop(id) {
            self.on_no_response(request);
        }
        self.forget_coordinator_at(connection.node);
        if matches!(connection.node, Node::Broker(_)) {
            self.request_metadata_soon();
        }
    }

    /// Emits the error of a connection, and records it as the last error of its node.
    fn report(&mut self, connection: &Connection, kind: ConnectionErrorKind) {
        let mut error = ConnectionError::new(connection.address.clone(), kind);
        if matches!(error.kind, ConnectionErrorKind::Disconnected { .. } | ConnectionErrorKind::RequestTimeout { .. }) {
            error.pending = connection.pending(self.now);
            error.partial = connection.partial();
        }
        error.mismatch = self.mismatch(&error);
        // Not after other errors, such as that a port has no OAUTHBEARER: every attempt to connect to it would need another token.
        if matches!(error.kind, ConnectionErrorKind::OAuth(OAuthError::Refused(_))) {
            self.forget_token();
        }
        if error.kind.is_authentication() {
            self.fail_lookups(&error);
        }
        self.network.count_error(connection.node, error.kind.is_authentication());
        self.network.failed(connection.node, error.clone(), self.now);
        if connection.requests_producer_id() {
            self.identity_error = Some((self.now, error.clone()));
        }
        self.outputs.push_back(Output::Event(Event::ConnectionError(error)));
    }

    /// Returns the mismatch of `security.protocol` that the error of a connection indicates. Once any broker has
    /// answered a request, the setting is proven right, so that only unambiguous evidence counts.
    fn mismatch(&self, error: &ConnectionError) -> Option<SecurityMismatch> {
        let api = error.pending.map(|request| request.api);
        let evidence = match &error.kind {
            ConnectionErrorKind::Foreign(foreign) if foreign.is_tls() => MismatchEvidence::TlsResponse,
            ConnectionErrorKind::Disconnected { how: Disconnect::NoTls, .. } => MismatchEvidence::NoTls,
            ConnectionErrorKind::Refused(BrokerError { code: ErrorCode::ILLEGAL_SASL_STATE, .. })
            | ConnectionErrorKind::Incompatible(ApiKey::SaslHandshake) => MismatchEvidence::SaslRefused,
            kind if self.network.is_proven || !kind.is_by_peer() => return None,
            _ => match api? {
                ApiKey::ApiVersions => MismatchEvidence::ClosedOnApiVersions,
                ApiKey::SaslHandshake | ApiKey::SaslAuthenticate => return None,
                _ => MismatchEvidence::ClosedAfterApiVersions,
            },
        };
        SecurityMismatch::new(self.config.security_protocol(), evidence)
    }

    /// Records a fault in a response as the last error of the node. The connection remains in use.
    pub(super) fn record_error(&mut self, id: ConnectionId, kind: ConnectionErrorKind) {
        if let Some(connection) = self.network.connections.get(&id) {
            let (node, error) = (connection.node, ConnectionError::new(connection.address.clone(), kind));
            self.network.failed(node, error, self.now);
        }
    }

    /// Marks the partitions to be examined that waited for a connection which has ended, or for a producer id, which may
    /// have been requested on it: they now wait for something else.
    fn connection_ended(&mut self, node: Node) {
        self.accumulator.schedule.node_changed(node);
        self.accumulator.schedule.wake(Condition::Identity);
    }

    fn clear_timers(&mut self, id: ConnectionId) {
        for timer in [Timer::Overdue(id), Timer::Idle(id), Timer::Throttle(id)] {
            self.timers.remove(timer);
        }
    }

    /// Clears the timers of a connection that is ready now, to be set to the deadlines that it has from now on.
    fn reset_timers(&mut self, id: ConnectionId) {
        if let Some(connection) = self.network.connections.get_mut(&id) {
            connection.timers_set_to = (None, None);
            self.timers.clear(Timer::Overdue(id));
            self.timers.clear(Timer::Idle(id));
        }
    }

    /// Sets the timers of a connection from its present state.
    pub(super) fn update_timers(&mut self, id: ConnectionId) {
        let Some(connection) = self.network.connections.get_mut(&id) else { return };
        set_timers(id, connection, &self.config, &mut self.timers);
    }

    /// Outputs a request, and sets the timers of the connection.
    fn transmit(&mut self, id: ConnectionId, bytes: Vec<Bytes>) {
        let output = self.transmission(id, bytes);
        self.outputs.push_back(output);
    }

    /// Returns the output of a request, and sets the timers of the connection.
    #[inline]
    pub(super) fn transmission(&mut self, id: ConnectionId, bytes: Vec<Bytes>) -> Output {
        if let Some(connection) = self.network.connections.get_mut(&id) {
            connection.counters.on_transmit(frame_size(&bytes));
            set_timers(id, connection, &self.config, &mut self.timers);
        }
        Output::Transmit { connection: id, bytes }
    }

    /// Counts the throttle time of a Produce response.
    pub(super) fn count_produce_throttle(&mut self, id: ConnectionId, millis: i32) {
        if let Some(connection) = self.network.connections.get_mut(&id) {
            let time = Duration::from_millis(u64::try_from(millis).unwrap_or(0)).min(LONGEST_THROTTLE);
            connection.counters.on_produce_throttle(time.as_nanos() as u64);
        }
    }

    /// Sends nothing on this connection for the throttle time of a response (KIP-219), at most [`LONGEST_THROTTLE`].
    pub(super) fn throttle(&mut self, id: ConnectionId, millis: i32) {
        let Some(connection) = self.network.connections.get_mut(&id) else { return };
        if let Ok(millis @ 1..) = u64::try_from(millis) {
            let until = self.now + Duration::from_millis(millis).min(LONGEST_THROTTLE);
            connection.throttled_until = connection.throttled_until.max(Some(until));
            self.timers.set_or_clear(Timer::Throttle(id), connection.throttled_until);
            if self.config.notices {
                self.report_throttling(id, until);
            }
        }
    }
}

/// Sets the timers of a connection from its present state.
fn set_timers(id: ConnectionId, connection: &mut Connection, config: &MachineConfig, timers: &mut Timers) {
    // While a connection is ready, its deadlines only move later.
    if connection.versions().is_some() && matches!(connection.timers_set_to, (Some(_), Some(_))) {
        return;
    }
    let (overdue, idle) = (connection.overdue_at(), connection.idle_at(config));
    let (set_overdue, set_idle) = &mut connection.timers_set_to;
    bring_forward(set_overdue, overdue, Timer::Overdue(id), timers);
    bring_forward(set_idle, idle, Timer::Idle(id), timers);
}

/// Sets a timer if this deadline is earlier than what it is set to. One that has moved later, as it does with each request, or is not
/// needed any more is examined when the timer is due.
fn bring_forward(set_to: &mut Option<Instant>, deadline: Option<Instant>, timer: Timer, timers: &mut Timers) {
    if let Some(deadline) = deadline {
        if set_to.is_none_or(|set_to| deadline < set_to) {
            *set_to = Some(deadline);
            timers.set(timer, deadline);
        }
    }
}
