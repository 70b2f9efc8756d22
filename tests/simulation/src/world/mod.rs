//! The world: a machine, brokers, links, and a clock that only [`World::step`] advances.

mod action;
mod outputs;

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use kafka_batch_core::machine::{BatchId, ConnectionId, Disconnect, FlushId, Input, MachineConfig};
use kafka_batch_testing::Release;
use kafka_batch_testing::simulated::{
    Arrival, Broker, BrokerAction, Cluster, ClusterSettings, Link, LinkSettings, Member, Random, Variation,
};

pub use self::action::Action;
use crate::Moment;
use crate::contents::Serial;
use crate::credentials::{PASSWORD, credentials, users};
use crate::laws::Violation;
use crate::laws::history::BatchHistory;
use crate::laws::known_leaders::KnownLeaders;
use crate::laws::tap::{ClientRules, Tap};
use crate::machine::Machine;

/// The parameters of a world.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The machine's settings.
    pub producer: MachineConfig,
    /// The settings of the cluster.
    pub cluster: ClusterSettings,
    /// True if clients have to authenticate.
    pub sasl: bool,
    /// The release of each broker.
    pub releases: Vec<Release>,
    /// The existing topics, with their numbers of partitions.
    pub topics: Vec<(String, usize)>,
    /// The speed of the links.
    pub links: LinkSettings,
    /// The seed of random numbers.
    pub seed: u64,
    /// True if received bytes are passed on in random pieces. This must not change the outputs.
    pub cut_anywhere: bool,
    /// True if a trace is kept.
    pub traced: bool,
}

/// Statistics.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Faults that took effect, by kind.
    pub faults: BTreeMap<&'static str, u64>,
    /// Hashes of the states of the world, coarsely.
    pub states: BTreeSet<u64>,
    /// The number of steps.
    pub steps: u64,
}

/// The world.
#[derive(Debug)]
pub struct World {
    /// The time.
    pub now: Moment,
    /// The machine.
    pub machine: Machine,
    /// The time.
    pub cluster: Cluster,
    /// The laws' records.
    pub history: BatchHistory,
    /// The statistics.
    pub counts: Counts,
    /// The trace, if it is kept.
    pub trace: Vec<String>,
    settings: Settings,
    brokers: Vec<Broker>,
    links: BTreeMap<u64, Link>,
    /// The machine's id of a connection, until the machine closes it.
    names: BTreeMap<u64, ConnectionId>,
    numbers: BTreeMap<ConnectionId, u64>,
    taps: BTreeMap<u64, Tap>,
    /// The leaders known to the client.
    leaders: KnownLeaders,
    next_connection: u64,
    batches: BTreeMap<BatchId, Serial>,
    next_serial: u64,
    flushes: BTreeMap<FlushId, Vec<Serial>>,
    deadline: Option<Moment>,
    /// The latest time that was passed to the machine.
    latest_now: Moment,
    /// How often in a row a deadline was due and nothing was done.
    idle: u32,
    /// The hash of the outputs at that time.
    idle_since: u64,
    closed: bool,
    /// Connections to these brokers are refused until then, or not responded to.
    refusing: BTreeMap<i32, (Moment, bool)>,
    /// When a stopped broker restarts.
    returns: BTreeMap<i32, (Moment, Release)>,
    digest: DefaultHasher,
    random: Random,
    /// For draws that must not change the outputs.
    idle_chance: Random,
}

