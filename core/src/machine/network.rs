//! Which nodes there are, which connection leads to each, and when one may be tried again.

use alloc::collections::BTreeMap;
use core::time::Duration;

use super::backoff::{Backoff, ConnectionRng, Seed};
use super::cause::BrokerAddress;
use super::cluster::{Address, Cluster};
use super::config::ProducerConfig;
use super::connection::Connection;
use super::event::ConnectionError;
use super::io::ConnectionId;
use crate::magic::BrokerVersion;
use crate::splitmix64::SplitMix64;
use crate::time::Instant;

/// Somebody to connect to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Node {
    /// A bootstrap server, by its place in the list. Who it is in the cluster is not known.
    Bootstrap(usize),
    /// A broker, by its id.
    Broker(i32),
}

/// All connections.
#[derive(Debug)]
pub(super) struct Network {
    pub(super) connections: BTreeMap<ConnectionId, Connection>,
    nodes: BTreeMap<Node, NodeState>,
    next_connection: u64,
    /// Whom to try first among equals: moves on with each attempt.
    turn: usize,
    /// What chance of the connections' own is made from.
    seed: Seed,
    /// Whether any broker has answered a request after a handshake: then `security.protocol` is right.
    pub(super) is_proven: bool,
}

/// The way to a node.
#[derive(Debug, Default)]
struct NodeState {
    connection: Option<ConnectionId>,
    failures: u32,
    not_before: Instant,
    /// It hung up when it was asked what it speaks, or kept silent: next time it is not asked.
    hung_up: bool,
    last_error: Option<NodeError>,
}

/// The last error on the way to a node.
#[derive(Clone, Debug)]
pub(super) struct NodeError {
    pub(super) at: Instant,
    pub(super) error: ConnectionError,
    /// Whether there was no connection that was ready since.
    is_current: bool,
}

/// How far one is from speaking with a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    Ready(ConnectionId),
    Underway,
    /// It can be tried.
    Free,
    /// It can be tried then.
    NotBefore(Instant),
}

/// So long an attempt to connect may take before another broker is tried beside it.
const CONNECT_STAGGER: Duration = Duration::from_secs(1);

impl Network {
    pub(super) fn new(turn: usize, seed: Seed) -> Self {
        let (connections, nodes) = (BTreeMap::new(), BTreeMap::new());
        Self { connections, nodes, next_connection: 0, turn, seed, is_proven: false }
    }

    pub(super) fn reach(&self, node: Node, now: Instant) -> Reach {
        let Some(path) = self.nodes.get(&node) else { return Reach::Free };
        match path.connection {
            Some(id) if self.connections.get(&id).is_some_and(|connection| connection.versions().is_some()) => {
                Reach::Ready(id)
            }
            Some(_) => Reach::Underway,
            None if path.not_before > now => Reach::NotBefore(path.not_before),
            None => Reach::Free,
        }
    }

    /// A new attempt, to this address.
    pub(super) fn connect(
        &mut self,
        node: Node,
        address: BrokerAddress,
        config: &ProducerConfig,
        now: Instant,
    ) -> ConnectionId {
        let id = ConnectionId::new(self.next_connection);
        let rng = ConnectionRng { seed: self.seed, connection: self.next_connection };
        self.next_connection += 1;
        self.turn = self.turn.wrapping_add(1);
        let path = self.nodes.entry(node).or_default();
        path.connection = Some(id);
        let fallback: Option<BrokerVersion> = config.broker_version_fallback.filter(|_| path.hung_up);
        path.hung_up = false;
        self.connections.insert(id, Connection::new(node, address, fallback, rng, config, now));
        id
    }

    /// It can be used. The last error is kept: it may be why a batch was delayed that is still waiting.
    pub(super) fn ready(&mut self, node: Node) {
        if let Some(path) = self.nodes.get_mut(&node) {
            path.failures = 0;
            if let Some(last) = &mut path.last_error {
                last.is_current = false;
            }
        }
    }

    /// Records an error on the way to this node.
    pub(super) fn failed(&mut self, node: Node, error: ConnectionError, at: Instant) {
        self.nodes.entry(node).or_default().last_error = Some(NodeError { at, error, is_current: true });
    }

