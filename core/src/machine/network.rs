//! The nodes that the machine connects to, the connection to each, and when to reconnect.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use core::time::Duration;

use super::backoff::{Backoff, ConnectionRng, Seed};
use super::cluster::{Address, Cluster};
use super::config::{MachineConfig, MetadataRecoveryStrategy};
use super::connection::Connection;
use super::io::ConnectionId;
use super::node::Node;
use super::request_rate::{RequestBucket, RequestRate};
use super::stats::{BrokerCounters, BrokerStats};
use crate::cause::{BrokerAddress, ConnectionError};
use crate::magic::BrokerVersion;
use crate::splitmix64::SplitMix64;
use crate::time::Instant;

/// All connections, and the state of each node.
#[derive(Debug)]
pub(super) struct Network {
    pub(super) connections: BTreeMap<ConnectionId, Connection>,
    nodes: BTreeMap<Node, NodeState>,
    next_connection: u64,
    /// The index of the node to try first among equals. Advances by one with each attempt.
    next_node: usize,
    /// The seed of each connection's [`ConnectionRng`].
    seed: Seed,
    /// Whether any broker has answered a request after a handshake, which shows that `security.protocol` is right.
    pub(super) is_proven: bool,
}

/// The state of a node.
#[derive(Debug, Default)]
struct NodeState {
    connection: Option<ConnectionId>,
    failures: u32,
    not_before: Instant,
    produce_requests: RequestBucket,
    /// It closed the connection on ApiVersions, or did not respond to it: next time ApiVersions is skipped, if there is
    /// a fallback version.
    rejected_api_versions: bool,
    /// Boxed, because a map of few nodes has memory for many.
    last_error: Option<Box<NodeError>>,
    /// While there is no connection: the counters of earlier ones, and the address of the last one.
    earlier: Option<Box<(BrokerAddress, BrokerCounters)>>,
}

/// The last error of a connection to a node.
#[derive(Clone, Debug)]
pub(super) struct NodeError {
    pub(super) at: Instant,
    pub(super) error: ConnectionError,
    /// Whether no connection to the node has become ready since.
    is_current: bool,
}

/// Whether a node can be used, or connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NodeStatus {
    /// This connection is ready.
    Ready(ConnectionId),
    /// A connection is being established.
    Connecting,
    /// An attempt may start now.
    Disconnected,
    /// An attempt may start at this moment.
    BackingOff(Instant),
}

/// The delay before a second broker is tried in parallel.
const CONNECT_STAGGER: Duration = Duration::from_secs(1);

impl Network {
    pub(super) fn new(next_node: usize, seed: Seed) -> Self {
        let (connections, nodes) = (BTreeMap::new(), BTreeMap::new());
        Self { connections, nodes, next_connection: 0, next_node, seed, is_proven: false }
    }

    /// Returns whether the node can be used, or connected to.
    pub(super) fn status(&self, node: Node, now: Instant) -> NodeStatus {
        let Some(state) = self.nodes.get(&node) else { return NodeStatus::Disconnected };
        match state.connection {
            Some(id) if self.connections.get(&id).is_some_and(|connection| connection.versions().is_some()) => {
                NodeStatus::Ready(id)
            }
            Some(_) => NodeStatus::Connecting,
            None if state.not_before > now => NodeStatus::BackingOff(state.not_before),
            None => NodeStatus::Disconnected,
        }
    }

    /// Starts an attempt to connect to this address.
    pub(super) fn connect(
        &mut self,
        node: Node,
        address: BrokerAddress,
        config: &MachineConfig,
        now: Instant,
    ) -> ConnectionId {
        let id = ConnectionId::from_u64(self.next_connection);
        let rng = ConnectionRng { seed: self.seed, connection: self.next_connection, authentications: 0 };
        self.next_connection += 1;
        self.next_node = self.next_node.wrapping_add(1);
        let state = self.nodes.entry(node).or_default();
        state.connection = Some(id);
        let fallback: Option<BrokerVersion> = config.broker_version_fallback.filter(|_| state.rejected_api_versions);
        state.rejected_api_versions = false;
        let counters = state.earlier.take().map(|earlier| Box::new(earlier.1)).unwrap_or_default();
        self.connections.insert(id, Connection::new(node, address, fallback, rng, counters, config, now));
        id
    }

    /// Returns `true` if this connection has been asked for.
    #[cfg(debug_assertions)]
    pub(super) const fn has_assigned(&self, id: ConnectionId) -> bool {
        id.as_u64() < self.next_connection
    }

