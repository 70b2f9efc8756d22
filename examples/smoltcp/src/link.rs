//! The link as a device of smoltcp.

use alloc::vec;
use alloc::vec::Vec;

use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::time::Instant;

use crate::system;

const MTU: usize = 1500;

pub struct Link;

impl Device for Link {
    type RxToken<'a> = Packet;
    type TxToken<'a> = Room;

    fn receive(&mut self, _: Instant) -> Option<(Packet, Room)> {
        let mut packet = vec![0; MTU];
        let length = system::receive(&mut packet)?;
        packet.truncate(length);
        Some((Packet(packet), Room))
    }

    fn transmit(&mut self, _: Instant) -> Option<Room> {
        Some(Room)
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = MTU;
        capabilities
    }
}

pub struct Packet(Vec<u8>);

impl RxToken for Packet {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, pass: F) -> R {
        pass(&self.0)
    }
}

pub struct Room;

impl TxToken for Room {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, fill: F) -> R {
        let mut packet = vec![0; length];
        let result = fill(&mut packet);
        system::transmit(&packet);
        result
    }
}
