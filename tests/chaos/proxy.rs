//! A TCP proxy in front of a node, which cuts connections. It uses its own threads and shares nothing with the code
//! under test.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;

use crate::faults::{Cut, Direction, Fault, Frames};

/// The size of the read buffer: usually several complete requests.
const CHUNK: usize = 64 * 1024;

/// After this many bytes, a connection has done more than its handshake.
const BEYOND_HANDSHAKE: u64 = 2_000;

#[derive(Debug)]
pub(crate) struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    target: OnceLock<SocketAddr>,
    seed: u64,
    node: u64,
    ended: AtomicBool,
    counters: Counters,
    late: Mutex<Vec<Late>>,
}

#[derive(Debug, Default)]
struct Counters {
    connections: AtomicU64,
    turned_away: AtomicU64,
    dropped: AtomicU64,
    truncated: AtomicU64,
    stalled: AtomicU64,
    late: AtomicU64,
    delivered_late: AtomicU64,
    requests_in_the_middle: AtomicU64,
    responses_in_the_middle: AtomicU64,
}

/// The bytes that a client sent over a connection that it has given up, which have not reached the broker yet.
#[derive(Debug)]
struct Late {
    broker: TcpStream,
    bytes: Vec<u8>,
}

impl Proxy {
    /// Listens, and rejects connections until it has a [target](Self::leads_to).
    pub(crate) fn start(seed: u64, node: u64) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            target: OnceLock::new(),
            seed,
            node,
            ended: AtomicBool::new(false),
            counters: Counters::default(),
            late: Mutex::default(),
        });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || accepting.accept(&listener));
        Self { address, shared }
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn leads_to(&self, broker: SocketAddr) {
        self.shared.target.set(broker).expect("a second target");
    }

    pub(crate) fn tally(&self) -> Tally {
        let counters = &self.shared.counters;
        Tally {
            connections: counters.connections.load(Relaxed),
            turned_away: counters.turned_away.load(Relaxed),
            dropped: counters.dropped.load(Relaxed),
            truncated: counters.truncated.load(Relaxed),
            stalled: counters.stalled.load(Relaxed),
            late: counters.late.load(Relaxed),
            delivered_late: counters.delivered_late.load(Relaxed),
            requests_in_the_middle: counters.requests_in_the_middle.load(Relaxed),
            responses_in_the_middle: counters.responses_in_the_middle.load(Relaxed),
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.ended.store(true, Relaxed);
        drop(TcpStream::connect(self.address)); // so that it notices
    }
}

impl Shared {
    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        for client in listener.incoming() {
            if self.ended.load(Relaxed) {
                return;
            }
            let broker = self.target.get().ok_or(io::ErrorKind::NotConnected.into()).and_then(TcpStream::connect);
            match (client, broker) {
                (Ok(client), Ok(broker)) => {
                    let number = self.counters.connections.fetch_add(1, Relaxed);
                    // An error means that the socket is closed already.
                    let _ = self.join(&client, &broker, Cut::draw(self.seed, self.node, number));
                }
                _ => drop(self.counters.turned_away.fetch_add(1, Relaxed)),
            }
        }
    }

    fn join(self: &Arc<Self>, client: &TcpStream, broker: &TcpStream, cut: Cut) -> io::Result<()> {
        let is_late = Arc::new(AtomicBool::new(false));
        for direction in [Direction::Request, Direction::Response] {
            let (from, to) = match direction {
                Direction::Request => (client.try_clone()?, broker.try_clone()?),
                Direction::Response => (broker.try_clone()?, client.try_clone()?),
            };
            to.set_nodelay(true)?;
            let (shared, is_late) = (Arc::clone(self), Arc::clone(&is_late));
            let cut = (cut.direction == direction).then_some(cut);
            let pump = Pump { from, to, direction, cut, is_late, shared };
            thread::spawn(move || pump.run());
        }
        Ok(())
    }

    /// After another connection has transferred data, the broker receives the late bytes.
    fn deliver_late(&self) {
        let late = self.late.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(Late { mut broker, bytes }) = late
            && broker.write_all(&bytes).is_ok()
        {
            self.counters.delivered_late.fetch_add(1, Relaxed);
            let _ = broker.shutdown(Shutdown::Write);
        }
    }
}