    /// Returns the last error on the way to this node, or to any, if it can be why something is late that waits since
    /// `since`: it occurred later, or there was no connection that was ready after it.
    pub(super) fn last_error(&self, of: Option<Node>, since: Instant) -> Option<&NodeError> {
        // Other nodes may be good, and this one is then of no importance.
        let counts = of.is_some() || self.connections.values().all(|connection| connection.versions().is_none());
        let nodes = self.nodes.iter().filter(|(node, _)| of.is_none_or(|of| of == **node));
        let errors = nodes.filter_map(|(_, path)| path.last_error.as_ref());
        errors.filter(|last| last.is_current && counts || last.at >= since).max_by_key(|last| last.at)
    }

    /// Returns the connection to this node, or the attempt to make it.
    pub(super) fn connection_to(&self, node: Node) -> Option<&Connection> {
        self.connections.get(&self.nodes.get(&node)?.connection?)
    }

    /// The id of the broker at the other end, where it is known.
    pub(super) fn broker(&self, id: ConnectionId) -> Option<i32> {
        match self.connections.get(&id)?.node {
            Node::Broker(id) => Some(id),
            Node::Bootstrap(_) => None,
        }
    }

    /// Takes a connection out that was of no use any more, and no fault of anybody.
    pub(super) fn retire(&mut self, id: ConnectionId) -> Option<Connection> {
        let connection = self.connections.remove(&id)?;
        if let Some(path) = self.nodes.get_mut(&connection.node) {
            path.connection = None;
        }
        Some(connection)
    }

    /// Takes a connection out that has failed: and waits before the next attempt, until the moment given back. `by_peer`:
    /// the peer ended it, or kept silent.
    pub(super) fn lose(
        &mut self,
        id: ConnectionId,
        by_peer: bool,
        backoff: Backoff,
        random: &mut SplitMix64,
        now: Instant,
    ) -> Option<(Connection, Instant)> {
        let connection = self.retire(id)?;
        let path = self.nodes.entry(connection.node).or_default();
        path.failures = path.failures.saturating_add(1);
        path.not_before = now + backoff.after(path.failures, random);
        path.hung_up = by_peer && connection.hangs_up_on_versions();
        Some((connection, path.not_before))
    }

    /// The address of a node, as it is known now. A connection has the one that it was made to.
    pub(super) fn address(node: Node, config: &ProducerConfig, cluster: &Cluster) -> Option<BrokerAddress> {
        match node {
            Node::Bootstrap(at) => {
                config.bootstrap_servers.get(at).map(|(host, port)| BrokerAddress::new(None, host.clone(), *port))
            }
            Node::Broker(id) => {
                cluster.address(id).map(|Address { host, port }| BrokerAddress::new(Some(id), host.clone(), *port))
            }
        }
    }

    /// A connection over which anything can be asked now: the one with the least to do.
    pub(super) fn least_loaded(&self, now: Instant) -> Option<ConnectionId> {
        let ready = self.connections.iter().filter(|(_, connection)| connection.versions().is_some());
        let willing = ready.filter(|(_, connection)| connection.may_be_asked(now));
        willing.min_by_key(|(_, connection)| connection.load()).map(|(&id, _)| id)
    }

    /// Whether some connection will be ready soon: until when that may be hoped of the youngest. One that takes longer must
    /// not keep us from trying others: its broker may be silent for good.
    pub(super) fn hopes_until(&self, now: Instant) -> Option<Instant> {
        let underway = self.connections.values().filter(|connection| connection.versions().is_none());
        underway.map(|connection| connection.begun + CONNECT_STAGGER).max().filter(|&until| now < until)
    }

    /// Whom to connect to when anybody will do: known brokers before bootstrap servers, unless all of those have failed.
    /// Otherwise: when somebody can be tried again.
    pub(super) fn anybody(
        &self,
        config: &ProducerConfig,
        cluster: &Cluster,
        now: Instant,
    ) -> Result<Node, Option<Instant>> {
        let failed = |node: &Node| self.nodes.get(node).is_some_and(|path| path.failures > 0);
        let brokers = || cluster.brokers().map(Node::Broker);
        let bootstrap = (0..config.bootstrap_servers.len()).map(Node::Bootstrap);
        let bootstrap = bootstrap.filter(|_| brokers().all(|node| failed(&node)));
        let nodes: alloc::vec::Vec<Node> = brokers().chain(bootstrap).collect();
        let mut soonest: Option<Instant> = None;
        for step in 0..nodes.len() {
            let node = nodes[self.turn.wrapping_add(step) % nodes.len()];
            match self.reach(node, now) {
                Reach::Free => return Ok(node),
                Reach::NotBefore(at) => soonest = Some(soonest.map_or(at, |sooner| sooner.min(at))),
                Reach::Ready(_) | Reach::Underway => {}
            }
        }
        Err(soonest)
    }
}
