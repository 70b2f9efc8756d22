//! The client's network namespace, and the link between it and the brokers, which are in the namespace of the test. The kernel
//! removes both when the client's process ends.

use std::net::Ipv4Addr;
use std::process::{self, Command, Output};

use crate::plan::Loss;

pub(crate) struct Network {
    /// The brokers' end of the link.
    device: String,
    /// The client's process.
    client: u32,
    brokers: Ipv4Addr,
}

/// The client's end of the link, in its namespace.
const CLIENT_DEVICE: &str = "to-brokers";

impl Network {
    /// Connects the namespace of this process with the one of the test.
    pub(crate) fn connect(client: u32) -> Self {
        // Of the addresses for tests of networks (RFC 2544), four for each test that runs at the same time.
        let [high, low] = u16::try_from(process::id() % (1 << 14)).unwrap_or(0).rotate_left(2).to_be_bytes();
        let at = |last: u8| Ipv4Addr::new(198, 18, high, (low & 0xfc) + last);
        let network = Self { device: format!("soak{}", process::id()), client, brokers: at(1) };
        let peer = ["peer", "name", CLIENT_DEVICE, "netns", &client.to_string()];
        run(Command::new("ip").args(["link", "add", &network.device, "type", "veth"]).args(peer));
        network.on_our_side(&["address", "add", &format!("{}/30", at(1)), "dev", &network.device]);
        network.on_our_side(&["link", "set", &network.device, "up"]);
        network.on_its_side(&["address", "add", &format!("{}/30", at(2)), "dev", CLIENT_DEVICE]);
        network.on_its_side(&["link", "set", CLIENT_DEVICE, "up"]);
        network
    }

    /// Returns the address at which brokers can be reached.
    pub(crate) const fn brokers(&self) -> Ipv4Addr {
        self.brokers
    }

    pub(crate) fn lose(&self, how: Loss) {
        match how {
            Loss::Silent => self.on_our_side(&["link", "set", &self.device, "down"]),
            Loss::Unreachable => self.on_its_side(&["route", "del", &self.route(), "dev", CLIENT_DEVICE]),
        }
    }

    pub(crate) fn restore(&self, how: Loss) {
        match how {
            Loss::Silent => self.on_our_side(&["link", "set", &self.device, "up"]),
            Loss::Unreachable => self.on_its_side(&["route", "add", &self.route(), "dev", CLIENT_DEVICE]),
        }
    }

    fn route(&self) -> String {
        let [a, b, c, d] = self.brokers.octets();
        format!("{}/30", Ipv4Addr::new(a, b, c, d & 0xfc))
    }

    fn on_our_side(&self, arguments: &[&str]) {
        run(Command::new("ip").args(arguments));
    }

    fn on_its_side(&self, arguments: &[&str]) {
        let namespace = format!("--net=/proc/{}/ns/net", self.client);
        run(Command::new("nsenter").arg(namespace).arg("ip").args(arguments));
    }
}

pub(crate) fn run(command: &mut Command) {
    let Output { status, stderr, .. } = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(status.success(), "{command:?}: {}", String::from_utf8_lossy(&stderr));
}