/// One direction of a connection.
struct Pump {
    from: TcpStream,
    to: TcpStream,
    direction: Direction,
    cut: Option<Cut>,
    /// The client is closed, and the broker must not notice yet.
    is_late: Arc<AtomicBool>,
    shared: Arc<Shared>,
}

impl Pump {
    fn run(mut self) {
        // An error is treated as the end of the connection.
        let _ = self.pass_on();
        if self.is_late.load(Relaxed) {
            // There is no receiver for the broker's responses.
            if self.direction == Direction::Response {
                discard(&mut self.from);
            }
            return;
        }
        let _ = self.from.shutdown(Shutdown::Both);
        let _ = self.to.shutdown(Shutdown::Both);
    }

    fn pass_on(&mut self) -> io::Result<()> {
        let (mut buffer, mut frames, mut passed) = (vec![0; CHUNK], Frames::default(), 0);
        loop {
            let count = self.from.read(&mut buffer)?;
            let chunk = &buffer[..count];
            if chunk.is_empty() {
                return Ok(());
            }
            if let Some(cut) = self.cut.filter(|cut| passed + count as u64 > cut.after) {
                return self.cut(cut.fault, &mut frames, chunk, (cut.after - passed) as usize);
            }
            self.to.write_all(chunk)?;
            frames.pass(chunk);
            passed += count as u64;
            if self.direction == Direction::Request && passed > BEYOND_HANDSHAKE {
                self.shared.deliver_late();
            }
        }
    }

    fn cut(&mut self, fault: Fault, frames: &mut Frames, chunk: &[u8], at: usize) -> io::Result<()> {
        let Self { shared, .. } = self;
        let counters = &shared.counters;
        let (before, _) = chunk.split_at(at);
        if matches!(fault, Fault::Truncate | Fault::Stall) {
            self.to.write_all(before)?;
            frames.pass(before);
        }
        if frames.is_in_the_middle() {
            match self.direction {
                Direction::Request => counters.requests_in_the_middle.fetch_add(1, Relaxed),
                Direction::Response => counters.responses_in_the_middle.fetch_add(1, Relaxed),
            };
        }
        match fault {
            Fault::Drop => drop(counters.dropped.fetch_add(1, Relaxed)),
            Fault::Truncate => drop(counters.truncated.fetch_add(1, Relaxed)),
            Fault::Stall => {
                counters.stalled.fetch_add(1, Relaxed);
                discard(&mut self.from); // until one side gives up
            }
            Fault::Late => {
                counters.late.fetch_add(1, Relaxed);
                let late = Late { broker: self.to.try_clone()?, bytes: chunk.to_vec() };
                self.is_late.store(true, Relaxed);
                self.from.shutdown(Shutdown::Both)?;
                shared.late.lock().unwrap_or_else(PoisonError::into_inner).push(late);
            }
        }
        Ok(())
    }
}

/// Reads to the end, and discards everything.
fn discard(from: &mut TcpStream) {
    let _ = io::copy(from, &mut io::sink());
}

/// Counts of one or all proxies.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) connections: u64,
    /// Rejected while the node was down.
    pub(crate) turned_away: u64,
    pub(crate) dropped: u64,
    pub(crate) truncated: u64,
    pub(crate) stalled: u64,
    pub(crate) late: u64,
    /// The number of those that the broker still received.
    pub(crate) delivered_late: u64,
    pub(crate) requests_in_the_middle: u64,
    pub(crate) responses_in_the_middle: u64,
}

impl Tally {
    pub(crate) fn sum(each: impl Iterator<Item = Self>) -> Self {
        each.fold(Self::default(), |sum, one| Self {
            connections: sum.connections + one.connections,
            turned_away: sum.turned_away + one.turned_away,
            dropped: sum.dropped + one.dropped,
            truncated: sum.truncated + one.truncated,
            stalled: sum.stalled + one.stalled,
            late: sum.late + one.late,
            delivered_late: sum.delivered_late + one.delivered_late,
            requests_in_the_middle: sum.requests_in_the_middle + one.requests_in_the_middle,
            responses_in_the_middle: sum.responses_in_the_middle + one.responses_in_the_middle,
        })
    }

