//! A link whose datagrams are IP packets, as a device of embassy-net.

use std::collections::VecDeque;
use std::os::unix::net::UnixDatagram;
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};
use std::{io, thread};

use embassy_net_driver::{Capabilities, Driver, HardwareAddress, LinkState, RxToken, TxToken};
use kafka_batch_example_link::MTU;

pub struct Link {
    socket: UnixDatagram,
    received: Arc<Mutex<Received>>,
}

#[derive(Default)]
struct Received {
    packets: VecDeque<Vec<u8>>,
    waker: Option<Waker>,
}

impl Link {
    /// Starts a thread that waits for packets, as an interrupt would.
    pub fn new(socket: UnixDatagram) -> io::Result<Self> {
        let received: Arc<Mutex<Received>> = Arc::default();
        let (reader, shared) = (socket.try_clone()?, Arc::clone(&received));
        thread::spawn(move || {
            let mut packet = vec![0; MTU];
            while let Ok(length @ 1..) = reader.recv(&mut packet) {
                let waker = {
                    let mut received = shared.lock().expect("nothing panics while it is locked");
                    received.packets.push_back(packet[..length].to_vec());
                    received.waker.take()
                };
                if let Some(waker) = waker {
                    waker.wake();
                }
            }
        });
        Ok(Self { socket, received })
    }
}

impl Driver for Link {
    type RxToken<'a> = Packet;
    type TxToken<'a> = Room<'a>;

    fn receive(&mut self, context: &mut Context<'_>) -> Option<(Packet, Room<'_>)> {
        let mut received = self.received.lock().expect("nothing panics while it is locked");
        let packet = received.packets.pop_front();
        if packet.is_none() {
            received.waker = Some(context.waker().clone());
        }
        Some((Packet(packet?), Room(&self.socket)))
    }

    fn transmit(&mut self, _: &mut Context<'_>) -> Option<Room<'_>> {
        Some(Room(&self.socket))
    }

    fn link_state(&mut self, _: &mut Context<'_>) -> LinkState {
        LinkState::Up
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.max_transmission_unit = MTU;
        capabilities
    }

    fn hardware_address(&self) -> HardwareAddress {
        HardwareAddress::Ip
    }
}

pub struct Packet(Vec<u8>);

impl RxToken for Packet {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(mut self, pass: F) -> R {
        pass(&mut self.0)
    }
}

pub struct Room<'a>(&'a UnixDatagram);

impl TxToken for Room<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, fill: F) -> R {
        let mut packet = vec![0; length];
        let result = fill(&mut packet);
        let _ = self.0.send(&packet); // TCP sends again what is lost
        result
    }
}
