//! `bootstrap.servers`: a list of addresses, each perhaps with a security protocol before it.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use super::forms::{Form, Words};

/// `security.protocol`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SecurityProtocol {
    /// Neither TLS nor a login.
    Plaintext,
    /// TLS.
    Ssl,
    /// A login by SASL, without TLS.
    SaslPlaintext,
    /// A login by SASL, within TLS.
    SaslSsl,
}

pub(super) const PROTOCOL: Words<SecurityProtocol> = Words(&[
    ("plaintext", SecurityProtocol::Plaintext),
    ("ssl", SecurityProtocol::Ssl),
    ("sasl_plaintext", SecurityProtocol::SaslPlaintext),
    ("sasl_ssl", SecurityProtocol::SaslSsl),
]);

impl SecurityProtocol {
    pub(super) const fn has_tls(self) -> bool {
        matches!(self, Self::Ssl | Self::SaslSsl)
    }

    pub(super) const fn has_sasl(self) -> bool {
        matches!(self, Self::SaslPlaintext | Self::SaslSsl)
    }
}

/// In small letters, as in the setting.
impl fmt::Display for SecurityProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&PROTOCOL.show(self))
    }
}

/// Addresses of brokers, each once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Servers {
    pub(super) addresses: Vec<(String, u16)>,
    /// The security protocol that their entries name.
    pub(super) protocol: Option<SecurityProtocol>,
}

/// The port of Kafka, as in librdkafka. Java's client takes no address without a port.
const DEFAULT_PORT: u16 = 9092;

/// Addresses, separated by commas. Blank space around them and empty entries have no meaning; an address that comes again is
/// left out.
#[derive(Debug)]
pub(super) struct Addresses;

impl Form for Addresses {
    type Value = Servers;

    fn parse(&self, text: &str) -> Result<Servers, String> {
        let mut servers = Servers { addresses: Vec::new(), protocol: None };
        let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        for (waiter, entry) in entries.enumerate() {
            // Without the entry itself: it can have a password in it, as addresses elsewhere can.
            let wrong = |what: String| format!("its entry {} {what}", waiter + 1);
            let address = match entry.split_once("://") {
                None => entry,
                Some((name, address)) => {
                    let Ok(protocol) = PROTOCOL.parse(name) else {
                        let accepts = PROTOCOL.accepts().replace('`', "");
                        return Err(wrong(format!("has :// behind another word than {accepts}")));
                    };
                    if let Some(other) = servers.protocol.replace(protocol).filter(|other| *other != protocol) {
                        return Err(wrong(format!(
                            "says {protocol}:// and one before it {other}://: all brokers are connected to in one way"
                        )));
                    }
                    address
                }
            };
            let (host, port) = parse_address(address).map_err(|what| wrong(what.to_owned()))?;
            let is_known = |(known, same): &(String, u16)| known.eq_ignore_ascii_case(&host) && *same == port;
            if !servers.addresses.iter().any(is_known) {
                servers.addresses.push((host, port));
            }
        }
        if servers.addresses.is_empty() {
            return Err("say where the brokers are, such as \"localhost:9092\"".to_owned());
        }
        Ok(servers)
    }

    fn show(&self, servers: &Servers) -> String {
        servers.to_string()
    }

    fn accepts(&self) -> String {
        "`host:port`, …".to_owned()
    }
}

/// For people to read: as it could be written in a setting.
impl fmt::Display for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (waiter, (host, port)) in self.addresses.iter().enumerate() {
            let comma = if waiter == 0 { "" } else { "," };
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
            // Which of an IPv6 address's colons would be the one before the port?
            if port.is_some_and(|port| port.contains(':')) {
                return Err("has more than one colon: write an IPv6 address as [address]:port");
            }
            (named(host).ok_or(SHAPE)?, port)
        }
    };
    let Some(port) = port else { return Ok((host, DEFAULT_PORT)) };
    let port =
        Some(port).filter(|port| port.bytes().all(|byte| byte.is_ascii_digit())).and_then(|port| port.parse().ok());
    port.filter(|port| *port != 0).map(|port| (host, port)).ok_or("has no port from 1 to 65535 behind its colon")
}

fn named(host: &str) -> Option<String> {
    let is_fine = |each: char| each.is_alphanumeric() || "-._".contains(each);
    (!host.is_empty() && host.chars().all(is_fine)).then(|| host.to_owned())
}

/// An IP address. One of IPv6 can have a zone (RFC 4007, section 11): the interface through which it is reached.
fn bracketed(host: &str) -> Option<String> {
    let Some((address, zone)) = host.split_once('%') else {
        return host.parse().ok().map(|address: IpAddr| address.to_string());
    };
    let is_zone = !zone.is_empty() && zone.chars().all(|each| each.is_ascii_graphic() && each != '%');
    let address: Ipv6Addr = address.parse().ok().filter(|_| is_zone)?;
    Some(format!("{address}%{zone}"))
}