    pub(crate) const fn cuts(&self) -> u64 {
        self.dropped + self.truncated + self.stalled + self.late
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { connections, turned_away, dropped, truncated, stalled, late, delivered_late, .. } = self;
        let (requests, responses) = (self.requests_in_the_middle, self.responses_in_the_middle);
        writeln!(f, "connections: {connections}, and {turned_away} rejected")?;
        write!(f, "cuts: {} ({dropped} dropped, {truncated} truncated, {stalled} stalled, ", self.cuts())?;
        write!(f, "{late} closed for the client only, {delivered_late} of which the broker received later); ")?;
        write!(f, "in the middle of {requests} requests and {responses} responses")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, channel};

    /// Returns the client's and the broker's end of a proxied connection with this fault.
    fn joined(cut: Cut) -> (TcpStream, TcpStream, Arc<Shared>) {
        let pair = || {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            let one = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            (one, listener.accept().unwrap().0)
        };
        let ((client, inner), (outer, broker)) = (pair(), pair());
        let shared = Arc::new(Shared {
            target: OnceLock::new(),
            seed: 0,
            node: 0,
            ended: AtomicBool::new(false),
            counters: Counters::default(),
            late: Mutex::default(),
        });
        shared.join(&inner, &outer, cut).unwrap();
        (client, broker, shared)
    }

    /// Reads everything until the end.
    fn rest(mut stream: TcpStream) -> Receiver<Vec<u8>> {
        let (sender, receiver) = channel();
        thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = stream.read_to_end(&mut bytes); // an error is an end, too
            let _ = sender.send(bytes);
        });
        receiver
    }

    const FRAME: &[u8] = b"\0\0\0\x06abcdef";

    #[test]
    fn a_request_is_truncated_at_its_byte() {
        let cut = Cut { direction: Direction::Request, after: 7, fault: Fault::Truncate };
        let (mut client, broker, shared) = joined(cut);
        client.write_all(FRAME).unwrap();
        assert_eq!(rest(broker).recv().unwrap(), FRAME[..7]);
        assert_eq!(rest(client).recv().unwrap(), b"");
        assert_eq!(shared.counters.requests_in_the_middle.load(Relaxed), 1);
    }

    #[test]
    fn a_response_is_dropped_and_the_request_went_through() {
        let cut = Cut { direction: Direction::Response, after: 3, fault: Fault::Drop };
        let (mut client, mut broker, shared) = joined(cut);
        client.write_all(FRAME).unwrap();
        let mut received = [0; 10];
        broker.read_exact(&mut received).unwrap();
        assert_eq!(received, FRAME);
        broker.write_all(FRAME).unwrap();
        assert_eq!((rest(client).recv().unwrap(), rest(broker).recv().unwrap()), (vec![], vec![]));
        assert_eq!(shared.counters.dropped.load(Relaxed), 1);
    }

    #[test]
    fn a_stalled_connection_ends_when_the_client_closes_it() {
        let cut = Cut { direction: Direction::Response, after: 4, fault: Fault::Stall };
        let (mut client, mut broker, shared) = joined(cut);
        broker.write_all(FRAME).unwrap();
        let mut started = [0; 4];
        client.read_exact(&mut started).unwrap();
        client.write_all(b"goes on").unwrap();
        client.shutdown(Shutdown::Both).unwrap();
        assert_eq!(rest(broker).recv().unwrap(), b"goes on");
        assert_eq!(shared.counters.stalled.load(Relaxed), 1);
    }

    #[test]
    fn late_bytes_arrive_after_another_connection_has_transferred_data() {
        let cut = Cut { direction: Direction::Request, after: 1, fault: Fault::Late };
        let (mut client, broker, shared) = joined(cut);
        client.write_all(FRAME).unwrap();
        assert_eq!(rest(client).recv().unwrap(), b"", "the client's connection is closed");
        while shared.late.lock().unwrap().is_empty() {
            thread::yield_now();
        }
        shared.deliver_late();
        assert_eq!(rest(broker).recv().unwrap(), FRAME);
        assert_eq!(shared.counters.delivered_late.load(Relaxed), 1);
    }
}
