//! The settings of connecting.

use std::time::Duration;

use crate::socks5::Proxy;

pub(crate) const DNS_LOOKUP: &str = "client.dns.lookup";
pub(crate) const ADDRESS_FAMILY: &str = "broker.address.family";
pub(crate) const ATTEMPT_DELAY: &str = "connection.attempt.delay.ms";
pub(crate) const SEND_BUFFER: &str = "socket.send.buffer.bytes";
pub(crate) const RECEIVE_BUFFER: &str = "socket.receive.buffer.bytes";
pub(crate) const USER_TIMEOUT: &str = "socket.tcp.user.timeout.ms";
pub(crate) const PROXY: &str = "socks5.proxy";

/// Which of a host's names and addresses are used: `client.dns.lookup`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DnsLookup {
    /// All addresses of a host name are tried.
    #[default]
    UseAllDnsIps,
    /// Of a bootstrap server, each address is looked up in reverse, and the canonical name that this returns is connected to. A
    /// broker's certificate must contain that name. The names that brokers advertise are used as they are.
    ResolveCanonicalBootstrapServersOnly,
}

impl DnsLookup {
    /// Returns the value by its name in Kafka.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::UseAllDnsIps => "use_all_dns_ips",
            Self::ResolveCanonicalBootstrapServersOnly => "resolve_canonical_bootstrap_servers_only",
        }
    }
}

/// Which addresses of a host are connected to: librdkafka's `broker.address.family`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AddressFamily {
    /// Those of both families, in turns.
    #[default]
    Any,
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl AddressFamily {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::V4 => "v4",
            Self::V6 => "v6",
        }
    }
}

/// The options of a producer's sockets besides `TCP_NODELAY` and keep-alive, which are always set. `None` leaves an option at the
/// system's default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SocketOptions {
    /// `socket.send.buffer.bytes`: the size of the send buffer in bytes (`SO_SNDBUF`).
    pub send_buffer: Option<u32>,
    /// `socket.receive.buffer.bytes`: the size of the receive buffer in bytes (`SO_RCVBUF`). Set it before connecting, because it
    /// limits the window that is negotiated then.
    pub receive_buffer: Option<u32>,
    /// `socket.tcp.user.timeout.ms`: how long sent bytes may be unacknowledged before the connection ends (`TCP_USER_TIMEOUT`, RFC
    /// 5482). Only on Linux and Android; elsewhere the setting is refused.
    pub tcp_user_timeout: Option<Duration>,
}

/// How connections are made.
#[derive(Clone, Debug)]
pub(crate) struct NetworkConfig {
    pub(crate) dns_lookup: DnsLookup,
    pub(crate) family: AddressFamily,
    /// The delay before the next address is tried beside those that have not answered (RFC 8305).
    pub(crate) attempt_delay: Duration,
    pub(crate) socket: SocketOptions,
    pub(crate) proxy: Option<Proxy>,
}

impl NetworkConfig {
    /// Returns the settings that have another value than the default.
    pub(crate) fn changed(&self) -> Vec<(&'static str, String)> {
        let SocketOptions { send_buffer, receive_buffer, tcp_user_timeout } = self.socket;
        let millis = |duration: Duration| duration.as_millis().to_string();
        let default = Self::default();
        let changed = [
            (DNS_LOOKUP, (self.dns_lookup != default.dns_lookup).then(|| self.dns_lookup.name().to_owned())),
            (ADDRESS_FAMILY, (self.family != default.family).then(|| self.family.name().to_owned())),
            (ATTEMPT_DELAY, (self.attempt_delay != default.attempt_delay).then(|| millis(self.attempt_delay))),
            (SEND_BUFFER, send_buffer.map(|bytes| bytes.to_string())),
            (RECEIVE_BUFFER, receive_buffer.map(|bytes| bytes.to_string())),
            (USER_TIMEOUT, tcp_user_timeout.map(millis)),
            (PROXY, self.proxy.as_ref().map(Proxy::address)),
        ];
        changed.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

/// RFC 8305, section 8.
const CONNECTION_ATTEMPT_DELAY: Duration = Duration::from_millis(250);

impl Default for NetworkConfig {
    fn default() -> Self {
        Self {
            dns_lookup: DnsLookup::default(),
            family: AddressFamily::default(),
            attempt_delay: CONNECTION_ATTEMPT_DELAY,
            socket: SocketOptions::default(),
            proxy: None,
        }
    }
}
