//! The syntax of the settings of connecting.

use std::time::Duration;

use super::forms::{Form, INT, Millis, Whole, Words, not_accepted};
use super::servers::{Addresses, Servers};
use crate::error::SettingErrorReason;
use crate::network_config::{AddressFamily, DnsLookup};

pub(super) const LOOKUP: Words<DnsLookup> = Words(&[
    ("use_all_dns_ips", DnsLookup::UseAllDnsIps),
    ("resolve_canonical_bootstrap_servers_only", DnsLookup::ResolveCanonicalBootstrapServersOnly),
]);

pub(super) const FAMILY: Words<AddressFamily> =
    Words(&[("any", AddressFamily::Any), ("v4", AddressFamily::V4), ("v6", AddressFamily::V6)]);

/// RFC 8305, section 5, forbids less than 10 ms.
pub(super) const ATTEMPT_DELAY: Millis = Millis::new(10, INT);

/// The size of a buffer of a socket, of which 0 stands for the system's.
#[derive(Debug)]
pub(super) struct BufferSize;

const BUFFER_SIZE: Whole = Whole { least: 0, most: INT };

impl Form for BufferSize {
    type Value = usize;

    fn parse(&self, text: &str) -> Result<usize, SettingErrorReason> {
        if text.trim() == "-1" { Ok(0) } else { BUFFER_SIZE.parse(text).or_else(|_| not_accepted(self)) }
    }

    fn show(&self, value: &usize) -> String {
        BUFFER_SIZE.show(value)
    }

    fn accepts(&self) -> String {
        format!("{}, or `-1` or `0` for the system's", Whole { least: 1, most: INT }.accepts())
    }
}

/// A duration for which 0 means that the system's default applies.
#[derive(Debug)]
pub(super) struct OrSystem(pub(super) Millis);

impl Form for OrSystem {
    type Value = Duration;

    fn parse(&self, text: &str) -> Result<Duration, SettingErrorReason> {
        self.0.parse(text).or_else(|_| not_accepted(self))
    }

    fn show(&self, value: &Duration) -> String {
        self.0.show(value)
    }

    fn show_typed(&self, value: &Duration) -> String {
        self.0.show_typed(value)
    }

    fn accepts(&self) -> String {
        format!("{}, or `0` for the system's default", self.0.accepts())
    }

    fn accepts_typed(&self, instead_of: &Duration) -> String {
        format!("{}, or Duration::ZERO for the system's default", self.0.accepts_typed(instead_of))
    }

    fn normalize(&self, value: Duration) -> Result<Duration, SettingErrorReason> {
        self.0.normalize(value)
    }

    fn is_unset(&self, text: &str) -> bool {
        text.trim() == "0"
    }
}

/// The address of a proxy: host and port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyAddress(pub(super) Servers);

impl<H: Into<String>> From<(H, u16)> for ProxyAddress {
    fn from((host, port): (H, u16)) -> Self {
        Self(Servers { addresses: vec![(host.into(), port)], protocol: None })
    }
}

/// One address of a proxy.
#[derive(Debug)]
pub(super) struct OneAddress;

impl OneAddress {
    fn only(&self, servers: Servers) -> Result<ProxyAddress, SettingErrorReason> {
        match servers.addresses.len() {
            1 => Ok(ProxyAddress(servers)),
            _ => not_accepted(self),
        }
    }
}

impl Form for OneAddress {
    type Value = ProxyAddress;

    fn parse(&self, text: &str) -> Result<ProxyAddress, SettingErrorReason> {
        if text.contains('@') {
            const HOW: &str =
                "write host:port without a login, which is in socks5.proxy.username and socks5.proxy.password";
            return Err(HOW.into());
        }
        // Without a port it would get that of brokers.
        let has_port = text.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && !port.contains(']'));
        if !has_port || text.contains("://") {
            return not_accepted(self);
        }
        let servers = Addresses.parse(text).or_else(|_| not_accepted(self))?;
        self.only(servers)
    }

    fn normalize(&self, value: ProxyAddress) -> Result<ProxyAddress, SettingErrorReason> {
        self.only(Addresses.normalize(value.0)?)
    }

    fn show(&self, value: &ProxyAddress) -> String {
        value.0.to_string()
    }

    fn accepts(&self) -> String {
        "`host:port`".to_owned()
    }

    fn accepts_typed(&self, _: &ProxyAddress) -> String {
        "one address, such as (\"localhost\", 1080)".to_owned()
    }
}