    /// Records that the connection to this node is ready. The last error is kept: it may be why a waiting batch is
    /// late.
    pub(super) fn ready(&mut self, node: Node) {
        if let Some(state) = self.nodes.get_mut(&node) {
            state.failures = 0;
            if let Some(last) = &mut state.last_error {
                last.is_current = false;
            }
        }
    }

    /// Counts a connection to this node that has failed, and was removed.
    pub(super) fn count_error(&mut self, node: Node, is_authentication: bool) {
        let state = self.nodes.get_mut(&node);
        if let Some(earlier) = state.and_then(|state| state.earlier.as_deref_mut()) {
            earlier.1.on_error(is_authentication);
        }
    }

    /// Returns the counters of each node that was connected to.
    pub(super) fn counters_mut(&mut self) -> impl Iterator<Item = (Node, &mut BrokerCounters)> {
        let connected = self.connections.values_mut().map(|connection| (connection.node, &mut *connection.counters));
        let earlier = self.nodes.iter_mut().filter_map(|(node, state)| Some((*node, &mut state.earlier.as_mut()?.1)));
        connected.chain(earlier)
    }

    /// Returns the statistics of each node that was connected to.
    pub(super) fn stats(&self, now: Instant) -> impl Iterator<Item = BrokerStats> {
        self.nodes.values().filter_map(move |state| {
            let connection = state.connection.and_then(|id| self.connections.get(&id));
            let earlier = || state.earlier.as_deref().map(|(address, counters)| counters.stats(address.clone()));
            connection.map(|connection| connection.stats(now)).or_else(earlier)
        })
    }

    /// Records an error of a connection to this node.
    pub(super) fn failed(&mut self, node: Node, error: ConnectionError, at: Instant) {
        self.nodes.entry(node).or_default().last_error = Some(Box::new(NodeError { at, error, is_current: true }));
    }

    /// Returns the last error of this node, or of any node, if it can be the reason why something has waited since
    /// `since`: it occurred later, or no connection has become ready after it.
    pub(super) fn last_error(&self, of: Option<Node>, since: Instant) -> Option<&NodeError> {
        // If any connection is ready, the current error of another node does not delay anything.
        let counts = of.is_some() || self.connections.values().all(|connection| connection.versions().is_none());
        let nodes = self.nodes.iter().filter(|(node, _)| of.is_none_or(|of| of == **node));
        let errors = nodes.filter_map(|(_, state)| state.last_error.as_deref());
        errors.filter(|last| last.is_current && counts || last.at >= since).max_by_key(|last| last.at)
    }

    /// Returns the connection to this node, or the attempt to make it.
    pub(super) fn connection_to(&self, node: Node) -> Option<&Connection> {
        self.connections.get(&self.nodes.get(&node)?.connection?)
    }

    /// Returns the id of the broker that this connection leads to, if it is known.
    pub(super) fn broker(&self, id: ConnectionId) -> Option<i32> {
        match self.connections.get(&id)?.node {
            Node::Broker(id) => Some(id),
            Node::Bootstrap(_) => None,
        }
    }

    /// Removes a connection that is not needed any more. Does not count as a failure.
    pub(super) fn retire(&mut self, id: ConnectionId) -> Option<Connection> {
        let mut connection = self.connections.remove(&id)?;
        if let Some(state) = self.nodes.get_mut(&connection.node) {
            state.connection = None;
            if !connection.is_connecting() {
                connection.counters.on_closed();
            }
            let counters = core::mem::take(&mut *connection.counters);
            state.earlier = Some(Box::new((connection.address.clone(), counters)));
        }
        Some(connection)
    }

    /// Removes a failed connection. Returns it, and the earliest moment of the next attempt. `by_peer`: the peer closed
    /// it, or did not respond.
    pub(super) fn remove_failed(
        &mut self,
        id: ConnectionId,
        by_peer: bool,
        backoff: Backoff,
        random: &mut SplitMix64,
        now: Instant,
    ) -> Option<(Connection, Instant)> {
        let connection = self.retire(id)?;
        let state = self.nodes.entry(connection.node).or_default();
        state.failures = state.failures.saturating_add(1);
        state.not_before = now + backoff.after(state.failures, random);
        state.rejected_api_versions = by_peer && connection.awaits_api_versions();
        Some((connection, state.not_before))
    }

