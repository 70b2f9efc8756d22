//! The address of a broker.

use alloc::string::String;
use core::fmt;

/// The address of a broker, and its id if it is known. Of a bootstrap server only the address is known.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BrokerAddress {
    /// The broker's node id.
    pub id: Option<i32>,
    /// Host name or IP address.
    pub host: String,
    /// Port.
    pub port: u16,
}

impl BrokerAddress {
    pub(crate) const fn new(id: Option<i32>, host: String, port: u16) -> Self {
        Self { id, host, port }
    }
}

impl fmt::Display for BrokerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, host, port } = self;
        if let Some(id) = id {
            write!(f, "broker {id} at ")?;
        }
        let host = host.replace(char::is_control, "?"); // a broker may advertise any string
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn addresses_are_written_as_in_bootstrap_servers() {
        for (id, host, expected) in [
            (None, "kafka.example", "kafka.example:9092"),
            (Some(3), "10.0.0.1", "broker 3 at 10.0.0.1:9092"),
            (Some(0), "::1", "broker 0 at [::1]:9092"),
            (Some(0), "a\nb", "broker 0 at a?b:9092"),
        ] {
            assert_eq!(BrokerAddress::new(id, host.into(), 9092).to_string(), expected);
        }
    }
}
