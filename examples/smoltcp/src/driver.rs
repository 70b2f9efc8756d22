//! The machine over smoltcp, without std: no operating system's sockets, no threads, no futures.

use alloc::{collections::BTreeMap, vec, vec::Vec};
use core::net::Ipv4Addr;

use kafka_batch_core::machine::{ConnectionId, Disconnect, Event, Input, Instant, Machine, Output, WriteQueue};
use smoltcp::iface::{Interface, SocketHandle, SocketSet};
use smoltcp::phy::Device;
use smoltcp::socket::tcp::{Socket, SocketBuffer};
use smoltcp::wire::IpAddress;

/// The size of each of the two buffers of a socket. Frames and responses of any size pass through them in pieces.
const BUFFER: usize = 4096;

pub struct Driver<D> {
    /// For commands, after which [`poll`](Self::poll) is to be called.
    pub machine: Machine,
    device: D,
    interface: Interface,
    sockets: SocketSet<'static>,
    connections: BTreeMap<ConnectionId, Connection>,
    /// Sockets to be removed once the broker has been told.
    aborted: Vec<SocketHandle>,
}

struct Connection {
    socket: SocketHandle,
    is_connected: bool,
    queue: WriteQueue,
}

impl<D: Device> Driver<D> {
    pub fn new(machine: Machine, device: D, interface: Interface) -> Self {
        let (sockets, connections, aborted) = (SocketSet::new(vec![]), BTreeMap::new(), Vec::new());
        Self { machine, device, interface, sockets, connections, aborted }
    }

    /// Does all that can be done now, and passes events to `on_event`. Returns when to call it again, if no packet arrives before.
    pub fn poll(&mut self, now: Instant, mut on_event: impl FnMut(Event)) -> Option<Instant> {
        let time = smoltcp::time::Instant::from_micros(now.since_start().as_micros() as i64);
        self.interface.poll(time, &mut self.device, &mut self.sockets);
        let Self { machine, sockets, connections, aborted, .. } = self;
        connections.retain(|&id, connection| {
            let is_open = connection.receive(id, sockets.get_mut(connection.socket), machine, now);
            if !is_open {
                aborted.push(connection.socket);
            }
            is_open
        });
        let deadline = loop {
            match self.machine.poll_output(now) {
                Output::Connect { connection, host, port } => {
                    if self.connect(connection, &host, port).is_none() {
                        self.machine.handle_input(Input::Closed(connection, Disconnect::NotConnected, None), now);
                    }
                }
                Output::Transmit { connection, bytes } => {
                    self.connections.entry(connection).and_modify(|connection| connection.queue.push(bytes));
                }
                Output::Close(connection) => {
                    if let Some(Connection { socket, .. }) = self.connections.remove(&connection) {
                        self.sockets.get_mut::<Socket<'_>>(socket).abort();
                        self.aborted.push(socket);
                    }
                }
                Output::Event(event) => on_event(event),
                Output::Wait(deadline) => break deadline,
            }
        };
        let mut frames = 0;
        for (&id, Connection { socket, queue, .. }) in &mut self.connections {
            while let Ok(length @ 1..) = self.sockets.get_mut::<Socket<'_>>(*socket).send_slice(queue.chunk()) {
                let completed = queue.advance(length);
                (0..completed).for_each(|_| self.machine.handle_input(Input::Transmitted(id), now));
                frames += completed;
            }
        }
        self.interface.poll(time, &mut self.device, &mut self.sockets);
        self.aborted.drain(..).for_each(|socket| drop(self.sockets.remove(socket)));
        let delay = self.interface.poll_delay(time, &self.sockets).map(|delay| now + delay.into());
        if frames > 0 { Some(now) } else { deadline.into_iter().chain(delay).min() }
    }

    /// Only addresses: smoltcp can look up names, too, by its feature `socket-dns`.
    fn connect(&mut self, id: ConnectionId, host: &str, port: u16) -> Option<()> {
        let address: Ipv4Addr = host.parse().ok()?;
        let mut socket = Socket::new(SocketBuffer::new(vec![0; BUFFER]), SocketBuffer::new(vec![0; BUFFER]));
        socket.set_nagle_enabled(false);
        let local = 49_152 + (id.as_u64() % 16_384) as u16;
        socket.connect(self.interface.context(), (IpAddress::from(address), port), local).ok()?;
        let (socket, queue) = (self.sockets.add(socket), WriteQueue::new());
        self.connections.insert(id, Connection { socket, is_connected: false, queue });
        Some(())
    }
}

impl Connection {
    /// Passes what has happened to the machine. Returns whether the connection is open.
    fn receive(&mut self, id: ConnectionId, socket: &mut Socket<'_>, machine: &mut Machine, now: Instant) -> bool {
        if !self.is_connected && socket.may_send() {
            self.is_connected = true;
            machine.handle_input(Input::Connected(id), now);
        }
        while socket.can_recv() {
            let _ = socket.recv(|bytes| (bytes.len(), machine.handle_input(Input::Received(id, bytes), now)));
        }
        let is_open = if self.is_connected { socket.may_recv() } else { socket.is_active() };
        let how = if self.is_connected { Disconnect::ByPeer } else { Disconnect::NotConnected };
        if !is_open {
            socket.abort();
            machine.handle_input(Input::Closed(id, how, None), now);
        }
        is_open
    }
}
