//! The machine over mio: one thread, no futures, and [turns](MioProducer::turn) of bounded work that never block.
//!
//! mio reports that a socket *has become* readable or writable, once (edge-triggered). A loop whose work per turn is bounded
//! cannot read until nothing is left, so [`NonBlocking`] remembers what mio reported until an operation would block. Each turn
//! then works on whatever is ready (level-triggered): at most one read and one write for each connection.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::{Duration, Instant as Moment, SystemTime};

use kafka_batch::machine::{
    Clock, ConnectionId, Event, Instant, Machine, MachineConfig, NonBlocking, NonBlockingConnections, PolledOutput,
};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Registry, Token};

/// How many outputs of the machine one turn carries out at most.
pub const MAX_OUTPUTS: usize = 64;

/// Returns an address of a host. It is called in a turn, so it must not block: only the program knows how to do that, by a
/// table or by addresses only. The machine tries again after an error, and after an address that cannot be connected to.
pub type Resolve = Box<dyn FnMut(&str, u16) -> io::Result<SocketAddr>>;

pub struct MioProducer {
    machine: Machine,
    start: Moment,
    poll: Poll,
    ready: Events,
    connections: NonBlockingConnections<TcpStream>,
    /// When the machine has to be polled again, if nothing happens before.
    deadline: Option<Instant>,
    resolve: Resolve,
}

impl MioProducer {
    pub fn new(config: MachineConfig, seed: u64, resolve: Resolve) -> io::Result<Self> {
        let clock = Clock { now: Instant::START, wall: SystemTime::now().into() };
        let (machine, start, connections) =
            (Machine::new(config, clock, seed), Moment::now(), NonBlockingConnections::new());
        let (poll, ready) = (Poll::new()?, Events::with_capacity(64));
        Ok(Self { machine, start, poll, ready, connections, deadline: None, resolve })
    }

    /// Returns the machine for commands, and the current time. The next turn does not wait.
    pub fn command(&mut self) -> (&mut Machine, Instant) {
        self.deadline = Some(Instant::START);
        let now = self.now();
        (&mut self.machine, now)
    }

    /// Does what can be done without blocking, within the limits above, and appends the machine's events. If there is nothing
    /// to do, it waits until there is, at most this long.
    pub fn turn(&mut self, at_most: Duration, events: &mut Vec<Event>) -> io::Result<()> {
        let until = self.deadline.map_or(at_most, |deadline| deadline.since(self.now()).min(at_most));
        match self.poll.poll(&mut self.ready, Some(if self.connections.is_ready() { Duration::ZERO } else { until })) {
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        // Input before outputs: otherwise, after a long pause, the machine would time out what has already arrived.
        let now = self.now();
        let Self { machine, poll, ready, connections, resolve, .. } = self;
        for event in &*ready {
            let has_ended = event.is_read_closed() || event.is_error();
            let (readable, writable) = (event.is_readable() || has_ended, event.is_writable() || has_ended);
            connections.set_ready(ConnectionId::from_u64(event.token().0 as u64), readable, writable);
        }
        connections.step(machine, now);
        let mut connect = |id, host: &str, port| connect(poll.registry(), id, resolve(host, port)?);
        self.deadline = Some(now);
        for _ in 0..MAX_OUTPUTS {
            match connections.poll_output(machine, &mut connect, now) {
                PolledOutput::Done => {}
                PolledOutput::Event(event) => events.push(event),
                PolledOutput::Wait(deadline) => {
                    self.deadline = deadline;
                    break;
                }
            }
        }
        Ok(())
    }

    fn now(&self) -> Instant {
        Instant::from_start(self.start.elapsed())
    }
}

fn connect(registry: &Registry, id: ConnectionId, address: SocketAddr) -> io::Result<NonBlocking<TcpStream>> {
    let mut stream = TcpStream::connect(address)?;
    registry.register(&mut stream, Token(id.as_u64() as usize), Interest::READABLE | Interest::WRITABLE)?;
    Ok(NonBlocking::connecting(id, stream, is_connected))
}

/// Returns whether a stream that has become writable is connected: the steps are those of mio's documentation.
fn is_connected(stream: &TcpStream) -> io::Result<bool> {
    match stream.take_error()?.map_or_else(|| stream.peer_addr(), Err) {
        Ok(_) => stream.set_nodelay(true).map(|()| true),
        Err(error) if error.kind() == ErrorKind::NotConnected => Ok(false),
        Err(error) => Err(error),
    }
}
