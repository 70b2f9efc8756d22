//! A cluster and the links of its clients on simulated time.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::Moment;
use crate::broker::release::Release;
use crate::broker::{BrokerAction, PORT, host};
use crate::engine::{Engine, EngineSettings};
use crate::link::{Arrival, Link, LinkSettings};
use crate::random::Random;

/// Brokers and the network between them and their clients, on simulated time: what [`TestCluster`](crate::TestCluster) is
/// on real time. Deterministic: the same seed and the same calls give the same results.
///
/// The caller keeps the time: it calls [`turn`](Self::turn) with the next moment at which anything is due, which is
/// [`wakes_at`](Self::wakes_at) or a moment of its own, and passes on what arrived at the clients.
///
/// ```
/// use std::time::Duration;
///
/// use kafka_batch_testing::simulated::{ClientEvent, EngineSettings, LinkSettings, Network, host};
/// use kafka_batch_testing::wire::metadata::MetadataRequest;
/// use kafka_batch_testing::{ApiKey, wire};
///
/// let mut network = Network::new(EngineSettings::simulation(7), LinkSettings { latency_ms: 20, pieces_percent: 10 });
/// let connection = network.connect(&host(1), 9092, Duration::ZERO);
/// let request = wire::request(ApiKey::Metadata, 12, 1, None, &MetadataRequest::default());
/// let (mut now, mut received) = (Duration::ZERO, 0);
/// while let Some(at) = network.wakes_at() {
///     now = now.max(at);
///     for (_, event) in network.turn(now) {
///         match event {
///             ClientEvent::Connected => network.write(connection, request.clone(), now),
///             ClientEvent::Received(bytes) => received += bytes.len(),
///             ClientEvent::Written | ClientEvent::Refused | ClientEvent::Closed { .. } => {}
///         }
///     }
/// }
/// assert!(received > 0 && now > Duration::ZERO);
/// ```
#[derive(Debug)]
pub struct Network {
    /// The brokers.
    pub engine: Engine,
    settings: LinkSettings,
    links: BTreeMap<u64, Link>,
    next_connection: u64,
    /// Connections to these brokers are refused until then, or not responded to.
    refusing: BTreeMap<i32, (Moment, bool)>,
    /// When a stopped broker restarts.
    restarts: BTreeMap<i32, (Moment, Release)>,
    random: Random,
}

/// What happens at a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientEvent {
    /// The connection is established.
    Connected,
    /// The connection is refused. It is over.
    Refused,
    /// What was passed to the oldest unfinished [`Network::write`] is written.
    Written,
    /// Bytes arrived.
    Received(Bytes),
    /// The connection is over.
    Closed {
        /// True if the broker closed it, after its last byte; false if it was lost.
        orderly: bool,
    },
}

impl Network {
    /// Creates a network without connections.
    #[must_use]
    pub fn new(engine: EngineSettings, links: LinkSettings) -> Self {
        let random = Random::new(engine.seed).fork(3);
        Self {
            engine: Engine::new(engine),
            settings: links,
            links: BTreeMap::new(),
            next_connection: 0,
            refusing: BTreeMap::new(),
            restarts: BTreeMap::new(),
            random,
        }
    }

    /// Starts a connection. If no broker has this address, or it is down, the connection will be refused.
    pub fn connect(&mut self, to: &str, port: u16, now: Moment) -> u64 {
        let number = self.next_connection;
        self.next_connection += 1;
        let found = self.engine.cluster.members.iter().find(|member| port == PORT && host(member.id) == to);
        let (refused, swallowed) = match found.map(|member| (member.up, self.refusing.get(&member.id))) {
            Some((true, Some((until, silently)))) if *until > now => (true, *silently),
            Some((is_up, _)) => (!is_up, false),
            None => (true, false),
        };
        let id = found.map_or(0, |member| member.id);
        let link = Link::connect(id, self.settings, refused, swallowed, now, self.random.fork(number));
        self.links.insert(number, link);
        number
    }

    /// Sends bytes to the broker. Ignored if the connection is over.
    pub fn write(&mut self, connection: u64, bytes: Bytes, now: Moment) {
        if let Some(link) = self.links.get_mut(&connection) {
            link.write(bytes, now);
        }
    }

    /// Closes a connection. No events of it follow.
    pub fn close(&mut self, connection: u64, now: Moment) {
        if let Some(link) = self.links.get_mut(&connection) {
            link.close_by_client(now);
        }
    }

