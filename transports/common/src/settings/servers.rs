//! `bootstrap.servers`: a list of addresses, each with an optional security protocol.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use kafka_batch_core::machine::SecurityProtocol;

use super::forms::{Form, Words, not_accepted};
use crate::error::SettingErrorReason;

pub(super) const PROTOCOL: Words<SecurityProtocol> = Words(&[
    ("plaintext", SecurityProtocol::Plaintext),
    ("ssl", SecurityProtocol::Ssl),
    ("sasl_plaintext", SecurityProtocol::SaslPlaintext),
    ("sasl_ssl", SecurityProtocol::SaslSsl),
]);

/// Addresses of brokers, without duplicates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Servers {
    pub(super) addresses: Vec<(String, u16)>,
    /// The security protocol that their entries name.
    pub(super) protocol: Option<SecurityProtocol>,
}

/// The default port, as in librdkafka. The Java client does not accept an address without a port.
const DEFAULT_PORT: u16 = 9092;

/// Addresses, separated by commas. Blank space around them, empty entries and duplicates are ignored.
#[derive(Debug)]
pub(super) struct Addresses;

impl Form for Addresses {
    type Value = Servers;

    fn parse(&self, text: &str) -> Result<Servers, SettingErrorReason> {
        if text.contains('@') {
            return Err("write host:port without a login, which is in sasl.username and sasl.password".into());
        }
        let mut servers = Servers { addresses: Vec::new(), protocol: None };
        let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        for (index, entry) in entries.enumerate() {
            // Errors do not show the entry: it may contain a password, as URLs of other systems do.
            let wrong = |what: String| SettingErrorReason::from(format!("its entry {} {what}", index + 1));
            let address = match entry.split_once("://") {
                None => entry,
                Some((name, address)) => {
                    let Ok(protocol) = PROTOCOL.parse(name) else {
                        let accepts = PROTOCOL.accepts().replace('`', "");
                        return Err(wrong(format!("has :// after another word than {accepts}")));
                    };
                    if let Some(other) = servers.protocol.replace(protocol).filter(|other| *other != protocol) {
                        return Err(wrong(format!(
                            "has {protocol}:// and an earlier one {other}://: all brokers need the same protocol"
                        )));
                    }
                    address
                }
            };
            let (host, port) = parse_address(address).map_err(|what| wrong(what.to_owned()))?;
            servers.insert(host, port);
        }
        if servers.addresses.is_empty() {
            return Err("say where the brokers are, such as \"localhost:9092\"".into());
        }
        Ok(servers)
    }

    fn accepts_typed(&self, _: &Servers) -> String {
        "at least one address, such as (\"localhost\", 9092)".to_owned()
    }

    /// Each address is a host name or an IP address: what separates or qualifies the entries of a text is refused, since one
    /// address would become two, or another one.
    fn normalize(&self, given: Servers) -> Result<Servers, SettingErrorReason> {
        let mut servers = Servers { addresses: Vec::new(), protocol: given.protocol };
        for (index, (host, port)) in given.addresses.into_iter().enumerate() {
            let wrong = |what: &str| Err(format!("its address {} {what}", index + 1).into());
            let host = host.trim();
            match (bracketed(host).or_else(|| named(host)), port) {
                (None, _) => {
                    return wrong(
                        "is neither a host name nor an IP address: give each host alone, with its port, such as (\"localhost\", 9092)",
                    );
                }
                (_, 0) => return wrong("has port 0: give one from 1 to 65535"),
                (Some(host), port) => servers.insert(host, port),
            }
        }
        if servers.addresses.is_empty() { not_accepted(self) } else { Ok(servers) }
    }

    fn show(&self, servers: &Servers) -> String {
        servers.to_string()
    }

    fn accepts(&self) -> String {
        "`host:port`, …".to_owned()
    }
}

impl Servers {
    /// Adds an address, unless it is there.
    fn insert(&mut self, host: String, port: u16) {
        let is_known = |(known, same): &(String, u16)| known.eq_ignore_ascii_case(&host) && *same == port;
        if !self.addresses.iter().any(is_known) {
            self.addresses.push((host, port));
        }
    }
}

/// As in the setting.
impl fmt::Display for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (host, port)) in self.addresses.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            match host.contains(':') {
                true => write!(f, "{comma}[{host}]:{port}")?,
                false => write!(f, "{comma}{host}:{port}")?,
            }
        }
        Ok(())
    }
}

fn parse_address(address: &str) -> Result<(String, u16), &'static str> {
    const SHAPE: &str = "is not host:port, nor [IPv6 address]:port";
    let (host, port) = match address.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']').ok_or(SHAPE)?;
            let port = if rest.is_empty() { None } else { Some(rest.strip_prefix(':').ok_or(SHAPE)?) };
            (
                bracketed(host)
                    .or_else(|| named(host))
                    .ok_or("has neither an IP address nor a name between its brackets")?,
                port,
            )
        }
        None => {
            let (host, port) = match address.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (address, None),
            };
            // Without brackets, the colon before the port is ambiguous in an IPv6 address.
            if port.is_some_and(|port| port.contains(':')) {
                return Err("has more than one colon: write an IPv6 address as [address]:port");
            }
            (named(host).ok_or(SHAPE)?, port)
        }
    };
    let Some(port) = port else { return Ok((host, DEFAULT_PORT)) };
    let port =
        Some(port).filter(|port| port.bytes().all(|byte| byte.is_ascii_digit())).and_then(|port| port.parse().ok());
    port.filter(|port| *port != 0).map(|port| (host, port)).ok_or("has no port from 1 to 65535 after its colon")
}

/// The maximum length of a host name in bytes (RFC 1035, section 2.3.4).
const MAX_NAME: usize = 255;

fn named(host: &str) -> Option<String> {
    let is_fine = |each: char| each.is_alphanumeric() || "-._".contains(each);
    (!host.is_empty() && host.len() <= MAX_NAME && host.chars().all(is_fine)).then(|| host.to_owned())
}

/// Parses an IP address. An IPv6 address may have a zone (RFC 4007, section 11), which names the network interface.
fn bracketed(host: &str) -> Option<String> {
    let Some((address, zone)) = host.split_once('%') else {
        return host.parse().ok().map(|address: IpAddr| address.to_string());
    };
    let is_zone =
        !zone.is_empty() && zone.len() <= MAX_NAME && zone.chars().all(|each| each.is_ascii_graphic() && each != '%');
    let address: Ipv6Addr = address.parse().ok().filter(|_| is_zone)?;
    Some(format!("{address}%{zone}"))
}
