//! The network: the brokers, links to them, and the ends of connections at the producers.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, IoSlice};
use std::net::{IpAddr, Ipv4Addr};
use std::task::{Poll, Waker};
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use kafka_batch_testing::simulated::{Arrival, BrokerAction, Engine, Link, LinkSettings, PORT, Random, host};

use crate::dialogue::Dialogue;
use crate::state::State;

/// The network of a run.
pub(crate) struct Network {
    pub(crate) engine: Engine,
    /// True if the brokers may have something to do, whatever the time: set it after any change from outside.
    pub(crate) is_engine_changed: bool,
    /// When the brokers have something to do otherwise.
    engine_wakes_at: Option<Duration>,
    links: BTreeMap<u64, Link>,
    ends: BTreeMap<u64, End>,
    /// Of all connections, also those that are closed.
    written: BTreeMap<u64, Written>,
    /// Connections to these brokers are refused until then, or (if `true`) not responded to.
    refusing: BTreeMap<i32, (Duration, bool)>,
    /// When a stopped broker starts again.
    returns: BTreeMap<i32, Duration>,
    next_connection: u64,
    link_settings: LinkSettings,
    random: Random,
}

/// The producer's end of a connection.
#[derive(Debug)]
struct End {
    status: Status,
    received: VecDeque<Bytes>,
    /// Waits for a connection, or for bytes.
    reader: Option<Waker>,
}

/// The frames that a producer has written to a connection.
#[derive(Debug, Default)]
struct Written {
    /// When the last byte of each frame was written.
    at: Vec<Duration>,
    /// The length of the frame that is written in part, as far as it is known.
    length: Vec<u8>,
    /// How many of its bytes are still to be written.
    left: usize,
}

impl Written {
    fn push(&mut self, mut bytes: &[u8], now: Duration) {
        while !bytes.is_empty() {
            if self.left == 0 {
                let (byte, rest) = bytes.split_at(1);
                self.length.extend_from_slice(byte);
                bytes = rest;
                let Ok(length) = <[u8; 4]>::try_from(&self.length[..]) else { continue };
                self.length.clear();
                self.left = usize::try_from(i32::from_be_bytes(length)).unwrap_or(0);
            } else {
                let part = self.left.min(bytes.len());
                bytes = &bytes[part..];
                self.left -= part;
            }
            if self.left == 0 && self.length.is_empty() {
                self.at.push(now);
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    Connecting,
    Open,
    /// The broker has closed the connection in order.
    Ended,
    Failed(io::ErrorKind),
}

impl Network {
    pub(crate) const fn new(engine: Engine, link_settings: LinkSettings, random: Random) -> Self {
        Self {
            engine,
            is_engine_changed: true,
            engine_wakes_at: None,
            links: BTreeMap::new(),
            ends: BTreeMap::new(),
            written: BTreeMap::new(),
            refusing: BTreeMap::new(),
            returns: BTreeMap::new(),
            next_connection: 1,
            link_settings,
            random,
        }
    }

    /// Returns when each frame was written that a producer has written to a connection.
    pub(crate) fn written_at(&self, connection: u64) -> &[Duration] {
        self.written.get(&connection).map_or(&[], |written| &written.at)
    }

    /// Returns the address of a broker by its host name: one that is reserved for documentation (RFC 5737).
    pub(crate) fn resolve(&self, name: &str) -> Option<IpAddr> {
        let broker = self.engine.brokers.iter().find(|broker| host(broker.id) == name)?;
        Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, u8::try_from(broker.id).ok()?)))
    }

    /// Begins to connect. Returns the number of the connection.
    pub(crate) fn connect(&mut self, ip: IpAddr, port: u16, now: Duration) -> u64 {
        let number = self.next_connection;
        self.next_connection += 1;
        let found = self.engine.cluster.members.iter().find(|member| self.resolve(&host(member.id)) == Some(ip));
        let (broker, is_up) = found.filter(|_| port == PORT).map_or((0, false), |member| (member.id, member.up));
        let (refused, swallowed) = match self.refusing.get(&broker) {
            Some((until, silently)) if *until > now => (true, *silently),
            _ => (!is_up, false),
        };
        let random = self.random.fork(number);
        self.links.insert(number, Link::connect(broker, self.link_settings, refused, swallowed, now, random));
        self.ends.insert(number, End { status: Status::Connecting, received: VecDeque::new(), reader: None });
        number
    }

    pub(crate) fn poll_connected(&mut self, number: u64, waker: &Waker) -> Poll<io::Result<()>> {
        let end = self.ends.get_mut(&number).expect("a stream has an end until it is dropped");
        match end.status {
            Status::Connecting => {
                end.reader = Some(waker.clone());
                Poll::Pending
            }
            Status::Open => Poll::Ready(Ok(())),
            Status::Ended => Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
            Status::Failed(kind) => Poll::Ready(Err(kind.into())),
        }
    }

