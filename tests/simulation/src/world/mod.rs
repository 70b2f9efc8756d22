//! The world: a machine, brokers, links, and a clock that only [`World::step`] advances.

mod action;
mod outputs;

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use kafka_batch_core::machine::{BatchId, ConnectionId, Disconnect, FlushId, Input, ProducerConfig};

pub use self::action::Action;
use crate::Moment;
use crate::broker::release::Release;
use crate::broker::{Broker, Deed};
use crate::cluster::{Cluster, ClusterSettings};
use crate::contents::Serial;
use crate::laws::Breach;
use crate::laws::ledger::Ledger;
use crate::laws::tap::{Manners, Tap};
use crate::laws::told::Told;
use crate::link::{Arrival, Link, LinkSettings};
use crate::machine::Machine;
use crate::random::Random;

/// What a world is made of.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The machine's settings.
    pub producer: ProducerConfig,
    /// The cluster's.
    pub cluster: ClusterSettings,
    /// What each broker runs.
    pub releases: Vec<Release>,
    /// The topics that there are, with their partitions.
    pub topics: Vec<(String, usize)>,
    /// The links'.
    pub links: LinkSettings,
    /// Chance.
    pub seed: u64,
    /// Received bytes are handed over cut anywhere. This must change nothing.
    pub cut_anywhere: bool,
    /// Whether a trace is kept.
    pub traced: bool,
}

/// What is counted.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Faults that came into effect, by kind.
    pub faults: BTreeMap<&'static str, u64>,
    /// Hashes of the states that the world was in, coarsely seen.
    pub states: BTreeSet<u64>,
    /// Steps.
    pub steps: u64,
}

/// The world.
#[derive(Debug)]
pub struct World {
    /// The time.
    pub now: Moment,
    /// The machine.
    pub machine: Machine,
    /// The cluster.
    pub cluster: Cluster,
    /// What was promised.
    pub ledger: Ledger,
    /// What is counted.
    pub counts: Counts,
    /// What happened, if it is kept.
    pub trace: Vec<String>,
    settings: Settings,
    brokers: Vec<Broker>,
    links: BTreeMap<u64, Link>,
    /// What the machine calls a connection, for as long as it has it.
    names: BTreeMap<u64, ConnectionId>,
    numbers: BTreeMap<ConnectionId, u64>,
    taps: BTreeMap<u64, Tap>,
    /// Who leads, as far as the machine was told.
    leaders: Told,
    next_connection: u64,
    batches: BTreeMap<BatchId, Serial>,
    next_serial: u64,
    flushes: BTreeMap<FlushId, Vec<Serial>>,
    deadline: Option<Moment>,
    /// The latest moment that the machine was told.
    told: Moment,
    /// How often in a row the deadline came and nothing was done.
    idle: u32,
    /// What stood for all that was put out when it last was so.
    idle_since: u64,
    closed: bool,
    /// Nobody listens at these brokers until then; or nobody says so.
    refusing: BTreeMap<i32, (Moment, bool)>,
    /// When a broker that is down returns.
    returns: BTreeMap<i32, (Moment, Release)>,
    digest: DefaultHasher,
    random: Random,
    /// For what must not change anything.
    idle_chance: Random,
}

impl World {
    /// A world at its beginning.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let mut random = Random::new(settings.seed);
        let mut cluster = Cluster::new(settings.cluster.clone(), &settings.releases, random.fork(1));
        for (topic, partitions) in &settings.topics {
            cluster.create(topic, *partitions, Moment::ZERO);
        }
        cluster.turn(Moment::ZERO);
        let broker = |member: &crate::cluster::Member| {
            let mut broker = Broker::new(member.id, member.release, random.fork(2));
            broker.sasl = settings.cluster.sasl;
            broker
        };
        let brokers = cluster.members.iter().map(broker).collect();
        let now = Moment::from_millis(5);
        Self {
            now,
            machine: Machine::new(settings.producer.clone(), now, random.draw()),
            cluster,
            ledger: Ledger::default(),
            counts: Counts::default(),
            trace: Vec::new(),
            brokers,
            links: BTreeMap::new(),
            names: BTreeMap::new(),
            numbers: BTreeMap::new(),
            taps: BTreeMap::new(),
            leaders: Told::default(),
            next_connection: 0,
            batches: BTreeMap::new(),
            next_serial: 0,
            flushes: BTreeMap::new(),
            deadline: None,
            told: now,
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

    /// Whether the machine has said that it is closed.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        self.closed
    }