    /// Does what is due. Returns what happens at clients, with their connections, in order.
    pub fn turn(&mut self, now: Moment) -> Vec<(u64, ClientEvent)> {
        let due = self.restarts.iter().filter(|(_, (at, _))| *at <= now);
        for (id, release) in due.map(|(id, (_, release))| (*id, *release)).collect::<Vec<_>>() {
            self.restarts.remove(&id);
            self.engine.restart(id, release);
        }
        let mut events = Vec::new();
        for (number, link) in &mut self.links {
            while let Some(arrival) = link.arrival(now) {
                let broker = self.engine.brokers.iter_mut().find(|broker| broker.id == link.broker);
                match (arrival, broker) {
                    (Arrival::Accepted, Some(broker)) => broker.accept(*number, 0),
                    (Arrival::AtBroker(bytes), Some(broker)) => broker.receive(*number, &bytes),
                    (Arrival::ClosedAtBroker, Some(broker)) => broker.client_closed(*number),
                    (Arrival::Connected, _) => events.push((*number, ClientEvent::Connected)),
                    (Arrival::Refused, _) => events.push((*number, ClientEvent::Refused)),
                    (Arrival::Written, _) => events.push((*number, ClientEvent::Written)),
                    (Arrival::AtClient(bytes, _), _) => events.push((*number, ClientEvent::Received(bytes))),
                    (Arrival::ClosedAtClient { orderly }, _) => events.push((*number, ClientEvent::Closed { orderly })),
                    (Arrival::Accepted | Arrival::AtBroker(_) | Arrival::ClosedAtBroker, None) => {}
                }
            }
        }
        self.links.retain(|_, link| !link.is_finished());
        for action in self.engine.turn(now) {
            match action {
                BrokerAction::Send { connection, bytes, corrupted } => {
                    if let Some(link) = self.links.get_mut(&connection) {
                        link.answer(bytes, corrupted, now);
                    }
                }
                BrokerAction::CloseConnection(connection) => {
                    if let Some(link) = self.links.get_mut(&connection) {
                        link.close_by_broker(now);
                    }
                }
                BrokerAction::Applied(_) | BrokerAction::Received(_) => {}
            }
        }
        events
    }

    /// Returns when there is something to do for [`turn`](Self::turn), if nothing else happens. `None`: never.
    #[must_use]
    pub fn wakes_at(&self) -> Option<Moment> {
        let links = self.links.values().filter_map(Link::wakes_at).min();
        let restarts = self.restarts.values().map(|(at, _)| *at).min();
        [links, restarts, self.engine.wakes_at()].into_iter().flatten().min()
    }

    /// Stops a broker, as a crash does, and restarts it at this time. Its partitions get other leaders after `without_leader`.
    pub fn kill(&mut self, broker: i32, restart_at: Moment, without_leader: Moment, now: Moment) {
        let Some(member) = self.engine.cluster.members.iter().find(|member| member.id == broker) else { return };
        self.restarts.insert(broker, (restart_at, member.release));
        self.engine.kill(broker, without_leader, now);
        self.cut(broker, now);
    }

    /// Loses the connections of a broker, with the bytes on their way.
    pub fn cut(&mut self, broker: i32, now: Moment) {
        self.links_of(broker).for_each(|link| link.cut(now));
    }

    /// Loses each connection of a broker after this many more bytes in one direction.
    pub fn cut_after(&mut self, broker: i32, bytes: usize, to_broker: bool) {
        self.links_of(broker).for_each(|link| link.cut_after(bytes, to_broker));
    }

    /// Stops the connections of a broker until this time, in one direction.
    pub fn stall(&mut self, broker: i32, until: Moment, to_broker: bool) {
        self.links_of(broker).for_each(|link| link.stall(until, to_broker));
    }

    /// Refuses connections to a broker until this time or, `silently`, does not respond to them.
    pub fn refuse(&mut self, broker: i32, until: Moment, silently: bool) {
        self.refusing.insert(broker, (until, silently));
    }

    /// Ends all faults of the network and of requests, also those that have not happened.
    pub fn end_faults(&mut self) {
        self.refusing.clear();
        self.links.values_mut().for_each(Link::end_faults);
        self.engine.cluster.faults.clear();
        self.engine.cluster.release_markers();
        self.engine.brokers.iter_mut().for_each(|broker| broker.end_faults(true));
    }

    fn links_of(&mut self, broker: i32) -> impl Iterator<Item = &mut Link> {
        self.links.values_mut().filter(move |link| link.broker == broker)
    }
}
