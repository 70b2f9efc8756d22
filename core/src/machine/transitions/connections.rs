//! Connections as the machine sees them: made, used, lost.

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use super::Machine;
use crate::machine::accumulator::BlockedOn;
use crate::machine::cause::BrokerAddress;
use crate::machine::connection::{Connection, ConnectionEvent};
use crate::machine::event::{ConnectionError, ConnectionErrorKind, Event};
use crate::machine::handshake::Versions;
use crate::machine::io::{ConnectionId, Disconnect, Output};
use crate::machine::mismatch::{MismatchEvidence, SecurityMismatch};
use crate::machine::network::{Network, Node, Reach};
use crate::machine::timers::Timer;
use crate::protocol::{ApiKey, BrokerError, ErrorCode};

/// Brokers throttle for one quota window at most, which is 11 s by default (`quota.window.num` ×
/// `quota.window.size.seconds`). What is asked beyond this is garbage, and would silence the producer for days; where it is
/// not, the broker keeps its answers back by itself.
const LONGEST_THROTTLE: Duration = Duration::from_secs(60);

impl Machine {
    /// Connects, unless it may not yet, or has no address.
    pub(super) fn connect(&mut self, node: Node) {
        if self.network.reach(node, self.now) != Reach::Free {
            return;
        }
        let Some(address) = Network::address(node, &self.config, &self.cluster) else { return };
        let (host, port) = (address.host.clone(), address.port);
        let connection = self.network.connect(node, address, &self.config, self.now);
        self.watch(connection);
        self.outputs.push_back(Output::Connect { connection, host, port });
    }

    pub(super) fn on_connected(&mut self, id: ConnectionId) {
        let mut happenings = Vec::new();
        if let Some(connection) = self.network.connections.get_mut(&id) {
            connection.on_connected(&self.config, self.now, &mut happenings);
        }
        self.take_in(id, happenings);
    }

    pub(super) fn on_received(&mut self, id: ConnectionId, bytes: &[u8]) {
        let mut happenings = Vec::new();
        if let Some(connection) = self.network.connections.get_mut(&id) {
            connection.on_received(bytes, &self.config, self.now, &mut happenings);
        }
        self.take_in(id, happenings);
    }

    pub(super) fn on_written(&mut self, id: ConnectionId) {
        let mut happenings = Vec::new();
        if let Some(connection) = self.network.connections.get_mut(&id) {
            connection.on_written(self.now, &mut happenings);
        }
        self.take_in(id, happenings);
    }

    pub(super) fn on_closed(&mut self, id: ConnectionId, how: Disconnect, details: Option<&str>) {
        let by_peer = matches!(how, Disconnect::ByPeer | Disconnect::Broken);
        // Given up already, and the end came before the driver was told to bring it about: nothing is left to close.
        self.outputs.retain(|output| !matches!(output, Output::Close(closed) if *closed == id));
        self.lose(id, ConnectionErrorKind::Disconnected { how, details: details.map(String::from) }, by_peer);
    }

    pub(super) fn on_overdue(&mut self, id: ConnectionId) {
        let Some(connection) = self.network.connections.get(&id) else { return };
        match connection.overdue_at() {
            Some(at) if at <= self.now => {}
            _ => return self.watch(id),
        }
        let kind = if connection.is_connecting() {
            ConnectionErrorKind::SetupTimeout
        } else {
            ConnectionErrorKind::RequestTimeout
        };
        self.give_up(id, kind);
    }

    pub(super) fn on_idle(&mut self, id: ConnectionId) {
        let Some(connection) = self.network.connections.get(&id) else { return };
        if connection.idle_at(&self.config).is_some_and(|at| at <= self.now) {
            if let Some(connection) = self.network.retire(id) {
                self.wake_deserted(id, connection.node);
            }
            self.forget_timers(id);
            self.outputs.push_back(Output::Close(id));
        } else {
            self.watch(id);
        }
    }

    fn take_in(&mut self, id: ConnectionId, happenings: Vec<ConnectionEvent>) {
        for happening in happenings {
            match happening {
                ConnectionEvent::Transmit(bytes) => self.outputs.push_back(Output::Transmit { connection: id, bytes }),
                ConnectionEvent::Ready(versions) => self.on_ready(id, versions),
                ConnectionEvent::Answer { correlation, version, frame } => {
                    self.network.is_proven = true;
                    self.accumulator.wake(|awaited| *awaited == BlockedOn::Capacity(id));
                    self.on_answer(id, correlation, version, &frame);
                }
                ConnectionEvent::Written { correlation } => {
                    self.accumulator.wake(|awaited| *awaited == BlockedOn::Capacity(id));
                    self.on_request_written(id, correlation);
                }
                ConnectionEvent::Failed(kind) => self.give_up(id, kind),
            }
        }
        self.watch(id);
    }

    fn on_ready(&mut self, id: ConnectionId, versions: Versions) {
        let Some(connection) = self.network.connections.get(&id) else { return };
        let (node, BrokerAddress { host, port, .. }) = (connection.node, connection.address.clone());
        self.network.ready(node);
        self.accumulator.wake(|awaited| *awaited == BlockedOn::Node(node));
        self.outputs.push_back(Output::Event(Event::Ready { host, port, versions }));
    }

    /// Our side closes it, for it is of no more use.
    pub(super) fn give_up(&mut self, id: ConnectionId, kind: ConnectionErrorKind) {
        if self.network.connections.contains_key(&id) {
            self.outputs.push_back(Output::Close(id));
            let silent = kind == ConnectionErrorKind::RequestTimeout;
            self.lose(id, kind, silent);
        }
    }