impl World {
    /// Creates a world.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let mut random = Random::new(settings.seed);
        let mut cluster = Cluster::new(settings.cluster.clone(), &settings.releases, random.fork(1));
        for (topic, partitions) in &settings.topics {
            cluster.create(topic, *partitions, Moment::ZERO);
        }
        cluster.turn(Moment::ZERO);
        let broker = |member: &Member| {
            let mut broker = Broker::new(member.id, member.release, Variation::SIMULATION, random.fork(2));
            if settings.sasl {
                broker.users = users();
            }
            broker
        };
        let brokers = cluster.members.iter().map(broker).collect();
        let now = Moment::from_millis(5);
        Self {
            now,
            machine: Machine::new(settings.producer.clone(), now, random.draw()),
            cluster,
            history: BatchHistory::default(),
            counts: Counts::default(),
            trace: Vec::new(),
            brokers,
            links: BTreeMap::new(),
            names: BTreeMap::new(),
            numbers: BTreeMap::new(),
            taps: BTreeMap::new(),
            leaders: KnownLeaders::default(),
            next_connection: 0,
            batches: BTreeMap::new(),
            next_serial: 0,
            flushes: BTreeMap::new(),
            deadline: None,
            latest_now: now,
            idle: 0,
            idle_since: 0,
            closed: false,
            refusing: BTreeMap::new(),
            returns: BTreeMap::new(),
            digest: DefaultHasher::new(),
            idle_chance: random.fork(3),
            random,
            settings,
        }
    }

    /// Returns true if the machine has reported that it is closed.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        self.closed
    }

    /// Returns a hash of all outputs of the machine.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.digest.finish()
    }

    /// Returns true if the brokers require credentials that the machine does not have.
    #[must_use]
    pub fn lacks_credentials(&self) -> bool {
        self.settings.sasl && self.settings.producer.sasl != Some(credentials(PASSWORD))
    }

    /// Returns true if a broker rejects producer ids or epochs permanently.
    #[must_use]
    pub fn rejects_identities(&self) -> bool {
        self.brokers.iter().any(Broker::rejects_identities)
    }

    /// Returns `acks`, as in the protocol.
    #[must_use]
    pub const fn acks(&self) -> i16 {
        self.rules().acks
    }

    /// Returns the settings.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(crate) fn note(&mut self, line: impl FnOnce() -> String) {
        if self.settings.traced {
            let line = format!("{:>12.6} {}", self.now.as_secs_f64(), line());
            self.trace.push(line);
        }
    }

    fn count(&mut self, fault: &'static str) {
        *self.counts.faults.entry(fault).or_default() += 1;
    }

    /// Returns what the machine may do on a connection.
    const fn rules(&self) -> ClientRules {
        use kafka_batch_core::protocol::Acks;
        let producer = &self.settings.producer;
        let limit = producer.max_in_flight_requests_per_connection;
        ClientRules {
            most_in_flight: if limit == 0 { 1 } else { limit },
            most_bytes: producer.max_request_size,
            remembers: producer.metadata_max_idle.as_secs() >= 300,
            acks: match producer.acks {
                Acks::None => 0,
                Acks::Leader => 1,
                Acks::All => -1,
            },
        }
    }

    /// Drains all outputs, advances to the next event, but not past `until`, and processes what is due then. Returns
    /// whether that was before `until`.
    pub fn step(&mut self, until: Moment) -> Result<bool, Violation> {
        self.counts.steps += 1;
        self.drain()?;
        let next = self.wakes_at().into_iter().chain(self.deadline).min().unwrap_or(until);
        let fired = self.deadline.is_some_and(|deadline| deadline <= until)
            && self.wakes_at().is_none_or(|at| Some(at) > self.deadline);
        if next >= until {
            self.now = self.now.max(until);
            return Ok(false);
        }
        self.now = self.now.max(next);
        if fired {
            let before = self.digest();
            let deadline = self.deadline;
            self.drain()?;
            let after = self.digest();
            self.idle = if (after, after) == (before, self.idle_since) { self.idle + 1 } else { 0 };
            self.idle_since = after;
            if self.idle > 60 {
                return Violation::of(
                    "a due deadline makes progress",
                    format!("{} times nothing at {deadline:?}", self.idle),
                );
            }
        }
        self.turn()?;
        self.observe();
        Ok(true)
    }

    /// Steps until this time.
    pub fn run_until(&mut self, until: Moment) -> Result<(), Violation> {
        while self.step(until)? {}
        self.drain()
    }

    /// Returns when the next event outside of the machine is due.
    fn wakes_at(&self) -> Option<Moment> {
        let links = self.links.values().filter_map(Link::wakes_at).min();
        let brokers = self.brokers.iter().filter_map(Broker::wakes_at).min();
        let returns = self.returns.values().map(|(at, _)| *at).min();
        [links, brokers, returns, self.cluster.wakes_at()].into_iter().flatten().min()
    }

    /// Returns true if there will be no more events outside of the machine.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.wakes_at().is_none()
    }

    /// Processes what is due outside of the machine.
    fn turn(&mut self) -> Result<(), Violation> {
        let back = self.returns.iter().filter(|(_, (at, _))| *at <= self.now);
        let back: Vec<(i32, Release)> = back.map(|(id, (_, release))| (*id, *release)).collect();
        for (id, release) in back {
            self.note(|| format!("broker {id} restarts with {}", release.version()));
            self.returns.remove(&id);
            self.cluster.up(id, release);
            for broker in self.brokers.iter_mut().filter(|broker| broker.id == id) {
                broker.release = release;
            }
        }
        self.cluster.turn(self.now);
        let numbers: Vec<u64> = self.links.keys().copied().collect();
        for number in numbers {
            while let Some(arrival) = self.links.get_mut(&number).and_then(|link| link.arrival(self.now)) {
                self.arrived(number, arrival);
                if self.random.percent(70) {
                    self.drain()?;
                }
            }
            if self.links.get(&number).is_some_and(Link::is_finished) {
                self.links.remove(&number);
            }
        }
        for position in 0..self.brokers.len() {
            let actions = self.brokers[position].turn(&mut self.cluster, self.now);
            for action in actions {
                self.done(self.brokers[position].id, action);
            }
            if let Some(violation) = self.brokers[position].violations.pop() {
                return Violation::of("brokers accept what is sent", violation);
            }
        }
        Ok(())
    }

    fn done(&mut self, broker: i32, action: BrokerAction) {
        match action {
            BrokerAction::Send { connection, bytes, corrupted } => {
                if let Some(link) = self.links.get_mut(&connection) {
                    link.answer(bytes, corrupted, self.now);
                }
            }
            BrokerAction::CloseConnection(connection) => {
                self.note(|| format!("broker {broker} closes {connection}"));
                if let Some(link) = self.links.get_mut(&connection) {
                    link.close_by_broker(self.now);
                }
            }
            BrokerAction::Applied(fault) => {
                self.note(|| format!("broker {broker} {fault}"));
                self.count(fault.kind().name());
            }
            BrokerAction::Received(_) => {}
        }
    }

    fn arrived(&mut self, number: u64, arrival: Arrival) {
        let broker = self.links[&number].broker;
        let position = self.brokers.iter().position(|other| other.id == broker);
        if let Some(broker) = position.map(|position| &mut self.brokers[position]) {
            match &arrival {
                Arrival::Accepted => broker.accept(number, 0),
                Arrival::AtBroker(bytes) => broker.receive(number, bytes),
                Arrival::ClosedAtBroker => broker.client_closed(number),
                _ => {}
            }
        }
        let Some(name) = self.names.get(&number).copied() else { return };
        let now = self.perhaps_earlier();
        match arrival {
            Arrival::Connected => {
                self.note(|| format!("{number} connected"));
                self.machine.handle_input(Input::Connected(name), now);
            }
            Arrival::Refused => {
                self.note(|| format!("{number} refused"));
                self.forget(number);
                let how = if number.is_multiple_of(4) { Disconnect::Untrusted } else { Disconnect::NotConnected };
                self.machine.handle_input(Input::Closed(name, how, None), now);
            }
            Arrival::Written => {
                if let Some(tap) = self.taps.get_mut(&number) {
                    tap.written(&mut self.history);
                }
                self.machine.handle_input(Input::Transmitted(name), now);
            }
            Arrival::AtClient(bytes, corrupted) => {
                let tap = self.taps.get_mut(&number).expect("each connection is observed");
                self.latest_now = self.latest_now.max(now);
                let sources = (&mut self.leaders, &self.cluster);
                for line in tap.received(&bytes, corrupted, &mut self.history, sources, self.latest_now) {
                    self.note(|| format!("{number} <- {line}"));
                }
                if corrupted {
                    self.note(|| format!("{number} <- garbage"));
                }
                self.hand_over(name, &bytes, now);
            }
            Arrival::ClosedAtClient { orderly } => {
                self.note(|| format!("{number} closed {}", if orderly { "by the broker" } else { "by a fault" }));
                self.forget(number);
                let how = if orderly { Disconnect::ByPeer } else { Disconnect::Broken };
                self.machine.handle_input(Input::Closed(name, how, None), now);
            }
            Arrival::Accepted | Arrival::AtBroker(_) | Arrival::ClosedAtBroker => {}
        }
    }

    /// Passes bytes on, in one piece or in several.
    fn hand_over(&mut self, name: ConnectionId, mut bytes: &[u8], now: Moment) {
        while self.settings.cut_anywhere && !bytes.is_empty() {
            let (piece, rest) = bytes.split_at(self.idle_chance.between(0, bytes.len() as u64) as usize);
            self.machine.received(name, piece, now);
            bytes = rest;
        }
        if !bytes.is_empty() {
            self.machine.received(name, bytes, now);
        }
    }

    /// Returns the time, or occasionally an earlier one.
    fn perhaps_earlier(&mut self) -> Moment {
        if self.random.percent(2) { self.now.saturating_sub(self.random.millis(0, 5_000)) } else { self.now }
    }

    fn forget(&mut self, number: u64) {
        if let Some(name) = self.names.remove(&number) {
            self.numbers.remove(&name);
            self.history.connection_over(number);
        }
    }

    /// Records the state of the world, coarsely.
    fn observe(&mut self) {
        let mut state = DefaultHasher::new();
        for tap in self.names.keys().filter_map(|number| self.taps.get(number)) {
            tap.in_flight().hash(&mut state);
        }
        for member in &self.cluster.members {
            (member.up, member.release).hash(&mut state);
        }
        for partition in self.cluster.topics.values().flat_map(|topic| &topic.partitions) {
            (partition.leader, partition.log.uncommitted().min(4)).hash(&mut state);
        }
        for accepted in self.history.accepted_batches.values().filter(|accepted| accepted.outcome.is_none()) {
            (&accepted.to, accepted.attempts.len().min(4)).hash(&mut state);
            accepted.attempts.last().map(|last| last.answer.map(|(code, _)| code)).hash(&mut state);
        }
        self.counts.states.insert(state.finish());
    }
}
