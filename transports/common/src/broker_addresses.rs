//! The addresses of brokers: their connections, failed attempts, and supported versions of Produce.

use std::collections::BTreeMap;

use kafka_batch_core::machine::ConnectionId;

/// Host and port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Address {
    host: String,
    port: u16,
}

/// Generic over the identifier `C` of connections for tests.
#[derive(Debug)]
pub(crate) struct BrokerAddresses<C = ConnectionId> {
    connections: BTreeMap<C, Address>,
    /// The newest version of Produce that each broker supports. Only addresses with a connection.
    ready: BTreeMap<Address, i16>,
    /// The lowest of `ready`; while that is empty, the last known one.
    produce_version: Option<i16>,
    /// The number of consecutive connections that ended before they were ready.
    failures: BTreeMap<Address, usize>,
}

/// The maximum number of addresses in `failures`. It is cleared when it is full: brokers in a changing environment get new
/// addresses each time, so old ones would accumulate.
const MAX_FAILURES: usize = 1_000;

impl<C: Copy + Ord> BrokerAddresses<C> {
    pub(crate) const fn new() -> Self {
        Self { connections: BTreeMap::new(), ready: BTreeMap::new(), produce_version: None, failures: BTreeMap::new() }
    }

    /// Records an attempt to connect. Returns how many have failed since the last success.
    pub(crate) fn connect(&mut self, connection: C, host: &str, port: u16) -> usize {
        let address = Address { host: host.to_owned(), port };
        let failures = self.failures.get(&address).copied().unwrap_or(0);
        self.connections.insert(connection, address);
        failures
    }

    /// Records the newest version of Produce that the broker at this address supports.
    pub(crate) fn ready(&mut self, host: String, port: u16, produce_version: i16) {
        let address = Address { host, port };
        self.failures.remove(&address);
        if self.has_connection_to(&address) {
            self.ready.insert(address, produce_version);
        } else if self.ready.is_empty() {
            self.produce_version = Some(produce_version); // the connection is closed already, but nothing newer is known
        }
    }

    /// Records the end of a connection, or of an attempt. Returns whether the connection was known.
    pub(crate) fn remove(&mut self, connection: C) -> bool {
        let Some(address) = self.connections.remove(&connection) else { return false };
        if !self.ready.contains_key(&address) {
            if self.failures.len() >= MAX_FAILURES {
                self.failures.clear();
            }
            *self.failures.entry(address.clone()).or_insert(0) += 1;
        } else if !self.has_connection_to(&address) {
            self.ready.remove(&address);
        }
        true
    }

    /// Returns the host and port of a connection.
    pub(crate) fn of(&self, connection: C) -> Option<(&str, u16)> {
        self.connections.get(&connection).map(|Address { host, port }| (&**host, *port))
    }

    fn has_connection_to(&self, address: &Address) -> bool {
        self.connections.values().any(|each| each == address)
    }

    /// Returns the newest version of Produce that all connected brokers support; without connections, the last result.
    pub(crate) fn produce_version(&mut self) -> Option<i16> {
        self.produce_version = self.ready.values().copied().min().or(self.produce_version);
        self.produce_version
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_counted_until_a_connection_is_ready() {
        let mut addresses = BrokerAddresses::new();
        for failures in 0..3 {
            assert_eq!(addresses.connect(failures, "a", 1), failures);
            assert_eq!(addresses.connect(100 + failures, "a", 2), 0, "of another port");
            addresses.ready("a".to_owned(), 2, 9);
            assert!(addresses.remove(failures));
            assert!(!addresses.remove(failures), "a failure is counted twice");
            addresses.remove(100 + failures);
        }
        addresses.connect(200, "a", 1);
        addresses.ready("a".to_owned(), 1, 9);
        addresses.remove(200);
        assert_eq!(addresses.connect(201, "a", 1), 0, "the last connection was ready");
    }

    #[test]
    fn the_number_of_remembered_failures_is_bounded() {
        let mut addresses = BrokerAddresses::new();
        for port in 0..2_500 {
            addresses.connect(port, "a", port);
            addresses.remove(port);
        }
        assert!(addresses.failures.len() <= MAX_FAILURES, "{}", addresses.failures.len());
        assert!(addresses.connections.is_empty() && addresses.ready.is_empty());
    }

    #[test]
    fn the_version_of_an_old_broker_counts_while_it_is_connected() {
        let mut addresses = BrokerAddresses::new();
        assert_eq!(addresses.produce_version(), None);
        for (number, host, produce_version) in [(1, "old", 3), (2, "new", 11), (3, "old", 3)] {
            addresses.connect(number, host, 9092);
            addresses.ready(host.to_owned(), 9092, produce_version);
        }
        assert_eq!(addresses.produce_version(), Some(3));
        addresses.remove(1);
        assert_eq!(addresses.produce_version(), Some(3), "there is another connection to it");
        addresses.remove(3);
        assert_eq!(addresses.produce_version(), Some(11));
        addresses.remove(2);
        assert_eq!(addresses.produce_version(), Some(11), "no connection is left");
        assert!(addresses.ready.is_empty());
        addresses.ready("gone".to_owned(), 9092, 9);
        assert_eq!(addresses.produce_version(), Some(9), "still no connection");
        addresses.connect(4, "new", 9092);
        addresses.ready("new".to_owned(), 9092, 11);
        addresses.ready("gone".to_owned(), 9092, 9);
        assert_eq!(addresses.produce_version(), Some(11));
    }
}
