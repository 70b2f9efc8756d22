//! Connections as the machine sees them: made, used, lost.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use super::Producer;
use crate::producer::accumulator::Awaited;
use crate::producer::connection::Happening;
use crate::producer::event::{BrokerTrouble, Event, Trouble};
use crate::producer::handshake::Versions;
use crate::producer::io::{ConnectionId, Disconnect, Output};
use crate::producer::network::{Node, Reach};
use crate::producer::timers::Timer;

/// Brokers throttle for one quota window at most, which is 11 s by default (`quota.window.num` ×
/// `quota.window.size.seconds`). What is asked beyond this is garbage, and would silence the producer for days; where it is
/// not, the broker keeps its answers back by itself.
const LONGEST_THROTTLE: Duration = Duration::from_secs(60);

impl Producer {
    /// Connects, unless it may not yet, or has no address.
    pub(super) fn connect(&mut self, node: Node) {
        if self.network.reach(node, self.now) != Reach::Free {
            return;
        }
        let Some((host, port)) = self.network.address(node, &self.config, &self.cluster) else { return };
        let host = String::from(host);
        let connection = self.network.connect(node, &self.config, self.now);
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

    pub(super) fn on_closed(&mut self, id: ConnectionId, how: Disconnect) {
        let by_peer = matches!(how, Disconnect::ByPeer | Disconnect::Broken);
        // Given up already, and the end came before the driver was told to bring it about: nothing is left to close.
        self.outputs.retain(|output| !matches!(output, Output::Close(closed) if *closed == id));
        self.lose(id, Trouble::Disconnected(how), by_peer);
    }

    pub(super) fn on_overdue(&mut self, id: ConnectionId) {
        let Some(connection) = self.network.connections.get(&id) else { return };
        match connection.overdue_at() {
            Some(at) if at <= self.now => {}
            _ => return self.watch(id),
        }
        let trouble = if connection.is_connecting() { Trouble::SetupTimeout } else { Trouble::RequestTimeout };
        self.give_up(id, trouble);
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

    fn take_in(&mut self, id: ConnectionId, happenings: Vec<Happening>) {
        for happening in happenings {
            match happening {
                Happening::Transmit(bytes) => self.outputs.push_back(Output::Transmit { connection: id, bytes }),
                Happening::Ready(versions) => self.on_ready(id, versions),
                Happening::Answer { correlation, version, frame } => {
                    self.accumulator.wake(|awaited| *awaited == Awaited::Capacity(id));
                    self.on_answer(id, correlation, version, &frame);
                }
                Happening::Written { correlation } => {
                    self.accumulator.wake(|awaited| *awaited == Awaited::Capacity(id));
                    self.on_request_written(id, correlation);
                }
                Happening::Spoilt(trouble) => self.give_up(id, trouble),
            }
        }
        self.watch(id);
    }

    fn on_ready(&mut self, id: ConnectionId, versions: Versions) {
        let Some(connection) = self.network.connections.get(&id) else { return };
        let node = connection.node;
        self.network.ready(node);
        self.accumulator.wake(|awaited| *awaited == Awaited::Node(node));
        if let Some((host, port)) = self.network.address(node, &self.config, &self.cluster) {
            let host = host.to_string();
            self.outputs.push_back(Output::Event(Event::Ready { host, port, versions }));
        }
    }

    /// Our side closes it, for it is of no more use.
    pub(super) fn give_up(&mut self, id: ConnectionId, trouble: Trouble) {
        if self.network.connections.contains_key(&id) {
            self.outputs.push_back(Output::Close(id));
            let silent = trouble == Trouble::RequestTimeout;
            self.lose(id, trouble, silent);
        }
    }

    /// It is gone: what was asked over it gets no answer.
    fn lose(&mut self, id: ConnectionId, trouble: Trouble, by_peer: bool) {
        let backoff = self.reconnect_backoff();
        let lost = self.network.lose(id, by_peer, backoff, &mut self.random, self.now);
        let Some((connection, again)) = lost else { return };
        self.forget_timers(id);
        self.wake_deserted(id, connection.node);
        self.timers.set(Timer::Reconnect(connection.node), again);
        self.outputs.retain(|output| !matches!(output, Output::Transmit { connection, .. } if *connection == id));
        if let Some((host, port)) = self.network.address(connection.node, &self.config, &self.cluster) {
            let trouble = BrokerTrouble { host: host.to_string(), port, trouble };
            if trouble.trouble.is_authentication() {
                self.refuse_look_ups(&trouble);
            }
            self.network.troubled(connection.node, trouble.clone());
            self.outputs.push_back(Output::Event(Event::Trouble(trouble)));
        }
        let open: Vec<i32> = self.sent.range((id, i32::MIN)..=(id, i32::MAX)).map(|(&(_, open), _)| open).collect();
        for correlation in open {
            if let Some(sent) = self.sent.remove(&(id, correlation)) {
                self.on_no_answer(sent);
            }
        }
        if matches!(connection.node, Node::Broker(_)) {
            self.suspect_metadata();
        }
    }

    /// Those who waited for something on a connection that is gone have to wait for something else.
    fn wake_deserted(&mut self, id: ConnectionId, node: Node) {
        let waited = [Awaited::Node(node), Awaited::Capacity(id), Awaited::Identity(id)];
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