    /// A number that stands for everything that the machine has put out.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.digest.finish()
    }

    /// Whether the brokers want credentials that the machine does not have.
    #[must_use]
    pub fn is_locked_out(&self) -> bool {
        use crate::broker::sasl::{PASSWORD, credentials};
        self.settings.cluster.sasl && self.settings.producer.sasl != Some(credentials(PASSWORD))
    }

    /// Whether some broker refuses producer ids or epochs for good.
    #[must_use]
    pub fn refuses_identities(&self) -> bool {
        self.brokers.iter().any(Broker::refuses_identities)
    }

    /// `acks`, as on the wire.
    #[must_use]
    pub const fn acks(&self) -> i16 {
        self.manners().acks
    }

    /// The settings.
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

    /// What the machine may do on a connection.
    const fn manners(&self) -> Manners {
        use kafka_batch_core::protocol::Acks;
        let producer = &self.settings.producer;
        let asked = producer.max_in_flight_requests_per_connection;
        Manners {
            most_in_flight: if asked == 0 { 1 } else { asked },
            most_bytes: producer.max_request_size,
            remembers: producer.metadata_max_idle.as_secs() >= 300,
            acks: match producer.acks {
                Acks::None => 0,
                Acks::Leader => 1,
                Acks::All => -1,
            },
        }
    }

    /// Drains everyone, then goes to the next moment, but not past `until`, and lets happen what is due then. Gives
    /// whether that was before `until`.
    pub fn step(&mut self, until: Moment) -> Result<bool, Breach> {
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
                return Breach::of(
                    "firing a deadline makes progress",
                    format!("{} times nothing at {deadline:?}", self.idle),
                );
            }
        }
        self.turn()?;
        self.observe();
        Ok(true)
    }

    /// Steps until this moment.
    pub fn run_until(&mut self, until: Moment) -> Result<(), Breach> {
        while self.step(until)? {}
        self.drain()
    }

    /// When something happens outside of the machine.
    fn wakes_at(&self) -> Option<Moment> {
        let links = self.links.values().filter_map(Link::wakes_at).min();
        let brokers = self.brokers.iter().filter_map(Broker::wakes_at).min();
        let returns = self.returns.values().map(|(at, _)| *at).min();
        [links, brokers, returns, self.cluster.wakes_at()].into_iter().flatten().min()
    }

    /// Whether nothing will happen outside of the machine any more.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.wakes_at().is_none()
    }

    /// Lets happen what is due outside of the machine.
    fn turn(&mut self) -> Result<(), Breach> {
        let back = self.returns.iter().filter(|(_, (at, _))| *at <= self.now);
        let back: Vec<(i32, Release)> = back.map(|(id, (_, release))| (*id, *release)).collect();
        for (id, release) in back {
            self.note(|| format!("broker {id} is back, of {}", release.version()));
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
            if self.links.get(&number).is_some_and(Link::is_over) {
                self.links.remove(&number);
            }
        }
        for position in 0..self.brokers.len() {
            let deeds = self.brokers[position].turn(&mut self.cluster, self.now);
            for deed in deeds {
                self.done(self.brokers[position].id, deed);
            }
            if let Some(complaint) = self.brokers[position].complaints.pop() {
                return Breach::of("what is sent is what a broker takes", complaint);
            }
        }
        Ok(())
    }

    fn done(&mut self, broker: i32, deed: Deed) {
        match deed {
            Deed::Send { connection, bytes, spoilt } => {
                if let Some(link) = self.links.get_mut(&connection) {
                    link.answer(bytes, spoilt, self.now);
                }
            }
            Deed::HangUp(connection) => {
                self.note(|| format!("broker {broker} hangs up on {connection}"));
                if let Some(link) = self.links.get_mut(&connection) {
                    link.close_by_broker(self.now);
                }
            }
            Deed::Intercepted(interceptor) => {
                self.note(|| format!("broker {broker} {:?}: {:?}", interceptor.api, interceptor.what));
                self.count(interceptor.what.kind());
            }
        }
    }

    fn arrived(&mut self, number: u64, arrival: Arrival) {
        let broker = self.links[&number].broker;
        let position = self.brokers.iter().position(|other| other.id == broker);
        if let Some(broker) = position.map(|position| &mut self.brokers[position]) {
            match &arrival {
                Arrival::Accepted => broker.accept(number),
                Arrival::AtBroker(bytes) => broker.receive(number, bytes),
                Arrival::ClosedAtBroker => broker.deserted(number),
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
                    tap.written(&mut self.ledger);
                }
                self.machine.handle_input(Input::Written(name), now);
            }
            Arrival::AtClient(bytes, spoilt) => {
                let tap = self.taps.get_mut(&number).expect("each connection is listened to");
                self.told = self.told.max(now);
                let sources = (&mut self.leaders, &self.cluster);
                for line in tap.received(&bytes, spoilt, &mut self.ledger, sources, self.told) {
                    self.note(|| format!("{number} <- {line}"));
                }
                if spoilt {
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

    /// Hands bytes over, in one piece or in many.
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

    /// The time, or now and then an earlier one.
    fn perhaps_earlier(&mut self) -> Moment {
        if self.random.percent(2) { self.now.saturating_sub(self.random.millis(0, 5_000)) } else { self.now }
    }

    fn forget(&mut self, number: u64) {
        if let Some(name) = self.names.remove(&number) {
            self.numbers.remove(&name);
            self.ledger.connection_over(number);
        }
    }

    /// Notes in which state the world is, coarsely.
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
        for promise in self.ledger.promises.values().filter(|promise| promise.outcome.is_none()) {
            (&promise.to, promise.attempts.len().min(4)).hash(&mut state);
            promise.attempts.last().map(|last| last.answer.map(|(code, _)| code)).hash(&mut state);
        }
        self.counts.states.insert(state.finish());
    }
}