    /// It is gone: what was asked over it gets no answer.
    fn lose(&mut self, id: ConnectionId, kind: ConnectionErrorKind, by_peer: bool) {
        let backoff = self.reconnect_backoff();
        let lost = self.network.lose(id, by_peer, backoff, &mut self.random, self.now);
        let Some((connection, again)) = lost else { return };
        self.forget_timers(id);
        self.wake_deserted(id, connection.node);
        self.timers.set(Timer::Reconnect(connection.node), again);
        self.outputs.retain(|output| !matches!(output, Output::Transmit { connection, .. } if *connection == id));
        let idle = connection.idle_for(&self.config, self.now).filter(|_| kind.is_by_peer());
        if let Some(idle) = idle {
            let end = ConnectionError::new(connection.address.clone(), kind);
            self.outputs.push_back(Output::Event(Event::ClosedIdle { end, idle }));
        } else {
            self.report(&connection, kind);
        }
        let open: Vec<i32> =
            self.pending_requests.range((id, i32::MIN)..=(id, i32::MAX)).map(|(&(_, open), _)| open).collect();
        for correlation in open {
            if let Some(pending_requests) = self.pending_requests.remove(&(id, correlation)) {
                self.on_no_answer(pending_requests);
            }
        }
        if matches!(connection.node, Node::Broker(_)) {
            self.suspect_metadata();
        }
    }

    /// Tells of the end of a connection, and keeps it as the last error of its broker.
    fn report(&mut self, connection: &Connection, kind: ConnectionErrorKind) {
        let mut error = ConnectionError::new(connection.address.clone(), kind);
        if matches!(error.kind, ConnectionErrorKind::Disconnected { .. } | ConnectionErrorKind::RequestTimeout) {
            error.pending = connection.pending(self.now);
            error.partial = connection.partial();
        }
        error.mismatch = self.mismatch(&error);
        if error.kind.is_authentication() {
            self.refuse_look_ups(&error);
        }
        self.network.failed(connection.node, error.clone(), self.now);
        if connection.asks_producer_id() {
            self.identity_error = Some((self.now, error.clone()));
        }
        self.outputs.push_back(Output::Event(Event::ConnectionErrorKind(error)));
    }

    /// What the end of a connection says of `security.protocol`. Once a broker has answered a request, that is right, and only
    /// what is certain counts.
    fn mismatch(&self, error: &ConnectionError) -> Option<SecurityMismatch> {
        let api = error.pending.map(|request| request.api);
        let evidence = match &error.kind {
            ConnectionErrorKind::Foreign(foreign) if foreign.is_tls() => MismatchEvidence::AnswersInTls,
            ConnectionErrorKind::Disconnected { how: Disconnect::NoTls, .. } => MismatchEvidence::NoTls,
            ConnectionErrorKind::Refused(BrokerError { code: ErrorCode::ILLEGAL_SASL_STATE, .. })
            | ConnectionErrorKind::Incompatible(ApiKey::SaslHandshake) => MismatchEvidence::RefusesSasl,
            kind if self.network.is_proven || !kind.is_by_peer() => return None,
            _ => match api? {
                ApiKey::ApiVersions => MismatchEvidence::ClosedAtOnce,
                ApiKey::SaslHandshake | ApiKey::SaslAuthenticate => return None,
                _ => MismatchEvidence::ClosedAfterApiVersions,
            },
        };
        SecurityMismatch::new(self.config.security_protocol(), evidence)
    }

    /// Keeps what is wrong with a response as the last error of the broker. The connection goes on.
    pub(super) fn note_error(&mut self, id: ConnectionId, kind: ConnectionErrorKind) {
        if let Some(connection) = self.network.connections.get(&id) {
            let (node, error) = (connection.node, ConnectionError::new(connection.address.clone(), kind));
            self.network.failed(node, error, self.now);
        }
    }

    /// Those who waited for something on a connection that is gone have to wait for something else.
    fn wake_deserted(&mut self, id: ConnectionId, node: Node) {
        let waited = [BlockedOn::Node(node), BlockedOn::Capacity(id), BlockedOn::Identity(id)];
        self.accumulator.wake(|awaited| waited.contains(awaited));
    }

    fn forget_timers(&mut self, id: ConnectionId) {
        for timer in [Timer::Overdue(id), Timer::Idle(id), Timer::Throttle(id)] {
            self.timers.clear(timer);
        }
    }

    /// Sets the timers of a connection to what it waits for now.
    pub(super) fn watch(&mut self, id: ConnectionId) {
        let Some(connection) = self.network.connections.get(&id) else { return };
        self.timers.set_or_clear(Timer::Overdue(id), connection.overdue_at());
        self.timers.set_or_clear(Timer::Idle(id), connection.idle_at(&self.config));
    }

    /// A broker asks for silence on this connection (KIP-219), and gets it, up to [`LONGEST_THROTTLE`].
    pub(super) fn throttle(&mut self, id: ConnectionId, millis: i32) {
        let Some(connection) = self.network.connections.get_mut(&id) else { return };
        if let Ok(millis @ 1..) = u64::try_from(millis) {
            let until = self.now + Duration::from_millis(millis).min(LONGEST_THROTTLE);
            connection.throttled_until = connection.throttled_until.max(Some(until));
            self.timers.set_or_clear(Timer::Throttle(id), connection.throttled_until);
        }
    }
}
