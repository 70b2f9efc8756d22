//! The other end of a link whose datagrams are IP packets: a gateway that accepts TCP connections with smoltcp, and connects them to a
//! port of this computer. It needs no privileges, unlike a TAP device.

use std::error::Error;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant as Moment};

use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::tcp::{Socket, SocketBuffer};
use smoltcp::time::Instant;
use smoltcp::wire::{HardwareAddress, IpAddress, IpCidr};

/// The size of the largest packet in bytes.
pub const MTU: usize = 1500;
const BUFFER: usize = 8192;
/// How long to wait for a packet before the sockets of this computer are looked at again.
const PATIENCE: Duration = Duration::from_millis(1);

/// The gateway 10.0.0.1 of the network 10.0.0.0/24.
pub struct Gateway {
    link: Link,
    interface: Interface,
    sockets: SocketSet<'static>,
    /// For each port, a socket that waits for the next connection.
    listening: Vec<(u16, SocketHandle)>,
    connections: Vec<Connection>,
    start: Moment,
}

/// A connection of the program, and the one to the cluster. What was read from one and not yet written to the other stays in
/// the buffers of smoltcp, or in `to_program`.
struct Connection {
    socket: SocketHandle,
    broker: TcpStream,
    to_program: Vec<u8>,
}

impl Gateway {
    /// Returns the gateway at this end of a link, for connections to these ports of 127.0.0.1.
    ///
    /// # Errors
    /// The socket cannot be configured.
    pub fn new(socket: UnixDatagram, ports: impl IntoIterator<Item = u16>) -> io::Result<Self> {
        socket.set_read_timeout(Some(PATIENCE))?;
        let mut link = Link { socket, received: None };
        let mut interface = Interface::new(Config::new(HardwareAddress::Ip), &mut link, Instant::from_micros(0));
        // The gateway itself, and the address of the brokers.
        for address in [IpCidr::new(IpAddress::v4(10, 0, 0, 1), 24), IpCidr::new(IpAddress::v4(127, 0, 0, 1), 8)] {
            interface.update_ip_addrs(|addresses| addresses.push(address).expect("there is room for two"));
        }
        let mut sockets = SocketSet::new(Vec::new());
        let listening = ports.into_iter().map(|port| (port, listen(&mut sockets, port))).collect();
        Ok(Self { link, interface, sockets, listening, connections: Vec::new(), start: Moment::now() })
    }

    /// Forwards what there is, and waits for a packet for a short time.
    ///
    /// # Errors
    /// The port does not accept connections, or the link is broken.
    pub fn forward(&mut self) -> Result<(), Box<dyn Error>> {
        let now = Instant::from_micros(self.start.elapsed().as_micros() as i64);
        self.link.wait()?;
        self.interface.poll(now, &mut self.link, &mut self.sockets);
        for (port, listening) in &mut self.listening {
            if self.sockets.get::<Socket<'_>>(*listening).is_active() {
                let broker = TcpStream::connect(("127.0.0.1", *port))?;
                broker.set_nonblocking(true)?;
                broker.set_nodelay(true)?;
                self.connections.push(Connection { socket: *listening, broker, to_program: Vec::new() });
                *listening = listen(&mut self.sockets, *port);
            }
        }
        let sockets = &mut self.sockets;
        self.connections.retain_mut(|connection| {
            let is_open = connection.forward(sockets.get_mut(connection.socket));
            if !is_open {
                sockets.remove(connection.socket);
            }
            is_open
        });
        self.interface.poll(now, &mut self.link, &mut self.sockets);
        Ok(())
    }
}

fn listen(sockets: &mut SocketSet<'static>, port: u16) -> SocketHandle {
    let buffer = || SocketBuffer::new(vec![0; BUFFER]);
    let mut socket = Socket::new(buffer(), buffer());
    socket.set_nagle_enabled(false);
    socket.listen(port).expect("the port is not 0");
    sockets.add(socket)
}

impl Connection {
    /// Copies in both directions. Returns whether the connection is open.
    fn forward(&mut self, socket: &mut Socket<'_>) -> bool {
        let Self { broker, to_program, .. } = self;
        let mut is_broken = false;
        while socket.can_recv() {
            let written = socket.recv(|bytes| match broker.write(bytes) {
                Ok(length) => (length, length > 0),
                Err(error) => {
                    is_broken |= error.kind() != ErrorKind::WouldBlock;
                    (0, false)
                }
            });
            if !written.unwrap_or(false) {
                break;
            }
        }
        if to_program.is_empty() {
            let mut bytes = [0; BUFFER];
            match broker.read(&mut bytes) {
                Ok(0) => socket.close(), // after what is in its buffer
                Ok(length) => to_program.extend(&bytes[..length]),
                Err(error) => is_broken |= error.kind() != ErrorKind::WouldBlock,
            }
        }
        if let Ok(length) = socket.send_slice(to_program) {
            to_program.drain(..length);
        }
        if is_broken {
            socket.abort();
        }
        socket.is_active()
    }
}

/// This end of the link. A packet that does not fit into the queue of the other end is lost, as on any link.
struct Link {
    socket: UnixDatagram,
    /// A packet that [`wait`](Self::wait) has waited for.
    received: Option<Vec<u8>>,
}

impl Link {
    /// Waits for a packet for a short time.
    fn wait(&mut self) -> io::Result<()> {
        self.socket.set_nonblocking(false)?;
        self.received = self.take();
        self.socket.set_nonblocking(true)
    }

    fn take(&self) -> Option<Vec<u8>> {
        let mut packet = vec![0; MTU];
        let length = self.socket.recv(&mut packet).ok().filter(|&length| length > 0)?;
        packet.truncate(length);
        Some(packet)
    }
}

impl Device for Link {
    type RxToken<'a> = Packet;
    type TxToken<'a> = Room<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Packet, Room<'_>)> {
        let packet = self.received.take().or_else(|| self.take())?;
        Some((Packet(packet), Room(&self.socket)))
    }

    fn transmit(&mut self, _: Instant) -> Option<Room<'_>> {
        Some(Room(&self.socket))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = MTU;
        capabilities
    }
}

struct Packet(Vec<u8>);

impl RxToken for Packet {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, pass: F) -> R {
        pass(&self.0)
    }
}

struct Room<'a>(&'a UnixDatagram);

impl TxToken for Room<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, fill: F) -> R {
        let mut packet = vec![0; length];
        let result = fill(&mut packet);
        let _ = self.0.send(&packet); // TCP sends again what is lost
        result
    }
}