    /// Returns the current address of a node. The address of a connection is the one that it was opened to.
    pub(super) fn address(node: Node, config: &MachineConfig, cluster: &Cluster) -> Option<BrokerAddress> {
        match node {
            Node::Bootstrap(at) => config
                .bootstrap_servers
                .get(at as usize)
                .map(|(host, port)| BrokerAddress::new(None, host.clone(), *port)),
            Node::Broker(id) => {
                cluster.address(id).map(|Address { host, port }| BrokerAddress::new(Some(id), host.clone(), *port))
            }
        }
    }

    /// Returns when a Produce request may be sent to this node by the limit of their rate, if not now.
    pub(super) fn rate_limited_until(&self, node: Node, config: &MachineConfig, now: Instant) -> Option<Instant> {
        let rate = RequestRate::per_second(config.max_produce_requests_per_second?);
        self.nodes.get(&node)?.produce_requests.blocked_until(rate, now)
    }

    /// Counts a Produce request to this node. Returns when the next one may be sent, if not now.
    pub(super) fn count_produce(&mut self, node: Node, config: &MachineConfig, now: Instant) -> Option<Instant> {
        let rate = RequestRate::per_second(config.max_produce_requests_per_second?);
        let bucket = &mut self.nodes.get_mut(&node)?.produce_requests;
        bucket.sent(rate, now);
        bucket.blocked_until(rate, now)
    }

    /// Returns the connection with the fewest requests in flight, of those on which a request may be sent now.
    pub(super) fn least_loaded(&self, now: Instant) -> Option<ConnectionId> {
        let ready = self.connections.iter().filter(|(_, connection)| connection.versions().is_some());
        let available = ready.filter(|(_, connection)| connection.accepts_requests(now));
        available.min_by_key(|(_, connection)| connection.load()).map(|(&id, _)| id)
    }

    /// As [`least_loaded`](Self::least_loaded), of those whose broker takes telemetry.
    pub(super) fn least_loaded_with_telemetry(&self, now: Instant) -> Option<ConnectionId> {
        let takes_it =
            |connection: &Connection| connection.versions().is_some_and(|versions| versions.telemetry.is_some());
        let available = self.connections.iter().filter(|(_, each)| takes_it(each) && each.accepts_requests(now));
        available.min_by_key(|(_, connection)| connection.load()).map(|(&id, _)| id)
    }

    /// Returns the end of the wait for the most recent pending connection, after which another broker is tried; `None` if
    /// it has passed. A slower attempt must not prevent others: its broker may never respond.
    pub(super) fn stagger_deadline(&self, now: Instant) -> Option<Instant> {
        let connecting = self.connections.values().filter(|connection| connection.versions().is_none());
        connecting.map(|connection| connection.begun + CONNECT_STAGGER).max().filter(|&until| now < until)
    }

    /// Returns a node to connect to when any broker will do: a known broker or, if all of them have failed and the strategy is
    /// to use them again, a bootstrap server as well.
    ///
    /// # Errors
    /// No attempt may start now. Returns when the next one may, or `None` if connections to all nodes exist or are
    /// pending.
    pub(super) fn any_node(
        &self,
        config: &MachineConfig,
        cluster: &Cluster,
        now: Instant,
    ) -> Result<Node, Option<Instant>> {
        let failed = |node: &Node| self.nodes.get(node).is_some_and(|state| state.failures > 0);
        let brokers = || cluster.brokers().map(Node::Broker);
        let bootstrap = (0..config.bootstrap_servers.len() as u32).map(Node::Bootstrap);
        let is_used = match config.metadata_recovery_strategy {
            MetadataRecoveryStrategy::Rebootstrap => brokers().all(|node| failed(&node)),
            MetadataRecoveryStrategy::None => brokers().next().is_none(),
        };
        let bootstrap = bootstrap.filter(|_| is_used);
        let nodes: alloc::vec::Vec<Node> = brokers().chain(bootstrap).collect();
        let mut soonest: Option<Instant> = None;
        for step in 0..nodes.len() {
            let node = nodes[self.next_node.wrapping_add(step) % nodes.len()];
            match self.status(node, now) {
                NodeStatus::Disconnected => return Ok(node),
                NodeStatus::BackingOff(at) => soonest = Some(soonest.map_or(at, |earlier| earlier.min(at))),
                NodeStatus::Ready(_) | NodeStatus::Connecting => {}
            }
        }
        Err(soonest)
    }
}