    pub(crate) fn poll_read(&mut self, number: u64, waker: &Waker, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let Some(end) = self.ends.get_mut(&number) else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        if let Some(first) = end.received.front_mut() {
            let count = first.len().min(buffer.len());
            buffer[..count].copy_from_slice(&first[..count]);
            first.advance(count);
            if first.is_empty() {
                end.received.pop_front();
            }
            return Poll::Ready(Ok(count));
        }
        match end.status {
            Status::Connecting | Status::Open => {
                end.reader = Some(waker.clone());
                Poll::Pending
            }
            Status::Ended => Poll::Ready(Ok(0)),
            Status::Failed(kind) => Poll::Ready(Err(kind.into())),
        }
    }

    /// Returns when there is something to do for [`turn`].
    pub(crate) fn wakes_at(&self, now: Duration) -> Option<Duration> {
        if self.is_engine_changed {
            return Some(now);
        }
        let links = self.links.values().filter_map(Link::wakes_at).min();
        let returns = self.returns.values().min().copied();
        [links, returns, self.engine_wakes_at].into_iter().flatten().min()
    }

    /// Stops a broker. It starts again after `down_for`, if that is given.
    pub(crate) fn kill(&mut self, broker: i32, without_leader: Duration, down_for: Option<Duration>, now: Duration) {
        self.engine.kill(broker, without_leader, now);
        match down_for {
            Some(down_for) => drop(self.returns.insert(broker, now + down_for)),
            None => drop(self.returns.remove(&broker)),
        }
        self.cut(broker, now);
    }

    /// Starts a broker. Returns whether it was down.
    pub(crate) fn restart(&mut self, broker: i32) -> bool {
        self.returns.remove(&broker);
        let down = self.engine.cluster.members.iter().find(|member| member.id == broker && !member.up);
        let Some(release) = down.map(|member| member.release) else { return false };
        self.engine.restart(broker, release);
        true
    }

    /// Cuts all connections with a broker.
    pub(crate) fn cut(&mut self, broker: i32, now: Duration) {
        self.links_to(broker).for_each(|link| link.cut(now));
    }

    /// Cuts connections with a broker after this many more bytes, in one direction.
    pub(crate) fn cut_after(&mut self, broker: i32, bytes: usize, to_broker: bool) {
        self.links_to(broker).for_each(|link| link.cut_after(bytes, to_broker));
    }

    /// Stops connections with a broker, in one direction.
    pub(crate) fn stall(&mut self, broker: i32, until: Duration, to_broker: bool) {
        self.links_to(broker).for_each(|link| link.stall(until, to_broker));
    }

    /// Lets a broker refuse connections until then, or not respond to them.
    pub(crate) fn refuse(&mut self, broker: i32, until: Duration, silently: bool) {
        self.refusing.insert(broker, (until, silently));
    }

    /// Removes the faults that have not happened.
    pub(crate) fn end_faults(&mut self) {
        self.refusing.clear();
        self.engine.cluster.faults.clear();
        self.links.values_mut().for_each(Link::end_faults);
        for broker in &mut self.engine.brokers {
            broker.end_faults(true);
            broker.append_delay = Duration::ZERO;
        }
    }

    fn links_to(&mut self, broker: i32) -> impl Iterator<Item = &mut Link> {
        self.links.values_mut().filter(move |link| link.broker == broker)
    }

    /// Passes what has arrived at one end of a link.
    fn arrived(&mut self, number: u64, arrival: Arrival) -> Option<Waker> {
        let broker = self.links.get(&number)?.broker;
        if matches!(arrival, Arrival::Accepted | Arrival::AtBroker(_) | Arrival::ClosedAtBroker) {
            self.is_engine_changed = true;
        }
        if let Some(broker) = self.engine.broker_mut(broker) {
            match &arrival {
                Arrival::Accepted => broker.accept(number, 0),
                Arrival::AtBroker(bytes) => broker.receive(number, bytes),
                Arrival::ClosedAtBroker => broker.client_closed(number),
                _ => {}
            }
        }
        let end = self.ends.get_mut(&number)?;
        match arrival {
            Arrival::Connected => end.status = Status::Open,
            Arrival::Refused => end.status = Status::Failed(io::ErrorKind::ConnectionRefused),
            Arrival::AtClient(bytes, _) if bytes.is_empty() => return None,
            Arrival::AtClient(bytes, _) => end.received.push_back(bytes),
            Arrival::ClosedAtClient { orderly: true } => end.status = Status::Ended,
            Arrival::ClosedAtClient { orderly: false } => {
                end.status = Status::Failed(io::ErrorKind::ConnectionReset);
            }
            Arrival::Written | Arrival::Accepted | Arrival::AtBroker(_) | Arrival::ClosedAtBroker => return None,
        }
        end.reader.take()
    }

    fn done(&mut self, action: BrokerAction, now: Duration, dialogue: &mut Dialogue) {
        match action {
            BrokerAction::Send { connection, bytes, corrupted } => {
                if let Some(link) = self.links.get_mut(&connection) {
                    link.answer(bytes, corrupted, now);
                }
            }
            BrokerAction::CloseConnection(connection) => {
                if let Some(link) = self.links.get_mut(&connection) {
                    let broker = link.broker;
                    dialogue.say(now, || format!("[{connection}] broker {broker} closes the connection"));
                    link.close_by_broker(now);
                }
            }
            BrokerAction::Applied(fault) => dialogue.say(now, || format!("*** fault: {fault}")),
            BrokerAction::Received(_) => {}
        }
    }
}

/// Does what is due in the network. Returns the tasks to wake.
pub(crate) fn turn(state: &mut State) -> Vec<Waker> {
    let State { network, dialogue, now, .. } = state;
    let now = *now;
    let mut wakers = Vec::new();
    let back: Vec<i32> = network.returns.iter().filter(|(_, at)| **at <= now).map(|(broker, _)| *broker).collect();
    for broker in back {
        dialogue.say(now, || format!("*** broker {broker} starts again"));
        network.restart(broker);
        network.is_engine_changed = true;
    }
    let due = network.links.iter().filter(|(_, link)| link.wakes_at().is_some_and(|at| at <= now));
    let due: Vec<u64> = due.map(|(number, _)| *number).collect();
    for number in due {
        while let Some(arrival) = network.links.get_mut(&number).and_then(|link| link.arrival(now)) {
            match &arrival {
                Arrival::AtClient(bytes, corrupted) => {
                    dialogue.received(now, number, bytes, *corrupted, &network.engine.cluster);
                }
                Arrival::ClosedAtClient { orderly: false } => dialogue.say(now, || format!("[{number}] is cut")),
                _ => {}
            }
            wakers.extend(network.arrived(number, arrival));
        }
        if network.links.get(&number).is_some_and(Link::is_finished) {
            network.links.remove(&number);
        }
    }
    if !network.is_engine_changed && network.engine_wakes_at.is_none_or(|at| at > now) {
        return wakers;
    }
    let before = dialogue.log_ends(&network.engine.cluster);
    for action in network.engine.turn(now) {
        network.done(action, now, dialogue);
    }
    network.is_engine_changed = false;
    network.engine_wakes_at = network.engine.wakes_at();
    dialogue.stored(now, &before, &network.engine.cluster);
    wakers
}

/// Writes to a connection: everything, or occasionally a part.
pub(crate) fn write(state: &mut State, number: u64, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    let State { network, dialogue, now, .. } = state;
    let Some(end) = network.ends.get(&number) else { return Err(io::ErrorKind::NotConnected.into()) };
    match end.status {
        Status::Open => {}
        Status::Failed(kind) => return Err(kind.into()),
        Status::Connecting | Status::Ended => return Err(io::ErrorKind::BrokenPipe.into()),
    }
    let mut bytes = BytesMut::with_capacity(slices.iter().map(|slice| slice.len()).sum());
    slices.iter().for_each(|slice| bytes.extend_from_slice(slice));
    if bytes.len() > 1 && network.random.percent(network.link_settings.pieces_percent / 4) {
        bytes.truncate(network.random.between(1, bytes.len() as u64 - 1) as usize);
    }
    let written = bytes.len();
    if let Some(link) = network.links.get_mut(&number) {
        let broker = link.broker;
        let bytes = bytes.freeze();
        dialogue.sent(*now, number, broker, &bytes, &network.engine.cluster);
        network.written.entry(number).or_default().push(&bytes, *now);
        link.write(bytes, *now);
    }
    Ok(written)
}

/// Closes a connection, at the producer's end.
pub(crate) fn close(state: &mut State, number: u64) {
    let State { network, dialogue, now, .. } = state;
    let Some(End { status, .. }) = network.ends.remove(&number) else { return };
    dialogue.closed(number);
    if matches!(status, Status::Connecting | Status::Open) {
        dialogue.say(*now, || format!("[{number}] the producer closes the connection"));
    }
    if let Some(link) = network.links.get_mut(&number) {
        link.close_by_client(*now);
    }
}
